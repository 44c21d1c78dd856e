"""Building the native core: without warnings, and by many processes at once."""

import os
import subprocess
import sys
from pathlib import Path

from baco.isa import INSTRUCTIONS
from baco.sim import native


def test_the_sources_compile_without_warnings() -> None:
    assert native.compile_library("-Wall", "-Wextra", "-Werror")


def test_the_generated_header_has_every_field_once() -> None:
    header = native.generated_header()
    for instruction in INSTRUCTIONS:
        for field in instruction.fields:
            assert header.count(f"#define {instruction.name.upper()}_{field.name.upper()}(c) ") == 1


def test_processes_that_start_at_once_can_all_load_it(tmp_path: Path) -> None:
    code = "from baco.sim.native import load; load()"
    environment = {**os.environ, "BACO_CACHE_DIR": str(tmp_path)}
    running = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert [path.suffix for path in (tmp_path / "sim").iterdir()] == [".so"]
