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
Loops are treated from the inside out, so that several levels of a nest have loads in flight. A loop in a loop is no pipeline of its own,
which would drain at its end and be filled again when it is next reached: the loads see the nest as one sequence of iterations
(:mod:`baco.lowering.iterations_ahead`), so that the last iterations of one turn load what the first ones of the next turn use, and the
prologue comes once, before the outermost loop (ALCOP's fusion of inner pipelines):
    scf.if %c0 < %m and %c0 < %n { memref.copy (%x at %c0, %c0), %ring[0] }
    scf.for %i = %c0 to %m step %c1 iter_args(%u = 0, %f = 1) {
      scf.for %j = %c0 to %n step %c1 iter_args(%use = %u, %fill = %f) {
        %over = %j + 1 >= %n
        %next_j, %next_i = select %over, (0, %i + 1), (%j + 1, %i)
        scf.if %next_i < %m { memref.copy (%x at %next_i, %next_j), %ring[%fill] } ... } }
Where it cannot be (the inner bounds change, a branch or the host core's work lies between), the inner loop starts afresh each time, and a
remark says why. So it is where blocks of several loops take turns in the same rows (:mod:`baco.lowering.shared_blocks`).
:mod:`baco.lowering.alternate_accumulators` is the same for results on their way out.

A block is not pipelined, and a remark says why, where its address cannot be computed ahead, the loop stores to the same array, or the
host core works in the loop; and with fewer stages than asked for where the copies do not fit.
"""

from __future__ import annotations

from baco.dialects.mlir import ir, scf
from baco.lowering.block_loads import (
    BlockLoad,
    CannotMove,
    block_load,
    body_of,
    check_order,
    clone_slice,
    joined,
    kept_blocks,
    loaded_blocks,
    nested,
    sources_of,
)
from baco.lowering.choices import LOOP_STAGES
from baco.lowering.errors import CompilationError
from baco.lowering.iterations_ahead import Ahead, Level, carry_through, enclosing_loop, hand_on, level, loops_inside_out, outer_level
from baco.lowering.passes import get_hardware, kernel_of, location_of, register, run_passes
from baco.lowering.place_in_memories import ACCUMULATOR, KEPT, SCRATCHPAD, allocations, memory_of, rows_of, rows_taken
from baco.lowering.rebuild import constant
from baco.lowering.remarks import add_remark
from baco.lowering.rings import following, ring_of, slot_of, slots_of, take_place
from baco.lowering.shared_blocks import make_rings, ring_behind, shared_loads

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
    stages, entry = get_num_stages(module), kernel_of(module).entry_block
    if max([stages, *(stages_of(loop, stages) for loop in loops_inside_out(entry))]) > 1:
        run_passes(module, ["loop-invariant-code-motion"])
        entry = kernel_of(module).entry_block
        make_rings(entry, stages, get_hardware(module))
        for i in range(len(list(loops_inside_out(entry)))):
            # Those around a loop that is rewritten are new operations in the old places.
            loop = list(loops_inside_out(entry))[i]
            _Pipeliner(module, loop).run(stages_of(loop, stages))


def stages_of(loop: ir.OpView, otherwise: int) -> int:
    """How many stages a loop asks for itself."""
    attributes = loop.operation.attributes
    return min(ir.IntegerAttr(attributes[LOOP_STAGES]).value, MAX_STAGES) if LOOP_STAGES in attributes else otherwise


class _Pipeliner:
    def __init__(self, module: ir.Module, loop: ir.OpView) -> None:
        self.module = module
        self.loop = loop

    def run(self, stages: int) -> None:
        loads = []
        body = body_of(self.loop)
        for alloc, steps in [*loaded_blocks(body), *kept_blocks(body), *shared_loads(body, kernel_of(self.module).entry_block)]:
            try:
                if alloc is None:
                    raise CannotMove("another load in the same loop takes turns in its rows")
                load = block_load(self.loop, alloc, steps)
                level(self.loop, load.slice)
                loads.append(load)
            except CannotMove as reason:
                copy = next(o for s in steps for o in nested(s) if o.name == "memref.copy")
                add_remark(self.module, location_of(copy), f"this load does not run ahead: {reason}")
        stages = self._stages_that_fit(loads, stages)
        if loads and stages > 1:
            with self.loop.location:
                self._transform(loads, self._nest(loads), stages)

    def _nest(self, loads: list[BlockLoad]) -> list[ir.OpView]:
        """The loops whose iterations the loads see as one sequence, the innermost first."""
        loops, levels = [self.loop], [self._innermost(loads)]
        try:
            while (around := enclosing_loop(loops[-1])) is not None:
                for load in loads:
                    if _is_kept(load):
                        raise CannotMove("a block that it loads is kept on the chip")
                    if ring_behind(load.alloc):
                        raise CannotMove("its blocks take turns in the same rows with those of other loops")
                    check_order(around, sources_of(load.steps))
                levels.append(outer_level(around, levels))
                loops.append(around)
        except CannotMove as reason:
            place = location_of(loads[0].steps[0])
            add_remark(self.module, place, f"the loads of this loop start afresh whenever it is reached: {reason}")
        return loops

    def _innermost(self, loads: list[BlockLoad]) -> Level:
        return level(self.loop, joined(load.slice for load in loads))

    def _stages_that_fit(self, loads: list[BlockLoad], stages: int) -> int:
        """As many stages as there are rows for, beside every other block of the kernel."""
        config = get_hardware(self.module)
        needed = rows_taken(allocations(kernel_of(self.module)), config.dim)
        copies = dict.fromkeys(needed, 0)
        shared = [slots_of(ring) for ring in (ring_behind(each.alloc) for each in loads) if ring]
        stages = min([stages, *shared])
        for load in (each for each in loads if not _is_kept(each) and not ring_behind(each.alloc)):
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

    def _transform(self, loads: list[BlockLoad], nest: list[ir.OpView], stages: int) -> None:
        with ir.InsertionPoint(nest[-1]):
            rings = [load.alloc.result if _is_kept(load) else ring_behind(load.alloc) or ring_of(load.alloc, stages) for load in loads]
            nest = carry_through(nest, [constant(0), constant(stages - 1)])
        self.loop = nest[0]
        loads = [block_load(self.loop, load.alloc, load.steps) for load in loads]
        levels = [self._innermost(loads)]
        for around in nest[1:]:
            levels.append(outer_level(around, levels))
        with ir.InsertionPoint(nest[-1]):
            for s in range(stages - 1):
                self._load_ahead(loads, rings, constant(s), Ahead(levels, s, first=True))
        body = body_of(self.loop)
        use, fill = list(body.arguments)[-2:]
        with ir.InsertionPoint(body.operations[0]):
            self._load_ahead(loads, rings, fill, Ahead(levels, stages - 1))
            for load, ring in zip(loads, rings, strict=True):
                for step in load.steps:
                    step.erase()
                if not _is_kept(load):
                    take_place(load.alloc, slot_of(ring, use))
            hand_on(self.loop, [following(use, stages), use])

    @staticmethod
    def _load_ahead(loads: list[BlockLoad], rings: list[ir.Value], slot: ir.Value, ahead: Ahead) -> None:
        """Load what another iteration will use, if there is one."""
        values = ahead.replacements()
        branch = scf.IfOp(ahead.exists())
        with ir.InsertionPoint(branch.then_block):
            for load, ring in zip(loads, rings, strict=True):
                clone_slice(load, values, ring if _is_kept(load) else slot_of(ring, slot))
            scf.YieldOp([])


def _is_kept(load: BlockLoad) -> bool:
    """Whether a block has a place of its own already, for each iteration: it needs no ring to be loaded ahead."""
    return KEPT in load.alloc.operation.attributes
