"""keep-resident: load a block once for all the program instances and iterations that use it, as far as there are rows.

Before, with the grid's axis 0 innermost, which does not change what is loaded:
    scf.for %k = %c0 to %depth step %c64 {
      %b = memref.alloc() : memref<64x64xi8>
      memref.copy (%x at %k and %pid1), %b
      linalg.matmul ins(%a, %b) outs(%c) }

After, if %depth is known and its blocks fit (here there are 4):
    %kept = memref.alloc() {baco.kept = true, baco.slots = 4 : i64} : memref<4x64x64xi8>
    scf.for %k = %c0 to %depth step %c64 {
      %first = arith.cmpi eq, %pid0, 0
      scf.if %first { memref.copy (%x at %k and %pid1), %kept[%k / 64] }
      linalg.matmul ins(%a, %kept[%k / 64]) outs(%c) }

After, if only a run shows how many there are:
    %pool = memref.alloc() {baco.kept = true, baco.pool = 15872 : i64, baco.slot_rows = 256 : i64, baco.slots = 62 : i64}
    %fit = arith.minsi (%depth / 64 rounded up), 61
    scf.for %k = %c0 to %depth step %c64 {
      %stays = arith.cmpi slt, (%k / 64), %fit
      %slot = arith.select %stays, 1 + %k / 64, 0                       // slot 0 is for those that find no room
      scf.if %first or not %stays { memref.copy (%x at %k and %pid1), %pool[%slot] }
      linalg.matmul ins(%a, %pool[%slot]) outs(%c) }

The scratchpad and the accumulator hold what they hold from one program instance to the next. A load is kept over the loops around it,
axes of the grid or loops of the kernel, on which its address, its size and the number of its blocks do not depend: the innermost such loop
and those directly around it. What it loads in the loops further in (a panel) gets a place for each block. It stays where it is, so that
it overlaps with computes as before and pipeline-loads can issue it ahead, but happens only when those loops run for the first time.

Rows are what is left beside every other block, with the copies that ``baco.num_stages`` will make of them. Panels of known size that fit
get their rows first, those inside fewest loops first. The others share the rest, their pool: each takes at run time as many rows as its
blocks need (none, if nothing uses them again) or the ones before it have left, and blocks beyond that go through slots of their own,
loaded each time as before.

Not kept: what the kernel stores to (arguments are taken to be different arrays, as everywhere), blocks that are changed on the chip, what
is loaded under a condition, and anything in a kernel with loop instructions, which choose their own rows. ``baco.keep_resident = false``
on the module turns the pass off. A remark says where rows were missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from baco.dialects.mlir import arith, func, ir, memref, scf
from baco.lowering.block_loads import CannotMove, body_of, is_changed, loaded_blocks, move_freely, nested
from baco.lowering.iterations_ahead import loops_inside_out
from baco.lowering.loop_nest import Level, computed_from_arguments, dependences, enclosing_loops, get_grid_order, grid_levels
from baco.lowering.passes import get_hardware, kernel_of, location_of, register
from baco.lowering.pipeline_loads import get_num_stages, slot_of, stages_of
from baco.lowering.place_in_memories import (
    ACCUMULATOR,
    KEPT,
    KEPT_ROWS,
    POOL,
    SCRATCHPAD,
    SLOT_ROWS,
    SLOTS,
    allocations,
    memory_of,
    rows_of,
    set_rows,
)
from baco.lowering.rebuild import constant
from baco.lowering.remarks import add_remark
from baco.lowering.tile_to_dim import HOST, is_on_chip, root

KEEP_RESIDENT = "baco.keep_resident"
"""Module attribute: false turns the pass off."""


def set_keep_resident(module: ir.Module, keep: bool) -> None:
    """Record whether blocks are kept resident."""
    if not keep:
        with module.context:
            module.operation.attributes[KEEP_RESIDENT] = ir.BoolAttr.get(False)


@dataclass
class _Load:
    """A load that can be kept: the block, what fills it, the loops over which it stays the same, and those inside them."""

    alloc: ir.OpView
    steps: list[ir.Operation]
    over: list[Level]
    panel: list[Level]
    memory: str
    block_rows: int
    copies: int
    """How many copies of the block pipelining makes."""
    pooled: bool
    """Whether its number of blocks depends on nothing but the kernel's arguments, so that it can share rows at run time."""

    @property
    def count(self) -> int | None:
        """How many blocks the panel has, where that is known."""
        counts = [level.known_count() for level in self.panel]
        return None if None in counts else math.prod(counts)

    @property
    def rows(self) -> int:
        """Rows that it takes when it is not kept."""
        return self.block_rows * self.copies


@register("keep-resident")
def run(module: ir.Module) -> None:
    """Rewrite the loads of the module's kernel."""
    attributes = module.operation.attributes
    kernel = kernel_of(module)
    off = KEEP_RESIDENT in attributes and not ir.BoolAttr(attributes[KEEP_RESIDENT]).value
    if off or any(op.name.startswith("instgem.loop_") for op in nested(kernel.operation)):
        return
    loads = list(_candidates(module, kernel))
    if loads:
        _Keeper(module, kernel, loads).run()


# Which loads can be kept ---------------------------------------------------------------------------------------------------------------


def _candidates(module: ir.Module, kernel: func.FuncOp) -> Iterator[_Load]:
    dim, stages = get_hardware(module).dim, get_num_stages(module)
    axes = grid_levels(kernel, get_grid_order(module, kernel))
    written = set(_written(kernel))
    for body in _bodies(kernel):
        for alloc, steps in loaded_blocks(body):
            loops = enclosing_loops(alloc.operation)
            sources = {root(o.operands[0]) for s in steps for o in nested(s) if o.name == "memref.copy"}
            memory = memory_of(alloc)
            if loops is None or sources & written or is_changed(alloc.result, steps) or memory not in (SCRATCHPAD, ACCUMULATOR):
                continue
            try:
                over, panel, pooled = _reuse([*axes, *loops], loops, steps)
            except CannotMove:
                continue
            copies = stages_of(body.owner, stages) if loops else 1
            yield _Load(alloc, steps, over, panel, memory, rows_of(alloc, dim), copies, pooled)


def _bodies(kernel: func.FuncOp) -> list[ir.Block]:
    return [kernel.entry_block, *(body_of(loop) for loop in loops_inside_out(kernel.entry_block))]


def _written(kernel: func.FuncOp) -> Iterator[ir.Value]:
    """The arrays that the kernel writes, by the accelerator or the host core."""
    for op in nested(kernel.operation):
        if op.name == "memref.store":
            yield root(op.operands[1])
        elif HOST in op.attributes or (op.name == "memref.copy" and not is_on_chip(op.operands[1])):
            yield root(op.operands[len(op.operands) - 1])


def _reuse(nest: Sequence[Level], loops: Sequence[Level], steps: Sequence[ir.Operation]) -> tuple[list[Level], list[Level], bool]:
    """Over which loops of a nest a load stays the same, the loops inside them, and whether only arguments say how often those run.

    Raises:
        CannotMove: if there are none, or the number of iterations inside them changes with them.
    """
    needs = dependences(v for step in steps for op in nested(step) if not op.parent.name.startswith("linalg.") for v in op.operands)
    needs |= dependences(v for loop in loops for v in loop.bounds)
    same = [level.variable not in needs for level in nest]
    if True not in same:
        raise CannotMove("every loop around it changes what it loads")
    last = len(same) - 1 - same[::-1].index(True)
    first = last
    while first > 0 and same[first - 1]:
        first -= 1
    over, panel = list(nest[first : last + 1]), list(nest[last + 1 :])
    decisive = dependences(v for level in panel for v in level.bounds)
    if decisive & {level.variable for level in (*over, *panel)}:
        raise CannotMove("the loops inside do not always run equally often")
    return (
        over,
        panel,
        not decisive & {level.variable for level in nest} and computed_from_arguments(v for level in panel for v in level.bounds),
    )


# Rows --------------------------------------------------------------------------------------------------------------------------------


class _Keeper:
    """Shares the rows that are left among the loads, and rewrites those that get some."""

    def __init__(self, module: ir.Module, kernel: func.FuncOp, loads: list[_Load]) -> None:
        self.module = module
        self.kernel = kernel
        self.loads = sorted(loads, key=lambda load: len(load.panel))
        config = get_hardware(module)
        self.there = {SCRATCHPAD: config.scratchpad_rows, ACCUMULATOR: config.accumulator_rows}
        self.needed = self._rows_needed(config.dim)
        self.kept_rows = dict.fromkeys(self.there, 0)

    def _rows_needed(self, dim: int) -> dict[str, int]:
        """Rows of each memory that the kernel's blocks take when none is kept, with the copies that pipelining makes."""
        stages = get_num_stages(self.module)
        copies: dict[ir.Operation, int] = {}
        for loop in loops_inside_out(self.kernel.entry_block):
            copies |= {op.operation: stages_of(loop, stages) for op, _ in loaded_blocks(body_of(loop))}
        needed = dict.fromkeys(self.there, 0)
        for op in allocations(self.kernel):
            if memory_of(op) in needed:
                halves = 2 if stages > 1 and memory_of(op) == ACCUMULATOR else 1  # see alternate-accumulators
                needed[memory_of(op)] += rows_of(op, dim) * copies.get(op.operation, halves)
        return needed

    def run(self) -> None:
        """Keep what fits."""
        rest = []
        for load in self.loads:
            count = load.count
            more = None if count is None else max(load.block_rows * count - load.rows, 0)
            if more is not None and more <= self._left(load.memory):
                self.kept_rows[load.memory] += more
                _keep(load, self._panel(load, count))
            else:
                rest.append(load)
        for memory in self.there:
            self._share(memory, [load for load in rest if load.memory == memory])
        if any(self.kept_rows.values()):
            set_rows(self.module, self.kept_rows, KEPT_ROWS)

    def _left(self, memory: str) -> int:
        return self.there[memory] - self.needed[memory] - self.kept_rows[memory]

    def _panel(self, load: _Load, count: int) -> Callable[[ir.Value], tuple[ir.Value, ir.Value | None]] | None:
        """Where each block of a panel lies that is kept whole; None if it is one block."""
        if not load.panel:
            return None
        with ir.InsertionPoint.at_block_begin(self.kernel.entry_block), load.alloc.location:
            ring = _allocate(load, count, {})
        return lambda number: (slot_of(ring, number), None)

    def _share(self, memory: str, loads: list[_Load]) -> None:
        """Share the rows that are left at run time."""
        there, left = self.there[memory], self._left(memory)
        members = []
        for load in loads:
            place = location_of(next(o for s in load.steps for o in nested(s) if o.name == "memref.copy"))
            count = load.count
            required = there - left + load.block_rows * ((count or 2) - 1)
            if load.block_rows > left:
                add_remark(
                    self.module,
                    place,
                    f"this load is repeated for each use of its block: {memory} rows required: {required}, rows there: {there}",
                )
            elif load.pooled:
                members.append(load)
                if count is not None:
                    what = f"not all {count} blocks of this load stay on the chip until their last use"
                    add_remark(self.module, place, f"{what}: {memory} rows required: {required}, rows there: {there}")
        if members:
            self.kept_rows[memory] += left
            pool = _Pool(self.kernel, members, left)
            for load in members:
                _keep(load, pool.place(load))


def _allocate(load: _Load, slots: int, attributes: dict[str, int]) -> ir.Value:
    """Room for several blocks of a load, at the current insertion point."""
    i64 = ir.IntegerType.get_signless(64)
    type_ = ir.MemRefType(load.alloc.result.type)
    ring = memref.AllocOp(ir.MemRefType.get([slots, *type_.shape], type_.element_type), [], [])
    for name, value in {SLOTS: slots, **attributes}.items():
        ring.operation.attributes[name] = ir.IntegerAttr.get(i64, value)
    ring.operation.attributes[KEPT] = ir.BoolAttr.get(True)
    return ring.result


class _Pool:
    """Rows that loads share at run time, counted in units that divide each block's rows.

    It begins with slots for the blocks that find no room, and goes on with those that stay, one load's after the other's.
    """

    def __init__(self, kernel: func.FuncOp, loads: list[_Load], left: int) -> None:
        self.unit = math.gcd(*(load.block_rows for load in loads))
        units = [load.block_rows // self.unit for load in loads]
        passing = sum(load.copies * u for load, u in zip(loads, units, strict=True))
        total = passing + left // self.unit
        self.places: dict[int, tuple[ir.Value, int, int, ir.Value, ir.Value]] = {}
        with ir.InsertionPoint.at_block_begin(kernel.entry_block), kernel.location:
            used, through = constant(passing), 0
            for load, u in zip(loads, units, strict=True):
                ring = _allocate(load, total - u + 1, {SLOT_ROWS: self.unit, POOL: total * self.unit})
                room = arith.DivUIOp(arith.SubIOp(constant(total), used).result, constant(u)).result
                stay = arith.MinSIOp(_wanted(load), room).result
                self.places[id(load)] = ring, u, through, used, stay
                used = arith.AddIOp(used, arith.MulIOp(stay, constant(u)).result).result
                through += load.copies * u

    def place(self, load: _Load) -> Callable[[ir.Value], tuple[ir.Value, ir.Value | None]]:
        """Where each block of a load lies, and whether it stays there."""
        ring, units, through, start, stay = self.places[id(load)]

        def at(number: ir.Value) -> tuple[ir.Value, ir.Value]:
            stays = arith.CmpIOp(arith.CmpIPredicate.slt, number, stay).result
            own = arith.AddIOp(start, arith.MulIOp(number, constant(units)).result).result
            turn = arith.RemUIOp(number, constant(load.copies)).result
            passing = arith.AddIOp(constant(through), arith.MulIOp(turn, constant(units)).result).result
            return slot_of(ring, arith.SelectOp(stays, own, passing).result), stays

        return at


def _wanted(load: _Load) -> ir.Value:
    """How many blocks there are to keep, at the current insertion point: none if the loops over which they are kept run only once."""
    count = _count(load.panel)
    if not computed_from_arguments(v for level in load.over for v in level.bounds):
        return count
    again = arith.CmpIOp(arith.CmpIPredicate.sgt, _count(load.over), constant(1)).result
    return arith.SelectOp(again, count, constant(0)).result


def _count(panel: Sequence[Level]) -> ir.Value:
    """How many iterations loops have together, from arguments of the kernel alone, at the current insertion point."""
    copies: dict[ir.Value, ir.Value] = {}

    def copied(value: ir.Value | None) -> ir.Value | None:
        if value is None or isinstance(value.owner, ir.Block):
            return value
        if value not in copies:
            operands = [copied(v) for v in value.owner.operands]
            op = value.owner.operation.clone()
            for i, operand in enumerate(operands):
                op.operands[i] = operand
            copies[value] = op.results[0]
        return copies[value]

    total = constant(1)
    for level in panel:
        total = arith.MulIOp(total, level.count(copied(level.upper), copied(level.lower), copied(level.step))).result
    return total


# The rewriting -----------------------------------------------------------------------------------------------------------------------


def _keep(load: _Load, place: Callable[[ir.Value], tuple[ir.Value, ir.Value | None]] | None) -> None:
    """Load a block only when the loops over which it is kept run for the first time, to its place."""
    block, stays = load.alloc.result, None
    if place is not None:
        with ir.InsertionPoint(load.alloc), load.alloc.location:
            view, stays = place(_number(load.panel))
        block.replace_all_uses_with(view)
        load.alloc.operation.erase()
        for use in view.uses:
            if use.owner.operation.name == "memref.subview":
                move_freely(use.owner.operation)
    last = load.steps[-1]
    with ir.InsertionPoint(last), last.location:
        needed = load.over[0].first()
        for level in load.over[1:]:
            needed = arith.AndIOp(needed, level.first()).result
        if stays is not None:
            needed = arith.OrIOp(needed, arith.XOrIOp(stays, constant(1, stays.type)).result).result
        branch = scf.IfOp(needed)
        with ir.InsertionPoint(branch.then_block):
            end = scf.YieldOp([])
    for step in load.steps:
        step.move_before(end.operation)
    if place is None:
        load.alloc.operation.attributes[KEPT] = ir.BoolAttr.get(True)
        _move_out(load.alloc)


def _number(panel: Sequence[Level]) -> ir.Value:
    """Which block of its panel an iteration uses, counted as the loops run."""
    number = panel[0].iteration()
    for level in panel[1:]:
        count = level.count(level.upper, level.lower, level.step)
        number = arith.AddIOp(arith.MulIOp(number, count).result, level.iteration()).result
    return number


def _move_out(alloc: ir.OpView) -> None:
    """Allocate a block before every loop, so that nobody takes it for one that each iteration loads."""
    op = alloc.operation
    while op.parent.name != "func.func":
        op = op.parent
    if op != alloc.operation:
        alloc.operation.move_before(op)
