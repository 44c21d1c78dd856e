"""alternate-accumulators: compute the next block of results in other rows while the one before is stored.

Before, with ``baco.num_stages`` of 2 or more:
    scf.for %j = ... {
      %c = memref.alloc() : memref<64x64xi32>
      scf.for %k = ... { linalg.matmul ins(...) outs(%c) }
      memref.copy %c, (%y at %j) }

After:
    %halves = memref.alloc() {baco.slots = 2 : i64} : memref<2x64x64xi32>
    scf.for %j = ... iter_args(%half = 0) {
      %c = %halves[%half]
      scf.for %k = ... { linalg.matmul ins(...) outs(%c) }
      memref.copy %c, (%y at %j)
      scf.yield (%half + 1 or 0) }

Products that overwrite an accumulator block wait until the block that was there has been stored, since the reservation station orders
commands by the private rows that they touch (GEMMINI_UARCH.md). With two places the store queue works on one while the array fills the
other: the outermost level of a pipeline whose inner ones are those of :mod:`baco.lowering.pipeline_loads`. A loop around a loop goes on
with the half at which the last one ended. A block that no loop makes alternates from one program instance to the next, by whether the
sum of their numbers is odd. Only rows change, so that results and words moved stay the same.

A block that is pooled on its way out keeps its place. So does one, and a remark says why, where the host core works in the loop, where the
loop waits for its own stores, or where the accumulator has no room for two.
"""

from __future__ import annotations

from itertools import groupby

from baco.dialects.mlir import arith, ir
from baco.lowering.block_loads import CannotMove, body_of, check_order, nested, users
from baco.lowering.blocks_to_linalg import MAX_POOL, REQUANTISE
from baco.lowering.iterations_ahead import carry_through, hand_on
from baco.lowering.passes import get_hardware, kernel_of, location_of, register
from baco.lowering.pipeline_loads import get_num_stages
from baco.lowering.place_in_memories import ACCUMULATOR, KEPT, SLOTS, allocations, memory_of, rows_of, rows_taken
from baco.lowering.rebuild import argument_names, constant
from baco.lowering.remarks import add_remark
from baco.lowering.rings import following, ring_of, slot_of, take_place
from baco.lowering.structure_pointers import GRID_ARGUMENTS
from baco.lowering.tile_to_dim import is_on_chip, root

_HALVES = 2
_INSTANCE = GRID_ARGUMENTS[: len(GRID_ARGUMENTS) // 2]


@register("alternate-accumulators")
def run(module: ir.Module) -> None:
    """Rewrite the blocks of results of the module's kernel."""
    if get_num_stages(module) == 1:
        return
    stored = [op for op in allocations(kernel_of(module)) if memory_of(op) == ACCUMULATOR and _is_stored(op)]
    for blocks in [list(blocks) for _, blocks in groupby(stored, _scope)]:
        _alternate(module, blocks)


def _is_stored(alloc: ir.OpView) -> bool:
    """Whether the accelerator stores a block to DRAM, as it is or requantised."""
    if SLOTS in alloc.operation.attributes or KEPT in alloc.operation.attributes:
        return False
    return any(_stores(user) for user in users(alloc.result)) and not _is_pooled(alloc.result)


def _stores(user: ir.Operation) -> bool:
    return REQUANTISE in user.attributes or (user.name == "memref.copy" and not is_on_chip(user.operands[1]))


def _is_pooled(block: ir.Value) -> bool:
    """Whether a pooling store takes a block, perhaps requantised: the hardware orders that with others only where its rows are fixed."""
    takers = [user for user in users(block) if user.name == "linalg.generic" and root(user.operands[0]) == block]
    return any(MAX_POOL in t.attributes or (REQUANTISE in t.attributes and _is_pooled(root(t.operands[1]))) for t in takers)


def _scope(alloc: ir.OpView) -> ir.Operation:
    """What is repeated around a block: the nearest loop, or the kernel."""
    around = alloc.operation.parent
    while around.name not in ("scf.for", "scf.while", "func.func"):
        around = around.parent
    return around


def _alternate(module: ir.Module, blocks: list[ir.OpView]) -> None:
    config, scope = get_hardware(module), _scope(blocks[0])
    try:
        if scope.name == "scf.while":
            raise CannotMove("the loop around it is no counted one")
        check_order(scope, {root(op.operands[0]) for op in nested(scope) if op.name == "memref.copy" and not is_on_chip(op.operands[0])})
        taken = rows_taken(allocations(kernel_of(module)), config.dim)[ACCUMULATOR]
        required = taken + sum(rows_of(op, config.dim) for op in blocks)
        if required > config.accumulator_rows:
            raise CannotMove(f"accumulator rows required: {required}, rows there: {config.accumulator_rows}")
    except CannotMove as reason:
        add_remark(module, location_of(blocks[0]), f"this block of results is stored before the next one is begun: {reason}")
        return
    in_loop = scope.name == "scf.for"
    with blocks[0].location:
        slot = _slot_of_loop(scope) if in_loop else _slot_of_instance(scope)
    if slot is None:
        return
    for alloc in blocks:
        with ir.InsertionPoint(_nest(_scope(alloc))[-1] if in_loop else alloc), alloc.location:
            ring = ring_of(alloc, _HALVES)
        with ir.InsertionPoint(alloc), alloc.location:
            take_place(alloc, slot_of(ring, slot))


def _nest(loop: ir.Operation) -> list[ir.OpView]:
    """A loop and those directly around it, outwards."""
    loops = [loop.opview]
    while loops[-1].operation.parent.name == "scf.for":
        loops.append(loops[-1].operation.parent.opview)
    return loops


def _slot_of_loop(loop: ir.Operation) -> ir.Value:
    """A carried value that is the half in turn."""
    nest = _nest(loop)
    with ir.InsertionPoint(nest[-1]):
        innermost = carry_through(nest, [constant(0)])[0]
    body = body_of(innermost)
    slot = list(body.arguments)[-1]
    with ir.InsertionPoint(body.operations[0]):
        hand_on(innermost, [following(slot, _HALVES)])
    return slot


def _slot_of_instance(kernel: ir.Operation) -> ir.Value | None:
    """The half of a program instance; None if the kernel does not know which one it is."""
    function = kernel.opview
    numbers = dict(zip(argument_names(function), function.arguments, strict=True))
    if not set(_INSTANCE) <= numbers.keys():
        return None
    with ir.InsertionPoint.at_block_begin(function.entry_block):
        total = numbers[_INSTANCE[0]]
        for name in _INSTANCE[1:]:
            total = arith.AddIOp(total, numbers[name]).result
        odd = arith.AndIOp(total, constant(_HALVES - 1, total.type)).result
        return arith.IndexCastOp(ir.IndexType.get(), odd).result
