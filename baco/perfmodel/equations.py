"""The equations of the model, once, for whole numbers, NumPy arrays and torch tensors alike.

A figure (a trip count, a size) is a `Number`: an int, an array or a tensor; every function broadcasts. Only what Python's operators
cannot express for all three goes through :class:`Operations`. Equations: PERFMODEL.md, "Accesses" and "Latency and energy"; Tables 6.2 and
6.3 of the dissertation.

The nest, outermost first: the loops of level 3 (DRAM), of level 1 (accumulator), of level 0 (registers; P, Q, N only). A loop with one trip
does not exist. A tile of tensor T is filled once for every iteration of the loops above it, from the outermost down to the innermost
that touches T; the loops inside that one reuse the tile. Whether a loop exists goes by a whole tile: one that has a single iteration in
a ragged last tile still counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from baco.perfmodel.constants import PORTS, EnergyTable
from baco.perfmodel.errors import InvalidOption
from baco.workload import DIMENSIONS, INPUT_DIMENSIONS, OUTPUT_DIMENSIONS, WEIGHT_DIMENSIONS

Number = Any
Place = tuple[str, str]

HALOS = ("reload", "reuse")
"""`reload`: each tile's window is loaded whole, as the compiled program does. `reuse`: only what the previous tile did not hold, as
Timeloop counts."""
LATENCIES = ("shared", "separate")
"""`shared`: a level's reads and writes share its bandwidth (DOSA's simplification). `separate`: each has its own (Table 6.2)."""

STATIONARY_ORDERS: dict[str, str] = {"outputs": "NPQKCRS", "inputs": "CRSNPQK", "weights": "CKRSNPQ"}
"""The loop order at level 3, outermost first, that keeps a tensor's tile longest: the loops that do not touch it lie innermost. With
halo `reload` every other order counts the same as one of these three, or worse."""

SLIDING_ORDERS: dict[str, str] = {"outputs, along R": "NPQKCSR", "weights, along P": "CKRSNQP"}
"""With halo `reuse` it also matters along which axis the window slides, and it does so along the innermost loop of all only. That is K,
where the inputs stay and nothing slides; or one of C, R, S, and then all of these may lie innermost, so that outputs stay; or one of N, P,
Q, and then all of these may, so that weights stay. In the latter two one axis or the other is innermost. So with these every order counts
the same as one of five, or worse."""

INNER_ORDERS: dict[int, str] = {0: "RSCKNPQ", 1: "KCRSNPQ", 2: "RSPQCKN"}
"""The loop orders inside: at level 1 P, Q, N lie innermost, so that weights stay in the registers as long as they can."""


@dataclass(frozen=True)
class Operations:
    """What the equations need beyond + - * / > | & ~."""

    where: Callable[[Any, Any, Any], Any]
    minimum: Callable[[Any, Any], Any]
    maximum: Callable[[Any, Any], Any]
    one: float = 1
    """A loop exists when its trips exceed this: 1 for whole numbers, a little more where rounding errors are about."""


INTEGERS = Operations(where=lambda c, a, b: a if c else b, minimum=min, maximum=max)


@dataclass(frozen=True)
class Shape:
    """A problem's figures. `size` by dimension; stride and dilation are (height, width)."""

    size: Mapping[str, Number]
    stride: tuple[Number, Number]
    dilation: tuple[Number, Number]


@dataclass(frozen=True)
class Nest:
    """A mapping's figures: trips by level (0, 1, 3) and dimension, loop orders by level, spatial factors, and how many tiles there are.

    Where a last tile is smaller than the others, trips are those of a whole tile, and `tiles` and `runs` what there is: `tiles` of the
    scratchpad and the accumulator along each dimension, `runs` of the array (what the loops at levels 3 and 1 step through).
    """

    trips: Mapping[int, Mapping[str, Number]]
    orders: Mapping[int, str]
    spatial_c: Number
    spatial_k: Number
    tiles: Mapping[str, Number]
    runs: Mapping[str, Number]

    def loops(self, *levels: int) -> list[tuple[int, str, Number]]:
        """(level, dimension, trips), outermost first."""
        return [(level, d, self.trips[level][d]) for level in levels for d in self.orders[level] if d in self.trips[level]]

    def tile(self) -> dict[str, Number]:
        """Sizes of a whole tile that the scratchpad and the accumulator hold: everything inside the loops of level 3."""
        spatial = {"C": self.spatial_c, "K": self.spatial_k}
        return {d: self.trips[0].get(d, 1) * self.trips[1].get(d, 1) * spatial.get(d, 1) for d in DIMENSIONS}


@dataclass(frozen=True)
class Counts:
    """Words read and written at each (level, tensor), as :class:`baco.traffic.Traffic` has them."""

    macs: Number
    passes: Number
    """Cycles that the array works: in a pass every element in use multiplies once."""
    columns: Number
    """Columns of the array in use, on average."""
    reads: Mapping[Place, Number]
    writes: Mapping[Place, Number]

    def accesses(self, level: str) -> Number:
        return self.level_reads(level) + self.level_writes(level)

    def level_reads(self, level: str) -> Number:
        return sum(n for (at, _), n in self.reads.items() if at == level)

    def level_writes(self, level: str) -> Number:
        return sum(n for (at, _), n in self.writes.items() if at == level)


def product(numbers: Sequence[Number]) -> Number:
    """The product of any figures; 1 of none."""
    return math.prod(numbers, start=1)


def repeats(nest: Nest, levels: tuple[int, ...], touching: frozenset[str], ops: Operations) -> Number:
    """How often a tile below the loops of `levels` comes again: the iterations of those loops that do not touch its tensor and lie
    outside the innermost one that does. How often tiles come at all is this times the number of different tiles."""
    steps: dict[str, list[tuple[Any, Number]]] = {}
    touched = False
    for level, dim, trips in reversed(nest.loops(*levels)):
        if dim in touching:
            touched = (trips > ops.one) | touched
        elif touched is not False:
            steps.setdefault(dim, []).append((touched, nest.runs[dim] if level == 1 else nest.tiles[dim]))
    times = 1
    for found in steps.values():  # innermost first; where a loop counts, so do those of its dimension further out
        count = 1
        for counts, iterations in reversed(found):
            count = ops.where(counts, iterations, count)
        times = times * count
    return times


def extent(outputs: Number, taps: Number, stride: Number, dilation: Number, halo: str, ops: Operations) -> Number:
    """Input rows of a tile of `outputs` rows and `taps` filter rows; `reload` leaves out rows that a large stride jumps over
    (as :func:`baco.workload.window`), `reuse` counts the whole window as Timeloop does."""
    taps_extent = (taps - 1) * dilation + 1
    step = ops.minimum(stride, taps_extent) if halo == "reload" else stride
    return (outputs - 1) * step + taps_extent


def over_tiles(size: Number, tile: Number, tiles: Number, figure: Callable[[Number], Number]) -> Number:
    """The sum of a figure over the tiles of a dimension, all of which but the last are whole."""
    return (tiles - 1) * figure(tile) + figure(size - (tiles - 1) * tile)


def lines_loaded(shape: Shape, nest: Nest, axis: int, halo: str, slides: Mapping[str, Any], ops: Operations) -> Number:
    """Input rows (axis 0) or columns (1) of all tiles along an axis. `slides` says of each dimension whether its loop is the innermost."""
    o, t = ("PR", "QS")[axis]
    stride, dilation = shape.stride[axis], shape.dilation[axis]
    tile = nest.tile()
    whole = {d: ops.minimum(tile[d], shape.size[d]) for d in (o, t)}

    def lines(outputs: Number, taps: Number) -> Number:
        return extent(outputs, taps, stride, dilation, halo, ops)

    def along(dim: str, figure: Callable[[Number], Number]) -> Number:
        return over_tiles(shape.size[dim], whole[dim], nest.tiles[dim], figure)

    def slid(dim: str, window: Callable[[Number], Number], step: Number) -> Number:
        """Over the tiles of `dim`, which comes on by `step` a row or tap: the first window, and what is new in the others."""

        def new(size: Number) -> Number:
            return ops.minimum(window(size), size * step)

        return along(dim, new) + window(whole[dim]) - new(whole[dim])

    total = along(t, lambda taps: along(o, lambda outputs: lines(outputs, taps)))
    if halo == "reuse":
        over_outputs = along(t, lambda taps: slid(o, lambda outputs: lines(outputs, taps), stride))
        over_taps = along(o, lambda outputs: slid(t, lambda taps: lines(outputs, taps), dilation))
        total = ops.where(slides[o], over_outputs, ops.where(slides[t], over_taps, total))
    return total


def input_fill(shape: Shape, nest: Nest, halo: str, ops: Operations) -> Number:
    """Words of input loaded into the scratchpad over the whole nest.

    With halo `reuse`, a window that slides along the innermost loop of all loads only its new rows. So Timeloop has it, by measurement
    (benchmarks/timeloop.py): where a loop lies inside, even one that leaves the inputs alone, the overlap is loaded again.
    """
    slides, inside = {}, False
    for _, dim, trips in reversed(nest.loops(3)):
        exists = trips > ops.one
        slides[dim] = exists if inside is False else exists & ops.where(inside, False, True)
        inside = exists | inside
    lines = [lines_loaded(shape, nest, axis, halo, slides, ops) for axis in (0, 1)]
    return shape.size["N"] * shape.size["C"] * lines[0] * lines[1] * repeats(nest, (3,), INPUT_DIMENSIONS, ops)


def count(shape: Shape, nest: Nest, halo: str, ops: Operations) -> Counts:
    """Words moved at every level. Exact: what the compiled program does when halo is `reload`.

    Tiles of a dimension that a tensor has add up to its size, whole or ragged, so a fill costs the tensor's words each time it comes.
    """
    if halo not in HALOS:
        raise InvalidOption("halo", halo, HALOS)
    size, runs = shape.size, nest.runs
    macs, outputs, weights = (product([size[d] for d in dims]) for dims in (DIMENSIONS, "PQKN", "RSCK"))
    pixels_and_taps = product([size[d] for d in "PQNRS"])
    weight_fill = weights * repeats(nest, (3,), WEIGHT_DIMENSIONS, ops)
    register_fill = weights * repeats(nest, (3, 1), WEIGHT_DIMENSIONS, ops)
    inputs = input_fill(shape, nest, halo, ops)
    times = repeats(nest, (3,), OUTPUT_DIMENSIONS, ops)
    partial_sums = pixels_and_taps * size["K"] * runs["C"]  # one for each column in use and pass
    reads = {
        ("registers", "weights"): macs,
        ("accumulator", "outputs"): partial_sums - outputs + outputs * times,
        ("scratchpad", "weights"): register_fill,
        ("scratchpad", "inputs"): pixels_and_taps * size["C"] * runs["K"],
        ("dram", "weights"): weight_fill,
        ("dram", "inputs"): inputs,
        ("dram", "outputs"): outputs * (times - 1),
    }
    writes = {
        ("registers", "weights"): register_fill,
        ("accumulator", "outputs"): partial_sums + outputs * (times - 1),
        ("scratchpad", "weights"): weight_fill,
        ("scratchpad", "inputs"): inputs,
        ("dram", "outputs"): outputs * times,
    }
    return Counts(macs, pixels_and_taps * runs["C"] * runs["K"], size["K"] / runs["K"], reads, writes)


def access_energies(accumulator_kib_per_column: Number, scratchpad_kib: Number, table: EnergyTable) -> dict[str, Number]:
    """pJ of one access at each level of a machine with these capacities."""
    return {
        "registers": table.register,
        "accumulator": table.accumulator + table.accumulator_per_kib_per_column * accumulator_kib_per_column,
        "scratchpad": table.scratchpad + table.scratchpad_per_kib * scratchpad_kib,
        "dram": table.dram,
    }


def energies(counts: Counts, per_access: Mapping[str, Number], table: EnergyTable) -> dict[str, Number]:
    """pJ of the multiply-accumulates ('compute') and of each level's accesses; the layer's energy is their sum."""
    return {"compute": counts.macs * table.mac} | {level: counts.accesses(level) * energy for level, energy in per_access.items()}


def cycles(counts: Counts, side: Number, dram_words_per_cycle: Number, latency: str, ops: Operations) -> dict[str, Number]:
    """Cycles that each resource alone would take; the layer takes the largest, as all of them overlap.

    `shared`: accesses over a level's bandwidth, the accumulator's being that of the columns in use (DOSA). `separate`: the larger of
    reads and writes over the bandwidth of Table 6.3 (Table 6.2).
    """
    if latency not in LATENCIES:
        raise InvalidOption("latency", latency, LATENCIES)
    terms = {"compute": counts.passes}
    if latency == "shared":
        bandwidth = {"accumulator": PORTS * counts.columns, "scratchpad": PORTS * side, "dram": dram_words_per_cycle}
        return terms | {level: counts.accesses(level) / words for level, words in bandwidth.items()}
    bandwidth = {"registers": PORTS * side * side, "accumulator": PORTS * side, "scratchpad": PORTS * side, "dram": dram_words_per_cycle}
    return terms | {level: ops.maximum(counts.level_reads(level), counts.level_writes(level)) / words for level, words in bandwidth.items()}
