"""pipeline-loads: give the blocks that a loop loads several places, and load ahead of the iteration that uses them.

Before, with ``baco.num_stages = 3``:
    scf.for %i = %c0 to %n step %c1 iter_args(%at = %c0) {
      %a = memref.alloc() : memref<64x64xi8>
      memref.copy (%x at %at), %a
      linalg.matmul ins(%a, ...) outs(%c)
      %next = arith.addi %at, %c64
      scf.yield %next }

After:
    %ring = memref.alloc() {baco.slots = 3 : i64} : memref<3x64x64xi8>
    scf.if %c0 < %n     { memref.copy (%x at %c0), %ring[0] }                       // prologue
    scf.if %c0 + 1 < %n { memref.copy (%x at %c0 + 64), %ring[1] }
    scf.for %i = %c0 to %n step %c1 iter_args(%at = %c0, %use = 0, %fill = 2) {
      scf.if %i + 2 < %n { memref.copy (%x at %at + 128), %ring[%fill] }            // what iteration %i + 2 will use
      linalg.matmul ins(%ring[%use], ...) outs(%c)
      scf.yield %next, (%use + 1 or 0), %use }

This is ALCOP's transformation (the dissertation's chapter 5) on a machine whose load, execute and store queues run concurrently and
whose reservation station orders commands by the private rows they touch: loads of a slot that nothing else touches overlap with computes,
and no synchronisation is needed. Every load still happens once, so results and words moved stay the same; only order and rows change.

It runs on whole blocks, after the host's work has been split off and before they are cut into tiles: here a load is still one copy with
one address, and a ring is an ordinary buffer with one more dimension, which tiling, placement and instruction selection treat as any
other. (Blocks themselves are tiles of the tensors, so tiling in ALCOP's sense has happened; rows are known because layouts are.)
Loops are treated from the inside out, each level for itself, so that several levels of a nest have loads in flight.

A block is not pipelined, and a remark says why, where its address cannot be computed ahead, the loop stores to the same array, or the
host core works in the loop; and with fewer stages than asked for where the copies do not fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from baco.dialects.mlir import DYNAMIC, arith, ir, memref, scf
from baco.lowering.block_loads import (
    BlockLoad,
    CannotMove,
    block_load,
    body_of,
    clone_slice,
    kept_blocks,
    loaded_blocks,
    move_freely,
    nested,
)
from baco.lowering.errors import CompilationError
from baco.lowering.passes import get_hardware, kernel_of, location_of, register
from baco.lowering.place_in_memories import ACCUMULATOR, KEPT, SCRATCHPAD, SLOTS, allocations, memory_of, rows_of, rows_taken
from baco.lowering.rebuild import constant
from baco.lowering.remarks import add_remark

NUM_STAGES = "baco.num_stages"
"""Module attribute: how many copies each loaded block gets, from 1 (off) to :data:`MAX_STAGES`."""
MAX_STAGES = 4


def set_num_stages(module: ir.Module, stages: int) -> None:
    """Record how many stages pipelines get.

    Raises:
        CompilationError: if it is not a number from 1 to :data:`MAX_STAGES`.
    """
    if not isinstance(stages, int) or not 1 <= stages <= MAX_STAGES:
        raise CompilationError(f"num_stages is 1 to {MAX_STAGES}, not {stages!r}.")
    with module.context:
        module.operation.attributes[NUM_STAGES] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), stages)


def get_num_stages(module: ir.Module) -> int:
    """How many stages pipelines get; 1 where the module does not say."""
    attributes = module.operation.attributes
    return ir.IntegerAttr(attributes[NUM_STAGES]).value if NUM_STAGES in attributes else 1


@register("pipeline-loads")
def run(module: ir.Module) -> None:
    """Rewrite the loops of the module's kernel."""
    stages = get_num_stages(module)
    if stages > 1:
        for loop in list(loops_inside_out(kernel_of(module).entry_block)):
            _Pipeliner(module, loop).run(stages)


def loops_inside_out(block: ir.Block) -> Iterator[ir.OpView]:
    """The for loops of a block, each after those inside it."""
    for op in block.operations:
        for region in op.operation.regions:
            for inner in region:
                yield from loops_inside_out(inner)
        if op.operation.name == "scf.for":
            yield op


@dataclass(frozen=True)
class _Loop:
    """What a loop runs over."""

    lower: ir.Value
    upper: ir.Value
    step: ir.Value
    initial: list[ir.Value]


class _Pipeliner:
    def __init__(self, module: ir.Module, loop: ir.OpView) -> None:
        self.module = module
        self.loop = loop
        operands = list(loop.operation.operands)
        self.over = _Loop(*operands[:3], operands[3:])
        self.steps: dict[int, ir.Value] = {}
        """By how much each carried value that a load needs advances in an iteration."""

    def run(self, stages: int) -> None:
        loads = []
        for alloc, steps in [*loaded_blocks(body_of(self.loop)), *kept_blocks(body_of(self.loop))]:
            try:
                load = block_load(self.loop, alloc, steps)
                self.steps |= {number: self._advance(number) for number in load.carried}
                loads.append(load)
            except CannotMove as reason:
                copy = next(o for s in steps for o in nested(s) if o.name == "memref.copy")
                add_remark(self.module, location_of(copy), f"this load does not run ahead: {reason}")
        stages = self._stages_that_fit(loads, stages)
        if loads and stages > 1:
            with self.loop.location:
                self._transform(loads, stages)

    def _advance(self, number: int) -> ir.Value:
        """The loop-invariant step of a carried value."""
        body = body_of(self.loop)
        argument = body.arguments[1 + number]
        value = body.operations[len(body.operations) - 1].operands[number]
        owner = value.owner
        if not isinstance(owner, ir.Block) and owner.name == "arith.addi":
            for before, step in (tuple(owner.operands), tuple(owner.operands)[::-1]):
                if before == argument and self._is_invariant(step):
                    return step
        raise CannotMove("its address is carried around the loop and does not advance by a fixed step")

    def _is_invariant(self, value: ir.Value) -> bool:
        block = value.owner if isinstance(value.owner, ir.Block) else value.owner.operation.block
        while block != body_of(self.loop):
            if block.owner.operation.name == "func.func":
                return True
            block = block.owner.operation.block
        return False

    def _stages_that_fit(self, loads: list[BlockLoad], stages: int) -> int:
        """As many stages as there are rows for, beside every other block of the kernel."""
        config = get_hardware(self.module)
        needed = rows_taken(allocations(kernel_of(self.module)), config.dim)
        copies = dict.fromkeys(needed, 0)
        for load in (each for each in loads if not _is_kept(each)):
            copies[memory_of(load.alloc)] += rows_of(load.alloc, config.dim)
        there = {SCRATCHPAD: config.scratchpad_rows, ACCUMULATOR: config.accumulator_rows}
        room = {m: max(there[m] - needed[m], 0) // copies[m] for m in needed if copies[m]}
        fitting = min([stages, *(1 + r for r in room.values())])
        if fitting < stages:
            memory = min(room, key=room.__getitem__)
            rows = needed[memory] + (stages - 1) * copies[memory]
            how = "are not buffered more than once" if fitting == 1 else f"run {fitting - 1} instead of {stages - 1} iterations ahead"
            place = location_of(loads[0].steps[0])
            add_remark(self.module, place, f"the loads of this loop {how}: {memory} rows required: {rows}, rows there: {there[memory]}")
        return fitting

    # The transformation -----------------------------------------------------------------------------------------------------------

    def _transform(self, loads: list[BlockLoad], stages: int) -> None:
        with ir.InsertionPoint(self.loop):
            rings = [load.alloc.result if _is_kept(load) else _ring(load.alloc, stages) for load in loads]
            for s in range(stages - 1):
                self._load_ahead(loads, rings, constant(s), s, self.over.lower, dict(enumerate(self.over.initial)))
            new = scf.ForOp(self.over.lower, self.over.upper, self.over.step, [*self.over.initial, constant(0), constant(stages - 1)])
        body = body_of(self.loop)
        *_, use, fill = new.body.arguments
        carried = dict(enumerate(new.body.arguments[1:-2]))
        with ir.InsertionPoint(new.body):
            # The slices name the old arguments; `_load_ahead` says what stands for those.
            self._load_ahead(loads, rings, fill, stages - 1, new.body.arguments[0], carried)
            for load, ring in zip(loads, rings, strict=True):
                for step in load.steps:
                    step.erase()
                if not _is_kept(load):
                    self._use(load, slot_of(ring, use))
            last = arith.CmpIOp(arith.CmpIPredicate.eq, use, constant(stages - 1)).result
            following = arith.SelectOp(last, constant(0), arith.AddIOp(use, constant(1)).result).result
            old_yield = body.operations[len(body.operations) - 1]
            new_yield = scf.YieldOp([*old_yield.operands, following, use])
        old_yield.operation.erase()
        for op in list(body.operations):
            op.operation.move_before(new_yield.operation)
        for old, argument in zip(body.arguments, new.body.arguments, strict=False):
            old.replace_all_uses_with(argument)
        for old, result in zip(self.loop.results, new.results, strict=False):
            old.replace_all_uses_with(result)
        self.loop.operation.erase()

    def _load_ahead(
        self, loads: list[BlockLoad], rings: list[ir.Value], slot: ir.Value, distance: int, now: ir.Value, carried: dict[int, ir.Value]
    ) -> None:
        """Load what the iteration `distance` after the one that starts at `now` will use, if there is one."""
        old = body_of(self.loop).arguments
        ahead = _moved(now, self.over.step, distance)
        replacements = {old[0]: ahead}
        replacements |= {old[1 + n]: _moved(carried[n], step, distance) for n, step in self.steps.items()}
        branch = scf.IfOp(arith.CmpIOp(arith.CmpIPredicate.slt, ahead, self.over.upper).result)
        with ir.InsertionPoint(branch.then_block):
            for load, ring in zip(loads, rings, strict=True):
                clone_slice(load, replacements, ring if _is_kept(load) else slot_of(ring, slot))
            scf.YieldOp([])

    @staticmethod
    def _use(load: BlockLoad, slot: ir.Value) -> None:
        """The iteration finds the block in its slot."""
        load.alloc.result.replace_all_uses_with(slot)
        load.alloc.operation.erase()
        for use in slot.uses:
            if use.owner.operation.name == "memref.subview":
                move_freely(use.owner.operation)


def _is_kept(load: BlockLoad) -> bool:
    """Whether a block has a place of its own already, for each iteration: it needs no ring to be loaded ahead."""
    return KEPT in load.alloc.operation.attributes


def _moved(start: ir.Value, step: ir.Value, times: int) -> ir.Value:
    if times == 0:
        return start
    return arith.AddIOp(start, arith.MulIOp(step, constant(times, step.type)).result).result


def _ring(alloc: ir.OpView, stages: int) -> ir.Value:
    """An allocation of `stages` copies of a block, with what is known about the block."""
    type_ = ir.MemRefType(alloc.result.type)
    with alloc.location:
        ring = memref.AllocOp(ir.MemRefType.get([stages, *type_.shape], type_.element_type), [], [])
    for named in alloc.operation.attributes:
        if named != "operandSegmentSizes":
            ring.operation.attributes[named] = alloc.operation.attributes[named]
    ring.operation.attributes[SLOTS] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), stages)
    return ring.result


def slot_of(ring: ir.Value, slot: ir.Value) -> ir.Value:
    """One copy of a ring's block."""
    type_ = ir.MemRefType(ring.type)
    rows, cols = type_.shape[1:]
    view = ir.MemRefType.get([rows, cols], type_.element_type, ir.StridedLayoutAttr.get(DYNAMIC, [cols, 1]))
    return memref.SubViewOp(view, ring, [slot], [], [], [DYNAMIC, 0, 0], [1, rows, cols], [1, 1, 1]).result
