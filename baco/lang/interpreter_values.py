"""The numbers and blocks of an interpreted kernel: NumPy arrays with the compiler's rules for types, shapes and operators.

A run-time number, such as an argument or ``bl.program_id(0)``, is a block without dimensions, so that it meets blocks by the same rules as
in :mod:`baco.lang.arithmetic`; numbers written in the kernel and compile-time arguments stay Python's own.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from baco.lang.errors import SemanticError
from baco.lang.types import BY_NAME, DType, float32, int1, int8, int32, int64

RANKED = list(BY_NAME.values())
"""Element types; operands of different types meet in the later one."""


def numpy_type(dtype: DType) -> np.dtype:
    """The NumPy type that holds an element type."""
    return np.dtype(bool) if dtype is int1 else np.dtype(dtype.name)


def dtype_of(array: np.ndarray) -> DType:
    """The element type that a NumPy type stands for."""
    return int1 if array.dtype == bool else BY_NAME[array.dtype.name]


def shape_text(shape: Sequence[int]) -> str:
    """A shape as messages show it."""
    return "x".join(map(str, shape))


class Block:
    """A block of elements, or one number. It never changes; operators make new ones.

    ``.data`` is its NumPy array. One number can also be used where Python wants one: in `if`, in `range`, in an f-string.
    """

    __array_ufunc__ = None  # NumPy scalars on the left leave operators to this class
    __hash__ = None

    def __init__(self, data: Any) -> None:
        self.data = np.asarray(data)

    @property
    def dtype(self) -> DType:
        return dtype_of(self.data)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def T(self) -> Block:
        if len(self.shape) != 2:
            raise SemanticError(f"bl.trans needs the new order of the {len(self.shape)} dimensions.")
        return Block(self.data.T)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self.data, dtype=dtype)

    def __repr__(self) -> str:
        return f"{describe(self)}\n{self.data}" if self.shape else str(self.data.item())

    __str__ = __repr__

    def __format__(self, form: str) -> str:
        return format(str(self) if self.shape else self.data.item(), form)

    def __bool__(self) -> bool:
        if self.shape:
            raise SemanticError(f"a {describe(self)} is not one condition; choose elements with bl.where, combine them with & and |.")
        return bool(self.data)

    def __index__(self) -> int:
        return integer(self, "this")

    def __int__(self) -> int:
        return int(self.data)

    def __float__(self) -> float:
        return float(self.data)

    def __getitem__(self, index: object) -> Block:
        parts = index if isinstance(index, tuple) else (index,)
        if not all(p is None or p == slice(None) for p in parts):
            raise SemanticError("a block is indexed only with : and None, which adds a dimension; load and store whole blocks.")
        if sum(p is not None for p in parts) > len(self.shape):
            raise SemanticError(f"too many indices for a {describe(self)}.")
        return Block(self.data[parts])

    def to(self, dtype: DType) -> Block:
        """This block with its elements cast."""
        return cast(self, dtype)

    def __add__(self, other: Any) -> Any:
        return binary("+", self, other) if isinstance(other, (Block, bool, int, float)) else NotImplemented

    def __radd__(self, other: Any) -> Block:
        return binary("+", other, self)

    def __pos__(self) -> Block:
        return self

    def __neg__(self) -> Block:
        return binary("-", 0.0 if self.dtype is float32 else 0, self)

    def __abs__(self) -> Block:
        return Block(np.abs(self.data))

    def __invert__(self) -> Block:
        if self.dtype is float32:
            raise SemanticError("~ does not apply to floats.")
        return Block(~self.data)


class Product(Block):
    """``dot(a, b)``, which still knows its factors: float32 products are summed onto their accumulator one after the other."""

    def __init__(self, a: Block, b: Block) -> None:
        self.a, self.b = a, b
        super().__init__(_summed(a.data, b.data, np.zeros((a.shape[0], b.shape[1]), np.int32 if a.dtype is int8 else np.float32)))


# Types and shapes that meet --------------------------------------------------------------------------------------------------------------


def describe(value: object) -> str:
    """A value's type, for error messages."""
    if isinstance(value, Block):
        return f"{shape_text(value.shape)} block of {value.dtype}" if value.shape else str(value.dtype)
    return str(value) if hasattr(value, "memory") else f"compile-time {type(value).__name__} {value!r}"


def integer(value: Any, what: str) -> int:
    """A whole number, known at compile time or not."""
    if isinstance(value, Block) and not value.shape and value.dtype not in (int1, float32):
        return int(value.data)
    if not isinstance(value, int) or isinstance(value, bool):
        raise SemanticError(f"{what} must be an integer, not {describe(value)}.")
    return value


def integers(values: Any, rank: int | None, what: str) -> tuple[int, ...]:
    """A tuple of integers, one a dimension."""
    if not isinstance(values, (tuple, list)) or (rank is not None and len(values) != rank):
        raise SemanticError(f"{what} must be {'some' if rank is None else rank} integers, one a dimension, not {values!r}.")
    return tuple(integer(v, f"{what}[{i}]") for i, v in enumerate(values))


def fits(number: int, dtype: DType) -> bool:
    """Whether an integer type holds a number."""
    return number in (0, 1) if dtype is int1 else -(1 << (dtype.bits - 1)) <= number < 1 << (dtype.bits - 1)


def materialise(value: Any, what: str = "this", dtype: DType | None = None) -> Block:
    """A number as a block without dimensions; of `dtype` where given."""
    if isinstance(value, Block):
        return value if dtype is None else cast(value, dtype)
    if not isinstance(value, (bool, int, float, np.floating)):
        raise SemanticError(f"{what} must be a number, not a {describe(value)}.")
    dtype = dtype or (int1 if isinstance(value, bool) else int64 if isinstance(value, int) else float32)
    if dtype is not float32:
        if not isinstance(value, int):
            raise SemanticError(f"{value} is not a whole number, which {dtype} needs.")
        if not fits(value, dtype):
            raise SemanticError(f"{value} does not fit {dtype}.")
    return Block(np.array(value, numpy_type(dtype)))


def meet(op: str, left: Any, right: Any, at_least: DType | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Both operands in one type. A compile-time number takes the other's type if it fits."""
    for value in (left, right):
        if not isinstance(value, (Block, bool, int, float)):
            raise SemanticError(f"{op} does not apply to a {describe(value)}.")
    dtype = max((v.dtype for v in (left, right) if isinstance(v, Block)), key=RANKED.index)
    for number in (v for v in (left, right) if not isinstance(v, Block)):
        if isinstance(number, float):
            dtype = float32
        elif dtype is not float32 and not (isinstance(number, bool) or (dtype is not int1 and fits(number, dtype))):
            wider = (t for t in RANKED[RANKED.index(dtype) :] if t not in (int1, float32) and fits(number, t))
            dtype = next(wider, int64)
    if at_least and RANKED.index(dtype) < RANKED.index(at_least):
        dtype = at_least
    a, b = (materialise(v, dtype=dtype).data for v in (left, right))
    common_shape(a.shape, b.shape)
    return a, b


def common_shape(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in which shapes meet, as in NumPy."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise SemanticError(f"shapes {' and '.join(' x '.join(map(str, s)) for s in shapes)} do not meet.") from None


def cast(value: Any, dtype: Any) -> Block:
    """Integers wrap, floats become integers by truncation and saturation, and anything but zero is true."""
    if not isinstance(dtype, DType):
        raise SemanticError(f"dtype must be an element type such as bl.int32, not {describe(dtype)}.")
    data = materialise(value).data
    if data.dtype.kind != "f" or dtype in (int1, float32):
        return Block(data.astype(numpy_type(dtype)))
    # What the compiled kernel does: clamp first, to the last float32 that the type holds.
    top = float((1 << (dtype.bits - 1)) - (1 << max(0, dtype.bits - 25)))
    clamped = np.minimum(np.fmax(data, np.float32(-float(1 << (dtype.bits - 1)))), np.float32(top))
    return Block(np.trunc(clamped).astype(numpy_type(dtype)))


# Operators -------------------------------------------------------------------------------------------------------------------------------


def _floor_division(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rounded down; by zero what RISC-V's division gives, rounded down."""
    if a.dtype.kind == "f":
        return np.floor(a / b)
    return np.where(b == 0, np.where(a < 0, -2, -1), np.floor_divide(a, np.where(b == 0, 1, b))).astype(a.dtype)


_BITWISE = {"&": np.bitwise_and, "|": np.bitwise_or, "^": np.bitwise_xor}
_SHIFTS = {"<<": np.left_shift, ">>": np.right_shift}
_ARITHMETIC = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "//": _floor_division,
    "%": lambda a, b: a - _floor_division(a, b) * b,
    "min": np.fmin,
    "max": np.fmax,
    "min with NaN": np.minimum,
    "max with NaN": np.maximum,
}
_COMPARISON = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne}


def binary(op: str, left: Any, right: Any) -> Block:
    """A binary operator or comparison, element by element."""
    if op == "@":
        return dot(left, right)
    if op == "+":
        for product, acc in ((right, left), (left, right)):
            if isinstance(product, Product) and isinstance(acc, Block) and (acc.dtype, acc.shape) == (product.dtype, product.shape):
                return dot(product.a, product.b, acc)
    a, b = meet(op, left, right, float32 if op == "/" else None)
    if op in _COMPARISON:
        return Block(_COMPARISON[op](a, b))
    if a.dtype == bool and op not in _BITWISE:
        a, b = a.astype(np.int8), b.astype(np.int8)
    functions = _ARITHMETIC if a.dtype.kind == "f" else {**_ARITHMETIC, **_BITWISE, **_SHIFTS}
    if op not in functions:
        raise SemanticError(f"{op} does not apply to {'floats' if a.dtype.kind == 'f' else 'run-time integers'}.")
    with np.errstate(all="ignore"):
        return Block(functions[op](a, b))


def _operator(op: str, reflected: bool) -> Any:
    def method(self: Block, other: Any) -> Any:
        return binary(op, other, self) if reflected else binary(op, self, other)

    return method


_METHODS = {"-": "sub", "*": "mul", "/": "truediv", "//": "floordiv", "%": "mod", "&": "and", "|": "or", "^": "xor", "<<": "lshift"}
for _op, _name in {**_METHODS, ">>": "rshift", "@": "matmul", "**": "pow"}.items():
    setattr(Block, f"__{_name}__", _operator(_op, False))
    setattr(Block, f"__r{_name}__", _operator(_op, True))
for _op, _name in {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}.items():
    setattr(Block, f"__{_name}__", _operator(_op, False))


def dot(a: Any, b: Any, acc: Any = None) -> Block:
    """The matrix product: of int8 blocks exact, its sums wrapped to int32; of float32 blocks summed in order."""
    for block in (a, b):
        if not isinstance(block, Block) or len(block.shape) != 2:
            raise SemanticError(f"bl.dot multiplies two-dimensional blocks, not a {describe(a)} and a {describe(b)}.")
    if a.dtype is not b.dtype or a.dtype not in (int8, float32):
        raise SemanticError(f"bl.dot multiplies int8 blocks, or float32 ones, not a {describe(a)} and a {describe(b)}.")
    if a.shape[1] != b.shape[0]:
        raise SemanticError(
            f"bl.dot: the left block is {shape_text(a.shape)} and the right one {shape_text(b.shape)}; "
            f"{a.shape[1]} columns do not meet {b.shape[0]} rows."
        )
    if acc is None:
        return Product(a, b)
    shape, dtype = (a.shape[0], b.shape[1]), int32 if a.dtype is int8 else float32
    if not isinstance(acc, Block) or acc.dtype is not dtype or acc.shape != shape:
        raise SemanticError(f"bl.dot gives a {shape_text(shape)} block of {dtype}, but acc is a {describe(acc)}.")
    return Block(_summed(a.data, b.data, acc.data))


def _summed(a: np.ndarray, b: np.ndarray, start: np.ndarray) -> np.ndarray:
    if a.dtype == np.int8:
        # Products of int8 are below 2**15, so float64 sums of up to 2**38 of them are exact, and BLAS makes them fast.
        return start + (a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64).astype(np.int32)
    for k in range(a.shape[1]):
        start = start + a[:, k : k + 1] * b[k : k + 1]
    return start
