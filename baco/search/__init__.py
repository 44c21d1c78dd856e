"""Choosing hardware and mappings together: ``explore("resnet50")``; `report` prints a result, `realise` runs it."""

from __future__ import annotations

from baco.search.errors import InvalidSearch, NoDesign, OutputFolder
from baco.search.explorer import DEFAULT_BUDGET, default_machine, explore
from baco.search.progress import Event, Progress
from baco.search.result import ExploreResult, LayerResult, NetworkResult, load

__all__ = [
    "DEFAULT_BUDGET",
    "Event",
    "ExploreResult",
    "InvalidSearch",
    "LayerResult",
    "NetworkResult",
    "NoDesign",
    "OutputFolder",
    "Progress",
    "default_machine",
    "explore",
    "load",
]
