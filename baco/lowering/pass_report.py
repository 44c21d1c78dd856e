"""What each pass of a compilation changes and how long it takes: BACO_PASS_DIFF and BACO_PASS_PROFILE, on standard error."""

from __future__ import annotations

import difflib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from baco import knobs
from baco.dialects.mlir import ir


@contextmanager
def reported(module: ir.Module, name: str) -> Iterator[None]:
    """Tell of the pass that runs inside, where a person wants to know."""
    before = str(module) if knobs.pass_diff.value else None
    start = time.perf_counter()
    yield
    milliseconds = 1000 * (time.perf_counter() - start)
    if knobs.pass_profile.value and milliseconds >= knobs.pass_profile_threshold_ms.value:
        print(f"{milliseconds:9.2f} ms  {name}", file=sys.stderr)
    if before is not None:
        after = str(module)
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), f"before {name}", f"after {name}", lineterm="")
        print("\n".join(lines) if after != before else f"--- {name}: no change", file=sys.stderr)
