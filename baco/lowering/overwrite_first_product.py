"""overwrite-first-product: let the first product of a sum replace what is in the accumulator, instead of filling it with zeros before.

Before:
    linalg.fill ins(%c0_i32) outs(%c : memref<64x64xi32>)
    scf.for %i = %from to %to step %by {
      linalg.matmul ins(%a, %b) outs(%c) }

After:
    scf.if (%to <= %from) { linalg.fill ins(%c0_i32) outs(%c) }        // gone where the loop is known to run
    scf.for %i = %from to %to step %by {
      scf.if (%i == %from) { linalg.matmul {baco.overwrite} ins(%a, %b) outs(%c) }
      else                 { linalg.matmul ins(%a, %b) outs(%c) } }

Zeros come to the accumulator by an mvin for every DIM x DIM tile, and the first product then reads them back to add to them; an
accumulator write without the accumulate bit costs nothing (GEMMINI_ISA.md section 4). The fill is dropped only where a product of the
whole block is the first to touch the block after it; through any number of loops, whose first iterations it must be in.
"""

from __future__ import annotations

from dataclasses import dataclass

from baco.dialects.mlir import arith, ir, scf
from baco.lowering.block_loads import body_of, nested, surely_runs
from baco.lowering.passes import kernel_of, operations, register
from baco.lowering.rebuild import known
from baco.lowering.tile_to_dim import HOST, OVERWRITE, root


@dataclass(frozen=True)
class _Path:
    """Where the first product is: the loops around it, from the fill inwards, and itself."""

    loops: list[ir.OpView]
    product: ir.OpView


@register("overwrite-first-product")
def run(module: ir.Module) -> None:
    """Rewrite the module's kernel."""
    for op in list(operations(kernel_of(module).entry_block)):
        if op.operation.name == "linalg.fill" and HOST not in op.operation.attributes:
            value, block = op.operation.operands
            accumulator = not isinstance(block.owner, ir.Block) and block.owner.name == "memref.alloc" and str(value.type) == "i32"
            path = _first_product(_after(op), block) if accumulator and known(value) == 0 else None
            if path:
                _replace(op, path)


def _after(op: ir.OpView) -> list[ir.OpView]:
    following = list(op.operation.block.operations)
    return following[[o.operation for o in following].index(op.operation) + 1 :]


def _first_product(following: list[ir.OpView], block: ir.Value) -> _Path | None:
    """The product that is sure to be the first to touch a block, if there is one."""
    for op in following:
        if not any(root(v) == block for inner in nested(op.operation) for v in inner.operands if isinstance(v.type, ir.MemRefType)):
            continue
        if op.operation.name == "linalg.matmul" and HOST not in op.operation.attributes:
            return _Path([], op) if op.operation.operands[2] == block else None
        if op.operation.name == "scf.for":
            inside = _first_product(list(body_of(op).operations), block)
            return inside and _Path([op, *inside.loops], inside.product)
        return None
    return None


def _replace(fill: ir.OpView, path: _Path) -> None:
    first = None
    for loop in path.loops:
        lower, upper = list(loop.operation.operands)[:2]
        # The loop's first iteration is the first of all if it is so for every loop around it.
        with ir.InsertionPoint(loop), loop.location:
            empty = None if surely_runs(lower, upper) else arith.CmpIOp(arith.CmpIPredicate.sle, upper, lower).result
            if empty is not None:
                guard = empty if first is None else arith.AndIOp(first, empty).result
                branch = scf.IfOp(guard)
                with ir.InsertionPoint(branch.then_block):
                    fill.operation.clone(ip=ir.InsertionPoint.current)
                    scf.YieldOp([])
        with ir.InsertionPoint.at_block_begin(body_of(loop)), loop.location:
            here = arith.CmpIOp(arith.CmpIPredicate.eq, body_of(loop).arguments[0], lower).result
            first = here if first is None else arith.AndIOp(first, here).result
    product = path.product
    if first is None:
        product.operation.attributes[OVERWRITE] = ir.UnitAttr.get()
    else:
        with ir.InsertionPoint(product), product.location:
            branch = scf.IfOp(first, has_else=True)
            with ir.InsertionPoint(branch.then_block):
                copy = product.operation.clone(ip=ir.InsertionPoint.current)
                copy.attributes[OVERWRITE] = ir.UnitAttr.get()
                last = scf.YieldOp([])
            with ir.InsertionPoint(branch.else_block):
                last = scf.YieldOp([])
            product.operation.move_before(last.operation)
    fill.operation.erase()
