"""Enumeration where the budget does not reach for every tile: tiles near those that descent found, layer by layer as importance says.

A layer starts with the best tile so far. A unit of effort takes one more size of one dimension, the nearest in proportion to what descent
found, and scores all tiles that are new with it. Which layer is next: :mod:`baco.search.importance`, by the least cost of the layer on the
best machine so far, as a part of the network's energy plus as a part of its latency: how the product of both changes.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import numpy as np

from baco.search.candidates import (
    ACCUMULATOR_KIB,
    LATENCY,
    SCRATCHPAD_KIB,
    Design,
    Table,
    layer_energies,
    level3_orders,
    merged,
    tabulate,
)
from baco.search.goals import Rules
from baco.search.importance import Scheduler
from baco.search.spaces import Limits, Space
from baco.search.tilings import tile_sizes
from baco.workload import DIMENSIONS
from baco.workloads import Network

NOTHING_FITS = 1e3
"""Cost of a layer of which no tile scored fits the machine: far more than the whole network's, which is 2."""

Sizes = dict[str, list[int]]


@dataclass
class Menu:
    """Tile sizes of a layer: those taken, and those still to take, nearest first."""

    taken: Sizes
    waiting: list[tuple[str, int]]
    tables: list[Table] = field(default_factory=list)

    def next_slab(self) -> Sizes:
        """The tiles that the next size would add."""
        dim, size = self.waiting[0]
        return self.taken | {dim: [size]}

    def take(self) -> None:
        """Take the next size."""
        dim, size = self.waiting.pop(0)
        self.taken = self.taken | {dim: sorted([*self.taken[dim], size])}


def menu_of(sizes: Sizes, guides: Sequence[Sequence[int]]) -> Menu:
    """The menu of a layer, out of these sizes, with the tiles found, best first; the smallest where nothing fitted the machine."""
    guides = guides or [tuple(s[0] for s in sizes.values())]
    first = dict(zip(DIMENSIONS, guides[0], strict=True))
    waiting = []
    for axis, dim in enumerate(DIMENSIONS):
        for size in sizes[dim]:
            if size != first[dim]:
                nearest = min(abs(np.log(size / guide[axis])) for guide in guides)
                waiting.append((nearest, abs(np.log(size / first[dim])), axis, size))
    return Menu({dim: [size] for dim, size in first.items()}, [(DIMENSIONS[axis], size) for *_, axis, size in sorted(waiting)])


def allocate(
    network: Network, guides: Sequence[Design], side: int, space: Space, limits: Limits, rules: Rules, allowance: int, *, even: bool = False
) -> Generator[tuple[int, int], None, tuple[list[Table], bool]]:
    """Score at most `allowance` mappings on arrays of `side`; yields (layer, scored) as it goes and returns (tables, complete).

    `guides`: designs found so far, best first. With `even`, every layer gets the same effort.
    """
    menus = [
        menu_of(tile_sizes(layer.problem, side, rules.tilings), [d.choices[i].tile for d in guides])
        for i, layer in enumerate(network.layers)
    ]
    scheduler, left, complete = Scheduler(network.layers, even=even), allowance, True
    orders = len(level3_orders(rules.halo))
    while (i := scheduler.choose()) is not None:
        menu, layer = menus[i], network.layers[i]
        if menu.tables and not menu.waiting:
            scheduler.finish(i)
            continue
        slab = menu.next_slab() if menu.tables else menu.taken
        if int(np.prod([len(sizes) for sizes in slab.values()])) * orders > left:
            complete = False
            scheduler.finish(i)
            continue
        table, scored = tabulate(layer.problem, slab, side, space, limits, **rules.model, tilings=rules.tilings)
        if menu.tables:
            menu.take()
        menu.tables.append(table)
        left -= scored
        scheduler.record(i, scored, _cost(table, layer.count, guides[0], side, rules) if guides else layer.count * layer.problem.macs)
        yield i, scored
    return [merged(menu.tables) for menu in menus], complete


def _cost(table: Table, count: int, best: Design, side: int, rules: Rules) -> float:
    """The least part of the network's totals that a candidate on the best machine's memories takes."""
    figures = table.figures[
        (table.figures[:, ACCUMULATOR_KIB] <= best.accumulator_kib * side / best.side)
        & (table.figures[:, SCRATCHPAD_KIB] <= best.scratchpad_kib)
    ]
    if not len(figures):
        return NOTHING_FITS
    memories = np.array(best.accumulator_kib * side / best.side), np.array(best.scratchpad_kib)
    energy = layer_energies(figures, *memories, side, rules.table)
    for_energy, for_latency = rules.goal.weights
    return float((count * (for_energy * energy / best.energy + for_latency * figures[:, LATENCY] / best.latency)).min())
