"""The inner loop of the rivals that have two: mappings of each layer for one given machine."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from baco.search.rivals.harness import GENES, Hardware, Harness, MappingSpace

BATCH = 20
"""Mappings of a layer that are drawn together: between batches the network's best is recorded, and a mapper may learn."""
PARENTS = 6

Propose = Callable[[MappingSpace, Hardware, NDArray[np.int64], NDArray[np.float64], int, np.random.Generator], NDArray[np.int64]]
"""From the mappings of a layer so far, best first, (any, GENES), and their EDP on the machine, (any,): that many more."""


def propose_random(
    space: MappingSpace,
    hardware: Hardware,
    seen: NDArray[np.int64],
    edps: NDArray[np.float64],
    many: int,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """Anything."""
    return space.random(many, generator)


def propose_evolved(
    space: MappingSpace,
    hardware: Hardware,
    seen: NDArray[np.int64],
    edps: NDArray[np.float64],
    many: int,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """Children of the best so far."""
    if not len(seen):
        return space.random(many, generator)
    parents = seen[generator.integers(0, min(PARENTS, len(seen)), (2, many))]
    return mutated(space, crossed(*parents, generator), generator)


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
    seen = [np.zeros((0, GENES), np.int64)] * layers
    figures = [np.zeros((0, 6))] * layers
    edps = [np.zeros(0)] * layers
    value = np.inf
    for first in range(0, mappings, BATCH):
        many = min(BATCH, mappings - first, harness.left // layers)
        if not many:
            break
        for i, space in enumerate(harness.layers):
            proposed = propose(space, hardware, seen[i], edps[i], many, harness.generator)
            genes = space.shrunk(proposed, hardware, harness.generator)
            found = harness.score_layer(i, genes, np.full(many, hardware.side))
            genes, found = np.concatenate([seen[i], genes]), np.concatenate([figures[i], found])
            edp = harness.layer_edp(found, hardware)
            rank = np.argsort(edp, kind="stable")
            seen[i], figures[i], edps[i] = genes[rank], found[rank], edp[rank]
        genes = np.stack([s[0] for s in seen])
        value = min(value, harness.offer(np.stack([f[0] for f in figures]), hardware.side, harness.choices(genes, hardware.side)))
    return value
