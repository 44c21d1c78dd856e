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
from baco.search.tilings import EXACT

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
    def name(self) -> str:
        return NAMES[self.objective]

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
        """A lower bound on the value of every design that keeps the limits and has no less of both totals than some point of a path of
        straight pieces; infinite where there is none.

        A design of energy e or more takes at least e / max_power cycles, however fast it could be. So the value at a point is taken at no
        fewer cycles than that; it is least at an end of a piece or where the piece crosses one of the limits.
        """
        points = list(path)
        for (e0, l0), (e1, l1) in itertools.pairwise(path):
            for beyond in (self._over_latency, self._over_power, self._over_both):
                d0, d1 = beyond(e0, l0), beyond(e1, l1)
                if d0 * d1 < 0:
                    part = d0 / (d0 - d1)
                    points.append((e0 + part * (e1 - e0), l0 + part * (l1 - l0)))
        slowed = [(e, max(latency, e / self.max_power)) for e, latency in points]
        kept = self.max_cycles * (1 + 1e-9)  # a crossing is computed, not exact
        return min((self.value(e, latency) for e, latency in slowed if latency <= kept), default=math.inf)

    def _over_latency(self, energy: float, latency: float) -> float:
        return latency - self.max_cycles if self.max_cycles < math.inf else -1.0

    def _over_power(self, energy: float, latency: float) -> float:
        return energy - self.max_power * latency if self.max_power < math.inf else -1.0

    def _over_both(self, energy: float, latency: float) -> float:
        """Whether this energy takes more cycles than there may be at the most power."""
        limited = self.max_power < math.inf and self.max_cycles < math.inf
        return energy - self.max_power * self.max_cycles if limited else -1.0


EDP = Goal()


@dataclass(frozen=True)
class Rules:
    """How designs are scored: the goal, how overlaps and bandwidths are counted, the energy of an access; and what tiles there are."""

    goal: Goal = EDP
    halo: str = "reload"
    latency: str = "shared"
    table: EnergyTable = TABLE_6_3
    tilings: str = EXACT

    @property
    def model(self) -> dict[str, Any]:
        """The options of the model, as its functions take them."""
        return {"halo": self.halo, "latency": self.latency, "table": self.table}


RULES = Rules()
