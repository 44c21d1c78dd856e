"""The vendor's own bare-metal test programs, where they are: they check themselves and exit with 0.

$BACO_VENDOR_PROGRAMS names a folder with the programs, built for array dimension N, as ``dimN/*.elf``.
"""

import os
from pathlib import Path

import pytest

from baco.hardware import GemminiConfig
from baco.sim import Limits, Program, run

FOLDER = Path(os.environ.get("BACO_VENDOR_PROGRAMS", "/nonexistent"))
PROGRAMS = sorted(FOLDER.glob("dim*/*.elf"))


@pytest.mark.skipif(not PROGRAMS, reason="no vendor programs")
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_vendor_program(path: Path) -> None:
    config = GemminiConfig(dim=int(path.parent.name.removeprefix("dim")))
    result = run(Program(path.read_bytes()), config, [], limits=Limits(seconds=120), strict=False)
    assert result.exit_code == 0, result.output.decode(errors="replace")
