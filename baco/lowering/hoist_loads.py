"""hoist-loads: load a block once before a loop when every iteration would load the same.

Before:
    scf.for %i = %from to %to step %by {
      %a = memref.alloc() : memref<64x64xi8>
      memref.copy (%x at %at), %a                       // %at comes from outside the loop
      linalg.matmul ins(%a, %b) outs(%c) }

After:
    %a = memref.alloc() : memref<64x64xi8>
    scf.if %from < %to { memref.copy (%x at %at), %a }  // without the condition where the loop is known to run
    scf.for %i = %from to %to step %by {
      linalg.matmul ins(%a, %b) outs(%c) }

Blocks keep their rows all through a kernel, so that the block costs no more rows than before. It stays where it is if something in the
loop changes it or the array it comes from, or the host core works in the loop. Loops are treated from the inside out, so that a block
leaves as many as it can.
"""

from __future__ import annotations

from baco.dialects.mlir import arith, ir, scf
from baco.lowering.block_loads import BlockLoad, CannotMove, block_load, body_of, clone_slice, is_changed, loaded_blocks, surely_runs
from baco.lowering.iterations_ahead import loops_inside_out
from baco.lowering.passes import kernel_of, register


@register("hoist-loads")
def run(module: ir.Module) -> None:
    """Rewrite the loops of the module's kernel."""
    for loop in list(loops_inside_out(kernel_of(module).entry_block)):
        for alloc, steps in list(loaded_blocks(body_of(loop))):
            try:
                load = block_load(loop, alloc, steps)
            except CannotMove:
                continue
            if not load.slice.varies and not is_changed(alloc.result, steps):
                _hoist(loop, load)


def _hoist(loop: ir.OpView, load: BlockLoad) -> None:
    load.alloc.operation.move_before(loop.operation)
    lower, upper = list(loop.operation.operands)[:2]
    with ir.InsertionPoint(loop), loop.location:
        if surely_runs(lower, upper):
            clone_slice(load, {}, load.alloc.result)
        else:
            branch = scf.IfOp(arith.CmpIOp(arith.CmpIPredicate.slt, lower, upper).result)
            with ir.InsertionPoint(branch.then_block):
                clone_slice(load, {}, load.alloc.result)
                scf.YieldOp([])
    for step in load.steps:
        step.erase()
