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


class InvalidConstants(BacoError):
    """Constants of the model that make no sense. Attributes: `field`, its path such as ``energy.dram``; `reason`; `file` or None."""

    def __init__(self, field: str, reason: str, file: object = None) -> None:
        self.field, self.reason, self.file = field, reason, file
        super().__init__(f"{f'{file}: ' if file else ''}{f'{field} ' if field else ''}{reason}")


class TimeloopError(BacoError):
    """Timeloop is not installed, refused its input, or did not finish. Attributes: `output`, what it said."""

    def __init__(self, reason: str, output: str = "") -> None:
        self.output = output
        super().__init__(reason)
