"""A listing of an ELF that names Gemmini's instructions, and an audit of which of them it contains.

Host instructions are decoded by capstone; it does not know custom-3, so RoCC words are named here from the instruction table. Where the
code itself fixes what is in the registers, the fields are shown:

    0x8000017a:  0c15b07b  preload a1, a3  # bd=scratchpad[16], bd_cols=16, bd_rows=16, c=accumulator[0], c_cols=16, c_rows=16
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace

from baco import isa
from baco.lowering.errors import CompilationError
from baco.lowering.register_values import HostInstruction, known_registers

_REGISTERS = (
    *("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5"),
    *("a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"),
)


class NotAProgram(CompilationError):
    """Bytes that are not a RISC-V ELF."""


@dataclass(frozen=True)
class Line:
    """One instruction. `funct7` is set for RoCC instructions only; `text` is None for a word that is no instruction.

    `fields` are a RoCC instruction's field values, as far as the code fixes them.
    """

    address: int
    word: int
    size: int
    text: str | None
    funct7: int | None = None
    fields: str = ""

    def __str__(self) -> str:
        comment = f"  # {self.fields}" if self.fields else ""
        return f"{self.address:#010x}:  {self.word:0{2 * self.size}x}  {self.text or '.word'}{comment}"


def disassemble(elf: bytes) -> list[Line]:
    """Every instruction of the executable sections.

    Raises:
        NotAProgram: if the bytes are not a RISC-V ELF.
    """
    return [line for address, code in _code(elf) for line in _with_fields(list(_lines(address, code)))]


def rocc_functs(elf: bytes) -> dict[int, int]:
    """How often each RoCC funct7 occurs in a program's text."""
    counts: dict[int, int] = {}
    for line in disassemble(elf):
        if line.funct7 is not None:
            counts[line.funct7] = counts.get(line.funct7, 0) + 1
    return dict(sorted(counts.items()))


def _code(elf: bytes) -> Iterator[tuple[int, bytes]]:
    from elftools.common.exceptions import ELFError
    from elftools.construct import ConstructError
    from elftools.elf.constants import SH_FLAGS
    from elftools.elf.elffile import ELFFile

    try:
        file = ELFFile(io.BytesIO(elf))
        if file["e_machine"] != "EM_RISCV":
            raise NotAProgram(f"this is an ELF for {file['e_machine']}, not for RISC-V.")
        for section in file.iter_sections():
            if section["sh_flags"] & SH_FLAGS.SHF_EXECINSTR:
                yield section["sh_addr"], section.data()
    except (ELFError, ConstructError) as error:
        raise NotAProgram(f"this is not an ELF: {error}.") from None
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError, AssertionError, MemoryError) as error:
        raise NotAProgram(f"this ELF is damaged: {type(error).__name__}: {error}.") from None


def _lines(address: int, code: bytes) -> Iterator[Line]:
    import capstone

    decoder = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV64 | capstone.CS_MODE_RISCVC)
    at = 0
    while at < len(code):
        size = 4 if code[at] & 3 == 3 else 2
        word = int.from_bytes(code[at : at + size], "little")
        if size == 4 and word & 0x7F == isa.OPCODE:
            yield Line(address + at, word, size, _rocc_text(word), word >> 25)
        else:
            found = next(decoder.disasm(code[at : at + size], address + at, 1), None)
            yield Line(address + at, word, size, f"{found.mnemonic} {found.op_str}".rstrip() if found else None)
        at += size


def _with_fields(lines: list[Line]) -> Iterator[Line]:
    """The same lines; RoCC instructions whose registers are known also with their fields."""
    host = [HostInstruction(x.address, x.size, "" if x.text is None or x.funct7 is not None else x.text) for x in lines]
    known = known_registers(host) if any(line.funct7 is not None for line in lines) else {}
    for line in lines:
        if line.funct7 is None:
            yield line
            continue
        registers = {"zero": 0, **known.get(line.address, {})}
        rs1, rs2 = (registers.get(_REGISTERS[line.word >> low & 31]) for low in (15, 20))
        instruction = isa.find(line.funct7, rs1)
        if instruction is None:
            yield line
            continue
        values = {1: rs1, 2: rs2}
        fields = ", ".join(isa.show_field(f, f.extract(values[f.register])) for f in instruction.fields if values[f.register] is not None)
        operands = line.text.partition(" ")[2]
        yield replace(line, text=f"{instruction.name} {operands}", fields=fields)


def _rocc_text(word: int) -> str:
    """The instruction's name and source registers; the config commands share a funct7 and differ only in what rs1 holds."""
    funct7 = word >> 25
    names = [i.name for i in isa.INSTRUCTIONS if i.funct7 == funct7]
    name = "config" if funct7 == 0 else names[0] if names else f"custom3.{funct7}"
    return f"{name} {_REGISTERS[word >> 15 & 31]}, {_REGISTERS[word >> 20 & 31]}"
