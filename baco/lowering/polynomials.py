"""Whole numbers of a kernel as polynomials in values that are no sums or products, and block sizes as such numbers cut to a range.

    %p = arith.muli %out, %c2      %q = arith.addi %p, %tap      ->  2 * %out + %tap
    %s = arith.minsi (arith.maxsi (%n - %q), %c0), %c64          ->  the least of 64 and %n - 2 * %out - %tap, and at least 0

That two addresses differ by one tensor row, or move by one pixel from one position of a filter to the next, is then a comparison of
coefficients. Numbers wrap in neither form: sizes and addresses are far from 64 bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from baco.dialects.mlir import ir
from baco.lowering.emit import Arithmetic, Quantity

Monomial = tuple[ir.Value, ...]
"""The factors of a product, in an order of their own; () for a number."""


class NotPolynomial(Exception):
    """An expression that is not of the form asked for."""


@dataclass(frozen=True)
class Polynomial:
    """A sum of products: factors to their coefficient, which is not 0."""

    terms: Mapping[Monomial, int]

    @classmethod
    def of(cls, value: Quantity) -> Polynomial:
        """What a number or an integer value of the kernel is made of."""
        if isinstance(value, int):
            return _polynomial({(): value})
        if not isinstance(value.owner, ir.Block):
            name, operands = value.owner.name, value.owner.operands
            if name == "arith.constant":
                return cls.of(ir.IntegerAttr(value.owner.attributes["value"]).value)
            if name == "arith.index_cast":
                return cls.of(operands[0])
            if name in ("arith.addi", "arith.subi", "arith.muli"):
                a, b = cls.of(operands[0]), cls.of(operands[1])
                return a + b if name == "arith.addi" else a - b if name == "arith.subi" else a * b
        return _polynomial({(value,): 1})

    def __add__(self, other: Polynomial | int) -> Polynomial:
        terms = Counter(self.terms)
        for factors, n in _as_polynomial(other).terms.items():
            terms[factors] += n
        return _polynomial(terms)

    def __sub__(self, other: Polynomial | int) -> Polynomial:
        return self + _as_polynomial(other) * -1

    def __mul__(self, other: Polynomial | int) -> Polynomial:
        terms: Counter = Counter()
        for mine, n in self.terms.items():
            for theirs, m in _as_polynomial(other).terms.items():
                terms[tuple(sorted((*mine, *theirs), key=hash))] += n * m
        return _polynomial(terms)

    @property
    def number(self) -> int | None:
        """The number that it is; None if it depends on a value."""
        return self.terms.get((), 0) if set(self.terms) <= {()} else None

    @property
    def values(self) -> set[ir.Value]:
        return {value for factors in self.terms for value in factors}

    def coefficient(self, value: ir.Value) -> Polynomial:
        """By how much it grows when `value` grows by one.

        Raises:
            NotPolynomial: if that depends on `value`.
        """
        found = {}
        for factors, n in self.terms.items():
            if factors.count(value) > 1:
                raise NotPolynomial
            if value in factors:
                found[tuple(f for f in factors if f != value)] = n
        return Polynomial(found)

    def without(self, value: ir.Value) -> Polynomial:
        """It with 0 for `value`."""
        return Polynomial({factors: n for factors, n in self.terms.items() if value not in factors})

    def over(self, other: Polynomial) -> Polynomial:
        """The quotient, where a single product divides every term.

        Raises:
            NotPolynomial: where it does not.
        """
        if len(other.terms) != 1:
            raise NotPolynomial
        ((divisor, by),) = other.terms.items()
        found = {}
        for factors, n in self.terms.items():
            left = Counter(factors)
            left.subtract(divisor)
            if n % by or any(count < 0 for count in left.values()):
                raise NotPolynomial
            found[tuple(sorted(left.elements(), key=hash))] = n // by
        return Polynomial(found)

    def emit(self, e: Arithmetic, instead: Mapping[ir.Value, Quantity] | None = None) -> Quantity:
        """Compute it at the current insertion point, with other values in the place of some."""
        total: Quantity = 0
        for factors, n in self.terms.items():
            product: Quantity = n
            for factor in factors:
                product = e.mul(product, instead[factor] if instead and factor in instead else e.i64(factor))
            total = e.add(total, product)
        return total


def _polynomial(terms: Mapping[Monomial, int]) -> Polynomial:
    return Polynomial({factors: n for factors, n in terms.items() if n})


def _as_polynomial(value: Polynomial | int) -> Polynomial:
    return _polynomial({(): value}) if isinstance(value, int) else value


@dataclass(frozen=True)
class Quotient:
    """A polynomial divided by a number, rounded up."""

    above: Polynomial
    below: int = 1

    @classmethod
    def of(cls, value: Quantity) -> Quotient:
        if not isinstance(value, int) and not isinstance(value.owner, ir.Block):
            if value.owner.name == "arith.index_cast":
                return cls.of(value.owner.operands[0])
            if value.owner.name == "arith.ceildivsi":
                above, below = (Polynomial.of(v) for v in value.owner.operands)
                if below.number is not None and below.number > 0:
                    return cls(above, below.number)
        return cls(Polynomial.of(value))


def bounds(value: Quantity, largest: int) -> list[Quotient]:
    """The numbers of which a size is the least, where it is also at most `largest` and at least 0.

    Raises:
        NotPolynomial: if it is made in another way.
    """
    found = _least(value, largest)
    return [q for i, q in enumerate(found) if q not in found[:i]]


def _least(value: Quantity, largest: int) -> list[Quotient]:
    owner = None if isinstance(value, int) or isinstance(value.owner, ir.Block) else value.owner
    if owner is not None and owner.name == "arith.index_cast":
        return _least(owner.operands[0], largest)
    if owner is not None and owner.name == "arith.minsi":
        return [*_least(owner.operands[0], largest), *_least(owner.operands[1], largest)]
    if owner is not None and owner.name == "arith.maxsi":
        below = [Polynomial.of(v).number for v in owner.operands]
        if 0 not in below:
            raise NotPolynomial
        return _least(owner.operands[1 - below.index(0)], largest)
    found = Quotient.of(value)
    if found.below == 1 and found.above.number is not None and found.above.number >= largest:
        return []
    return [found]
