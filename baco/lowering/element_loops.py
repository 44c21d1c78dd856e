"""Loops of the host core over the elements of a block: irregular loads and stores, and atomics; part of the pass structure-pointers.

Before:
    %old = "baco.atomic"(%p, %v, %v, %mask) {kind = "add"} : (!baco.ptr_block<tensor<16xi32>>, ...) -> tensor<16xi32>

After:
    "instgem.fence"
    scf.for %i = 0 to 16 {
      scf.if %mask[%i] {
        %before = memref.load %memory[%offsets[%i]]
        memref.store %before + %v[%i], %memory[%offsets[%i]]
        memref.store %before, %old[%i] } else { memref.store 0, %old[%i] } }

One element comes after the other, so that an address that a block names twice is changed twice. Program instances run one after the
other on one core, so nothing else has to be done for these to be atomic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from baco.dialects import instgem
from baco.dialects.mlir import arith, bufferization, ir, memref, scf
from baco.lowering import blocks_to_linalg
from baco.lowering.device_print import copied, line, nest, stop
from baco.lowering.errors import SourceLocation
from baco.lowering.rebuild import Handler, Rebuilder, constant

One = Callable[[list[ir.Value], ir.Value, ir.Value, ir.Value], None]


def offset_block(r: Rebuilder, pointer: Any) -> ir.Value:
    """The offsets of a raw pointer as a tensor."""
    if pointer.regular is None:
        return pointer.offsets
    type_ = ir.RankedTensorType.get(list(pointer.block.shape), ir.IntegerType.get_signless(64))
    strides = [r.a.value(s) for s in pointer.regular.strides]
    wraps = [w and tuple(r.a.value(q) for q in (w.start, w.modulus, w.stride)) for w in pointer.regular.wraps]
    return blocks_to_linalg.index_block(type_, r.a.value(pointer.regular.offset), strides, wraps)


def each_element(r: Rebuilder, pointer: Any, mask: ir.Value, body: One) -> None:
    """Loops over a pointer block: `body` gets the place in the block, the memory, the address in it, and the mask.

    The hardware orders none of its accesses with the host's, so it must have finished before and starts again after.
    """
    flat = ir.MemRefType.get([1 << 40], pointer.block.element_type)
    memory = memref.ReinterpretCastOp(flat, pointer.base, [], [], [], [0], [1 << 40], [1]).result
    offsets, wanted = (_readable(v) for v in (offset_block(r, pointer), r[mask]))
    instgem.Fence()

    def one(place: list[ir.Value]) -> None:
        address = arith.IndexCastOp(ir.IndexType.get(), memref.LoadOp(offsets, place).result).result
        body(place, memory, address, memref.LoadOp(wanted, place).result)

    nest(pointer.block.shape, one)


def _readable(value: ir.Value) -> ir.Value:
    type_ = ir.RankedTensorType(value.type)
    return bufferization.ToBufferOp(ir.MemRefType.get(list(type_.shape), type_.element_type), value, read_only=True).result


def as_block(filled: ir.Value, block: ir.RankedTensorType) -> ir.Value:
    """What the host core has written to a buffer, as a block: one of its own, which may live on the chip."""
    buffer = memref.AllocOp(filled.type, [], []).result
    memref.CopyOp(filled, buffer)
    return bufferization.ToTensorOp(block, buffer, restrict=True, writable=True).result


# Atomics -----------------------------------------------------------------------------------------------------------------------------


_INTEGER = {
    "add": arith.AddIOp,
    "max": arith.MaxSIOp,
    "min": arith.MinSIOp,
    "and": arith.AndIOp,
    "or": arith.OrIOp,
    "xor": arith.XOrIOp,
}
_FLOAT = {"add": arith.AddFOp, "max": arith.MaxNumFOp, "min": arith.MinNumFOp}


def _atomic(r: Rebuilder, op: ir.OpView) -> None:
    pointer, kind = r[op.pointer], ir.StringAttr(op.kind).value
    element = pointer.block.element_type
    before = memref.AllocOp(ir.MemRefType.get(list(pointer.block.shape), element), [], []).result
    compared, values = (copied(r[v]) for v in (op.compare, op.value))

    def one(place: list[ir.Value], memory: ir.Value, address: ir.Value, wanted: ir.Value) -> None:
        branch = scf.IfOp(wanted, has_else=True)
        with ir.InsertionPoint(branch.then_block):
            there, value = memref.LoadOp(memory, [address]).result, memref.LoadOp(values, place).result
            after = _after(kind, there, value, memref.LoadOp(compared, place).result)
            memref.StoreOp(after, memory, [address])
            memref.StoreOp(there, before, place)
            scf.YieldOp([])
        with ir.InsertionPoint(branch.else_block):
            zero = arith.ConstantOp(element, 0.0 if isinstance(element, ir.F32Type) else 0).result
            memref.StoreOp(zero, before, place)
            scf.YieldOp([])

    each_element(r, pointer, op.mask, one)
    r.values[op.result] = as_block(before, pointer.block)


def _after(kind: str, there: ir.Value, value: ir.Value, compared: ir.Value) -> ir.Value:
    """What an atomic operation leaves in memory."""
    is_float = isinstance(there.type, ir.F32Type)
    if kind == "xchg":
        return value
    if kind == "cas":
        compare = (arith.CmpFOp, arith.CmpFPredicate.OEQ) if is_float else (arith.CmpIOp, arith.CmpIPredicate.eq)
        return arith.SelectOp(compare[0](compare[1], there, compared).result, value, there).result
    return (_FLOAT if is_float else _INTEGER)[kind](there, value).result


# Checks ------------------------------------------------------------------------------------------------------------------------------


def _assert(r: Rebuilder, op: ir.OpView) -> None:
    """A line for the first element that is not true, and the end of the program."""
    place_in_source = SourceLocation.of(op.location)
    where = f"{place_in_source.file}:{place_in_source.line}:{place_in_source.column}: " if place_in_source else ""
    condition, message = r[op.condition], where + ir.StringAttr(op.message).value
    is_block = isinstance(condition.type, ir.RankedTensorType)
    buffer = copied(condition) if is_block else None
    if is_block:
        # The hardware may still be writing what is about to be read.
        instgem.Fence()

    def one(place: list[ir.Value]) -> None:
        truth = memref.LoadOp(buffer, place).result if is_block else condition
        wrong = arith.XOrIOp(truth, constant(1, ir.IntegerType.get_signless(1))).result
        with ir.InsertionPoint(scf.IfOp(wrong).then_block):
            line(r, op, message, place)
            stop(op)
            scf.YieldOp([])

    nest(ir.RankedTensorType(condition.type).shape if is_block else [], one)


HANDLERS: dict[str, Handler] = {"baco.atomic": _atomic, "baco.assert": _assert}
