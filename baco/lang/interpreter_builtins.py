"""What each function of :mod:`baco.language` does when its kernel is interpreted: one function each, under the same name.

Their faults are :class:`SemanticError` with one sentence, as those of :mod:`baco.lang.semantic`; the interpreter adds the line.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from baco.lang import interpreter_values as values
from baco.lang.builtins import INTERPRETER
from baco.lang.errors import SemanticError
from baco.lang.interpreter_memory import BlockPointer, Descriptor, Memory, Pointer, load_block, store_block, to_store
from baco.lang.interpreter_values import Block, binary, cast, describe, integer, integers, materialise
from baco.lang.pooling import checked_pooling
from baco.lang.types import DType, float32, int1, int8, int32, int64

BUILTINS: dict[str, Callable[..., Any]] = {}
"""The functions of :mod:`baco.language` by name, with the same parameters."""


class StaticAssertion(SemanticError):
    """A static_assert that does not hold."""


def meaning(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function the meaning of the builtin it is named after; an underscore keeps it apart from Python's own."""
    BUILTINS[function.__name__.rstrip("_")] = function
    return function


def require(condition: bool, message: str) -> None:
    """Raise a SemanticError unless a condition holds."""
    if not condition:
        raise SemanticError(message)


def _block(value: Any) -> Block:
    require(isinstance(value, Block) and bool(value.shape), f"this must be a block, not a {describe(value)}.")
    return value


def _dtype(dtype: Any) -> DType:
    require(isinstance(dtype, DType), f"dtype must be an element type such as bl.int32, not {describe(dtype)}.")
    return dtype


def _shape(shape: Any, what: str) -> tuple[int, ...]:
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    ok = 1 <= len(sizes) <= 3 and all(isinstance(s, int) and not isinstance(s, bool) and s > 0 for s in sizes)
    require(ok, f"{what} must be one to three positive compile-time integers, not {shape!r}; declare block sizes as bl.constexpr.")
    return sizes


# The grid --------------------------------------------------------------------------------------------------------------------------------


@meaning
def program_id(axis: int) -> Block:
    return Block(np.int64(INTERPRETER.get().instance[_grid_axis(axis)]))


@meaning
def num_programs(axis: int) -> Block:
    return Block(np.int64(INTERPRETER.get().grid[_grid_axis(axis)]))


def _grid_axis(axis: Any) -> int:
    require(isinstance(axis, int) and axis in (0, 1, 2), f"axis must be 0, 1 or 2, not {describe(axis)}.")
    return axis


# Memory ----------------------------------------------------------------------------------------------------------------------------------


@meaning
def make_block_ptr(base: Any, shape: Any, strides: Any, offsets: Any, block_shape: Any, order: Any) -> BlockPointer:
    memory, start = _base(base)
    block = _shape(block_shape, "block_shape")
    rank = len(block)
    require(len(_axes(order, rank, "order")) == rank, f"order must list all {rank} dimensions, innermost first, not {order!r}.")
    sizes, steps, starts = (integers(v, rank, n) for v, n in ((shape, "shape"), (strides, "strides"), (offsets, "offsets")))
    return BlockPointer(memory, start, sizes, steps, starts, block)


@meaning
def make_tensor_descriptor(base: Any, shape: Any, strides: Any, block_shape: Any, padding_option: str = "zero") -> Descriptor:
    require(padding_option == "zero", f"padding_option must be 'zero', not {padding_option!r}.")
    memory, start = _base(base)
    block = _shape(block_shape, "block_shape")
    sizes, steps = (integers(v, len(block), n) for v, n in ((shape, "shape"), (strides, "strides")))
    require(steps[-1] == 1, f"strides[{len(block) - 1}] of a descriptor must be 1.")
    return Descriptor(memory, start, sizes, steps, block)


def _base(base: Any) -> tuple[Memory, int]:
    require(isinstance(base, Pointer) and not base.shape, f"base must be a pointer argument of the kernel, not a {describe(base)}.")
    return base.memory, int(base.offsets)


def _axes(axes: Any, rank: int, what: str) -> tuple[int, ...]:
    axes = (axes,) if isinstance(axes, int) else axes
    ok = isinstance(axes, (tuple, list)) and all(isinstance(a, int) and 0 <= a < rank for a in axes) and len(set(axes)) == len(axes)
    require(ok, f"{what} must list distinct dimensions below {rank}, not {axes!r}.")
    return tuple(axes)


@meaning
def advance(base: Any, offsets: Any) -> BlockPointer:
    require(isinstance(base, BlockPointer), f"bl.advance moves a block pointer, not a {describe(base)}.")
    return base.advance(offsets)


def _refuse_gpu(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        require(name in ("cache_modifier", "eviction_policy", "volatile"), f"there is no argument {name!r} here.")
        require(not value, f"{name} has no meaning on Gemmini, which has no caches; leave it out.")


@meaning
def load(pointer: Any, mask: Any = None, other: Any = None, boundary_check: Any = (), padding_option: str = "", **gpu: Any) -> Block:
    _refuse_gpu(gpu)
    if isinstance(pointer, Pointer):
        unchecked = not boundary_check and not padding_option
        require(unchecked, "boundary_check and padding_option belong to block pointers; here use mask and other.")
        outside = materialise(0 if other is None else other, "other", pointer.dtype).data
        values.common_shape(outside.shape, pointer.shape)
        return Block(pointer.memory.read(pointer.offsets, _wanted(mask, pointer), outside))
    require(isinstance(pointer, BlockPointer), f"bl.load reads through a pointer, not a {describe(pointer)}.")
    require(mask is None and other is None, "mask and other belong to raw pointers; with a block pointer use boundary_check.")
    require(padding_option in ("", "zero"), f"padding_option must be 'zero', not {padding_option!r}.")
    return load_block(pointer, _axes(boundary_check, len(pointer.shape), "boundary_check"))


@meaning
def store(pointer: Any, value: Any, mask: Any = None, boundary_check: Any = (), **gpu: Any) -> None:
    _refuse_gpu(gpu)
    if isinstance(pointer, Pointer):
        require(not boundary_check, "boundary_check belongs to block pointers; here use mask.")
        pointer.memory.write(pointer.offsets, _wanted(mask, pointer), to_store(value, pointer).data)
        return
    require(isinstance(pointer, BlockPointer), f"bl.store writes through a pointer, not a {describe(pointer)}.")
    require(mask is None, "mask belongs to raw pointers; with a block pointer use boundary_check.")
    store_block(pointer, value, _axes(boundary_check, len(pointer.shape), "boundary_check"))


def _wanted(mask: Any, pointer: Pointer) -> np.ndarray:
    truth = cast(True if mask is None else mask, int1).data
    values.common_shape(truth.shape, pointer.shape)
    return np.broadcast_to(truth, pointer.shape)


# Making and rearranging blocks -----------------------------------------------------------------------------------------------------------


@meaning
def arange(start: int, end: int) -> Block:
    ok = all(isinstance(v, int) and not isinstance(v, bool) for v in (start, end))
    require(ok, f"bl.arange takes compile-time integers, not {describe(start)} and {describe(end)}.")
    require(start < end, f"bl.arange({start}, {end}) would be empty.")
    return Block(np.arange(start, end, dtype=np.int32))


@meaning
def zeros(shape: Any, dtype: DType) -> Block:
    return full(shape, 0, dtype)


@meaning
def zeros_like(input: Any) -> Block:
    return Block(np.zeros_like(_block(input).data))


@meaning
def full(shape: Any, value: Any, dtype: DType) -> Block:
    number = materialise(value, "value", _dtype(dtype))
    require(not number.shape, f"value must be a number, not a {describe(value)}.")
    return Block(np.full(_shape(shape, "shape"), number.data))


@meaning
def cast_(input: Any, dtype: DType, fp_downcast_rounding: str | None = None, bitcast: bool = False) -> Block:
    require(fp_downcast_rounding is None, "fp_downcast_rounding is about floats narrower than float32, which are not here; leave it out.")
    if not bitcast:
        return cast(input, dtype)
    block = materialise(input)
    same = block.dtype.bits == _dtype(dtype).bits
    require(same, f"bitcast keeps the bits, but {block.dtype} has {block.dtype.bits} of them and {dtype} {dtype.bits}.")
    return Block(block.data.view(values.numpy_type(dtype)))


@meaning
def expand_dims(input: Any, axis: int) -> Block:
    if isinstance(axis, (tuple, list)):
        for one in sorted(axis):
            input = expand_dims(input, one)
        return input
    rank = len(_block(input).shape)
    require(
        isinstance(axis, int) and not isinstance(axis, bool) and -rank - 1 <= axis <= rank,
        f"axis must be from {-rank - 1} to {rank}, not {describe(axis)}.",
    )
    return Block(np.expand_dims(input.data, axis))


@meaning
def broadcast_to(input: Any, shape: Any) -> Block:
    block, size = _block(input), _shape(shape, "shape")
    fits = values.common_shape(block.shape, size) == size
    require(fits, f"a {describe(block)} cannot be repeated to {' x '.join(map(str, size))}.")
    return Block(np.broadcast_to(block.data, size))


@meaning
def trans(input: Any, *dims: Any) -> Block:
    block = _block(input)
    rank = len(block.shape)
    order = tuple(dims[0]) if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims
    if not order:
        return block.T
    require(sorted(order) == list(range(rank)), f"bl.trans: {order} is not an order of {rank} dimensions.")
    return Block(block.data.transpose(order))


@meaning
def permute(input: Any, *dims: Any) -> Block:
    return trans(input, *dims)


# Arithmetic ------------------------------------------------------------------------------------------------------------------------------


@meaning
def where(condition: Any, x: Any, y: Any) -> Block:
    truth = cast(condition, int1).data
    if not isinstance(x, Block) and not isinstance(y, Block):
        x = materialise(x, dtype=float32 if isinstance(y, float) else None)
    a, b = values.meet("where", x, y)
    values.common_shape(truth.shape, a.shape, b.shape)
    return Block(np.where(truth, a, b))


@meaning
def minimum(x: Any, y: Any, propagate_nan: str = "none") -> Any:
    return _of_two("min", x, y, propagate_nan)


@meaning
def maximum(x: Any, y: Any, propagate_nan: str = "none") -> Any:
    return _of_two("max", x, y, propagate_nan)


def _of_two(op: str, x: Any, y: Any, propagate_nan: str) -> Any:
    """The smaller or larger of two values; Python's own on compile-time numbers."""
    require(propagate_nan in ("none", "all"), f"propagate_nan must be bl.PropagateNan.NONE or ALL, not {describe(propagate_nan)}.")
    if not isinstance(x, Block) and not isinstance(y, Block):
        return getattr(builtins, op)(x, y)
    return binary(f"{op} with NaN" if propagate_nan == "all" else op, x, y)


@meaning
def abs_(x: Any) -> Block:
    return builtins.abs(materialise(x))


def _function(name: str, function: Callable[[np.ndarray], np.ndarray]) -> None:
    """A function of float32, by name."""

    def compute(x: Any) -> Block:
        with np.errstate(all="ignore"):
            return Block(np.asarray(function(cast(x, float32).data)).astype(np.float32))

    BUILTINS[name] = compute


for _name in ("exp", "exp2", "log", "log2", "sqrt", "sin", "cos", "floor", "ceil"):
    _function(_name, getattr(np, _name))
_function("rsqrt", lambda x: np.float32(1) / np.sqrt(x))
_function("sigmoid", lambda x: np.float32(1) / (np.float32(1) + np.exp(-x)))


def _reduced(reduce: Callable[[np.ndarray, int], np.ndarray], block: Block, axis: int | None, keep_dims: bool) -> Block:
    """A reduction along an axis, or of everything from the last axis on."""
    rank = len(block.shape)
    if axis is None:
        data = block.data
        for place in reversed(range(rank)):
            data = reduce(data, place)
        return Block(data)
    require(isinstance(axis, int) and -rank <= axis < rank, f"axis must be from {-rank} to {rank - 1}, not {describe(axis)}.")
    result = reduce(block.data, axis % rank)
    return Block(np.expand_dims(result, axis % rank) if keep_dims else result)


@meaning
def sum_(input: Any, axis: int | None = None, keep_dims: bool = False, dtype: DType | None = None) -> Block:
    block = _block(input)
    block = cast(block, dtype if dtype is not None else block.dtype if block.dtype in (int32, int64, float32) else int32)
    in_order = lambda data, axis: np.add.accumulate(data, axis, dtype=data.dtype).take(-1, axis)  # noqa: E731  (as the host core adds)
    return _reduced(in_order, block, axis, keep_dims)


def _extreme(name: str, reduce: Callable[..., np.ndarray]) -> None:
    def compute(
        input: Any,
        axis: int | None = None,
        return_indices: bool = False,
        return_indices_tie_break_left: bool = True,
        keep_dims: bool = False,
    ) -> Any:
        best = _reduced(reduce, _block(input), axis, keep_dims)
        return (best, BUILTINS[f"arg{name}"](input, axis, keep_dims=keep_dims)) if return_indices else best

    BUILTINS[name] = compute


_extreme("max", np.fmax.reduce)
_extreme("min", np.fmin.reduce)


@meaning
def dot(
    input: Any,
    other: Any,
    acc: Any = None,
    input_precision: Any = None,
    allow_tf32: Any = None,
    max_num_imprecise_acc: Any = None,
    out_dtype: DType | None = None,
) -> Block:
    for name, given in (("input_precision", input_precision), ("allow_tf32", allow_tf32), ("max_num_imprecise_acc", max_num_imprecise_acc)):
        require(given is None, f"{name} is about imprecise floating point; here int8 is exact and float32 is float32. Leave it out.")
    result = values.dot(input, other, acc)
    require(out_dtype in (None, result.dtype), f"{input.dtype} products are summed in {result.dtype}, not {out_dtype}.")
    return result


@meaning
def gemmini_dot(
    input: Any, other: Any, acc: Any = None, transpose_a: Any = False, transpose_b: Any = False, dataflow: str | None = None
) -> Block:
    for name, flag in (("transpose_a", transpose_a), ("transpose_b", transpose_b)):
        require(isinstance(flag, bool), f"{name} must be True or False at compile time, not {describe(flag)}.")
    known = dataflow in (None, "weight_stationary", "output_stationary")
    require(known, f"dataflow is 'weight_stationary' or 'output_stationary', or None to leave it open, not {dataflow!r}.")
    a, b = (_block(v).T if swapped else _block(v) for v, swapped in ((input, transpose_a), (other, transpose_b)))
    require(a.dtype is int8 and b.dtype is int8, f"bl.gemmini.dot multiplies int8 blocks, not a {describe(a)} and a {describe(b)}.")
    return values.dot(a, b, acc)


@meaning
def requantise(value: Any, scale: Any = 1.0, relu: bool = False) -> Block:
    block = _block(value)
    require(block.dtype is int32, f"bl.gemmini.requantise takes an int32 block, not a {describe(block)}.")
    require(isinstance(relu, bool), f"relu must be True or False at compile time, not {describe(relu)}.")
    if isinstance(scale, (int, float)) and not isinstance(scale, bool):
        require(0 <= scale < 2**31, f"scale must be from 0 up to 2**31, where all implementations of Gemmini agree, but is {scale}.")
        scale = float(scale)
    factor = materialise(scale, "scale")
    require(factor.dtype is float32 and not factor.shape, f"scale must be a float, not {describe(scale)}.")
    with np.errstate(all="ignore"):
        scaled = np.nan_to_num(np.rint(block.data.astype(np.float32) * factor.data))
    return Block(np.clip(scaled, 0 if relu else -128, 127).astype(np.int8))


@meaning
def relu(input: Any) -> Block:
    block = _block(input)
    require(block.dtype in (int8, int32), f"bl.gemmini.relu takes an int8 or int32 block, not a {describe(block)}.")
    return Block(np.maximum(block.data, 0))


@meaning
def max_pool(input: Any, image: Any, size: Any, stride: Any = None, padding: Any = 0) -> Block:
    block = _block(input)
    made = checked_pooling(block.dtype, block.shape, image, size, stride, padding)
    channels = block.shape[1]
    pixels = block.data.reshape(made.rows, made.columns, channels)
    padded = np.pad(pixels, ((made.upper, made.upper), (made.left, made.left), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (made.size, made.size), axis=(0, 1))
    highest = windows[:: made.stride, :: made.stride].max((3, 4))
    return Block(highest.reshape(-1, channels))


# Compile time ----------------------------------------------------------------------------------------------------------------------------


@meaning
def static_assert(cond: Any, msg: str = "") -> None:
    require(not isinstance(cond, Block), "static_assert needs a compile-time condition; use device_assert.")
    if not cond:
        raise StaticAssertion(f"static_assert failed{f': {msg}' if msg else ''}.")


@meaning
def device_print(prefix: Any, *args: Any, hex: bool = False) -> None:
    require(not hex, "device_print writes decimal numbers; leave hex out.")
    instance = ", ".join(map(str, INTERPRETER.get().instance))
    for value in args:
        elements = value.data if isinstance(value, Block) else np.asarray(value)
        for place in np.ndindex(elements.shape):
            item = elements[place]
            text = f"{item:.6e}" if elements.dtype.kind == "f" else str(int(item))
            print(f"pid ({instance}) idx ({', '.join(map(str, place))}) {prefix} {text}")


@meaning
def static_print(*shown: Any, sep: str = " ", end: str = "\n", file: Any = None, flush: bool = False) -> None:
    if INTERPRETER.get().instance == (0, 0, 0):
        print(*(v if isinstance(v, str) else describe(v) for v in shown), sep=sep, end=end, file=file, flush=flush)


@meaning
def range_(
    arg1: Any,
    arg2: Any = None,
    step: Any = None,
    num_stages: int | None = None,
    loop_unroll_factor: int | None = None,
    disallow_acc_multi_buffer: bool = False,
    flatten: bool = False,
    warp_specialize: bool = False,
    disable_licm: bool = False,
) -> Any:
    for name, given in (("loop_unroll_factor", loop_unroll_factor), ("flatten", flatten), ("warp_specialize", warp_specialize)):
        require(not given, f"{name} is about a GPU's loops; leave it out (bl.static_range unrolls).")
    return _range(*(b for b in (arg1, arg2, step) if b is not None))


# Python's own functions in a kernel ------------------------------------------------------------------------------------------------------


def _range(*bounds: Any) -> Any:
    """A loop's numbers, which are run-time numbers; those of ``bl.static_range`` are not."""
    limits = [integer(b, "a bound of range") for b in bounds]
    require(len(limits) < 3 or limits[2] >= 1, f"the step of range must be at least 1, but is {limits[-1] if limits else 0}.")
    return (Block(np.int64(i)) for i in range(*limits))


def _python(name: str) -> Callable[..., Any]:
    def choose(*arguments: Any, **keywords: Any) -> Any:
        if len(arguments) == 2 and not keywords and any(isinstance(a, Block) for a in arguments):
            return binary(name, *arguments)
        return getattr(builtins, name)(*arguments, **keywords)

    return choose


PYTHON = {"range": _range, "min": _python("min"), "max": _python("max")}
"""What these names mean in a kernel that has none of its own by that name."""
