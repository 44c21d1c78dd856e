"""Pointers, loads and stores in kernels: block pointers, tensor descriptors, and raw pointer blocks."""

from __future__ import annotations

import itertools
from contextvars import ContextVar

from baco.dialects import baco as dialect
from baco.dialects import baco_blocks as blocks
from baco.dialects.mlir import arith, ir, tensor
from baco.lang.arithmetic import as_block, binary, block_type, cast, common_shape, integer, materialise, require, spread, where
from baco.lang.blocks import shape_of
from baco.lang.errors import SemanticError
from baco.lang.types import (
    Block,
    BlockPointer,
    Descriptor,
    Extent,
    KernelFacts,
    Pointer,
    PointerBlock,
    Product,
    Scalar,
    describe,
    float32,
    int1,
    int8,
    int32,
    int64,
)

FACTS: ContextVar[KernelFacts] = ContextVar("facts")
"""What the kernel being read has shown about its parameters."""

_GPU_ONLY = "has no meaning on Gemmini, which has no caches; leave it out."


# Making and moving pointers --------------------------------------------------------------------------------------------------------------


def _per_dimension(values: object, rank: int, what: str) -> tuple[Scalar, ...]:
    listing = f"{len(values)} values" if isinstance(values, (tuple, list)) else f"a {describe(values)}"
    require(isinstance(values, (tuple, list)) and len(values) == rank, f"{what} must be {rank} integers, one a dimension, not {listing}.")
    return tuple(integer(v, f"{what}[{i}]") for i, v in enumerate(values))


def _axes(axes: object, rank: int, what: str) -> list[int]:
    axes = [axes] if isinstance(axes, int) else axes
    ok = isinstance(axes, (tuple, list)) and all(isinstance(a, int) and 0 <= a < rank for a in axes) and len(set(axes)) == len(axes)
    require(ok, f"{what} must list distinct dimensions below {rank}, not {axes!r}.")
    return list(axes)


def make_block_ptr(base: object, shape: object, strides: object, offsets: object, block_shape: object, order: object) -> BlockPointer:
    require(isinstance(base, Pointer), f"base must be a pointer argument of the kernel, not a {describe(base)}.")
    block = shape_of(block_shape, "block_shape")
    rank = len(block)
    axes = _axes(order, rank, "order")
    require(len(axes) == rank, f"order must list all {rank} dimensions, innermost first, not {order!r}.")
    sizes, steps, starts = (_per_dimension(v, rank, n) for v, n in ((shape, "shape"), (strides, "strides"), (offsets, "offsets")))
    _check_order(axes, [s.symbol for s in steps])
    if not base.moved:
        FACTS.get().extents.append(Extent(base.name, tuple(s.symbol for s in sizes), tuple(s.symbol for s in steps)))
    type_ = dialect.BlockPointer.get(block_type(block, base.dtype))
    values = [[s.value for s in part] for part in (sizes, steps, starts)]
    op = dialect.MakeBlockPtr(type_, base.value, *values, ir.DenseI64ArrayAttr.get(axes))
    return BlockPointer(base.dtype, block, op.result, base.name)


def _check_order(order: list[int], strides: list[object]) -> None:
    """The order is a promise about memory; where the strides are known they must keep it."""
    known = [(axis, strides[axis]) for axis in order if isinstance(strides[axis], int) and strides[axis] > 0]
    for (inner, small), (outer, large) in itertools.pairwise(known):
        if small > large:
            hint = f"strides[{inner}]={small} but strides[{outer}]={large}"
            raise SemanticError(f"order {tuple(order)} says that dimension {inner} is further in than {outer}, but {hint}.")


def advance(base: object, offsets: object) -> BlockPointer:
    require(isinstance(base, BlockPointer), f"bl.advance moves a block pointer, not a {describe(base)}.")
    moves = _per_dimension(offsets, len(base.shape), "offsets")
    op = dialect.Advance(base.value.type, base.value, [m.value for m in moves])
    return BlockPointer(base.dtype, base.shape, op.result, base.name)


def move(pointer: Pointer | PointerBlock, offset: object) -> Pointer | PointerBlock:
    """``pointer + offset``, in elements: by a scalar, or by a block of integers into a block of pointers."""
    if not isinstance(offset, (Block, Product)):
        distance = integer(offset, "the offset of a pointer")
        if isinstance(pointer, Pointer):
            moved = dialect.OffsetPointer(pointer.value.type, pointer.value, distance.value).result
            return Pointer(pointer.dtype, moved, pointer.name, moved=True)
        return _add(pointer, spread(distance, pointer.shape))
    steps = as_block(offset)
    require(steps.dtype not in (int1, float32), f"a pointer moves by integers, not by a {describe(steps)}.")
    return _add(pointer, cast(steps, int64))


def _add(pointer: Pointer | PointerBlock, steps: Block) -> PointerBlock:
    if isinstance(pointer, Pointer):
        return _block_of_pointers(pointer, pointer.value, steps)
    shape = common_shape(pointer.shape, steps.shape)
    if pointer.start is not None:
        return _block_of_pointers(pointer, pointer.start, binary("+", pointer.offsets, steps))
    require(pointer.shape == shape, f"a {describe(pointer)} that a loop carries does not spread to {' x '.join(map(str, shape))}.")
    moved = _block_of_pointers(pointer, pointer.value, spread(steps, shape))
    return PointerBlock(moved.dtype, moved.shape, moved.value, moved.name)


def _block_of_pointers(like: Pointer | PointerBlock, start: ir.Value, offsets: Block) -> PointerBlock:
    type_ = blocks.PointerBlock.get(block_type(offsets.shape, like.dtype))
    value = blocks.AddPointer(type_, start, offsets.value).result
    return PointerBlock(like.dtype, offsets.shape, value, like.name, start, offsets)


# Descriptors -----------------------------------------------------------------------------------------------------------------------------


def make_tensor_descriptor(
    base: object, shape: object, strides: object, block_shape: object, padding_option: object = "zero"
) -> Descriptor:
    require(padding_option == "zero", f"padding_option must be 'zero', not {padding_option!r}.")
    require(isinstance(base, Pointer), f"base must be a pointer argument of the kernel, not a {describe(base)}.")
    block = shape_of(block_shape, "block_shape")
    sizes, steps = (_per_dimension(v, len(block), n) for v, n in ((shape, "shape"), (strides, "strides")))
    require(steps[-1].symbol == 1, f"strides[{len(block) - 1}] of a descriptor must be 1.")
    return Descriptor(base, sizes, steps, block)


def descriptor_load(self: Descriptor, offsets: object) -> Block:
    require(isinstance(self, Descriptor), f"this must be a tensor descriptor, not a {describe(self)}.")
    return load(_at(self, offsets), boundary_check=tuple(range(len(self.block_shape))))


def descriptor_store(self: Descriptor, offsets: object, value: object) -> None:
    require(isinstance(self, Descriptor), f"this must be a tensor descriptor, not a {describe(self)}.")
    store(_at(self, offsets), value, boundary_check=tuple(range(len(self.block_shape))))


def _at(descriptor: Descriptor, offsets: object) -> BlockPointer:
    order = tuple(reversed(range(len(descriptor.block_shape))))
    return make_block_ptr(descriptor.base, descriptor.shape, descriptor.strides, offsets, descriptor.block_shape, order)


# Loads and stores ------------------------------------------------------------------------------------------------------------------------


def load(
    pointer: object,
    mask: object = None,
    other: object = None,
    boundary_check: object = (),
    padding_option: object = "",
    cache_modifier: object = "",
    eviction_policy: object = "",
    volatile: object = False,
) -> Block | Scalar:
    for name, value in (("cache_modifier", cache_modifier), ("eviction_policy", eviction_policy), ("volatile", volatile)):
        require(not value, f"{name} {_GPU_ONLY}")
    if isinstance(pointer, (Pointer, PointerBlock)):
        require(
            not boundary_check and not padding_option,
            "boundary_check and padding_option belong to block pointers; here use mask and other.",
        )
        return _gather(pointer, mask, other)
    require(isinstance(pointer, BlockPointer), f"bl.load reads through a pointer, not a {describe(pointer)}.")
    require(mask is None and other is None, "mask and other belong to raw pointers; with a block pointer use boundary_check.")
    require(padding_option in ("", "zero"), f"padding_option must be 'zero', not {padding_option!r}.")
    op = dialect.Load(block_type(pointer.shape, pointer.dtype), pointer.value, _checked(boundary_check, pointer))
    return Block(pointer.dtype, pointer.shape, op.result)


def store(
    pointer: object,
    value: object,
    mask: object = None,
    boundary_check: object = (),
    cache_modifier: object = "",
    eviction_policy: object = "",
) -> None:
    for name, given in (("cache_modifier", cache_modifier), ("eviction_policy", eviction_policy)):
        require(not given, f"{name} {_GPU_ONLY}")
    raw = isinstance(pointer, (Pointer, PointerBlock))
    require(raw or isinstance(pointer, BlockPointer), f"bl.store writes through a pointer, not a {describe(pointer)}.")
    shape = (1,) if isinstance(pointer, Pointer) else pointer.shape
    block = _to_store(value, shape, pointer)
    FACTS.get().stored.add(pointer.name)
    if raw:
        require(not boundary_check, "boundary_check belongs to block pointers; here use mask.")
        target = as_block_of_pointers(pointer)
        blocks.Scatter(target.value, block.value, mask_of(mask, target.shape))
        return
    require(mask is None, "mask belongs to raw pointers; with a block pointer use boundary_check.")
    dialect.Store(pointer.value, block.value, _checked(boundary_check, pointer))


def _to_store(value: object, shape: tuple[int, ...], pointer: Pointer | PointerBlock | BlockPointer) -> Block:
    """The block to write: scalars are repeated, compile-time numbers take the pointer's type, everything else must fit as it is."""
    if not isinstance(value, (Block, Product, Scalar)):
        return spread(materialise(value, "value", pointer.dtype), shape)
    block = spread(value, shape) if isinstance(value, Scalar) else as_block(value)
    require(block.shape == shape, f"cannot store a {describe(block)} through a {describe(pointer)}: the shapes differ.")
    to_int8 = "; turn int32 into int8 with bl.gemmini.requantise, or with .to(bl.int8)"
    advice = to_int8 if (block.dtype, pointer.dtype) == (int32, int8) else f"; convert with .to(bl.{pointer.dtype})"
    require(
        block.dtype is pointer.dtype, f"cannot store a {describe(block)} through a {describe(pointer)}: the element types differ{advice}."
    )
    return block


def _gather(pointer: Pointer | PointerBlock, mask: object, other: object) -> Block | Scalar:
    source = as_block_of_pointers(pointer)
    others = cast(as_block(other), source.dtype) if isinstance(other, (Block, Product)) else None
    fill = cast(other, source.dtype) if isinstance(other, Scalar) else materialise(0 if others else other or 0, "other", source.dtype)
    wanted = mask_of(mask, source.shape)
    op = blocks.Gather(block_type(source.shape, source.dtype), source.value, wanted, fill.value)
    if isinstance(pointer, PointerBlock):
        loaded = Block(source.dtype, source.shape, op.result)
        return where(Block(int1, source.shape, wanted), loaded, others) if others else loaded
    first = arith.ConstantOp(ir.IndexType.get(), 0).result
    return Scalar(source.dtype, tensor.ExtractOp(op.result, [first]).result)


def as_block_of_pointers(pointer: Pointer | PointerBlock) -> PointerBlock:
    """A block of pointers; of one, if it is one pointer."""
    if isinstance(pointer, PointerBlock):
        return pointer
    return move(pointer, spread(materialise(0), (1,)))


def mask_of(mask: object, shape: tuple[int, ...]) -> ir.Value:
    """A mask as a block of truths."""
    truth = materialise(True) if mask is None else mask
    truth = as_block(truth) if isinstance(truth, Block) else materialise(truth, "mask")
    fits = common_shape(getattr(truth, "shape", ()), shape) == shape
    require(fits, f"mask is a {describe(truth)}, which does not have the shape {' x '.join(map(str, shape))}.")
    return spread(cast(truth, int1), shape).value


def _checked(boundary_check: object, pointer: BlockPointer) -> ir.DenseI64ArrayAttr:
    """The dimensions to check as one flag a dimension."""
    axes = _axes(boundary_check, len(pointer.shape), "boundary_check")
    return ir.DenseI64ArrayAttr.get([int(axis in axes) for axis in range(len(pointer.shape))])
