"""recognise-requantise: arithmetic that says what the accumulator's way out does becomes that operation.

Before:
    %f = arith.sitofp %acc : tensor<64x64xi32> to tensor<64x64xf32>
    %s = arith.mulf %f, (tensor.splat %scale)
    %r = math.roundeven %s
    %l = arith.maxnumf %r, dense<-128.0>
    %h = arith.minnumf %l, dense<127.0>
    %q = arith.fptosi %h : tensor<64x64xf32> to tensor<64x64xi8>

After:
    %q = "baco.requantise"(%acc, %scale) {activation = "none"} : (tensor<64x64xi32>, f32) -> tensor<64x64xi8>

For kernels that come from elsewhere, which have no name for it. Rounding may also be the addition and subtraction of 1.5 * 2**23, which
leave a float32 without its fraction, to the nearest even, as long as it is below 2**22; beyond, the clamp decides either way. Limits may
stand in any order, more than once, and after the conversion to integers too: together they must be those of int8, or 0 and 127, which is
a ReLU. A ReLU before a constant scale counts as well.

The result is the same bit by bit, so only scales are taken for which Gemmini's and the host's products agree: constants from 0 up to
2**31, and without a ReLU (of which the hardware clamps before it scales, Spike after: a negative scale would tell) run-time numbers, which
are brought into -2**31 to 2**31 first; it makes no difference to a clamped product of any number with a finite scale. Whatever deviates
stays as it is, on the host core, as its remarks say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from baco.dialects import baco as dialect
from baco.dialects.mlir import arith, ir
from baco.lowering.passes import kernel_of, operations, register

MAGIC = 1.5 * 2.0**23
"""Added to a float32, it leaves no bits for a fraction."""
LARGEST_SCALE = 2.0**31
_LARGEST = ("arith.maxnumf", "arith.maximumf", "arith.maxsi")
_SMALLEST = ("arith.minnumf", "arith.minimumf", "arith.minsi")


@dataclass
class _Chain:
    """What has been read of a chain, from its end."""

    low: float = -math.inf
    high: float = math.inf

    def limit(self, name: str, number: float) -> None:
        """Take note of a limit, which applies before those read so far."""
        if name in _LARGEST:
            self.low = max(self.low, min(number, self.high))
        else:
            self.high = min(self.high, max(number, self.low))


@register("recognise-requantise")
def run(module: ir.Module) -> None:
    """Rewrite the module's kernel."""
    for op in list(operations(kernel_of(module).entry_block)):
        if op.operation.name in ("arith.fptosi", "arith.trunci"):
            _rewrite(op)


def _rewrite(op: ir.OpView) -> None:
    type_ = op.operation.results[0].type
    if not isinstance(type_, ir.RankedTensorType) or str(type_.element_type) != "i8":
        return
    chain = _Chain()
    value = _before_limits(op.operation.operands[0], chain)
    if op.operation.name == "arith.trunci":
        if _name(value) != "arith.fptosi":
            return
        value = _before_limits(value.owner.operands[0], chain)
    product = _before_rounding(value)
    # Whole limits may stand before the rounding as well.
    product = None if product is None else _before_limits(product, chain)
    if product is None or _name(product) != "arith.mulf" or (chain.low, chain.high) not in ((-128, 127), (0, 127)):
        return
    for number, scale in (product.owner.operands, reversed(list(product.owner.operands))):
        factor = _scalar(scale)
        if factor is not None and _name(number) == "arith.sitofp":
            _replace(op, number.owner.operands[0], factor, relu=chain.low == 0)
            return


def _replace(op: ir.OpView, block: ir.Value, scale: float | ir.Value, *, relu: bool) -> None:
    if str(ir.RankedTensorType(block.type).element_type) != "i32":
        return
    if not (0 <= scale < LARGEST_SCALE if isinstance(scale, float) else not relu):
        return
    before = _before_relu(block)
    if before is not None and isinstance(scale, float):
        block, relu = before, True
    with ir.InsertionPoint(op), op.location:
        if isinstance(scale, float):
            factor = arith.ConstantOp(ir.F32Type.get(), scale).result
        else:
            low, high = (arith.ConstantOp(ir.F32Type.get(), limit).result for limit in (-LARGEST_SCALE, LARGEST_SCALE))
            factor = arith.MinNumFOp(arith.MaxNumFOp(scale, low).result, high).result
        activation = ir.StringAttr.get("relu" if relu else "none")
        new = dialect.Requantise(op.operation.results[0].type, block, factor, activation)
    op.operation.results[0].replace_all_uses_with(new.result)


def _name(value: ir.Value) -> str:
    """The operation that makes a value."""
    return "" if isinstance(value.owner, ir.Block) else value.owner.name


def _before_limits(value: ir.Value, chain: _Chain) -> ir.Value:
    """What a chain of limits starts from."""
    while _name(value) in _LARGEST + _SMALLEST:
        left, right = value.owner.operands
        number = _number(right)
        if number is None:
            left, number = right, _number(left)
        if number is None:
            return value
        chain.limit(_name(value), number)
        value = left
    return value


def _before_rounding(value: ir.Value) -> ir.Value | None:
    """What is rounded to the nearest even whole number; None if nothing is."""
    if _name(value) == "math.roundeven":
        return value.owner.operands[0]
    if _name(value) not in ("arith.subf", "arith.addf"):
        return None
    left, right = value.owner.operands
    taken = _number(right)
    if taken is None or _name(left) != "arith.addf" or (-taken if _name(value) == "arith.addf" else taken) != MAGIC:
        return None
    numbers = [_number(v) for v in left.owner.operands]
    return left.owner.operands[1 - numbers.index(MAGIC)] if MAGIC in numbers else None


def _before_relu(block: ir.Value) -> ir.Value | None:
    if _name(block) == "arith.maxsi":
        for value, limit in (block.owner.operands, reversed(list(block.owner.operands))):
            if _number(limit) == 0:
                return value
    return None


def _scalar(value: ir.Value) -> float | ir.Value | None:
    """The one number that a block is full of, known or not."""
    known = _number(value)
    if known is not None:
        return float(known)
    return value.owner.operands[0] if _name(value) == "tensor.splat" else None


def _number(value: ir.Value) -> float | None:
    """The number that a block is known to be full of, or that a scalar is."""
    if _name(value) == "tensor.splat":
        return _number(value.owner.operands[0])
    if _name(value) in ("baco.broadcast", "baco.expand_dims"):
        return _number(value.owner.operands[0])
    if _name(value) != "arith.constant":
        return None
    attribute = value.owner.attributes["value"]
    if isinstance(attribute, ir.DenseElementsAttr):
        if not attribute.is_splat:
            return None
        attribute = attribute.get_splat_value()
    if isinstance(attribute, ir.FloatAttr):
        return ir.FloatAttr(attribute).value
    return ir.IntegerAttr(attribute).value if isinstance(attribute, ir.IntegerAttr) else None
