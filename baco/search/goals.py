"""What a design is judged by: the objective, and limits on the totals of the network.

Totals are energy in pJ and latency in cycles; an objective's value is in its own unit: EDP in uJ x cycles, energy in uJ, latency in cycles.
All objectives grow with both totals and are quasi-concave in them, so that over a polygon of (energy, latency) the least is at a corner.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from baco.perfmodel.constants import TABLE_6_3, EnergyTable
from baco.perfmodel.exact import PJ_TO_UJ
from baco.search.errors import InvalidSearch

UNITS = {"edp": "uJ x cycles", "energy": "uJ", "latency": "cycles"}
"""Objective to the unit of its value."""
NAMES = {"edp": "EDP", "energy": "energy", "latency": "latency"}
PARETO = "pareto"
"""Not an objective of a single design: a set of designs none of which beats another in both energy and latency."""

Point = tuple[float, float]
"""(energy, latency) in pJ and cycles."""

SIDELINE = 1e-3
"""Weight of the total that an objective does not count: of two designs that are equal by the objective, the better one by the other."""


@dataclass(frozen=True)
class Goal:
    """An objective, and the most cycles and pJ a cycle that a design may take.

    Raises:
        InvalidSearch: on construction, for an unknown objective.
    """

    objective: str = "edp"
    max_cycles: float = math.inf
    max_power: float = math.inf
    """pJ a cycle."""

    def __post_init__(self) -> None:
        if self.objective not in UNITS:
            raise InvalidSearch("objective", f"must be one of {', '.join([*UNITS, PARETO])}, but is {self.objective!r}.")

    @property
    def unit(self) -> str:
        return UNITS[self.objective]

    @property
    def name(self) -> str:
        return NAMES[self.objective]

    @property
    def limited(self) -> bool:
        return self.max_cycles < math.inf or self.max_power < math.inf

    def value(self, energy: Any, latency: Any) -> Any:
        """The figure to make small, of totals or arrays of them."""
        if self.objective == "edp":
            return energy * latency * PJ_TO_UJ
        return energy * PJ_TO_UJ if self.objective == "energy" else latency

    def rank(self, energy: float, latency: float) -> tuple[float, float]:
        """For comparing two designs: the value, then the other total."""
        return self.value(energy, latency), energy * latency

    @property
    def weights(self) -> tuple[float, float]:
        """How much the logarithms of energy and latency count in a loss that descends towards the objective."""
        return {"edp": (1.0, 1.0), "energy": (1.0, SIDELINE), "latency": (SIDELINE, 1.0)}[self.objective]

    def allows(self, energy: Any, latency: Any) -> Any:
        """Whether totals (or arrays of them) keep the limits."""
        return (latency <= self.max_cycles) & (energy <= self.max_power * latency)

    def least_on(self, path: Sequence[Point]) -> float:
        """The least value on a path of straight pieces as far as it keeps the limit on latency; infinite where none of it does.

        The limit on power is not looked at: what comes out is a lower bound for a goal with one.
        """
        points = [p for p in path if p[1] <= self.max_cycles]
        for (e0, l0), (e1, l1) in itertools.pairwise(path):
            if (l0 - self.max_cycles) * (l1 - self.max_cycles) < 0:  # crosses the limit
                part = (self.max_cycles - l0) / (l1 - l0)
                points.append((e0 + part * (e1 - e0), self.max_cycles))
        return min((self.value(*p) for p in points), default=math.inf)


EDP = Goal()


@dataclass(frozen=True)
class Rules:
    """How designs are scored: the goal, how overlaps and bandwidths are counted, and the energy of an access."""

    goal: Goal = EDP
    halo: str = "reload"
    latency: str = "shared"
    table: EnergyTable = TABLE_6_3

    @property
    def model(self) -> dict[str, Any]:
        """The options of the model, as its functions take them."""
        return {"halo": self.halo, "latency": self.latency, "table": self.table}


RULES = Rules()
