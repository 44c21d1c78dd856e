"""Write examples/README.md: what each tutorial shows, what of it runs where, and what was counted in its run. Run it with `make docs`."""

from __future__ import annotations

import contextlib
import io
import runpy
from collections.abc import Iterable
from pathlib import Path

from baco.lang.jit import JITFunction
from baco.lang.launch import recorded
from baco.toolchain import atomic_write

EXAMPLES = Path(__file__).parents[1] / "examples"
INTRODUCTION = """# Tutorials

Each file is one kernel, or two, with a function `launch` that runs it on NumPy arrays. As a program it runs the kernel on the simulator
and compares the result with NumPy: `python examples/01_matmul.py`. The tests do the same at many sizes, on arrays of 4x4 to 32x32, on the
CPU path and in the interpreter.

The figures were counted in the program's run on `gemmini-default`, all its launches together: RoCC instructions (all that go to the
accelerator), those of them that compute, instructions of the RISC-V host core (address arithmetic, loops, and what is said to run there),
and bytes that the accelerator moves from and to DRAM. `make docs` writes this page.

| tutorial | what it shows | computed on the host core | RoCC | compute | host | DRAM bytes |
| --- | --- | --- | ---: | ---: | ---: | ---: |
"""


def row(path: Path) -> tuple[list[str], list[int]]:
    """A tutorial's cells: those of its text and of the compiler's remarks, and those counted while it runs."""
    with recorded() as launches, contextlib.redirect_stdout(io.StringIO()):
        names = runpy.run_path(str(path), run_name="__main__")
    title, _, idea = names["__doc__"].splitlines()[0].partition(": ")
    kernels = {name: value for name, value in names.items() if isinstance(value, JITFunction)}
    host = "; ".join(text for name, kernel in kernels.items() if (text := _on_host(name, kernel)))
    counters = [launch.result.counters for launch in launches]
    counts = [
        sum(sum(c.instructions.values()) for c in counters),
        sum(c.instructions.get(f"compute_{kind}", 0) for c in counters for kind in ("preloaded", "accumulated")),
        sum(c.host_instructions for c in counters),
        sum(c.dram_bytes_read + c.dram_bytes_written for c in counters),
    ]
    return [f"[{path.stem}]({path.name}) {title.lower()}", idea, host or "nothing"], counts


def _on_host(name: str, kernel: JITFunction) -> str:
    """Which lines of a kernel the compiler gave to the host core."""
    remarks = {remark for special in kernel.specialisations.values() for remark in special.compiled.remarks}
    places = [remark.split(":")[:2] for remark in remarks if "runs on the host core" in remark]
    lines = sorted({int(line) for _, line in places})
    return f"`{name}`, {'lines' if len(lines) > 1 else 'line'} {', '.join(map(str, lines))}" if lines else ""


def page(rows: Iterable[tuple[list[str], list[int]]]) -> str:
    """The page's text."""
    return INTRODUCTION + "".join(f"| {' | '.join([*texts, *(f'{count:,}' for count in counts)])} |\n" for texts, counts in rows)


if __name__ == "__main__":
    atomic_write(EXAMPLES / "README.md", page(row(path) for path in sorted(EXAMPLES.glob("[0-9]*.py"))))
