"""Errors of the performance model."""

from __future__ import annotations

from baco.errors import BacoError


class InvalidMachine(BacoError):
    """A machine that the model cannot describe."""


class InvalidOption(BacoError):
    """An option of the model with a value it does not have. Attributes: `option`."""

    def __init__(self, option: str, value: object, choices: tuple[str, ...]) -> None:
        self.option = option
        super().__init__(f"{option}: must be one of {', '.join(map(repr, choices))}, but is {value!r}.")
