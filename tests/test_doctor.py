"""The doctor: it reports what is broken, hangs or misleads, and never fails itself."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from baco import cli, doctor
from baco.doctor import Part, examine, healthy

HERE = Part("present", "testing", "nothing to do", lambda: "1.2", required=True)
GONE = Part("absent", "testing", "buy one", lambda: None, required=True)
EXTRA = Part("extra", "testing", "buy two", lambda: None)


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for name in ("RISCV", "LD_LIBRARY_PATH"):
        monkeypatch.delenv(name, raising=False)
    return folder


def probe(name: str) -> str | None:
    return next(p for p in doctor.PARTS if p.name == name).probe()


def test_findings_follow_the_parts() -> None:
    present, absent, extra = examine([HERE, GONE, EXTRA])
    assert (present.found, present.version, present.required) == (True, "1.2", True)
    assert (absent.found, absent.version, absent.get) == (False, "", "buy one")
    assert healthy([present, extra])
    assert not healthy([present, absent, extra])


def test_everything_required_is_here() -> None:
    findings = examine()
    assert [f.name for f in findings if f.required and not f.found] == []
    assert {"Python", "MLIR bindings", "LLVM", "RISC-V compiler", "Spike", "Verilator", "Timeloop", "Accelergy"} <= {
        f.name for f in findings
    }
    assert all(f.needed_for and f.get for f in findings)
    versions = {f.name: f.version for f in findings}
    assert versions["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert versions["RISC-V compiler"].startswith("clang ")


def test_table_tells_how_to_get_what_is_missing() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(doctor.table(examine([HERE, GONE, EXTRA])))
    text = console.export_text()
    assert "1.2" in text
    assert "missing" in text
    assert "to get it: buy one" in text
    assert "nothing to do" not in text


OPTIONAL = [p.name for p in doctor.PARTS if not p.required]


@pytest.mark.parametrize("name", OPTIONAL)
def test_nothing_optional_on_an_empty_path(path: Path, name: str) -> None:
    assert probe(name) is None


def test_programs_on_the_path_are_found(path: Path) -> None:
    program(path, "spike", "echo 'Spike RISC-V ISA Simulator 1.1.1-dev' >&2; exit 1")
    program(path, "verilator", "echo 'Verilator 5.006 2023-01-22 rev (Debian 5.006-3)'")
    program(path, "riscv64-unknown-elf-gcc", "echo 12.2.0")
    program(path, "timeloop-model", "")
    assert probe("Spike") == "1.1.1-dev"
    assert probe("Verilator") == "5.006"
    assert probe("RISC-V compiler on PATH") == "riscv64-unknown-elf-gcc 12.2.0"
    assert probe("Timeloop") == str(path / "timeloop-model")
    assert probe("Spike's gemmini") is None
    (path.parent / "lib").mkdir()
    (path.parent / "lib" / "libgemmini.so").touch()
    assert probe("Spike's gemmini") == str((path.parent / "lib" / "libgemmini.so").resolve())


def test_a_clang_without_riscv_does_not_count(path: Path) -> None:
    program(path, "clang", "echo 'x86-64 - 64-bit X86'")
    assert probe("RISC-V compiler on PATH") is None
    program(path, "clang", 'case "$1" in --version) echo "Debian clang version 19.1.7";; *) echo "riscv64 - 64-bit RISC-V";; esac')
    assert probe("RISC-V compiler on PATH") == "Debian clang version 19.1.7"


@pytest.mark.parametrize("script", ["exit 3", "kill -SEGV $$", "printf '\\377\\376'", "sleep 60"])
def test_broken_programs_are_reported_as_missing(path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setenv("PATH", f"{path}:/usr/bin:/bin")
    monkeypatch.setattr(doctor, "TIMEOUT", 0.3)
    for name in ("spike", "verilator"):
        program(path, name, script)
        assert probe(name.capitalize()) is None


def test_command_prints_json_and_fails_when_a_required_part_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "PARTS", (HERE, EXTRA))
    assert cli.main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"name": "present", "found": True, "version": "1.2", "required": True, "needed_for": "testing", "get": "nothing to do"},
        {"name": "extra", "found": False, "version": "", "required": False, "needed_for": "testing", "get": "buy two"},
    ]
    monkeypatch.setattr(doctor, "PARTS", (HERE, GONE))
    assert cli.main(["doctor"]) == 1
    assert "missing" in capsys.readouterr().out
