"""What the functions of :mod:`baco.lang.standard` do when their kernel is interpreted: NumPy's own, where NumPy has them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from baco import knobs
from baco.lang.functions import ERF
from baco.lang.interpreter_builtins import BUILTINS, meaning, require
from baco.lang.interpreter_memory import Descriptor, Pointer
from baco.lang.interpreter_values import Block, binary, cast, common_shape, describe, materialise
from baco.lang.language import METHODS
from baco.lang.types import float32, int1, int32, int64


class DeviceAssertion(Exception):
    """A device_assert that does not hold; the interpreter adds the line."""


def _block(value: Any) -> Block:
    require(isinstance(value, Block) and bool(value.shape), f"this must be a block, not a {describe(value)}.")
    return value


def _axis(axis: Any, rank: int, what: str = "axis") -> int:
    ok = isinstance(axis, int) and not isinstance(axis, bool) and -rank <= axis < rank
    require(ok, f"{what} must be from {-rank} to {rank - 1}, not {describe(axis)}.")
    return axis % rank


# Shapes ----------------------------------------------------------------------------------------------------------------------------------


@meaning
def reshape(input: Any, *shape: Any, can_reorder: bool = False) -> Block:
    block = _block(input)
    size = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    ok = 1 <= len(size) <= 5 and all(isinstance(s, int) and s > 0 for s in size)
    require(ok, f"shape must be one to five positive compile-time integers, not {size!r}; declare block sizes as bl.constexpr.")
    wanted, there = math.prod(size), block.data.size
    require(wanted == there, f"a {describe(block)} has {there} elements, but shape {' x '.join(map(str, size))} has {wanted}.")
    return Block(block.data.reshape(size))


@meaning
def view(input: Any, *shape: Any) -> Block:
    return reshape(input, *shape)


@meaning
def ravel(x: Any, can_reorder: bool = False) -> Block:
    return Block(_block(x).data.reshape(-1))


@meaning
def squeeze(x: Any, dim: int) -> Block:
    block = _block(x)
    axis = _axis(dim, len(block.shape), "dim")
    require(block.shape[axis] == 1, f"dimension {axis} of a {describe(block)} is {block.shape[axis]} elements long, not 1.")
    return Block(block.data.squeeze(axis))


@meaning
def unsqueeze(x: Any, dim: int) -> Block:
    return BUILTINS["expand_dims"](x, dim)


@meaning
def broadcast(input: Any, other: Any) -> tuple[Block, Block]:
    left, right = _block(input), _block(other)
    shape = common_shape(left.shape, right.shape)
    return Block(np.broadcast_to(left.data, shape)), Block(np.broadcast_to(right.data, shape))


def _same_shape(name: str, left: Any, right: Any) -> tuple[np.ndarray, np.ndarray]:
    a, b = _block(left), _block(right)
    same = a.dtype is b.dtype and a.shape == b.shape
    require(same, f"bl.{name} takes two blocks of one type and shape, not {describe(a)} and {describe(b)}.")
    return a.data, b.data


@meaning
def join(a: Any, b: Any) -> Block:
    return Block(np.stack(_same_shape("join", a, b), -1))


@meaning
def split(a: Any) -> tuple[Block, Block]:
    block = _block(a)
    require(block.shape[-1] == 2, f"bl.split takes a block whose last dimension has size 2, not a {describe(block)}.")
    return Block(block.data[..., 0]), Block(block.data[..., 1])


@meaning
def interleave(a: Any, b: Any) -> Block:
    left, right = _same_shape("join", a, b)
    return Block(np.stack([left, right], -1).reshape(*left.shape[:-1], -1))


@meaning
def cat(input: Any, other: Any, can_reorder: bool = False, dim: int = 0) -> Block:
    left, right = _same_shape("cat", input, other)
    return Block(np.concatenate([left, right], _axis(dim, left.ndim, "dim")))


@meaning
def flip(x: Any, dim: int | None = None) -> Block:
    block = _block(x)
    return Block(np.flip(block.data, _axis(-1 if dim is None else dim, len(block.shape), "dim")))


# Looking up and sorting ------------------------------------------------------------------------------------------------------------------


@meaning
def gather(src: Any, index: Any, axis: int) -> Block:
    source, places = _block(src), _block(index)
    place = _axis(axis, len(source.shape))
    require(places.dtype not in (int1, float32), f"index must be a block of integers, not a {describe(places)}.")
    others = [(s, i) for d, (s, i) in enumerate(zip(source.shape, places.shape, strict=False)) if d != place]
    ok = len(places.shape) == len(source.shape) and all(s == i for s, i in others)
    require(ok, f"index must have the shape of src but along axis {place}; they are {describe(places)} and {describe(source)}.")
    inside = (places.data >= 0) & (places.data < source.shape[place])
    found = np.take_along_axis(source.data, np.where(inside, places.data, 0), place)
    return Block(np.where(inside, found, np.zeros_like(found)))


@meaning
def histogram(input: Any, num_bins: int, mask: Any = None) -> Block:
    block = _block(input)
    ok = len(block.shape) == 1 and block.dtype not in (int1, float32)
    require(ok, f"bl.histogram counts a one-dimensional block of integers, not a {describe(block)}.")
    wanted = (block.data >= 0) & (block.data < num_bins)
    if mask is not None:
        wanted &= cast(_block(mask), int1).data
    return Block(np.bincount(block.data[wanted].astype(np.int64), minlength=num_bins).astype(np.int32))


def _sorted(name: str, x: Any, dim: Any, descending: Any) -> np.ndarray:
    block = _block(x)
    last = len(block.shape) - 1
    require(dim is None or _axis(dim, last + 1, "dim") == last, f"bl.{name} sorts along the last dimension, {last}, not {dim}.")
    require(isinstance(descending, (bool, int)), f"descending must be True or False at compile time, not {describe(descending)}.")
    order = np.sort(block.data, -1)
    return np.flip(order, -1) if descending else order


@meaning
def sort(x: Any, dim: int | None = None, descending: bool = False) -> Block:
    return Block(_sorted("sort", x, dim, descending))


@meaning
def topk(x: Any, k: int, dim: int | None = None, descending: bool = True) -> Block:
    order = _sorted("topk", x, dim, descending)
    require(isinstance(k, int) and 0 < k <= order.shape[-1], f"k is {k}, but the last dimension has {order.shape[-1]} elements.")
    return Block(order[..., :k])


# Arithmetic ------------------------------------------------------------------------------------------------------------------------------


@meaning
def add(x: Any, y: Any, sanitize_overflow: bool = True) -> Any:
    return x + y


@meaning
def sub(x: Any, y: Any, sanitize_overflow: bool = True) -> Any:
    return x - y


@meaning
def mul(x: Any, y: Any, sanitize_overflow: bool = True) -> Any:
    return x * y


@meaning
def fma(x: Any, y: Any, z: Any) -> Any:
    if not any(isinstance(v, float) or (isinstance(v, Block) and v.dtype is float32) for v in (x, y, z)):
        return x * y + z
    # The product of two float32 is exact in a long double, so that there is one rounding but for the rarest of cases.
    a, b, c = (cast(v, float32).data.astype(np.longdouble) for v in (x, y, z))
    with np.errstate(all="ignore"):
        return Block((a * b + c).astype(np.float32))


@meaning
def fdiv(x: Any, y: Any, ieee_rounding: bool = False, approx: bool = False) -> Any:
    return x / y


@meaning
def div_rn(x: Any, y: Any) -> Any:
    return x / y


@meaning
def sqrt_rn(x: Any) -> Block:
    return BUILTINS["sqrt"](x)


@meaning
def clamp(x: Any, min: Any, max: Any, propagate_nan: str = "none") -> Any:
    return BUILTINS["minimum"](BUILTINS["maximum"](x, min, propagate_nan), max, propagate_nan)


@meaning
def erf(x: Any) -> Block:
    p, coefficients = ERF
    value = cast(x, float32)
    size = abs(value)
    t = 1.0 / fma(size, p, 1.0)
    total: Any = 0.0
    for coefficient in reversed(coefficients):
        total = (total + coefficient) * t
    positive = 1.0 - total * BUILTINS["exp"](-(size * size))
    return BUILTINS["where"](value < 0.0, -positive, positive)


@meaning
def softmax(x: Any, dim: int | None = None, *, keep_dims: bool | None = None, ieee_rounding: bool = False) -> Block:
    block = cast(_block(x), float32)
    axis = _axis(0 if dim is None else dim, len(block.shape), "dim")
    powers = BUILTINS["exp"](block - BUILTINS["max"](block, axis, keep_dims=True))
    return powers / BUILTINS["sum"](powers, axis, keep_dims=True)


@meaning
def swizzle2d(i: Any, j: Any, size_i: Any, size_j: Any, size_g: Any) -> tuple[Any, Any]:
    number, group = i * size_j + j, size_g * size_j
    first = number // group * size_g
    rows = BUILTINS["minimum"](size_i - first, size_g)
    inside = number % group
    return first + inside % rows, inside // rows


@meaning
def to_tensor(x: Any) -> Any:
    return materialise(x) if isinstance(x, (bool, int, float)) else x


# Reductions and scans --------------------------------------------------------------------------------------------------------------------


def _parts(name: str, input: Any, combine: Any) -> tuple[list[np.ndarray], bool]:
    require(callable(combine), f"bl.{name} combines by a @baco.jit function, not by a {describe(combine)}.")
    several = isinstance(input, (tuple, list))
    parts = [_block(p) for p in (input if several else (input,))]
    require(len({p.shape for p in parts}) == 1, f"the blocks of bl.{name} must have one shape, not {', '.join(map(describe, parts))}.")
    return [p.data for p in parts], several


def _combined(name: str, combine: Callable[..., Any], left: list[np.ndarray], right: list[np.ndarray]) -> list[np.ndarray]:
    given = combine(*map(Block, left), *map(Block, right))
    result = list(given) if isinstance(given, (tuple, list)) else [given]
    ok = len(result) == len(left) and all(isinstance(v, Block) for v in result)
    require(ok, f"the function of bl.{name} must return {len(left)} value{'s' * (len(left) > 1)} computed from its arguments.")
    for old, new in zip(left, result, strict=True):
        same = old.dtype == new.data.dtype and old.shape == new.shape
        require(same, f"the function of bl.{name} turns a {describe(Block(old))} into a {describe(new)}; it must keep the type.")
    return [v.data for v in result]


@meaning
def reduce(input: Any, axis: int | None, combine_fn: Callable[..., Any], keep_dims: bool = False) -> Any:
    parts, several = _parts("reduce", input, combine_fn)
    if axis is None:
        require(not keep_dims, "keep_dims needs an axis.")
        parts, place = [p.reshape(-1) for p in parts], 0
    else:
        place = _axis(axis, parts[0].ndim)
    parts = [np.moveaxis(p, place, 0) for p in parts]
    waiting: list[list[np.ndarray]] = []  # neighbours are combined, as the compiled kernel does it, so that floats round alike
    while len(parts[0]) > 1:
        even = len(parts[0]) // 2 * 2
        if even < len(parts[0]):
            waiting.append([p[-1:] for p in parts])
        parts = _combined("reduce", combine_fn, [p[:even:2] for p in parts], [p[1:even:2] for p in parts])
    for last in reversed(waiting):
        parts = _combined("reduce", combine_fn, parts, last)
    results = tuple(Block(np.moveaxis(p, 0, place) if keep_dims else p[0]) for p in parts)
    return results if several else results[0]


@meaning
def associative_scan(input: Any, axis: int, combine_fn: Callable[..., Any], reverse: bool = False) -> Any:
    parts, several = _parts("associative_scan", input, combine_fn)
    place = _axis(axis, parts[0].ndim)
    parts = [np.moveaxis(p, place, 0)[:: -1 if reverse else 1] for p in parts]
    reach = 1
    while reach < len(parts[0]):  # as the compiled kernel does it
        more = _combined("associative_scan", combine_fn, [p[:-reach] for p in parts], [p[reach:] for p in parts])
        parts = [np.concatenate([p[:reach], m]) for p, m in zip(parts, more, strict=True)]
        reach *= 2
    results = tuple(Block(np.moveaxis(p[:: -1 if reverse else 1], 0, place)) for p in parts)
    return results if several else results[0]


def _running(input: Any, axis: int, reverse: bool, dtype: Any, op: str) -> Block:
    block = _block(input)
    block = cast(block, dtype if dtype is not None else block.dtype if block.dtype in (int32, int64, float32) else int32)
    return associative_scan(block, axis, functools.partial(binary, op), reverse)


@meaning
def cumsum(input: Any, axis: int = 0, reverse: bool = False, dtype: Any = None) -> Block:
    return _running(input, axis, reverse, dtype, "+")


@meaning
def cumprod(input: Any, axis: int = 0, reverse: bool = False, dtype: Any = None) -> Block:
    return _running(input, axis, reverse, dtype, "*")


@meaning
def argmax(input: Any, axis: int | None, tie_break_left: bool = True, keep_dims: bool = False) -> Block:
    return where_best(input, axis, keep_dims, np.argmax)


@meaning
def argmin(input: Any, axis: int | None, tie_break_left: bool = True, keep_dims: bool = False) -> Block:
    return where_best(input, axis, keep_dims, np.argmin)


def where_best(input: Any, axis: int | None, keep_dims: bool, find: Callable[..., Any]) -> Block:
    """The first place of the largest or smallest element."""
    block = _block(input)
    require(axis is not None or not keep_dims, "keep_dims needs an axis.")
    place = None if axis is None else _axis(axis, len(block.shape))
    return Block(np.asarray(find(block.data, axis=place, keepdims=keep_dims)).astype(np.int32))


def _bits(name: str, input: Any, axis: int | None, keep_dims: bool, function: np.ufunc) -> Block:
    block = _block(input)
    require(block.dtype is not float32, f"bl.{name} is for integers, not for a {describe(block)}.")
    place = None if axis is None else _axis(axis, len(block.shape))
    return Block(np.asarray(function.reduce(block.data, axis=place, keepdims=keep_dims)).astype(block.data.dtype))


@meaning
def xor_sum(input: Any, axis: int | None = None, keep_dims: bool = False) -> Block:
    return _bits("xor_sum", input, axis, keep_dims, np.bitwise_xor)


@meaning
def reduce_or(input: Any, axis: int | None, keep_dims: bool = False) -> Block:
    return _bits("reduce_or", input, axis, keep_dims, np.bitwise_or)


# Memory ----------------------------------------------------------------------------------------------------------------------------------


@meaning
def load_tensor_descriptor(desc: Any, offsets: Any) -> Block:
    require(isinstance(desc, Descriptor), f"this must be a tensor descriptor, not a {describe(desc)}.")
    return desc.load(offsets)


@meaning
def store_tensor_descriptor(desc: Any, offsets: Any, value: Any) -> None:
    require(isinstance(desc, Descriptor), f"this must be a tensor descriptor, not a {describe(desc)}.")
    desc.store(offsets, value)


def _atomic(kind: str, pointer: Any, val: Any, mask: Any, after: Callable[[Any, Any, Any], Any], compared: Any = 0) -> Block:
    """One address after the other: memory becomes `after` what is there, the value, and what is looked for."""
    require(isinstance(pointer, Pointer), f"bl.atomic_{kind} changes what a raw pointer points to, not a {describe(pointer)}.")
    bitwise = kind in ("and", "or", "xor")
    require(not (bitwise and pointer.dtype is float32), f"bl.atomic_{kind} is for integers, not for a {describe(pointer)}.")
    given = (cast(val, pointer.dtype), cast(compared, pointer.dtype), cast(mask, int1))
    for block in given:
        fits = common_shape(block.shape, pointer.shape) == pointer.shape
        require(fits, f"a {describe(block)} does not go through a {pointer}.")
    values, looked_for, wanted = (np.broadcast_to(v.data, pointer.shape) for v in given)
    before = np.zeros(pointer.shape, pointer.memory.flat.dtype)
    with np.errstate(all="ignore"):
        for place in np.ndindex(pointer.shape):
            if wanted[place]:
                at, yes = pointer.offsets[place].reshape(1), np.array([True])
                before[place] = there = pointer.memory.read(at, yes)[0]
                pointer.memory.write(at, yes, np.asarray(after(there, values[place], looked_for[place])).reshape(1))
    return Block(before)


_AFTER: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda there, value, _: there + value,
    "max": lambda there, value, _: np.fmax(there, value),
    "min": lambda there, value, _: np.fmin(there, value),
    "and": lambda there, value, _: there & value,
    "or": lambda there, value, _: there | value,
    "xor": lambda there, value, _: there ^ value,
    "xchg": lambda _, value, __: value,
}


def _make_atomic(kind: str) -> None:
    def compute(pointer: Any, val: Any, mask: Any = None, sem: Any = None, scope: Any = None) -> Block:
        return _atomic(kind, pointer, val, True if mask is None else mask, _AFTER[kind])

    BUILTINS[f"atomic_{kind}"] = compute


for _kind in _AFTER:
    _make_atomic(_kind)


@meaning
def atomic_cas(pointer: Any, cmp: Any, val: Any, sem: Any = None, scope: Any = None) -> Block:
    return _atomic("cas", pointer, val, True, lambda there, value, wanted: value if there == wanted else there, cmp)


@meaning
def atomic_load(pointer: Any, mask: Any = None, sem: Any = None, scope: Any = None) -> Block:
    return BUILTINS["load"](pointer, mask)


@meaning
def atomic_store(pointer: Any, val: Any, mask: Any = None, sem: Any = None, scope: Any = None) -> None:
    BUILTINS["store"](pointer, val, mask)


# Hints and checks ------------------------------------------------------------------------------------------------------------------------


def _same(input: Any, values: Any) -> Any:
    return input


for _name in ("multiple_of", "max_contiguous", "max_constancy"):
    BUILTINS[_name] = _same


@meaning
def assume(cond: Any) -> None:
    pass


@meaning
def condition(arg1: Any, disable_licm: bool = False) -> Any:
    return arg1


@meaning
def expect_zero(x: Any, mask: Any) -> Any:
    return x


@meaning
def debug_barrier() -> None:
    pass


@meaning
def device_assert(cond: Any, msg: str = "", mask: Any = None) -> None:
    require(isinstance(msg, str), f"the message of device_assert is a text, not a {describe(msg)}.")
    truth = cast(cond, int1)
    if mask is not None:
        truth = truth | ~cast(mask, int1)
    if knobs.debug.value and not truth.data.all():
        raise DeviceAssertion(f"device assertion failed{f': {msg}' if msg else ''}.")


def _method(name: str) -> Callable[..., Any]:
    return lambda self, *arguments, **keywords: BUILTINS[name](self, *arguments, **keywords)


for _name in METHODS:
    setattr(Block, _name, _method(_name))


def _item(self: Block) -> Block:
    require(self.data.size == 1, f"item is for a block of one element, not for a {describe(self)}.")
    return Block(self.data.reshape(()))


Block.item = _item
Block.logical_and = lambda self, other: cast(self, int1) & cast(other, int1)
Block.logical_or = lambda self, other: cast(self, int1) | cast(other, int1)
