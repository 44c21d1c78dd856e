"""What a mapping costs: access counts, energy and latency, exact (`predict`, `evaluate`) and differentiable (`.differentiable`).

The equations are in `equations`, the constants in `constants`; torch is imported by `differentiable` only.
"""

from __future__ import annotations

from baco.perfmodel.constants import TABLE_6_3, EnergyTable
from baco.perfmodel.errors import InvalidMachine, InvalidOption
from baco.perfmodel.exact import Cost, evaluate, network_edp, predict
from baco.perfmodel.machine import Machine

__all__ = ["TABLE_6_3", "Cost", "EnergyTable", "InvalidMachine", "InvalidOption", "Machine", "evaluate", "network_edp", "predict"]
