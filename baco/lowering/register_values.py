"""Which registers of a RISC-V program hold known numbers at each instruction, found by following constants along its control flow.

The operands of a Gemmini instruction are two registers, built by `lui`, `addi`, `slli` and `or` long before; this tells what is in them, so
that a listing can show fields instead of register names. Where two ways meet, a value that differs between them is unknown; a call leaves
the registers that the calling convention preserves. Code with a computed jump is followed inside straight stretches only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Registers = Mapping[str, int]
"""The registers whose values are known, as 64-bit patterns."""

_MASK = (1 << 64) - 1
_PRESERVED = frozenset({"sp", "gp", "tp", *(f"s{i}" for i in range(12))})
_NO_RESULT = re.compile(r"(sb|sh|sw|sd|fsw|fsd|swsp|sdsp|fswsp|fsdsp|fence.*|nop|ecall|ebreak|unimp|wfi|mret)")
_BRANCH = re.compile(r"b(eq|ne|lt|ge|ltu|geu)z?|b(le|gt)z")
_JUMPS = ("j", "jal", "jr", "jalr", "ret")


@dataclass(frozen=True)
class HostInstruction:
    """One instruction as capstone names it, compressed or not; `text` is empty for what is no host instruction."""

    address: int
    size: int
    text: str

    @property
    def mnemonic(self) -> str:
        return self.text.partition(" ")[0].removeprefix("c.")

    @property
    def operands(self) -> list[str]:
        return [o.strip() for o in self.text.partition(" ")[2].split(",")] if " " in self.text else []


def known_registers(code: Sequence[HostInstruction]) -> dict[int, Registers]:
    """The known registers before each instruction, by its address."""
    places = {c.address: i for i, c in enumerate(code)}
    following = [_following(c, places) for c in code]
    if any(f is None for f in following):  # a computed jump may lead anywhere
        following = [f and tuple(a for a in f if a == c.address + c.size) for f, c in zip(following, code, strict=True)]
        starts = {a for c in code for a in _targets(c)} | {c.address + c.size for c in code if c.mnemonic in _JUMPS}
    else:
        arrived = {a for f in following for a in f}
        starts = {c.address for c in code if c.address not in arrived} | {a for c in code if _is_call(c) for a in _targets(c)}
    before: dict[int, Registers] = {a: {} for a in starts if a in places}
    if code:
        before[code[0].address] = {}
    waiting = list(before)
    while waiting:
        address = waiting.pop()
        instruction = code[places[address]]
        after = _after(instruction, before[address])
        for target in following[places[address]] or ():
            if target not in places or target in starts:
                continue
            old = before.get(target)
            new = after if old is None else {r: v for r, v in old.items() if after.get(r) == v}
            if new != old:
                before[target] = new
                waiting.append(target)
    return before


def _is_call(c: HostInstruction) -> bool:
    return c.mnemonic in ("jal", "jalr") and c.operands[:1] != ["zero"]


def _targets(c: HostInstruction) -> list[int]:
    """Where a direct branch, jump or call leads; capstone writes the distance."""
    if not (_BRANCH.fullmatch(c.mnemonic) or c.mnemonic in ("j", "jal")):
        return []
    distance = _number(c.operands[-1])
    return [] if distance is None else [c.address + distance]


def _following(c: HostInstruction, places: Mapping[int, int]) -> tuple[int, ...] | None:
    """The instructions that may come next in this function; None if that is computed."""
    onwards = c.address + c.size
    if _BRANCH.fullmatch(c.mnemonic):
        return (*_targets(c), onwards)
    if _is_call(c):
        return (onwards,)
    if c.mnemonic in ("j", "jal"):
        return tuple(_targets(c))
    if c.mnemonic in ("ret", "mret") or (c.mnemonic in ("jr", "jalr") and "ra" in c.operands):
        return ()
    if c.mnemonic in ("jr", "jalr"):
        return None
    return (onwards,)


def _after(c: HostInstruction, before: Registers) -> Registers:
    """The known registers after an instruction."""
    if not c.text or _NO_RESULT.fullmatch(c.mnemonic) or _BRANCH.fullmatch(c.mnemonic) or c.mnemonic in ("j", "jr", "ret"):
        return before
    if _is_call(c):
        return {r: v for r, v in before.items() if r in _PRESERVED}
    result = c.operands[0] if c.operands else ""
    after = {r: v for r, v in before.items() if r != result}
    value = _value(c, before)
    if value is not None and result != "zero":
        after[result] = value & _MASK
    return after


def _value(c: HostInstruction, before: Registers) -> int | None:
    """What an instruction computes from known registers."""
    compute = _COMPUTE.get(c.mnemonic)
    if compute is None:
        return None
    sources = c.operands[1:]
    if c.text.startswith("c.") and c.mnemonic not in ("mv", "li", "lui"):
        sources = sources if len(sources) == 2 else c.operands  # the short forms read the register that they write
    values = [0 if s == "zero" else before[s] if s in before else _number(s) for s in sources]
    if c.mnemonic == "auipc":
        values.append(c.address)
    try:
        return None if None in values else compute(*values)
    except TypeError:  # a form that the table does not know
        return None


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def _signed(value: int, bits: int = 64) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _word(operation: Callable[[int, int], int]) -> Callable[[int, int], int]:
    """The form of an operation that keeps 32 bits and extends their sign."""
    return lambda a, b: _signed(operation(a, b), 32)


_COMPUTE: Mapping[str, Callable[..., int]] = {
    "li": lambda a: a,
    "mv": lambda a: a,
    "lui": lambda a: _signed(a << 12, 32),
    "auipc": lambda a, pc: pc + _signed(a << 12, 32),
    "not": lambda a: ~a,
    "neg": lambda a: -a,
    "sext.w": lambda a: _signed(a, 32),
    "seqz": lambda a: int(a == 0),
    "snez": lambda a: int(a != 0),
    **dict.fromkeys(("add", "addi", "addi16sp"), lambda a, b: a + b),
    **dict.fromkeys(("addw", "addiw"), _word(lambda a, b: a + b)),
    "sub": lambda a, b: a - b,
    "subw": _word(lambda a, b: a - b),
    "mul": lambda a, b: a * b,
    **dict.fromkeys(("and", "andi"), lambda a, b: a & b),
    **dict.fromkeys(("or", "ori"), lambda a, b: a | b),
    **dict.fromkeys(("xor", "xori"), lambda a, b: a ^ b),
    **dict.fromkeys(("sll", "slli"), lambda a, b: a << (b & 63)),
    **dict.fromkeys(("sllw", "slliw"), _word(lambda a, b: a << (b & 31))),
    **dict.fromkeys(("srl", "srli"), lambda a, b: (a & _MASK) >> (b & 63)),
    **dict.fromkeys(("sra", "srai"), lambda a, b: _signed(a) >> (b & 63)),
    **dict.fromkeys(("slt", "slti"), lambda a, b: int(_signed(a) < _signed(b))),
    **dict.fromkeys(("sltu", "sltiu"), lambda a, b: int((a & _MASK) < (b & _MASK))),
}
