"""The `instgem` dialect: one operation for every Gemmini instruction, made from the instruction table in :mod:`baco.isa`.

A quantity (an operand field of 16 bits or more: addresses, rows, columns, strides, scales) is an `i64` operand, because tiles at the
edge of a tensor know theirs only at run time; a flag (a narrower field) is an attribute. Operations keep the instruction's field names:

    "instgem.mvin"(%dram, %local, %cols, %rows) : (i64, i64, i64, i64) -> ()
    "instgem.config_ld"(%block_stride, %scale, %dram_stride) {shrink = 0 : i64, load_id = 1 : i64, pixel_repeats = 0 : i64} : ...
    "instgem.fence"() : () -> ()

The fence is the base RISC-V instruction: the core waits until every command has finished, so that the host may read the results.
"""

from __future__ import annotations

from typing import Any

from baco import isa
from baco.dialects.mlir import ext, ir

I64 = ir.IntegerType[64]


class InstGem(ext.Dialect, name="instgem"):
    """Gemmini's instructions."""


def is_operand(f: isa.Field) -> bool:
    """Whether an instruction field is a run-time quantity (an operand) rather than a flag (an attribute)."""
    return f.width >= 16 or f.name == "dpad"  # the zeros below a tile depend on where it lies


def _constant(value: ir.Value) -> int | None:
    """The number behind an operand that is a constant."""
    owner = value.owner
    if isinstance(owner, ir.Block) or owner.name != "arith.constant":
        return None
    number = owner.attributes["value"]
    return ir.IntegerAttr(number).value if isinstance(number, ir.IntegerAttr) else None


def _verifier(instruction: isa.Instruction) -> staticmethod:
    """Every flag, and every operand that is a constant, fits its field."""

    def verify_invariants(op: Any) -> bool:
        # MLIR calls this before its own checks, so that an operation may lack any operand or attribute.
        operands = list(op.operands)
        if len(operands) != sum(is_operand(f) for f in instruction.fields):
            op.location.emit_error(
                f"instgem.{instruction.name}: takes {sum(map(is_operand, instruction.fields))} operands, not {len(operands)}"
            )
            return False
        for f in instruction.fields:
            if not is_operand(f) and not (f.name in op.attributes and isinstance(op.attributes[f.name], ir.IntegerAttr)):
                op.location.emit_error(f"instgem.{instruction.name}: the integer attribute {f.name} is missing")
                return False
            value = _constant(operands.pop(0)) if is_operand(f) else ir.IntegerAttr(op.attributes[f.name]).value
            if value is not None and f.width < 64 and not f.minimum <= value <= f.maximum:
                op.location.emit_error(f"instgem.{instruction.name}: {f.name} takes {f.minimum} to {f.maximum}, not {value}")
                return False
        return True

    return staticmethod(verify_invariants)


def _define(instruction: isa.Instruction) -> type:
    annotations = {f.name: ext.Operand[I64] if is_operand(f) else ir.IntegerAttr for f in instruction.fields}
    members = {"__annotations__": annotations, "__doc__": instruction.meaning, "verify_invariants": _verifier(instruction)}
    return type(InstGem.Operation)(instruction.name, (InstGem.Operation,), members, name=instruction.name)


OPERATIONS: dict[str, type] = {i.name: _define(i) for i in isa.INSTRUCTIONS}
"""The operation class of every instruction, by the instruction's name."""


class Fence(InstGem.Operation, name="fence"):
    """Wait until every command before has finished and its writes can be read."""
