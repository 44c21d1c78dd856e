"""Pipelines as mlir-opt writes them, taken apart into single passes, so that each can be timed, printed before and after, and blamed.

    builtin.module(tile-to-dim,func.func(canonicalize{max-iterations=2},cse))

is three steps: `tile-to-dim`, `func.func(canonicalize{max-iterations=2})` and `func.func(cse)`. The outermost `builtin.module(...)` may be
left out, and the name of one of BACO's pipelines stands for its passes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from baco.lowering.tools.common import ToolInputError

_NAME = re.compile(r"[^\s,(){}'\"]+")
_DEEPEST = 32
"""Nestings: MLIR's own reader recurses without a limit."""


class PipelineSyntaxError(ToolInputError):
    """A pipeline text that cannot be read. Attribute: `column`, from 1."""

    def __init__(self, text: str, at: int, reason: str) -> None:
        self.column = at + 1
        super().__init__(f"pass pipeline, column {at + 1}: {reason}\n    {text}\n    {' ' * at}^")


@dataclass(frozen=True)
class Step:
    """One pass: its bare name, and the text that runs it on a module."""

    name: str
    text: str


def parse_pipeline(text: str, pipelines: Mapping[str, Sequence[str]]) -> tuple[Step, ...]:
    """The passes of a pipeline text, in order; `pipelines` are the texts behind names of whole pipelines.

    Raises:
        PipelineSyntaxError: with the column of what is wrong.
    """
    reader = _Reader(" ".join(text.split("\n")), pipelines)
    steps = reader.elements((), top=True)
    reader.expect_end()
    return tuple(steps)


class _Reader:
    """Reads from `at` onwards."""

    def __init__(self, text: str, pipelines: Mapping[str, Sequence[str]]) -> None:
        self.text = text
        self.pipelines = pipelines
        self.at = 0

    def refuse(self, reason: str, at: int | None = None) -> PipelineSyntaxError:
        return PipelineSyntaxError(self.text, self.at if at is None else at, reason)

    def _next(self) -> str:
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
        return self.text[self.at : self.at + 1]

    def expect_end(self) -> None:
        if self._next():
            raise self.refuse(f"expected a comma or the end, not {self.text[self.at]!r}.")

    def elements(self, anchors: tuple[str, ...], top: bool = False) -> list[Step]:
        if self._next() in ("", ")"):
            return []
        steps = self.element(anchors, top)
        while self._next() == ",":
            self.at += 1
            steps += self.element(anchors)
        return steps

    def element(self, anchors: tuple[str, ...], top: bool = False) -> list[Step]:
        self._next()
        start = self.at
        name = _NAME.match(self.text, start)
        if not name:
            raise self.refuse("expected the name of a pass.")
        self.at = name.end()
        options = self.options() if self._next() == "{" else ""
        if self._next() != "(":
            return self._pass(name[0], options, anchors, start)
        if options:
            raise self.refuse(f"{name[0]} has both options and passes inside; options belong to passes, nesting to operations.")
        if len(anchors) >= _DEEPEST:
            raise self.refuse(f"passes are nested more than {_DEEPEST} deep.")
        opened = self.at
        self.at += 1
        inner = self.elements(() if top and name[0] == "builtin.module" else (*anchors, name[0]))
        if self._next() != ")":
            raise self.refuse("this parenthesis is not closed.", opened)
        self.at += 1
        if top and name[0] == "builtin.module":
            self.expect_end()
        return inner

    def _pass(self, name: str, options: str, anchors: tuple[str, ...], start: int) -> list[Step]:
        if name in self.pipelines:
            if options or anchors:
                raise self.refuse(f"{name} is a whole pipeline: it takes no options and runs on the module.", start)
            return [step for text in self.pipelines[name] for step in parse_pipeline(text, {})]
        text = name + options
        for anchor in reversed(anchors):
            text = f"{anchor}({text})"
        return [Step(name, text)]

    def options(self) -> str:
        """The text from one brace to the one that closes it; braces inside quotes do not count."""
        start, depth, quote = self.at, 0, ""
        for i in range(start, len(self.text)):
            letter = self.text[i]
            if quote:
                quote = "" if letter == quote else quote
            elif letter in "'\"":
                quote = letter
            elif letter in "{}":
                depth += 1 if letter == "{" else -1
                if depth == 0:
                    self.at = i + 1
                    return self.text[start : self.at]
        raise self.refuse("these options are not closed.", start)
