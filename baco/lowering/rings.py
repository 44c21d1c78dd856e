"""Rings: allocations of several copies of a block, of which each iteration of a loop uses another."""

from __future__ import annotations

from baco.dialects.mlir import DYNAMIC, arith, ir, memref
from baco.lowering.block_loads import move_freely
from baco.lowering.place_in_memories import SLOTS
from baco.lowering.rebuild import constant


def following(slot: ir.Value, slots: int) -> ir.Value:
    """The slot after one, around the ring."""
    last = arith.CmpIOp(arith.CmpIPredicate.eq, slot, constant(slots - 1)).result
    return arith.SelectOp(last, constant(0), arith.AddIOp(slot, constant(1)).result).result


def ring_of(alloc: ir.OpView, stages: int) -> ir.Value:
    """An allocation of `stages` copies of a block, with what is known about the block."""
    type_ = ir.MemRefType(alloc.result.type)
    with alloc.location:
        ring = memref.AllocOp(ir.MemRefType.get([stages, *type_.shape], type_.element_type), [], [])
    for named in alloc.operation.attributes:
        if named != "operandSegmentSizes":
            ring.operation.attributes[named] = alloc.operation.attributes[named]
    ring.operation.attributes[SLOTS] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), stages)
    return ring.result


def slot_of(ring: ir.Value, slot: ir.Value) -> ir.Value:
    """One copy of a ring's block."""
    type_ = ir.MemRefType(ring.type)
    rows, cols = type_.shape[1:]
    view = ir.MemRefType.get([rows, cols], type_.element_type, ir.StridedLayoutAttr.get(DYNAMIC, [cols, 1]))
    return memref.SubViewOp(view, ring, [slot], [], [], [DYNAMIC, 0, 0], [1, rows, cols], [1, 1, 1]).result


def take_place(alloc: ir.OpView, slot: ir.Value) -> None:
    """Let everything that uses a block use a slot instead."""
    alloc.result.replace_all_uses_with(slot)
    alloc.operation.erase()
    for use in slot.uses:
        if use.owner.operation.name == "memref.subview":
            move_freely(use.owner.operation)


def slots_of(ring: ir.Value) -> int:
    """How many copies a ring holds."""
    return ir.MemRefType(ring.type).shape[0]
