"""Judge mutated kernels: compile each, and accept only success or a BACO error that points into the kernel's file."""

from __future__ import annotations

import tempfile
import traceback
import warnings
from pathlib import Path
from typing import Any

from harness import Outcome, serve

from baco.errors import BacoError
from baco.hardware import GemminiConfig
from baco.lang import aot
from baco.lang.errors import CompilationError, LaunchError
from baco.lowering import codegen, pipelines


def judge(case: dict[str, Any]) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.py"
        file.write_text(case["source"])
        try:
            aot.compile_ahead(f"{file}:{case['name']}", case["signature"], GemminiConfig())
        except CompilationError as error:
            if error.location is None or error.location.file != str(file):
                return Outcome("has no place", f"{type(error).__name__}: {error.reason}")
            if not 1 <= error.location.line <= case["source"].count("\n") + 1:
                return Outcome("has a wrong place", str(error.location))
            return Outcome("refused", f"{type(error).__name__}: {error.reason}")
        except (LaunchError, aot.KernelFileError) as error:
            return Outcome("refused", f"{type(error).__name__}: {error}")
        except BacoError as error:
            return Outcome("has no place", f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001  (what a fuzzer looks for)
            frames = traceback.extract_tb(error.__traceback__)[-4:]
            where = " < ".join(f"{Path(f.filename).name}:{f.name}" for f in reversed(frames))
            return Outcome("raises", f"{type(error).__name__}: {str(error)[:150]} < {where}")
    return Outcome("accepted")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    pipelines.generate = lambda _: codegen.MachineCode("", b"")  # clang is not what is tested
    serve(judge)
