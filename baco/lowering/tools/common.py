"""What the tools share: their files, their errors, and how MLIR's diagnostics become them."""

from __future__ import annotations

import argparse
import linecache
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baco.hardware import GemminiConfig, read_hardware
from baco.lowering.errors import CompilationError, PassFailure, SourceLocation

if TYPE_CHECKING:
    from baco.dialects.mlir import ir

STANDARD_INPUT = "<stdin>"

Note = Callable[[str], None]
"""Takes what the tool is about to do, in a few words, for the report should the process die doing it."""
Run = Callable[[Callable[[Note], int]], int]
"""Does the work of a tool, in this process or another, and returns its exit status."""


def in_this_process(work: Callable[[Note], int]) -> int:
    """The plain way to run a tool's work; :func:`baco.lowering.tools.isolation.isolated` is the safe one."""
    return work(lambda _: None)


class ToolInputError(CompilationError):
    """A file or option that a tool cannot use."""


@dataclass(frozen=True)
class Diagnostic:
    """Something MLIR or a pass says about a place: an error, warning, remark or note."""

    severity: str
    message: str
    place: SourceLocation | None = None

    def __str__(self) -> str:
        where = f"{self.place.file}:{self.place.line}:{self.place.column}: " if self.place else ""
        return f"{where}{self.message}{self.place.excerpt() if self.place else ''}"


class ToolFailure(CompilationError):
    """Input that does not get through a tool. Attribute: `diagnostics`, the first of which is the reason."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        first, *others = self.diagnostics
        super().__init__(first.message, first.place)
        self.args = ("\n".join([str(first), *(f"{d.severity}: {d}" for d in others)]),)


def diagnostic_of(info: Any, file: str) -> Iterator[Diagnostic]:
    """An MLIR diagnostic and its notes. What stands in the text that was parsed, stands in `file`."""
    yield Diagnostic(info.severity.name.lower(), info.message, place_in(SourceLocation.of(info.location), file))
    for note in info.notes:
        yield from diagnostic_of(note, file)


def failure_of(error: CompilationError, file: str) -> ToolFailure:
    """A refusal of the compiler's as this tool tells it."""
    others = error.others if isinstance(error, PassFailure) else ()
    return ToolFailure([Diagnostic("error", m, place_in(p, file)) for m, p in ((error.reason, error.location), *others)])


def place_in(place: SourceLocation | None, file: str) -> SourceLocation | None:
    """A place as the person knows it: MLIR calls every text that it parses "-"."""
    return SourceLocation(file, place.line, place.column) if place and place.file == "-" else place


@contextmanager
def collected(file: str) -> Iterator[list[Diagnostic]]:
    """The diagnostics that MLIR gives while the statements inside run, but for the errors that it raises as exceptions."""
    from baco.dialects.mlir import context

    found: list[Diagnostic] = []

    def take(info: Any) -> bool:
        found.extend(diagnostic_of(info, file))
        return True

    handler = context().attach_diagnostic_handler(take)
    try:
        yield found
    finally:
        handler.detach()


def parse_module(text: str, file: str) -> ir.Module:
    """The module in MLIR text.

    Raises:
        ToolFailure: with the places of what is wrong.
    """
    from baco.dialects.mlir import context, ir

    with context(), ir.Location.unknown():
        try:
            return ir.Module.parse(text)
        except ir.MLIRError as error:
            raise ToolFailure([d for info in error.error_diagnostics for d in diagnostic_of(info, file)]) from None


def load_hardware(name: str) -> GemminiConfig:
    """A preset, or the configuration in a file; see :func:`baco.hardware.read_hardware`."""
    return read_hardware(name)


class Parser(argparse.ArgumentParser):
    """An argument parser that takes long options with one dash too, as LLVM's tools do."""

    def __init__(self, name: str, description: str) -> None:
        super().__init__(prog=name, description=description, allow_abbrev=False)
        self.add_argument("input", nargs="?", default="-", help="a file, or - for standard input (default)")
        self.add_argument("-o", dest="output", help="where to write (default: standard output)")

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[argparse.Namespace, list[str]]:
        return super().parse_known_args([self._long(a) for a in args or ()], namespace)

    def _long(self, argument: str) -> str:
        return f"-{argument}" if f"-{argument.partition('=')[0]}" in self._option_string_actions else argument


def display_name(name: str) -> str:
    """What an input is called in messages."""
    return STANDARD_INPUT if name == "-" else name


def read_bytes(name: str) -> bytes:
    """The contents of an input."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except (OSError, ValueError) as error:
        raise ToolInputError(f"cannot read {name}: {getattr(error, 'strerror', None) or error}.") from None


def read_text(name: str) -> str:
    """The text of an input; messages can show its lines even if it came from standard input."""
    try:
        text = read_bytes(name).decode()
    except UnicodeDecodeError as error:
        raise ToolInputError(f"{display_name(name)} is not text: byte {error.start} is not UTF-8.") from None
    if name == "-":
        linecache.cache[STANDARD_INPUT] = (len(text), None, text.splitlines(keepends=True), STANDARD_INPUT)
    return text


def write(name: str | None, content: str | bytes) -> None:
    """Write a tool's output whole or not at all."""
    from baco.toolchain import atomic_write

    if name is None or name == "-":
        sys.stdout.write(content if isinstance(content, str) else content.decode())
        return
    try:
        atomic_write(Path(name), content)
    except (OSError, ValueError) as error:
        raise ToolInputError(f"cannot write {name}: {getattr(error, 'strerror', None) or error}.") from None


def say(diagnostics: Iterable[Diagnostic]) -> None:
    """Print diagnostics that are no errors to standard error."""
    for diagnostic in diagnostics:
        print(f"{diagnostic.severity}: {diagnostic}", file=sys.stderr)
