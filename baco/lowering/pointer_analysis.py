"""Which addresses a raw pointer block holds: an offset, and a stride for each dimension, where it is that regular.

A kernel writes ``ptr + rows[:, None] * stride + cols[None, :]``; the analysis follows the operations that made the offsets back to ranges
and scalars and adds up what each contributes (the dissertation's section 6.3.4). Masks that compare such an expression with a bound cut
the block to a range in each dimension. What is not of this form is no error: such elements are moved one by one by the host core.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from baco.dialects.mlir import arith, ir
from baco.lowering.emit import Arithmetic, Quantity

Lookup = Callable[[ir.Value], ir.Value]
"""What stands for an old scalar in the function being built."""


@dataclass(frozen=True)
class Affine:
    """``offset + sum of index[d] * strides[d]`` over a block of a shape; all in elements."""

    offset: Quantity
    strides: tuple[Quantity, ...]
    shape: tuple[int, ...]

    @property
    def uniform(self) -> bool:
        """Whether every element is the same."""
        return all(s == 0 for s in self.strides)


@dataclass(frozen=True)
class Bounds:
    """The elements a mask lets through: in each dimension from `low` up to but without `high`."""

    low: tuple[Quantity, ...]
    high: tuple[Quantity, ...]

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> Bounds:
        return cls((0,) * len(shape), shape)


def _shape(value: ir.Value) -> tuple[int, ...]:
    return tuple(ir.RankedTensorType(value.type).shape) if isinstance(value.type, ir.RankedTensorType) else ()


class PointerAnalysis:
    """Reads the old function's operations; new arithmetic goes to the current insertion point."""

    def __init__(self, lookup: Lookup) -> None:
        self.lookup = lookup
        self.a = Arithmetic()

    # Offsets ------------------------------------------------------------------------------------------------------------------------

    def affine(self, value: ir.Value) -> Affine | None:
        """The regular form of an integer block, or None."""
        if not isinstance(value.type, ir.RankedTensorType):
            return Affine(self._scalar(value), (), ())
        owner = value.owner
        handler = None if isinstance(owner, ir.Block) else self._OFFSETS.get(owner.name)
        return handler(self, owner) if handler else None

    def _scalar(self, value: ir.Value) -> Quantity:
        new = self.lookup(value)
        if not isinstance(new.owner, ir.Block) and new.owner.name == "arith.constant":
            return ir.IntegerAttr(new.owner.attributes["value"]).value
        if new.type == ir.IntegerType.get_signless(64):
            return new
        return arith.ExtSIOp(ir.IntegerType.get_signless(64), new).result

    def _make_range(self, op: ir.Operation) -> Affine:
        return Affine(ir.IntegerAttr(op.attributes["start"]).value, (1,), _shape(op.results[0]))

    def _splat(self, op: ir.Operation) -> Affine:
        shape = _shape(op.results[0])
        return Affine(self._scalar(op.operands[0]), (0,) * len(shape), shape)

    def _constant(self, op: ir.Operation) -> Affine | None:
        shape, elements = _shape(op.results[0]), op.attributes["value"]
        if not isinstance(elements, ir.DenseIntElementsAttr) or not elements.is_splat:
            return None
        return Affine(int(elements[0]), (0,) * len(shape), shape)

    def _expand_dims(self, op: ir.Operation) -> Affine | None:
        inner, axis = self.affine(op.operands[0]), ir.IntegerAttr(op.attributes["axis"]).value
        return inner and Affine(inner.offset, (*inner.strides[:axis], 0, *inner.strides[axis:]), _shape(op.results[0]))

    def _broadcast(self, op: ir.Operation) -> Affine | None:
        inner, shape = self.affine(op.operands[0]), _shape(op.results[0])
        if inner is None:
            return None
        strides = tuple(0 if old == 1 else s for s, old in zip(inner.strides, inner.shape, strict=True))
        return Affine(inner.offset, strides, shape)

    def _transpose(self, op: ir.Operation) -> Affine | None:
        inner, order = self.affine(op.operands[0]), list(ir.DenseI64ArrayAttr(op.attributes["order"]))
        return inner and Affine(inner.offset, tuple(inner.strides[i] for i in order), _shape(op.results[0]))

    def _same(self, op: ir.Operation) -> Affine | None:
        return self.affine(op.operands[0])

    def _sum(self, op: ir.Operation) -> Affine | None:
        left, right = (self.affine(v) for v in op.operands)
        return self.add(left, right) if left and right else None

    def _difference(self, op: ir.Operation) -> Affine | None:
        left, right = (self.affine(v) for v in op.operands)
        return self.add(left, self._scaled(right, -1)) if left and right else None

    def _product(self, op: ir.Operation) -> Affine | None:
        left, right = (self.affine(v) for v in op.operands)
        if left is None or right is None or not (left.uniform or right.uniform):
            return None
        return self._scaled(left, right.offset) if right.uniform else self._scaled(right, left.offset)

    def add(self, left: Affine, right: Affine) -> Affine:
        """The sum of two regular blocks of one shape; one of them may be a scalar."""
        if not left.shape or not right.shape:
            block, scalar = (right, left) if right.shape else (left, right)
            return replace(block, offset=self.a.add(block.offset, scalar.offset))
        strides = tuple(self.a.add(x, y) for x, y in zip(left.strides, right.strides, strict=True))
        return Affine(self.a.add(left.offset, right.offset), strides, left.shape)

    def _scaled(self, block: Affine, factor: Quantity) -> Affine:
        return Affine(self.a.mul(block.offset, factor), tuple(self.a.mul(s, factor) for s in block.strides), block.shape)

    _OFFSETS: dict[str, Callable[[PointerAnalysis, ir.Operation], Affine | None]] = {  # noqa: RUF012  (filled once, below)
        "baco.make_range": _make_range,
        "tensor.splat": _splat,
        "arith.constant": _constant,
        "baco.expand_dims": _expand_dims,
        "baco.broadcast": _broadcast,
        "baco.trans": _transpose,
        "arith.extsi": _same,
        "arith.trunci": _same,
        "arith.addi": _sum,
        "arith.subi": _difference,
        "arith.muli": _product,
    }

    # Masks --------------------------------------------------------------------------------------------------------------------------

    def bounds(self, mask: ir.Value) -> Bounds | None:
        """The range in each dimension that a mask lets through, or None."""
        owner = mask.owner
        handler = None if isinstance(owner, ir.Block) else self._MASKS.get(owner.name)
        return handler(self, owner) if handler else None

    def _both(self, op: ir.Operation) -> Bounds | None:
        left, right = (self.bounds(v) for v in op.operands)
        if left is None or right is None:
            return None
        low = tuple(self.a.max(x, y) for x, y in zip(left.low, right.low, strict=True))
        return Bounds(low, tuple(self.a.min(x, y) for x, y in zip(left.high, right.high, strict=True)))

    def _all_or_nothing(self, op: ir.Operation) -> Bounds | None:
        """The same answer everywhere: the whole block, or none of it."""
        shape = _shape(op.results[0])
        if op.name == "arith.constant":
            elements = op.attributes["value"]
            if not elements.is_splat:
                return None
            return Bounds.whole(shape) if elements[0] else Bounds((0,) * len(shape), (0,) * len(shape))
        some = arith.ExtUIOp(ir.IntegerType.get_signless(64), self.lookup(op.operands[0])).result
        return Bounds((0,) * len(shape), (self.a.mul(some, shape[0]), *shape[1:]))

    def _expand_mask(self, op: ir.Operation) -> Bounds | None:
        inner, axis = self.bounds(op.operands[0]), ir.IntegerAttr(op.attributes["axis"]).value
        return inner and Bounds((*inner.low[:axis], 0, *inner.low[axis:]), (*inner.high[:axis], 1, *inner.high[axis:]))

    def _broadcast_mask(self, op: ir.Operation) -> Bounds | None:
        inner, old, new = self.bounds(op.operands[0]), _shape(op.operands[0]), _shape(op.results[0])
        if inner is None:
            return None
        low, high = [], []
        for d, (before, after) in enumerate(zip(old, new, strict=True)):
            if before != after and (inner.low[d], inner.high[d]) != (0, 1):
                return None
            low.append(inner.low[d])
            high.append(after if before != after else inner.high[d])
        return Bounds(tuple(low), tuple(high))

    def _compare(self, op: ir.Operation) -> Bounds | None:
        left, right = (self.affine(v) for v in op.operands)
        kind = _PREDICATES.get(ir.IntegerAttr(op.attributes["predicate"]).value)
        if left is None or right is None or kind is None:
            return None
        if left.uniform:
            left, right, kind = right, left, _MIRRORED[kind]
        moving = [d for d, s in enumerate(left.strides) if s != 0]
        if not right.uniform or len(moving) != 1 or not isinstance(left.strides[moving[0]], int) or left.strides[moving[0]] < 1:
            return None
        # offset + stride * i < bound, and so on, solved for i.
        d, stride = moving[0], left.strides[moving[0]]
        distance = self.a.sub(right.offset, left.offset)
        distance = self.a.add(distance, 1) if kind in ("<=", ">") else distance
        limit = self.a.ceil_div(distance, stride)
        whole = Bounds.whole(left.shape)
        if kind in ("<", "<="):
            high = self.a.min(self.a.max(limit, 0), left.shape[d])
            return replace(whole, high=(*whole.high[:d], high, *whole.high[d + 1 :]))
        low = self.a.min(self.a.max(limit, 0), left.shape[d])
        return replace(whole, low=(*whole.low[:d], low, *whole.low[d + 1 :]))

    _MASKS: dict[str, Callable[[PointerAnalysis, ir.Operation], Bounds | None]] = {  # noqa: RUF012  (filled once, below)
        "arith.andi": _both,
        "arith.constant": _all_or_nothing,
        "tensor.splat": _all_or_nothing,
        "baco.expand_dims": _expand_mask,
        "baco.broadcast": _broadcast_mask,
        "arith.cmpi": _compare,
    }


_PREDICATES = {
    int(arith.CmpIPredicate.slt): "<",
    int(arith.CmpIPredicate.sle): "<=",
    int(arith.CmpIPredicate.sgt): ">",
    int(arith.CmpIPredicate.sge): ">=",
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
