"""What a kernel may call: ``import baco.language as bl``.

Names and argument order are Triton's. Every builtin works inside a ``@baco.jit`` kernel; `cdiv` also outside, for launch grids. Scalar
integers are 64-bit. The accelerator multiplies int8 blocks into int32 ones, moves blocks, and requantises; everything else runs on the
RISC-V host core inside the same kernel, and a remark says which lines those are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from baco.lang.errors import OutsideKernel
from baco.lang.types import DType, constexpr, float32, int1, int8, int16, int32, int64

__all__ = [
    "DType",
    "abs",
    "advance",
    "arange",
    "broadcast_to",
    "cast",
    "cdiv",
    "ceil",
    "constexpr",
    "cos",
    "device_print",
    "dot",
    "exp",
    "exp2",
    "expand_dims",
    "float32",
    "floor",
    "full",
    "gemmini",
    "int1",
    "int8",
    "int16",
    "int32",
    "int64",
    "load",
    "log",
    "log2",
    "make_block_ptr",
    "make_tensor_descriptor",
    "max",
    "maximum",
    "min",
    "minimum",
    "num_programs",
    "permute",
    "program_id",
    "rsqrt",
    "sigmoid",
    "sin",
    "sqrt",
    "static_assert",
    "static_print",
    "static_range",
    "store",
    "sum",
    "trans",
    "where",
    "zeros",
    "zeros_like",
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

    `order` lists the dimensions from the innermost in memory outwards. Gemmini moves rows of contiguous elements: blocks whose last
    stride is 1 are moved by its DMA, others element by element by the host core.
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
    """The elements a pointer stands for.

    With a block pointer, dimensions in `boundary_check` are checked against the tensor's shape; elements outside it are zero. With a
    raw pointer or a block of them, elements where `mask` is not set are `other` (zero if not given) and are not read.
    """


@builtin
def store(
    pointer: Any, value: Any, mask: Any = None, boundary_check: Sequence[int] = (), cache_modifier: str = "", eviction_policy: str = ""
) -> None:
    """Write where a pointer points.

    With a block pointer, elements outside the tensor in the dimensions of `boundary_check` are not written; with raw pointers, elements
    where `mask` is not set.
    """


@builtin
def arange(start: int, end: int) -> Any:
    """The integers from `start` up to but without `end`, as a one-dimensional int32 block."""


@builtin
def zeros(shape: Sequence[int], dtype: DType) -> Any:
    """A block of zeros."""


@builtin
def zeros_like(input: Any) -> Any:
    """A block of zeros of the same shape and type."""


@builtin
def full(shape: Sequence[int], value: Any, dtype: DType) -> Any:
    """A block filled with one value."""


@builtin
def cast(input: Any, dtype: DType) -> Any:
    """The same values in another type; also ``x.to(dtype)``.

    Integers wrap; floats are truncated and saturate; anything but zero is true as an int1.
    """


@builtin
def expand_dims(input: Any, axis: int) -> Any:
    """One more dimension of size 1; also ``x[:, None]``."""


@builtin
def broadcast_to(input: Any, shape: Sequence[int]) -> Any:
    """A block repeated to a shape, as NumPy repeats dimensions of size 1."""


@builtin
def trans(input: Any, *dims: int) -> Any:
    """A two-dimensional block transposed, or the dimensions of any block in the order `dims`; also ``x.T``."""


@builtin
def permute(input: Any, *dims: int) -> Any:
    """The dimensions of a block in the order `dims`."""


@builtin
def where(condition: Any, x: Any, y: Any) -> Any:
    """`x` where the condition holds, `y` elsewhere."""


@builtin
def minimum(x: Any, y: Any) -> Any:
    """The smaller of two values, element by element."""


@builtin
def maximum(x: Any, y: Any) -> Any:
    """The larger of two values, element by element."""


@builtin
def sum(input: Any, axis: int | None = None, keep_dims: bool = False) -> Any:
    """The sum along an axis, or of everything; int8 and int16 are summed as int32."""


@builtin
def max(input: Any, axis: int | None = None, keep_dims: bool = False) -> Any:
    """The largest element along an axis, or of all."""


@builtin
def min(input: Any, axis: int | None = None, keep_dims: bool = False) -> Any:
    """The smallest element along an axis, or of all."""


@builtin
def abs(x: Any) -> Any:
    """The absolute value."""


@builtin
def exp(x: Any) -> Any:
    """e to the power of x, in float32."""


@builtin
def exp2(x: Any) -> Any:
    """2 to the power of x, in float32."""


@builtin
def log(x: Any) -> Any:
    """The natural logarithm, in float32."""


@builtin
def log2(x: Any) -> Any:
    """The logarithm to base 2, in float32."""


@builtin
def sqrt(x: Any) -> Any:
    """The square root, in float32."""


@builtin
def rsqrt(x: Any) -> Any:
    """One over the square root, in float32."""


@builtin
def sin(x: Any) -> Any:
    """The sine, in float32."""


@builtin
def cos(x: Any) -> Any:
    """The cosine, in float32."""


@builtin
def floor(x: Any) -> Any:
    """The largest whole number not above x, in float32."""


@builtin
def ceil(x: Any) -> Any:
    """The smallest whole number not below x, in float32."""


@builtin
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), in float32."""


@builtin
def dot(
    input: Any,
    other: Any,
    acc: Any = None,
    input_precision: Any = None,
    allow_tf32: Any = None,
    max_num_imprecise_acc: Any = None,
    out_dtype: DType | None = None,
) -> Any:
    """The matrix product of two int8 blocks as an int32 block, added to `acc` where given. ``acc += dot(a, b)`` is the same.

    Two float32 blocks are multiplied on the host core, into float32.
    """


@builtin
def static_assert(condition: bool, message: str = "") -> None:
    """Stop the compilation unless a compile-time condition holds."""


@builtin
def device_print(prefix: str, *values: Any) -> None:
    """Print run-time values from the running kernel: a line for each number and for each element of a block, with the program
    instance and the element's place."""


@builtin
def static_print(*values: object) -> None:
    """Print compile-time values, and the types of the others, while the kernel is compiled."""


class static_range:
    """A range for a loop that is unrolled when the kernel is compiled: ``for i in bl.static_range(4)``."""

    def __init__(self, *bounds: int) -> None:
        self.values = range(*bounds)

    def __iter__(self) -> Iterator[int]:
        return iter(self.values)


def cdiv(x: Any, div: Any) -> Any:
    """`x` divided by `div`, rounded up."""
    return -(-x // div)


setattr(cdiv, BUILTIN, "cdiv")


REFUSED = {
    "atomic_add": "program instances run one after the other, so load, add and store instead",
    "atomic_max": "program instances run one after the other, so load, compare and store instead",
    "atomic_cas": "program instances run one after the other, so load, compare and store instead",
    "debug_barrier": "a program instance is one thread",
    "inline_asm_elementwise": "there is no GPU assembly here",
    "multiple_of": "strides are compiled in where they are 1, and nothing else needs the hint",
    "max_contiguous": "strides are compiled in where they are 1, and nothing else needs the hint",
    "max_constancy": "nothing needs the hint",
    "assume": "nothing needs the hint",
    "float16": "the accelerator computes in int8 and int32, the host core in float32",
    "bfloat16": "the accelerator computes in int8 and int32, the host core in float32",
    "float64": "the accelerator computes in int8 and int32, the host core in float32",
    "rand": "there is no random number generator; pass random numbers in",
}
"""What Triton has and this machine has not, and why."""


def __getattr__(name: str) -> Any:
    reason = f" because {REFUSED[name]}" if name in REFUSED else ""
    raise AttributeError(f"baco.language has no {name!r}{reason}.")


class gemmini:
    """What Gemmini does beyond Triton, kept apart so that portable kernels stay portable."""

    @staticmethod
    @builtin
    def requantise(value: Any, scale: Any = 1.0, relu: bool = False) -> Any:
        """An int32 block as int8, on its way out of the accumulator, at no cost.

        One float32 product with `scale` (a number or a float argument), rounded half to even, clamped to [-128, 127]; negative
        values become 0 with `relu`. A result that is only stored, or pooled and stored, leaves in one move; one that something else needs
        goes out to DRAM and comes back.
        """

    @staticmethod
    @builtin
    def relu(input: Any) -> Any:
        """An int8 or int32 block with 0 for negative values.

        Of a requantised block, at no cost on its way out: ``relu(requantise(x, scale))`` is ``requantise(x, scale, relu=True)``. Of any
        other, on the host core. ReLU is the only activation that every Gemmini has; others are functions of float32 blocks.
        """

    @staticmethod
    @builtin
    def max_pool(input: Any, image: Sequence[int], size: int, stride: int | None = None, padding: int | Sequence[int] = 0) -> Any:
        """The highest pixel of each window of an int8 image, channel by channel, on the image's way out to DRAM.

        `input` holds `image` = (rows, columns) pixels row by row, one a row of the block, and has a column for each channel. The result
        has (rows + 2 * padding - size) // stride + 1 rows of pixels, and so for columns. `stride` is `size` if not given, `padding` one
        number or one for rows and one for columns. Pixels outside the image count as 0, as in the hardware: what a maximum over
        activations after a ReLU wants. Window, stride and padding go up to 3, rows and columns to 255: larger images are pooled in parts
        that overlap. Blocks that were loaded, or requantised, are pooled by the store; others on the host core.
        """
