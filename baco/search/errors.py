"""Errors of the search."""

from __future__ import annotations

from pathlib import Path

from baco.errors import BacoError


class InvalidSearch(BacoError):
    """An option of the search that makes no sense. Attributes: `option`."""

    def __init__(self, option: str, message: str) -> None:
        self.option = option
        super().__init__(f"{option}: {message}")


class NoDesign(BacoError):
    """No hardware within the given limits holds a mapping of every layer."""


class OutputFolder(BacoError):
    """A folder that results cannot be written to or read from. Attributes: `path`."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"{path}: {reason}")
