"""What a running search tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

RESUMED = "resumed"


@dataclass(frozen=True)
class Event:
    """A moment of the search. `fraction` is the part of the whole search that is done, from 0 to 1."""

    phase: str
    """'descent', 'enumeration', 'bound', 'front' or 'done'; at the start RESUMED, for a search that goes on, with how far it was."""
    samples: int
    best: float | None
    """The objective's value; None until a first design is scored."""
    fraction: float
    detail: str = ""
    objective: str = "EDP"


Progress = Callable[[Event], None]
