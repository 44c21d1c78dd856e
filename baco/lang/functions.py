"""Kernel functions made of others: what :mod:`baco.lang.standard` declares, built from a few operations on blocks.

Shapes, reductions with a function, scans and sorting are compositions, so that every lowering of the parts is one of the whole.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from baco import knobs
from baco.dialects import baco_shapes as shapes
from baco.dialects.mlir import ir, math, tensor
from baco.lang import arithmetic, blocks, pointers
from baco.lang.arithmetic import Value, as_block, binary, block_type, cast, common_shape, compare, materialise, promoted_sum, require, where
from baco.lang.arithmetic import expand_dims as one_more_dimension
from baco.lang.blocks import MOST_ELEMENTS, arange, permute, shape_of
from baco.lang.types import Block, DType, Pointer, PointerBlock, Product, Scalar, describe, float32, int1

MOST_DIMENSIONS = 5
"""Of a reshaped block: what Triton's kernels use to rearrange packed elements."""


def _i64(number: int) -> ir.IntegerAttr:
    return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), number)


def axis_of(axis: object, rank: int, what: str = "axis") -> int:
    """An axis counted from the front.

    Raises:
        SemanticError: if there is none such.
    """
    ok = isinstance(axis, int) and not isinstance(axis, bool) and -rank <= axis < rank
    require(ok, f"{what} must be from {-rank} to {rank - 1}, not {describe(axis)}.")
    return axis % rank


# Shapes ----------------------------------------------------------------------------------------------------------------------------------


def _reshaped(block: Block, shape: Sequence[int]) -> Block:
    if tuple(shape) == block.shape:
        return block
    return Block(block.dtype, tuple(shape), shapes.Reshape(block_type(shape, block.dtype), block.value).result)


def _slice(block: Block, axis: int, start: int, length: int, step: int = 1) -> Block:
    shape = (*block.shape[:axis], length, *block.shape[axis + 1 :])
    op = shapes.Slice(block_type(shape, block.dtype), block.value, _i64(axis), _i64(start), _i64(step))
    return Block(block.dtype, shape, op.result)


def _rotated(block: Block, axis: int, by: int) -> Block:
    op = shapes.Rotate(block.value.type, block.value, _i64(axis), _i64(by % block.shape[axis]))
    return Block(block.dtype, block.shape, op.result)


def _without(block: Block, axis: int) -> Value:
    """A block without an axis of size 1: a number where it was the only one."""
    shape = (*block.shape[:axis], *block.shape[axis + 1 :])
    less = _reshaped(block, shape)
    return less if shape else Scalar(block.dtype, tensor.ExtractOp(less.value, []).result)


def reshape(input: object, *shape: object, can_reorder: object = False) -> Block:
    block = as_block(input)
    size = shape_of(shape[0] if len(shape) == 1 else shape, "shape", MOST_DIMENSIONS)
    wanted, there = _product(size), _product(block.shape)
    require(wanted == there, f"a {describe(block)} has {there} elements, but shape {' x '.join(map(str, size))} has {wanted}.")
    return _reshaped(block, size)


def _product(numbers: Sequence[int]) -> int:
    result = 1
    for n in numbers:
        result *= n
    return result


def view(input: object, *shape: object) -> Block:
    return reshape(input, *shape)


def ravel(x: object, can_reorder: object = False) -> Block:
    block = as_block(x)
    return _reshaped(block, (_product(block.shape),))


def squeeze(x: object, dim: object) -> Value:
    block = as_block(x)
    axis = axis_of(dim, len(block.shape), "dim")
    require(block.shape[axis] == 1, f"dimension {axis} of a {describe(block)} is {block.shape[axis]} elements long, not 1.")
    return _without(block, axis)


def unsqueeze(x: object, dim: object) -> Block:
    return arithmetic.expand_dims(x, dim)


def broadcast(input: object, other: object) -> tuple[Block, Block]:
    left, right = as_block(input), as_block(other)
    shape = common_shape(left.shape, right.shape)
    return arithmetic.spread(left, shape), arithmetic.spread(right, shape)


def _same_shape(name: str, left: object, right: object) -> tuple[Block, Block]:
    a, b = as_block(left), as_block(right)
    require(a.dtype is b.dtype and a.shape == b.shape, f"bl.{name} takes two blocks of one type and shape, not {a} and {b}.")
    return a, b


def join(a: object, b: object) -> Block:
    left, right = _same_shape("join", a, b)
    shape = (*left.shape, 2)
    second = compare("==", arange(0, 2), 1)
    return where(second, *(arithmetic.spread(one_more_dimension(v, len(left.shape)), shape) for v in (right, left)))


def split(a: object) -> tuple[Value, Value]:
    block = as_block(a)
    last = len(block.shape) - 1
    require(block.shape[last] == 2, f"bl.split takes a block whose last dimension has size 2, not a {describe(block)}.")
    first, second = (_without(_slice(block, last, i, 1), last) for i in range(2))
    return first, second


def interleave(a: object, b: object) -> Block:
    joined = join(a, b)
    *others, last, two = joined.shape
    return _reshaped(joined, (*others, last * two))


def cat(input: object, other: object, can_reorder: object = False, dim: object = 0) -> Block:
    left, right = _same_shape("cat", input, other)
    rank = len(left.shape)
    axis = axis_of(dim, rank, "dim")
    joined = permute(join(left, right), *range(axis), rank, *range(axis, rank))
    return _reshaped(joined, (*left.shape[:axis], 2 * left.shape[axis], *left.shape[axis + 1 :]))


def flip(x: object, dim: object = None) -> Block:
    block = as_block(x)
    axis = axis_of(len(block.shape) - 1 if dim is None else dim, len(block.shape), "dim")
    return _slice(block, axis, block.shape[axis] - 1, block.shape[axis], -1)


# Looking up and sorting: each element against each ---------------------------------------------------------------------------------------


def _against_each(name: str, shape: Sequence[int]) -> None:
    count = _product(shape)
    require(count <= MOST_ELEMENTS, f"bl.{name} would compare {count} pairs of elements; take blocks with at most {MOST_ELEMENTS}.")


def gather(src: object, index: object, axis: object) -> Block:
    source, places = as_block(src), as_block(index)
    rank = len(source.shape)
    place = axis_of(axis, rank)
    require(places.dtype not in (int1, float32), f"index must be a block of integers, not a {describe(places)}.")
    others = [(s, i) for d, (s, i) in enumerate(zip(source.shape, places.shape, strict=False)) if d != place]
    ok = len(places.shape) == rank and all(s == i for s, i in others)
    require(ok, f"index must have the shape of src but along axis {place}; they are {describe(places)} and {describe(source)}.")
    size = source.shape[place]
    _against_each("gather", (*places.shape, size))
    numbers = _reshaped(arange(0, size), (size, *[1] * (rank - place)))
    here = compare("==", one_more_dimension(places, place), numbers)
    found = blocks.sum(where(here, one_more_dimension(source, place + 1), _number(0, source.dtype)), axis=place)
    return cast(found, source.dtype)


def _number(number: float, dtype: DType) -> Scalar:
    return materialise(float(number) if dtype is float32 else number, dtype=dtype)


def histogram(input: object, num_bins: object, mask: object = None) -> Block:
    block = as_block(input)
    ok = len(block.shape) == 1 and block.dtype not in (int1, float32)
    require(ok, f"bl.histogram counts a one-dimensional block of integers, not a {describe(block)}.")
    (bins,) = shape_of(num_bins, "num_bins")
    _against_each("histogram", (bins, *block.shape))
    here = compare("==", one_more_dimension(block, 0), one_more_dimension(arange(0, bins), 1))
    if mask is not None:
        here = binary("&", here, one_more_dimension(cast(as_block(mask), int1), 0))
    return blocks.sum(here, axis=1)


def _sorted(name: str, x: object, dim: object, descending: object) -> Block:
    block = as_block(x)
    last = len(block.shape) - 1
    require(dim is None or axis_of(dim, last + 1, "dim") == last, f"bl.{name} sorts along the last dimension, {last}, not {dim}.")
    require(isinstance(descending, (bool, int)), f"descending must be True or False at compile time, not {describe(descending)}.")
    size = block.shape[last]
    _against_each(name, (*block.shape, size))
    mine, others = one_more_dimension(block, last + 1), one_more_dimension(block, last)
    place = arange(0, size)
    first = compare("<", one_more_dimension(place, 0), one_more_dimension(place, 1))
    before = binary("|", compare(">" if descending else "<", others, mine), binary("&", compare("==", others, mine), first))
    rank = blocks.sum(before, axis=last + 1)
    here = compare("==", one_more_dimension(rank, last), one_more_dimension(place, 1))
    return cast(blocks.sum(where(here, others, _number(0, block.dtype)), axis=last + 1), block.dtype)


def sort(x: object, dim: object = None, descending: object = False) -> Block:
    return _sorted("sort", x, dim, descending)


def topk(x: object, k: object, dim: object = None, descending: object = True) -> Block:
    block = _sorted("topk", x, dim, descending)
    last = len(block.shape) - 1
    (count,) = shape_of(k, "k")
    require(count <= block.shape[last], f"k is {count}, but the last dimension has {block.shape[last]} elements.")
    return _slice(block, last, 0, count)


# Arithmetic ------------------------------------------------------------------------------------------------------------------------------


def add(x: object, y: object, sanitize_overflow: object = True) -> object:
    return binary("+", x, y)


def sub(x: object, y: object, sanitize_overflow: object = True) -> object:
    return binary("-", x, y)


def mul(x: object, y: object, sanitize_overflow: object = True) -> object:
    return binary("*", x, y)


def fma(x: object, y: object, z: object) -> object:
    if any(getattr(v, "dtype", None) is float32 or isinstance(v, float) for v in (x, y, z)):
        a, b, c = (cast(v, float32) for v in (x, y, z))
        shape = common_shape(common_shape(*(getattr(v, "shape", ()) for v in (a, b))), getattr(c, "shape", ()))
        a, b, c = (arithmetic.spread(v, shape) if shape else v for v in (a, b, c))
        return arithmetic.like(a, math.FmaOp(a.value, b.value, c.value).result)
    return binary("+", binary("*", x, y), z)


def fdiv(x: object, y: object, ieee_rounding: object = False, approx: object = False) -> object:
    return binary("/", x, y)


def div_rn(x: object, y: object) -> object:
    return binary("/", x, y)


def sqrt_rn(x: object) -> Value:
    return arithmetic.sqrt(x)


def clamp(x: object, min: object, max: object, propagate_nan: object = "none") -> object:
    return arithmetic.minimum(arithmetic.maximum(x, min, propagate_nan), max, propagate_nan)


ERF = (0.3275911, (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429))
"""Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: p, and the coefficients a1 to a5; the error is below 1.5e-7."""


def erf(x: object) -> Value:
    p, coefficients = ERF
    value = cast(as_block(x) if isinstance(x, Product) else x, float32)
    size = arithmetic.abs(value)
    t = binary("/", 1.0, fma(size, p, 1.0))
    total: object = 0.0
    for coefficient in reversed(coefficients):
        total = binary("*", binary("+", total, coefficient), t)
    positive = binary("-", 1.0, binary("*", total, arithmetic.exp(binary("-", 0.0, binary("*", size, size)))))
    return where(compare("<", value, 0.0), binary("-", 0.0, positive), positive)


def softmax(x: object, dim: object = None, *, keep_dims: object = None, ieee_rounding: object = False) -> Value:
    block = cast(as_block(x), float32)
    axis = axis_of(0 if dim is None else dim, len(block.shape), "dim")
    powers = arithmetic.exp(binary("-", block, blocks.max(block, axis=axis, keep_dims=True)))
    return binary("/", powers, blocks.sum(powers, axis=axis, keep_dims=True))


def swizzle2d(i: object, j: object, size_i: object, size_j: object, size_g: object) -> tuple[object, object]:
    number, group = binary("+", binary("*", i, size_j), j), binary("*", size_g, size_j)
    first = binary("*", binary("//", number, group), size_g)
    rows = arithmetic.minimum(binary("-", size_i, first), size_g)
    inside = binary("%", number, group)
    return binary("+", first, binary("%", inside, rows)), binary("//", inside, rows)


def to_tensor(x: object) -> object:
    return materialise(x) if isinstance(x, (bool, int, float)) else x


# Reductions and scans --------------------------------------------------------------------------------------------------------------------

Blocks = tuple[Block, ...]
Combine = Callable[..., Any]


def _combined(name: str, combine: Combine, left: Blocks, right: Blocks) -> Blocks:
    """What a kernel function makes of two places, which must be what the places hold."""
    given = combine(*left, *right)
    result = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    ok = len(result) == len(left) and all(isinstance(v, (Block, Product)) for v in result)
    require(ok, f"the function of bl.{name} must return {len(left)} value{'s' * (len(left) > 1)} computed from its arguments.")
    there = tuple(map(as_block, result))
    for old, new in zip(left, there, strict=True):
        same = old.dtype is new.dtype and old.shape == new.shape
        require(same, f"the function of bl.{name} turns a {describe(old)} into a {describe(new)}; it must keep the type.")
    return there


def _inputs(name: str, input: object, combine: object) -> Blocks:
    require(inspect.isfunction(combine), f"bl.{name} combines by a @baco.jit function, not by a {describe(combine)}.")
    parts = tuple(map(as_block, input)) if isinstance(input, (tuple, list)) else (as_block(input),)
    require(len({p.shape for p in parts}) == 1, f"the blocks of bl.{name} must have one shape, not {', '.join(map(describe, parts))}.")
    return parts


def reduce(input: object, axis: object, combine_fn: Any, keep_dims: object = False) -> Any:
    parts = _inputs("reduce", input, combine_fn)
    rank = len(parts[0].shape)
    if axis is None:
        require(not keep_dims, "keep_dims needs an axis.")
        parts, place = tuple(ravel(p) for p in parts), 0
    else:
        place = axis_of(axis, rank)
    # Neighbours are combined, so that the order stays; what has no neighbour waits to be combined with all before it.
    waiting: list[Blocks] = []
    while (size := parts[0].shape[place]) > 1:
        if size % 2:
            waiting.append(tuple(_slice(p, place, size - 1, 1) for p in parts))
        left, right = (tuple(_slice(p, place, i, size // 2, 2) for p in parts) for i in range(2))
        parts = _combined("reduce", combine_fn, left, right)
    for last in reversed(waiting):
        parts = _combined("reduce", combine_fn, parts, last)
    results = parts if keep_dims else tuple(_without(p, place) for p in parts)
    return results if isinstance(input, (tuple, list)) else results[0]


def associative_scan(input: object, axis: object, combine_fn: Any, reverse: object = False) -> Any:
    parts = _inputs("associative_scan", input, combine_fn)
    rank = len(parts[0].shape)
    place = axis_of(axis, rank)
    size = parts[0].shape[place]
    if reverse:
        parts = tuple(flip(p, place) for p in parts)
    index = _reshaped(arange(0, size), (size, *[1] * (rank - place - 1)))
    reach = 1
    while reach < size:  # each place knows of the `reach` places up to it; now of twice as many
        before = tuple(_rotated(p, place, -reach) for p in parts)
        known = compare(">=", index, reach)
        more = _combined("associative_scan", combine_fn, before, parts)
        parts = tuple(where(known, m, p) for m, p in zip(more, parts, strict=True))
        reach *= 2
    if reverse:
        parts = tuple(flip(p, place) for p in parts)
    return parts if isinstance(input, (tuple, list)) else parts[0]


def _running(input: object, axis: object, reverse: object, dtype: object, op: str) -> Block:
    block = as_block(input)
    block = cast(block, promoted_sum(block.dtype) if dtype is None else dtype)
    return associative_scan(block, axis, lambda a, b: binary(op, a, b), reverse)


def cumsum(input: object, axis: object = 0, reverse: object = False, dtype: object = None) -> Block:
    return _running(input, axis, reverse, dtype, "+")


def cumprod(input: object, axis: object = 0, reverse: object = False, dtype: object = None) -> Block:
    return _running(input, axis, reverse, dtype, "*")


def argmax(input: object, axis: object, tie_break_left: object = True, keep_dims: object = False) -> Value:
    return blocks.where_best(input, axis, keep_dims, "max")


def argmin(input: object, axis: object, tie_break_left: object = True, keep_dims: object = False) -> Value:
    return blocks.where_best(input, axis, keep_dims, "min")


def xor_sum(input: object, axis: object = None, keep_dims: object = False) -> Value:
    return blocks.reduction(_integers("xor_sum", input), axis, keep_dims, "xor")


def reduce_or(input: object, axis: object, keep_dims: object = False) -> Value:
    return blocks.reduction(_integers("reduce_or", input), axis, keep_dims, "or")


def _integers(name: str, input: object) -> Block:
    block = as_block(input)
    require(block.dtype is not float32, f"bl.{name} is for integers, not for a {describe(block)}.")
    return block


# Memory ----------------------------------------------------------------------------------------------------------------------------------


def load_tensor_descriptor(desc: Any, offsets: object) -> Block:
    return pointers.descriptor_load(desc, offsets)


def store_tensor_descriptor(desc: Any, offsets: object, value: object) -> None:
    pointers.descriptor_store(desc, offsets, value)


def _atomic(kind: str, pointer: object, val: object, mask: object, compared: object = None) -> Value:
    require(
        isinstance(pointer, (Pointer, PointerBlock)), f"bl.atomic_{kind} changes what a raw pointer points to, not a {describe(pointer)}."
    )
    bitwise = kind in ("and", "or", "xor")
    require(not (bitwise and pointer.dtype is float32), f"bl.atomic_{kind} is for integers, not for a {describe(pointer)}.")
    target = pointers.as_block_of_pointers(pointer)
    value = _spread_to(target, val, "val")
    looked_for = value if compared is None else _spread_to(target, compared, "cmp")
    pointers.FACTS.get().stored.add(pointer.name)
    type_ = block_type(target.shape, target.dtype)
    wanted = pointers.mask_of(mask, target.shape)
    op = shapes.Atomic(type_, target.value, looked_for.value, value.value, wanted, ir.StringAttr.get(kind))
    result = Block(target.dtype, target.shape, op.result)
    return result if isinstance(pointer, PointerBlock) else _without(result, 0)


def _spread_to(target: PointerBlock, value: object, what: str) -> Block:
    """A value for each address, of the type that is there."""
    there = as_block(value) if isinstance(value, (Block, Product)) else materialise(value, what)
    fits = common_shape(getattr(there, "shape", ()), target.shape) == target.shape
    require(fits, f"{what} is a {describe(there)}, which does not go through a {describe(target)}.")
    return arithmetic.spread(cast(there, target.dtype), target.shape)


def atomic_add(pointer: object, val: object, mask: object = None, sem: object = None, scope: object = None) -> Value:
    return _atomic("add", pointer, val, mask)


def atomic_max(pointer: object, val: object, mask: object = None, sem: object = None, scope: object = None) -> Value:
    return _atomic("max", pointer, val, mask)


def atomic_min(pointer: object, val: object, mask: object = None, sem: object = None, scope: object = None) -> Value:
    return _atomic("min", pointer, val, mask)


def atomic_and(pointer: object, val: object, mask: object = None, sem: object = None, scope: object = None) -> Value:
    return _atomic("and", pointer, val, mask)


def atomic_or(pointer: object, val: object, mask: object = None, sem: object = None, scope: object = None) -> Value:
    return _atomic("or", pointer, val, mask)


def atomic_xor(pointer: object, val: object, mask: object = None, sem: object = None, scope: object = None) -> Value:
    return _atomic("xor", pointer, val, mask)


def atomic_xchg(pointer: object, val: object, mask: object = None, sem: object = None, scope: object = None) -> Value:
    return _atomic("xchg", pointer, val, mask)


def atomic_cas(pointer: object, cmp: object, val: object, sem: object = None, scope: object = None) -> Value:
    return _atomic("cas", pointer, val, None, cmp)


def atomic_load(pointer: object, mask: object = None, sem: object = None, scope: object = None) -> Value:
    return pointers.load(pointer, mask)


def atomic_store(pointer: object, val: object, mask: object = None, sem: object = None, scope: object = None) -> None:
    pointers.store(pointer, val, mask)


# Hints and checks ------------------------------------------------------------------------------------------------------------------------


def multiple_of(input: object, values: object) -> object:
    return input


def max_contiguous(input: object, values: object) -> object:
    return input


def max_constancy(input: object, values: object) -> object:
    return input


def assume(cond: object) -> None:
    pass


def condition(arg1: object, disable_licm: object = False) -> object:
    return arg1


def expect_zero(x: object, mask: object) -> object:
    return x


def debug_barrier() -> None:
    pass


def device_assert(cond: object, msg: object = "", mask: object = None) -> None:
    require(isinstance(msg, str), f"the message of device_assert is a text, not a {describe(msg)}.")
    truth = cast(as_block(cond) if isinstance(cond, Product) else cond, int1)
    if mask is not None:
        truth = binary("|", truth, arithmetic.unary("not", mask))
    if knobs.debug.value:
        shapes.Assert(truth.value, ir.StringAttr.get(f"device assertion failed{f': {msg}' if msg else ''}"))
