"""What a mapping costs: access counts, energy and latency, exact (`predict`, `evaluate`) and differentiable (`.differentiable`).

The equations are in `equations`, the constants in `constants`; torch is imported by `differentiable` only. `timeloop` and `timeloop_run`
set Timeloop beside it.
"""

from __future__ import annotations

from baco.perfmodel.constants import GEMMINI_AREA, TABLE_6_3, AreaTable, Constants, EnergyTable
from baco.perfmodel.errors import InvalidConstants, InvalidMachine, InvalidOption, TimeloopError
from baco.perfmodel.exact import Cost, evaluate, network_edp, predict
from baco.perfmodel.machine import Machine

__all__ = [
    "GEMMINI_AREA",
    "TABLE_6_3",
    "AreaTable",
    "Constants",
    "Cost",
    "EnergyTable",
    "InvalidConstants",
    "InvalidMachine",
    "InvalidOption",
    "Machine",
    "TimeloopError",
    "evaluate",
    "network_edp",
    "predict",
]
