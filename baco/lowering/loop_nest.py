"""The loops around a statement, the axes of the launch grid among them, and which of them a value depends on.

The grid is a nest of loops around the kernel's body like any other; its order is the module's (:data:`ORDER`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from baco.dialects.mlir import arith, func, ir
from baco.lowering.block_loads import CannotMove, body_of, is_pure
from baco.lowering.choices import AXES, GRID_ORDER, whole_grid_order
from baco.lowering.errors import CompilationError, SourceLocation
from baco.lowering.passes import location_of
from baco.lowering.rebuild import constant, known
from baco.lowering.structure_pointers import GRID_ARGUMENTS

ORDER = "baco.grid_order"
"""Module attribute: the axes of the grid, the innermost first; (0, 1, 2) without it."""


def set_grid_order(module: ir.Module, order: Sequence[int]) -> None:
    """Record the order in which program instances run: the first axis named runs innermost, those not named outermost.

    Raises:
        CompilationError: if these are not axes of a grid.
    """
    whole = _checked(order, None)
    with module.context:
        if whole != GRID_ORDER:
            module.operation.attributes[ORDER] = ir.DenseI64ArrayAttr.get(list(whole))


def get_grid_order(module: ir.Module, kernel: func.FuncOp) -> tuple[int, ...]:
    """All axes of the grid, the innermost first.

    Raises:
        CompilationError: if the module's order is none.
    """
    attributes = module.operation.attributes
    return _checked(tuple(ir.DenseI64ArrayAttr(attributes[ORDER])) if ORDER in attributes else (), location_of(kernel))


def _checked(order: Sequence[int], place: SourceLocation | None) -> tuple[int, ...]:
    whole = whole_grid_order(order)
    if whole is None:
        reason = f"{ORDER} names axes of the grid from the innermost on, each once, as in array<i64: 1, 0>; not {list(order)}."
        raise CompilationError(reason, place)
    return whole


@dataclass(frozen=True)
class Level:
    """One loop: what counts it, and its bounds; None stands for a lower bound of 0 and a step of 1, as an axis of the grid has."""

    variable: ir.Value
    lower: ir.Value | None
    upper: ir.Value
    step: ir.Value | None

    @property
    def bounds(self) -> list[ir.Value]:
        """What decides how often it runs."""
        return [v for v in (self.lower, self.upper, self.step) if v is not None]

    def known_count(self) -> int | None:
        """How often it runs, where that is known."""
        lower, upper, step = (d if v is None else known(v) for v, d in ((self.lower, 0), (self.upper, None), (self.step, 1)))
        return None if None in (lower, upper, step) else max(0, -(-(upper - lower) // step))

    def count(self, upper: ir.Value, lower: ir.Value | None, step: ir.Value | None) -> ir.Value:
        """How often it runs, as an index, from copies of its bounds."""
        length = as_index(upper)
        if lower is not None and known(lower) != 0:
            length = arith.SubIOp(length, as_index(lower)).result
        if step is not None and known(step) != 1:
            length = arith.CeilDivSIOp(length, as_index(step)).result
        return arith.MaxSIOp(length, constant(0)).result

    def first(self) -> ir.Value:
        """Whether it runs for the first time."""
        start = constant(0, self.variable.type) if self.lower is None else self.lower
        return arith.CmpIOp(arith.CmpIPredicate.eq, self.variable, start).result

    def iteration(self) -> ir.Value:
        """How many iterations were before this one, as an index."""
        passed = as_index(self.variable)
        if self.lower is not None and known(self.lower) != 0:
            passed = arith.SubIOp(passed, as_index(self.lower)).result
        if self.step is not None and known(self.step) != 1:
            passed = arith.DivUIOp(passed, as_index(self.step)).result
        return passed


def as_index(value: ir.Value) -> ir.Value:
    """An integer as an index."""
    return value if isinstance(value.type, ir.IndexType) else arith.IndexCastOp(ir.IndexType.get(), value).result


def grid_levels(kernel: func.FuncOp, order: Sequence[int]) -> list[Level]:
    """The axes of the grid that a kernel asks for its place on, the outermost first. It does the same all along the others."""
    there = list(kernel.arg_attrs)[-len(GRID_ARGUMENTS) :] if "arg_attrs" in kernel.attributes else []
    if there != [ir.DictAttr.get({"baco.name": ir.StringAttr.get(name)}) for name in GRID_ARGUMENTS]:
        return []
    arguments = list(kernel.arguments)[-len(GRID_ARGUMENTS) :]
    used = [axis for axis in reversed(order) if any(True for _ in arguments[axis].uses)]
    return [Level(arguments[axis], None, arguments[AXES + axis], None) for axis in used]


def enclosing_loops(op: ir.Operation) -> list[Level] | None:
    """The for loops around an operation of a kernel, the outermost first; None if something else is around it too."""
    levels: list[Level] = []
    while (op := op.parent).name != "func.func":
        if op.name != "scf.for":
            return None
        levels.insert(0, Level(op.regions[0].blocks[0].arguments[0], *list(op.operands)[:3]))
    return levels


def dependences(values: Iterable[ir.Value]) -> set[ir.Value]:
    """The arguments of the kernel, and the variables of its loops, that values depend on.

    Raises:
        CannotMove: if one depends on something else, such as the contents of memory.
    """
    found: set[ir.Value] = set()
    seen: set[ir.Value] = set()
    pending = list(values)
    while pending:
        value = pending.pop()
        if value in seen:
            continue
        seen.add(value)
        if isinstance(value.owner, ir.Block):
            found.add(value if value.owner.owner.operation.name == "func.func" else value.owner.arguments[0])
            pending += _behind_argument(value)
        else:
            pending += _behind_result(value)
    return found


def computed_from_arguments(values: Iterable[ir.Value]) -> bool:
    """Whether values come from the kernel's arguments and constants by pure operations alone."""
    for value in values:
        if isinstance(value.owner, ir.Block):
            if value.owner.owner.operation.name != "func.func":
                return False
        elif not (is_pure(value.owner.operation) and computed_from_arguments(value.owner.operands)):
            return False
    return True


def _behind_argument(value: ir.Value) -> list[ir.Value]:
    """What decides the value that a loop's body is given."""
    block = value.owner
    loop = block.owner.operation
    if loop.name == "func.func":
        return []
    if loop.name != "scf.for":
        raise CannotMove(f"it depends on what {loop.name} makes of it")
    lower, _, step, *initial = loop.operands
    number = ir.BlockArgument(value).arg_number
    if number == 0:
        return [lower, step]
    return [initial[number - 1], block.operations[len(block.operations) - 1].operands[number - 1]]


def _behind_result(value: ir.Value) -> list[ir.Value]:
    op = value.owner.operation
    if op.name == "memref.alloc":
        return []
    if op.name == "scf.for":
        body = body_of(op)
        number = ir.OpResult(value).result_number
        return [*list(op.operands)[:3], op.operands[3 + number], body.operations[len(body.operations) - 1].operands[number]]
    if not is_pure(op):
        raise CannotMove(f"it depends on {op.name}")
    return list(op.operands)
