"""The best combination: one candidate a layer and the hardware that holds them all, least EDP of the whole network, with a bound.

For given prices of an access (a machine's capacities), each layer offers points (energy, latency). The product of the sums is
quasi-concave, so a least one is a corner of the convex hull of all sums, and each corner is the sum of the layers' best points for one
exchange rate between energy and latency. :func:`least_product` walks those corners and skips edges that cannot hold a better one.

The capacities are found by branch and bound over boxes of (accumulator, scratchpad): a box is bounded from below by charging the prices
of its smallest capacities and allowing what fits its largest. What is skipped is never better than `gap` below the best found.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baco.perfmodel.constants import TABLE_6_3, EnergyTable
from baco.perfmodel.exact import PJ_TO_UJ
from baco.search.candidates import ACCUMULATOR, ACCUMULATOR_KIB, FIXED, LATENCY, SCRATCHPAD, SCRATCHPAD_KIB, Table
from baco.search.spaces import Limits

GAP = 1e-3
"""A box that could improve the best design by no more than this part is not looked into."""
MOST_BOXES = 20_000

ABSENT = 1e30
"""In place of a candidate that is not there or does not fit: finite, as it is multiplied by prices that may be 0."""


@dataclass(frozen=True)
class Selection:
    """One candidate a layer (its row in the layer's table), the capacities that hold them, and the network's EDP in uJ x cycles."""

    side: int
    accumulator_kib: float
    scratchpad_kib: float
    rows: tuple[int, ...]
    edp: float


@dataclass(frozen=True)
class Corner:
    """Totals of one choice a layer, found at exchange rate `rate` (pJ a cycle): no choice has a lower energy + rate x latency."""

    rate: float
    energy: float
    latency: float
    rows: NDArray[np.int64]

    @property
    def product(self) -> float:
        return self.energy * self.latency


def least_product(energy: NDArray[np.float64], latency: NDArray[np.float64], cutoff: float = np.inf) -> tuple[Corner, float]:
    """Of one point a layer from (layers, candidates), the choice with the least sum of energy x sum of latency, and a lower bound on it.

    Missing candidates are ABSENT. Edges of the hull that cannot go below `cutoff` are not walked.
    """
    each = np.arange(len(energy))

    def corner(rate: float) -> Corner:
        rows = np.argmin(energy + rate * latency if np.isfinite(rate) else latency, axis=1)
        return Corner(rate, energy[each, rows].sum(), latency[each, rows].sum(), rows)

    first, last = corner(0.0), corner(np.inf)
    best = min(first, last, key=lambda c: c.product)
    # The balance of energy against latency at the optimum lies near their ratio: three steps give a good first cutoff.
    rate = best.energy / best.latency
    inner: list[Corner] = []
    for _ in range(3):
        inner.append(found := corner(rate))
        best = min(best, found, key=lambda c: c.product)
        rate = found.energy / found.latency
    corners = sorted([first, last, *inner], key=lambda c: c.rate)
    edges = list(itertools.pairwise(corners))
    bound = best.product
    while edges:
        left, right = edges.pop()
        least = _least_between(left, right)
        target = min(best.product, cutoff) * (1 - 1e-9)
        if least >= target:
            bound = min(bound, least)
            continue
        if left.latency - right.latency <= 1e-12 * left.latency:
            continue  # one and the same corner
        rate = (right.energy - left.energy) / (left.latency - right.latency)
        found = corner(rate)
        if found.energy + rate * found.latency >= (left.energy + rate * left.latency) * (1 - 1e-12):
            continue  # an edge of the hull: nothing lies below it
        best = min(best, found, key=lambda c: c.product)
        edges += [(left, found), (found, right)]
    return best, min(bound, best.product)


def _least_between(left: Corner, right: Corner) -> float:
    """The product where the supporting lines of two corners meet: no point between them has less."""
    if right.rate <= left.rate:
        return np.inf
    if np.isinf(right.rate):
        latency = right.latency
        return (left.energy + left.rate * (left.latency - latency)) * latency
    g_left, g_right = left.energy + left.rate * left.latency, right.energy + right.rate * right.latency
    latency = (g_right - g_left) / (right.rate - left.rate)
    return (g_left - left.rate * latency) * latency


class Combination:
    """Candidates of all layers for arrays of one side, ready to be combined."""

    def __init__(self, tables: Sequence[Table], counts: Sequence[int], side: int, limits: Limits, table: EnergyTable = TABLE_6_3) -> None:
        self.side, self.limits, self.prices = side, limits, table
        widest = max(len(t.figures) for t in tables)
        padded = np.full((len(tables), widest, 6), ABSENT)
        for layer, (t, count) in enumerate(zip(tables, counts, strict=True)):
            padded[layer, : len(t.figures)] = t.figures * np.array([count] * 4 + [1, 1])
        self.figures = padded
        self.feasible = all(len(t.figures) for t in tables)

    def totals(self, accumulator_kib: float, scratchpad_kib: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Energy and latency (layers, candidates) at the prices of these capacities."""
        column = self.prices.accumulator_per_kib_per_column * accumulator_kib / self.side
        energy = self.figures[..., FIXED] + self.figures[..., ACCUMULATOR] * column
        return energy + self.figures[..., SCRATCHPAD] * (self.prices.scratchpad_per_kib * scratchpad_kib), self.figures[..., LATENCY]

    def fits(self, accumulator_kib: float, scratchpad_kib: float) -> NDArray[np.bool_]:
        return (self.figures[..., ACCUMULATOR_KIB] <= accumulator_kib) & (self.figures[..., SCRATCHPAD_KIB] <= scratchpad_kib)

    def on_machine(self, accumulator_kib: float, scratchpad_kib: float) -> Selection | None:
        """The best mappings on a given machine; None where a layer has none that fits."""
        fits = self.fits(accumulator_kib, scratchpad_kib)
        if not fits.any(axis=1).all():
            return None
        energy, latency = self.totals(accumulator_kib, scratchpad_kib)
        best, _ = least_product(np.where(fits, energy, ABSENT), np.where(fits, latency, ABSENT))
        return Selection(self.side, accumulator_kib, scratchpad_kib, tuple(map(int, best.rows)), best.product * PJ_TO_UJ)

    def least_hardware(self, rows: NDArray[np.int64]) -> Selection:
        """The smallest machine of this side that holds the chosen candidates."""
        chosen = self.figures[np.arange(len(rows)), rows]
        accumulator_kib, scratchpad_kib = chosen[:, ACCUMULATOR_KIB].max(), chosen[:, SCRATCHPAD_KIB].max()
        energy, latency = self.totals(accumulator_kib, scratchpad_kib)
        at = (np.arange(len(rows)), rows)
        edp = energy[at].sum() * latency[at].sum() * PJ_TO_UJ
        return Selection(self.side, float(accumulator_kib), float(scratchpad_kib), tuple(map(int, rows)), float(edp))

    def quick_bound(self) -> float:
        """A lower bound on the EDP of every machine of this side: memories at no cost."""
        if not self.feasible:
            return np.inf
        return least_product(*self.totals(0.0, 0.0))[1] * PJ_TO_UJ

    def best(
        self, incumbent: float = np.inf, improved: Callable[[Selection], None] | None = None, gap: float = GAP
    ) -> tuple[Selection | None, float]:
        """The best design of this side if it beats `incumbent` (uJ x cycles), and a lower bound on all designs of this side."""
        if not self.feasible:
            return None, np.inf
        real = self.figures[self.figures[..., FIXED] < ABSENT]
        xs, ys = np.unique(real[:, ACCUMULATOR_KIB]), np.unique(real[:, SCRATCHPAD_KIB])
        # No machine is smaller than the least that the most demanding layer needs.
        xs = xs[xs >= self.figures[..., ACCUMULATOR_KIB].min(axis=1).max()]
        ys = ys[ys >= self.figures[..., SCRATCHPAD_KIB].min(axis=1).max()]
        found, edp, lowest = None, incumbent, np.inf
        boxes = [(0.0, 0, (0, len(xs) - 1, 0, len(ys) - 1))]
        opened = 0
        while boxes and opened < MOST_BOXES:
            bound, _, box = heapq.heappop(boxes)
            if bound >= edp * (1 - gap):
                heapq.heappush(boxes, (bound, 0, box))
                break
            for x0, x1, y0, y1 in [box] if opened == 0 else _halves(box, xs, ys, self._slopes()):
                opened += 1
                selection, bound = self._bound_box(xs[x0], xs[x1], ys[y0], ys[y1], edp * (1 - gap))
                if selection is not None and selection.edp < edp:
                    found, edp = selection, selection.edp
                    if improved:
                        improved(found)
                if bound >= edp * (1 - gap) or (x0 == x1 and y0 == y1):
                    lowest = min(lowest, bound)
                else:
                    heapq.heappush(boxes, (bound, opened, (x0, x1, y0, y1)))
        return found, min([lowest, edp, *(bound for bound, _, _ in boxes)])

    def _slopes(self) -> tuple[float, float]:
        """How much the network's energy grows with a KiB of each memory, roughly: to choose which way to cut a box."""
        real = np.where(self.figures < ABSENT, self.figures, np.nan)
        accumulator = np.nanmedian(real[..., ACCUMULATOR], axis=1).sum() * self.prices.accumulator_per_kib_per_column / self.side
        return accumulator, np.nanmedian(real[..., SCRATCHPAD], axis=1).sum() * self.prices.scratchpad_per_kib

    def _bound_box(self, x0: float, x1: float, y0: float, y1: float, cutoff: float) -> tuple[Selection | None, float]:
        fits = self.fits(x1, y1)
        if not fits.any(axis=1).all():
            return None, np.inf
        energy, latency = self.totals(x0, y0)
        best, bound = least_product(np.where(fits, energy, ABSENT), np.where(fits, latency, ABSENT), cutoff / PJ_TO_UJ)
        return self.least_hardware(best.rows), bound * PJ_TO_UJ


Box = tuple[int, int, int, int]


def _halves(box: Box, xs: NDArray[np.float64], ys: NDArray[np.float64], slopes: tuple[float, float]) -> list[Box]:
    """The box cut in two across the memory whose range weighs more."""
    x0, x1, y0, y1 = box
    across_x = (xs[x1] - xs[x0]) * slopes[0] >= (ys[y1] - ys[y0]) * slopes[1]
    if (across_x and x1 > x0) or y1 == y0:
        middle = int(np.clip(np.searchsorted(xs, np.sqrt(xs[x0] * xs[x1]), side="right") - 1, x0, x1 - 1))
        return [(x0, middle, y0, y1), (middle + 1, x1, y0, y1)]
    middle = int(np.clip(np.searchsorted(ys, np.sqrt(ys[y0] * ys[y1]), side="right") - 1, y0, y1 - 1))
    return [(x0, x1, y0, middle), (x0, x1, middle + 1, y1)]
