"""What a kernel may call: ``import baco.language as bl``.

Names and argument order are Triton's. Every builtin works inside a ``@baco.jit`` kernel; `cdiv` also outside, for launch grids. Scalar
integers are 64-bit. The accelerator multiplies int8 blocks into int32 ones, moves blocks, and requantises; everything else runs on the
RISC-V host core inside the same kernel, and a remark says which lines those are.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Sequence
from typing import Any

from baco.lang import standard as _standard
from baco.lang.builtins import BUILTIN, builtin
from baco.lang.refused import REFUSED
from baco.lang.standard import *  # noqa: F403  (the rest of the language)
from baco.lang.types import DType, constexpr, float32, int1, int8, int16, int32, int64

__all__ = [
    *_standard.__all__,
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
    "math",
    "max",
    "maximum",
    "min",
    "minimum",
    "num_programs",
    "permute",
    "program_id",
    "range",
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
def make_tensor_descriptor(
    base: Any, shape: Sequence[Any], strides: Sequence[Any], block_shape: Sequence[int], padding_option: str = "zero"
) -> Any:
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
def cast(input: Any, dtype: DType, fp_downcast_rounding: str | None = None, bitcast: bool = False) -> Any:
    """The same values in another type; also ``x.to(dtype)``. With `bitcast` the same bits.

    Integers wrap; floats are truncated and saturate; anything but zero is true as an int1.
    """


@builtin
def expand_dims(input: Any, axis: int | Sequence[int]) -> Any:
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
def minimum(x: Any, y: Any, propagate_nan: str = _standard.NO_NAN) -> Any:
    """The smaller of two values, element by element; of a NaN and a number the number, or with ``bl.PropagateNan.ALL`` the NaN."""


@builtin
def maximum(x: Any, y: Any, propagate_nan: str = _standard.NO_NAN) -> Any:
    """The larger of two values, element by element; of a NaN and a number the number, or with ``bl.PropagateNan.ALL`` the NaN."""


@builtin
def sum(input: Any, axis: int | None = None, keep_dims: bool = False, dtype: DType | None = None) -> Any:
    """The sum along an axis, or of everything, in `dtype`; if it is not given, int8 and int16 are summed as int32."""


@builtin
def max(
    input: Any,
    axis: int | None = None,
    return_indices: bool = False,
    return_indices_tie_break_left: bool = True,
    keep_dims: bool = False,
) -> Any:
    """The largest element along an axis, or of all; with `return_indices` also where it lies, as `argmax`."""


@builtin
def min(
    input: Any,
    axis: int | None = None,
    return_indices: bool = False,
    return_indices_tie_break_left: bool = True,
    keep_dims: bool = False,
) -> Any:
    """The smallest element along an axis, or of all; with `return_indices` also where it lies, as `argmin`."""


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
def static_assert(cond: bool, msg: str = "") -> None:
    """Stop the compilation unless a compile-time condition holds."""


@builtin
def device_print(prefix: str, *args: Any, hex: bool = False) -> None:
    """Print run-time values from the running kernel: a line for each number and for each element of a block, with the program
    instance and the element's place. `hex` must be False."""


@builtin
def static_print(*values: object, sep: str = " ", end: str = "\n", file: Any = None, flush: bool = False) -> None:
    """Print compile-time values, and the types of the others, while the kernel is compiled; as Python's `print`."""


class static_range:
    """A range for a loop that is unrolled when the kernel is compiled: ``for i in bl.static_range(4)``."""

    def __init__(self, arg1: int, arg2: int | None = None, step: int | None = None) -> None:
        first, last = (0, arg1) if arg2 is None else (arg1, arg2)
        self.values = builtins.range(first, last, 1 if step is None else step)

    def __iter__(self) -> Iterator[int]:
        return iter(self.values)


@builtin
def range(
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
    """Python's `range`, in a ``for`` loop only, with what the compiler is to do with the loop.

    `num_stages` is how deep this loop's loads are buffered, in place of the launch's `num_stages`. The other options are a GPU's and
    must be left out; ``bl.static_range`` unrolls.
    """


def cdiv(x: Any, div: Any) -> Any:
    """`x` divided by `div`, rounded up."""
    return -(-x // div)


setattr(cdiv, BUILTIN, "cdiv")


def __getattr__(name: str) -> Any:
    reason = f" because {REFUSED[name]}" if name in REFUSED else ""
    raise AttributeError(f"baco.language has no {name!r}{reason}.")


class math:
    """Triton's other name for the functions of numbers: ``bl.math.exp`` is ``bl.exp``."""


for _name in (
    "abs",
    "ceil",
    "cos",
    "div_rn",
    "erf",
    "exp",
    "exp2",
    "fdiv",
    "floor",
    "fma",
    "log",
    "log2",
    "rsqrt",
    "sin",
    "sqrt",
    "sqrt_rn",
):
    setattr(math, _name, staticmethod(globals()[_name]))

METHODS = (
    *("abs", "argmax", "argmin", "associative_scan", "broadcast_to", "cast", "cdiv", "ceil", "cos", "cumprod", "cumsum", "erf", "exp"),
    *(
        "exp2",
        "expand_dims",
        "flip",
        "floor",
        "gather",
        "histogram",
        "log",
        "log2",
        "max",
        "min",
        "permute",
        "ravel",
        "reduce",
        "reduce_or",
    ),
    *("reshape", "rsqrt", "sigmoid", "sin", "softmax", "sort", "split", "sqrt", "sqrt_rn", "sum", "trans", "view", "xor_sum"),
)
"""Functions that a block also has as methods, as in Triton; besides these `to`, `item`, `logical_and` and `logical_or`."""


class gemmini:
    """What Gemmini does beyond Triton, kept apart so that portable kernels stay portable.

    What needs no name of its own is not here: a column-major block pointer, or ``bl.trans`` of a block, that a product takes is transposed
    on its way into the array where `bl.gemmini.dot` would do so.
    """

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
    def gemmini_dot(
        input: Any, other: Any, acc: Any = None, transpose_a: bool = False, transpose_b: bool = False, dataflow: str | None = None
    ) -> Any:
        """``bl.dot`` of two int8 blocks, saying how the array does it; ``acc += bl.gemmini.dot(a, b)`` works as well.

        `transpose_a` and `transpose_b` take a block with its dimensions swapped, as ``bl.trans`` does: one of them is transposed on its
        way into the array, where the hardware has its transposer (``weight_stationary_only`` is false), else on the host core.

        `dataflow` is a hint: "weight_stationary" keeps a DIM x DIM tile of `other` in the array while rows of `input` stream past, and adds
        each partial sum in the accumulator; it is what the compiler does anyway. "output_stationary" keeps a tile of sums in the array
        while the whole depth of the blocks streams past, and touches the accumulator once. Results are the same, as long as the
        sums of one product stay below 2**19: Gemmini's array has 20 bits for them, its simulators 32. A hint that the hardware, or a
        transposition, does not allow is dropped with a remark.
        """

    dot = gemmini_dot
    del gemmini_dot  # the name of its meaning, since that of bl.dot is another

    @staticmethod
    @builtin
    def max_pool(input: Any, image: Sequence[int], size: int, stride: int | None = None, padding: int | Sequence[int] = 0) -> Any:
        """The highest pixel of each window of an int8 image, channel by channel, on the image's way out to DRAM.

        `input` holds `image` = (rows, columns) pixels row by row, one a row of the block, and has a column for each channel. The result
        has (rows + 2 * padding - size) // stride + 1 rows of pixels, and so for columns. `stride` is `size` if not given, `padding` one
        number or one for rows and one for columns. Pixels outside the image count as 0, as in the hardware: what a maximum over
        activations after a ReLU wants. Window, stride and padding go up to 3, rows and columns to 255: higher images are pooled in bands of
        whole rows that overlap; strips of wider ones are no rows of a matrix, and the host core rearranges them. Blocks that were loaded,
        or requantised, are pooled by the store; others on the host core.
        """
