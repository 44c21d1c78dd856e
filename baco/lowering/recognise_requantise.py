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
a ReLU. A ReLU before a constant scale counts as well, as do comparisons with constants that choose, and division by a power of two.
In a function on whole tensors, where all of that is the body of one linalg.generic, it becomes the linalg.generic that kernels have, marked
``baco.requantise``; :mod:`baco.lowering.tile_products` joins it to the product before it.

The result is the same bit by bit, so only scales are taken for which Gemmini's and the host's products agree: constants from 0 up to
2**31, and without a ReLU (of which the hardware clamps before it scales, Spike after: a negative scale would tell) run-time numbers, which
are brought into -2**31 to 2**31 first; it makes no difference to a clamped product of any number with a finite scale. Whatever deviates
stays as it is, on the host core, as its remarks say.
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass

from baco.dialects import baco as dialect
from baco.dialects.mlir import arith, ir
from baco.lowering.blocks_to_linalg import REQUANTISE, elementwise, identity, requantising
from baco.lowering.passes import kernel_of, operations, register

MAGIC = 1.5 * 2.0**23
"""Added to a float32, it leaves no bits for a fraction."""
LARGEST_SCALE = 2.0**31
_LARGEST = ("arith.maxnumf", "arith.maximumf", "arith.maxsi")
_SMALLEST = ("arith.minnumf", "arith.minimumf", "arith.minsi")
_LESS = tuple(int(p) for p in (arith.CmpFPredicate.OLT, arith.CmpFPredicate.OLE, arith.CmpFPredicate.ULT, arith.CmpFPredicate.ULE))
_GREATER = tuple(int(p) for p in (arith.CmpFPredicate.OGT, arith.CmpFPredicate.OGE, arith.CmpFPredicate.UGT, arith.CmpFPredicate.UGE))


@dataclass
class _Chain:
    """What has been read of a chain, from its end."""

    low: float = -math.inf
    high: float = math.inf
    constant_only: bool = False
    """Whether a limit is a choice, which does something of its own with a product that is no number; that of a known scale is one."""

    def limit(self, name: str, number: float) -> None:
        """Take note of a limit, which applies before those read so far."""
        if name in _LARGEST:
            self.low = max(self.low, min(number, self.high))
        else:
            self.high = min(self.high, max(number, self.low))


@dataclass(frozen=True)
class Requantisation:
    """int32 `value`, scaled by a number known now or a run-time float32, rounded and clamped; with `relu` negative values become 0."""

    value: ir.Value
    scale: float | ir.Value
    relu: bool


@register("recognise-requantise")
def run(module: ir.Module) -> None:
    """Rewrite the module's kernel."""
    for op in list(operations(kernel_of(module).entry_block)):
        if op.operation.name in ("arith.fptosi", "arith.trunci") and isinstance(op.operation.results[0].type, ir.RankedTensorType):
            found = requantisation_of(op.operation)
            if found:
                _replace(op, found)
        elif op.operation.name == "linalg.generic":
            _replace_generic(op)


def requantisation_of(op: ir.Operation) -> Requantisation | None:
    """What a conversion to int8, of a number or of a block of them, is the end of."""
    if _element(op.results[0]) != "i8":
        return None
    chain = _Chain()
    value = _before_limits(op.operands[0], chain)
    if op.name == "arith.trunci":
        if _name(value) != "arith.fptosi":
            return None
        value = _before_limits(value.owner.operands[0], chain)
    product = _before_rounding(value)
    # Whole limits may stand before the rounding as well.
    product = None if product is None else _before_limits(product, chain)
    if product is None or (chain.low, chain.high) not in ((-128, 127), (0, 127)):
        return None
    for number, scale in _factors(product):
        if scale is not None and _name(number) == "arith.sitofp" and _element(number.owner.operands[0]) == "i32":
            return _checked(number.owner.operands[0], scale, chain)
    return None


def _checked(block: ir.Value, scale: float | ir.Value, chain: _Chain) -> Requantisation | None:
    relu = chain.low == 0
    if not isinstance(scale, float):
        return None if relu or chain.constant_only else Requantisation(block, scale, relu)
    if not 0 <= scale < LARGEST_SCALE:
        return None
    before = _before_relu(block)
    return Requantisation(block, scale, relu) if before is None else Requantisation(before, scale, True)


def _factors(product: ir.Value) -> list[tuple[ir.Value, float | ir.Value | None]]:
    """What may be scaled by what in a product, or in a quotient whose divisor is a power of two, as long as its inverse is exact."""
    if _name(product) == "arith.divf":
        by = _number(product.owner.operands[1])
        return [(product.owner.operands[0], 1 / by)] if by and abs(math.frexp(by)[0]) == 0.5 and abs(by) < LARGEST_SCALE else []
    if _name(product) != "arith.mulf":
        return []
    left, right = product.owner.operands
    return [(left, _scalar(right)), (right, _scalar(left))]


def _replace(op: ir.OpView, found: Requantisation) -> None:
    with ir.InsertionPoint(op), op.location:
        if isinstance(found.scale, float):
            factor = arith.ConstantOp(ir.F32Type.get(), found.scale).result
        else:
            low, high = (arith.ConstantOp(ir.F32Type.get(), limit).result for limit in (-LARGEST_SCALE, LARGEST_SCALE))
            factor = arith.MinNumFOp(arith.MaxNumFOp(found.scale, low).result, high).result
        new = dialect.Requantise(op.operation.results[0].type, found.value, factor, _activation(found))
    op.operation.results[0].replace_all_uses_with(new.result)


def _replace_generic(op: ir.OpView) -> None:
    """In a function on whole tensors: a linalg.generic whose body requantises the element in place."""
    source, *others = op.operation.operands
    maps = [ir.AffineMapAttr(m).value for m in ir.ArrayAttr(op.operation.attributes["indexing_maps"])]
    type_ = others[0].type if others else None
    if len(others) != 1 or not isinstance(type_, ir.RankedTensorType) or any(m != identity(type_.rank) for m in maps):
        return
    body = op.operation.regions[0].blocks[0]
    last = body.operations[len(body.operations) - 1].operation.operands[0].owner
    if isinstance(last, ir.Block) or last.name not in ("arith.fptosi", "arith.trunci"):
        return
    found = requantisation_of(last)
    if found is None or found.value != body.arguments[0] or not isinstance(found.scale, float):
        return
    with ir.InsertionPoint(op), op.location:
        scale = arith.ConstantOp(ir.F32Type.get(), found.scale).result
        new = elementwise(type_, [source], maps, requantising(scale, relu=found.relu))
        new.operation.attributes[REQUANTISE] = ir.DictAttr.get({"activation": _activation(found)})
    op.operation.results[0].replace_all_uses_with(new.results[0])
    op.operation.erase()


def _activation(found: Requantisation) -> ir.StringAttr:
    return ir.StringAttr.get("relu" if found.relu else "none")


def _element(value: ir.Value) -> str:
    """The type of a number, or of a block's elements."""
    return str(value.type.element_type if isinstance(value.type, ir.RankedTensorType) else value.type)


def _name(value: ir.Value) -> str:
    """The operation that makes a value."""
    return "" if isinstance(value.owner, ir.Block) else value.owner.name


def _before_limits(value: ir.Value, chain: _Chain) -> ir.Value:
    """What a chain of limits starts from."""
    while True:
        chosen = _chosen(value)
        if chosen:
            name, value, number = chosen
            chain.constant_only = True
        elif _name(value) in _LARGEST + _SMALLEST:
            name = _name(value)
            left, right = value.owner.operands
            number = _number(right)
            if number is None:
                left, number = right, _number(left)
            if number is None:
                return value
            value = left
        else:
            return value
        chain.limit(name, number)


def _chosen(value: ir.Value) -> tuple[str, ir.Value, float] | None:
    """The limit that a comparison with a number and a choice between the two are: its name, what it limits, and the number."""
    if _name(value) != "arith.select" or _name(value.owner.operands[0]) != "arith.cmpf":
        return None
    compare, first, second = value.owner.operands
    left, right = compare.owner.operands
    predicate = ir.IntegerAttr(compare.owner.attributes["predicate"]).value
    number = _number(right)
    if number is None or predicate not in _LESS + _GREATER or {first, second} != {left, right}:
        return None
    larger = (predicate in _GREATER) == (first == left)
    return (_LARGEST if larger else _SMALLEST)[0], left, number


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
    if _name(value) == "arith.truncf":
        number = _number(value.owner.operands[0])
        return None if number is None else ctypes.c_float(number).value
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
