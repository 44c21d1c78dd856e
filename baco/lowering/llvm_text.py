"""LLVM IR as text that both sides read: the MLIR bindings print it as LLVM 24 does, and those who compile it carry LLVM 22.

The two differ in how they write floating-point constants. LLVM 24 writes the shortest decimal, infinities by name and the rest as their
own bits; LLVM 22 takes a decimal only if it is exact, and otherwise the bits of the number as a double, also for a float:

    LLVM 24                      LLVM 22
    float 1.000000e-01           float 0x3FB99999A0000000
    float -inf                   float 0xFFF0000000000000
    float f0x7F7FFFFF            float 0x47EFFFFFE0000000
"""

from __future__ import annotations

import math
import re
import struct

from baco.dialects.mlir import context, ir, llvm
from baco.lowering.errors import PassFailure, SourceLocation

_LINE = re.compile(r"^.*\b(?:float|double)\b.*$", re.MULTILINE)
_TOKEN = re.compile(
    r'"[^"]*"'  # text, where nothing is a number
    r"|\b(?P<type>float|double)\b"
    r"|(?<![\w.%@$!-])(?P<number>-?\d+\.\d+e[+-]\d+|[+-](?:inf|qnan)|f0x[0-9A-F]+)\b"
)
_FORMAT = {"float": ">f", "double": ">d"}


def is_llvm(module: ir.Module) -> bool:
    """Whether a module is in the llvm dialect."""
    return _foreign(module) is None


def translate(module: ir.Module) -> str:
    """The LLVM IR of a module in the llvm dialect.

    Raises:
        PassFailure: if an operation is of another dialect, which MLIR's translation would not survive.
    """
    foreign = _foreign(module)
    if foreign is not None:
        raise PassFailure(f"{foreign.name} cannot become LLVM IR: it is not in the llvm dialect.", SourceLocation.of(foreign.location))
    with context():
        return _LINE.sub(_rewrite_line, llvm.translate_module_to_llvmir(module.operation))


def _foreign(module: ir.Module) -> ir.Operation | None:
    """The first operation inside a module that is not in the llvm dialect."""
    found: list[ir.Operation] = []

    def look(op: ir.Operation) -> ir.WalkResult:
        if op.name.startswith("llvm.") or op == module.operation:
            return ir.WalkResult.ADVANCE
        found.append(op)
        return ir.WalkResult.INTERRUPT

    module.operation.walk(look)
    return found[0] if found else None


def _rewrite_line(line: re.Match[str]) -> str:
    """Write the numbers of a line as LLVM 22 reads them. A number has the type named last before it."""
    format_ = ""

    def rewrite(token: re.Match[str]) -> str:
        nonlocal format_
        if token["type"]:
            format_ = _FORMAT[token["type"]]
        if not token["number"] or not format_:
            return token[0]
        return f"0x{struct.pack('>d', _value(token['number'], format_)).hex().upper()}"

    return _TOKEN.sub(rewrite, line[0])


def _value(number: str, format_: str) -> float:
    """The number that LLVM 24 means, rounded to its type."""
    if number.startswith("f0x"):
        return struct.unpack(format_, bytes.fromhex(number[3:]))[0]
    if number.endswith("qnan"):
        return math.copysign(math.nan, float(f"{number[0]}1"))
    return struct.unpack(format_, struct.pack(format_, float(number)))[0]
