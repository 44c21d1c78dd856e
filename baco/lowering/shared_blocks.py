"""Blocks that take turns in the same rows: each loop loads them before it uses them, and leaves nothing in them for what comes after.

:mod:`baco.lowering.tile_products` makes one block for each operand, whatever the number of products. For loads to run ahead, it becomes a
ring like any other block; every loop that loads it goes around the ring on its own and leaves it drained, so that the next may begin.
"""

from __future__ import annotations

from collections.abc import Iterator

from baco.dialects.mlir import ir
from baco.hardware import GemminiConfig
from baco.lowering.block_loads import is_inside, load_of, move_freely, nested, users
from baco.lowering.passes import operations
from baco.lowering.place_in_memories import SCRATCHPAD, SLOTS, memory_of, rows_of, rows_taken
from baco.lowering.rebuild import constant
from baco.lowering.rings import ring_of, slot_of, take_place
from baco.lowering.tile_to_dim import root

SHARED = "baco.shared"
"""Marks an allocation whose contents nothing needs after the body of the loop that loads them."""


def _allocations(entry: ir.Block) -> list[ir.OpView]:
    return [op for op in operations(entry) if op.operation.name == "memref.alloc"]


def make_rings(entry: ir.Block, stages: int, config: GemminiConfig) -> None:
    """Give every shared block of the scratchpad as many slots as fit, `stages` at most; whoever uses it uses the first."""
    shared = [op for op in _allocations(entry) if SHARED in op.operation.attributes and memory_of(op) == SCRATCHPAD]
    if shared:
        each = sum(rows_of(op, config.dim) for op in shared)
        room = config.scratchpad_rows - rows_taken(_allocations(entry), config.dim)[SCRATCHPAD]
        slots = min(stages, 1 + max(room, 0) // each)
        for alloc in shared if slots > 1 else ():
            with ir.InsertionPoint(alloc), alloc.location:
                take_place(alloc, slot_of(ring_of(alloc, slots), constant(0)))


def ring_behind(place: ir.OpView) -> ir.Value | None:
    """The ring of shared blocks that a place in it is of; None if it is no such place."""
    if place.operation.name != "memref.subview":
        return None
    ring = place.operation.operands[0]
    return ring if not isinstance(ring.owner, ir.Block) and SHARED in ring.owner.attributes else None


def shared_loads(body: ir.Block, entry: ir.Block) -> Iterator[tuple[ir.OpView | None, list[ir.Operation]]]:
    """For each shared block that a body loads before it uses it: the body's own view of its place, and the steps of the load.

    No view if the body, or a loop in it, loads the block more than once; then the steps are its own loads.
    """
    for alloc in _allocations(entry):
        if SHARED in alloc.operation.attributes and SLOTS in alloc.operation.attributes:
            ring = alloc.result
            here = [user for user in users(ring) if is_inside(user, body)]
            steps = load_of(here, ring, body)
            filling = {inner for step in steps for inner in nested(step)}
            loads = [user for user in here if user.name == "memref.copy" and user.block == body and root(user.operands[1]) == ring]
            if any(root(user.operands[len(user.operands) - 1]) == ring for user in here if user not in filling):
                if loads:
                    yield None, loads
            elif steps:
                yield _own_place(body, ring), steps


def _own_place(body: ir.Block, ring: ir.Value) -> ir.OpView:
    """A view of the first slot that only this body uses."""
    first = body.operations[0]
    with ir.InsertionPoint(first), first.location:
        own = slot_of(ring, constant(0))
    copies: dict[ir.Value, ir.Value] = {}

    def local(view: ir.Value) -> ir.Value:
        if view.owner.operands[0] == ring:
            return own
        if view not in copies:
            with ir.InsertionPoint(first), first.location:
                copy = view.owner.clone(ip=ir.InsertionPoint.current).operation
            copy.operands[0] = local(view.owner.operands[0])
            move_freely(copy)
            copies[view] = copy.results[0]
        return copies[view]

    for user in [inner for op in body.operations for inner in nested(op.operation)]:
        for i, operand in enumerate(user.operands):
            is_view = isinstance(operand.type, ir.MemRefType) and operand != ring and root(operand) == ring
            if is_view and not is_inside(operand.owner.operation, body):
                user.operands[i] = local(operand)
    return own.owner.opview
