"""Errors of the network tables."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from baco.errors import BacoError


class UnknownNetwork(BacoError):
    """A network name that BACO has no table for. Attributes: `name`, `known`."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name, self.known = name, tuple(sorted(known))
        close = difflib.get_close_matches(name.lower(), self.known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        super().__init__(f"there is no network {name!r}; the networks are {', '.join(self.known)}{hint}")


class UnreadableModel(BacoError):
    """A PyTorch model that cannot be read as a table of layers."""
