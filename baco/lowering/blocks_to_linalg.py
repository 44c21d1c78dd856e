"""Block operations of the baco dialect as linalg on tensors; part of the pass structure-pointers.

Before:
    %r = "baco.make_range"() {start = 0, end = 64} : () -> tensor<64xi32>
    %c = "baco.expand_dims"(%r) {axis = 1} : (tensor<64xi32>) -> tensor<64x1xi32>
    %s = "baco.reduce"(%x) {axis = 1, kind = "sum"} : (tensor<64x32xi32>) -> tensor<64xi32>

After:
    %r = linalg.generic outs(%empty) { linalg.index 0 ... }
    %c = linalg.generic {(i, j) -> (i)} ins(%r) outs(%empty)
    %s = linalg.generic {parallel, reduction} ins(%x) outs(%zeros)

Everything that only rearranges is a linalg.generic with an indexing map, so that it fuses into whatever uses it.
"""

from __future__ import annotations

import math as math_
from collections.abc import Callable, Sequence

from baco.dialects import baco
from baco.dialects.baco import DATAFLOW
from baco.dialects.mlir import arith, bufferization, ir, linalg, math, tensor
from baco.dialects.pooling import Pooling
from baco.lowering.passes import location_of
from baco.lowering.rebuild import Handler, Rebuilder, constant
from baco.lowering.remarks import add_remark

REQUANTISE = "baco.requantise"
"""Marks the linalg.generic that is a requantisation: its body says the arithmetic, the attribute that the store path does it."""

IN_ARRAY = "baco.in_array"
"""Marks a requantisation that happens where sums leave the array for the scratchpad; its value is by how many bits they are shifted."""

TRANSPOSED = "baco.transposed"
"""Marks a linalg.generic that swaps the two dimensions of a block."""

OUTPUT_STATIONARY = "baco.output_stationary"
"""Marks a product whose sums stay in the array until the whole depth of its blocks has streamed past."""
SAFE_DEPTH = 32
"""As many products of two int8 numbers can sum to 2**19, which 20 bits do not hold (GEMMINI_ISA.md section 9.1)."""

MAX_POOL = "baco.max_pool"
"""Marks the linalg.generic that is a max pooling: its body says the arithmetic, the attribute the geometry for the store path."""

Body = Callable[..., ir.Value]


def empty(type_: ir.RankedTensorType) -> ir.Value:
    """A tensor with no contents yet."""
    return tensor.EmptyOp(list(type_.shape), type_.element_type).result


def elementwise(
    type_: ir.RankedTensorType,
    inputs: Sequence[ir.Value],
    maps: Sequence[ir.AffineMap],
    body: Body,
    *,
    initial: ir.Value | None = None,
    reduced: Sequence[int] = (),
    rank: int | None = None,
) -> ir.OpView:
    """A linalg.generic with one result of `type_`.

    `maps` are those of the inputs and the result, over `rank` loops (the result's rank if not given); the loops `reduced` reduce into
    `initial`. `body` gets the scalars of the inputs and the result's current one.
    """
    location = ir.Location.current
    loops = rank if rank is not None else type_.rank
    kinds = ir.ArrayAttr.get(
        [ir.Attribute.parse(f"#linalg.iterator_type<{'reduction' if i in reduced else 'parallel'}>") for i in range(loops)]
    )
    maps = ir.ArrayAttr.get([ir.AffineMapAttr.get(m) for m in maps])
    op = linalg.GenericOp([type_], list(inputs), [initial if initial is not None else empty(type_)], maps, kinds)
    elements = [ir.RankedTensorType(v.type).element_type for v in inputs] + [type_.element_type]
    block = op.regions[0].blocks.append(*elements, arg_locs=[location] * len(elements))
    with ir.InsertionPoint(block):
        linalg.YieldOp([body(*block.arguments)])
    return op


def identity(rank: int) -> ir.AffineMap:
    """The indexing map of an operand that is used in place."""
    return ir.AffineMap.get_identity(rank)


def _place(dimension: int, type_: ir.Type) -> ir.Value:
    """The current index along a dimension, inside a body."""
    axis = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), dimension)
    return arith.IndexCastOp(type_, linalg.IndexOp(axis).result).result


def index_block(
    type_: ir.RankedTensorType,
    offset: ir.Value,
    strides: Sequence[ir.Value],
    wraps: Sequence[tuple[ir.Value, ir.Value, ir.Value] | None] = (),
) -> ir.Value:
    """The block ``offset + sum of index[d] * strides[d]`` of i64, and ``(start + index[d]) % modulus * stride`` where it wraps."""

    def body(_: ir.Value) -> ir.Value:
        total = offset
        for d, stride in enumerate(strides):
            total = arith.AddIOp(total, arith.MulIOp(_place(d, type_.element_type), stride).result).result
        for d, (start, modulus, stride) in ((d, w) for d, w in enumerate(wraps) if w):
            place = arith.RemSIOp(arith.AddIOp(start, _place(d, type_.element_type)).result, modulus).result
            total = arith.AddIOp(total, arith.MulIOp(place, stride).result).result
        return total

    return elementwise(type_, [], [identity(type_.rank)], body).results[0]


def _make_range(r: Rebuilder, op: ir.OpView) -> None:
    type_ = ir.RankedTensorType(op.result.type)
    start = ir.IntegerAttr(op.attributes["start"]).value

    def body(_: ir.Value) -> ir.Value:
        return arith.AddIOp(_place(0, type_.element_type), constant(start, type_.element_type)).result

    r.values[op.result] = elementwise(type_, [], [identity(1)], body).results[0]


def _rearranged(r: Rebuilder, op: ir.OpView, expressions: Callable[[list[ir.AffineExpr]], list[ir.AffineExpr]]) -> None:
    """Result element (i, j, ...) is the operand's element at `expressions`."""
    type_ = ir.RankedTensorType(op.result.type)
    places = expressions([ir.AffineExpr.get_dim(d) for d in range(type_.rank)])
    maps = [ir.AffineMap.get(type_.rank, 0, places), identity(type_.rank)]
    r.values[op.result] = elementwise(type_, [r[op.value]], maps, lambda x, _: x).results[0]


def _expand_dims(r: Rebuilder, op: ir.OpView) -> None:
    axis = ir.IntegerAttr(op.attributes["axis"]).value
    _rearranged(r, op, lambda d: d[:axis] + d[axis + 1 :])


def _broadcast(r: Rebuilder, op: ir.OpView) -> None:
    old = ir.RankedTensorType(op.value.type).shape
    zero = ir.AffineExpr.get_constant(0)
    _rearranged(r, op, lambda d: [zero if size == 1 else e for e, size in zip(d, old, strict=True)])


def _reshape(r: Rebuilder, op: ir.OpView) -> None:
    old, new = (list(ir.RankedTensorType(v.type).shape) for v in (op.value, op.result))

    def places(d: list[ir.AffineExpr]) -> list[ir.AffineExpr]:
        """Where an element lies in the operand: at the same place in row-major order."""
        number = ir.AffineExpr.get_constant(0)
        for e, size in zip(d, new, strict=True):
            number = number * size + e
        inner = [math_.prod(old[i + 1 :]) for i in range(len(old))]
        parts = [ir.AffineExpr.get_floor_div(number, step) for step in inner]
        return [p if i == 0 else ir.AffineExpr.get_mod(p, size) for i, (p, size) in enumerate(zip(parts, old, strict=True))]

    _rearranged(r, op, places)


def _slice(r: Rebuilder, op: ir.OpView) -> None:
    axis, start, step = (ir.IntegerAttr(op.attributes[name]).value for name in ("axis", "start", "step"))
    size = ir.RankedTensorType(op.value.type).shape[axis]
    # The remainder changes nothing, but a dimension used as it is would tell linalg that it is as long as the operand's.
    _rearranged(r, op, lambda d: [ir.AffineExpr.get_mod(e * step + start, size) if i == axis else e for i, e in enumerate(d)])


def _rotate(r: Rebuilder, op: ir.OpView) -> None:
    axis, by = (ir.IntegerAttr(op.attributes[name]).value for name in ("axis", "by"))
    size = ir.RankedTensorType(op.result.type).shape[axis]
    _rearranged(r, op, lambda d: [ir.AffineExpr.get_mod(e + by, size) if i == axis else e for i, e in enumerate(d)])


def _transpose(r: Rebuilder, op: ir.OpView) -> None:
    order = list(ir.DenseI64ArrayAttr(op.attributes["order"]))
    if order == [1, 0]:
        r.values[op.result] = transposed(r[op.value])
    else:
        _rearranged(r, op, lambda d: [d[order.index(i)] for i in range(len(order))])


def transposed(block: ir.Value) -> ir.Value:
    """A two-dimensional block with its dimensions swapped; a product may take the block itself and transpose it on the way in."""
    old = ir.RankedTensorType(block.type)
    type_ = ir.RankedTensorType.get([old.shape[1], old.shape[0]], old.element_type)
    rows, cols = (ir.AffineExpr.get_dim(d) for d in range(2))
    swapped = elementwise(type_, [block], [ir.AffineMap.get(2, 0, [cols, rows]), identity(2)], lambda x, _: x)
    swapped.operation.attributes[TRANSPOSED] = ir.UnitAttr.get()
    return swapped.results[0]


_COMBINE = {
    ("sum", True): arith.AddFOp,
    ("max", True): arith.MaxNumFOp,
    ("min", True): arith.MinNumFOp,
    ("sum", False): arith.AddIOp,
    ("max", False): arith.MaxSIOp,
    ("min", False): arith.MinSIOp,
    ("xor", False): arith.XOrIOp,
    ("or", False): arith.OrIOp,
}


def _reduce(r: Rebuilder, op: ir.OpView) -> None:
    type_, old = ir.RankedTensorType(op.result.type), ir.RankedTensorType(op.value.type)
    kind, axis = ir.StringAttr(op.kind).value, ir.IntegerAttr(op.attributes["axis"]).value
    is_float = isinstance(type_.element_type, ir.F32Type)
    start = linalg.fill(_neutral(kind, type_.element_type), outs=[empty(type_)])
    dims = [ir.AffineExpr.get_dim(d) for d in range(old.rank)]
    maps = [identity(old.rank), ir.AffineMap.get(old.rank, 0, dims[:axis] + dims[axis + 1 :])]
    combine = _COMBINE[kind, is_float]
    r.values[op.result] = elementwise(
        type_, [r[op.value]], maps, lambda x, total: combine(total, x).result, initial=start, reduced=[axis], rank=old.rank
    ).results[0]


def _neutral(kind: str, element: ir.Type) -> ir.Value:
    """What changes nothing when combined: 0, or the lowest or highest value for maxima and minima."""
    if isinstance(element, ir.F32Type):
        return arith.ConstantOp(element, {"sum": 0.0, "max": float("-inf"), "min": float("inf")}[kind]).result
    width = ir.IntegerType(element).width
    return arith.ConstantOp(element, {"sum": 0, "xor": 0, "or": 0, "max": -(1 << (width - 1)), "min": (1 << (width - 1)) - 1}[kind]).result


def _zeros(r: Rebuilder, op: ir.OpView) -> None:
    type_ = ir.RankedTensorType(op.result.type)
    element = type_.element_type
    zero = arith.ConstantOp(element, 0.0).result if isinstance(element, ir.F32Type) else constant(0, element)
    # Not an empty tensor: equal ones become one, and accumulators that all start as it would have to be copied apart.
    r.values[op.result] = linalg.fill(zero, outs=[bufferization.AllocTensorOp(type_, []).result])


def _dot(r: Rebuilder, op: ir.OpView) -> None:
    """A product; operands of it may be transposed, by the array's own transposer: one if weights stay in the array, the left one or both
    if sums do (GEMMINI_ISA.md section 7.1)."""
    a, b, acc = r[op.a], r[op.b], r[op.acc]
    m, n, k = (ir.AffineExpr.get_dim(d) for d in range(3))
    maps = [[m, k], [k, n], [m, n]]
    swap_a, swap_b = (r.has_transposer and _source_of_transpose(v) is not None for v in (a, b))
    outputs_stay = _outputs_stay(r, op, swap_b and not swap_a)
    if swap_b:
        b, maps[1] = _source_of_transpose(b), [n, k]
    if swap_a and (outputs_stay or not swap_b):
        a, maps[0] = _source_of_transpose(a), [k, m]
    attribute = ir.ArrayAttr.get([ir.AffineMapAttr.get(ir.AffineMap.get(3, 0, e)) for e in maps])
    product = linalg.MatmulOp([acc.type], [a, b], [acc], indexing_maps=attribute)
    linalg.fill_builtin_region(product.operation)
    if outputs_stay:
        product.operation.attributes[OUTPUT_STATIONARY] = ir.UnitAttr.get()
    r.values[op.result] = product.results[0]


def _outputs_stay(r: Rebuilder, op: ir.OpView, only_b_transposed: bool) -> bool:
    """Whether a product is to keep its sums in the array, and can; remarks say why not, and what to look out for."""
    hint = DATAFLOW in op.attributes and ir.StringAttr(op.attributes[DATAFLOW]).value == baco.OUTPUT_STATIONARY
    if not hint or str(ir.RankedTensorType(op.acc.type).element_type) != "i32":
        return False
    if not r.has_transposer:
        reason = "this hardware has no output-stationary dataflow; this product is weight-stationary"
    elif only_b_transposed:
        reason = "an output-stationary product cannot transpose its right operand alone; this one is weight-stationary"
    else:
        depth = ir.RankedTensorType(op.a.type).shape[1]
        if depth >= SAFE_DEPTH:
            add_remark(r.module, location_of(op), f"sums of {depth} products stay in the array, whose 20 bits wrap at 2**19 on hardware")
        return True
    add_remark(r.module, location_of(op), reason)
    return False


def _source_of_transpose(block: ir.Value) -> ir.Value | None:
    """What a block is the transpose of, if it is one."""
    owner = block.owner
    return owner.operands[0] if not isinstance(owner, ir.Block) and TRANSPOSED in owner.attributes else None


def _requantise(r: Rebuilder, op: ir.OpView) -> None:
    type_ = ir.RankedTensorType(op.result.type)
    body = requantising(r[op.scale], relu=ir.StringAttr(op.activation).value == "relu")
    op_ = elementwise(type_, [r[op.value]], [identity(type_.rank)] * 2, body)
    op_.operation.attributes[REQUANTISE] = ir.DictAttr.get({"activation": op.activation})
    r.values[op.result] = op_.results[0]


def requantising(scale: ir.Value, *, relu: bool) -> Body:
    """The body of a linalg.generic that requantises int32 to int8."""
    f32, i8 = ir.F32Type.get(), ir.IntegerType.get_signless(8)

    def body(value: ir.Value, _: ir.Value) -> ir.Value:
        product = arith.MulFOp(arith.SIToFPOp(f32, value).result, scale).result
        low = arith.ConstantOp(f32, 0.0 if relu else -128.0).result
        high = arith.ConstantOp(f32, 127.0).result
        clamped = arith.MinimumFOp(arith.MaximumFOp(math.RoundEvenOp(product).result, low).result, high).result
        return arith.FPToSIOp(i8, clamped).result

    return body


def _max_pool(r: Rebuilder, op: ir.OpView) -> None:
    """The body looks up the pixels of its window, since a pixel's row and column in the image are no affine functions of its number."""
    type_, pooling, image = ir.RankedTensorType(op.result.type), op.pooling, r[op.value]

    def body(_: ir.Value) -> ir.Value:
        return highest_of_window(pooling, type_.element_type, lambda place: tensor.ExtractOp(image, place).result)

    pooled = elementwise(type_, [], [identity(2)], body)
    pooled.operation.attributes[MAX_POOL] = pooling_attribute(pooling)
    r.values[op.result] = pooled.results[0]


def highest_of_window(pooling: Pooling, element: ir.Type, fetch: Callable[[list[ir.Value]], ir.Value]) -> ir.Value:
    """In the body of a loop nest over output pixels and channels: the highest pixel of the window. `fetch` gets one of the image."""
    number, channel = (linalg.IndexOp(ir.IntegerAttr.get(ir.IntegerType.get_signless(64), d)).result for d in range(2))
    columns = constant(pooling.out_columns)
    row, column = arith.DivUIOp(number, columns).result, arith.RemUIOp(number, columns).result

    def inside(number: ir.Value, moved: int, extent: int) -> tuple[ir.Value, ir.Value]:
        """Whether a place along a dimension is in the image, and the place, or 0."""
        place = arith.AddIOp(arith.MulIOp(number, constant(pooling.stride)).result, constant(moved)).result
        is_inside = arith.CmpIOp(arith.CmpIPredicate.ult, place, constant(extent)).result  # a negative place is a large one
        return is_inside, arith.SelectOp(is_inside, place, constant(0)).result

    highest = None
    for down in range(pooling.size):
        for right in range(pooling.size):
            row_inside, at_row = inside(row, down - pooling.upper, pooling.rows)
            column_inside, at_column = inside(column, right - pooling.left, pooling.columns)
            pixel = arith.AddIOp(arith.MulIOp(at_row, constant(pooling.columns)).result, at_column).result
            there = arith.AndIOp(row_inside, column_inside).result
            value = arith.SelectOp(there, fetch([pixel, channel]), constant(0, element)).result
            highest = value if highest is None else arith.MaxSIOp(highest, value).result
    return highest


def pooling_attribute(pooling: Pooling) -> ir.DictAttr:
    """A geometry as the attribute that carries it through the passes."""
    i64 = ir.IntegerType.get_signless(64)
    return ir.DictAttr.get({name: ir.IntegerAttr.get(i64, number) for name, number in vars(pooling).items()})


def pooling_of(attribute: ir.Attribute) -> Pooling:
    """The geometry that an attribute carries."""
    return Pooling(**{named.name: ir.IntegerAttr(named.attr).value for named in ir.DictAttr(attribute)})


HANDLERS: dict[str, Handler] = {
    "baco.max_pool": _max_pool,
    "baco.make_range": _make_range,
    "baco.expand_dims": _expand_dims,
    "baco.broadcast": _broadcast,
    "baco.reshape": _reshape,
    "baco.slice": _slice,
    "baco.rotate": _rotate,
    "baco.trans": _transpose,
    "baco.reduce": _reduce,
    "baco.zeros": _zeros,
    "baco.dot": _dot,
    "baco.requantise": _requantise,
}
