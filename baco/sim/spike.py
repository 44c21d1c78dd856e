"""The Spike backend: the same program and arguments on the vendor's instruction set simulator with its Gemmini extension.

Spike takes no arguments but an ELF file, so the guest memory that the loader makes, buffers included, becomes one: a single segment,
with symbols that name the HTIF words and the part of memory to write to a file at the end. It counts nothing, so the counters of a run
are empty. A Spike is built for one array dimension and announces it, so another one is found out; other sizes it does not announce.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from baco.hardware import GemminiConfig
from baco.sim.counters import Counters, Limits, RunResult
from baco.sim.errors import HostFault, LimitReached, ProgramError
from baco.sim.loader import Image, load
from baco.sim.program import Program

VARIABLE = "BACO_SPIKE"
DEFAULT_SECONDS = 600.0
"""How long a run may take that was given no time limit: Spike has no other way to stop an endless program."""
LINE = 64
"""Bytes a line of Spike's memory dump, and the alignment of what is dumped."""
MEBIBYTE = 1 << 20
DRAM_BASE, DRAM_MIB = 0x8000_0000, 2048
"""Spike's memory unless told otherwise."""


def find(dim: int) -> Path:
    """The Spike to run: $BACO_SPIKE, where ``{dim}`` stands for the array dimension, or `spike` on the search path.

    Raises:
        ProgramError: if there is none.
    """
    name = os.environ.get(VARIABLE, "").replace("{dim}", str(dim)) or "spike"
    found = shutil.which(name)
    if found is None:
        raise ProgramError(
            f"Spike was not found as {name!r}; install it with its gemmini extension on the search path, or name it in ${VARIABLE}."
        )
    return Path(found)


def run(program: Program, config: GemminiConfig, arguments: Sequence[object], grid: Sequence[int], limits: Limits) -> RunResult:
    """Run `program` to its end; writable arguments then hold its results. See :func:`baco.sim.run`.

    Only the time limit of `limits` is kept.
    """
    spike = find(config.dim)
    image = load(program, arguments, grid)
    if image.fromhost is None:
        raise ProgramError("the program has no symbol fromhost, without which Spike does not see it end.")
    if not DRAM_BASE <= image.base <= image.base + image.memory.size <= DRAM_BASE + DRAM_MIB * MEBIBYTE:
        raise ProgramError(f"the program takes {image.memory.size} bytes of memory at {image.base:#x}, outside Spike's.")
    # Something is always dumped, because the dump tells that Spike came to an orderly end.
    start = min((address for _, address in image.outputs), default=image.tohost)
    end = max((address + array.nbytes for array, address in image.outputs), default=image.tohost + 1)
    start, end = start // LINE * LINE, -(-end // LINE) * LINE
    symbols = {"tohost": image.tohost, "fromhost": image.fromhost, "begin_signature": start, "end_signature": end}
    with tempfile.TemporaryDirectory(prefix="baco-spike-") as folder:
        elf, dump, root = (Path(folder, name) for name in ("program.elf", "memory", "root"))
        elf.write_bytes(program.elf if image.foreign else elf_file(image, symbols))
        root.mkdir()
        # A program may ask Spike to open files; it finds an empty folder.
        options = [f"+signature={dump}", f"+signature-granularity={LINE}", f"+chroot={root}"]
        done = _execute([str(spike), "--extension=gemmini", *options, str(elf)], limits, folder)
        output = done.stdout.decode(errors="replace")
        built_for = re.search(r"dim = (\d+)", output)
        if built_for and int(built_for[1]) != config.dim:
            raise ProgramError(f"{spike} is built for DIM {built_for[1]}, but the machine has DIM {config.dim}.")
        ended = _said_nothing(done.stderr) if image.foreign else _dumped(dump, start, end)
        if done.returncode < 0 or not ended:
            last = (output + done.stderr.decode(errors="replace")).strip().splitlines()[-1:]
            raise HostFault(f"Spike stopped with status {done.returncode} before the program ended: {''.join(last).strip()}")
        _read(image, dump, start)
    image.copy_back()
    console = re.sub(r"Gemmini extension configured with:\n +dim = \d+\n", "", output, count=1)
    return RunResult(Counters(), done.returncode, console.encode())


def _execute(command: list[str], limits: Limits, folder: str) -> subprocess.CompletedProcess[bytes]:
    seconds = DEFAULT_SECONDS if limits.seconds is None else limits.seconds
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, cwd=folder, check=False)
    except subprocess.TimeoutExpired as error:
        raise LimitReached(f"the program did not end on Spike within {seconds:g} seconds, its time limit.") from error
    except OSError as error:
        raise ProgramError(f"{command[0]} cannot be run: {error.strerror or error}.") from error


def _said_nothing(stderr: bytes) -> bool:
    """Whether Spike has nothing to say but that the program's exit code was not 0."""
    return all(line.startswith(b"*** FAILED ***") for line in stderr.splitlines())


def _dumped(dump: Path, start: int, end: int) -> bool:
    return dump.exists() and dump.stat().st_size == (end - start) // LINE * (2 * LINE + 1)


def _read(image: Image, dump: Path, start: int) -> None:
    """Bring the dumped memory back: lines of hexadecimal digits, the last byte of each first."""
    if not image.outputs:
        return
    data = np.frombuffer(bytes.fromhex(dump.read_text()), np.uint8).reshape(-1, LINE)[:, ::-1]
    at = start - image.base
    image.memory[at : at + data.size] = data.reshape(-1)


def elf_file(image: Image, symbols: Mapping[str, int]) -> bytes:
    """A guest memory as an executable ELF file: one segment, and a symbol table of `symbols` by name and address."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in symbols)
    table = bytes(24) + b"".join(
        struct.pack("<IBBHQQ", names.index(b"\0" + name.encode() + b"\0") + 1, 0x10, 0, 0xFFF1, address, 0)
        for name, address in symbols.items()
    )
    section_names = b"\0.symtab\0.strtab\0.shstrtab\0"
    memory = image.memory.tobytes().rstrip(b"\0")
    data_at = 64 + 56
    table_at = -(-(data_at + len(memory)) // 8) * 8
    names_at = table_at + len(table)
    section_names_at = names_at + len(names)
    sections_at = -(-(section_names_at + len(section_names)) // 8) * 8
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 2, 243, 1, image.entry, 64, sections_at, 0x5, 64, 56, 1, 64, 4, 3)
    segment = struct.pack("<IIQQQQQQ", 1, 7, data_at, image.base, image.base, len(memory), image.memory.size, 1)
    first = section_names.index
    sections = bytes(64) + b"".join(
        struct.pack("<IIQQQQIIQQ", first(name), kind, 0, 0, at, size, link, info, 1, entry)
        for name, kind, at, size, link, info, entry in (
            (b".symtab", 2, table_at, len(table), 2, 1, 24),
            (b".strtab", 3, names_at, len(names), 0, 0, 0),
            (b".shstrtab", 3, section_names_at, len(section_names), 0, 0, 0),
        )
    )
    body = (header + segment + memory).ljust(table_at, b"\0") + table + names + section_names
    return body.ljust(sections_at, b"\0") + sections
