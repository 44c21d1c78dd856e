"""Builds the Verilator library of a machine: the RTL of `hw/gemmini/rtl` and the harness of `hw/gemmini/sim`, once per configuration.

Verilator turns the RTL into C++; a C++ compiler makes that and the harness into a shared library, which is cached under a digest of all
that went into it. $BACO_VERILATOR names a Verilator that is not on the search path; the compiler is `c++` of the search path, or else the
one that BACO carries.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from baco import knobs
from baco.hardware import GemminiConfig
from baco.sim import rtl_package, rtl_sources
from baco.sim.errors import ProgramError
from baco.sim.native import processor
from baco.toolchain import atomic_write, cache_dir, digest, run_tool, zig

HARNESS = ("harness.h", "memory.h", "harness.cpp", "memory.cpp")
VERILATOR_FLAGS = (
    *("--cc", "-O3", "--prefix", "Vgemmini", "--top-module", rtl_sources.TOP),
    *("--x-assign", "fast", "--x-initial", "fast", "--noassert"),
    "-Wno-fatal",
    "-Wno-lint",
)
COMPILER_FLAGS = (
    *("-std=c++17", "-fPIC", "-pthread", "-fno-strict-aliasing"),
    *("-DVL_USER_FATAL", "-DVL_USER_STOP", "-DVL_USER_FINISH"),
)
VERILATOR_SECONDS, COMPILER_SECONDS = 600.0, 1800.0
MINIMUM_BUS_BITS = 16
RUNTIME = ("verilated.cpp", "verilated_threads.cpp")


def find() -> Path:
    """The Verilator to build with.

    Raises:
        ProgramError: if there is none.
    """
    name = knobs.verilator.value
    found = shutil.which(name)
    if found is None:
        raise ProgramError(f"Verilator was not found as {name!r}; install it (apt-get install verilator), or name it in $BACO_VERILATOR.")
    return Path(found)


def build(config: GemminiConfig) -> Path:
    """The library of a machine, built if the cache does not have it; many processes may do so at once.

    Raises:
        ProgramError: if there is no Verilator, or the RTL cannot be that machine.
        ToolError: if it or the compiler fails.
    """
    if config.dma_bus_bits < MINIMUM_BUS_BITS:
        raise ProgramError(
            f"the RTL has a memory port of at least {MINIMUM_BUS_BITS} bits; hardware.dma_bus_bits is {config.dma_bus_bits}."
        )
    if not _harness().is_dir():
        raise ProgramError(f"the RTL is not at {rtl_sources.directory()}; run BACO from its source folder (pip install --editable).")
    verilator = find()
    files = _files()
    files[rtl_package.FILE] = rtl_package.package(config).encode()
    parts = [part for name in sorted(files) for part in (name, files[name])]
    name = digest(processor(), _version(verilator), _compiler_version(), *VERILATOR_FLAGS, *_compiler_flags(config), *parts)
    library = cache_dir() / "verilator" / f"gemmini-{config.dim}-{name}.so"
    with _alone(library):
        if not library.exists():
            atomic_write(library, _compile(verilator, config, files))
    return library


@contextmanager
def _alone(library: Path) -> Iterator[None]:
    """Keep other processes from building the same library meanwhile: they wait, and find it. Where it is there, nobody waits."""
    if library.exists():
        yield
        return
    library.parent.mkdir(parents=True, exist_ok=True)
    with library.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def sources_digest() -> str:
    """A name for what decides cycles, whatever the machine: the RTL and the harness."""
    return digest(*(part for item in sorted(_files().items()) for part in item))


def _files() -> dict[str, bytes]:
    """The files that are the same for every machine."""
    return {path.name: path.read_bytes() for path in (*rtl_sources.sources(), *(_harness() / name for name in HARNESS))}


def _compile(verilator: Path, config: GemminiConfig, files: dict[str, bytes]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="baco-verilator-") as name:
        folder = Path(name)
        for file, data in files.items():
            (folder / file).write_bytes(data)
        order = [rtl_package.FILE, *(path.name for path in rtl_sources.sources())]
        run_tool([str(verilator), *VERILATOR_FLAGS, "--Mdir", "made", *order], cwd=folder, timeout=VERILATOR_SECONDS)
        include = _root(verilator) / "include"
        sources = [*(folder / "made").glob("*.cpp"), *(folder / file for file in HARNESS if file.endswith(".cpp"))]
        sources += [include / file for file in RUNTIME]
        places = [f"-I{place}" for place in (folder / "made", folder, include, include / "vltstd")]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(lambda source: _object(source, folder, [*_compiler_flags(config), *places]), sources))
        _run_compiler("-shared", "-pthread", "-o", str(folder / "out.so"), *objects)
        return (folder / "out.so").read_bytes()


def _object(source: Path, folder: Path, flags: Sequence[str]) -> str:
    """Compile one file. What Verilator calls slow runs once, at the start."""
    out = folder / f"{source.stem}.o"
    _run_compiler(*flags, "-O0" if source.stem.endswith("__Slow") else "-O3", "-c", str(source), "-o", str(out))
    return str(out)


def _run_compiler(*arguments: str) -> None:
    compiler = _compiler()
    if compiler is None:
        zig("c++", *arguments, timeout=COMPILER_SECONDS)
    else:
        run_tool([compiler, *arguments], timeout=COMPILER_SECONDS)


def _harness() -> Path:
    return rtl_sources.directory().parent / "sim"


def _compiler() -> str | None:
    """The C++ compiler of the search path; None if there is none."""
    return shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")


@cache
def _compiler_version() -> str:
    compiler = _compiler()
    return (zig("version") if compiler is None else run_tool([compiler, "--version"], timeout=60)).decode(errors="replace")


def _compiler_flags(config: GemminiConfig) -> list[str]:
    native = "-mcpu=native" if _compiler() is None or platform.machine() not in ("x86_64", "AMD64") else "-march=native"
    sizes = rtl_package.values(config)
    wanted = ("BUS_BYTES", "DMA_MAX_BYTES", "MEM_ID_BITS", "RS_ID_BITS")
    return [*COMPILER_FLAGS, native, *(f"-DBACO_{name}={sizes[name]}" for name in wanted)]


@cache
def _version(verilator: Path) -> str:
    return run_tool([str(verilator), "--version"], timeout=60).decode(errors="replace")


@cache
def _root(verilator: Path) -> Path:
    """Where Verilator keeps its headers."""
    root = run_tool([str(verilator), "--getenv", "VERILATOR_ROOT"], timeout=60).decode(errors="replace").strip()
    return Path(root)
