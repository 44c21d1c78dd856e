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
class Wrap:
    """What a dimension adds that starts over: ``(start + index) % modulus * stride``, with `start` from 0 up to `modulus`."""

    start: Quantity
    modulus: Quantity
    stride: Quantity


@dataclass(frozen=True)
class Affine:
    """``offset + sum of index[d] * strides[d]`` over a block of a shape, and what dimensions that wrap add; all in elements."""

    offset: Quantity
    strides: tuple[Quantity, ...]
    shape: tuple[int, ...]
    wraps: tuple[Wrap | None, ...] = ()
    """One for each dimension, or none at all."""

    @property
    def wrapping(self) -> tuple[int, ...]:
        """The dimensions that wrap."""
        return tuple(d for d, w in enumerate(self.wraps) if w)

    @property
    def uniform(self) -> bool:
        """Whether every element is the same."""
        return all(s == 0 for s in self.strides) and not self.wrapping


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
        wraps = inner and inner.wraps and (*inner.wraps[:axis], None, *inner.wraps[axis:])
        return inner and Affine(inner.offset, (*inner.strides[:axis], 0, *inner.strides[axis:]), _shape(op.results[0]), wraps)

    def _broadcast(self, op: ir.Operation) -> Affine | None:
        inner, shape = self.affine(op.operands[0]), _shape(op.results[0])
        if inner is None:
            return None
        strides = tuple(0 if old == 1 else s for s, old in zip(inner.strides, inner.shape, strict=True))
        if any(inner.shape[d] == 1 != shape[d] for d in inner.wrapping):
            return None
        return Affine(inner.offset, strides, shape, inner.wraps)

    def _transpose(self, op: ir.Operation) -> Affine | None:
        inner, order = self.affine(op.operands[0]), list(ir.DenseI64ArrayAttr(op.attributes["order"]))
        wraps = inner and inner.wraps and tuple(inner.wraps[i] for i in order)
        return inner and Affine(inner.offset, tuple(inner.strides[i] for i in order), _shape(op.results[0]), wraps)

    def _same(self, op: ir.Operation) -> Affine | None:
        return self.affine(op.operands[0])

    def _sum(self, op: ir.Operation) -> Affine | None:
        left, right = (self.affine(v) for v in op.operands)
        return self.add(left, right) if left and right else None

    def _difference(self, op: ir.Operation) -> Affine | None:
        modulus = _floor_remainder(op)
        if modulus is not None:
            return self._wrapped(op.operands[0], modulus, floor=True)
        left, right = (self.affine(v) for v in op.operands)
        return self.add(left, self._scaled(right, -1)) if left and right else None

    def _product(self, op: ir.Operation) -> Affine | None:
        left, right = (self.affine(v) for v in op.operands)
        if left is None or right is None or not (left.uniform or right.uniform):
            return None
        return self._scaled(left, right.offset) if right.uniform else self._scaled(right, left.offset)

    def _remainder(self, op: ir.Operation) -> Affine | None:
        return self._wrapped(*op.operands, floor=False)

    def _wrapped(self, value: ir.Value, modulus: ir.Value, *, floor: bool) -> Affine | None:
        """A range that starts over: ``(start + index) % modulus``. Without `floor`, nobody means what is below zero."""
        inner, by = self.affine(value), self.affine(modulus)
        if inner is None or by is None or not by.uniform or inner.wrapping:
            return None
        moving = [d for d, s in enumerate(inner.strides) if s != 0]
        if len(moving) != 1 or inner.strides[moving[0]] != 1:
            return None
        start, size = (self.a.value(q) for q in (inner.offset, by.offset))
        rest = arith.RemSIOp(start, size).result
        if floor:
            rest = arith.SubIOp(start, arith.MulIOp(arith.FloorDivSIOp(start, size).result, size).result).result
        wraps = tuple(Wrap(rest, by.offset, 1) if d == moving[0] else None for d in range(len(inner.shape)))
        return Affine(0, (0,) * len(inner.shape), inner.shape, wraps)

    def add(self, left: Affine | None, right: Affine | None) -> Affine | None:
        """The sum of two regular blocks of one shape; one of them may be a scalar. None if it is not regular."""
        if left is None or right is None:
            return None
        if not left.shape or not right.shape:
            block, scalar = (right, left) if right.shape else (left, right)
            return replace(block, offset=self.a.add(block.offset, scalar.offset))
        if set(left.wrapping) & set(right.wrapping):
            return None
        none = (None,) * len(left.shape)
        wraps = tuple(x or y for x, y in zip(left.wraps or none, right.wraps or none, strict=True))
        strides = tuple(self.a.add(x, y) for x, y in zip(left.strides, right.strides, strict=True))
        return Affine(self.a.add(left.offset, right.offset), strides, left.shape, wraps if any(wraps) else ())

    def _scaled(self, block: Affine, factor: Quantity) -> Affine:
        wraps = tuple(w and replace(w, stride=self.a.mul(w.stride, factor)) for w in block.wraps)
        return Affine(self.a.mul(block.offset, factor), tuple(self.a.mul(s, factor) for s in block.strides), block.shape, wraps)

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
        "arith.remsi": _remainder,
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
        if left is None or right is None or kind is None or left.wrapping or right.wrapping:
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


def _floor_remainder(op: ir.Operation) -> ir.Value | None:
    """What ``x - x // m * m`` divides by, if a difference is one: Python's remainder."""
    value, product = op.operands
    if isinstance(product.owner, ir.Block) or product.owner.name != "arith.muli":
        return None
    quotient, modulus = product.owner.operands
    if isinstance(quotient.owner, ir.Block) or quotient.owner.name != "arith.floordivsi":
        return None
    return modulus if list(quotient.owner.operands) == [value, modulus] else None


_PREDICATES = {
    int(arith.CmpIPredicate.slt): "<",
    int(arith.CmpIPredicate.sle): "<=",
    int(arith.CmpIPredicate.sgt): ">",
    int(arith.CmpIPredicate.sge): ">=",
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
