"""Outside tools that fail, hang or are missing; files written whole or not at all; the carried compiler."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from baco import toolchain
from baco.toolchain import RISCV_TARGET, ToolError, atomic_write, cache_dir, digest, run_tool, zig


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_run_tool_returns_standard_output() -> None:
    assert run_tool(python("import sys; sys.stdout.write(sys.stdin.read().upper())"), data=b"abc") == b"ABC"


def test_run_tool_adds_to_the_environment_of_the_tool_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACO_TEST_OUTER", "1")
    code = "import os; print(os.environ['BACO_TEST_OUTER'], os.environ['BACO_TEST_INNER'])"
    assert run_tool(python(code), env={"BACO_TEST_INNER": "2"}).split() == [b"1", b"2"]
    assert "BACO_TEST_INNER" not in os.environ


def test_a_missing_tool_is_named() -> None:
    with pytest.raises(ToolError, match=r"^no-such-tool --version: not found$"):
        run_tool(["no-such-tool", "--version"])


def test_a_tool_that_cannot_start_is_named(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("not a program")
    with pytest.raises(ToolError, match=r"tool: cannot be started: Permission denied$"):
        run_tool([str(tmp_path / "tool")])


def test_a_failing_tool_tells_its_status_and_its_last_words() -> None:
    with pytest.raises(ToolError) as caught:
        run_tool(python("import sys; sys.exit('it broke')"))
    assert "failed with status 1\nit broke" in str(caught.value)
    assert caught.value.output.strip() == "it broke"


def test_a_hanging_tool_is_stopped() -> None:
    with pytest.raises(ToolError, match=r"did not finish within 0\.2 seconds$"):
        run_tool(python("import time; time.sleep(60)"), timeout=0.2)


def test_atomic_write_replaces_a_file_and_makes_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    atomic_write(path, "one")
    atomic_write(path, b"two")
    assert path.read_text() == "two"
    assert [p.name for p in path.parent.iterdir()] == ["b.txt"]


def test_atomic_write_keeps_the_old_file_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "b.txt"
    atomic_write(path, "old")

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(toolchain.os, "replace", full_disk)
    with pytest.raises(OSError, match="No space left"):
        atomic_write(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["b.txt"]


def test_digest_tells_parts_apart() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("a", b"b") == digest(b"a", "b")


def test_cache_dir_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BACO_CACHE_DIR", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("BACO_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_dir() == Path("/x/baco")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "baco"


def test_zig_compiles_for_riscv_and_leaves_the_environment_alone(tmp_path: Path) -> None:
    before = dict(os.environ)
    (tmp_path / "f.c").write_text("int f(int x) { return x + 1; }")
    zig("cc", "-target", RISCV_TARGET, "-O2", "-c", str(tmp_path / "f.c"), "-o", str(tmp_path / "f.o"))
    machine = (tmp_path / "f.o").read_bytes()
    assert machine[:4] == b"\x7fELF"
    assert int.from_bytes(machine[18:20], "little") == 243  # EM_RISCV
    assert dict(os.environ) == before


def test_zig_reports_what_the_compiler_said(tmp_path: Path) -> None:
    (tmp_path / "f.c").write_text("int f( {")
    with pytest.raises(ToolError, match=r"f\.c:1:8: error: "):
        zig("cc", "-target", RISCV_TARGET, "-c", str(tmp_path / "f.c"), "-o", str(tmp_path / "f.o"))
