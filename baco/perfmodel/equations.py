"""The equations of the model, once, for whole numbers, NumPy arrays and torch tensors alike.

A figure (a trip count, a size) is a `Number`: an int, an array or a tensor; every function broadcasts. Only what Python's operators
cannot express for all three goes through :class:`Operations`. Equations: PERFMODEL.md, "Accesses" and "Latency and energy"; Tables 6.2 and
6.3 of the dissertation.

The nest, outermost first: the loops of level 3 (DRAM), of level 1 (accumulator), of level 0 (registers; P, Q, N only). A loop with one trip
does not exist. A tile of tensor T is filled once for every iteration of the loops above it, from the outermost down to the innermost
that touches T; the loops inside that one reuse the tile.
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

SLIDING_ORDERS: dict[str, str] = {"outputs, along R": "NPQKCSR", "inputs, along P": "CRSNQPK", "weights, along P": "CKRSNQP"}
"""With halo `reuse` it also matters along which axis the window slides: the same three with the other axis innermost."""

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
    """A mapping's figures: trips by level (0, 1, 3) and dimension, loop orders by level, spatial factors."""

    trips: Mapping[int, Mapping[str, Number]]
    orders: Mapping[int, str]
    spatial_c: Number
    spatial_k: Number

    def loops(self, *levels: int) -> list[tuple[str, Number]]:
        """(dimension, trips), outermost first."""
        return [(d, self.trips[level][d]) for level in levels for d in self.orders[level] if d in self.trips[level]]

    def tile(self) -> dict[str, Number]:
        """Sizes of the tile that the scratchpad and the accumulator hold: everything inside the loops of level 3."""
        spatial = {"C": self.spatial_c, "K": self.spatial_k}
        return {d: self.trips[0].get(d, 1) * self.trips[1].get(d, 1) * spatial.get(d, 1) for d in DIMENSIONS}


@dataclass(frozen=True)
class Counts:
    """Words read and written at each (level, tensor), as :class:`baco.traffic.Traffic` has them."""

    macs: Number
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


def fills(loops: Sequence[tuple[str, Number]], touching: frozenset[str], ops: Operations) -> Number:
    """How often a tile below `loops` is filled: the trips from the outermost loop down to the innermost one that touches it."""
    times, touched = 1, False
    for dim, trips in reversed(loops):
        if dim in touching:
            times = times * trips
            touched = (trips > ops.one) | touched
        elif touched is not False:
            times = times * ops.where(touched, trips, 1)
    return times


def visits(loops: Sequence[tuple[str, Number]], ops: Operations) -> Number:
    """How often each output tile comes to the accumulator: the trips of the reduction loops outside the innermost output loop."""
    times, touched = 1, False
    for dim, trips in reversed(loops):
        if dim in OUTPUT_DIMENSIONS:
            touched = (trips > ops.one) | touched
        elif touched is not False:
            times = times * ops.where(touched, trips, 1)
    return times


def extent(outputs: Number, taps: Number, stride: Number, dilation: Number, halo: str, ops: Operations) -> Number:
    """Input rows of a tile of `outputs` rows and `taps` filter rows; `reload` leaves out rows that a large stride jumps over
    (as :func:`baco.workload.window`), `reuse` counts the whole window as Timeloop does."""
    taps_extent = (taps - 1) * dilation + 1
    step = ops.minimum(stride, taps_extent) if halo == "reload" else stride
    return (outputs - 1) * step + taps_extent


def input_fill(shape: Shape, tile: Mapping[str, Number], loops: Sequence[tuple[str, Number]], halo: str, ops: Operations) -> Number:
    """Words of input loaded into the scratchpad over the whole nest of level-3 `loops`.

    With halo `reuse`, a window that slides along the innermost loop of all loads only its new rows. So Timeloop has it, by measurement
    (benchmarks/timeloop.py): where a loop lies inside, even one that leaves the inputs alone, the overlap is loaded again.
    """
    span = {"P": 0, "R": 0, "Q": 1, "S": 1}
    lines = [
        extent(tile["P"], tile["R"], shape.stride[0], shape.dilation[0], halo, ops),
        extent(tile["Q"], tile["S"], shape.stride[1], shape.dilation[1], halo, ops),
    ]
    shift = {
        "P": tile["P"] * shape.stride[0],
        "Q": tile["Q"] * shape.stride[1],
        "R": tile["R"] * shape.dilation[0],
        "S": tile["S"] * shape.dilation[1],
    }
    times, touched, inside = tile["N"] * tile["C"], False, False
    for dim, trips in reversed(loops):
        exists = trips > ops.one
        if dim not in INPUT_DIMENSIONS:
            times = times * (ops.where(touched, trips, 1) if touched is not False else 1)
        elif halo == "reuse" and dim in span:
            axis = lines[span[dim]]
            slid = axis + (trips - 1) * ops.minimum(axis, shift[dim])
            lines[span[dim]] = slid if inside is False else ops.where(inside, axis * trips, slid)
        else:
            times = times * trips
        touched = exists | touched if dim in INPUT_DIMENSIONS else touched
        inside = exists | inside
    return times * lines[0] * lines[1]


def count(shape: Shape, nest: Nest, halo: str, ops: Operations) -> Counts:
    """Words moved at every level. Exact: what the compiled program does when halo is `reload`."""
    if halo not in HALOS:
        raise InvalidOption("halo", halo, HALOS)
    outer, tile = nest.loops(3), nest.tile()
    macs = product([shape.size[d] for d in DIMENSIONS])
    outputs = product([shape.size[d] for d in "PQKN"])
    passes = product([n for _, n in nest.loops(3, 1, 0)])  # a pass: every element of the array multiplies once
    weight_fill = product([tile[d] for d in "RSCK"]) * fills(outer, WEIGHT_DIMENSIONS, ops)
    register_fill = nest.spatial_c * nest.spatial_k * fills(nest.loops(3, 1), WEIGHT_DIMENSIONS, ops)
    inputs = input_fill(shape, tile, outer, halo, ops)
    times = visits(outer, ops)
    partial_sums = passes * nest.spatial_k  # MACs / s_C: one for each column and pass
    reads = {
        ("registers", "weights"): macs,
        ("accumulator", "outputs"): partial_sums - outputs + outputs * times,
        ("scratchpad", "weights"): register_fill,
        ("scratchpad", "inputs"): passes * nest.spatial_c,
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
    return Counts(macs, reads, writes)


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


def cycles(counts: Counts, nest: Nest, side: Number, dram_words_per_cycle: Number, latency: str, ops: Operations) -> dict[str, Number]:
    """Cycles that each resource alone would take; the layer takes the largest, as all of them overlap.

    `shared`: accesses over a level's bandwidth, the accumulator's being that of the columns in use (DOSA). `separate`: the larger of
    reads and writes over the bandwidth of Table 6.3 (Table 6.2).
    """
    if latency not in LATENCIES:
        raise InvalidOption("latency", latency, LATENCIES)
    terms = {"compute": product([n for _, n in nest.loops(3, 1, 0)])}
    if latency == "shared":
        bandwidth = {"accumulator": PORTS * nest.spatial_k, "scratchpad": PORTS * side, "dram": dram_words_per_cycle}
        return terms | {level: counts.accesses(level) / words for level, words in bandwidth.items()}
    bandwidth = {"registers": PORTS * side * side, "accumulator": PORTS * side, "scratchpad": PORTS * side, "dram": dram_words_per_cycle}
    return terms | {level: ops.maximum(counts.level_reads(level), counts.level_writes(level)) / words for level, words in bandwidth.items()}
