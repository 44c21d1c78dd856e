"""What every rival works with: one way to write a mapping down, one evaluator, one count of samples, one record of the best.

A sample is one mapping of one layer, scored by the equations that `explore` scores with; asking whether a machine holds a mapping is
free. Rivals know what the search knows about the structure: a mapping is a tile (a divisor of each dimension) and one of the loop orders
at level 3; the spatial factors are the largest that the tile and the array allow. A design's hardware is the least that holds its
mappings, also where a rival drew a larger one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from baco.search.candidates import (
    ACCUMULATOR_KIB,
    LATENCY,
    SCRATCHPAD_KIB,
    Choice,
    Design,
    capacities,
    layer_energies,
    level3_orders,
    score,
)
from baco.search.goals import RULES, Rules
from baco.search.spaces import Limits, Space
from baco.search.tilings import divisors, spatial
from baco.workload import DIMENSIONS, Problem
from baco.workloads import Network

GENES = len(DIMENSIONS) + 1
"""Of a mapping: for each dimension which of its divisors is the tile's size, and which loop order."""
LARGEST_KIB = 2048.0
"""Of each memory that is drawn: DOSA's random hardware has from 1 KiB to this."""
POINTS = 1000
"""Machines drawn at a time."""
AXIS_C, AXIS_K = DIMENSIONS.index("C"), DIMENSIONS.index("K")


@cache
def _across(size: int, side: int) -> NDArray[np.int64]:
    """For each divisor of a dimension, how many of a tile of that size lie across the array."""
    return np.array([spatial(tile, side) for tile in divisors(size)])


@dataclass(frozen=True)
class Hardware:
    """A drawn machine: mappings must fit it."""

    side: int
    accumulator_kib: float
    scratchpad_kib: float


class MappingSpace:
    """All mappings of one layer, each an array of GENES whole numbers."""

    def __init__(self, problem: Problem, space: Space, rules: Rules) -> None:
        self.problem, self.space, self.rules = problem, space, rules
        sizes = [divisors(problem.sizes[d]) for d in DIMENSIONS]
        self.orders = level3_orders(rules.halo)
        self.options = np.array([*(len(s) for s in sizes), len(self.orders)])
        """How many values each gene has."""
        self.sizes = np.ones((len(DIMENSIONS), max(map(len, sizes))), np.int64)
        for axis, values in enumerate(sizes):
            self.sizes[axis, : len(values)] = values

    def random(self, many: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """(many, GENES): every divisor of a dimension is as likely, and every order."""
        return generator.integers(0, self.options, (many, GENES))

    def tiles(self, genes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """The tile's sizes, one array (many,) a dimension."""
        return [self.sizes[axis, genes[:, axis]] for axis in range(len(DIMENSIONS))]

    def _placed(
        self, genes: NDArray[np.int64], sides: NDArray[np.int64]
    ) -> tuple[list[NDArray[np.int64]], NDArray[np.int64], NDArray[np.int64]]:
        distinct, at = np.unique(sides, return_inverse=True)
        s_c, s_k = (
            np.stack([_across(size, int(side)) for side in distinct])[at, genes[:, axis]]
            for axis, size in ((AXIS_C, self.problem.C), (AXIS_K, self.problem.K))
        )
        return self.tiles(genes), s_c, s_k

    def fits(self, genes: NDArray[np.int64], hardware: Hardware) -> NDArray[np.bool_]:
        """Which mappings the machine holds."""
        sides = np.full(len(genes), hardware.side)
        accumulator, scratchpad = capacities(self.problem, *self._placed(genes, sides), sides, self.space)
        return (accumulator <= hardware.accumulator_kib) & (scratchpad <= hardware.scratchpad_kib)

    def shrunk(self, genes: NDArray[np.int64], hardware: Hardware, generator: np.random.Generator) -> NDArray[np.int64]:
        """The mappings, with random dimensions of those that do not fit made smaller until they do."""
        genes = genes.copy()
        while len(over := np.flatnonzero(~self.fits(genes, hardware))):
            large = genes[over, : len(DIMENSIONS)] > 0
            over, large = over[large.any(axis=1)], large[large.any(axis=1)]
            if not len(over):  # a machine too small for tiles of one element
                return genes
            axis = np.where(large, generator.random(large.shape), -1.0).argmax(axis=1)
            genes[over, axis] = generator.integers(0, genes[over, axis])
        return genes

    def figures(self, genes: NDArray[np.int64], sides: NDArray[np.int64]) -> NDArray[np.float64]:
        """(many, 6): the figures of each mapping, on arrays of these sides (many,)."""
        every = score(self.problem, *self._placed(genes, sides), sides, self.space, **self.rules.model)
        return every[genes[:, -1], np.arange(len(genes))]

    def choice(self, genes: NDArray[np.int64], side: int) -> Choice:
        tile = tuple(int(t[0]) for t in self.tiles(genes[None]))
        return Choice(tile, spatial(tile[AXIS_C], side), spatial(tile[AXIS_K], side), self.orders[int(genes[-1])])


@dataclass
class Harness:
    """One run of a rival: what it may use, what it has used, and the best it has found."""

    network: Network
    space: Space
    budget: int
    """The most samples."""
    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    rules: Rules = RULES
    samples: int = 0
    best: Design | None = None
    history: list[tuple[int, float]] = field(default_factory=list)
    """(samples, value) at each new best."""

    def __post_init__(self) -> None:
        self.generator = np.random.default_rng(self.seed)
        self.layers = [MappingSpace(layer.problem, self.space, self.rules) for layer in self.network.layers]
        self.counts = np.array([layer.count for layer in self.network.layers], np.float64)

    @property
    def left(self) -> int:
        return self.budget - self.samples

    def random_point(self) -> NDArray[np.float64]:
        """(3,): a random point of the unit cube whose machine is within the limits; any, if POINTS in a row are not.

        Side and memories are log-uniform, as DOSA's random hardware.
        """
        for _ in range(POINTS):
            point = self.generator.random(3)
            if self._within(point[None])[0]:
                break
        return point

    def random_points(self) -> NDArray[np.float64]:
        """(any, 3): of POINTS random points of the unit cube those whose machines are within the limits; all of them if none is."""
        points = self.generator.random((POINTS, 3))
        within = self._within(points)
        return points[within] if within.any() else points

    def _within(self, points: NDArray[np.float64]) -> NDArray[np.bool_]:
        machines = [self.hardware_at(*point) for point in points]
        return self.limits.holds(
            *(np.array([getattr(m, name) for m in machines]) for name in ("side", "accumulator_kib", "scratchpad_kib"))
        )

    def hardware_at(self, side: float, accumulator: float, scratchpad: float) -> Hardware:
        """The machine at a point of the unit cube: each figure from least (0) to largest (1) by proportion."""
        largest = max(self.space.sides(self.limits))
        most = (min(LARGEST_KIB, self.limits.accumulator_kib), min(LARGEST_KIB, self.limits.scratchpad_kib))
        kib = [max(1.0, round(m**part)) for m, part in zip(most, (accumulator, scratchpad), strict=True)]
        return Hardware(self.space.round_side(largest**side, self.limits), *kib)

    def score_layer(self, layer: int, genes: NDArray[np.int64], sides: NDArray[np.int64]) -> NDArray[np.float64]:
        """Figures (many, 6) of mappings of a layer, all occurrences together; each is a sample."""
        self.samples += len(genes)
        return self.layers[layer].figures(genes, sides) * np.array([self.counts[layer]] * 4 + [1, 1])

    def layer_edp(self, figures: NDArray[np.float64], hardware: Hardware) -> NDArray[np.float64]:
        """(many,): EDP of each mapping (many, 6) of one layer on a machine: what mappers of single layers go by."""
        energy = layer_energies(
            figures[:, None], np.array(hardware.accumulator_kib), np.array(hardware.scratchpad_kib), hardware.side, self.rules.table
        )
        return energy[:, 0] * figures[:, LATENCY]

    def totals(self, figures: NDArray[np.float64], sides: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
        """Energy, latency and capacities, each (many,), of designs (many, layers, 6) on the least hardware that holds them."""
        accumulator, scratchpad = figures[..., ACCUMULATOR_KIB].max(axis=-1), figures[..., SCRATCHPAD_KIB].max(axis=-1)
        energy = layer_energies(figures, accumulator, scratchpad, sides, self.rules.table).sum(axis=-1)
        return energy, figures[..., LATENCY].sum(axis=-1), accumulator, scratchpad

    def values(self, figures: NDArray[np.float64], sides: NDArray[np.int64]) -> NDArray[np.float64]:
        """(many,): the objective of each design; infinite for one beyond the limits."""
        energy, latency, accumulator, scratchpad = self.totals(figures, sides)
        kept = self.limits.holds(sides, accumulator, scratchpad) & self.rules.goal.allows(energy, latency)
        return np.where(kept, self.rules.goal.value(energy, latency), np.inf)

    def offer(self, figures: NDArray[np.float64], side: int, choices: Sequence[Choice], at: int | None = None) -> float:
        """Keep one design (layers, 6) if it is the best so far, and return its value. `at`: the samples it took; now, if not given."""
        sides = np.array([side])
        value = float(self.values(figures[None], sides)[0])
        if value < (self.best.value if self.best else np.inf):
            energy, latency, accumulator, scratchpad = (float(t[0]) for t in self.totals(figures[None], sides))
            self.best = Design(value, energy, latency, int(side), accumulator, scratchpad, tuple(choices))
            self.history.append((self.samples if at is None else at, value))
        return value

    def choices(self, genes: NDArray[np.int64], side: int) -> list[Choice]:
        """The mappings (layers, GENES) of a design."""
        return [space.choice(row, side) for space, row in zip(self.layers, genes, strict=True)]
