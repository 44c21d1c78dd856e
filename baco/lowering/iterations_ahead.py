"""A nest of loops seen as one sequence of iterations: what its loops carry, and where it will be some iterations from now.

An iteration of the innermost loop that is the last of its loop is followed by the first one of the next iteration of the loop around it,
and so on outwards; nothing lies between them for somebody who only asks which block comes next. That needs bounds that are the same in
every iteration of the loops around (so that no loop of the nest is empty if one iteration of its body has been reached), and addresses
made by pure operations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from baco.dialects.mlir import arith, ir, scf
from baco.lowering.block_loads import CannotMove, PureSlice, body_of, pure_slice
from baco.lowering.rebuild import constant


def loops_inside_out(block: ir.Block) -> Iterator[ir.OpView]:
    """The for loops of a block, each after those inside it."""
    for op in block.operations:
        for region in op.operation.regions:
            for inner in region:
                yield from loops_inside_out(inner)
        if op.operation.name == "scf.for":
            yield op


def enclosing_loop(loop: ir.OpView) -> ir.OpView | None:
    """The for loop whose body a loop stands in; None if no loop is around it.

    Raises:
        CannotMove: if something that is decided at run time lies between the two.
    """
    around = loop.operation.parent
    if around.name == "scf.for":
        return around.opview
    outermost = around
    while outermost.name not in ("scf.for", "scf.while", "func.func"):
        outermost = outermost.parent
    if outermost.name == "func.func":
        return None
    raise CannotMove(f"an {around.name} around it decides at run time whether it is reached again")


def is_outside(value: ir.Value, loop: ir.OpView) -> bool:
    """Whether a value exists before a loop begins."""
    block = value.owner if isinstance(value.owner, ir.Block) else value.owner.operation.block
    while block != body_of(loop):
        if block.owner.operation.name == "func.func":
            return True
        block = block.owner.operation.block
    return False


def carry(loop: ir.OpView, initial: Sequence[ir.Value]) -> ir.OpView:
    """The same loop with more carried values, which its last operation hands on unchanged until :func:`hand_on` says otherwise."""
    operands = list(loop.operation.operands)
    with ir.InsertionPoint(loop), loop.location:
        new = scf.ForOp(*operands[:3], [*operands[3:], *initial])
    for named in loop.operation.attributes:
        new.operation.attributes[named] = loop.operation.attributes[named]
    body = body_of(loop)
    last = body.operations[len(body.operations) - 1]
    with ir.InsertionPoint(new.body), last.location:
        new_last = scf.YieldOp([*last.operands, *list(new.body.arguments)[len(body.arguments) :]])
    last.operation.erase()
    for op in list(body.operations):
        op.operation.move_before(new_last.operation)
    for old, argument in zip(body.arguments, new.body.arguments, strict=False):
        old.replace_all_uses_with(argument)
    for old, result in zip(loop.results, new.results, strict=False):
        old.replace_all_uses_with(result)
    loop.operation.erase()
    return new


def hand_on(loop: ir.OpView, values: Sequence[ir.Value]) -> None:
    """Let the last carried values of a loop be these in its next iteration."""
    body = body_of(loop)
    last = body.operations[len(body.operations) - 1].operation
    first = len(last.operands) - len(values)
    for i, value in enumerate(values):
        last.operands[first + i] = value


def carry_through(loops: Sequence[ir.OpView], initial: Sequence[ir.Value]) -> list[ir.OpView]:
    """A nest (innermost loop first) in which every loop goes on with more carried values where the one before it left them."""
    new: list[ir.OpView] = []
    for loop in reversed(loops):
        new.insert(0, carry(loop, initial))
        initial = list(new[0].operation.regions[0].blocks[0].arguments)[-len(initial) :]
    for outer, inner in zip(new[1:], new, strict=False):
        hand_on(outer, list(inner.results)[-len(initial) :])
    return new


@dataclass(frozen=True)
class Level:
    """A loop of a nest with the pure operations of its body that an address needs, and the steps of the carried values among those."""

    loop: ir.OpView
    slice: PureSlice
    steps: dict[int, ir.Value]

    @property
    def bounds(self) -> tuple[ir.Value, ir.Value, ir.Value]:
        """Lower and upper bound, and the step."""
        lower, upper, step = list(self.loop.operation.operands)[:3]
        return lower, upper, step


def level(loop: ir.OpView, inside: PureSlice) -> Level:
    """A level whose slice is known.

    Raises:
        CannotMove: if a carried value of the slice does not advance by a fixed step.
    """
    return Level(loop, inside, {number: _advance(loop, number) for number in sorted(inside.carried)})


def outer_level(loop: ir.OpView, inside: Sequence[Level]) -> Level:
    """The level around others.

    Raises:
        CannotMove: if iterations of the loop cannot be told ahead.
    """
    for below in inside:
        if not all(is_outside(bound, loop) for bound in below.bounds):
            raise CannotMove("the bounds of the loop are not the same in every iteration around it")
    needed: list[ir.Value] = []
    for below in inside:
        initial = list(below.loop.operation.operands)[3:]
        needed += [*below.slice.from_outside, *below.steps.values(), *(initial[number] for number in below.steps)]
    return level(loop, pure_slice(loop, (), [v for v in needed if is_outside(v, inside[-1].loop)]))


def _advance(loop: ir.OpView, number: int) -> ir.Value:
    """The loop-invariant step of a carried value."""
    body = body_of(loop)
    argument = body.arguments[1 + number]
    value = body.operations[len(body.operations) - 1].operands[number]
    owner = value.owner
    if not isinstance(owner, ir.Block) and owner.name == "arith.addi":
        for before, step in (tuple(owner.operands), tuple(owner.operands)[::-1]):
            if before == argument and is_outside(step, loop):
                return step
    raise CannotMove("its address is carried around the loop and does not advance by a fixed step")


@dataclass
class _Cursor:
    """Where a loop of the nest is: its variable; how many iterations since `anew` (whether it has begun anew, None: not) or since now."""

    variable: ir.Value
    since: ir.Value | int
    anew: ir.Value | bool


class Ahead:
    """The iteration `distance` after the present one (or, with `first`, after the first of all), made at the insertion point."""

    def __init__(self, levels: Sequence[Level], distance: int, *, first: bool = False) -> None:
        self.levels = levels
        self.first = first
        self.cursors = [_Cursor(v.bounds[0] if first else body_of(v.loop).arguments[0], 0, first) for v in levels]
        if len(levels) == 1:
            self.cursors[0].variable = moved(self.cursors[0].variable, levels[0].bounds[2], distance)
            self.cursors[0].since = distance
        else:
            for _ in range(distance):
                self._advance()

    def _advance(self) -> None:
        """One iteration on: the innermost loop advances, and each other one when the loop inside it begins anew."""
        over: ir.Value | None = None
        for here, cursor in zip(self.levels, self.cursors, strict=True):
            lower, upper, step = here.bounds
            variable = arith.AddIOp(cursor.variable, step).result
            since = arith.AddIOp(_value(cursor.since), constant(1)).result
            if over is not None:
                variable = arith.SelectOp(over, variable, cursor.variable).result
                since = arith.SelectOp(over, since, _value(cursor.since)).result
            if here is not self.levels[-1]:
                over = arith.CmpIOp(arith.CmpIPredicate.sge, variable, upper).result
                variable = arith.SelectOp(over, lower, variable).result
                since = arith.SelectOp(over, constant(0), since).result
                cursor.anew = (
                    over if cursor.anew is False else cursor.anew if cursor.anew is True else arith.OrIOp(cursor.anew, over).result
                )
            cursor.variable, cursor.since = variable, since

    def exists(self) -> ir.Value:
        """Whether there is such an iteration. Before the nest, that needs iterations of every loop in it."""
        there = arith.CmpIOp(arith.CmpIPredicate.slt, self.cursors[-1].variable, self.levels[-1].bounds[1]).result
        for inner in self.levels[:-1] if self.first else ():
            lower, upper, _ = inner.bounds
            there = arith.AndIOp(there, arith.CmpIOp(arith.CmpIPredicate.slt, lower, upper).result).result
        return there

    def replacements(self) -> dict[ir.Value, ir.Value]:
        """What stands, in that iteration, for the loops' variables and carried values, and for what is computed from them."""
        values: dict[ir.Value, ir.Value] = {}
        for here, cursor in reversed(list(zip(self.levels, self.cursors, strict=True))):
            arguments, initial = body_of(here.loop).arguments, list(here.loop.operation.operands)[3:]
            values[arguments[0]] = cursor.variable
            for number, step in here.steps.items():
                begun = values.get(initial[number], initial[number])
                now = arguments[1 + number]
                start = begun if cursor.anew is True else now if cursor.anew is False else arith.SelectOp(cursor.anew, begun, now).result
                values[now] = _stepped(start, values.get(step, step), cursor.since)
            if here is not self.levels[0]:
                here.slice.clone(values)
        return values


def _value(count: ir.Value | int) -> ir.Value:
    return constant(count) if isinstance(count, int) else count


def moved(start: ir.Value, step: ir.Value, times: int) -> ir.Value:
    """`start` after a known number of steps."""
    if times == 0:
        return start
    return arith.AddIOp(start, arith.MulIOp(step, constant(times, step.type)).result).result


def _stepped(start: ir.Value, step: ir.Value, times: ir.Value | int) -> ir.Value:
    if isinstance(times, int):
        return moved(start, step, times)
    times = times if isinstance(step.type, ir.IndexType) else arith.IndexCastOp(step.type, times).result
    return arith.AddIOp(start, arith.MulIOp(step, times).result).result
