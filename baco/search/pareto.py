"""A front of designs: the fastest, the most frugal, and between them the most frugal for each of a row of limits on latency.

All are combined from the candidates that the enumeration left of each side, hardware and mappings together, by the same branch and bound.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from baco.search.candidates import Design
from baco.search.goals import Goal

if TYPE_CHECKING:
    from baco.search.explorer import Search

POINTS = 7
"""Limits on latency tried between the fastest design and the most frugal one, evenly spaced in proportion."""
FRONT_GAP = 0.01
"""How near to its bound each design of the front must be."""


def front(search: Search) -> list[Design]:
    """Designs none of which is as good as another in both energy and latency, from the fastest to the most frugal."""
    limits = search.rules.goal
    frugal = _best(search, replace(limits, objective="energy"))
    fast = _best(search, replace(limits, objective="latency"))
    found = [search.best, frugal, fast]
    if frugal and fast:
        for cycles in np.geomspace(fast.latency, frugal.latency, POINTS + 2)[:-1]:
            goal = Goal("energy", min(float(cycles) * (1 + 1e-9), limits.max_cycles), limits.max_power)
            found.append(_best(search, goal))
    return undominated_designs([design for design in found if design])


def most_frugal(search: Search, design: Design) -> Design:
    """The design of least energy among those as fast as `design`: speed alone says nothing of memories that nobody needs."""
    goal = Goal("energy", design.latency * (1 + 1e-9), search.rules.goal.max_power)
    found = _best(search, goal)
    return replace(found, value=search.rules.goal.value(found.energy, found.latency)) if found else design


def _best(search: Search, goal: Goal) -> Design | None:
    best = None
    for side in search.tables:
        selection, _ = search.combination(side, goal).best(best.value if best else np.inf, gap=FRONT_GAP)
        if selection:
            best = search.design(selection)
            search.tell("front", 1.0, f"{goal.name}, side {side}")
    return best


def undominated_designs(designs: list[Design]) -> list[Design]:
    """Those that no other equals or beats in both totals; of equal ones the first. By latency."""
    kept: list[Design] = []
    for design in sorted(designs, key=lambda d: (d.latency, d.energy)):
        if not kept or design.energy < kept[-1].energy:
            kept.append(design)
    return kept
