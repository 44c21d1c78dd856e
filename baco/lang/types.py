"""Element types, and the values that kernel code computes with while it is being read."""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from baco.dialects.mlir import ir


@dataclass(frozen=True)
class DType:
    """An element type: its NumPy name, width in bits, and MLIR spelling."""

    name: str
    bits: int
    mlir: str

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__


int1 = DType("int1", 1, "i1")
int8 = DType("int8", 8, "i8")
int16 = DType("int16", 16, "i16")
int32 = DType("int32", 32, "i32")
int64 = DType("int64", 64, "i64")
float32 = DType("float32", 32, "f32")

RANKED = (int1, int8, int16, int32, int64, float32)
"""Every element type, each able to hold what those before it hold (float32 approximately)."""
BY_NAME = {t.name: t for t in RANKED}


class constexpr:
    """Annotation of a parameter whose value is fixed when the kernel is compiled: ``BLOCK: bl.constexpr``.

    ``WIDTH = bl.constexpr(64)`` outside a kernel is 64 in kernels, as is the plain 64.
    """

    def __init__(self, value: Any) -> None:
        self.value = value


# Symbols: integers as functions of the launch arguments, so that sizes can be checked before a launch --------------------------------

Symbol = int | tuple[Any, ...] | None
"""A number, ``("argument", name)``, ``(operation, left, right)``, or None for what only the run knows."""

_OPERATIONS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "cdiv": lambda a, b: -(-a // b),
    "min": min,
    "max": max,
}


def combine(operation: str, left: Symbol, right: Symbol) -> Symbol:
    """The symbol of a binary operation; None as soon as one side is unknown."""
    return None if left is None or right is None or operation not in _OPERATIONS else (operation, left, right)


def evaluate(symbol: Symbol, arguments: dict[str, int]) -> int | None:
    """The number behind a symbol for these launch arguments, or None."""
    if symbol is None or isinstance(symbol, int):
        return symbol
    if symbol[0] == "argument":
        return arguments.get(symbol[1])
    left, right = (evaluate(s, arguments) for s in symbol[1:])
    if left is None or right is None or (symbol[0] in ("//", "%", "cdiv") and right == 0):
        return None
    return _OPERATIONS[symbol[0]](left, right)


# Values ------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scalar:
    """A run-time number."""

    dtype: DType
    value: ir.Value
    symbol: Symbol = None

    def __str__(self) -> str:
        return str(self.dtype)


@dataclass(frozen=True)
class Pointer:
    """The address of an element of the array called `name`: of its first one, unless the pointer has `moved`."""

    dtype: DType
    value: ir.Value
    name: str
    moved: bool = False

    def __str__(self) -> str:
        return f"pointer to {self.dtype}"


@dataclass(frozen=True)
class Block:
    """A block of elements."""

    dtype: DType
    shape: tuple[int, ...]
    value: ir.Value

    def __str__(self) -> str:
        return f"{'x'.join(map(str, self.shape))} block of {self.dtype}"


@dataclass(frozen=True)
class Product:
    """``dot(a, b)`` that has not met its accumulator yet, so that ``acc += dot(a, b)`` and ``dot(a, b, acc)`` are the same."""

    a: Block
    b: Block
    dataflow: str | None = None
    """What stays in the array, if the kernel says."""

    @property
    def dtype(self) -> DType:
        return int32 if self.a.dtype is int8 else float32

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.a.shape[0], self.b.shape[1])

    def __str__(self) -> str:
        return f"{'x'.join(map(str, self.shape))} block of {self.dtype}"


@dataclass(frozen=True)
class BlockPointer:
    """A pointer to a block of the array called `name`."""

    dtype: DType
    shape: tuple[int, ...]
    value: ir.Value
    name: str

    def __str__(self) -> str:
        return f"pointer to a {'x'.join(map(str, self.shape))} block of {self.dtype}"


@dataclass(frozen=True)
class PointerBlock:
    """A block of addresses of elements of the array called `name`.

    `start` and `offsets` are the pointer and the block it was made of, as long as that is known.
    """

    dtype: DType
    shape: tuple[int, ...]
    value: ir.Value
    name: str
    start: ir.Value | None = None
    offsets: Block | None = None

    def __str__(self) -> str:
        return f"{'x'.join(map(str, self.shape))} block of pointers to {self.dtype}"


@dataclass(frozen=True)
class Descriptor:
    """A tensor descriptor: a base pointer with the tensor's shape and strides, and the shape of the blocks moved through it."""

    base: Pointer
    shape: tuple[Any, ...]
    strides: tuple[Any, ...]
    block_shape: tuple[int, ...]
    methods = ("load", "store")

    def __str__(self) -> str:
        return f"descriptor of {'x'.join(map(str, self.block_shape))} blocks of {self.base.dtype}"


@dataclass(frozen=True)
class Extent:
    """What the kernel says about the size of an array: one tensor laid over it."""

    parameter: str
    shape: tuple[Symbol, ...]
    strides: tuple[Symbol, ...]


@dataclass
class KernelFacts:
    """What reading a kernel finds out about its parameters."""

    stored: set[str] = field(default_factory=set)
    extents: list[Extent] = field(default_factory=list)


def describe(value: object) -> str:
    """A value's type, for error messages."""
    if isinstance(value, (Scalar, Pointer, Block, Product, BlockPointer, PointerBlock, Descriptor)):
        return str(value)
    if isinstance(value, tuple):
        return f"tuple ({', '.join(map(describe, value))})"
    return f"compile-time {type(value).__name__} {value!r}"
