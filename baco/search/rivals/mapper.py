"""The inner loop of the rivals that have two: mappings of each layer for one given machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from baco.search.rivals.harness import GENES, Hardware, Harness, MappingSpace

BATCH = 20
"""Mappings of a layer that are drawn together: between batches the network's best is recorded, and a mapper may learn."""
PARENTS = 6


@dataclass(frozen=True)
class Tried:
    """What is known of one layer on one machine."""

    space: MappingSpace
    hardware: Hardware
    genes: NDArray[np.int64]
    """The mappings so far (any, GENES), best first."""
    figures: NDArray[np.float64]
    """Of each, (any, 6)."""
    edps: NDArray[np.float64]
    """Of each on the machine, (any,)."""

    def with_scored(self, genes: NDArray[np.int64], figures: NDArray[np.float64], edps: NDArray[np.float64]) -> Tried:
        """The same with more mappings."""
        genes, figures, edps = (np.concatenate(pair) for pair in ((self.genes, genes), (self.figures, figures), (self.edps, edps)))
        rank = np.argsort(edps, kind="stable")
        return replace(self, genes=genes[rank], figures=figures[rank], edps=edps[rank])


Propose = Callable[[Tried, int, np.random.Generator], NDArray[np.int64]]
"""So many more mappings, (many, GENES)."""


def propose_random(tried: Tried, many: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Anything."""
    return tried.space.random(many, generator)


def propose_evolved(tried: Tried, many: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Children of the best so far."""
    if not len(tried.genes):
        return tried.space.random(many, generator)
    parents = tried.genes[generator.integers(0, min(PARENTS, len(tried.genes)), (2, many))]
    return mutated(tried.space, crossed(*parents, generator), generator)


def crossed(one: NDArray[np.int64], other: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Each gene from either parent."""
    return np.where(generator.random(one.shape) < 0.5, one, other)


def mutated(space: MappingSpace, genes: NDArray[np.int64], generator: np.random.Generator, rate: float = 1.5 / GENES) -> NDArray[np.int64]:
    """Some genes changed: half of those by one step, half to anything."""
    step = np.clip(genes + generator.choice([-1, 1], genes.shape), 0, space.options - 1)
    changed = np.where(generator.random(genes.shape) < 0.5, step, generator.integers(0, space.options, genes.shape))
    return np.where(generator.random(genes.shape) < rate, changed, genes)


def map_network(harness: Harness, hardware: Hardware, mappings: int, propose: Propose) -> float:
    """Try that many mappings of every layer on the machine; the network's value with the best of each layer."""
    layers = len(harness.layers)
    tried = [Tried(space, hardware, np.zeros((0, GENES), np.int64), np.zeros((0, 6)), np.zeros(0)) for space in harness.layers]
    value = np.inf
    for first in range(0, mappings, BATCH):
        many = min(BATCH, mappings - first, harness.left // layers)
        if not many:
            break
        for i, space in enumerate(harness.layers):
            genes = space.shrunk(propose(tried[i], many, harness.generator), hardware, harness.generator)
            figures = harness.score_layer(i, genes, np.full(many, hardware.side))
            tried[i] = tried[i].with_scored(genes, figures, harness.layer_edp(figures, hardware))
        genes = np.stack([t.genes[0] for t in tried])
        value = min(value, harness.offer(np.stack([t.figures[0] for t in tried]), hardware.side, harness.choices(genes, hardware.side)))
    return value
