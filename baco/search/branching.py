"""Branch and bound over sides and memories at once, scoring tiles as they are asked for: for a budget that does not reach for every tile.

A box is a side and a range of each memory. On the way to its bound, those tiles are scored that its machines hold and that cannot be
enlarged within them (`maximal`), as no other can be best on its largest; the least of them at the prices of its smallest is a lower bound
(`choice`). The box with the lowest bound of all sides is cut in two next, so that effort goes to the sides and memories that can still hold
the best design. When no box is left below it by more than GAP, it is proven to be that.

A box gets a part of what is left of the budget. Where that does not reach for all its tiles, layers get it by importance
(:mod:`baco.search.importance`), the tiles nearest to their best first, and nothing is proven any more.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from baco.search.candidates import ACCUMULATOR_KIB, LATENCY, SCRATCHPAD_KIB, Table, layer_energies, level3_orders
from baco.search.choice import GAP, MOST_BOXES, Box, halves, memories
from baco.search.floors import floor_of_side, floor_totals
from baco.search.importance import Scheduler
from baco.search.maximal import Tiles

if TYPE_CHECKING:
    from baco.search.explorer import Search

LARGEST_PART, LEAST_PART, PACE = 2, 16, 4
"""A box gets all its tiles where they take no more than one part in so many of the samples left: in LARGEST_PART for the first PACE boxes
of a side, in one more for the next PACE, up to LEAST_PART. Where they take more, it gets one part in LEAST_PART."""
UNIT = 32
"""Tiles of a layer scored at a time, where not all can be."""
NOTHING_FITS = 1e3
"""Cost of a layer of which no tile scored fits: far more than the whole network's, which is 2."""


class Side:
    """The layers' tiles on arrays of one side, and the memories that hold them."""

    def __init__(self, search: Search, side: int) -> None:
        self.search, self.side = search, side
        self.layers = [Tiles(layer.problem, side, search.space, search.rules) for layer in search.network.layers]
        limits = search.limits
        needs = [(t.accumulator_kib, t.scratchpad_kib) for t in self.layers]
        lists = [np.unique(np.concatenate([np.unique(need[i]) for need in needs])) for i in (0, 1)]
        least = tuple(max(need[i].min() for need in needs) for i in (0, 1))
        self.xs, self.ys = memories(*lists, least, side, limits)
        self.most = np.array([np.count_nonzero(limits.holds(side, x, self.ys)) - 1 for x in self.xs], np.int64)
        for tiles in self.layers:
            tiles.place(self.xs, self.ys)
        self.filled = 0
        work = sum(layer.count * layer.problem.macs for layer in search.network.layers)
        table = search.rules.table
        self.slopes = work / side**2 * table.accumulator_per_kib_per_column, work / side * table.scratchpad_per_kib
        """How much the network's energy grows with a KiB of each memory, roughly."""

    @property
    def boxes(self) -> list[Box]:
        """One of all memories; none where no machine holds a tile of each layer."""
        return [(0, len(self.xs) - 1, 0, len(self.ys) - 1)] if len(self.xs) and len(self.ys) else []

    def halves(self, box: Box) -> list[Box]:
        """The box cut in two, those parts left out that are beyond the limits."""
        return [part for part in halves(box, self.xs, self.ys, self.slopes) if self.most[part[0]] >= part[2]]

    def fill(self, box: Box, left: int) -> bool:
        """Score what the box asks for, as far as its part of the samples left goes; whether that was all."""
        search = self.search
        waiting = [tiles.unscored(box, self.most) for tiles in self.layers]
        orders = len(level3_orders(search.rules.halo))
        whole = sum(map(len, waiting)) * orders <= left // min(LARGEST_PART + self.filled // PACE, LEAST_PART)
        self.filled += 1
        if whole:
            for tiles, places in zip(self.layers, waiting, strict=True):
                search.samples += len(tiles.score(places).figures) if len(places) else 0
        else:
            self._by_importance(box, waiting, left // LEAST_PART)
        return whole

    def _by_importance(self, box: Box, waiting: list[NDArray[np.int64]], allowance: int) -> None:
        """Score waiting tiles of the layers that promise most, those nearest to the layer's best first, up to the allowance."""
        search, layers = self.search, self.search.network.layers
        scheduler, orders = Scheduler(layers, even=not search.importance), len(level3_orders(search.rules.halo))
        unit = max(1, min(UNIT, allowance // (orders * len(layers))))
        found = [self._best(i, tiles.table, box) for i, tiles in enumerate(self.layers)]
        while (i := scheduler.choose()) is not None:
            if not len(waiting[i]):
                scheduler.finish(i)
                continue
            if min(unit, len(waiting[i])) * orders > allowance:
                return
            tiles, best = self.layers[i], found[i][1]
            far = np.abs(np.log(tiles.sizes_at(waiting[i])) - np.log(best)).sum(axis=1)
            taken = np.argsort(far, kind="stable")[:unit]
            candidates = tiles.score(waiting[i][taken])
            waiting[i] = np.delete(waiting[i], taken)
            search.samples += len(candidates.figures)
            allowance -= len(candidates.figures)
            found[i] = min(found[i], self._best(i, candidates, box), key=lambda entry: entry[0])
            scheduler.record(i, len(candidates.figures), found[i][0])

    def _best(self, i: int, table: Table, box: Box) -> tuple[float, NDArray[np.int64]]:
        """Of a layer's candidates that a box's largest machine holds, the least that one adds to the network's totals, as parts of the best
        design's, at the prices of the box's smallest; and its tile. Where there is none, the tile of the best design so far."""
        search = self.search
        rows = self._held(table.figures, box)
        if not len(rows):
            return NOTHING_FITS, np.array(search.best.choices[i].tile if search.best else [s[0] for s in self.layers[i].sizes])
        figures = table.figures[rows]
        energy = layer_energies(figures, np.array(self.xs[box[0]]), np.array(self.ys[box[2]]), self.side, search.rules.table)
        whole = (search.best.energy, search.best.latency) if search.best else floor_totals(search.network, self.side, search.rules)
        for_energy, for_latency = search.rules.goal.weights
        costs = for_energy * energy / whole[0] + for_latency * figures[:, LATENCY] / whole[1]
        return float(search.network.layers[i].count * costs.min()), table.choices[rows[costs.argmin()], :7]

    def _held(self, figures: NDArray[np.float64], box: Box) -> NDArray[np.int64]:
        """The candidates that the largest machine of a box holds."""
        return np.flatnonzero((figures[:, ACCUMULATOR_KIB] <= self.xs[box[1]]) & (figures[:, SCRATCHPAD_KIB] <= self.ys[box[3]]))

    def bound(self, box: Box) -> float:
        """A lower bound on the designs of a box, out of what was scored; offers the best one that is at hand."""
        search = self.search
        tables = []
        for table in (tiles.table for tiles in self.layers):
            rows = self._held(table.figures, box)
            tables.append(Table(table.figures[rows], table.choices[rows], table.orders))
        if not all(len(t.figures) for t in tables):
            return np.inf
        first, last, low, high = box
        combination = search.combined(tables, self.side)
        selection, bound = combination.bound_box(self.xs[first], self.xs[last], self.ys[low], self.ys[high], search.best_value * (1 - GAP))
        if selection is not None:
            search.offer(search.design(selection, tables), "enumeration")
        return bound


def branch(search: Search, sides: Sequence[int]) -> tuple[list[tuple[int, float]], bool]:
    """The best design of these sides that the budget reaches for; lower bounds on the sides, and whether those are proven."""
    opened: dict[int, Side] = {}
    # With sliding windows a tile that can be enlarged may be the best.
    proven = search.rules.halo == "reload"
    heap: list[tuple[float, int, int, Box | None]] = []
    for side in sides:
        heap.append((floor_of_side(search.network, side, search.rules), len(heap), side, None))
    heapq.heapify(heap)
    lowest = dict.fromkeys(sides, np.inf)
    boxes, before = len(heap), search.samples
    while heap and heap[0][0] < search.best_value * (1 - GAP) and boxes < MOST_BOXES:
        if search.budget - search.samples < len(search.network.layers) * len(level3_orders(search.rules.halo)):
            proven = False
            break
        bound, _, side, box = heapq.heappop(heap)
        if box is None:
            opened[side] = Side(search, side)
            parts = opened[side].boxes
        else:
            parts = opened[side].halves(box)
        for part in parts:
            proven &= opened[side].fill(part, search.budget - search.samples)
            inside = max(bound, float(opened[side].bound(part)))
            boxes += 1
            if inside < search.best_value * (1 - GAP) and (part[0] < part[1] or part[2] < part[3]):
                heapq.heappush(heap, (inside, boxes, side, part))
            else:
                lowest[side] = min(lowest[side], inside)
            search.tell("enumeration", 0.6 + 0.4 * (search.samples - before) / (search.budget - before), f"side {side}")
    for bound, _, side, _ in heap:
        lowest[side] = min(lowest[side], bound)
    for side, found in opened.items():
        search.tables[side] = [tiles.table for tiles in found.layers]
    return list(lowest.items()), proven
