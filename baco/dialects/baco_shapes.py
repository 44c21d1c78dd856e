"""Operations of the `baco` dialect that cut blocks up and put them in another shape, atomics, and checks while the program runs.

    %r = "baco.reshape"(%x) : (tensor<64x32xi8>) -> tensor<2048xi8>
    %e = "baco.slice"(%r) {axis = 0 : i64, start = 1 : i64, step = 2 : i64} : (tensor<2048xi8>) -> tensor<1024xi8>
    %s = "baco.rotate"(%e) {axis = 0 : i64, by = 3 : i64} : (tensor<1024xi8>) -> tensor<1024xi8>
    %o = "baco.atomic"(%p, %v, %mask) {kind = "add"} : (!baco.ptr_block<tensor<64xi32>>, tensor<64xi32>, tensor<64xi1>) -> tensor<64xi32>

The bindings read the field annotations of an operation class as objects, so this module does not postpone their evaluation.
"""

import math
from typing import Any

from baco.dialects.baco import Verified, require
from baco.dialects.baco_blocks import PointerBlock
from baco.dialects.mlir import ext, ir

ATOMICS = ("add", "max", "min", "and", "or", "xor", "xchg", "cas")
"""What an atomic operation leaves in memory, of what was there and its value."""


def _tensor(value: ir.Value) -> ir.RankedTensorType:
    return ir.RankedTensorType(value.type)


def _integer(op: Any, name: str) -> int:
    return ir.IntegerAttr(op.attributes[name]).value


def _axis(op: Any) -> int:
    axis, rank = _integer(op, "axis"), _tensor(op.value).rank
    require(0 <= axis < rank, op, f"axis {axis} is not one of a rank-{rank} block")
    return axis


class Reshape(Verified, name="reshape"):
    """The same elements in the same order, in another shape."""

    result: ext.Result[Any]
    value: ext.Operand[Any]

    def check(self) -> None:
        old, new = _tensor(self.value), _tensor(self.result)
        ok = math.prod(old.shape) == math.prod(new.shape) and old.element_type == new.element_type
        require(ok, self, f"{old} does not have the elements of {new}")


class Slice(Verified, name="slice"):
    """Every `step`-th place along an axis from `start` on, as many as the result has; backwards if the step is negative."""

    result: ext.Result[Any]
    value: ext.Operand[Any]
    axis: ir.IntegerAttr
    start: ir.IntegerAttr
    step: ir.IntegerAttr

    def check(self) -> None:
        axis, old, new = _axis(self), _tensor(self.value), _tensor(self.result)
        others = [(o, n) for d, (o, n) in enumerate(zip(old.shape, new.shape, strict=True)) if d != axis]
        require(all(o == n for o, n in others) and old.element_type == new.element_type, self, f"does not turn {old} into {new}")
        ends = (_integer(self, "start"), _integer(self, "start") + (new.shape[axis] - 1) * _integer(self, "step"))
        require(all(0 <= e < old.shape[axis] for e in ends), self, f"places {ends[0]} to {ends[1]} are not all among {old.shape[axis]}")


class Rotate(Verified, name="rotate"):
    """Place i along an axis is place i + `by` of the operand, counted around the end."""

    result: ext.Result[Any]
    value: ext.Operand[Any]
    axis: ir.IntegerAttr
    by: ir.IntegerAttr

    def check(self) -> None:
        size, by = _tensor(self.value).shape[_axis(self)], _integer(self, "by")
        require(self.result.type == self.value.type, self, f"gives {self.value.type}, not {self.result.type}")
        require(0 <= by < size, self, f"by is from 0 to {size - 1}, not {by}")


class Atomic(Verified, name="atomic"):
    """Change what the addresses whose mask is set point to, one after the other; what was there, and 0 elsewhere.

    `compare` is what kind "cas" looks for, and is not used by the others.
    """

    result: ext.Result[Any]
    pointer: ext.Operand[PointerBlock]
    compare: ext.Operand[Any]
    value: ext.Operand[Any]
    mask: ext.Operand[Any]
    kind: ir.StringAttr

    def check(self) -> None:
        kind = ir.StringAttr(self.attributes["kind"]).value
        require(kind in ATOMICS, self, f"kind is one of {', '.join(ATOMICS)}, not {kind}")
        block = self.pointer.type.block_type
        same = self.value.type == block == self.compare.type and self.result.type == block
        require(same, self, f"through {self.pointer.type} takes and gives {block}")
        require(list(_tensor(self.mask).shape) == list(block.shape), self, f"mask {self.mask.type} does not have the shape of {block}")
        require(str(_tensor(self.mask).element_type) == "i1", self, f"a mask is i1, not {self.mask.type}")
        is_float = isinstance(block.element_type, ir.F32Type)
        require(not (is_float and kind in ("and", "or", "xor")), self, f"{kind} does not apply to floats")


class Assert(Verified, name="assert"):
    """Stop the program with a message where a condition does not hold."""

    condition: ext.Operand[Any]
    message: ir.StringAttr

    def check(self) -> None:
        type_ = self.condition.type
        element = _tensor(self.condition).element_type if isinstance(type_, ir.RankedTensorType) else type_
        require(str(element) == "i1", self, f"a condition is i1, not {type_}")
