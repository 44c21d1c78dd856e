"""The command line: what it prints, how it fails, and that it starts fast."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import baco
from baco import cli
from baco.errors import BacoError

HEAVY = ("torch", "torch_mlir", "unicorn", "llvmlite", "numpy", "typer", "rich")


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120).stdout.strip()


def test_import_baco_loads_nothing_heavy() -> None:
    assert python(f"import sys, baco; print([m for m in {HEAVY} if m in sys.modules])") == "[]"


def test_the_command_line_loads_nothing_heavy_until_it_works() -> None:
    heavy = [m for m in HEAVY if m not in ("typer", "rich")]
    assert python(f"import sys, baco.cli; print([m for m in {heavy} if m in sys.modules])") == "[]"


def test_public_names_are_what_they_say() -> None:
    from baco.hardware import GemminiConfig
    from baco.workload import Mapping, Problem

    assert (baco.GemminiConfig, baco.Mapping, baco.Problem, baco.BacoError) == (GemminiConfig, Mapping, Problem, BacoError)
    assert dir(baco) == sorted(baco.__all__)
    with pytest.raises(AttributeError, match="module 'baco' has no attribute 'jti'"):
        baco.jti  # noqa: B018


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"baco {baco.__version__}\n"


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(command in out for command in ("explore", "doctor"))


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["exlpore"]) == 2
    assert "No such command 'exlpore'" in capsys.readouterr().err


def test_a_users_error_is_one_sentence_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise BacoError("hardware.dim: must be a power of two.")

    assert cli.reporting(fail) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "error: hardware.dim: must be a power of two.\n")


def test_an_interrupt_is_status_130(capsys: pytest.CaptureFixture[str]) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    assert cli.reporting(stop) == 130
    assert capsys.readouterr().err == "error: interrupted.\n"


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        cli.reporting(lambda: 1 // 0)


def test_a_reader_that_leaves_is_no_bug() -> None:
    code = "import sys; from baco import cli\ndef f(): raise BrokenPipeError\nsys.exit(cli.reporting(f))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (1, "")


def test_writable_folder_makes_it_and_leaves_it_empty(tmp_path: Path) -> None:
    folder = cli.writable_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(cli.OutputError, match=r"^cannot write to the folder .*/file/out: Not a directory; choose another one\.$"):
        cli.writable_folder(tmp_path / "file" / "out")
