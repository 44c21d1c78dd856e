"""Judge mutated MLIR under random passes: accept only a result or a diagnostic, and tell a pass that broke from one that refused."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

from harness import Outcome, serve

from baco.errors import BacoError
from baco.lowering.pipelines import PIPELINES
from baco.lowering.tools.pipeline_text import parse_pipeline
from baco.lowering.tools.steps import Printing, Session

doing = ""


def note(text: str) -> None:
    """What the worker does, on standard error for the harness, should it die."""
    global doing
    doing = text
    print(text, flush=True, file=sys.stderr)


def judge(case: dict[str, Any]) -> Outcome:
    try:
        text, found = Session(note, Printing(), keep_traceback=True).transform(
            case["text"], "k.mlir", parse_pipeline(case["passes"], PIPELINES)
        )
    except BacoError as error:
        return Outcome("refused", f"{type(error).__name__}: {error}")
    except Exception as error:  # noqa: BLE001  (what a fuzzer looks for)
        frames = traceback.extract_tb(error.__traceback__)[-4:]
        where = " < ".join(f"{Path(f.filename).name}:{f.name}" for f in reversed(frames))
        return Outcome("breaks", f"{doing}: {type(error).__name__}: {str(error)[:150]} < {where}")
    return Outcome("refused", found[-1].message if found else "no reason") if text is None else Outcome("accepted")


if __name__ == "__main__":
    serve(judge)
