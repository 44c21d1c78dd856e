"""Pointers of an interpreted kernel: they know the array they point into, and refuse what lies outside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from baco.lang.errors import SemanticError
from baco.lang.interpreter_values import Block, common_shape, describe, dtype_of, integer, integers, materialise, shape_text
from baco.lang.types import DType, float32, int1, int8, int32


class OutOfBounds(Exception):
    """An access outside an array; the interpreter turns it into an error with the kernel's line."""


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
        if isinstance(other, Block) and other.dtype not in (int1, float32):
            steps = other.data.astype(np.int64)
        else:
            steps = np.array(integer(other, "the offset of a pointer"), np.int64)
        common_shape(self.shape, steps.shape)
        return Pointer(self.memory, self.offsets + steps)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Pointer:
        return self + (-other)

    def __str__(self) -> str:
        return f"{shape_text(self.shape)} block of pointers to {self.dtype}" if self.shape else f"pointer to {self.dtype}"


@dataclass(frozen=True)
class BlockPointer:
    """A pointer to a block of a tensor laid over an array, from its element `base` on."""

    memory: Memory
    base: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    offsets: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def dtype(self) -> DType:
        return dtype_of(self.memory.flat)

    def advance(self, offsets: Sequence[Any]) -> BlockPointer:
        """This pointer moved; the tensor stays."""
        moves = integers(offsets, len(self.shape), "offsets")
        moved = tuple(o + m for o, m in zip(self.offsets, moves, strict=True))
        return BlockPointer(self.memory, self.base, self.sizes, self.strides, moved, self.shape)

    def reach(self, checked: Sequence[int], what: str) -> tuple[np.ndarray, np.ndarray]:
        """The address of each element of the block, and which of them lie inside the tensor.

        Raises:
            OutOfBounds: if the block leaves the tensor in a dimension that is not checked.
        """
        addresses, inside = np.full(self.shape, self.base, np.int64), np.ones(self.shape, bool)
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
    base: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    block_shape: tuple[int, ...]

    @property
    def dtype(self) -> DType:
        return dtype_of(self.memory.flat)

    def at(self, offsets: Sequence[Any]) -> BlockPointer:
        """A pointer to the block there."""
        starts = integers(offsets, len(self.sizes), "offsets")
        return BlockPointer(self.memory, self.base, self.sizes, self.strides, starts, self.block_shape)

    def load(self, offsets: Sequence[Any]) -> Block:
        return load_block(self.at(offsets), range(len(self.sizes)))

    def store(self, offsets: Sequence[Any], value: Any) -> None:
        store_block(self.at(offsets), value, range(len(self.sizes)))

    def __str__(self) -> str:
        return f"descriptor of {shape_text(self.block_shape)} blocks of {self.dtype}"


def load_block(pointer: BlockPointer, checked: Sequence[int]) -> Block:
    """The block that a block pointer stands for; zero outside the tensor."""
    return Block(pointer.memory.read(*pointer.reach(checked, "reads")))


def store_block(pointer: BlockPointer, value: Any, checked: Sequence[int]) -> None:
    """Write a block, but nothing outside the tensor."""
    block = to_store(value, pointer)
    pointer.memory.write(*pointer.reach(checked, "writes"), block.data)


def to_store(value: Any, pointer: BlockPointer | Pointer) -> Block:
    """What to write: numbers are repeated, compile-time ones take the pointer's type, everything else must fit as it is."""
    if not isinstance(value, Block):
        return materialise(value, "value", pointer.dtype)
    if value.shape and value.shape != pointer.shape:
        raise SemanticError(f"cannot store a {describe(value)} through a {pointer}: the shapes differ.")
    if value.dtype is not pointer.dtype:
        to_int8 = "; turn int32 into int8 with bl.gemmini.requantise, or with .to(bl.int8)"
        advice = to_int8 if (value.dtype, pointer.dtype) == (int32, int8) else f"; convert with .to(bl.{pointer.dtype})"
        raise SemanticError(f"cannot store a {describe(value)} through a {pointer}: the element types differ{advice}.")
    return value
