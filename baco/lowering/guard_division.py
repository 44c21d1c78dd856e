"""guard-division: give integer division by zero, and the one that overflows, the results that RISC-V gives them.

Before:
    %q = arith.divsi %a, %b : i64

After:
    %zero = arith.cmpi eq, %b, %c0
    %over = arith.andi (arith.cmpi eq, %b, %c-1), (arith.cmpi eq, %a, %min)
    %safe = arith.select (arith.ori %zero, %over), %c1, %b
    %d = arith.divsi %a, %safe : i64
    %q = arith.select %zero, %c-1, %d : i64           // for a remainder: arith.select %zero, %a, %d

Other processors trap there, which would end the process that called the kernel.
"""

from __future__ import annotations

from baco.dialects.mlir import arith, ir
from baco.lowering.errors import CompilationError
from baco.lowering.passes import location_of, operations_named, register
from baco.lowering.rebuild import constant, known

_DIVISIONS = {"arith.divsi": arith.DivSIOp, "arith.divui": arith.DivUIOp, "arith.remsi": arith.RemSIOp, "arith.remui": arith.RemUIOp}


@register("guard-division")
def run(module: ir.Module) -> None:
    """Guard every scalar division of the module whose divisor is not known to be harmless."""
    for op in operations_named(module, *_DIVISIONS):
        if isinstance(op.result.type, ir.ShapedType):
            reason = f"{op.name} divides {op.result.type}, and only numbers are guarded"
            remedy = "run convert-elementwise-to-linalg and convert-linalg-to-loops before this"
            raise CompilationError(f"{reason}; {remedy}.", location_of(op))
        if known(op.operands[1]) in (None, 0, -1):
            with ir.InsertionPoint(op), op.location:
                op.result.replace_all_uses_with(_guarded(op))
            op.erase()


def _guarded(op: ir.Operation) -> ir.Value:
    """The result of a division that does not trap."""
    dividend, divisor = op.operands
    type_ = op.result.type
    zero = _equal(divisor, 0)
    unsafe = zero
    if op.name in ("arith.divsi", "arith.remsi"):
        width = 64 if isinstance(type_, ir.IndexType) else ir.IntegerType(type_).width
        overflows = arith.AndIOp(_equal(divisor, -1), _equal(dividend, -(1 << width - 1))).result
        unsafe = arith.OrIOp(zero, overflows).result
    result = _DIVISIONS[op.name](dividend, arith.SelectOp(unsafe, constant(1, type_), divisor).result).result
    by_zero = constant(-1, type_) if op.name in ("arith.divsi", "arith.divui") else dividend
    return arith.SelectOp(zero, by_zero, result).result


def _equal(value: ir.Value, number: int) -> ir.Value:
    return arith.CmpIOp(arith.CmpIPredicate.eq, value, constant(number, value.type)).result
