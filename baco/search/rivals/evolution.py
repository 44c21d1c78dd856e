"""One loop, evolutionary: an individual is a whole design, the side of the array and a mapping of every layer; hardware is what holds it.

As in searches of that kind (DiGamma and others): the better half survives, children take each layer's mapping from either parent, and
some genes change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from baco.search.rivals.harness import GENES, Harness
from baco.search.rivals.mapper import crossed, mutated

POPULATION = 60
LAYER_RATE = 0.3
"""Part of the layers of a child whose mapping changes."""
SIDE_RATE = 0.2


def search(harness: Harness) -> None:
    """Run until the samples are used up."""
    g, layers = harness.generator, len(harness.layers)
    many = min(POPULATION, harness.left // layers)
    genes = np.stack([space.random(many, g) for space in harness.layers], axis=1)
    sides = _sides(harness, g.random(many))
    figures, values = _score(harness, genes, sides)
    while many := min(POPULATION // 2, harness.left // layers):
        best = np.argsort(values, kind="stable")[: POPULATION // 2]
        genes, sides, figures, values = genes[best], sides[best], figures[best], values[best]
        one, other = g.integers(0, len(genes), (2, many))
        # Whole mappings from either parent: the genes of one mapping belong together.
        children = np.where(g.random((many, layers, 1)) < 0.5, genes[one], genes[other])
        changes = g.random((many, layers)) < LAYER_RATE
        for i, space in enumerate(harness.layers):
            children[changes[:, i], i] = mutated(space, children[changes[:, i], i], g)
        child_sides = np.where(g.random(many) < SIDE_RATE, _sides(harness, g.random(many)), crossed(sides[one], sides[other], g))
        found, found_values = _score(harness, children, child_sides)
        genes, sides = np.concatenate([genes, children]), np.concatenate([sides, child_sides])
        figures, values = np.concatenate([figures, found]), np.concatenate([values, found_values])


def _sides(harness: Harness, parts: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.array([harness.hardware_at(part, 0, 0).side for part in parts])


def _score(harness: Harness, genes: NDArray[np.int64], sides: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Figures and ranking values of designs (many, layers, GENES); what is beyond the limits ranks behind, by how far it is."""
    assert genes.shape[1:] == (len(harness.layers), GENES)
    figures = np.stack([harness.score_layer(i, genes[:, i], sides) for i in range(len(harness.layers))], axis=1)
    values = harness.values(figures, sides)
    best = int(values.argmin())
    harness.offer(figures[best], int(sides[best]), harness.choices(genes[best], int(sides[best])))
    energy, latency, accumulator, scratchpad = harness.totals(figures, sides)
    goal = harness.rules.goal
    pairs = [*harness.limits.excess(sides, accumulator, scratchpad), (latency, goal.max_cycles), (energy / latency, goal.max_power)]
    beyond = sum(np.log(np.maximum(figure / limit, 1.0)) for figure, limit in pairs)
    return figures, np.where(np.isfinite(values), values, 1e60 * (1 + beyond))
