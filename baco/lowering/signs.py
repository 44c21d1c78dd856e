"""Which offsets can be shown never to be negative, so that a boundary check need not look at the lower end.

Offsets are made of program indices, loop counters and sizes, by sums, products and divisions; carried pointers that only move forwards stay
where they are shown to be. What cannot be shown is checked when the program runs.
"""

from __future__ import annotations

from collections.abc import Iterable

from baco.dialects.mlir import ir
from baco.lowering.emit import Quantity
from baco.lowering.rebuild import known

_KEEP_SIGN = ("arith.addi", "arith.muli", "arith.floordivsi", "arith.ceildivsi", "arith.divui", "arith.minsi", "arith.andi")
"""Operations on two values that are never negative give one that is not."""
_SAME = ("arith.index_cast", "arith.extsi")


class Signs:
    """What is known about the values of one function; `values` are known from the start: program indices and grid sizes."""

    def __init__(self, values: Iterable[ir.Value]) -> None:
        self.known = set(values)

    def never_negative(self, quantity: Quantity) -> bool:
        """Whether a quantity is shown never to be negative."""
        if isinstance(quantity, int):
            return quantity >= 0
        if quantity in self.known:
            return True
        owner = quantity.owner
        if isinstance(owner, ir.Block):
            return self._is_counter(quantity, owner)
        number = known(quantity)
        if number is not None:
            return number >= 0
        operands = list(owner.operands)
        if owner.name in _SAME:
            return self.never_negative(operands[0])
        if owner.name == "arith.maxsi":
            return any(self.never_negative(v) for v in operands)
        if owner.name == "arith.subi":
            return self._is_remainder(*operands)
        return owner.name in _KEEP_SIGN and all(self.never_negative(v) for v in operands)

    def _is_counter(self, value: ir.Value, block: ir.Block) -> bool:
        """The counter of a loop that starts where it is never negative; steps are positive."""
        loop = block.owner
        return loop.operation.name == "scf.for" and value == block.arguments[0] and self.never_negative(loop.operation.operands[0])

    def _is_remainder(self, value: ir.Value, multiple: ir.Value) -> bool:
        """``x - (x // y) * y``, which has the sign of y."""
        product = multiple.owner
        if isinstance(product, ir.Block) or product.name != "arith.muli":
            return False
        quotient, divisor = product.operands[0].owner, product.operands[1]
        is_floor = not isinstance(quotient, ir.Block) and quotient.name == "arith.floordivsi"
        return is_floor and list(quotient.operands) == [value, divisor] and self.never_negative(divisor)

    def carry_forwards(self, old: ir.Value, argument: ir.Value, start: tuple[Quantity, ...], carried: Iterable[ir.Value]) -> None:
        """Note the offsets of a carried block pointer that start where they are never negative and only move forwards.

        `old` is what the old loop yields for the pointer, `argument` the old loop's carried pointer; `start` and `carried` are the
        offsets before the new loop and inside it.
        """
        steps: list[list[ir.Value]] = []
        while old != argument:
            if isinstance(old.owner, ir.Block) or old.owner.name != "baco.advance":
                return
            steps.append(list(old.owner.operands)[1:])
            old = old.owner.operands[0]
        for axis, (first, value) in enumerate(zip(start, carried, strict=True)):
            if self.never_negative(first) and all((known(s[axis]) or 0) >= 0 and known(s[axis]) is not None for s in steps):
                self.known.add(value)
