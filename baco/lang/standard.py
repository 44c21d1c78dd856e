"""The part of :mod:`baco.language` that is made of the rest: Triton's standard functions, hints, and atomics on one core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from baco.lang.builtins import builtin
from baco.lang.types import DType

NO_NAN = "none"


class PropagateNan:
    """What minimum, maximum and clamp make of a NaN: with `NONE` the other operand, with `ALL` the NaN."""

    NONE = NO_NAN
    ALL = "all"


# Rearranging -----------------------------------------------------------------------------------------------------------------------------


@builtin
def reshape(input: Any, *shape: Any, can_reorder: bool = False) -> Any:
    """The same elements, in the same order, as a block of another shape. `can_reorder` is not used: elements keep their order."""


@builtin
def view(input: Any, *shape: Any) -> Any:
    """As `reshape`."""


@builtin
def ravel(x: Any, can_reorder: bool = False) -> Any:
    """The elements of a block as one dimension."""


@builtin
def squeeze(x: Any, dim: int) -> Any:
    """The block without a dimension of size 1."""


@builtin
def unsqueeze(x: Any, dim: int) -> Any:
    """As `expand_dims`."""


@builtin
def broadcast(input: Any, other: Any) -> Any:
    """Both blocks, repeated to the shape in which they meet."""


@builtin
def join(a: Any, b: Any) -> Any:
    """Two blocks as one with a last dimension of size 2."""


@builtin
def split(a: Any) -> Any:
    """The two halves of a block whose last dimension has size 2: what `join` joined."""


@builtin
def interleave(a: Any, b: Any) -> Any:
    """The elements of two blocks in turn, along the last dimension."""


@builtin
def cat(input: Any, other: Any, can_reorder: bool = False, dim: int = 0) -> Any:
    """Two blocks of the same shape, one after the other along a dimension."""


@builtin
def flip(x: Any, dim: int | None = None) -> Any:
    """The elements in reverse order along a dimension, the last if not given."""


@builtin
def gather(src: Any, index: Any, axis: int) -> Any:
    """The elements of `src` at the places along `axis` that `index` says; 0 for a place outside. It looks at every element for each."""


@builtin
def sort(x: Any, dim: int | None = None, descending: bool = False) -> Any:
    """The elements in order along the last dimension. It compares each with each; NaNs have no order."""


@builtin
def topk(x: Any, k: int, dim: int | None = None, descending: bool = True) -> Any:
    """The `k` largest elements along the last dimension in order, or the smallest if not `descending`."""


# Arithmetic ------------------------------------------------------------------------------------------------------------------------------


@builtin
def add(x: Any, y: Any, sanitize_overflow: bool = True) -> Any:
    """``x + y``. Integers wrap, `sanitize_overflow` or not."""


@builtin
def sub(x: Any, y: Any, sanitize_overflow: bool = True) -> Any:
    """``x - y``. Integers wrap, `sanitize_overflow` or not."""


@builtin
def mul(x: Any, y: Any, sanitize_overflow: bool = True) -> Any:
    """``x * y``. Integers wrap, `sanitize_overflow` or not."""


@builtin
def fma(x: Any, y: Any, z: Any) -> Any:
    """``x * y + z``, of floats with one rounding."""


@builtin
def fdiv(x: Any, y: Any, ieee_rounding: bool = False, approx: bool = False) -> Any:
    """``x / y`` of floats, always rounded to the nearest."""


@builtin
def div_rn(x: Any, y: Any) -> Any:
    """``x / y`` of floats, rounded to the nearest."""


@builtin
def sqrt_rn(x: Any) -> Any:
    """The square root, rounded to the nearest, as `sqrt` is."""


@builtin
def clamp(x: Any, min: Any, max: Any, propagate_nan: str = NO_NAN) -> Any:
    """`x`, but not below `min` nor above `max`."""


@builtin
def erf(x: Any) -> Any:
    """The error function, in float32, to within 5e-7."""


@builtin
def softmax(x: Any, dim: int | None = None, *, keep_dims: bool | None = None, ieee_rounding: bool = False) -> Any:
    """exp(x) over its sum along a dimension, the first if not given, computed from ``x - max(x)``."""


@builtin
def swizzle2d(i: Any, j: Any, size_i: Any, size_j: Any, size_g: Any) -> Any:
    """Row and column of a program instance, so that instances go down columns within each group of `size_g` rows."""


@builtin
def to_tensor(x: Any) -> Any:
    """A compile-time number as a run-time one."""


# Reductions and scans --------------------------------------------------------------------------------------------------------------------


@builtin
def reduce(input: Any, axis: int | None, combine_fn: Callable[..., Any], keep_dims: bool = False) -> Any:
    """What is left of an axis, or of all, when a kernel function combines neighbours again and again.

    `input` may be a tuple of blocks; `combine_fn` then takes the values of one place and those of another, and returns a tuple.
    """


@builtin
def associative_scan(input: Any, axis: int, combine_fn: Callable[..., Any], reverse: bool = False) -> Any:
    """Each element combined with all before it along an axis, or with all after it; `input` and `combine_fn` as in `reduce`."""


@builtin
def cumsum(input: Any, axis: int = 0, reverse: bool = False, dtype: DType | None = None) -> Any:
    """Running sums along an axis; int8 and int16 are summed as int32."""


@builtin
def cumprod(input: Any, axis: int = 0, reverse: bool = False, dtype: DType | None = None) -> Any:
    """Running products along an axis; int8 and int16 are multiplied as int32."""


@builtin
def argmax(input: Any, axis: int | None, tie_break_left: bool = True, keep_dims: bool = False) -> Any:
    """Where the largest element lies along an axis, or in the whole block, as int32; the first of several."""


@builtin
def argmin(input: Any, axis: int | None, tie_break_left: bool = True, keep_dims: bool = False) -> Any:
    """Where the smallest element lies along an axis, or in the whole block, as int32; the first of several."""


@builtin
def xor_sum(input: Any, axis: int | None = None, keep_dims: bool = False) -> Any:
    """The exclusive or of the integers along an axis, or of all."""


@builtin
def reduce_or(input: Any, axis: int | None, keep_dims: bool = False) -> Any:
    """The bitwise or of the integers along an axis, or of all."""


@builtin
def histogram(input: Any, num_bins: int, mask: Any = None) -> Any:
    """How many elements of a one-dimensional block of integers are 0, 1, ... `num_bins` - 1, where the mask is set; as int32."""


# Memory ----------------------------------------------------------------------------------------------------------------------------------


@builtin
def load_tensor_descriptor(desc: Any, offsets: Sequence[Any]) -> Any:
    """``desc.load(offsets)``."""


@builtin
def store_tensor_descriptor(desc: Any, offsets: Sequence[Any], value: Any) -> None:
    """``desc.store(offsets, value)``."""


@builtin
def atomic_add(pointer: Any, val: Any, mask: Any = None, sem: str | None = None, scope: str | None = None) -> Any:
    """Add to what a pointer, or each pointer of a block, points to; the value before.

    Program instances run one after the other on one core, so no order or scope (`sem`, `scope`) makes a difference. An address that
    a block names twice is changed twice. Where the mask is not set nothing is changed, and the result is 0.
    """


@builtin
def atomic_max(pointer: Any, val: Any, mask: Any = None, sem: str | None = None, scope: str | None = None) -> Any:
    """Keep the larger of `val` and what is there; otherwise as `atomic_add`."""


@builtin
def atomic_min(pointer: Any, val: Any, mask: Any = None, sem: str | None = None, scope: str | None = None) -> Any:
    """Keep the smaller of `val` and what is there; otherwise as `atomic_add`."""


@builtin
def atomic_and(pointer: Any, val: Any, mask: Any = None, sem: str | None = None, scope: str | None = None) -> Any:
    """The bitwise and of `val` and what is there; otherwise as `atomic_add`."""


@builtin
def atomic_or(pointer: Any, val: Any, mask: Any = None, sem: str | None = None, scope: str | None = None) -> Any:
    """The bitwise or of `val` and what is there; otherwise as `atomic_add`."""


@builtin
def atomic_xor(pointer: Any, val: Any, mask: Any = None, sem: str | None = None, scope: str | None = None) -> Any:
    """The exclusive or of `val` and what is there; otherwise as `atomic_add`."""


@builtin
def atomic_xchg(pointer: Any, val: Any, mask: Any = None, sem: str | None = None, scope: str | None = None) -> Any:
    """Put `val` there; otherwise as `atomic_add`."""


@builtin
def atomic_cas(pointer: Any, cmp: Any, val: Any, sem: str | None = None, scope: str | None = None) -> Any:
    """Put `val` where `cmp` is; the value before. Otherwise as `atomic_add`."""


@builtin
def atomic_load(pointer: Any, mask: Any = None, sem: str | None = None, scope: str | None = None) -> Any:
    """As `load`."""


@builtin
def atomic_store(pointer: Any, val: Any, mask: Any = None, sem: str | None = None, scope: str | None = None) -> None:
    """As `store`."""


# Hints and checks ------------------------------------------------------------------------------------------------------------------------


@builtin
def multiple_of(input: Any, values: Any) -> Any:
    """`input`. A promise that a GPU's compiler makes use of; this one reads what it needs from the kernel."""


@builtin
def max_contiguous(input: Any, values: Any) -> Any:
    """`input`; a promise as `multiple_of`."""


@builtin
def max_constancy(input: Any, values: Any) -> Any:
    """`input`; a promise as `multiple_of`."""


@builtin
def assume(cond: Any) -> None:
    """Nothing; a promise as `multiple_of`. Use `device_assert` to have it checked."""


@builtin
def condition(arg1: Any, disable_licm: bool = False) -> Any:
    """The condition of a ``while`` loop, as it is."""


@builtin
def expect_zero(x: Any, mask: Any) -> Any:
    """`x`, which should be zero where the mask is set."""


@builtin
def debug_barrier() -> None:
    """Nothing: a program instance is one thread, which waits for no other."""


@builtin
def device_assert(cond: Any, msg: str = "", mask: Any = None) -> None:
    """Stop the program where a run-time condition does not hold, with the message and the line; only with BACO_DEBUG=1.

    Of a block, every element whose `mask` is set must be true. On the CPU path the launch ends with the error after the kernel has run.
    """


__all__ = [n for n, value in list(globals().items()) if hasattr(value, "__baco_builtin__")] + ["PropagateNan"]
