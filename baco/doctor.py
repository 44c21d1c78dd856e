"""What `baco doctor` reports: every program and library that BACO uses, whether it works here, and how to get it.

Each probe runs in a process of its own with a time limit, so that a broken installation is reported rather than suffered.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from baco import knobs
from baco.toolchain import ToolError, zig

if TYPE_CHECKING:
    from rich.table import Table

TIMEOUT = 60.0
"""Seconds a probe may take; the first import of a large library from a cold disk is the slowest."""

Probe = Callable[[], str | None]
"""Returns the version (or the place) of what it looks for, or None."""


@dataclass(frozen=True)
class Part:
    """Something BACO uses. `required` parts come with BACO's own installation."""

    name: str
    needed_for: str
    get: str
    probe: Probe
    required: bool = False


@dataclass(frozen=True)
class Finding:
    """What was found of a part. `version` is empty where it was not found."""

    name: str
    found: bool
    version: str
    required: bool
    needed_for: str
    get: str


def examine(parts: Sequence[Part] | None = None) -> list[Finding]:
    """Probe every part, several at a time; the findings are in the order of the parts."""
    parts = PARTS if parts is None else parts
    with ThreadPoolExecutor(max_workers=4) as pool:
        versions = list(pool.map(lambda part: part.probe(), parts))
    return [Finding(p.name, v is not None, v or "", p.required, p.needed_for, p.get) for p, v in zip(parts, versions, strict=True)]


def healthy(findings: Sequence[Finding]) -> bool:
    """Whether every required part was found."""
    return all(f.found or not f.required for f in findings)


def to_dicts(findings: Sequence[Finding]) -> list[dict[str, str | bool]]:
    """The findings for JSON."""
    return [asdict(f) for f in findings]


def table(findings: Sequence[Finding]) -> Table:
    """The findings for a terminal; how to get a part is shown where it is missing."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD)
    shown.add_column("part", no_wrap=True)
    shown.add_column("found", overflow="fold")
    shown.add_column("needed for", overflow="fold")
    for f in findings:
        state = f"[green]{escape(f.version)}[/]" if f.found else "[red]missing[/]" if f.required else "[yellow]no[/]"
        note = escape(f.needed_for) if f.found else f"{escape(f.needed_for)}\n[dim]to get it: {escape(f.get)}[/]"
        shown.add_row(f.name, state, note)
    return shown


def _output(command: Sequence[str], *, any_status: bool = False) -> str | None:
    """What a program prints, or None if it is not there, fails or hangs."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT,
            check=False,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if any_status or done.returncode == 0 else None


def _last_line(text: str | None) -> str | None:
    lines = (text or "").strip().splitlines()
    return lines[-1].strip() if lines else None


def _python_code(code: str) -> Probe:
    """A probe that runs `code` in a fresh interpreter; what it prints last is the version."""
    return lambda: _last_line(_output([sys.executable, "-c", code]))


def _python() -> str | None:
    version = ".".join(map(str, sys.version_info[:3]))
    return version if sys.version_info >= (3, 11) else None


def _zig_clang() -> str | None:
    # Asked as compilations ask it, with the same cache folder.
    try:
        text = zig("cc", "--version", timeout=TIMEOUT).decode(errors="replace")
    except ToolError:
        return None
    match = re.search(r"clang version (\S+)", text)
    return f"clang {match[1]}" if match else None


def _riscv_compiler() -> str | None:
    for name in ("riscv64-unknown-elf-gcc", "riscv64-linux-gnu-gcc", "riscv64-unknown-linux-gnu-gcc"):
        if version := _last_line(_output([name, "-dumpversion"])):
            return f"{name} {version}"
    if "riscv64" in (_output(["clang", "--print-targets"]) or ""):
        return _last_line((_output(["clang", "--version"]) or "").partition("\n")[0])
    return None


def _spike() -> str | None:
    # Spike prints its name and version before its usage text, and leaves with a status of its own.
    match = re.search(r"Spike RISC-V ISA Simulator (\S+)", _output(["spike", "--help"], any_status=True) or "")
    return match[1] if match else None


def _spike_gemmini() -> str | None:
    """Spike loads `--extension=gemmini` from libgemmini.so among the libraries installed beside it."""
    folders = [Path(root) / "lib" for root in (os.environ.get("RISCV"),) if root]
    folders += [Path(folder) for folder in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if folder]
    if spike := shutil.which("spike"):
        folders.append(Path(spike).resolve().parent.parent / "lib")
    return next((str(f / "libgemmini.so") for f in folders if (f / "libgemmini.so").is_file()), None)


def _verilator() -> str | None:
    match = re.search(r"Verilator (\S+)", _output(["verilator", "--version"]) or "")
    return match[1] if match else None


def _on_path(name: str) -> Probe:
    return lambda: shutil.which(name)


_REINSTALL = "pip install baco, or in a checkout: make explore"

PARTS: tuple[Part, ...] = (
    Part("Python", "everything", "install Python 3.11 or newer", _python, required=True),
    Part(
        "PyTorch",
        "the performance model and the search",
        _REINSTALL,
        _python_code("import torch; print(torch.__version__)"),
        required=True,
    ),
    Part(
        "MLIR bindings",
        "compiling kernels",
        _REINSTALL,
        _python_code(
            "from importlib.metadata import version as v; from torch_mlir import ir; ir.Context(); print('torch-mlir', v('torch-mlir'))"
        ),
        required=True,
    ),
    Part(
        "LLVM",
        "checking and optimising LLVM IR",
        _REINSTALL,
        _python_code(
            "import llvmlite as l, llvmlite.binding as b; print(*b.llvm_version_info, sep='.', end=f' (llvmlite {l.__version__})')"
        ),
        required=True,
    ),
    Part("RISC-V compiler", "objects and ELF files (clang and lld of the ziglang wheel)", _REINSTALL, _zig_clang, required=True),
    Part(
        "RISC-V emulator",
        "the functional simulator",
        _REINSTALL,
        _python_code("import unicorn as u; u.Uc(u.UC_ARCH_RISCV, u.UC_MODE_RISCV64); print('unicorn', u.__version__)"),
        required=True,
    ),
    Part(
        "RISC-V compiler on PATH",
        "an alternative to the compiler above",
        "apt-get install gcc-riscv64-unknown-elf",
        _riscv_compiler,
    ),
    Part("Spike", "checking programs on the reference simulator", "build riscv-software-src/riscv-isa-sim, put spike on PATH", _spike),
    Part(
        "Spike's gemmini",
        "running Gemmini programs on Spike",
        "build ucb-bar/libgemmini and install libgemmini.so beside Spike's libraries",
        _spike_gemmini,
    ),
    Part("Verilator", "cycle counts from RTL", "apt-get install verilator", _verilator),
    Part(
        "Timeloop",
        "comparing the performance model with Timeloop's",
        "build NVlabs/timeloop, put timeloop-model on PATH or name it in BACO_TIMELOOP",
        lambda: shutil.which(knobs.timeloop.value),
    ),
    Part(
        "Accelergy", "energy figures for Timeloop", "install Accelergy-Project/accelergy with pip from its checkout", _on_path("accelergy")
    ),
)
