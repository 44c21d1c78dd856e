"""requantise-in-array: a requantised block that a later product takes goes from the array into the scratchpad, not out to DRAM and back.

Before (bufferised):
    linalg.fill ins(%c0) outs(%c : memref<64x64xi32>)
    linalg.matmul {baco.output_stationary} ins(%x, %w) outs(%c)
    linalg.generic {baco.requantise = {activation = "relu"}} ins(%c) outs(%h : memref<64x64xi8>)   // times 2**-9
    linalg.matmul ins(%h, %v) outs(%y)

After:
    linalg.matmul {baco.output_stationary, baco.overwrite} ins(%x, %w) outs(%c)
    linalg.generic {baco.requantise = {activation = "relu"}, baco.in_array = 9 : i64} ins(%c) outs(%h)
    linalg.matmul ins(%h, %v) outs(%y)

The accumulator scales on the way to DRAM only. But where sums stay in the array, they may leave it for the scratchpad: shifted to the right
with rounding to the nearest even, clamped to int8, negative ones replaced by 0 if asked (GEMMINI_ISA.md sections 6 and 7.8). That is what a
requantisation by a power of two from 1 to 2**-31 does, bit by bit, as long as float32 has room for the sum or a clamp decides anyway:
conversion is exact up to 2**24, and larger sums are beyond 127 after shifts of up to 16. A block of sums then exists in the array alone,
and takes no rows of the accumulator.

So the block has to be one product, from zeros, that is used in no other way. A product that keeps weights in the array changes over if it
is so short that the array's 20 bits hold its sums whatever they are; a longer one only does if the program asks for
``dataflow="output_stationary"``. Of every other requantised block that a product takes a remark says why it leaves the chip.
"""

from __future__ import annotations

import math

from baco.dialects.mlir import ir
from baco.hardware import GemminiConfig
from baco.lowering.blocks_to_linalg import IN_ARRAY, MAX_POOL, OUTPUT_STATIONARY, REQUANTISE, SAFE_DEPTH
from baco.lowering.passes import get_hardware, kernel_of, location_of, operations, register
from baco.lowering.remarks import add_remark
from baco.lowering.summed_products import fills_with_zeros, is_alloc, position, top_in, users_of
from baco.lowering.tile_to_dim import OVERWRITE, transposes

LARGEST_SHIFT = 31
_EXACT_SHIFT = 16
"""The largest shift after which every sum beyond 2**24 is still clamped."""
_EXACT_DEPTH = 1 << 10
"""As many products of two int8 numbers sum to 2**24 at most."""


class _Leaves(Exception):
    """Why a block cannot stay on the chip."""


@register("requantise-in-array")
def run(module: ir.Module) -> None:
    """Mark what can stay in the module's kernel, and remark on what cannot."""
    config = get_hardware(module)
    for op in list(operations(kernel_of(module).entry_block)):
        if REQUANTISE not in op.operation.attributes or len(op.operation.operands) != 2 or not _feeds_product(op.operation.operands[1]):
            continue
        try:
            _keep(op.operation, config)
        except _Leaves as reason:
            add_remark(module, location_of(op), f"this block goes out to DRAM and comes back, to be an operand of a product: {reason}")


def _feeds_product(block: ir.Value) -> bool:
    """Whether a product takes a block, or a view of it."""
    return is_alloc(block) and any(_is_product(user) and block.type.element_type.width == 8 for user in users_of(block))


def _is_product(op: ir.Operation) -> bool:
    return op.name == "linalg.matmul" and [str(v.type.element_type) for v in op.operands] == ["i8", "i8", "i32"]


def _keep(op: ir.Operation, config: GemminiConfig) -> None:
    """Mark a requantisation and the product it belongs to; its sums' zeros go.

    Raises:
        _Leaves: if the block cannot stay.
    """
    sums, result = op.operands
    if config.weight_stationary_only:
        raise _Leaves("this hardware writes results to the accumulator only")
    shift = shift_of(op)
    if shift is None:
        raise _Leaves(f"only scales of 1, 1/2, 1/4 to 2**-{LARGEST_SHIFT} that are known now are a shift, which the array can do")
    fill, product = _start(op, sums)
    swap_a, swap_b = transposes(product.opview)
    depth = product.operands[0].type.shape[0 if swap_a else 1]
    if OUTPUT_STATIONARY not in product.attributes and (depth >= SAFE_DEPTH or (swap_b and not swap_a)):
        raise _Leaves('its product keeps weights in the array; bl.gemmini.dot(..., dataflow="output_stationary") keeps sums there')
    if shift > _EXACT_SHIFT and depth > _EXACT_DEPTH:
        raise _Leaves(f"sums of {depth} products are rounded to float32 before they are scaled by 2**-{shift}, which a shift is not")
    others = [user for user in users_of(result) if user != op]
    if any(MAX_POOL in user.attributes or REQUANTISE in user.attributes for user in others):
        raise _Leaves("it is pooled as well, or another block has been in its place")
    between = range(position(product), position(op))
    if any((top := top_in(user, op.block)) is not None and position(top) in between for user in others):
        raise _Leaves("its place still holds another block while its sums are made")
    product.attributes[OUTPUT_STATIONARY] = product.attributes[OVERWRITE] = ir.UnitAttr.get(op.context)
    op.attributes[IN_ARRAY] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64, op.context), shift)
    fill.erase()


def _start(op: ir.Operation, sums: ir.Value) -> tuple[ir.Operation, ir.Operation]:
    """The fill with zeros and the one product that make a block of sums, which nothing but a requantisation takes."""
    users = [user for user in users_of(sums) if user != op]
    products = [user for user in users if _is_product(user) and user.operands[2] == sums]
    fills = [user for user in users if user.name == "linalg.fill" and fills_with_zeros(user, sums)]
    if not is_alloc(sums) or len(users) != len(products) + len(fills):
        raise _Leaves("its sums are used or made in another way too")
    if len(products) != 1 or products[0].block != op.block:
        raise _Leaves("its sums are made by more than one product, between which they have to be in the accumulator")
    if len(fills) != 1 or fills[0].block != op.block or not position(fills[0]) < position(products[0]) < position(op):
        raise _Leaves("its sums do not start from zeros")
    return fills[0], products[0]


def shift_of(requantise: ir.Operation) -> int | None:
    """By how many bits to the right a requantisation's scale is a shift; None if it is none, or known at run time only."""
    products = [o.operation for o in requantise.regions[0].blocks[0].operations if o.operation.name == "arith.mulf"]
    if not products:
        return 0
    scale = products[0].operands[1].owner
    if isinstance(scale, ir.Block) or scale.name != "arith.constant":
        return None
    mantissa, exponent = math.frexp(ir.FloatAttr(scale.attributes["value"]).value)
    return 1 - exponent if mantissa == 0.5 and 0 <= 1 - exponent <= LARGEST_SHIFT else None
