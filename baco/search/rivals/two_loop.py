"""Two loops, both evolutionary: outside over machines, inside over the mappings of each layer on one machine.

The form of the searches that choose hardware first (Figure 6.1 (a)): 100 mappings of each layer a machine; a first generation of random
machines, then each machine a changed cross of two of the best.
"""

from __future__ import annotations

import numpy as np

from baco.search.rivals.harness import Harness
from baco.search.rivals.mapper import crossed, map_network, propose_evolved

MAPPINGS = 100
GENERATION = 16
PARENTS = 5
STEP = 0.12
"""Standard deviation of a change, as a part of the whole range of a figure by proportion."""


def search(harness: Harness) -> None:
    """Run until the samples are used up."""
    tried: list[tuple[float, tuple[float, ...]]] = []
    while harness.left >= len(harness.layers):
        if len(tried) < GENERATION:
            point = harness.random_point()
        else:
            best = np.array([p for _, p in sorted(tried)[:PARENTS]])
            parents = best[harness.generator.integers(0, len(best), 2)]
            point = np.clip(crossed(*parents, harness.generator) + STEP * harness.generator.standard_normal(3), 0, 1)
        tried.append((map_network(harness, harness.hardware_at(*point), MAPPINGS, propose_evolved), tuple(point)))
