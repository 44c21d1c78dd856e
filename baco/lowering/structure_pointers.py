"""structure-pointers: turn block pointers into strided memory accesses, and block operations into linalg on tensors.

Before:
    %p = "baco.make_block_ptr"(%a, %m, %k, %k, %c1, %i, %c0) {order = array<i64: 1, 0>} : ... -> !baco.block_ptr<tensor<64x32xi8>>
    %t = "baco.load"(%p) {boundary_check = array<i64: 1, 0>} : (!baco.block_ptr<tensor<64x32xi8>>) -> tensor<64x32xi8>

After:
    %src = memref.reinterpret_cast %a to offset: [%off], sizes: [64, 32], strides: [%k, 1] : memref<*xi8> to memref<64x32xi8, strided<...>>
    %buf = memref.alloc() : memref<64x32xi8>
    scf.if %partial { linalg.fill ins(%c0_i8) outs(%buf) }
    memref.copy (subview of %src), (subview of %buf)        // only what lies inside the parent tensor
    %t = bufferization.to_tensor %buf restrict writable

A pointer carried around a loop becomes its offsets carried around the loop (the dissertation's section 6.3.4): the rest of it does
not change. Program indices and grid sizes become six more arguments, after the kernel's own.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from baco.dialects.baco import Pointer
from baco.dialects.mlir import DYNAMIC, arith, bufferization, func, ir, linalg, math, memref, scf, tensor
from baco.lowering.errors import UnsupportedOperation
from baco.lowering.passes import kernel_of, location_of, register
from baco.lowering.rebuild import Rebuilder, argument_names, constant, known, new_function

REQUANTISE = "baco.requantise"
"""Marks the linalg.generic that is a requantisation: its body says the arithmetic, the attribute that the store path does it."""
GRID_ARGUMENTS = ("pid0", "pid1", "pid2", "num0", "num1", "num2")


@dataclass(frozen=True)
class StructuredPointer:
    """A block pointer taken apart: base buffer, and sizes, strides and offsets in elements as index values."""

    base: ir.Value
    shape: tuple[ir.Value, ...]
    strides: tuple[ir.Value, ...]
    offsets: tuple[ir.Value, ...]
    block: ir.RankedTensorType


@register("structure-pointers")
def run(module: ir.Module) -> None:
    """Rewrite the module's kernel."""
    old = kernel_of(module)
    index = ir.IndexType.get()
    i64 = ir.IntegerType.get_signless(64)
    space = ir.Attribute.parse("0")
    types = [_buffer_type(t, space) for t in old.type.inputs] + [i64] * len(GRID_ARGUMENTS)
    new = new_function(old, types, [*argument_names(old), *GRID_ARGUMENTS])
    rebuilder = Rebuilder(_HANDLERS)
    rebuilder.index = index
    rebuilder.grid = new.arguments[len(old.arguments) :]
    rebuilder.values.update(zip(old.arguments, new.arguments, strict=False))
    with ir.InsertionPoint(new.entry_block):
        rebuilder.block(old.entry_block.operations)
    old.erase()


def _buffer_type(type_: ir.Type, space: ir.Attribute) -> ir.Type:
    return ir.UnrankedMemRefType.get(type_.element_type, space) if isinstance(type_, Pointer) else type_


def _to_index(value: ir.Value) -> ir.Value:
    number = known(value)
    return constant(number) if number is not None else arith.IndexCastOp(ir.IndexType.get(), value).result


def _make_block_ptr(r: Rebuilder, op: ir.OpView) -> None:
    parts = [tuple(_to_index(r[v]) for v in values) for values in (op.shape, op.strides, op.offsets)]
    r.values[op.result] = StructuredPointer(r[op.base], *parts, op.result.type.block_type)


def _advance(r: Rebuilder, op: ir.OpView) -> None:
    pointer = r[op.pointer]
    moved = tuple(arith.AddIOp(o, _to_index(r[d])).result for o, d in zip(pointer.offsets, op.offsets, strict=True))
    r.values[op.result] = replace(pointer, offsets=moved)


def _view(pointer: StructuredPointer) -> ir.Value:
    """The block in DRAM that a pointer stands for, as a strided memref."""
    offset = constant(0)
    for o, s in zip(pointer.offsets, pointer.strides, strict=True):
        offset = arith.AddIOp(offset, arith.MulIOp(o, s).result).result
    static = [known(s) for s in pointer.strides]
    strides = [DYNAMIC if s is None else s for s in static]
    dynamic = [v for v, s in zip(pointer.strides, static, strict=True) if s is None]
    layout = ir.StridedLayoutAttr.get(DYNAMIC, strides)
    type_ = ir.MemRefType.get(list(pointer.block.shape), pointer.block.element_type, layout)
    return memref.ReinterpretCastOp(type_, pointer.base, [offset], [], dynamic, [DYNAMIC], list(pointer.block.shape), strides).result


def _valid_sizes(pointer: StructuredPointer, checked: list[int]) -> list[ir.Value | int]:
    """How much of the block lies inside the parent tensor, for each dimension; the whole block where no check was asked for."""
    sizes: list[ir.Value | int] = []
    for axis, size in enumerate(pointer.block.shape):
        if checked[axis]:
            left = arith.SubIOp(pointer.shape[axis], pointer.offsets[axis]).result
            sizes.append(arith.MinSIOp(arith.MaxSIOp(left, constant(0)).result, constant(size)).result)
        else:
            sizes.append(size)
    return sizes


def _subview(source: ir.Value, sizes: list[ir.Value | int]) -> ir.Value:
    """The leading part of a buffer, of sizes known now or only at run time."""
    if all(isinstance(s, int) for s in sizes):
        return source
    old = ir.MemRefType(source.type)
    strides, _ = old.get_strides_and_offset()
    layout = ir.StridedLayoutAttr.get(_offset(old), strides)
    static = [s if isinstance(s, int) else DYNAMIC for s in sizes]
    type_ = ir.MemRefType.get(static, old.element_type, layout)
    dynamic = [s for s in sizes if not isinstance(s, int)]
    rank = len(sizes)
    return memref.SubViewOp(type_, source, [], dynamic, [], [0] * rank, static, [1] * rank).result


def _offset(type_: ir.MemRefType) -> int:
    return type_.get_strides_and_offset()[1]


def _load(r: Rebuilder, op: ir.OpView) -> None:
    pointer = r[op.pointer]
    sizes = _valid_sizes(pointer, list(op.boundary_check))
    block = memref.AllocOp(ir.MemRefType.get(list(pointer.block.shape), pointer.block.element_type), [], []).result
    view = _view(pointer)
    partial = _is_partial(sizes, pointer)
    if partial is not None:
        branch = scf.IfOp(partial)
        with ir.InsertionPoint(branch.then_block):
            linalg.fill(constant(0, pointer.block.element_type), outs=[block])
            scf.YieldOp([])
    memref.CopyOp(_subview(view, sizes), _subview(block, sizes))
    r.values[op.result] = bufferization.ToTensorOp(pointer.block, block, restrict=True, writable=True).result


def _is_partial(sizes: list[ir.Value | int], pointer: StructuredPointer) -> ir.Value | None:
    """Whether any checked dimension is cut short, so that the rest of the block must read as zero."""
    result = None
    for size, full in zip(sizes, pointer.block.shape, strict=True):
        if not isinstance(size, int):
            cut = arith.CmpIOp(arith.CmpIPredicate.slt, size, constant(full)).result
            result = cut if result is None else arith.OrIOp(result, cut).result
    return result


def _store(r: Rebuilder, op: ir.OpView) -> None:
    pointer, value = r[op.pointer], r[op.value]
    sizes = _valid_sizes(pointer, list(op.boundary_check))
    view = _subview(_view(pointer), sizes)
    if any(not isinstance(s, int) for s in sizes):
        static = [s if isinstance(s, int) else DYNAMIC for s in sizes]
        type_ = ir.RankedTensorType.get(static, pointer.block.element_type)
        rank = len(sizes)
        dynamic = [s for s in sizes if not isinstance(s, int)]
        value = tensor.ExtractSliceOp(type_, value, [], dynamic, [], [0] * rank, static, [1] * rank).result
    bufferization.MaterializeInDestinationOp(None, value, view, restrict=True, writable=True)


def _zeros(r: Rebuilder, op: ir.OpView) -> None:
    type_ = ir.RankedTensorType(op.result.type)
    empty = tensor.EmptyOp(list(type_.shape), type_.element_type).result
    r.values[op.result] = linalg.fill(constant(0, type_.element_type), outs=[empty])


def _dot(r: Rebuilder, op: ir.OpView) -> None:
    r.values[op.result] = linalg.matmul(r[op.a], r[op.b], outs=[r[op.acc]])


def _requantise(r: Rebuilder, op: ir.OpView) -> None:
    type_ = ir.RankedTensorType(op.result.type)
    scale = r[op.scale]
    identity = ir.AffineMapAttr.get(ir.AffineMap.get_identity(type_.rank))
    parallel = ir.ArrayAttr.get([ir.Attribute.parse("#linalg.iterator_type<parallel>")] * type_.rank)
    empty = tensor.EmptyOp(list(type_.shape), type_.element_type).result
    generic = linalg.GenericOp([type_], [r[op.value]], [empty], ir.ArrayAttr.get([identity, identity]), parallel)
    relu = ir.StringAttr(op.activation).value == "relu"
    generic.operation.attributes[REQUANTISE] = ir.DictAttr.get({"activation": op.activation})
    f32 = ir.F32Type.get()
    body = generic.regions[0].blocks.append(ir.IntegerType.get_signless(32), type_.element_type, arg_locs=[op.location] * 2)
    with ir.InsertionPoint(body):
        product = arith.MulFOp(arith.SIToFPOp(f32, body.arguments[0]).result, scale).result
        rounded = math.RoundEvenOp(product).result
        low = arith.ConstantOp(f32, 0.0 if relu else -128.0).result
        clamped = arith.MinimumFOp(arith.MaximumFOp(rounded, low).result, arith.ConstantOp(f32, 127.0).result).result
        linalg.YieldOp([arith.FPToSIOp(type_.element_type, clamped).result])
    r.values[op.result] = generic.results[0]


def _program_id(r: Rebuilder, op: ir.OpView) -> None:
    r.values[op.result] = r.grid[ir.IntegerAttr(op.axis).value]


def _num_programs(r: Rebuilder, op: ir.OpView) -> None:
    r.values[op.result] = r.grid[3 + ir.IntegerAttr(op.axis).value]


def _for(r: Rebuilder, op: ir.OpView) -> None:
    """Carry the offsets of each carried pointer instead of the pointer."""
    carried = [r[v] for v in list(op.operands)[3:]]
    flat = list(itertools.chain.from_iterable(c.offsets if isinstance(c, StructuredPointer) else (c,) for c in carried))
    new = scf.ForOp(r[op.operands[0]], r[op.operands[1]], r[op.operands[2]], flat)
    old_body = op.regions[0].blocks[0]
    r.values[old_body.arguments[0]] = new.body.arguments[0]
    _assign(r, old_body.arguments[1:], carried, new.body.arguments[1:])
    with ir.InsertionPoint(new.body):
        r.block(list(old_body.operations)[:-1])
        _yield(r, old_body.operations[len(old_body.operations) - 1], carried)
    _assign(r, op.results, carried, new.results)


def _assign(r: Rebuilder, old: list[ir.Value], templates: list[object], flat: list[ir.Value]) -> None:
    values = iter(flat)
    for o, template in zip(old, templates, strict=True):
        if isinstance(template, StructuredPointer):
            r.values[o] = replace(template, offsets=tuple(itertools.islice(values, len(template.offsets))))
        else:
            r.values[o] = next(values)


def _yield(r: Rebuilder, op: ir.OpView, carried: list[object]) -> None:
    flat: list[ir.Value] = []
    for value, template in zip(op.operands, carried, strict=True):
        new = r[value]
        if isinstance(new, StructuredPointer):
            if (new.base, new.shape, new.strides) != (template.base, template.shape, template.strides):
                reason = "a block pointer carried around a loop may only be advanced there, not made anew; make it before the loop."
                raise UnsupportedOperation(reason, location_of(op))
            flat += new.offsets
        else:
            flat.append(new)
    with op.location:
        scf.YieldOp(flat)


def _return(_: Rebuilder, op: ir.OpView) -> None:
    func.ReturnOp([])


_HANDLERS = {
    "baco.make_block_ptr": _make_block_ptr,
    "baco.advance": _advance,
    "baco.load": _load,
    "baco.store": _store,
    "baco.zeros": _zeros,
    "baco.dot": _dot,
    "baco.requantise": _requantise,
    "baco.program_id": _program_id,
    "baco.num_programs": _num_programs,
    "scf.for": _for,
    "func.return": _return,
}
