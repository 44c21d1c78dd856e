"""What each function of :mod:`baco.language` does when its kernel is interpreted: one function each, under the same name.

Their faults are :class:`SemanticError` with one sentence, as those of :mod:`baco.lang.semantic`; the interpreter adds the line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from baco.lang import interpreter_values as values
from baco.lang.errors import SemanticError
from baco.lang.interpreter_values import Block, BlockPointer, Descriptor, Memory, Pointer
from baco.lang.language import INTERPRETER
from baco.lang.types import DType, int32

BUILTINS: dict[str, Callable[..., Any]] = {}
"""The functions of :mod:`baco.language` by name; with the same parameters."""


class StaticAssertion(SemanticError):
    """A static_assert that does not hold."""


def meaning(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function the meaning of the builtin it is named after."""
    BUILTINS[function.__name__] = function
    return function


@meaning
def program_id(axis: int) -> int:
    return INTERPRETER.get().instance[_axis(axis)]


@meaning
def num_programs(axis: int) -> int:
    return INTERPRETER.get().grid[_axis(axis)]


def _axis(axis: Any) -> int:
    if axis not in (0, 1, 2):
        raise SemanticError(f"axis must be 0, 1 or 2, not {values.describe(axis)}.")
    return axis


@meaning
def make_block_ptr(base: Any, shape: Any, strides: Any, offsets: Any, block_shape: Any, order: Any = (1, 0)) -> BlockPointer:
    memory = _array(base)
    sizes = values.integers(shape, None, "shape")
    rank = len(sizes)
    if sorted(values.integers(order, rank, "order")) != list(range(rank)):
        raise SemanticError(f"order must list each of the {rank} dimensions once, not {order!r}.")
    return BlockPointer(
        memory,
        sizes,
        values.integers(strides, rank, "strides"),
        values.integers(offsets, rank, "offsets"),
        _extents(block_shape, rank, "block_shape"),
    )


def _array(base: Any) -> Memory:
    if not isinstance(base, Pointer) or base.shape or base.offsets:
        raise SemanticError(f"base must be a pointer argument of the kernel, not a {values.describe(base)}.")
    return base.memory


def _extents(shape: Any, rank: int | None, what: str) -> tuple[int, ...]:
    sizes = values.integers(shape, rank, what)
    if any(s < 1 for s in sizes):
        raise SemanticError(f"{what} must be positive, but is {sizes}.")
    return sizes


@meaning
def make_tensor_descriptor(base: Any, shape: Any, strides: Any, block_shape: Any) -> Descriptor:
    sizes = values.integers(shape, None, "shape")
    return Descriptor(
        _array(base), sizes, values.integers(strides, len(sizes), "strides"), _extents(block_shape, len(sizes), "block_shape")
    )


@meaning
def advance(base: Any, offsets: Any) -> BlockPointer:
    if not isinstance(base, BlockPointer):
        raise SemanticError(f"bl.advance moves a block pointer, not a {values.describe(base)}.")
    return base.advance(offsets)


_GPU_ONLY = ("cache_modifier", "eviction_policy", "volatile")


def _refuse_gpu(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if name not in _GPU_ONLY:
            raise SemanticError(f"there is no argument {name!r} here.")
        if value:
            raise SemanticError(f"{name} has no meaning on Gemmini, which has no caches; leave it out.")


def _checked(boundary_check: Any, rank: int) -> tuple[int, ...]:
    axes = values.integers((boundary_check,) if isinstance(boundary_check, int) else boundary_check, None, "boundary_check")
    if any(not 0 <= a < rank for a in axes) or len(set(axes)) != len(axes):
        raise SemanticError(f"boundary_check must list distinct dimensions below {rank}, not {boundary_check!r}.")
    return axes


@meaning
def load(pointer: Any, mask: Any = None, other: Any = None, boundary_check: Any = (), padding_option: str = "", **gpu: Any) -> Any:
    _refuse_gpu(gpu)
    if isinstance(pointer, BlockPointer):
        if mask is not None or other is not None:
            raise SemanticError("mask and other belong to raw pointers; with a block pointer use boundary_check.")
        if padding_option not in ("", "zero"):
            raise SemanticError(f"padding_option must be 'zero', not {padding_option!r}.")
        return values.load_block(pointer, _checked(boundary_check, len(pointer.shape)))
    _raw(pointer, "bl.load reads through")
    outside = 0 if other is None else other.data if isinstance(other, Block) else other
    elements = pointer.memory.read(pointer.offsets, _wanted(mask, pointer), outside)
    return Block(elements) if pointer.shape else elements.item()


@meaning
def store(pointer: Any, value: Any, mask: Any = None, boundary_check: Any = (), **gpu: Any) -> None:
    _refuse_gpu(gpu)
    if isinstance(pointer, BlockPointer):
        if mask is not None:
            raise SemanticError("mask belongs to raw pointers; with a block pointer use boundary_check.")
        values.store_block(pointer, value, _checked(boundary_check, len(pointer.shape)))
        return
    _raw(pointer, "bl.store writes through")
    if isinstance(value, Block):
        values.check_stored(pointer, value)
    elements = np.asarray(value.data if isinstance(value, Block) else value).astype(values.numpy_type(pointer.dtype))
    pointer.memory.write(pointer.offsets, _wanted(mask, pointer), elements)


def _raw(pointer: Any, what: str) -> None:
    if not isinstance(pointer, Pointer):
        raise SemanticError(f"{what} a block pointer or a raw pointer, not a {values.describe(pointer)}.")


def _wanted(mask: Any, pointer: Pointer) -> np.ndarray:
    wanted = np.asarray(True if mask is None else mask.data if isinstance(mask, Block) else mask)
    if wanted.dtype != bool:
        raise SemanticError(f"a mask is made of comparisons, but this one is a {values.describe(mask)}.")
    return np.broadcast_to(wanted, pointer.shape)


@meaning
def zeros(shape: Any, dtype: DType) -> Block:
    return Block(np.zeros(_extents(shape, None, "shape"), values.numpy_type(_dtype(dtype))))


def _dtype(dtype: Any) -> DType:
    if not isinstance(dtype, DType):
        raise SemanticError(f"dtype must be an element type such as bl.int32, not {values.describe(dtype)}.")
    return dtype


@meaning
def dot(
    input: Any,
    other: Any,
    acc: Any = None,
    input_precision: Any = None,
    allow_tf32: Any = None,
    max_num_imprecise_acc: Any = None,
    out_dtype: DType = int32,
) -> Block:
    for name, given in (("input_precision", input_precision), ("allow_tf32", allow_tf32), ("max_num_imprecise_acc", max_num_imprecise_acc)):
        if given is not None:
            raise SemanticError(f"{name} is about floating point; Gemmini multiplies int8 exactly. Leave it out.")
    if out_dtype is not int32:
        raise SemanticError(f"Gemmini accumulates in int32, not {out_dtype}.")
    return values.dot(input, other, acc)


@meaning
def requantise(value: Any, scale: Any = 1.0, relu: bool = False) -> Block:
    if not isinstance(value, Block) or value.dtype is not int32:
        raise SemanticError(f"bl.gemmini.requantise takes an int32 block, not a {values.describe(value)}.")
    if isinstance(scale, bool) or not isinstance(scale, (int, float, np.floating)):
        raise SemanticError(f"scale must be a float, not {values.describe(scale)}.")
    if not 0 <= scale < 2**31:
        raise SemanticError(f"scale must be from 0 up to 2**31, where all implementations of Gemmini agree, but is {scale}.")
    scaled = np.rint(value.data.astype(np.float32) * np.float32(scale))
    return Block(np.clip(scaled, 0 if relu else -128, 127).astype(np.int8))


@meaning
def static_assert(condition: Any, message: str = "") -> None:
    if not condition:
        raise StaticAssertion(f"static_assert failed{f': {message}' if message else ''}.")


@meaning
def static_print(*shown: Any) -> None:
    if INTERPRETER.get().instance == (0, 0, 0):
        print(*(v if isinstance(v, str) else values.describe(v) for v in shown))
