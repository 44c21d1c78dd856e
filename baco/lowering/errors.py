"""What a compilation can refuse, each error with the line of the person's program that it is about."""

from __future__ import annotations

import linecache
import re
from collections.abc import Sequence
from dataclasses import dataclass

from baco.errors import BacoError


@dataclass(frozen=True)
class SourceLocation:
    """A place in a person's program; `line` and `column` count from 1."""

    file: str
    line: int
    column: int

    @classmethod
    def of(cls, location: object) -> SourceLocation | None:
        """The place an MLIR location names, if it names one."""
        match = re.search(r'"([^"\n]*)":(\d+):(\d+)', str(location))
        return cls(match[1], int(match[2]), int(match[3])) if match else None

    def excerpt(self) -> str:
        """The line with a caret under the column, or nothing when the file cannot be read."""
        line = linecache.getline(self.file, self.line).rstrip("\n")
        return f"\n    {line}\n    {' ' * (self.column - 1)}^" if line else ""


class CompilationError(BacoError):
    """A program that cannot be compiled. Attributes: `reason`, `location` (None if no source line stands behind it)."""

    def __init__(self, reason: str, location: SourceLocation | None = None) -> None:
        self.reason = reason
        self.location = location
        where = f"{location.file}:{location.line}:{location.column}: " if location else ""
        super().__init__(f"{where}{reason}{location.excerpt() if location else ''}")


class OutOfResources(CompilationError):
    """Blocks that do not fit an on-chip memory. Attributes: `required` and `limit` in rows, `name` of the memory."""

    def __init__(self, required: int, limit: int, name: str, advice: str, location: SourceLocation | None = None) -> None:
        self.required = required
        self.limit = limit
        self.name = name
        super().__init__(f"out of resources: {name} rows required: {required}, rows there: {limit}. {advice}", location)


class UnsupportedOperation(CompilationError):
    """An operation that Gemmini cannot do and the compiler has no other way for."""


class PassFailure(CompilationError):
    """A pass of MLIR rejected the program; the message is its first diagnostic, `others` are the messages and places of the rest."""

    def __init__(
        self, reason: str, location: SourceLocation | None = None, others: Sequence[tuple[str, SourceLocation | None]] = ()
    ) -> None:
        self.others = tuple(others)
        super().__init__(reason, location)


class UnknownPass(CompilationError):
    """A pipeline names a pass that is not registered."""
