"""Puts a program and its arguments into guest memory: the ELF image first, then every buffer, with gaps that nobody may touch."""

from __future__ import annotations

import io
import math
import mmap
import numbers
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from baco.sim.accelerator import DramRegion
from baco.sim.errors import ProgramError
from baco.sim.host_costs import TAKEN_CYCLE, TAKEN_FENCE, TAKEN_KIND
from baco.sim.program import Parameter, Program

PAGE = 4096
ALIGNMENT = 64
GAP = PAGE
"""Bytes at least between buffers, which nobody may touch: a stray access lands here instead of in a neighbour."""
GRID_SLOTS = 3
SH_EXECUTABLE = 4
IMAGE_LIMIT = 1 << 30
"""Bytes that an ELF image may span; more is a damaged file."""


@dataclass
class Image:
    """A program in guest memory, ready to run."""

    memory: np.ndarray
    base: int
    code_size: int
    """Bytes from `base` that belong to the ELF image."""
    entry: int
    tohost: int
    regions: list[DramRegion]
    fromhost: int | None = None
    foreign: bool = False
    outputs: list[tuple[np.ndarray, int]] = field(default_factory=list)
    """Writable arrays of the caller and where each lies in guest memory."""
    buffers: list[tuple[int, int]] = field(default_factory=list)
    """Address and bytes of the pages that hold buffers, and no code; what lies between them is nobody's."""
    arguments: list[int | None] = field(default_factory=list)
    """Where each argument's array lies; None for numbers."""
    instance: int | None = None
    """Where the program keeps the program instance that runs, three 64-bit numbers."""
    code: tuple[tuple[int, int], ...] = ()
    """Address and size of what holds instructions."""

    def copy_back(self) -> None:
        """Bring the writable buffers back into the caller's arrays."""
        for array, address in self.outputs:
            start = address - self.base
            array.reshape(-1).view(np.uint8)[:] = self.memory[start : start + array.nbytes]


@dataclass(frozen=True)
class _Segment:
    address: int
    size: int
    data: bytes
    writable: bool
    executable: bool


@dataclass(frozen=True)
class _Elf:
    entry: int
    segments: tuple[_Segment, ...]
    symbols: dict[str, tuple[int, int]]
    """Address and size of each symbol by name."""
    code: tuple[tuple[int, int], ...] = ()
    """Address and size of what holds instructions: sections, or segments where there are none."""


def load(program: Program, arguments: Sequence[object], grid: Sequence[int], limit: int = IMAGE_LIMIT) -> Image:
    """Guest memory, of at most `limit` bytes, with the program, its buffers and its argument slots filled in.

    A buffer lies at the end of its pages, so that running past its end is noticed at once.

    Raises:
        ProgramError: if the ELF is damaged or not what BACO makes, or an argument does not fit its parameter.
    """
    elf = _read_elf(program.elf)
    if len(arguments) != len(program.parameters):
        raise ProgramError(f"the kernel takes {len(program.parameters)} arguments, but {len(arguments)} were given.")
    if not program.parameters and "baco_arguments" not in elf.symbols:
        return _foreign(elf, limit)
    slots = [grid_slots(grid)]
    low = min(s.address for s in elf.segments) // PAGE * PAGE
    code_end = -(-max(s.address + s.size for s in elf.segments) // PAGE) * PAGE
    top = code_end
    buffers: list[tuple[int, int]] = []
    places: list[int | None] = []
    regions = [
        DramRegion(s.address, s.size, s.writable and not s.executable, "the program's data" if s.writable else "the program's code")
        for s in elf.segments
    ]
    placed: list[tuple[Parameter, np.ndarray, int]] = []
    for parameter, argument in zip(program.parameters, arguments, strict=True):
        if parameter.kind == "scalar":
            slots.append(scalar_slot(parameter, argument))
            places.append(None)
            continue
        array = checked_array(parameter, argument)
        address = _shared_address(parameter, array, placed)
        if address is None:
            pages = max(1, -(-array.nbytes // PAGE)) * PAGE
            buffers.append((top + GAP, pages))
            top += GAP + pages
            address = top - -(-array.nbytes // ALIGNMENT) * ALIGNMENT
        regions.append(DramRegion(address, array.nbytes, parameter.writable, f"argument {parameter.name}"))
        placed.append((parameter, array, address))
        places.append(address)
        slots.append(struct.pack("<Q", address))

    size = top - low
    if size > limit:
        raise ProgramError(f"the program and its buffers take {size} bytes of memory; the limit is {limit}.")
    # An anonymous map is zero, aligned to pages and takes memory only where it is touched.
    memory = np.frombuffer(mmap.mmap(-1, size), np.uint8)
    for segment in elf.segments:
        _put(memory, segment.address - low, segment.data)
    for _, array, address in placed:
        _put(memory, address - low, array.reshape(-1).view(np.uint8))
    _put(memory, _slots_address(elf, len(slots) - 1 + GRID_SLOTS) - low, b"".join(slots))
    # Writable regions first: where one array is both an input and an output, a store must find the writable one.
    regions.sort(key=lambda region: not region.writable)
    outputs = [(array, address) for parameter, array, address in placed if parameter.writable]
    image = Image(
        memory, low, code_end - low, elf.entry, _symbol(elf, "tohost", 8), regions, _fromhost(elf), False, outputs, buffers, places
    )
    image.instance = _symbol(elf, "baco_instance", 24) if "baco_instance" in elf.symbols else None
    image.code = elf.code
    return image


def _foreign(elf: _Elf, limit: int) -> Image:
    """A program without arguments and without a place for them: it gets plain memory, all of it for everyone to use."""
    low = min(s.address for s in elf.segments) // PAGE * PAGE
    needed = -(-(max(s.address + s.size for s in elf.segments) - low) // PAGE) * PAGE
    size = limit // PAGE * PAGE
    if needed > size:
        raise ProgramError(f"the program takes {needed} bytes of memory; the limit is {limit}.")
    memory = np.frombuffer(mmap.mmap(-1, size), np.uint8)
    for segment in elf.segments:
        _put(memory, segment.address - low, segment.data)
    regions = [DramRegion(low, size, True, "the program's memory")]
    image = Image(memory, low, size, elf.entry, _symbol(elf, "tohost", 8), regions, _fromhost(elf), True)
    image.code = elf.code
    return image


CYCLES = (0xB00, 0xC00, 0xC01)
"""The control registers mcycle, cycle and time."""
RETIRED = (0xB02, 0xC02)
"""minstret and instret."""


def take_instructions(image: Image, *, fences: bool = False) -> np.ndarray:
    """Find the instructions that read a clock (csrrs rd, clock, x0), and the fences if asked to, and make them illegal, with their rd and
    what they were still in them; their addresses, rising.

    For the emulator, whose own clocks are the host's, different in every run; an illegal instruction comes to the simulator instead.
    """
    found, memory = [], image.memory
    for address, size in image.code:
        at, end = address - image.base, address - image.base + size
        if not _may_hold_some(memory[at:end], fences):
            continue
        while at + 4 <= end:
            word = int.from_bytes(memory[at : at + 4].tobytes(), "little")
            kind = _kind(word, fences)
            if kind is not None:
                found.append(image.base + at)
                _put(memory, at, (kind << TAKEN_KIND | word & 0xF80 | 0x5B).to_bytes(4, "little"))
            at += 4 if word & 3 == 3 else 2
    return np.array(sorted(found), np.uint64)


def _kind(word: int, fences: bool) -> int | None:
    """What an instruction is taken out as; None if it is left."""
    if fences and word & 0x707F == 0x000F:
        return TAKEN_FENCE
    if word & 0xFF07F != 0x02073 or word >> 20 not in CYCLES + RETIRED:
        return None
    return TAKEN_CYCLE if word >> 20 in CYCLES else 0


def _may_hold_some(code: np.ndarray, fences: bool) -> bool:
    """Whether any four bytes look like an instruction to be taken out: most programs have none, and need not be gone through."""
    halves = code[: code.size // 2 * 2].view(np.uint16).astype(np.uint32)
    words = halves[:-1] | halves[1:] << 16
    clocks = (words & 0xFF07F == 0x02073) & np.isin(words >> 20, CYCLES + RETIRED)
    return bool(np.any(clocks) or (fences and np.any(words & 0x707F == 0x000F)))


def _fromhost(elf: _Elf) -> int | None:
    return _symbol(elf, "fromhost", 8) if "fromhost" in elf.symbols else None


def _put(memory: np.ndarray, at: int, data: bytes | np.ndarray) -> None:
    memory[at : at + len(data)] = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data


def _read_elf(data: bytes) -> _Elf:
    from elftools.elf.elffile import ELFFile

    try:
        file = ELFFile(io.BytesIO(data))
        machine, kind, entry = file["e_machine"], file["e_type"], file["e_entry"]
        loadable = [s for s in file.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_memsz"] > 0]
        segments = tuple(_segment(s) for s in loadable)
        sizes = [s["p_filesz"] for s in loadable]
        table = file.get_section_by_name(".symtab")
        symbols = {} if table is None else {s.name: (s["st_value"], s["st_size"]) for s in table.iter_symbols()}
        code = [(s["sh_addr"], s["sh_size"]) for s in file.iter_sections() if s["sh_flags"] & SH_EXECUTABLE]
    except Exception as error:  # pyelftools raises many unrelated types on damaged files
        raise ProgramError(f"the program is not a readable ELF file: {error or type(error).__name__}.") from error
    if machine != "EM_RISCV" or file.elfclass != 64 or not file.little_endian:
        raise ProgramError(f"the program is an ELF file for {machine}, {file.elfclass} bits; a 64-bit RISC-V one is needed.")
    if kind != "ET_EXEC":
        raise ProgramError(f"the program is an ELF file of type {kind}; a statically linked executable (ET_EXEC) is needed.")
    for segment, size in zip(segments, sizes, strict=True):
        if len(segment.data) != size or size > segment.size:
            raise ProgramError(f"the program is a damaged ELF file: the segment at {segment.address:#x} is cut short.")
    if not any(s.executable and s.address <= entry < s.address + s.size for s in segments):
        raise ProgramError(f"the program's entry point {entry:#x} is in no executable segment.")
    span = max(s.address + s.size for s in segments) - min(s.address for s in segments)
    if span > IMAGE_LIMIT or max(s.address + s.size for s in segments) > 1 << 48:
        raise ProgramError(f"the program spans {span} bytes of memory; at most {IMAGE_LIMIT} below 2^48 are supported.")
    inside = [(at, n) for at, n in code if any(s.address <= at and at + n <= s.address + s.size for s in segments)]
    return _Elf(entry, segments, symbols, tuple(inside or ((s.address, len(s.data)) for s in segments if s.executable)))


def _segment(segment: Any) -> _Segment:
    flags = segment["p_flags"] & 7 or 7  # a linker script that says nothing about permissions means all of them
    return _Segment(segment["p_vaddr"], segment["p_memsz"], segment.data(), bool(flags & 2), bool(flags & 1))


def _symbol(elf: _Elf, name: str, size: int) -> int:
    """The address of a symbol whose `size` bytes lie in a writable segment."""
    if name not in elf.symbols:
        raise ProgramError(f"the program has no symbol {name}; it was not linked as BACO links its programs.")
    address = elf.symbols[name][0]
    if not any(s.writable and s.address <= address and address + size <= s.address + s.size for s in elf.segments):
        raise ProgramError(f"the {size} bytes of symbol {name} at {address:#x} are not in a writable segment of the program.")
    return address


def _slots_address(elf: _Elf, count: int) -> int:
    address = _symbol(elf, "baco_arguments", 8 * count)
    room = elf.symbols["baco_arguments"][1]
    if room and room < 8 * count:
        raise ProgramError(f"the program has room for {room // 8} argument slots in baco_arguments, but {count} are needed.")
    return address


def grid_slots(grid: Sequence[int]) -> bytes:
    """The three sizes of a grid as the program's first slots.

    Raises:
        ProgramError: for a grid that cannot be launched.
    """
    if not 1 <= len(grid) <= GRID_SLOTS:
        raise ProgramError(f"the grid has {len(grid)} dimensions; 1 to {GRID_SLOTS} are allowed.")
    for size in grid:
        if not isinstance(size, numbers.Integral) or not 1 <= size < 1 << 31:
            raise ProgramError(f"the grid is {tuple(grid)}; each size must be a whole number from 1 to 2147483647.")
    return struct.pack("<3q", *grid, *[1] * (GRID_SLOTS - len(grid)))


def scalar_slot(parameter: Parameter, value: object) -> bytes:
    """A scalar argument as its 8-byte slot.

    Raises:
        ProgramError: if it does not fit its parameter.
    """
    dtype = np.dtype(parameter.dtype)
    if dtype.kind == "f":
        if not isinstance(value, numbers.Real):
            raise ProgramError(f"argument {parameter.name} must be a number, but is {type(value).__name__}.")
        with np.errstate(over="ignore"):
            converted = np.asarray(float(value)).astype(dtype)
        if np.isinf(converted) and math.isfinite(value):
            raise ProgramError(f"argument {parameter.name} is {value}, which does not fit {parameter.dtype}.")
        return converted.tobytes().ljust(8, b"\0")
    if not isinstance(value, numbers.Integral):
        raise ProgramError(f"argument {parameter.name} must be a whole number, but is {type(value).__name__}.")
    limits = np.iinfo(dtype)
    if not limits.min <= value <= limits.max:
        raise ProgramError(f"argument {parameter.name} is {value}; {parameter.dtype} holds {limits.min} to {limits.max}.")
    return struct.pack("<q" if dtype.kind == "i" else "<Q", int(value))


def checked_array(parameter: Parameter, array: object) -> np.ndarray:
    """An argument as the array that its parameter takes.

    Raises:
        ProgramError: if it is none.
    """
    name = f"argument {parameter.name}"
    if not isinstance(array, np.ndarray):
        raise ProgramError(f"{name} must be a NumPy array, but is {type(array).__name__}.")
    if array.dtype != np.dtype(parameter.dtype):
        raise ProgramError(f"{name} must be an array of {parameter.dtype}, but is of {array.dtype}.")
    if not array.flags.c_contiguous:
        raise ProgramError(f"{name} must be C-contiguous; pass numpy.ascontiguousarray of it.")
    if parameter.writable and not array.flags.writeable:
        raise ProgramError(f"{name} is written by the kernel, but the array is read-only.")
    return array


def _shared_address(parameter: Parameter, array: np.ndarray, placed: list[tuple[Parameter, np.ndarray, int]]) -> int | None:
    """Where the same memory was already put for another argument; None if it was not.

    Two arguments that overlap only in part could not both be brought back, so that is refused where one of them is written.
    """
    start, end = array.ctypes.data, array.ctypes.data + array.nbytes
    for other_parameter, other, address in placed:
        other_start = other.ctypes.data
        if array.nbytes == 0 or other.nbytes == 0 or start >= other_start + other.nbytes or end <= other_start:
            continue
        if start == other_start and array.nbytes == other.nbytes:
            return address
        if parameter.writable or other_parameter.writable:
            raise ProgramError(
                f"arguments {other_parameter.name} and {parameter.name} overlap in memory and one is written; "
                "pass the same array for both, or a copy."
            )
    return None
