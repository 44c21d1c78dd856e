"""The best combination: one candidate a layer and the hardware that holds them all, best for the whole network, with a bound.

For given prices of an access (a machine's capacities), each layer offers points (energy, latency). The objective is quasi-concave in the
sums, so without limits on them a best one is a corner of the convex hull of all sums, and each corner is the sum of the layers' best points
for one exchange rate between energy and latency. :func:`least` walks those corners and skips edges that cannot hold a better one.

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
from baco.search.candidates import ACCUMULATOR, ACCUMULATOR_KIB, FIXED, LATENCY, SCRATCHPAD, SCRATCHPAD_KIB, Table
from baco.search.goals import EDP, SIDELINE, Goal, Point
from baco.search.spaces import Limits

GAP = 1e-3
"""A box that could improve the best design by no more than this part is not looked into."""
MOST_BOXES = 20_000

ABSENT = 1e30
"""In place of a candidate that is not there or does not fit: finite, as it is multiplied by prices that may be 0."""

Box = tuple[int, int, int, int]
"""Ranges of accumulators and scratchpads: the first and last of each, as places in a side's lists of them."""


@dataclass(frozen=True)
class Selection:
    """One candidate a layer (its row in the layer's table), the capacities that hold them, and the network's totals in pJ and cycles."""

    side: int
    accumulator_kib: float
    scratchpad_kib: float
    rows: tuple[int, ...]
    value: float
    """Of the objective."""
    energy: float
    latency: float


@dataclass(frozen=True)
class Corner:
    """Totals of one choice a layer, found at exchange rate `rate` (pJ a cycle): no choice has a lower energy + rate x latency."""

    rate: float
    energy: float
    latency: float
    rows: NDArray[np.int64]

    @property
    def point(self) -> Point:
        return self.energy, self.latency


def least(
    energy: NDArray[np.float64], latency: NDArray[np.float64], goal: Goal = EDP, cutoff: float = np.inf
) -> tuple[Corner | None, float]:
    """Of one point a layer from (layers, candidates), the best choice that keeps the goal's limits, and a lower bound on its value.

    None where no corner of the hull keeps the limits. Without limits the choice is a best one; with them a better one may lie off
    the hull, by at most the distance to the bound. Missing candidates are ABSENT. Edges of the hull that cannot go below `cutoff` are not
    walked.
    """
    each = np.arange(len(energy))
    best: Corner | None = None

    def corner(rate: float) -> Corner:
        nonlocal best
        rows = np.argmin(energy + rate * latency if np.isfinite(rate) else latency, axis=1)
        found = Corner(rate, energy[each, rows].sum(), latency[each, rows].sum(), rows)
        if goal.allows(*found.point) and (best is None or goal.rank(*found.point) < goal.rank(*best.point)):
            best = found
        return found

    first, last = corner(0.0), corner(np.inf)
    # At the least product the exchange rate is the ratio of the totals: a few steps there give a good first cutoff. The other objectives
    # are at the ends, where a little weight on the other total breaks ties.
    near = (best or last).energy / (best or last).latency
    inner = [corner(near * SIDELINE**2), corner(near / SIDELINE**2)] if goal.objective != "edp" else []
    for _ in range(3 if goal.objective == "edp" else 0):
        inner.append(found := corner(near))
        near = found.energy / found.latency
    edges = list(itertools.pairwise(sorted([first, last, *inner], key=lambda c: c.rate)))
    bound = np.inf
    while edges:
        left, right = edges.pop()
        lower = goal.least_on([left.point, *_meeting(left, right), right.point])
        if lower >= min(goal.value(*best.point) if best else np.inf, cutoff) * (1 - 1e-9):
            bound = min(bound, lower)
            continue
        found = None
        if left.latency - right.latency > 1e-12 * left.latency:  # else one and the same corner
            found = corner((right.energy - left.energy) / (left.latency - right.latency))
        if found is None or found.energy + found.rate * found.latency >= (left.energy + found.rate * left.latency) * (1 - 1e-12):
            bound = min(bound, goal.least_on([left.point, right.point]))  # an edge of the hull: nothing lies below it
            continue
        edges += [(left, found), (found, right)]
    if best is not None and goal.max_cycles < np.inf:
        best = _use_slack(energy, latency, best, goal)
    return best, min(bound, goal.value(*best.point)) if best else bound


def _meeting(left: Corner, right: Corner) -> list[Point]:
    """Where the supporting lines of two corners meet: no point between them lies below the two lines. Nothing where they are parallel."""
    if right.rate <= left.rate:
        return []
    if np.isinf(right.rate):
        latency = right.latency
    else:
        g_left, g_right = left.energy + left.rate * left.latency, right.energy + right.rate * right.latency
        latency = (g_right - g_left) / (right.rate - left.rate)
    return [(left.energy + left.rate * (left.latency - latency), latency)]


def _use_slack(energy: NDArray[np.float64], latency: NDArray[np.float64], chosen: Corner, goal: Goal) -> Corner:
    """Change one layer at a time for the better, as long as the limits are kept."""
    each, rows = np.arange(len(energy)), chosen.rows.copy()
    while True:
        total_energy, total_latency = energy[each, rows].sum(), latency[each, rows].sum()
        energies = total_energy - energy[each, rows][:, None] + energy
        latencies = total_latency - latency[each, rows][:, None] + latency
        values = np.where(goal.allows(energies, latencies), goal.value(energies, latencies), np.inf)
        layer, row = np.unravel_index(values.argmin(), values.shape)
        if not values[layer, row] < goal.value(total_energy, total_latency) * (1 - 1e-12):
            return Corner(chosen.rate, total_energy, total_latency, rows)
        rows[layer] = row


class Combination:
    """Candidates of all layers for arrays of one side, ready to be combined."""

    def __init__(
        self,
        tables: Sequence[Table],
        counts: Sequence[int],
        side: int,
        limits: Limits,
        table: EnergyTable = TABLE_6_3,
        goal: Goal = EDP,
    ) -> None:
        self.side, self.limits, self.prices, self.goal = side, limits, table, goal
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
        """The best mappings on a given machine; None where a layer has none that fits, or none of them keeps the goal's limits."""
        fits = self.fits(accumulator_kib, scratchpad_kib)
        if not fits.any(axis=1).all():
            return None
        energy, latency = self.totals(accumulator_kib, scratchpad_kib)
        best, _ = least(np.where(fits, energy, ABSENT), np.where(fits, latency, ABSENT), self.goal)
        if best is None:
            return None
        rows = tuple(map(int, best.rows))
        return Selection(self.side, accumulator_kib, scratchpad_kib, rows, float(self.goal.value(*best.point)), *map(float, best.point))

    def least_hardware(self, rows: NDArray[np.int64]) -> Selection:
        """The smallest machine of this side that holds the chosen candidates."""
        chosen = self.figures[np.arange(len(rows)), rows]
        accumulator_kib, scratchpad_kib = chosen[:, ACCUMULATOR_KIB].max(), chosen[:, SCRATCHPAD_KIB].max()
        energy, latency = self.totals(accumulator_kib, scratchpad_kib)
        at = (np.arange(len(rows)), rows)
        totals = float(energy[at].sum()), float(latency[at].sum())
        value = float(self.goal.value(*totals))
        return Selection(self.side, float(accumulator_kib), float(scratchpad_kib), tuple(map(int, rows)), value, *totals)

    def quick_bound(self) -> float:
        """A lower bound on the value of every machine of this side: memories at no cost."""
        if not self.feasible:
            return np.inf
        return least(*self.totals(0.0, 0.0), self.goal)[1]

    def best(
        self, incumbent: float = np.inf, improved: Callable[[Selection], None] | None = None, gap: float = GAP
    ) -> tuple[Selection | None, float]:
        """The best design of this side if it beats the value `incumbent`, and a lower bound on all designs of this side."""
        if not self.feasible:
            return None, np.inf
        real = self.figures[self.figures[..., FIXED] < ABSENT]
        columns = ACCUMULATOR_KIB, SCRATCHPAD_KIB
        lists, needs = ([np.unique(real[:, c]) for c in columns], [self.figures[..., c].min(axis=1).max() for c in columns])
        xs, ys = memories(*lists, tuple(needs), self.side, self.limits)
        if not len(xs) or not len(ys):
            return None, np.inf
        found, value, lowest = None, incumbent, np.inf
        boxes = [(0.0, 0, (0, len(xs) - 1, 0, len(ys) - 1))]
        opened = 0
        while boxes and opened < MOST_BOXES:
            bound, _, box = heapq.heappop(boxes)
            if bound >= value * (1 - gap):
                heapq.heappush(boxes, (bound, 0, box))
                break
            for x0, x1, y0, y1 in [box] if opened == 0 else halves(box, xs, ys, self._slopes()):
                opened += 1
                selection, bound = self.bound_box(xs[x0], xs[x1], ys[y0], ys[y1], value * (1 - gap))
                if selection is not None and selection.value < value:
                    found, value = selection, selection.value
                    if improved:
                        improved(found)
                if bound >= value * (1 - gap) or (x0 == x1 and y0 == y1):
                    lowest = min(lowest, bound)
                else:
                    heapq.heappush(boxes, (bound, opened, (x0, x1, y0, y1)))
        return found, min([lowest, value, *(bound for bound, _, _ in boxes)])

    def _slopes(self) -> tuple[float, float]:
        """How much the network's energy grows with a KiB of each memory, roughly: to choose which way to cut a box."""
        real = np.where(self.figures < ABSENT, self.figures, np.nan)
        accumulator = np.nanmedian(real[..., ACCUMULATOR], axis=1).sum() * self.prices.accumulator_per_kib_per_column / self.side
        return accumulator, np.nanmedian(real[..., SCRATCHPAD], axis=1).sum() * self.prices.scratchpad_per_kib

    def bound_box(self, x0: float, x1: float, y0: float, y1: float, cutoff: float) -> tuple[Selection | None, float]:
        """A design out of the box that keeps the limits, where one is at hand, and a lower bound on all of them."""
        if not self.limits.holds(self.side, x0, y0):
            return None, np.inf
        fits = self.fits(x1, y1)
        if not self.limits.holds(self.side, x1, y1):  # what fits a machine of this box that keeps the limits
            accumulator_kib = np.maximum(self.figures[..., ACCUMULATOR_KIB], x0)
            fits &= self.limits.holds(self.side, accumulator_kib, np.maximum(self.figures[..., SCRATCHPAD_KIB], y0))
        if not fits.any(axis=1).all():
            return None, np.inf
        energy, latency = self.totals(x0, y0)
        best, bound = least(np.where(fits, energy, ABSENT), np.where(fits, latency, ABSENT), self.goal, cutoff)
        selection = None if best is None else self.least_hardware(best.rows)
        if selection is None or not self._keeps(selection):
            selection = self.on_machine(x0, y0)
            if selection is not None and not self._keeps(selection):
                selection = None
        return selection, bound

    def _keeps(self, selection: Selection) -> bool:
        kept = self.limits.holds(self.side, selection.accumulator_kib, selection.scratchpad_kib)
        return bool(kept & self.goal.allows(selection.energy, selection.latency))


def memories(
    accumulators: NDArray[np.float64], scratchpads: NDArray[np.float64], least: tuple[float, float], side: int, limits: Limits
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Those of the accumulators and scratchpads, each ascending in KiB, that a machine may have: none is smaller than `least`, what the
    most demanding layer needs of each, or beyond the limits beside the smallest of the other."""
    xs, ys = accumulators[accumulators >= least[0]], scratchpads[scratchpads >= least[1]]
    return xs[limits.holds(side, xs, ys[0])], ys[limits.holds(side, xs[0], ys)]


def halves(box: Box, xs: NDArray[np.float64], ys: NDArray[np.float64], slopes: tuple[float, float]) -> list[Box]:
    """The box cut in two across the memory whose range weighs more."""
    x0, x1, y0, y1 = box
    across_x = (xs[x1] - xs[x0]) * slopes[0] >= (ys[y1] - ys[y0]) * slopes[1]
    if (across_x and x1 > x0) or y1 == y0:
        middle = int(np.clip(np.searchsorted(xs, np.sqrt(xs[x0] * xs[x1]), side="right") - 1, x0, x1 - 1))
        return [(x0, middle, y0, y1), (middle + 1, x1, y0, y1)]
    middle = int(np.clip(np.searchsorted(ys, np.sqrt(ys[y0] * ys[y1]), side="right") - 1, y0, y1 - 1))
    return [(x0, x1, y0, middle), (x0, x1, middle + 1, y1)]
