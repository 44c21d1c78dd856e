"""What a kernel may call: ``import baco.language as bl``.

Names and argument order are Triton's. Every builtin works inside a ``@baco.jit`` kernel; `cdiv` also outside, for launch grids. Scalar
integers are 64-bit; blocks are two-dimensional, int8 in the scratchpad or int32 in the accumulator.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from baco.lang.errors import OutsideKernel
from baco.lang.types import DType, constexpr, float32, int8, int32, int64

__all__ = [
    "DType",
    "advance",
    "cdiv",
    "constexpr",
    "dot",
    "float32",
    "gemmini",
    "int8",
    "int32",
    "int64",
    "load",
    "make_block_ptr",
    "make_tensor_descriptor",
    "num_programs",
    "program_id",
    "static_assert",
    "static_print",
    "store",
    "zeros",
]

BUILTIN = "__baco_builtin__"
"""Marks a function that kernel code may call; its value is the name of the function in :mod:`baco.lang.semantic` that does it."""

INTERPRETER: ContextVar[Callable[[str, tuple[Any, ...], dict[str, Any]], Any] | None] = ContextVar("interpreter", default=None)
"""Does a builtin, given its name and arguments, while a kernel runs as plain Python; see :mod:`baco.lang.interpreter`."""


def builtin(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a builtin of a signature and a docstring: kernel code calls its namesake in :mod:`baco.lang.semantic`."""

    @functools.wraps(function)
    def outside(*arguments: object, **keywords: object) -> Any:
        interpreter = INTERPRETER.get()
        if interpreter is not None:
            return interpreter(function.__name__, arguments, keywords)
        raise OutsideKernel(f"{function.__qualname__} can only be called inside a @baco.jit kernel; launch the kernel instead.")

    setattr(outside, BUILTIN, function.__name__)
    return outside


@builtin
def program_id(axis: int) -> Any:
    """This program instance's index along grid axis 0, 1 or 2."""


@builtin
def num_programs(axis: int) -> Any:
    """How many program instances the launch grid has along axis 0, 1 or 2."""


@builtin
def make_block_ptr(
    base: Any, shape: Sequence[Any], strides: Sequence[Any], offsets: Sequence[Any], block_shape: Sequence[int], order: Sequence[int]
) -> Any:
    """A pointer to the block at `offsets` of the tensor that `base`, `shape` and `strides` (all in elements) describe.

    `order` lists the dimensions from the innermost in memory outwards; Gemmini moves rows, so it must be (1, 0) and the last stride 1.
    """


@builtin
def advance(base: Any, offsets: Sequence[Any]) -> Any:
    """A block pointer moved by `offsets` elements. It changes nothing in place: use the result."""


@builtin
def make_tensor_descriptor(base: Any, shape: Sequence[Any], strides: Sequence[Any], block_shape: Sequence[int]) -> Any:
    """A descriptor whose ``.load([i, j])`` and ``.store([i, j], value)`` move blocks at those offsets.

    Elements outside the tensor load as zero and are not stored. The last stride must be 1.
    """


@builtin
def load(
    pointer: Any,
    mask: Any = None,
    other: Any = None,
    boundary_check: Sequence[int] = (),
    padding_option: str = "",
    cache_modifier: str = "",
    eviction_policy: str = "",
    volatile: bool = False,
) -> Any:
    """The block a block pointer stands for.

    Dimensions in `boundary_check` are checked against the tensor's shape; elements outside it are zero.
    """


@builtin
def store(
    pointer: Any, value: Any, mask: Any = None, boundary_check: Sequence[int] = (), cache_modifier: str = "", eviction_policy: str = ""
) -> None:
    """Write a block where a block pointer points. In the dimensions of `boundary_check`, elements outside the tensor are not written."""


@builtin
def zeros(shape: Sequence[int], dtype: DType) -> Any:
    """A block of zeros."""


@builtin
def dot(
    input: Any,
    other: Any,
    acc: Any = None,
    input_precision: Any = None,
    allow_tf32: Any = None,
    max_num_imprecise_acc: Any = None,
    out_dtype: DType = int32,
) -> Any:
    """The matrix product of two int8 blocks as an int32 block, added to `acc` where given. ``acc += dot(a, b)`` is the same."""


@builtin
def static_assert(condition: bool, message: str = "") -> None:
    """Stop the compilation unless a compile-time condition holds."""


@builtin
def static_print(*values: object) -> None:
    """Print compile-time values, and the types of the others, while the kernel is compiled."""


def cdiv(x: Any, div: Any) -> Any:
    """`x` divided by `div`, rounded up."""
    return -(-x // div)


setattr(cdiv, BUILTIN, "cdiv")


class gemmini:
    """What Gemmini does beyond Triton, kept apart so that portable kernels stay portable."""

    @staticmethod
    @builtin
    def requantise(value: Any, scale: Any = 1.0, relu: bool = False) -> Any:
        """An int32 block as int8, on its way out of the accumulator, at no cost.

        One float32 product with `scale` (a number or a float argument), rounded half to even, clamped to [-128, 127]; negative
        values become 0 with `relu`. The result can be stored, nothing else.
        """
