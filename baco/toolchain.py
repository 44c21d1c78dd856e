"""The compiler BACO carries (clang and lld inside the `ziglang` wheel), its cache folder, and safe files and subprocesses."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from baco import knobs
from baco.errors import BacoError

RISCV_TARGET = "riscv64-freestanding-none"


class ToolError(BacoError):
    """An outside tool is missing, failed, or did not finish. Attributes: `command`, `reason`, `output`."""

    def __init__(self, command: Sequence[str], reason: str, output: str = "") -> None:
        self.command = tuple(command)
        self.reason = reason
        self.output = output
        tail = f"\n{output.strip()[-2000:]}" if output.strip() else ""
        shown = " ".join([*command[:4], *(["..."] if len(command) > 4 else [])])
        super().__init__(f"{shown}: {reason}{tail}")


def cache_dir() -> Path:
    """Where BACO keeps what it can make again: $BACO_CACHE_DIR, or `baco` in the user's cache folder."""
    return knobs.cache_dir.value


def atomic_write(path: Path, data: bytes | str) -> None:
    """Write `path` whole or not at all: a reader never sees half a file, and a crash leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
        Path(temporary).chmod(0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def digest(*parts: bytes | str) -> str:
    """A hexadecimal name for content: the same parts give the same name."""
    h = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        h.update(len(data).to_bytes(8, "little"))
        h.update(data)
    return h.hexdigest()[:32]


def run_tool(
    command: Sequence[str],
    *,
    timeout: float = 120,
    data: bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> bytes:
    """Run an outside tool, in the folder `cwd`, without a shell, and return what it printed on standard output; `env` adds to this
    process's environment.

    Raises:
        ToolError: if the tool cannot be started, exits with another status than 0, or takes longer than `timeout` seconds.
    """
    environment = {**os.environ, **(env or {})}
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=timeout, check=False, env=environment, cwd=cwd)
    except FileNotFoundError:
        raise ToolError(command, "not found") from None
    except OSError as error:
        raise ToolError(command, f"cannot be started: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise ToolError(command, f"did not finish within {timeout:g} seconds") from None
    if done.returncode:
        raise ToolError(command, f"failed with status {done.returncode}", done.stderr.decode(errors="replace"))
    return done.stdout


def zig(*arguments: str, timeout: float = 120) -> bytes:
    """Run the compiler of the `ziglang` wheel, such as ``zig("cc", "-c", "k.ll")``; its own cache stays inside BACO's."""
    env = {} if "ZIG_GLOBAL_CACHE_DIR" in os.environ else {"ZIG_GLOBAL_CACHE_DIR": str(cache_dir() / "zig")}
    return run_tool([sys.executable, "-m", "ziglang", *arguments], timeout=timeout, env=env)
