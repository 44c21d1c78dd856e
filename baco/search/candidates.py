"""Every mapping of one layer worth considering on an array of a given side, scored at once and thinned to the undominated ones.

A candidate is a tile (:mod:`baco.search.tilings`) and a loop order at level 3. Given those, the rest follows: P, Q, N of the tile run
at level 0 with the weights in place; the spatial factors are the largest that the array holds, which are
nowhere worse than smaller ones; and every other loop order is nowhere better than one of those tried (:data:`STATIONARY_ORDERS`; with halo
`reload`). So the table holds a best mapping of the layer for every machine of that side.

Figures of a candidate, all that its cost on any machine of this side depends on:
energy = fixed + accumulator accesses x slope x capacity per column + scratchpad accesses x slope x capacity; latency; least capacities.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baco.perfmodel.constants import DRAM_WORDS_PER_CYCLE, TABLE_6_3, EnergyTable
from baco.perfmodel.equations import (
    INNER_ORDERS,
    SLIDING_ORDERS,
    STATIONARY_ORDERS,
    Nest,
    Operations,
    access_energies,
    count,
    cycles,
    energies,
    extent,
)
from baco.perfmodel.exact import shape_of
from baco.search.spaces import Limits, Space
from baco.search.tilings import EXACT, spatial
from baco.workload import DIMENSIONS, Mapping, Problem

AXIS_C, AXIS_K = DIMENSIONS.index("C"), DIMENSIONS.index("K")
ARRAYS = Operations(where=np.where, minimum=np.minimum, maximum=np.maximum)

FIXED, ACCUMULATOR, SCRATCHPAD, LATENCY, ACCUMULATOR_KIB, SCRATCHPAD_KIB = range(6)
"""Columns of a table: pJ, accesses, accesses, cycles, KiB, KiB."""


MOST_AT_ONCE = 300_000
"""Tiles scored in one piece, to bound the memory this takes."""


def level3_orders(halo: str) -> tuple[str, ...]:
    """The loop orders at level 3 that need trying. The first wins a tie: outputs that stay need no partial sums from DRAM."""
    return tuple((STATIONARY_ORDERS | (SLIDING_ORDERS if halo == "reuse" else {})).values())


@dataclass(frozen=True)
class Choice:
    """One candidate in a readable form: the tile's sizes, the spatial factors, and the loop order at level 3."""

    tile: tuple[int, ...]
    spatial_c: int
    spatial_k: int
    order: str

    def mapping(self, problem: Problem) -> Mapping:
        tile = dict(zip(DIMENSIONS, self.tile, strict=True))
        inner = {"R": tile["R"], "S": tile["S"], "C": -(-tile["C"] // self.spatial_c), "K": -(-tile["K"] // self.spatial_k)}
        return Mapping(
            temporal=(
                tuple(tile[d] if d in "PQN" else 1 for d in DIMENSIONS),
                tuple(inner.get(d, 1) for d in DIMENSIONS),
                (1,) * 7,
                tuple(-(-problem.sizes[d] // tile[d]) for d in DIMENSIONS),
            ),
            orders=(INNER_ORDERS[0], INNER_ORDERS[1], INNER_ORDERS[2], self.order),
            spatial_c=self.spatial_c,
            spatial_k=self.spatial_k,
        )


@dataclass(frozen=True)
class Design:
    """A whole design: a machine and one choice a layer, with the objective's value and the totals in pJ and cycles."""

    value: float
    energy: float
    latency: float
    side: int
    accumulator_kib: float
    scratchpad_kib: float
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Table:
    """Candidates of one layer: `figures` (candidates, 6) and what they are."""

    figures: NDArray[np.float64]
    choices: NDArray[np.int64]
    """(candidates, 10): the tile, s_C, s_K, and the index of the order."""
    orders: tuple[str, ...]

    def thinned(self) -> Table:
        """The undominated of the candidates."""
        kept = undominated(self.figures)
        return Table(self.figures[kept], self.choices[kept], self.orders)

    def choice(self, row: int) -> Choice:
        values = [int(v) for v in self.choices[row]]
        return Choice(tuple(values[:7]), values[7], values[8], self.orders[values[9]])


def capacities(
    problem: Problem,
    tiles: Sequence[NDArray[np.int64]],
    spatial_c: NDArray[np.int64],
    spatial_k: NDArray[np.int64],
    side: ArrayLike,
    space: Space,
    columns: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least accumulator and scratchpad in KiB that hold these tiles; arrays as for :func:`score`."""
    tile = {d: t.astype(np.float64) for d, t in zip(DIMENSIONS, tiles, strict=True)}
    rows, lines = (
        extent(tile[o], tile[t], problem.stride[axis], problem.dilation[axis], "reload", ARRAYS) for axis, (o, t) in enumerate(("PR", "QS"))
    )
    weights, inputs = tile["R"] * tile["S"] * tile["C"] * tile["K"], tile["N"] * tile["C"] * rows * lines
    blocks_c, blocks_k = -(-tiles[AXIS_C] // spatial_c), -(-tiles[AXIS_K] // spatial_k)
    accumulator_kib = space.accumulator_kib(tile["N"] * tile["P"] * tile["Q"] * blocks_k, side if columns is None else columns)
    weight_rows, input_rows = tile["R"] * tile["S"] * tile["C"] * blocks_k, tile["N"] * rows * lines * blocks_c
    return accumulator_kib, space.scratchpad_kib(weights, weight_rows, inputs, input_rows, side)


def score(
    problem: Problem,
    tiles: Sequence[NDArray[np.int64]],
    spatial_c: NDArray[np.int64],
    spatial_k: NDArray[np.int64],
    side: ArrayLike,
    space: Space,
    *,
    halo: str = "reload",
    latency: str = "shared",
    dram_words_per_cycle: float = DRAM_WORDS_PER_CYCLE,
    table: EnergyTable = TABLE_6_3,
    columns: int | None = None,
) -> NDArray[np.float64]:
    """Figures (orders, candidates, 6) of tiles given dimension by dimension as arrays that broadcast together.

    The array has `side` rows and as many columns, unless `columns` says otherwise.
    """
    tile = {d: t.astype(np.float64) for d, t in zip(DIMENSIONS, tiles, strict=True)}
    s_c, s_k = spatial_c.astype(np.float64), spatial_k.astype(np.float64)
    inner = {"R": tile["R"], "S": tile["S"], "C": np.ceil(tile["C"] / s_c), "K": np.ceil(tile["K"] / s_k)}
    outer = {d: np.ceil(problem.sizes[d] / tile[d]) for d in DIMENSIONS}
    trips = {3: outer, 1: inner, 0: {d: tile[d] for d in "PQN"}}
    blocks = {"C": np.ceil(problem.C / s_c), "K": np.ceil(problem.K / s_k)}
    runs = {"R": problem.R, "S": problem.S, **{d: outer[d] for d in "PQN"}, **blocks}
    accumulator_kib, scratchpad_kib = capacities(problem, tiles, spatial_c, spatial_k, side, space, columns)
    whole = np.broadcast_shapes(accumulator_kib.shape, scratchpad_kib.shape)
    orders = level3_orders(halo)
    figures = np.empty((len(orders), *whole, 6))
    per_access = access_energies(0.0, 0.0, table)
    shape = shape_of(problem)
    for i, order in enumerate(orders):
        nest = Nest(trips, {3: order} | INNER_ORDERS, s_c, s_k, outer, runs)
        counts = count(shape, nest, halo, ARRAYS)
        terms = list(cycles(counts, side, dram_words_per_cycle, latency, ARRAYS).values())
        slowest = terms[0]
        for term in terms[1:]:
            slowest = np.maximum(slowest, term)
        figures[i, ..., FIXED] = sum(energies(counts, per_access, table).values())
        figures[i, ..., ACCUMULATOR] = counts.accesses("accumulator")
        figures[i, ..., SCRATCHPAD] = counts.accesses("scratchpad")
        figures[i, ..., LATENCY] = slowest
        figures[i, ..., ACCUMULATOR_KIB] = accumulator_kib
        figures[i, ..., SCRATCHPAD_KIB] = scratchpad_kib
    return figures.reshape(len(orders), -1, 6)


def layer_energies(
    figures: NDArray[np.float64],
    accumulator_kib: NDArray[np.float64],
    scratchpad_kib: NDArray[np.float64],
    side: ArrayLike,
    table: EnergyTable,
) -> NDArray[np.float64]:
    """pJ of candidates (..., layers, 6) on machines of these capacities and sides (...)."""
    per_accumulator = np.asarray(table.accumulator_per_kib_per_column * accumulator_kib / side)[..., None]
    per_scratchpad = np.asarray(table.scratchpad_per_kib * scratchpad_kib)[..., None]
    return figures[..., FIXED] + figures[..., ACCUMULATOR] * per_accumulator + figures[..., SCRATCHPAD] * per_scratchpad


def tabulate(
    problem: Problem,
    sizes: dict[str, list[int]],
    side: int,
    space: Space,
    limits: Limits,
    halo: str = "reload",
    latency: str = "shared",
    table: EnergyTable = TABLE_6_3,
    memory_side: int | None = None,
    tilings: str = EXACT,
) -> tuple[Table, int]:
    """The undominated candidates with tile sizes out of `sizes`, and how many were scored.

    One dimension's axis each, so that figures that depend on few dimensions are computed on few numbers; in parts where there are many.
    With `memory_side`, a smaller one, memories and area are those of an array of that side: for a bound on all sides from there to `side`.
    """
    orders, parts, scored = level3_orders(halo), [], 0
    for piece in pieces(sizes):
        figures, choices = score_all(
            problem, piece, side, space, memory_side=memory_side, tilings=tilings, halo=halo, latency=latency, table=table
        )
        scored += len(figures)
        keep = np.flatnonzero(limits.holds(memory_side or side, figures[:, ACCUMULATOR_KIB], figures[:, SCRATCHPAD_KIB]))
        keep = keep[undominated(figures[keep])]
        parts.append(Table(figures[keep], choices(keep), orders))
    return merged(parts), scored


def merged(tables: Sequence[Table]) -> Table:
    """The undominated candidates of several tables of one layer."""
    return tables[0] if len(tables) == 1 else joined(tables).thinned()


def joined(tables: Sequence[Table]) -> Table:
    """All candidates of several tables of one layer."""
    figures, kinds = (np.concatenate([getattr(t, name) for t in tables]) for name in ("figures", "choices"))
    return Table(figures, kinds, tables[0].orders)


def pieces(sizes: dict[str, list[int]]) -> Iterator[dict[str, list[int]]]:
    """The product of these sizes in parts of at most MOST_AT_ONCE tiles."""
    if math.prod(len(s) for s in sizes.values()) <= MOST_AT_ONCE:
        yield sizes
        return
    longest = max(sizes, key=lambda d: len(sizes[d]))
    middle = len(sizes[longest]) // 2
    for part in (sizes[longest][:middle], sizes[longest][middle:]):
        yield from pieces(sizes | {longest: part})


def score_all(
    problem: Problem,
    sizes: dict[str, list[int]],
    side: int,
    space: Space,
    *,
    columns: int | None = None,
    memory_side: int | None = None,
    tilings: str = EXACT,
    **options: Any,
) -> tuple[NDArray[np.float64], Callable[[NDArray[np.int64]], NDArray[np.int64]]]:
    """Figures (candidates, 6) of every tile out of `sizes` in every order, and a function from row numbers to choices (rows, 10)."""
    axes = np.ix_(*(np.array(sizes[d], dtype=np.int64) for d in DIMENSIONS))
    s_c = np.vectorize(lambda t: spatial(t, side, problem.C, tilings))(axes[AXIS_C])
    s_k = np.vectorize(lambda t: spatial(t, side if columns is None else columns, problem.K, tilings))(axes[AXIS_K])
    figures = score(problem, axes, s_c, s_k, side, space, columns=memory_side or columns, **options)
    tiles = figures.shape[1]

    def choices(rows: NDArray[np.int64]) -> NDArray[np.int64]:
        order, tile = np.divmod(rows, tiles)
        at = np.unravel_index(tile, [len(sizes[d]) for d in DIMENSIONS])
        sides = [np.array(sizes[d], dtype=np.int64)[i] for d, i in zip(DIMENSIONS, at, strict=True)]
        sides += [s_c.ravel()[at[AXIS_C]], s_k.ravel()[at[AXIS_K]], order]
        return np.stack(sides, axis=1)

    return figures.reshape(-1, 6), choices


def undominated(figures: NDArray[np.float64], chunk: int = 64) -> NDArray[np.int64]:
    """Rows that no other row equals or beats in every column; of equal rows the first. Ascending.

    Rows are taken in the order of the product of their columns, in which no row can be dominated by a later one.
    """
    if not len(figures):
        return np.zeros(0, np.int64)
    left = np.argsort(np.log(np.maximum(figures, 1e-9)).sum(axis=1), kind="stable")
    sorted_figures = np.ascontiguousarray(figures[left].T)
    kept: list[NDArray[np.int64]] = []
    while len(left):
        head = sorted_figures[:, :chunk]
        # Within the head: a row is out when an earlier row is nowhere worse.
        beats = np.triu((head[:, :, None] <= head[:, None, :]).all(axis=0), k=1)
        winners = ~beats.any(axis=0)
        kept.append(left[:chunk][winners])
        rest, alive = sorted_figures[:, chunk:], np.ones(len(left) - len(head[0]), bool)
        for row in head[:, winners].T:
            index = np.flatnonzero(alive)
            beaten = (rest[0, index] >= row[0]) & (rest[3, index] >= row[3])
            index = index[beaten]
            for column in (1, 2, 4, 5):
                index = index[rest[column, index] >= row[column]]
            alive[index] = False
        left, sorted_figures = left[chunk:][alive], rest[:, alive]
        chunk = min(2 * chunk, 1024)
    return np.sort(np.concatenate(kept))
