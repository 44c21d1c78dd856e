"""Discrete refinement of one layer on given hardware: single steps of one tile size, as long as something gets better and nothing worse.

The model cannot tell a tile that streams through DRAM pixel by pixel from one that takes whole rows when both move the same words; a real
machine can. So among mappings of equal cost the one with the fewest trips at level 3 is taken: larger moves, fewer instructions.
"""

from __future__ import annotations

import math

import numpy as np

from baco.perfmodel.constants import TABLE_6_3, EnergyTable
from baco.search.candidates import (
    ACCUMULATOR,
    ACCUMULATOR_KIB,
    FIXED,
    LATENCY,
    SCRATCHPAD,
    SCRATCHPAD_KIB,
    Choice,
    level3_orders,
    score,
)
from baco.search.spaces import Space
from baco.search.tilings import EXACT, spatial, tile_sizes
from baco.workload import DIMENSIONS, Problem

TOLERANCE = 1e-9
"""Costs that differ by less than this part are equal: they are sums of floats."""


def polish(
    problem: Problem,
    choice: Choice,
    side: int,
    accumulator_kib: float,
    scratchpad_kib: float,
    space: Space,
    halo: str,
    latency: str,
    allowance: float = math.inf,
    table: EnergyTable = TABLE_6_3,
    tilings: str = EXACT,
) -> tuple[Choice, int]:
    """The refined choice, and how many mappings were scored, at most `allowance`.

    It costs no more energy and no more cycles than `choice`, and fits the same hardware.
    """
    orders = level3_orders(halo)
    scored, sizes = 0, tile_sizes(problem, side, tilings)
    while True:
        tiles = _neighbours(sizes, choice)
        if scored + len(tiles) * len(orders) > allowance:
            return choice, scored
        columns = list(np.array(tiles, dtype=np.int64).T)
        s_c, s_k = (np.array([spatial(t[DIMENSIONS.index(d)], side, problem.sizes[d], tilings) for t in tiles]) for d in "CK")
        figures = score(problem, columns, s_c, s_k, side, space, halo=halo, latency=latency, table=table)
        scored += figures.shape[0] * figures.shape[1]
        energy = figures[..., FIXED] + figures[..., SCRATCHPAD] * (table.scratchpad_per_kib * scratchpad_kib)
        energy = energy + figures[..., ACCUMULATOR] * (table.accumulator_per_kib_per_column * accumulator_kib / side)
        cycles = figures[..., LATENCY]
        now = (orders.index(choice.order), 0)  # the present tile comes first
        fits = (figures[..., ACCUMULATOR_KIB] <= accumulator_kib) & (figures[..., SCRATCHPAD_KIB] <= scratchpad_kib)
        fits &= (energy <= energy[now] * (1 + TOLERANCE)) & (cycles <= cycles[now] * (1 + TOLERANCE))
        # Least cost first, then the largest tile; figures rounded so that equal costs compare equal.
        cost = np.round(np.log(energy / energy[now] * cycles / cycles[now]) / TOLERANCE / 10)
        volume = np.array([math.prod(t) for t in tiles])
        best = min(zip(*np.nonzero(fits), strict=True), key=lambda at: (cost[at], -volume[at[1]], at))
        if (cost[best], -volume[best[1]]) >= (cost[now], -volume[0]):
            return choice, scored
        choice = Choice(tiles[best[1]], int(s_c[best[1]]), int(s_k[best[1]]), orders[best[0]])


def _neighbours(sizes: dict[str, list[int]], choice: Choice) -> list[tuple[int, ...]]:
    """The tile itself, then those that differ from it in one dimension."""
    tiles = [choice.tile]
    for axis, d in enumerate(DIMENSIONS):
        tiles += [(*choice.tile[:axis], n, *choice.tile[axis + 1 :]) for n in sizes[d] if n != choice.tile[axis]]
    return tiles
