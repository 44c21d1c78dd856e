"""The table of docs/vendor_programs.md: the vendor's own programs, run unmodified. Run it: python benchmarks/vendor_programs.py FOLDER

FOLDER has the programs, built for array dimension N, as ``dimN/*.elf``. Each checks its own results and ends with exit code 0. A cell says
what came of it and how many Gemmini instructions it issued; a program that issues none says nothing about the accelerator.
"""

from __future__ import annotations

import sys
from pathlib import Path

from baco.errors import BacoError
from baco.hardware import GemminiConfig
from baco.sim import Limits, Program, run

LIMITS = Limits(seconds=600)


def outcome(path: Path, dim: int) -> str:
    """What came of one program."""
    try:
        result = run(Program(path.read_bytes()), GemminiConfig(dim=dim), [], limits=LIMITS, strict=False)
    except BacoError as error:
        return f"{type(error).__name__}: {error}"
    issued = f"{sum(result.counters.instructions.values()):,}"
    return f"pass, {issued}" if result.exit_code == 0 else f"exit code {result.exit_code}, {issued}"


def table(folder: Path) -> list[str]:
    """Lines of a Markdown table: a program a row, a dimension a column.

    Raises:
        SystemExit: if there are no programs.
    """
    dims = sorted(int(path.name.removeprefix("dim")) for path in folder.glob("dim*"))
    names = sorted({path.stem for path in folder.glob("dim*/*.elf")})
    if not names:
        raise SystemExit(f"there is no dimN/*.elf in {folder}.")
    lines = ["| program |" + "".join(f" DIM {dim} |" for dim in dims), "|---|" + "---|" * len(dims)]
    for name in names:
        cells = [outcome(path, dim) if (path := folder / f"dim{dim}" / f"{name}.elf").exists() else "" for dim in dims]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__.splitlines()[0])
    print("\n".join(table(Path(sys.argv[1]))))
