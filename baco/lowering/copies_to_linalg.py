"""copies-to-linalg: turn each copy between buffers into a linalg operation, so that it becomes loops like everything else.

Before:
    memref.copy %a, %b : memref<?x?xi8, strided<[?, 1], offset: ?>> to memref<?x?xi8, strided<[32, 1]>>

After:
    linalg.copy ins(%a : memref<?x?xi8, strided<[?, 1], offset: ?>>) outs(%b : memref<?x?xi8, strided<[32, 1]>>)

MLIR lowers a strided memref.copy to a call of its own runtime library, which is not in the wheel.
"""

from __future__ import annotations

from baco.dialects.mlir import ir, linalg
from baco.lowering.passes import check_buffers, operations_named, register


@register("copies-to-linalg")
def run(module: ir.Module) -> None:
    """Replace every memref.copy of the module."""
    copies = operations_named(module, "memref.copy")
    check_buffers(copies)
    for op in copies:
        source, target = op.operands
        with ir.InsertionPoint(op), op.location:
            linalg.copy(source, outs=[target])
        op.erase()
