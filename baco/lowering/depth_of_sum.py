"""Whether every step of a sum of products has a depth that is a whole number of tiles, found out before the first step.

A block's depth is a number, or the least of its size and of what is left of the tensor, which gets less from one step to the next. Hardware
reads beyond the right operand where a step's depth is no multiple of DIM (GEMMINI_ISA.md section 9.19), and a sum that has begun in a loop
instruction must end in one, since only the hardware knows where it lies. So the last step's depth has to be known before the first.
"""

from __future__ import annotations

from collections.abc import Iterator

from baco.dialects.mlir import arith, ir
from baco.lowering.block_loads import body_of
from baco.lowering.emit import Arithmetic, Quantity
from baco.lowering.passes import location_of
from baco.lowering.rebuild import known
from baco.lowering.summed_products import NoLoop, SummedProduct

Condition = bool | ir.Value
Values = dict[ir.Value, Quantity]


class Depth:
    """The depth of one operand's blocks: a number, or a run-time value that may get smaller towards the end of the sum."""

    def __init__(self, e: Arithmetic, sum_: SummedProduct, size: Quantity) -> None:
        self.e = e
        self.sum = sum_
        self.size = size
        self.place = location_of(sum_.product)
        self.body = body_of(sum_.loop) if sum_.loop else None
        self.leaves = [] if isinstance(size, int) else list(dict.fromkeys(self._leaves(size)))
        self.falls = [self._rise(leaf) for leaf in self.leaves]

    def _refusal(self) -> NoLoop:
        return NoLoop("the depth of its blocks is computed in a way that says too little about the last one", self.place)

    def _leaves(self, value: ir.Value) -> Iterator[ir.Value]:
        """The values that a size is the least or the greatest of."""
        name = "" if isinstance(value.owner, ir.Block) else value.owner.name
        if name in ("arith.minsi", "arith.maxsi", "arith.index_cast"):
            for operand in value.owner.operands:
                yield from self._leaves(operand)
        else:
            yield value

    def _rise(self, value: ir.Value) -> int:
        """By how much a value grows from one iteration to the next."""
        if known(value) is not None or self.body is None or not is_inside(value, self.body):
            return 0
        if isinstance(value.owner, ir.Block):
            step = self._step_of(ir.BlockArgument(value).arg_number)
            number = None if step is None else known(step)
            if number is None:
                raise self._refusal()
            return number
        name, operands = value.owner.name, list(value.owner.operands)
        if name == "arith.index_cast":
            return self._rise(operands[0])
        if name in ("arith.addi", "arith.subi"):
            return self._rise(operands[0]) + (1 if name == "arith.addi" else -1) * self._rise(operands[1])
        factors = [known(v) for v in operands] if name == "arith.muli" else []
        for factor, other in zip(factors, reversed(operands), strict=True):
            if factor is not None:
                return factor * self._rise(other)
        raise self._refusal()

    def _step_of(self, argument: int) -> ir.Value | None:
        """What a loop adds to its counter (argument 0) or to a value that it carries."""
        if argument == 0:
            return self.sum.loop.operation.operands[2]
        before = self.body.arguments[argument]
        owner = self.body.operations[len(self.body.operations) - 1].operation.operands[argument - 1].owner
        if not isinstance(owner, ir.Block) and owner.name == "arith.addi" and before in list(owner.operands):
            return next((v for v in owner.operands if v != before), None)
        return None

    def conditions(self, dim: int) -> list[Condition]:
        """That every step has a depth that is a multiple of DIM, and not 0.

        Leaves never grow, so neither does the depth, and its last value bounds the others; each leaf keeps its rest modulo DIM. So it is
        enough that the last step is a whole block, or not empty with no leaf that has a rest.
        """
        if isinstance(self.size, int):
            return [self.size > 0 and self.size % dim == 0]
        if any(rise > 0 or rise % dim for rise in self.falls):
            raise self._refusal()
        last = self._evaluate(self.size, self._at_the_end())
        whole = compare(self.e, arith.CmpIPredicate.eq, last, self.sum.shape[2])
        at_first = self._at_the_start()
        rests: Condition = True
        for leaf in self.leaves:
            value = self._evaluate(leaf, at_first)
            rest = value % dim if isinstance(value, int) else arith.AndIOp(value, self.e.value(dim - 1)).result
            none = compare(self.e, arith.CmpIPredicate.eq, rest, 0)
            rests = both(rests, none)
        return [compare(self.e, arith.CmpIPredicate.sgt, last, 0), either(whole, rests)]

    def _at_the_start(self) -> Values:
        if self.body is None:
            return {}
        lower, _, _, *initial = list(self.sum.loop.operation.operands)
        return {argument: self.e.i64(v) for argument, v in zip(self.body.arguments, [lower, *initial], strict=True)}

    def _at_the_end(self) -> Values:
        """Carried values in the last iteration; only meaningful if there is one."""
        if self.body is None:
            return {}
        lower, upper, by = (self.e.i64(v) for v in list(self.sum.loop.operation.operands)[:3])
        if not isinstance(by, int) or by <= 0:
            raise self._refusal()
        before = self.e.div(self.e.add(self.e.sub(upper, lower), -1), by)
        end = {}
        for argument, start in self._at_the_start().items():
            step = self._step_of(ir.BlockArgument(argument).arg_number)
            number = None if step is None else known(step)
            if number is not None:
                end[argument] = self.e.add(start, self.e.mul(before, number))
        return end

    def _evaluate(self, value: ir.Value, at: Values) -> Quantity:
        """A size with numbers or other values in the place of what the loop carries."""
        number = known(value)
        if number is not None:
            return number
        if value in at:
            return at[value]
        if self.body is None or not is_inside(value, self.body):
            return self.e.i64(value)
        if isinstance(value.owner, ir.Block):
            raise self._refusal()
        operands = [self._evaluate(v, at) for v in value.owner.operands]
        e = self.e
        compute = {"arith.addi": e.add, "arith.subi": e.sub, "arith.muli": e.mul, "arith.minsi": e.min, "arith.maxsi": e.max}
        if value.owner.name == "arith.index_cast":
            return operands[0]
        if value.owner.name not in compute:
            raise self._refusal()
        return compute[value.owner.name](*operands)


def compare(e: Arithmetic, predicate: arith.CmpIPredicate, a: Quantity, b: Quantity) -> Condition:
    """A comparison of signed numbers, done now if both are known."""
    p = arith.CmpIPredicate
    if isinstance(a, int) and isinstance(b, int):
        return {p.eq: a == b, p.slt: a < b, p.sgt: a > b, p.sge: a >= b}[predicate]
    return arith.CmpIOp(predicate, e.value(a), e.value(b)).result


def both(a: Condition, b: Condition) -> Condition:
    """Whether two conditions hold, decided now as far as they are known."""
    if isinstance(a, bool) or isinstance(b, bool):
        return (a and b) if isinstance(a, bool) else (b and a)
    return arith.AndIOp(a, b).result


def either(a: Condition, b: Condition) -> Condition:
    """Whether one of two conditions holds, decided now as far as they are known."""
    if isinstance(a, bool) or isinstance(b, bool):
        return (a or b) if isinstance(a, bool) else (b or a)
    return arith.OrIOp(a, b).result


def is_inside(value: ir.Value, body: ir.Block) -> bool:
    """Whether a value is made in a block, or is an argument of it."""
    return value.owner == body if isinstance(value.owner, ir.Block) else value.owner.operation.block == body
