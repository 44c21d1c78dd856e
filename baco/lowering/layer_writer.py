"""The program of one layer: the mapping's loop nest, with tiles moved where they change.

A tile is moved right inside the innermost DRAM-level loop that touches its tensor, so that the loops further in reuse it; weights are
loaded into the array only when a loop that touches them has advanced; an output tile whose reduction is interrupted leaves as int32
partial sums and comes back. The words moved at every level are therefore those of PERFMODEL.md ("Accesses") with ``halo="reload"``.

On chip, a scratchpad row holds `spatial_c` channels of one input pixel, or `spatial_k` output channels of one weight; an accumulator row
holds `spatial_k` channels of one output pixel. Where both copies fit, consecutive tiles use alternate halves, so that the hardware may
load one while it works on the other.

A dimension that its tiles do not divide has a smaller last tile: the loop over it makes one iteration less, and the last one is written
out behind it with the sizes that are left; within a tile it is the same with the last run of the array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from baco import isa
from baco.dialects.mlir import arith, ir, scf
from baco.hardware import GemminiConfig
from baco.lowering import place_in_memories
from baco.lowering.emit import Emitter, Quantity
from baco.lowering.layer_tile import FIELD16, Axis, Tile
from baco.workload import (
    ACCUMULATOR,
    DIMENSIONS,
    DRAM,
    INPUT_DIMENSIONS,
    OUTPUT_DIMENSIONS,
    REDUCTION_DIMENSIONS,
    REGISTERS,
    SCRATCHPAD,
    WEIGHT_DIMENSIONS,
    Loop,
    Mapping,
    Problem,
)


def innermost(loops: Sequence[Loop], dims: frozenset[str]) -> int:
    """Position of the innermost loop over one of `dims`; -1 if there is none."""
    return max((i for i, loop in enumerate(loops) if loop.dim in dims), default=-1)


Index = dict[tuple[int, str], Quantity]
"""The current iteration of each loop, by (level, dimension)."""


class LayerWriter:
    """Writes the body of a layer's program at the current insertion point."""

    def __init__(
        self, problem: Problem, mapping: Mapping, config: GemminiConfig, buffers: list[ir.Value], scale: float, relu: bool
    ) -> None:
        self.problem = problem
        self.mapping = mapping
        self.config = config
        self.inputs, self.weights, self.outputs, self.partial = buffers
        self.scale = isa.float_bits(scale)
        self.relu = relu
        self.e = Emitter(config)
        whole, run = mapping.held(problem), mapping.tile(REGISTERS)
        self.tile = Tile(problem, whole, {d: min(run[d], size) for d, size in whole.items()})
        """The one being written."""
        self.outer = mapping.loops(DRAM)
        self.inner = mapping.loops(ACCUMULATOR)
        self.weight_rows = mapping.weight_rows(problem)
        self.input_rows = mapping.input_rows(problem)
        self.output_rows = mapping.accumulator_rows(problem)
        self.double_scratchpad = 2 * (self.weight_rows + self.input_rows) <= config.scratchpad_rows
        self.double_accumulator = 2 * self.output_rows <= config.accumulator_rows

    def rows(self) -> dict[str, int]:
        """Rows of each memory that the program uses, both halves counted where tiles alternate."""
        scratchpad, accumulator = self.weight_rows + self.input_rows, self.output_rows
        return {
            place_in_memories.SCRATCHPAD: scratchpad * (2 if self.double_scratchpad else 1),
            place_in_memories.ACCUMULATOR: accumulator * (2 if self.double_accumulator else 1),
        }

    # The nest ---------------------------------------------------------------------------------------------------------------------

    def write(self) -> None:
        moves = [
            (innermost(self.outer, d), move) for d, move in ((WEIGHT_DIMENSIONS, self._load_weights), (INPUT_DIMENSIONS, self._load_inputs))
        ]
        self._outer(0, {}, moves, innermost(self.outer, OUTPUT_DIMENSIONS))

    def _outer(self, depth: int, at: Index, moves: list[tuple[int, Callable[[Index], None]]], outputs: int) -> None:
        """The DRAM-level loops from `depth` inwards; what belongs right inside the loop before comes first."""
        if outputs == depth - 1:
            self._output_returns(at)
        for position, move in moves:
            if position == depth - 1:
                move(at)
        if depth < len(self.outer):
            loop = self.outer[depth]
            self._tiles(loop, lambda i: self._outer(depth + 1, {**at, (DRAM, loop.dim): i}, moves, outputs))
        else:
            self._inner(0, at)
        if outputs == depth - 1:
            self._output_leaves(at)

    def _inner(self, depth: int, at: Index) -> None:
        """The loops between accumulator and scratchpad."""
        if depth < len(self.inner):
            loop = self.inner[depth]
            self._runs(loop, lambda i: self._inner(depth + 1, {**at, (ACCUMULATOR, loop.dim): i}))
        else:
            self._compute(at)

    def _tiles(self, loop: Loop, body: Callable[[Quantity], None]) -> None:
        """A DRAM-level loop: the whole tiles, then a ragged last one."""
        whole, last = self._whole(loop.dim), self.problem.sizes[loop.dim] % self._whole(loop.dim)
        self._loop(loop.trips - bool(last), body)
        if last:
            run = min(last, self.tile.run[loop.dim])
            with self._writing(replace(self.tile, sizes={**self.tile.sizes, loop.dim: last}, run={**self.tile.run, loop.dim: run})):
                body(self.problem.sizes[loop.dim] // whole)

    def _runs(self, loop: Loop, body: Callable[[Quantity], None]) -> None:
        """A loop inside a tile: the whole runs, then a ragged last one."""
        runs, last = divmod(self.tile[loop.dim], self.mapping.tile(REGISTERS)[loop.dim])
        if runs:
            self._loop(runs, body)
        if last:
            with self._writing(replace(self.tile, run={**self.tile.run, loop.dim: last})):
                body(runs)

    @contextmanager
    def _writing(self, tile: Tile) -> Iterator[None]:
        """Write what follows for another tile."""
        before, self.tile = self.tile, tile
        try:
            yield
        finally:
            self.tile = before

    def _whole(self, dim: str) -> int:
        """Size of a whole tile."""
        return self.mapping.tile(SCRATCHPAD)[dim]

    def _loop(self, trips: int, body: Callable[[Quantity], None]) -> None:
        """A loop of `trips` iterations; a single one needs none."""
        if trips == 1:
            body(0)
            return
        loop = scf.ForOp(self.e.value(0), self.e.value(trips), self.e.value(1))
        with ir.InsertionPoint(loop.body):
            body(loop.induction_variable)
            scf.YieldOp([])

    def _nest(self, axes: Sequence[Axis], at: tuple[Quantity, Quantity], body: Callable[[Quantity, Quantity, Quantity], None]) -> None:
        """Loops over `axes`, outermost last; `body` gets both sides' positions and the sum of the iterations (0 only in the first)."""

        def step(remaining: Sequence[Axis], near: Quantity, far: Quantity, total: Quantity) -> None:
            if not remaining:
                body(near, far, total)
                return
            axis = remaining[-1]
            self._loop(
                axis.count,
                lambda i: step(
                    remaining[:-1],
                    self.e.add(near, self.e.mul(i, axis.steps[0])),
                    self.e.add(far, self.e.mul(i, axis.steps[1])),
                    self.e.add(total, i),
                ),
            )

        step(axes, *at, 0)

    def _in_chunks(self, count: int, body: Callable[[Quantity, int], None]) -> None:
        """`count` rows in instructions of at most DIM: whole ones in a loop, then the rest."""
        whole, rest = divmod(count, self.config.dim)
        if whole:
            self._loop(whole, lambda i: body(self.e.mul(i, self.config.dim), self.config.dim))
        if rest:
            body(whole * self.config.dim, rest)

    # Positions --------------------------------------------------------------------------------------------------------------------

    def _origin(self, at: Index, dim: str) -> Quantity:
        """Where the current tile starts in the whole problem."""
        return self.e.mul(at.get((DRAM, dim), 0), self._whole(dim))

    def _linear(self, terms: Sequence[tuple[Quantity, int]]) -> Quantity:
        total: Quantity = 0
        for value, factor in terms:
            total = self.e.add(total, self.e.mul(value, factor))
        return total

    def _all_zero(self, values: Sequence[Quantity]) -> ir.Value | bool:
        """Whether all these iterations are the first."""
        runtime = [v for v in values if not isinstance(v, int)]
        if any(v for v in values if isinstance(v, int)):
            return False
        if not runtime:
            return True
        total: Quantity = 0
        for v in runtime:
            total = self.e.add(total, v)
        return arith.CmpIOp(arith.CmpIPredicate.eq, total, self.e.value(0)).result

    def _half(self, at: Index, dims: frozenset[str], rows: int, doubled: bool) -> Quantity:
        """Rows to add so that consecutive tiles of a tensor alternate between two places."""
        if not doubled:
            return 0
        count: Quantity = 0
        for loop in self.outer[: innermost(self.outer, dims) + 1]:
            count = self.e.add(self.e.mul(count, loop.trips), at[DRAM, loop.dim])
        if isinstance(count, int):
            return count % 2 * rows
        odd = arith.AndIOp(count, self.e.value(1)).result
        return self.e.mul(odd, rows)

    def _weight_base(self, at: Index) -> Quantity:
        return self._half(at, WEIGHT_DIMENSIONS, self.weight_rows, self.double_scratchpad)

    def _input_base(self, at: Index) -> Quantity:
        start = self.weight_rows * (2 if self.double_scratchpad else 1)
        return self.e.add(start, self._half(at, INPUT_DIMENSIONS, self.input_rows, self.double_scratchpad))

    def _output_base(self, at: Index) -> Quantity:
        return self._half(at, OUTPUT_DIMENSIONS, self.output_rows, self.double_accumulator)

    # Moves ------------------------------------------------------------------------------------------------------------------------

    def _row_moves(self, axes: Sequence[Axis], at: tuple[Quantity, Quantity], move: Callable[[Quantity, Quantity, int], None]) -> None:
        """Call `move` with both sides' positions and a number of rows for every instruction that a regular set of rows takes."""
        rows = axes[0]

        def run(near: Quantity, far: Quantity, _: Quantity) -> None:
            self._in_chunks(
                rows.count,
                lambda first, n: move(
                    self.e.add(near, self.e.mul(first, rows.steps[0])), self.e.add(far, self.e.mul(first, rows.steps[1])), n
                ),
            )

        self._nest(axes[1:], at, run)

    def _load(self, load_id: int, axes: list[Axis], local: Quantity, dram: Quantity, columns: int, width: int, block_rows: int) -> None:
        """Move `columns` elements of the rows that `axes` describe (steps: local rows, DRAM bytes), in column blocks of `width`."""
        # Several blocks go in one instruction when each fills its rows and their distance fits the field and exceeds the rows moved.
        together = width == self.config.dim <= block_rows <= FIELD16
        most = self.config.max_block_columns // self.config.dim if together else 1
        self.e.config_ld(load_id=load_id, dram_stride=axes[0].steps[1], block_stride=block_rows if together else self.config.dim)

        def move(block: Quantity, count: int) -> None:
            start = (self.e.add(local, self.e.mul(block, block_rows)), self.e.add(dram, self.e.mul(block, width)))
            self._row_moves(axes, start, lambda near, far, n: self.e.mvin(load_id, far, near, count, n))

        whole, rest = divmod(columns, most * width)
        if whole:
            self._loop(whole, lambda i: move(self.e.mul(i, most), most * width))
        if rest:
            move(whole * most, rest)

    def _load_weights(self, at: Index) -> None:
        dram = self.e.add(self.weights, self._weight_origin(at))
        t = self.tile
        self._load(1, t.weight_axes(), self._weight_base(at), dram, t["K"], self.mapping.spatial_k, t.weight_rows)

    def _weight_origin(self, at: Index) -> Quantity:
        """Bytes from the first weight to the current tile's."""
        p = self.problem
        sizes = {"R": p.S * p.C * p.K, "S": p.C * p.K, "C": p.K, "K": 1}
        return self._linear([(self._origin(at, d), size) for d, size in sizes.items()])

    def _input_origin(self, at: Index) -> Quantity:
        """Bytes from the first input to the current tile's."""
        p = self.problem
        line = p.input_width * p.C
        steps = {
            "N": p.input_height * line,
            "P": p.stride[0] * line,
            "R": p.dilation[0] * line,
            "Q": p.stride[1] * p.C,
            "S": p.dilation[1] * p.C,
            "C": 1,
        }
        return self._linear([(self._origin(at, d), step) for d, step in steps.items()])

    def _load_inputs(self, at: Index) -> None:
        dram = self.e.add(self.inputs, self._input_origin(at))
        t = self.tile
        self._load(0, t.input_axes(), self._input_base(at), dram, t["C"], self.mapping.spatial_c, t.input_rows)

    def _output_origin(self, at: Index, element_bytes: int) -> Quantity:
        p = self.problem
        sizes = {"N": p.P * p.Q * p.K, "P": p.Q * p.K, "Q": p.K, "K": 1}
        return self._linear([(self._origin(at, d), size * element_bytes) for d, size in sizes.items()])

    def _outer_reductions(self, at: Index) -> list[Loop]:
        """Reduction loops around the innermost output loop: they interrupt the sums of an output tile."""
        around = self.outer[: max(innermost(self.outer, OUTPUT_DIMENSIONS), 0)]
        return [loop for loop in around if loop.dim in REDUCTION_DIMENSIONS]

    def _output_returns(self, at: Index) -> None:
        """Bring partial sums back, unless the tile's sums only begin."""
        reductions = self._outer_reductions(at)
        if not reductions:
            return
        begins = self._all_zero([at[DRAM, loop.dim] for loop in reductions])

        def load() -> None:
            # The hardware does not order a load after an earlier store to the same DRAM.
            self.e.fence()
            axes = self.tile.output_axes(4)
            self.e.config_ld(load_id=2, dram_stride=axes[0].steps[1], block_stride=self.config.dim)
            base = self.e.add(self._output_base(at), isa.ACCUMULATOR_BIT)
            self._output_moves(at, axes, base, self.partial, 4, lambda near, far, width, n: self.e.mvin(2, far, near, width, n))

        self._branch(begins, lambda: None, load)

    def _output_leaves(self, at: Index) -> None:
        """Store the finished tile as int8; or its partial sums, when the reduction goes on later."""
        reductions = self._outer_reductions(at)
        if not reductions:
            self._store(at, self.outputs, 1, self.scale, int(self.relu), 0)
            return
        left = [self.e.sub(loop.trips - 1, at[DRAM, loop.dim]) for loop in reductions]
        self._branch(
            self._all_zero(left),
            lambda: self._store(at, self.outputs, 1, self.scale, int(self.relu), 0),
            lambda: self._store(at, self.partial, 4, isa.float_bits(1.0), 0, self.e.full_width_bit()),
        )

    def _branch(self, condition: ir.Value | bool, then: Callable[[], None], otherwise: Callable[[], None]) -> None:
        """What to do where a condition holds, and where it does not."""
        if isinstance(condition, bool):
            (then if condition else otherwise)()
            return
        branch = scf.IfOp(condition, has_else=True)
        for block, body in ((branch.then_block, then), (branch.else_block, otherwise)):
            with ir.InsertionPoint(block):
                body()
                scf.YieldOp([])

    def _store(self, at: Index, buffer: ir.Value, element_bytes: int, scale: int, activation: int, flags: int) -> None:
        axes = self.tile.output_axes(element_bytes)
        base = self.e.add(self._output_base(at), isa.ACCUMULATOR_BIT | flags)
        self.e.config_st(dram_stride=axes[0].steps[1], acc_scale=scale, activation=activation)
        self._output_moves(at, axes, base, buffer, element_bytes, lambda near, far, width, n: self.e.mvout(far, near, width, n))

    def _output_moves(
        self,
        at: Index,
        axes: Sequence[Axis],
        base: Quantity,
        buffer: ir.Value,
        element_bytes: int,
        move: Callable[[Quantity, Quantity, int, int], None],
    ) -> None:
        """Every move of the current output tile, one block of `spatial_k` channels after the other; `move` gets both positions, the
        channels of the block, and a number of rows."""
        dram = self.e.add(buffer, self._output_origin(at, element_bytes))
        width, rows = self.mapping.spatial_k, self.tile.output_rows
        blocks, rest = divmod(self.tile["K"], width)

        def block(i: Quantity, channels: int) -> None:
            start = (self.e.add(base, self.e.mul(i, rows)), self.e.add(dram, self.e.mul(i, element_bytes * width)))
            self._row_moves(axes, start, lambda near, far, n: move(near, far, channels, n))

        if blocks:
            self._loop(blocks, lambda i: block(i, width))
        if rest:
            block(blocks, rest)

    # Compute ----------------------------------------------------------------------------------------------------------------------

    def _compute(self, at: Index) -> None:
        """One level-0 run: the weights of one (spatial_c x spatial_k) tile meet every pixel of the run."""
        m, t = self.mapping, self.tile
        level1 = {d: at.get((ACCUMULATOR, d), 0) for d in DIMENSIONS}
        n, p, q = (self.e.mul(level1[d], m.factor(REGISTERS, d)) for d in "NPQ")
        weight = self._linear(
            [
                (self._weight_base(at), 1),
                (level1["K"], t.weight_rows),
                (level1["R"], t["S"] * t["C"]),
                (level1["S"], t["C"]),
                (level1["C"], m.spatial_c),
            ]
        )
        row = self._linear([(p, t.steps[0]), (level1["R"], self.problem.dilation[0])])
        column = self._linear([(q, t.steps[1]), (level1["S"], self.problem.dilation[1])])
        a = self._linear(
            [
                (self._input_base(at), 1),
                (level1["C"], t.input_rows),
                (n, t.height * t.width),
                (row, t.width),
                (column, 1),
            ]
        )
        c = self._linear(
            [
                (self._output_base(at), 1),
                (level1["K"], t.output_rows),
                (n, t["P"] * t["Q"]),
                (p, t["Q"]),
                (q, 1),
            ]
        )
        c = self.e.add(c, self._accumulate_flags(at))
        weights_stay = self._loops_keeping_weights(at)
        axes = t.run_axes()
        self.e.instruction("config_ex", dataflow=1, a_stride=axes[0].steps[0], c_stride=axes[0].steps[1], acc_scale=isa.float_bits(1.0))

        def run_of_rows(near: Quantity, far: Quantity, before: Quantity) -> None:
            self._in_chunks(
                axes[0].count,
                lambda first, count: self._product(
                    weight,
                    self.e.add(near, self.e.mul(first, axes[0].steps[0])),
                    self.e.add(far, self.e.mul(first, axes[0].steps[1])),
                    count,
                    self._all_zero([*weights_stay, before, first]),
                ),
            )

        self._nest(axes[1:], (a, c), run_of_rows)

    def _accumulate_flags(self, at: Index) -> Quantity:
        """The accumulator, overwriting in the very first product of each output and adding in all others."""
        reductions = [i for (_, d), i in at.items() if d in REDUCTION_DIMENSIONS]
        first = self._all_zero(reductions)
        overwrite, add = isa.ACCUMULATOR_BIT, isa.ACCUMULATOR_BIT | isa.ACCUMULATE_BIT
        if isinstance(first, bool):
            return overwrite if first else add
        return self.e.select(first, overwrite, add)

    def _loops_keeping_weights(self, at: Index) -> list[Quantity]:
        """Iterations of the loops further in than every loop over the weights: only in the first does the array need loading."""
        nest = [*self.outer, *self.inner]
        return [at[loop.level, loop.dim] for loop in nest[innermost(nest, WEIGHT_DIMENSIONS) + 1 :]]

    def _product(self, weight: Quantity, a: Quantity, c: Quantity, rows: int, load: ir.Value | bool) -> None:
        channels, columns = self.tile.run["C"], self.tile.run["K"]

        def emit(loading: bool) -> None:
            operand = (weight, columns, channels) if loading else (isa.GARBAGE, self.config.dim, self.config.dim)
            self.e.preload(operand, (c, columns, rows))
            self.e.compute((a, channels, rows), preloaded=loading)

        self._branch(load, lambda: emit(True), lambda: emit(False))
