"""start-from-bias: a bias that is added to a product becomes what its sums start from.

Before (on tensors):
    %p = linalg.matmul ins(%x, %w) outs(%zeros) -> tensor<64x32xi32>
    %b = linalg.broadcast ins(%bias : tensor<32xi32>) outs(%e) dimensions = [0]
    %s = linalg.add ins(%p, %b : tensor<64x32xi32>, tensor<64x32xi32>) outs(%e2)

After:
    %b = linalg.broadcast ins(%bias : tensor<32xi32>) outs(%e) dimensions = [0]
    %s = linalg.matmul ins(%x, %w) outs(%b) -> tensor<64x32xi32>

Integer sums wrap, so the order of additions makes no difference. The accumulator takes the bias for nothing: one row is loaded into all
rows (:mod:`baco.lowering.tile_products`). A product that something else takes too stays as it is.
"""

from __future__ import annotations

from baco.dialects.mlir import ir
from baco.lowering.passes import operations_named, register
from baco.lowering.rebuild import known

PRODUCTS = ("linalg.matmul", "linalg.batch_matmul", "linalg.conv_2d_nhwc_hwcf", "linalg.conv_2d_nchw_fchw")


@register("start-from-bias")
def run(module: ir.Module) -> None:
    """Rewrite the module's additions of a bias to a product."""
    for addition in operations_named(module, "linalg.add"):
        for product, bias in (list(addition.operands)[:2], list(addition.operands)[1::-1]):
            if _is_sum_from_zero(product) and _made_by(bias) == "linalg.broadcast":
                start = product.owner.clone(ip=ir.InsertionPoint(addition)).operation
                start.operands[len(start.operands) - 1] = bias
                addition.results[0].replace_all_uses_with(start.results[0])
                addition.erase()
                product.owner.operation.erase()
                break


def _is_sum_from_zero(value: ir.Value) -> bool:
    """Whether a value is an int32 product that starts from zeros and has one use."""
    if _made_by(value) not in PRODUCTS or str(value.type.element_type) != "i32" or len(list(value.uses)) != 1:
        return False
    start = list(value.owner.operands)[-1]
    return _made_by(start) == "linalg.fill" and known(start.owner.operands[0]) == 0


def _made_by(value: ir.Value) -> str:
    return "" if isinstance(value.owner, ir.Block) else value.owner.name
