"""`--verify-diagnostics`: diagnostics that the input itself expects, in comments beside what they are about.

    // expected-error @+1 {{block shapes differ}}
    // expected-remark @below {{runs on the host core}}
    // expected-warning-re {{took [0-9]+ rows}}

A place is `@+N`, `@-N` (lines from the comment), `@N` (a line), `@above`, `@below` or, for what has no line in this file, `@unknown`;
without one it is the comment's own line. The text between the braces must occur in the message; after `-re` it is a regular expression.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from baco.lowering.errors import SourceLocation
from baco.lowering.tools.common import Diagnostic, ToolFailure

_EXPECTED = re.compile(
    r"expected-(?P<severity>error|warning|remark|note)(?P<regex>-re)?[ \t]*"
    r"(?:@(?P<place>[+-]?\d+|above|below|unknown))?[ \t]*\{\{(?P<text>.*?)\}\}"
)


@dataclass(frozen=True)
class Expectation:
    """A diagnostic that must come. `line` is None for `@unknown`; `at` is where the comment stands."""

    severity: str
    text: str
    is_regex: bool
    line: int | None
    at: SourceLocation

    def fits(self, diagnostic: Diagnostic) -> bool:
        """Whether a diagnostic is this one."""
        place = diagnostic.place
        line = place.line if place and place.file == self.at.file else None
        if diagnostic.severity != self.severity or line != self.line:
            return False
        return bool(re.search(self.text, diagnostic.message)) if self.is_regex else self.text in diagnostic.message


def expectations(text: str, file: str) -> list[Expectation]:
    """What the comments of a text expect.

    Raises:
        ToolFailure: for a regular expression that is none.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for match in _EXPECTED.finditer(line, max(line.find("//"), 0)):
            at = SourceLocation(file, number, match.start() + 1)
            if match["regex"]:
                try:
                    re.compile(match["text"])
                except re.error as error:
                    raise ToolFailure([Diagnostic("error", f"this is not a regular expression: {error}.", at)]) from None
            found.append(Expectation(match["severity"], match["text"], bool(match["regex"]), _line(match["place"], number), at))
    return found


def _line(place: str | None, here: int) -> int | None:
    if place is None:
        return here
    if place == "unknown":
        return None
    if place in ("above", "below"):
        return here + (1 if place == "below" else -1)
    return here + int(place) if place[0] in "+-" else int(place)


def compare(expected: Sequence[Expectation], found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """An error for each diagnostic that nobody expected, and for each expected one that did not come."""
    left = list(expected)
    wrong = []
    for diagnostic in found:
        match = next((e for e in left if e.fits(diagnostic)), None)
        if match:
            left.remove(match)
        else:
            wrong.append(Diagnostic("error", f"unexpected {diagnostic.severity}: {diagnostic.message}", diagnostic.place))
    wrong += [Diagnostic("error", f'expected {e.severity} "{e.text}" did not come.', e.at) for e in left]
    return wrong
