"""The program of one layer: the mapping's loop nest, with tiles moved where they change.

A tile is moved right inside the innermost DRAM-level loop that touches its tensor, so that the loops further in reuse it; weights are
loaded into the array only when a loop that touches them has advanced; an output tile whose reduction is interrupted leaves as int32
partial sums and comes back. The words moved at every level are therefore those of PERFMODEL.md ("Accesses") with ``halo="reload"``.

On chip, a scratchpad row holds `spatial_c` channels of one input pixel, or `spatial_k` output channels of one weight; an accumulator row
holds `spatial_k` channels of one output pixel. Where both copies fit, consecutive tiles use alternate halves, so that the hardware may
load one while it works on the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from baco import isa
from baco.dialects.mlir import arith, ir, scf
from baco.hardware import GemminiConfig
from baco.lowering import place_in_memories
from baco.lowering.emit import Emitter, Quantity
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
    window,
)

FIELD16 = (1 << 16) - 1
"""Strides between private rows are 16-bit fields."""


@dataclass(frozen=True)
class Axis:
    """One direction of a regular set of rows: how many, and the steps between them on each side of a move."""

    count: int
    steps: tuple[int, int]


def merge(axes: Sequence[Axis]) -> list[Axis]:
    """The same rows with fewer axes (innermost first): two directions that continue each other become one."""
    merged: list[Axis] = []
    for axis in axes:
        inner = merged[-1] if merged else None
        if axis.count == 1:
            continue
        if inner and all(step == inner.count * s for step, s in zip(axis.steps, inner.steps, strict=True)):
            merged[-1] = Axis(inner.count * axis.count, inner.steps)
        else:
            merged.append(axis)
    return merged or [Axis(1, (1, 1))]


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
        self.tile = mapping.tile(SCRATCHPAD)
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

    # Geometry of the tiles --------------------------------------------------------------------------------------------------------

    @cached_property
    def steps(self) -> tuple[int, int]:
        """Tile rows (columns) between consecutive output rows (columns): the stride, or less where skipped pixels are not loaded."""
        extents = (self._extent(0), self._extent(1))
        return tuple(min(s, x) for s, x in zip(self.problem.stride, extents, strict=True))

    def _extent(self, axis: int) -> int:
        """Input rows (axis 0) or columns (1) that the filter tile covers."""
        return (self.tile["RS"[axis]] - 1) * self.problem.dilation[axis] + 1

    @cached_property
    def height(self) -> int:
        return window(self.tile["P"], self.tile["R"], self.problem.stride[0], self.problem.dilation[0])

    @cached_property
    def width(self) -> int:
        return window(self.tile["Q"], self.tile["S"], self.problem.stride[1], self.problem.dilation[1])

    # The nest ---------------------------------------------------------------------------------------------------------------------

    def write(self) -> None:
        axes = self._compute_axes()
        self.e.instruction("config_ex", dataflow=1, a_stride=axes[0].steps[0], c_stride=axes[0].steps[1], acc_scale=isa.float_bits(1.0))
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
            self._loop(loop.trips, lambda i: self._outer(depth + 1, {**at, (DRAM, loop.dim): i}, moves, outputs))
        else:
            self._inner(0, at)
        if outputs == depth - 1:
            self._output_leaves(at)

    def _inner(self, depth: int, at: Index) -> None:
        """The loops between accumulator and scratchpad."""
        if depth < len(self.inner):
            loop = self.inner[depth]
            self._loop(loop.trips, lambda i: self._inner(depth + 1, {**at, (ACCUMULATOR, loop.dim): i}))
        else:
            self._compute(at)

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
        return self.e.mul(at.get((DRAM, dim), 0), self.tile[dim])

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
            return 0
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

    def _load(self, load_id: int, axes: list[Axis], local: Quantity, dram: Quantity, blocks: int, width: int, block_rows: int) -> None:
        """Move `blocks` column blocks of `width` elements in the rows that `axes` describe (steps: local rows, DRAM bytes)."""
        # Several blocks go in one instruction when each fills its rows and their distance fits the field and exceeds the rows moved.
        together = width == self.config.dim <= block_rows <= FIELD16
        most = self.config.max_block_columns // self.config.dim if together else 1
        self.e.config_ld(load_id=load_id, dram_stride=axes[0].steps[1], block_stride=block_rows if together else self.config.dim)

        def move(block: Quantity, count: int) -> None:
            start = (self.e.add(local, self.e.mul(block, block_rows)), self.e.add(dram, self.e.mul(block, width)))
            self._row_moves(axes, start, lambda near, far, n: self.e.mvin(load_id, far, near, count * width, n))

        whole, rest = divmod(blocks, most)
        if whole:
            self._loop(whole, lambda i: move(self.e.mul(i, most), most))
        if rest:
            move(whole * most, rest)

    def _load_weights(self, at: Index) -> None:
        p, t = self.problem, self.tile
        row = p.K  # bytes from one input channel to the next
        axes = merge([Axis(t["C"], (1, row)), Axis(t["S"], (t["C"], p.C * row)), Axis(t["R"], (t["S"] * t["C"], p.S * p.C * row))])
        dram = self.e.add(self.weights, self._weight_origin(at))
        blocks = t["K"] // self.mapping.spatial_k
        self._load(1, axes, self._weight_base(at), dram, blocks, self.mapping.spatial_k, self.weight_rows // blocks)

    def _weight_origin(self, at: Index) -> Quantity:
        """Bytes from the first weight to the current tile's."""
        p = self.problem
        sizes = {"R": p.S * p.C * p.K, "S": p.C * p.K, "C": p.K, "K": 1}
        return self._linear([(self._origin(at, d), size) for d, size in sizes.items()])

    def _input_axes(self) -> list[Axis]:
        """The rows of the input tile (steps: local rows, DRAM bytes)."""
        p, t = self.problem, self.tile
        line = p.input_width * p.C
        return merge(
            [
                *self._window_axes(1, t["Q"], self.width, 1, p.C),
                *self._window_axes(0, t["P"], self.height, self.width, line),
                Axis(t["N"], (self.height * self.width, p.input_height * line)),
            ]
        )

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
        axes, t = self._input_axes(), self.tile
        dram = self.e.add(self.inputs, self._input_origin(at))
        blocks = t["C"] // self.mapping.spatial_c
        self._load(0, axes, self._input_base(at), dram, blocks, self.mapping.spatial_c, self.input_rows // blocks)

    def _window_axes(self, axis: int, outputs: int, size: int, near: int, far: int) -> list[Axis]:
        """Rows or columns of the input tile: one run, or one for each output where the stride skips pixels."""
        extent, stride = self._extent(axis), self.problem.stride[axis]
        if stride <= extent:
            return [Axis(size, (near, far))]
        return [Axis(extent, (near, far)), Axis(outputs, (extent * near, stride * far))]

    def _output_axes(self, element_bytes: int) -> list[Axis]:
        p, t = self.problem, self.tile
        row = p.K * element_bytes
        return merge([Axis(t["Q"], (1, row)), Axis(t["P"], (t["Q"], p.Q * row)), Axis(t["N"], (t["P"] * t["Q"], p.P * p.Q * row))])

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
        branch = scf.IfOp(begins, has_else=True)
        with ir.InsertionPoint(branch.then_block):
            scf.YieldOp([])
        with ir.InsertionPoint(branch.else_block):
            # The hardware does not order a load after an earlier store to the same DRAM.
            self.e.fence()
            axes = self._output_axes(4)
            self.e.config_ld(load_id=2, dram_stride=axes[0].steps[1], block_stride=self.config.dim)
            base = self.e.add(self._output_base(at), isa.ACCUMULATOR_BIT)
            self._output_moves(at, axes, base, self.partial, 4, lambda near, far, n: self.e.mvin(2, far, near, self.mapping.spatial_k, n))
            scf.YieldOp([])

    def _output_leaves(self, at: Index) -> None:
        """Store the finished tile as int8; or its partial sums, when the reduction goes on later."""
        reductions = self._outer_reductions(at)
        if not reductions:
            self._store(at, self.outputs, 1, self.scale, int(self.relu), 0)
            return
        left = [self.e.sub(loop.trips - 1, at[DRAM, loop.dim]) for loop in reductions]
        branch = scf.IfOp(self._all_zero(left), has_else=True)
        with ir.InsertionPoint(branch.then_block):
            self._store(at, self.outputs, 1, self.scale, int(self.relu), 0)
            scf.YieldOp([])
        with ir.InsertionPoint(branch.else_block):
            self._store(at, self.partial, 4, isa.float_bits(1.0), 0, self.e.full_width_bit())
            scf.YieldOp([])

    def _store(self, at: Index, buffer: ir.Value, element_bytes: int, scale: int, activation: int, flags: int) -> None:
        axes = self._output_axes(element_bytes)
        base = self.e.add(self._output_base(at), isa.ACCUMULATOR_BIT | flags)
        self.e.config_st(dram_stride=axes[0].steps[1], acc_scale=scale, activation=activation)
        width = self.mapping.spatial_k
        self._output_moves(at, axes, base, buffer, element_bytes, lambda near, far, n: self.e.mvout(far, near, width, n))

    def _output_moves(
        self,
        at: Index,
        axes: Sequence[Axis],
        base: Quantity,
        buffer: ir.Value,
        element_bytes: int,
        move: Callable[[Quantity, Quantity, int], None],
    ) -> None:
        """Every move of the current output tile, one block of `spatial_k` channels after the other."""
        dram = self.e.add(buffer, self._output_origin(at, element_bytes))
        width = self.mapping.spatial_k
        blocks = self.tile["K"] // width
        rows = self.output_rows // blocks

        def block(i: Quantity) -> None:
            start = (self.e.add(base, self.e.mul(i, rows)), self.e.add(dram, self.e.mul(i, element_bytes * width)))
            self._row_moves(axes, start, move)

        self._loop(blocks, block)

    # Compute ----------------------------------------------------------------------------------------------------------------------

    def _compute_axes(self) -> list[Axis]:
        """The pixels of one level-0 run (steps: scratchpad rows of A, accumulator rows of C), innermost first."""
        t = self.tile
        f = {d: self.mapping.factor(REGISTERS, d) for d in DIMENSIONS}
        axes = merge(
            [
                Axis(f["Q"], (self.steps[1], 1)),
                Axis(f["P"], (self.steps[0] * self.width, t["Q"])),
                Axis(f["N"], (self.height * self.width, t["P"] * t["Q"])),
            ]
        )
        # One instruction walks its rows with 16-bit strides; rows further apart take one instruction each.
        return axes if max(axes[0].steps) <= FIELD16 else [Axis(1, (1, 1)), *axes]

    def _compute(self, at: Index) -> None:
        """One level-0 run: the weights of one (spatial_c x spatial_k) tile meet every pixel of the run."""
        m, t = self.mapping, self.tile
        level1 = {d: at.get((ACCUMULATOR, d), 0) for d in DIMENSIONS}
        n, p, q = (self.e.mul(level1[d], m.factor(REGISTERS, d)) for d in "NPQ")
        weight = self._linear(
            [
                (self._weight_base(at), 1),
                (level1["K"], self.weight_rows // (t["K"] // m.spatial_k)),
                (level1["R"], t["S"] * t["C"]),
                (level1["S"], t["C"]),
                (level1["C"], m.spatial_c),
            ]
        )
        row = self._linear([(p, self.steps[0]), (level1["R"], self.problem.dilation[0])])
        column = self._linear([(q, self.steps[1]), (level1["S"], self.problem.dilation[1])])
        a = self._linear(
            [
                (self._input_base(at), 1),
                (level1["C"], self.input_rows // (t["C"] // m.spatial_c)),
                (n, self.height * self.width),
                (row, self.width),
                (column, 1),
            ]
        )
        c = self._linear(
            [
                (self._output_base(at), 1),
                (level1["K"], self.output_rows // (t["K"] // m.spatial_k)),
                (n, t["P"] * t["Q"]),
                (p, t["Q"]),
                (q, 1),
            ]
        )
        c = self.e.add(c, self._accumulate_flags(at))
        weights_stay = self._loops_keeping_weights(at)
        axes = self._compute_axes()

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
        return overwrite if first is True else self.e.select(first, overwrite, add)

    def _loops_keeping_weights(self, at: Index) -> list[Quantity]:
        """Iterations of the loops further in than every loop over the weights: only in the first does the array need loading."""
        nest = [*self.outer, *self.inner]
        return [at[loop.level, loop.dim] for loop in nest[innermost(nest, WEIGHT_DIMENSIONS) + 1 :]]

    def _product(self, weight: Quantity, a: Quantity, c: Quantity, rows: int, load: ir.Value | bool) -> None:
        m = self.mapping

        def emit(loading: bool) -> None:
            operand = (weight, m.spatial_k, m.spatial_c) if loading else (isa.GARBAGE, self.config.dim, self.config.dim)
            self.e.preload(operand, (c, m.spatial_k, rows))
            self.e.compute((a, m.spatial_c, rows), preloaded=loading)

        if isinstance(load, bool):
            emit(load)
            return
        branch = scf.IfOp(load, has_else=True)
        for block, loading in ((branch.then_block, True), (branch.else_block, False)):
            with ir.InsertionPoint(block):
                emit(loading)
                scf.YieldOp([])
