"""What each operation of Triton's IR becomes; part of the pass import-triton."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from baco.dialects import baco as dialect
from baco.dialects import baco_blocks as blocks
from baco.dialects import baco_shapes as shapes
from baco.dialects.mlir import arith, ir, math, scf, tensor
from baco.lowering.triton_values import (
    Descriptor,
    Flattened,
    Importer,
    Pointers,
    block_of,
    element_of,
    i64_attribute,
    pointee,
    shape_of,
    splat_constant,
)

# Programs and blocks -----------------------------------------------------------------------------------------------------------------


def _program_id(r: Importer, op: ir.OpView) -> None:
    kind = dialect.ProgramId if op.operation.name == "tt.get_program_id" else dialect.NumPrograms
    axis = i64_attribute(ir.IntegerAttr(op.attributes["axis"]).value)
    r.values[op.results[0]] = r.narrow(kind(axis).result, op.results[0].type)


def _make_range(r: Importer, op: ir.OpView) -> None:
    start, end = (i64_attribute(ir.IntegerAttr(op.attributes[n]).value) for n in ("start", "end"))
    r.values[op.results[0]] = blocks.MakeRange(r.type(op.results[0].type), start, end).result


def _splat(r: Importer, op: ir.OpView) -> None:
    old, shape = op.operands[0], shape_of(op.results[0].type)
    found = pointee(old.type)
    if found:
        r.values[op.results[0]] = Pointers(r.values[old], element_of(found, r.place), tuple(shape))
    else:
        r.values[op.results[0]] = r.splat(r.value(old), shape)


def _unsplat(r: Importer, op: ir.OpView) -> None:
    value = r.value(op.operands[0])
    places = [arith.ConstantOp(ir.IndexType.get(), 0).result] * len(shape_of(value.type))
    r.values[op.results[0]] = tensor.ExtractOp(value, places).result


def _rearranged(r: Importer, op: ir.OpView, build: Callable[[ir.Type, ir.Value], ir.Value]) -> None:
    """The same rearrangement of a block, or of the offsets of a block of pointers."""
    result = op.results[0]
    if not pointee(result.type):
        r.values[result] = build(r.type(result.type), r.value(op.operands[0]))
        return
    pointers, shape = r.pointers(op.operands[0]), tuple(shape_of(result.type))
    if pointers.offsets is None and isinstance(pointers.start.type, blocks.PointerBlock):
        raise r.refuse("a block of pointers that a loop carries cannot change its shape; give it its whole shape before the loop.")
    offsets = None if pointers.offsets is None else build(block_of(shape, r.i64), pointers.offsets)
    r.values[result] = Pointers(pointers.start, pointers.element, shape, offsets)


def _expand_dims(r: Importer, op: ir.OpView) -> None:
    axis = i64_attribute(ir.IntegerAttr(op.attributes["axis"]).value)
    _rearranged(r, op, lambda type_, value: blocks.ExpandDims(type_, value, axis).result)


def _broadcast(r: Importer, op: ir.OpView) -> None:
    _rearranged(r, op, lambda type_, value: blocks.Broadcast(type_, value).result)


def _transpose(r: Importer, op: ir.OpView) -> None:
    order = ir.DenseI64ArrayAttr.get(list(ir.DenseI32ArrayAttr(op.attributes["order"])))
    _rearranged(r, op, lambda type_, value: blocks.Transpose(type_, value, order).result)


def _reshape(r: Importer, op: ir.OpView) -> None:
    old, new = shape_of(op.operands[0].type), shape_of(op.results[0].type)
    if len(new) == 1 and len(old) > 1 and not pointee(op.results[0].type):
        r.values[op.results[0]] = Flattened(r.value(op.operands[0]))
        return
    if [s for s in new if s != 1] != [s for s in old if s != 1] or len(new) < len(old):
        if pointee(op.results[0].type):
            raise r.refuse("a block of pointers cannot be reshaped; reshape the offsets.")
        r.values[op.results[0]] = shapes.Reshape(r.type(op.results[0].type), r.value(op.operands[0])).result
        return

    def build(type_: ir.RankedTensorType, value: ir.Value) -> ir.Value:
        for axis, size in enumerate(new):
            shape = shape_of(value.type)
            if len(shape) < len(new) and (axis == len(shape) or (size == 1 and shape[axis] != 1)):
                grown = [*shape[:axis], 1, *shape[axis:]]
                value = blocks.ExpandDims(block_of(grown, type_.element_type), value, i64_attribute(axis)).result
        return value

    _rearranged(r, op, build)


def _reduce(r: Importer, op: ir.OpView) -> None:
    if len(op.operands) != 1:
        raise r.refuse("a reduction of several blocks together (tl.argmax, tl.argmin) is not supported.")
    kind = _combiner(op.regions[0].blocks[0])
    if kind is None:
        raise r.refuse("a reduction must be a sum, a maximum, a minimum, an exclusive or, or an or.")
    new = r.values[op.operands[0]]
    value = new.block if isinstance(new, Flattened) else r.value(op.operands[0])
    axes = reversed(range(len(shape_of(value.type)))) if isinstance(new, Flattened) else [ir.IntegerAttr(op.attributes["axis"]).value]
    for axis in axes:
        shape = shape_of(value.type)
        del shape[axis]
        element = ir.RankedTensorType(value.type).element_type
        value = blocks.Reduce(block_of(shape, element), value, i64_attribute(axis), ir.StringAttr.get(kind)).result
    r.values[op.results[0]] = value if shape else tensor.ExtractOp(value, []).result


def _combiner(block: ir.Block) -> str | None:
    """The reduction that a two-argument function is."""
    names = [op.operation.name for op in block.operations][:-1]
    if len(names) == 1:
        return _COMBINERS.get(names[0])
    return None


_COMBINERS = {
    "arith.addi": "sum",
    "arith.addf": "sum",
    "arith.maxsi": "max",
    "arith.maximumf": "max",
    "arith.maxnumf": "max",
    "arith.minsi": "min",
    "arith.minimumf": "min",
    "arith.minnumf": "min",
    "arith.xori": "xor",
    "arith.ori": "or",
}


def _dot(r: Importer, op: ir.OpView) -> None:
    a, b = (r.filled(v) for v in list(op.operands)[:2])
    elements = [str(ir.RankedTensorType(v.type).element_type) for v in op.operands]
    if elements not in (["i8", "i8", "i32"], ["f32", "f32", "f32"]):
        raise r.refuse(f"tl.dot multiplies int8 into int32, or float32 into float32, not {' and '.join(elements[:2])} into {elements[2]}.")
    if len(shape_of(a.type)) != 2:
        raise r.refuse("tl.dot multiplies two-dimensional blocks; loop over the batch instead.")
    acc = r.filled(op.operands[2])
    r.values[op.results[0]] = dialect.Dot(acc.type, a, b, acc).result


def _join(r: Importer, op: ir.OpView) -> None:
    """The first block where the new last dimension is 0, the second where it is 1."""
    type_ = ir.RankedTensorType(r.type(op.results[0].type))
    spread = []
    for operand in op.operands:
        value = r.filled(operand)
        grown = blocks.ExpandDims(block_of([*shape_of(value.type), 1], type_.element_type), value, i64_attribute(type_.rank - 1)).result
        spread.append(blocks.Broadcast(type_, grown).result)
    i1 = ir.IntegerType.get_signless(1)
    pair = blocks.MakeRange(block_of([2], ir.IntegerType.get_signless(32)), i64_attribute(0), i64_attribute(2)).result
    second = arith.TruncIOp(block_of([2], i1), pair).result
    for _ in range(type_.rank - 1):
        second = blocks.ExpandDims(block_of([1, *shape_of(second.type)], i1), second, i64_attribute(0)).result
    second = blocks.Broadcast(block_of(type_.shape, i1), second).result
    r.values[op.results[0]] = arith.SelectOp(second, spread[1], spread[0]).result


def _split(r: Importer, op: ir.OpView) -> None:
    value = r.filled(op.operands[0])
    shape, element = shape_of(value.type), ir.RankedTensorType(value.type).element_type
    for i, result in enumerate(op.results):
        axis = i64_attribute(len(shape) - 1)
        half = shapes.Slice(block_of([*shape[:-1], 1], element), value, axis, i64_attribute(i), i64_attribute(1)).result
        less = shapes.Reshape(block_of(shape[:-1], element), half).result
        r.values[result] = less if shape_of(result.type) else tensor.ExtractOp(less, []).result


# Pointers ----------------------------------------------------------------------------------------------------------------------------


def _addptr(r: Importer, op: ir.OpView) -> None:
    pointer, offset = op.operands
    result = op.results[0]
    steps = r.wide(r.value(offset))
    if not shape_of(result.type):
        base = r.value(pointer)
        r.values[result] = dialect.OffsetPointer(base.type, base, steps).result
        return
    before = r.pointers(pointer)
    total = steps if before.offsets is None else arith.AddIOp(before.offsets, steps).result
    r.values[result] = Pointers(before.start, before.element, before.shape, total)


def _mask(r: Importer, old: ir.Value | None, shape: tuple[int, ...]) -> ir.Value:
    if old is None:
        return r.splat(arith.ConstantOp(ir.IntegerType.get_signless(1), 1).result, shape)
    mask = r.value(old)
    return mask if shape_of(mask.type) else r.splat(mask, shape)


def _load(r: Importer, op: ir.OpView) -> None:
    given = dict(zip(("pointer", "mask", "other"), _segments(op, 3), strict=True))
    pointers, result = r.pointers(given["pointer"]), op.results[0]
    type_ = block_of(pointers.shape, pointers.element)
    mask = _mask(r, given["mask"], pointers.shape)
    other, rest = _other(r, given["other"], type_)
    loaded = blocks.Gather(type_, r.whole(pointers), mask, other).result
    if rest is not None:
        loaded = arith.SelectOp(mask, loaded, rest).result
    if not shape_of(result.type):
        loaded = tensor.ExtractOp(loaded, [arith.ConstantOp(ir.IndexType.get(), 0).result]).result
    r.values[result] = loaded


def _other(r: Importer, old: ir.Value | None, type_: ir.RankedTensorType) -> tuple[ir.Value, ir.Value | None]:
    """What a load gives where its mask is not set: one number, or else a number and the block to choose from afterwards."""
    element = type_.element_type
    zero = 0.0 if isinstance(element, ir.F32Type) else 0
    if old is None:
        return arith.ConstantOp(element, zero).result, None
    if not shape_of(old.type):
        return r.value(old), None
    number = splat_constant(old)
    if number is not None:
        return arith.ConstantOp(element, number).result, None
    if not isinstance(old.owner, ir.Block) and old.owner.name == "tt.splat":
        return r.value(old.owner.operands[0]), None
    return arith.ConstantOp(element, zero).result, r.value(old)


def _segments(op: ir.OpView, count: int) -> list[ir.Value | None]:
    """Operands of which some are optional, in order."""
    operands = list(op.operands)
    if "operandSegmentSizes" not in op.operation.attributes:
        return operands + [None] * (count - len(operands))
    sizes = list(ir.DenseI32ArrayAttr(op.attributes["operandSegmentSizes"]))
    return [operands.pop(0) if size else None for size in sizes]


def _store(r: Importer, op: ir.OpView) -> None:
    operands = list(op.operands)
    pointers = r.pointers(operands[0])
    value = r.filled(operands[1])
    value = value if shape_of(value.type) else r.splat(value, pointers.shape)
    blocks.Scatter(r.whole(pointers), value, _mask(r, operands[2] if len(operands) > 2 else None, pointers.shape))


_ATOMICS = {1: "and", 2: "or", 3: "xor", 4: "add", 5: "add", 6: "max", 7: "min", 10: "xchg"}
"""Triton's numbers of read-modify-write operations."""


def _atomic_rmw(r: Importer, op: ir.OpView) -> None:
    kind = _ATOMICS.get(ir.IntegerAttr(op.attributes["atomic_rmw_op"]).value)
    if kind is None:
        raise r.refuse("an atomic maximum or minimum of unsigned integers, of which those of floats are made, is not supported.")
    pointer, value, *mask = op.operands
    _atomic(r, op, kind, pointer, value, value, mask[0] if mask else None)


def _atomic_cas(r: Importer, op: ir.OpView) -> None:
    _atomic(r, op, "cas", *op.operands, None)


def _atomic(r: Importer, op: ir.OpView, kind: str, pointer: ir.Value, compared: ir.Value, value: ir.Value, mask: ir.Value | None) -> None:
    pointers, result = r.pointers(pointer), op.results[0]
    type_ = block_of(pointers.shape, pointers.element)
    given = [r.filled(v) for v in (compared, value)]
    given = [v if shape_of(v.type) else r.splat(v, pointers.shape) for v in given]
    kind_ = ir.StringAttr.get(kind)
    before = shapes.Atomic(type_, r.whole(pointers), *given, _mask(r, mask, pointers.shape), kind_).result
    first = arith.ConstantOp(ir.IndexType.get(), 0).result
    r.values[result] = before if shape_of(result.type) else tensor.ExtractOp(before, [first]).result


# Descriptors -------------------------------------------------------------------------------------------------------------------------


def _make_descriptor(r: Importer, op: ir.OpView) -> None:
    if "padding" in op.operation.attributes and str(op.attributes["padding"]).startswith("2"):
        raise r.refuse("padding_option='nan' is not supported; elements outside a tensor read as zero.")
    base, *rest = [r.value(v) for v in op.operands]
    rank = len(rest) // 2
    wide = tuple(map(r.wide, rest))
    r.values[op.results[0]] = Descriptor(base, wide[:rank], wide[rank:])


def _at(r: Importer, old: ir.Value, indices: Iterable[ir.Value], shape: list[int]) -> tuple[ir.Value, list[int]]:
    """A block pointer through a descriptor, and the block's shape with every dimension of the tensor."""
    descriptor = r.values[old]
    rank = len(descriptor.shape)
    full = [1] * (rank - len(shape)) + shape
    block = block_of(full, descriptor.base.type.element_type)
    order = ir.DenseI64ArrayAttr.get(list(reversed(range(rank))))
    parts = [descriptor.shape, descriptor.strides, [r.wide(r.value(i)) for i in indices]]
    return dialect.MakeBlockPtr(dialect.BlockPointer.get(block), descriptor.base, *map(list, parts), order).result, full


def _descriptor_load(r: Importer, op: ir.OpView) -> None:
    shape = shape_of(op.results[0].type)
    pointer, full = _at(r, op.operands[0], list(op.operands)[1:], shape)
    if full != shape:
        raise r.refuse("a load through a descriptor must give a block of as many dimensions as the tensor has.")
    checked = ir.DenseI64ArrayAttr.get([1] * len(full))
    r.values[op.results[0]] = dialect.Load(pointer.type.block_type, pointer, checked).result


def _descriptor_store(r: Importer, op: ir.OpView) -> None:
    value = r.filled(op.operands[1])
    shape = shape_of(value.type)
    pointer, full = _at(r, op.operands[0], list(op.operands)[2:], shape)
    if full != shape:
        raise r.refuse("a store through a descriptor must take a block of as many dimensions as the tensor has.")
    dialect.Store(pointer, value, ir.DenseI64ArrayAttr.get([1] * len(full)))


# Arithmetic --------------------------------------------------------------------------------------------------------------------------


def _clamp(r: Importer, op: ir.OpView) -> None:
    value, low, high = (r.value(v) for v in op.operands)
    r.values[op.results[0]] = arith.MinNumFOp(arith.MaxNumFOp(value, low).result, high).result


def _rounded_like_numpy(r: Importer, op: ir.OpView) -> None:
    """A float as an integer: clamped first, because MLIR leaves what is out of range undefined."""
    value, type_ = r.value(op.operands[0]), r.type(op.results[0].type)
    bits = ir.IntegerType(ir.RankedTensorType(type_).element_type if shape_of(type_) else type_).width
    top = float((1 << (bits - 1)) - (1 << max(0, bits - 25)))
    limits = [arith.ConstantOp(ir.F32Type.get(), x).result for x in (-float(1 << (bits - 1)), top)]
    if shape_of(type_):
        limits = [r.splat(limit, shape_of(type_)) for limit in limits]
    clamped = arith.MinNumFOp(arith.MaxNumFOp(value, limits[0]).result, limits[1]).result
    r.values[op.results[0]] = arith.FPToSIOp(type_, clamped).result


def _select(r: Importer, op: ir.OpView) -> None:
    if pointee(op.results[0].type):
        raise r.refuse("a pointer cannot be chosen by a run-time condition; choose its offsets instead.")
    condition, a, b = (r.value(v) for v in op.operands)
    if shape_of(a.type) and not shape_of(condition.type):
        condition = r.splat(condition, shape_of(a.type))
    r.values[op.results[0]] = arith.SelectOp(condition, a, b).result


def _fma(r: Importer, op: ir.OpView) -> None:
    a, b, c = (r.value(v) for v in op.operands)
    r.values[op.results[0]] = arith.AddFOp(arith.MulFOp(a, b).result, c).result


def _square_root(r: Importer, op: ir.OpView) -> None:
    r.values[op.results[0]] = math.SqrtOp(r.value(op.operands[0])).result


def _reciprocal_root(r: Importer, op: ir.OpView) -> None:
    root = math.SqrtOp(r.value(op.operands[0])).result
    one = arith.ConstantOp(ir.F32Type.get(), 1.0).result
    one = r.splat(one, shape_of(root.type)) if shape_of(root.type) else one
    r.values[op.results[0]] = arith.DivFOp(one, root).result


def _divide(r: Importer, op: ir.OpView) -> None:
    a, b = (r.value(v) for v in op.operands)
    r.values[op.results[0]] = arith.DivFOp(a, b).result


_LIBRARY = {"__nv_rintf": math.RoundEvenOp, "__nv_nearbyintf": math.RoundEvenOp, "__nv_truncf": math.TruncOp}
"""Functions of libdevice that mean something here."""


def _library_function(r: Importer, op: ir.OpView) -> None:
    symbol = ir.StringAttr(op.attributes["symbol"]).value
    if symbol not in _LIBRARY:
        raise r.refuse(f"{symbol} is not supported: of libdevice, a library for GPUs, there are {', '.join(_LIBRARY)}.")
    r.values[op.results[0]] = _LIBRARY[symbol](r.value(op.operands[0])).result


def _bitcast(r: Importer, op: ir.OpView) -> None:
    if pointee(op.results[0].type):
        raise r.refuse("a pointer cannot change the type it points to.")
    r.values[op.results[0]] = arith.BitcastOp(r.type(op.results[0].type), r.value(op.operands[0])).result


# Control flow ------------------------------------------------------------------------------------------------------------------------


def _for(r: Importer, op: ir.OpView) -> None:
    operands = list(op.operands)
    bounds = [r.value(v) for v in operands[:3]]
    body = op.regions[0].blocks[0]
    counted = not isinstance(bounds[0].type, ir.IndexType)
    loop = scf.ForOp(*(map(r.wide, bounds) if counted else bounds), [r.filled(v) for v in operands[3:]])
    with ir.InsertionPoint(loop.body):
        index = loop.induction_variable
        r.values[body.arguments[0]] = r.narrow(index, body.arguments[0].type) if counted else index
        r.values.update(zip(list(body.arguments)[1:], loop.inner_iter_args, strict=True))
        r.block(body.operations)
    r.values.update(zip(op.results, loop.results, strict=True))


def _if(r: Importer, op: ir.OpView) -> None:
    has_else = len(op.regions[1].blocks) > 0
    new = scf.IfOp(r.value(op.operands[0]), [r.type(v.type) for v in op.results], has_else=has_else)
    for old, fresh in zip(op.regions, new.regions, strict=True):
        if len(old.blocks):
            with ir.InsertionPoint(fresh.blocks[0]):
                r.block(old.blocks[0].operations)
    r.values.update(zip(op.results, new.results, strict=True))


def _while(r: Importer, op: ir.OpView) -> None:
    new = scf.WhileOp([r.type(v.type) for v in op.results], [r.filled(v) for v in op.operands])
    for old_region, new_region in zip(op.regions, new.regions, strict=True):
        old = old_region.blocks[0]
        types = [r.type(a.type) for a in old.arguments]
        block = new_region.blocks.append(*types, arg_locs=[ir.Location.current] * len(types))
        r.values.update(zip(old.arguments, block.arguments, strict=True))
        with ir.InsertionPoint(block):
            r.block(old.operations)
    r.values.update(zip(op.results, new.results, strict=True))


def _yield(r: Importer, op: ir.OpView) -> None:
    scf.YieldOp([r.filled(v) for v in op.operands])


def _condition(r: Importer, op: ir.OpView) -> None:
    condition, *rest = op.operands
    scf.ConditionOp(r.value(condition), [r.filled(v) for v in rest])


def _dropped(r: Importer, op: ir.OpView) -> None:
    """A hint for a GPU's compiler."""


def _poison(r: Importer, op: ir.OpView) -> None:
    type_ = r.type(op.results[0].type)
    r.values[op.results[0]] = dialect.Zeros(type_).result if shape_of(type_) else arith.ConstantOp(type_, 0).result


HANDLERS = {
    "tt.get_program_id": _program_id,
    "tt.get_num_programs": _program_id,
    "tt.make_range": _make_range,
    "tt.splat": _splat,
    "tt.expand_dims": _expand_dims,
    "tt.broadcast": _broadcast,
    "tt.trans": _transpose,
    "tt.reshape": _reshape,
    "tt.reduce": _reduce,
    "tt.dot": _dot,
    "tt.addptr": _addptr,
    "tt.load": _load,
    "tt.store": _store,
    "tt.make_tensor_descriptor": _make_descriptor,
    "tt.descriptor_load": _descriptor_load,
    "tt.descriptor_store": _descriptor_store,
    "tt.clampf": _clamp,
    "tt.precise_sqrt": _square_root,
    "tt.precise_divf": _divide,
    "tt.bitcast": _bitcast,
    "tt.join": _join,
    "tt.split": _split,
    "tt.atomic_rmw": _atomic_rmw,
    "tt.atomic_cas": _atomic_cas,
    "tt.extern_elementwise": _library_function,
    "tt.unsplat": _unsplat,
    "scf.for": _for,
    "scf.if": _if,
    "scf.while": _while,
    "scf.yield": _yield,
    "scf.condition": _condition,
    "arith.fptosi": _rounded_like_numpy,
    "arith.select": _select,
    "math.fma": _fma,
    "math.rsqrt": _reciprocal_root,
    "llvm.intr.assume": _dropped,
    "ttg.barrier": _dropped,
    "gpu.barrier": _dropped,
    "ub.poison": _poison,
}
_ARITHMETIC = """
    constant addi subi muli divsi divui remsi remui floordivsi ceildivsi andi ori xori shli shrsi shrui maxsi minsi maxui minui cmpi
    addf subf mulf divf remf negf maximumf minimumf maxnumf minnumf cmpf extsi extui trunci sitofp uitofp bitcast index_cast
"""
_FUNCTIONS = "exp exp2 log log2 sqrt sin cos floor ceil absf absi"
KEPT = frozenset([*(f"arith.{name}" for name in _ARITHMETIC.split()), *(f"math.{name}" for name in _FUNCTIONS.split())])
"""Operations that mean the same in the baco dialect."""
REASONS = {
    "tt.int_to_ptr": "is not supported: a pointer comes from an argument of the kernel.",
    "tt.ptr_to_int": "is not supported: a pointer has no number here.",
    "tt.call": "is not supported: device functions are inlined, so they cannot be noinline.",
    "tt.elementwise_inline_asm": "is not supported: the assembly is a GPU's.",
    "tt.print": "is not supported; store the values and print them afterwards.",
}
