"""narrow-products: products of int8 numbers that were widened before are products of int8 numbers, summed as int32.

Before (on tensors):
    %a = linalg.generic {arith.extsi} ins(%x : tensor<1x8x9x9xi8>) outs(...) -> tensor<1x8x9x9xi32>
    %b = linalg.generic {arith.extsi} ins(%w : tensor<16x8x3x3xi8>) outs(...) -> tensor<16x8x3x3xi32>
    %y = linalg.conv_2d_nchw_fchw ins(%a, %b) outs(%zeros : tensor<1x16x7x7xi64>)

After:
    %s = linalg.conv_2d_nchw_fchw ins(%x, %w) outs(%zeros32 : tensor<1x16x7x7xi32>)
    %y = linalg.generic {arith.extsi} ins(%s) outs(...) -> tensor<1x16x7x7xi64>

PyTorch has no convolution of int8 tensors with wide sums, so that models convert their operands first. The accelerator widens by itself.
Fewer than 2**17 products of int8 numbers sum to less than 2**31, so that no sum is lost; deeper products stay as they are.
"""

from __future__ import annotations

import math

from baco.dialects.mlir import arith, ir, linalg
from baco.lowering.blocks_to_linalg import elementwise, empty, identity
from baco.lowering.passes import operations_named, register
from baco.lowering.rebuild import constant, known
from baco.lowering.start_from_bias import PRODUCTS

_DEPTH = 1 << 17


@register("narrow-products")
def run(module: ir.Module) -> None:
    """Rewrite the module's products."""
    for op in operations_named(module, *PRODUCTS):
        if not op.results:
            # A product of buffers, not of tensors.
            continue
        a, b = (_before_widening(v) for v in list(op.operands)[:2])
        start, type_ = op.operands[2], ir.RankedTensorType(op.results[0].type)
        wide = str(type_.element_type) in ("i32", "i64")
        if a is None or b is None or not wide or not _is_zero(start) or _depth(op) >= _DEPTH:
            continue
        i32 = ir.IntegerType.get_signless(32)
        sums = ir.RankedTensorType.get(list(type_.shape), i32)
        with ir.InsertionPoint(op), op.location:
            zeros = linalg.fill(constant(0, i32), outs=[empty(sums)])
            attributes = {name: op.attributes[name] for name in op.attributes}
            narrow = ir.Operation.create(op.name, results=[sums], operands=[a, b, zeros], attributes=attributes, regions=1)
            linalg.fill_builtin_region(narrow)
            result = narrow.results[0]
            if str(type_.element_type) == "i64":
                maps = [identity(type_.rank)] * 2
                result = elementwise(type_, [result], maps, lambda x, _, e=type_.element_type: arith.ExtSIOp(e, x).result).results[0]
        op.results[0].replace_all_uses_with(result)
        op.erase()


def _before_widening(value: ir.Value) -> ir.Value | None:
    """The int8 tensor that a tensor is, widened element by element; None if it is none."""
    owner = value.owner
    if isinstance(owner, ir.Block) or owner.name != "linalg.generic" or len(owner.operands) != 2:
        return None
    maps = [ir.AffineMapAttr(m).value for m in ir.ArrayAttr(owner.attributes["indexing_maps"])]
    body = list(owner.operation.regions[0].blocks[0].operations)
    widens = len(body) == 2 and body[0].operation.name == "arith.extsi" and body[1].operation.operands[0] == body[0].operation.results[0]
    source = owner.operands[0]
    if not widens or maps[0] != maps[1] or body[0].operation.operands[0] != owner.operation.regions[0].blocks[0].arguments[0]:
        return None
    return source if str(source.type.element_type) == "i8" else None


def _is_zero(start: ir.Value) -> bool:
    return not isinstance(start.owner, ir.Block) and start.owner.name == "linalg.fill" and known(start.owner.operands[0]) == 0


def _depth(op: ir.Operation) -> int:
    """How many products are summed for each element of the result."""
    return math.prod(ir.RankedTensorType(op.operands[1].type).shape) // _results_of(op)


def _results_of(op: ir.Operation) -> int:
    """The columns, channels or filters that the right operand has numbers for."""
    shape, result = (ir.RankedTensorType(v.type).shape for v in (op.operands[1], op.results[0]))
    if op.name == "linalg.conv_2d_nchw_fchw":
        return shape[0]
    return shape[0] * result[2] if op.name == "linalg.batch_matmul" else result[-1]
