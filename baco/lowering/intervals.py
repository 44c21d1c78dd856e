"""Values of a program without running it: each integer as the range of numbers it takes over many iterations of the loops around it.

A loop is not walked iteration by iteration. Its induction variable, and what it carries forward by fixed steps, become ranges; where a
question about the body (which branch, how many columns) has one answer for the whole range, the body is looked at once and counts as
often as it runs. Where it has not, :class:`Undecided` says which loops' ranges are to blame, and those are split. So the cost depends on
how many different things a kernel does, not on how often it does them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from baco.dialects.mlir import ir
from baco.lowering.errors import CompilationError, SourceLocation


class CannotAnalyse(CompilationError):
    """What a kernel does depends on more than its arguments; a run shows it."""


class Undecided(Exception):
    """A question with more than one answer over the current ranges. `loops` is a bit set of the loops whose ranges matter."""

    def __init__(self, loops: int) -> None:
        self.loops = loops


class NeedsOrder(Exception):
    """A carried value without a fixed step was asked for: its loop has to be followed in order."""

    def __init__(self, loop: int) -> None:
        self.loop = loop


@dataclass(frozen=True)
class Interval:
    """The numbers from `low` to `high`; `loops` is a bit set of the loops over whose ranges they spread."""

    low: int
    high: int
    loops: int = 0

    @property
    def single(self) -> bool:
        return self.low == self.high


@dataclass(frozen=True)
class Unknown:
    """A number that only a run shows, and why."""

    reason: str
    location: SourceLocation | None = None


Value = Interval | Unknown
Rule = Callable[[Interval, Interval], tuple[int, int]]


def number(value: int) -> Interval:
    """One number."""
    return Interval(value, value)


def _product(a: Interval, b: Interval) -> tuple[int, int]:
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return min(corners), max(corners)


def _quotient(divide: Callable[[int, int], int]) -> Rule:
    """Division by one positive number, which keeps the order of what it divides."""

    def rule(a: Interval, b: Interval) -> tuple[int, int]:
        if not b.single:
            raise Undecided(b.loops)
        if b.low <= 0:
            raise CannotAnalyse(f"a division by {b.low} is not analysed.")
        return divide(a.low, b.low), divide(a.high, b.low)

    return rule


def _truncated(a: int, b: int) -> int:
    return a // b if a >= 0 else -(-a // b)


def _remainder(a: Interval, b: Interval) -> tuple[int, int]:
    if not (a.single and b.single):
        raise Undecided(a.loops | b.loops)
    if b.low == 0:
        raise CannotAnalyse("a remainder of a division by 0 is not analysed.")
    rest = a.low - _truncated(a.low, abs(b.low)) * abs(b.low)
    return rest, rest


def _bits(operation: Callable[[int, int], int]) -> Rule:
    """An operation on bits: exact for single numbers, and for ranges of truth values, which it keeps in order."""

    def rule(a: Interval, b: Interval) -> tuple[int, int]:
        if (a.single and b.single) or all(x in (0, 1) for x in (a.low, a.high, b.low, b.high)):
            ends = [operation(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
            return min(ends), max(ends)
        raise Undecided(a.loops | b.loops)

    return rule


_BINARY: dict[str, Rule] = {
    "arith.addi": lambda a, b: (a.low + b.low, a.high + b.high),
    "arith.subi": lambda a, b: (a.low - b.high, a.high - b.low),
    "arith.muli": _product,
    "arith.divsi": _quotient(_truncated),
    "arith.divui": _quotient(_truncated),
    "arith.floordivsi": _quotient(lambda a, b: a // b),
    "arith.ceildivsi": _quotient(lambda a, b: -(-a // b)),
    "arith.ceildivui": _quotient(lambda a, b: -(-a // b)),
    "arith.remsi": _remainder,
    "arith.remui": _remainder,
    "arith.minsi": lambda a, b: (min(a.low, b.low), min(a.high, b.high)),
    "arith.maxsi": lambda a, b: (max(a.low, b.low), max(a.high, b.high)),
    "arith.minui": lambda a, b: (min(a.low, b.low), min(a.high, b.high)),
    "arith.maxui": lambda a, b: (max(a.low, b.low), max(a.high, b.high)),
    "arith.andi": _bits(lambda a, b: a & b),
    "arith.ori": _bits(lambda a, b: a | b),
    "arith.xori": _bits(lambda a, b: a ^ b),
    "arith.shli": _bits(lambda a, b: a << b),
    "arith.shrsi": _bits(lambda a, b: a >> b),
    "arith.shrui": _bits(lambda a, b: a >> b),
}
_SAME = ("arith.index_cast", "arith.index_castui", "arith.extsi", "arith.extui", "arith.trunci")


def _compare(predicate: int, a: Interval, b: Interval) -> tuple[int, int]:
    """`arith.cmpi`, whose predicates are eq, ne, slt, sle, sgt, sge and the unsigned four; sizes are not negative."""
    if predicate >= 6:
        predicate -= 4
    if predicate in (4, 5):
        a, b, predicate = b, a, predicate - 2
    if predicate in (0, 1):
        always, never = a.single and b.single and a.low == b.low, a.high < b.low or b.high < a.low
        return (0 if predicate else 1,) * 2 if always else (1 if predicate else 0,) * 2 if never else (0, 1)
    if predicate == 2:
        return int(a.high < b.low), int(a.low < b.high)
    return int(a.high <= b.low), int(a.low <= b.high)


# The program as plain Python objects, which are faster to walk than the bindings' ------------------------------------------------------


@dataclass(eq=False)
class Node:
    """An operation. Values are numbers, counted through the whole function."""

    name: str
    operands: list[int]
    results: list[int]
    regions: list[Body]
    location: object
    attributes: Mapping[str, int]
    matters: bool = False
    """Whether it is, or holds, an instruction of the accelerator."""


@dataclass(eq=False)
class Body:
    """A block of operations."""

    index: int
    arguments: list[int] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)


class Reader:
    """A function as nodes."""

    def __init__(self, entry: ir.Block) -> None:
        self.bodies: list[Body] = []
        self.defined_in: list[Body] = []
        """The body of each value."""
        self.made_by: list[tuple[Node, int] | None] = []
        """The node behind each value, and which result of it; None for an argument of a body."""
        self._numbers: dict[ir.Value, int] = {}
        self.entry = self._body(entry)

    def _number(self, value: ir.Value, body: Body, origin: tuple[Node, int] | None) -> int:
        self._numbers[value] = len(self.defined_in)
        self.defined_in.append(body)
        self.made_by.append(origin)
        return self._numbers[value]

    def _body(self, block: ir.Block) -> Body:
        body = Body(len(self.bodies))
        self.bodies.append(body)
        body.arguments = [self._number(a, body, None) for a in block.arguments]
        body.nodes = [self._node(op.operation, body) for op in block.operations]
        return body

    def _node(self, op: ir.Operation, body: Body) -> Node:
        attributes = {}
        for name in op.attributes:
            if isinstance(op.attributes[name], ir.IntegerAttr):
                attributes[name] = ir.IntegerAttr(op.attributes[name]).value
            elif isinstance(op.attributes[name], ir.BoolAttr):
                attributes[name] = int(ir.BoolAttr(op.attributes[name]).value)
        node = Node(op.name, [self._numbers[v] for v in op.operands], [], [], op.location, attributes)
        if not op.name.startswith("linalg."):
            node.regions = [self._body(block) for region in op.regions for block in region]
        node.results = [self._number(v, body, (node, i)) for i, v in enumerate(op.results)]
        node.matters = op.name.startswith("instgem.") or any(n.matters for r in node.regions for n in r.nodes)
        return node


class Evaluator:
    """Values on demand: only what a question needs is worked out."""

    def __init__(self, program: Reader) -> None:
        self.program = program
        self.frames: list[dict[int, Value] | None] = [None] * len(program.bodies)
        """The values of each body that is being looked at."""

    def __call__(self, value: int) -> Value:
        frame = self.frames[self.program.defined_in[value].index]
        if frame is None:
            return Unknown("it is a value from inside a loop or branch that has ended")
        if value not in frame:
            node, position = self.program.made_by[value]
            frame[value] = self._result(node, position)
        found = frame[value]
        return found() if callable(found) else found

    def number(self, value: int) -> int:
        """The one number that a value is.

        Raises:
            Undecided: if it takes several.
            CannotAnalyse: if nobody knows.
        """
        found = self(value)
        if isinstance(found, Unknown):
            raise CannotAnalyse(f"what this kernel does depends on more than its grid and numbers: {found.reason}.", found.location)
        if not found.single:
            raise Undecided(found.loops)
        return found.low

    def _result(self, node: Node, position: int) -> Value:
        name = node.name
        if name == "arith.constant":
            value = node.attributes.get("value")
            return Unknown("it is no whole number") if value is None else number(value)
        if name in _SAME:
            return self(node.operands[0])
        if name == "scf.if":
            condition = self.number(node.operands[0])
            return self.inside(node.regions[0 if condition else 1], lambda last: self(last.operands[position]))
        if name == "scf.for":
            return self._after_loop(node, position)
        if name == "arith.select":
            return self._select(node)
        if name not in _BINARY and name != "arith.cmpi":
            return Unknown(f"it comes from {name}", SourceLocation.of(node.location))
        a, b = (self(v) for v in node.operands)
        for operand in (a, b):
            if isinstance(operand, Unknown):
                return operand
        low, high = _compare(node.attributes["predicate"], a, b) if name == "arith.cmpi" else _BINARY[name](a, b)
        return Interval(low, high, 0 if low == high else a.loops | b.loops)

    def _select(self, node: Node) -> Value:
        condition, a, b = node.operands
        which = self(condition)
        if isinstance(which, Unknown):
            return which
        if which.single:
            return self(a if which.low else b)
        both = self(a), self(b)
        for value in both:
            if isinstance(value, Unknown):
                return value
        return Interval(min(v.low for v in both), max(v.high for v in both), which.loops | both[0].loops | both[1].loops)

    def _after_loop(self, node: Node, position: int) -> Value:
        """A carried value when its loop has ended."""
        trips = self.trips(node)
        initial, step = self(node.operands[3 + position]), self.step_of(node, position)
        if trips == 0:
            return initial
        if step is None or isinstance(initial, Unknown) or isinstance(step, Unknown):
            return Unknown("it is carried around a loop without a fixed step", SourceLocation.of(node.location))
        return Interval(initial.low + trips * step.low, initial.high + trips * step.high, initial.loops | step.loops)

    def inside(self, body: Body, use: Callable[[Node], Value]) -> Value:
        """What `use` makes of the last operation of a body, entered for this alone."""
        before = self.frames[body.index]
        self.frames[body.index] = {}
        try:
            return use(body.nodes[-1])
        finally:
            self.frames[body.index] = before

    def trips(self, loop: Node) -> int:
        """How often a loop runs."""
        lower, upper, step = (self.number(v) for v in loop.operands[:3])
        return max(0, -(-(upper - lower) // step))

    def step_of(self, loop: Node, position: int) -> Value | None:
        """By how much a carried value advances in each iteration; None if not by a fixed step."""
        body = loop.regions[0]
        argument, after = body.arguments[1 + position], body.nodes[-1].operands[position]
        if after == argument:
            return number(0)
        origin = self.program.made_by[after]
        if origin is None or origin[0].name != "arith.addi" or argument not in origin[0].operands:
            return None
        a, b = origin[0].operands
        step = b if a == argument else a
        inside = {body.index} | {b.index for b in _bodies(body)}
        return None if self.program.defined_in[step].index in inside else self(step)


def _bodies(body: Body) -> list[Body]:
    """The bodies inside a body."""
    found = []
    for node in body.nodes:
        for region in node.regions:
            found += [region, *_bodies(region)]
    return found
