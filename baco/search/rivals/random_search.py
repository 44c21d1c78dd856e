"""Random hardware, and random mappings that fit it: the best of each layer. 1,000 mappings a machine, as in DOSA's comparison."""

from __future__ import annotations

from baco.search.rivals.harness import Harness
from baco.search.rivals.mapper import map_network, propose_random

MAPPINGS = 1000


def search(harness: Harness) -> None:
    """Run until the samples are used up."""
    while harness.left >= len(harness.layers):
        map_network(harness, harness.hardware_at(*harness.random_point()), MAPPINGS, propose_random)
