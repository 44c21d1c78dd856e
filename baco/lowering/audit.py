"""What an ELF consists of, before anybody runs it: Gemmini's commands and how many of each, C library functions, memory.

Commands that the instruction table lacks, or that Spike has not, are named with their addresses.
"""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from typing import Any

from baco import isa
from baco.lowering.disassemble import Line, NotAProgram, disassemble
from baco.sim.lines import LineTable

LIBC = frozenset(
    [
        "abort",
        "abs",
        "atoi",
        "calloc",
        "cosf",
        "exit",
        "exp",
        "exp2f",
        "expf",
        "fflush",
        "fputs",
        "free",
        "fwrite",
        "labs",
        "log",
        "log2f",
        "logf",
        "malloc",
        "memchr",
        "memcmp",
        "memcpy",
        "memmove",
        "memset",
        "pow",
        "powf",
        "printf",
        "putchar",
        "puts",
        "qsort",
        "rand",
        "realloc",
        "roundf",
        "sbrk",
        "sinf",
        "snprintf",
        "sprintf",
        "sqrt",
        "sqrtf",
        "srand",
        "sscanf",
        "strcat",
        "strchr",
        "strcmp",
        "strcpy",
        "strlen",
        "strncmp",
        "strncpy",
        "strtol",
        "tanhf",
        "tolower",
        "toupper",
        "vprintf",
        "vsnprintf",
        "write",
        "_sbrk",
        "_write",
    ]
)
"""Functions of the C library that bare-metal programs bring along."""
_HEAP = frozenset(("malloc", "calloc", "realloc", "sbrk", "_sbrk"))
_ALLOCATED, _EXECUTABLE = 2, 4


@dataclass(frozen=True)
class Audit:
    """What was found. Sizes are bytes; `stack` is None where the program does not name its own."""

    commands: dict[str, int]
    unknown: tuple[str, ...]
    """Commands that the instruction table lacks, and words that are no instruction: place and word."""
    not_on_spike: tuple[str, ...]
    """Commands of the hardware's that Spike does not know."""
    libc: tuple[str, ...]
    undefined: tuple[str, ...]
    """Symbols that nothing defines."""
    text: int
    data: int
    bss: int
    stack: int | None
    heap: bool
    """Whether the program allocates memory while it runs."""

    @property
    def clean(self) -> bool:
        """Whether it holds nothing but instructions of the host core and commands of the table, and lacks nothing."""
        return not self.unknown and not self.undefined

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {**asdict(self), "clean": self.clean}


def audit(elf: bytes) -> Audit:
    """Look through an ELF.

    Raises:
        NotAProgram: if the bytes are not a RISC-V ELF.
    """
    lines, table = disassemble(elf), LineTable(elf)
    commands: dict[str, int] = {}
    unknown, foreign = [], []
    for line in lines:
        if line.funct7 is None:
            if line.text is None:
                unknown.append(_place(line, table, f"the word 0x{line.word:0{2 * line.size}x}"))
            continue
        names = [i for i in isa.INSTRUCTIONS if i.funct7 == line.funct7]
        if not names:
            unknown.append(_place(line, table, f"funct7 {line.funct7}"))
            continue
        name = (line.text or "").partition(" ")[0]
        commands[name] = commands.get(name, 0) + 1
        if not names[0].on_spike:
            foreign.append(_place(line, table, name))
    return Audit(dict(sorted(commands.items())), tuple(unknown), tuple(foreign), **_symbols_and_sizes(elf))


def _place(line: Line, table: LineTable, what: str) -> str:
    source = table.find(line.address)
    return f"{line.address:#x}: {what}" + (f" ({source})" if source else "")


def _symbols_and_sizes(elf: bytes) -> dict[str, Any]:
    from elftools.elf.elffile import ELFFile

    try:
        file = ELFFile(io.BytesIO(elf))
        sections = [s for s in file.iter_sections() if s["sh_flags"] & _ALLOCATED]
        table = file.get_section_by_name(".symtab")
        symbols = [] if table is None else [s for s in table.iter_symbols() if s.name]
        defined = {s.name: s["st_value"] for s in symbols if s["st_shndx"] != "SHN_UNDEF"}
        undefined = {s.name for s in symbols if s["st_shndx"] == "SHN_UNDEF" and s["st_info"]["bind"] != "STB_WEAK"}
        sizes = {"text": 0, "data": 0, "bss": 0}
        for s in sections:
            sizes["text" if s["sh_flags"] & _EXECUTABLE else "bss" if s["sh_type"] == "SHT_NOBITS" else "data"] += s["sh_size"]
    except Exception as error:  # pyelftools raises many unrelated types on damaged files
        raise NotAProgram(f"this ELF is damaged: {type(error).__name__}: {error}.") from error
    stack = defined["baco_stack_top"] - defined["baco_stack"] if {"baco_stack", "baco_stack_top"} <= defined.keys() else None
    sizes["bss"] -= stack or 0
    return {
        **sizes,
        "stack": stack,
        "heap": bool(_HEAP & defined.keys()),
        "libc": tuple(sorted(LIBC & defined.keys())),
        "undefined": tuple(sorted(undefined)),
    }
