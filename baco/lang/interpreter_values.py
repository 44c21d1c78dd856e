"""The values of an interpreted kernel: blocks as NumPy arrays with the compiler's rules for types, and pointers into the caller's arrays.

They behave as the compiled kernel's do: int32 sums wrap, nothing changes its element type by itself, and memory is reached through a
pointer only, which knows the array it belongs to and how large that is.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from baco.lang.errors import SemanticError
from baco.lang.types import BY_NAME, DType, float32, int1, int8, int32, int64


class OutOfBounds(Exception):
    """An access outside an array; the interpreter turns it into an error with the kernel's line."""


def numpy_type(dtype: DType) -> np.dtype:
    """The NumPy type that holds an element type."""
    return np.dtype(bool) if dtype is int1 else np.dtype(dtype.name)


def dtype_of(array: np.ndarray) -> DType:
    """The element type that a NumPy type stands for."""
    return int1 if array.dtype == bool else BY_NAME[array.dtype.name]


def shape_text(shape: Sequence[int]) -> str:
    """A shape as messages show it."""
    return "x".join(map(str, shape))


# Blocks ------------------------------------------------------------------------------------------------------------------------------


class Block:
    """A block of elements. It never changes; operators make new ones. Look at its elements with ``.data`` or ``numpy.asarray``."""

    __array_ufunc__ = None  # NumPy scalars on the left leave operators to this class

    def __init__(self, data: np.ndarray) -> None:
        self.data = data

    @property
    def dtype(self) -> DType:
        return dtype_of(self.data)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def T(self) -> Block:
        return Block(self.data.T)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self.data, dtype=dtype)

    def __repr__(self) -> str:
        return f"{self}\n{self.data}"

    def __str__(self) -> str:
        return f"{shape_text(self.shape)} block of {self.dtype}"

    def __bool__(self) -> bool:
        raise SemanticError(f"a {self} is not one condition; choose elements with bl.where.")

    def __getitem__(self, index: object) -> Block:
        parts = index if isinstance(index, tuple) else (index,)
        if not all(p is None or p == slice(None) for p in parts):
            raise SemanticError(f"a {self} is indexed with : and None only, to add dimensions; load and store whole blocks.")
        return Block(self.data[parts])

    def to(self, dtype: DType) -> Block:
        """This block with its elements cast."""
        return Block(cast(self.data, dtype))

    def __add__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, Pointer) else binary("+", self, other)

    def __radd__(self, other: Any) -> Block:
        return binary("+", other, self)

    def __neg__(self) -> Block:
        return binary("-", 0, self)

    def __invert__(self) -> Block:
        return Block(~self.data)


def cast(data: np.ndarray, dtype: DType) -> np.ndarray:
    """Elements as another type: integers keep their low bits; floats lose their fraction and stop at the type's limits."""
    if data.dtype.kind == "f" and dtype in (int8, int32, int64):
        limits = np.iinfo(numpy_type(dtype))
        return np.clip(np.nan_to_num(np.trunc(data.astype(np.float64))), limits.min, limits.max).astype(numpy_type(dtype))
    return data.astype(numpy_type(dtype))


_ARITHMETIC = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "//": np.floor_divide,
    "%": np.mod,
    "&": np.bitwise_and,
    "|": np.bitwise_or,
    "^": np.bitwise_xor,
    "<<": np.left_shift,
    ">>": np.right_shift,
    "min": np.minimum,
    "max": np.maximum,
}
_COMPARISON = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne}
_RANK = [int1, int8, int32, int64, float32]


def binary(op: str, left: Any, right: Any) -> Block:
    """A binary operator or comparison, element by element; numbers take part with every element."""
    if op == "@":
        return dot(left, right)
    a, b = operands(op, left, right)
    if op in _COMPARISON:
        return Block(_COMPARISON[op](a, b))
    with np.errstate(all="ignore"):
        return Block(_ARITHMETIC[op](a, b))


def operands(op: str, *values: Any) -> list[np.ndarray]:
    """Blocks and numbers as arrays of one element type and shapes that go together."""
    blocks = [v for v in values if isinstance(v, Block)]
    for value in values:
        if not isinstance(value, (Block, bool, int, float, np.floating)):
            raise SemanticError(f"{op} does not apply to a {describe(value)} and a block.")
    types = [b.dtype for b in blocks] or [int64]
    if any(isinstance(v, (float, np.floating)) for v in values):
        types.append(float32)
    dtype = max(types, key=_RANK.index)
    if dtype is int1 and any(isinstance(v, int) and not isinstance(v, bool) for v in values):
        dtype = int32
    arrays = [cast(v.data, dtype) if isinstance(v, Block) else np.array(v).astype(numpy_type(dtype)) for v in values]
    try:
        np.broadcast_shapes(*(a.shape for a in arrays))
    except ValueError:
        shapes = " and ".join(str(v) for v in blocks)
        raise SemanticError(f"{op}: the shapes of a {shapes} do not go together.") from None
    return arrays


def _operator(op: str, reflected: bool) -> Any:
    def method(self: Block, other: Any) -> Any:
        return binary(op, other, self) if reflected else binary(op, self, other)

    return method


for _name, _op in {
    "sub": "-",
    "mul": "*",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "and": "&",
    "or": "|",
    "xor": "^",
    "lshift": "<<",
    "rshift": ">>",
    "matmul": "@",
}.items():
    setattr(Block, f"__{_name}__", _operator(_op, False))
    setattr(Block, f"__r{_name}__", _operator(_op, True))
for _name, _op in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}.items():
    setattr(Block, f"__{_name}__", _operator(_op, False))
Block.__hash__ = None


def dot(a: Any, b: Any, acc: Any = None) -> Block:
    """The exact matrix product of int8 blocks, its sums wrapped to int32."""
    for block, side in ((a, "left"), (b, "right")):
        if not isinstance(block, Block) or block.dtype is not int8 or len(block.shape) != 2:
            raise SemanticError(f"bl.dot multiplies int8 blocks, but the {side} one is a {describe(block)}.")
    if a.shape[1] != b.shape[0]:
        raise SemanticError(
            f"bl.dot: the left block is {shape_text(a.shape)} and the right one {shape_text(b.shape)}; "
            f"{a.shape[1]} columns do not meet {b.shape[0]} rows."
        )
    # Products of int8 are below 2**14, so float64 sums of up to 2**39 of them are exact, and BLAS makes them fast.
    product = (a.data.astype(np.float64) @ b.data.astype(np.float64)).astype(np.int64).astype(np.int32)
    if acc is None:
        return Block(product)
    if not isinstance(acc, Block) or acc.dtype is not int32 or acc.shape != product.shape:
        raise SemanticError(f"bl.dot gives a {shape_text(product.shape)} block of int32, but acc is a {describe(acc)}.")
    return Block(acc.data + product)


# Memory ------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Memory:
    """An array argument of the kernel: its name, and everything from its first element to its last as one flat array."""

    name: str
    flat: np.ndarray = field(repr=False)

    def locate(self, addresses: np.ndarray, wanted: np.ndarray, what: str) -> np.ndarray:
        """The addresses that are wanted, checked against the array's size; 0 for the others."""
        bad = wanted & ((addresses < 0) | (addresses >= self.flat.size))
        if bad.any():
            address = int(addresses[bad][0])
            raise OutOfBounds(f"{what} element {address} of {self.name!r}, which has {self.flat.size} elements.")
        return np.where(wanted, addresses, 0)

    def read(self, addresses: np.ndarray, wanted: np.ndarray, other: Any = 0) -> np.ndarray:
        """The elements at the wanted addresses, and `other` elsewhere."""
        found = self.locate(addresses, wanted, "this reads")
        values = self.flat[found] if self.flat.size else np.zeros(found.shape, self.flat.dtype)
        return np.where(wanted, values, np.asarray(other).astype(self.flat.dtype))

    def write(self, addresses: np.ndarray, wanted: np.ndarray, values: np.ndarray) -> None:
        """Put `values` at the wanted addresses."""
        found = self.locate(addresses, wanted, "this writes")
        if not self.flat.flags.writeable:
            raise OutOfBounds(f"this writes {self.name!r}, but the array is read-only.")
        self.flat[found[wanted]] = np.broadcast_to(values, found.shape)[wanted]


@dataclass(frozen=True)
class Pointer:
    """A pointer, or a block of pointers: elements counted from the array's first."""

    memory: Memory
    offsets: np.ndarray = field(default_factory=lambda: np.array(0, np.int64))

    @property
    def dtype(self) -> DType:
        return dtype_of(self.memory.flat)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.offsets.shape

    def __add__(self, other: Any) -> Pointer:
        data = other.data if isinstance(other, Block) else other
        if isinstance(data, bool) or not (isinstance(data, int) or (isinstance(data, np.ndarray) and data.dtype.kind == "i")):
            raise SemanticError(f"a {self} moves by integers, not by a {describe(other)}.")
        return Pointer(self.memory, self.offsets + data)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Pointer:
        return self + (-other)

    def __getitem__(self, index: object) -> Pointer:
        return Pointer(self.memory, Block(self.offsets)[index].data)

    def __str__(self) -> str:
        return f"{shape_text(self.shape)} block of pointers to {self.dtype}" if self.shape else f"pointer to {self.dtype}"


@dataclass(frozen=True)
class BlockPointer:
    """A pointer to a block of a tensor laid over an array."""

    memory: Memory
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    offsets: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def dtype(self) -> DType:
        return dtype_of(self.memory.flat)

    def advance(self, offsets: Sequence[int]) -> BlockPointer:
        """This pointer moved; the tensor stays."""
        moves = integers(offsets, len(self.shape), "offsets")
        moved = tuple(o + m for o, m in zip(self.offsets, moves, strict=True))
        return BlockPointer(self.memory, self.sizes, self.strides, moved, self.shape)

    def reach(self, checked: Sequence[int], what: str) -> tuple[np.ndarray, np.ndarray]:
        """The address of each element of the block, and which of them lie inside the tensor.

        Raises:
            OutOfBounds: if the block leaves the tensor in a dimension that is not checked.
        """
        addresses, inside = np.zeros(self.shape, np.int64), np.ones(self.shape, bool)
        for axis, (size, stride, start, length) in enumerate(zip(self.sizes, self.strides, self.offsets, self.shape, strict=True)):
            index = start + np.arange(length, dtype=np.int64)
            there = (index >= 0) & (index < size)
            if axis not in checked and not there.all():
                raise OutOfBounds(
                    f"this {what} index {int(index[~there][0])} of dimension {axis} of the tensor on {self.memory.name!r}, whose size "
                    f"there is {size}; add {axis} to boundary_check."
                )
            form = [-1 if a == axis else 1 for a in range(len(self.shape))]
            addresses = addresses + (index * stride).reshape(form)
            inside = inside & there.reshape(form)
        return addresses, inside

    def __str__(self) -> str:
        return f"pointer to a {shape_text(self.shape)} block of {self.dtype}"


@dataclass(frozen=True)
class Descriptor:
    """A tensor descriptor: blocks are moved at offsets, with every dimension checked."""

    memory: Memory
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    block_shape: tuple[int, ...]

    @property
    def dtype(self) -> DType:
        return dtype_of(self.memory.flat)

    def at(self, offsets: Sequence[int]) -> BlockPointer:
        """A pointer to the block there."""
        return BlockPointer(self.memory, self.sizes, self.strides, integers(offsets, len(self.sizes), "offsets"), self.block_shape)

    def load(self, offsets: Sequence[int]) -> Block:
        return load_block(self.at(offsets), range(len(self.sizes)))

    def store(self, offsets: Sequence[int], value: Any) -> None:
        store_block(self.at(offsets), value, range(len(self.sizes)))

    def __str__(self) -> str:
        return f"descriptor of {shape_text(self.block_shape)} blocks of {self.dtype}"


def load_block(pointer: BlockPointer, checked: Sequence[int]) -> Block:
    """The block that a block pointer stands for; zero outside the tensor."""
    return Block(pointer.memory.read(*pointer.reach(checked, "reads")))


def store_block(pointer: BlockPointer, value: Any, checked: Sequence[int]) -> None:
    """Write a block, but nothing outside the tensor."""
    check_stored(pointer, value)
    pointer.memory.write(*pointer.reach(checked, "writes"), value.data)


def check_stored(pointer: BlockPointer | Pointer, value: Any) -> None:
    """A stored block must have the pointer's shape and element type."""
    if not isinstance(value, Block):
        raise SemanticError(f"this must be a block, not a {describe(value)}.")
    if value.shape != pointer.shape:
        raise SemanticError(f"cannot store a {value} through a {pointer}: the shapes differ.")
    if value.dtype is not pointer.dtype:
        advice = "; turn int32 into int8 with bl.gemmini.requantise" if (value.dtype, pointer.dtype) == (int32, int8) else ""
        raise SemanticError(f"cannot store a {value} through a {pointer}: the element types differ{advice}.")


def integers(values: Any, rank: int | None, what: str) -> tuple[int, ...]:
    """A tuple of integers, one a dimension."""
    ok = isinstance(values, (tuple, list)) and all(isinstance(v, int) and not isinstance(v, bool) for v in values)
    if not ok or (rank is not None and len(values) != rank):
        raise SemanticError(f"{what} must be {'some' if rank is None else rank} integers, one a dimension, not {values!r}.")
    return tuple(values)


def describe(value: object) -> str:
    """A value's type, for error messages."""
    if isinstance(value, (Block, Pointer, BlockPointer, Descriptor)):
        return str(value)
    return f"{type(value).__name__} {value!r}"
