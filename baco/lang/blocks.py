"""Making, rearranging, reducing and multiplying blocks in kernels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from baco.dialects import baco as dialect
from baco.dialects import baco_blocks as blocks
from baco.dialects.mlir import ir, tensor
from baco.lang.arithmetic import (
    Value,
    as_block,
    block_type,
    cast,
    compare,
    fits,
    materialise,
    maximum,
    promoted_sum,
    require,
    spread,
    where,
)
from baco.lang.pooling import checked_pooling
from baco.lang.types import Block, DType, Product, Scalar, describe, float32, int8, int32

MOST_ELEMENTS = 1 << 20
"""Of a block, as in Triton."""


def shape_of(shape: object, what: str, most: int = 3) -> tuple[int, ...]:
    """A block's shape: one to `most` positive compile-time integers."""
    size = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,) if isinstance(shape, int) else shape
    ok = isinstance(size, tuple) and 1 <= len(size) <= most and all(isinstance(s, int) and not isinstance(s, bool) and s > 0 for s in size)
    number = {3: "three", 5: "five"}[most]
    require(
        ok, f"{what} must be one to {number} positive compile-time integers, not {describe(shape)}; declare block sizes as bl.constexpr."
    )
    count = math.prod(size)
    require(count <= MOST_ELEMENTS, f"{what} is {count} elements; a block has at most {MOST_ELEMENTS}.")
    return size


def _dtype(dtype: object) -> DType:
    require(isinstance(dtype, DType), f"dtype must be an element type such as bl.int32, not {describe(dtype)}.")
    return dtype


def _i64(number: int) -> ir.IntegerAttr:
    return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), number)


def arange(start: object, end: object) -> Block:
    ok = all(isinstance(v, int) and not isinstance(v, bool) for v in (start, end))
    require(ok, f"bl.arange takes compile-time integers, not {describe(start)} and {describe(end)}.")
    require(start < end, f"bl.arange({start}, {end}) would be empty.")
    require(fits(start, int32) and fits(end - 1, int32), f"bl.arange gives int32, which {start if start < -1 else end - 1} does not fit.")
    shape = shape_of((end - start,), "the length of bl.arange")
    return Block(int32, shape, blocks.MakeRange(block_type(shape, int32), _i64(start), _i64(end)).result)


def zeros(shape: object, dtype: object) -> Block:
    size, element = shape_of(shape, "shape"), _dtype(dtype)
    return Block(element, size, dialect.Zeros(block_type(size, element)).result)


def full(shape: object, value: object, dtype: object) -> Block:
    size, element = shape_of(shape, "shape"), _dtype(dtype)
    if not isinstance(value, Scalar) and value == 0:
        return zeros(size, element)
    return spread(cast(materialise(value, "value"), element) if isinstance(value, Scalar) else materialise(value, "value", element), size)


def zeros_like(input: object) -> Block:
    block = as_block(input)
    return zeros(block.shape, block.dtype)


def trans(input: object, *dims: object) -> Block:
    block = as_block(input)
    rank = len(block.shape)
    order = tuple(dims[0]) if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims
    if not order:
        require(rank == 2, f"bl.trans needs the new order of the {rank} dimensions.")
        order = (1, 0)
    ok = all(isinstance(i, int) for i in order) and sorted(order) == list(range(rank))
    require(ok, f"bl.trans: {', '.join(map(describe, order))} is not an order of {rank} dimensions.")
    shape = tuple(block.shape[i] for i in order)
    attribute = ir.DenseI64ArrayAttr.get(list(order))
    return Block(block.dtype, shape, blocks.Transpose(block_type(shape, block.dtype), block.value, attribute).result)


def permute(input: object, *dims: object) -> Block:
    return trans(input, *dims)


# Reductions ------------------------------------------------------------------------------------------------------------------------------


def reduction(value: object, axis: object, keep_dims: object, kind: str, dtype: object = None) -> Value:
    """What is left of an axis, or of all, combined as one of :data:`baco.dialects.baco_blocks.REDUCTIONS`."""
    block = as_block(value)
    if kind == "sum":
        block = cast(block, promoted_sum(block.dtype) if dtype is None else _dtype(dtype))
    if axis is None:
        for _ in block.shape:
            block = _reduced(block, len(block.shape) - 1, kind)
        return Scalar(block.dtype, tensor.ExtractOp(block.value, []).result)
    rank = len(block.shape)
    require(isinstance(axis, int) and -rank <= axis < rank, f"axis must be from {-rank} to {rank - 1}, not {describe(axis)}.")
    place = axis % rank
    result = _reduced(block, place, kind)
    if keep_dims:
        from baco.lang.arithmetic import expand_dims

        return expand_dims(result, place)
    if rank == 1:
        return Scalar(result.dtype, tensor.ExtractOp(result.value, []).result)
    return result


def _reduced(block: Block, axis: int, kind: str) -> Block:
    shape = (*block.shape[:axis], *block.shape[axis + 1 :])
    op = blocks.Reduce(block_type(shape, block.dtype), block.value, _i64(axis), ir.StringAttr.get(kind))
    return Block(block.dtype, shape, op.result)


def sum(input: object, axis: object = None, keep_dims: object = False, dtype: object = None) -> Value:
    return reduction(input, axis, keep_dims, "sum", dtype)


def max(
    input: object,
    axis: object = None,
    return_indices: object = False,
    return_indices_tie_break_left: object = True,
    keep_dims: object = False,
) -> Value | tuple[Value, Value]:
    best = reduction(input, axis, keep_dims, "max")
    return (best, where_best(input, axis, keep_dims, "max")) if return_indices else best


def min(
    input: object,
    axis: object = None,
    return_indices: object = False,
    return_indices_tie_break_left: object = True,
    keep_dims: object = False,
) -> Value | tuple[Value, Value]:
    best = reduction(input, axis, keep_dims, "min")
    return (best, where_best(input, axis, keep_dims, "min")) if return_indices else best


def where_best(input: object, axis: object, keep_dims: object, kind: str) -> Value:
    """The first place where the largest or smallest element lies."""
    from baco.lang.functions import axis_of, ravel, reshape

    block = ravel(input) if axis is None else as_block(input)
    require(axis is not None or not keep_dims, "keep_dims needs an axis.")
    place = axis_of(0 if axis is None else axis, len(block.shape))
    size = block.shape[place]
    numbers = reshape(arange(0, size), size, *[1] * (len(block.shape) - place - 1))
    here = compare("==", block, reduction(block, place, True, kind))
    return reduction(where(here, numbers, size - 1), place, keep_dims, "min")


# Products --------------------------------------------------------------------------------------------------------------------------------


def dot(
    input: object,
    other: object,
    acc: object = None,
    input_precision: object = None,
    allow_tf32: object = None,
    max_num_imprecise_acc: object = None,
    out_dtype: object = None,
) -> Block | Product:
    for name, given in (("input_precision", input_precision), ("allow_tf32", allow_tf32), ("max_num_imprecise_acc", max_num_imprecise_acc)):
        require(given is None, f"{name} is about imprecise floating point; here int8 is exact and float32 is float32. Leave it out.")
    a, b = as_block(input), as_block(other)
    ok = a.dtype is b.dtype and a.dtype in (int8, float32)
    require(ok, f"bl.dot multiplies int8 blocks on the array, or float32 ones on the host core, not a {describe(a)} and a {describe(b)}.")
    product = Product(a, b)
    require(out_dtype in (None, product.dtype), f"{a.dtype} products are summed in {product.dtype}, not {out_dtype}.")
    two = len(a.shape) == 2 and len(b.shape) == 2
    require(two, f"bl.dot multiplies two-dimensional blocks, not a {describe(a)} and a {describe(b)}.")
    require(
        a.shape[1] == b.shape[0],
        f"bl.dot: the left block is {a.shape[0]}x{a.shape[1]} and the right one {b.shape[0]}x{b.shape[1]}; "
        f"{a.shape[1]} columns do not meet {b.shape[0]} rows.",
    )
    return product if acc is None else accumulated(product, acc)


def accumulated(product: Product, acc: object) -> Block:
    """``acc + dot(a, b)`` as one operation."""
    total = as_block(acc)
    require(total.dtype is product.dtype, f"bl.dot accumulates into {product.dtype}, but acc is a {describe(total)}.")
    size = _by(product.shape)
    require(total.shape == product.shape, f"bl.dot gives a {size} block, but acc is a {describe(total)}.")
    op = dialect.Dot(total.value.type, product.a.value, product.b.value, total.value)
    if product.dataflow:
        op.operation.attributes[dialect.DATAFLOW] = ir.StringAttr.get(product.dataflow)
    return Block(product.dtype, product.shape, op.result)


def gemmini_dot(
    input: object,
    other: object,
    acc: object = None,
    transpose_a: object = False,
    transpose_b: object = False,
    dataflow: object = None,
) -> Block | Product:
    for name, flag in (("transpose_a", transpose_a), ("transpose_b", transpose_b)):
        require(isinstance(flag, bool), f"{name} must be True or False at compile time, not {describe(flag)}.")
    known = dataflow is None or dataflow in dialect.DATAFLOWS
    require(known, f"dataflow is {' or '.join(map(repr, dialect.DATAFLOWS))}, or None to leave it open, not {dataflow!r}.")
    a, b = (trans(v) if swapped else as_block(v) for v, swapped in ((input, transpose_a), (other, transpose_b)))
    require(a.dtype is int8 and b.dtype is int8, f"bl.gemmini.dot multiplies int8 blocks, not a {describe(a)} and a {describe(b)}.")
    product = replace(dot(a, b), dataflow=dataflow)
    return product if acc is None else accumulated(product, acc)


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def added_product(left: object, right: object) -> Block | None:
    """``acc + dot(a, b)`` as one accumulating product, where it is one."""
    for product, acc in ((right, left), (left, right)):
        if isinstance(product, Product) and isinstance(acc, (Block, Product)) and (acc.dtype, acc.shape) == (product.dtype, product.shape):
            return accumulated(product, acc)
    return None


def requantise(value: object, scale: object = 1.0, relu: object = False) -> Block:
    block = as_block(value)
    require(block.dtype is int32, f"bl.gemmini.requantise takes an int32 block, not a {describe(block)}.")
    require(isinstance(relu, bool), f"relu must be True or False at compile time, not {describe(relu)}.")
    if isinstance(scale, (int, float)) and not isinstance(scale, bool):
        require(0 <= scale < 2**31, f"scale must be from 0 up to 2**31, where all implementations of Gemmini agree, but is {scale}.")
        scale = float(scale)
    factor = materialise(scale, "scale")
    require(factor.dtype is float32, f"scale must be a float, not {describe(scale)}.")
    activation = ir.StringAttr.get("relu" if relu else "none")
    return Block(int8, block.shape, dialect.Requantise(block_type(block.shape, int8), block.value, factor.value, activation).result)


def relu(input: object) -> Block:
    block = as_block(input)
    require(block.dtype in (int8, int32), f"bl.gemmini.relu takes an int8 or int32 block, not a {describe(block)}.")
    made_by = block.value.owner
    if isinstance(made_by, ir.Block) or made_by.name != dialect.Requantise.OPERATION_NAME:
        return maximum(block, 0)
    value, scale = made_by.operands
    return Block(int8, block.shape, dialect.Requantise(block.value.type, value, scale, ir.StringAttr.get("relu")).result)


def max_pool(input: object, image: object, size: object, stride: object = None, padding: object = 0) -> Block:
    block = as_block(input)
    made = checked_pooling(block.dtype, block.shape, image, size, stride, padding)
    shape = (made.out_rows * made.out_columns, block.shape[1])
    extent, around = (ir.DenseI64ArrayAttr.get(list(pair)) for pair in ((made.rows, made.columns), (made.upper, made.left)))
    op = blocks.MaxPool(block_type(shape, int8), block.value, extent, _i64(made.size), _i64(made.stride), around)
    return Block(int8, shape, op.result)
