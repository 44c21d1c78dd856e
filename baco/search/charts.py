"""Charts as SVG text, drawn for a page 380 units wide: readable on a phone, and side by side on a desk.

Colours are classes of the page's style sheet (`c0` to `c7`), so that a chart follows the light or dark scheme. Texts are escaped here;
numbers are the only other thing that reaches the page. Each mark has a title, which browsers show as a tooltip.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

WIDTH = 380
COLOURS = 8
LEFT, RIGHT, TOP, BOTTOM = 50, 10, 12, 38
"""Margins of a chart with axes."""


@dataclass(frozen=True)
class Series:
    """A line (drawn as steps), or points with their titles."""

    name: str
    points: tuple[tuple[float, float], ...]
    colour: int
    titles: tuple[str, ...] = ()
    line: bool = False


@dataclass(frozen=True)
class Bar:
    """A row of a bar chart: pieces (value, colour, title) from left to right."""

    label: str
    pieces: tuple[tuple[float, int, str], ...]
    note: str = ""


def number(value: float) -> str:
    """A short form: 1.2k, 3.4M, 5.6e20."""
    if value == 0:
        return "0"
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if limit <= abs(value) < limit * 1e3:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}" if 1e-3 <= abs(value) < 1e3 else f"{value:.2e}".replace("e+", "e")


def text(x: float, y: float, content: str, anchor: str = "start", style: str = "") -> str:
    """A text; its content is escaped."""
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{escape(content)}</text>'


def svg(height: float, body: Sequence[str], label: str) -> str:
    """The picture; `label` says to those who do not see it what it shows."""
    head = f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}">'
    return "\n".join([head, *body, "</svg>"])


NARROW = 0.5
"""Decades: ticks of a shorter axis are evenly spaced."""


class Axis:
    """A logarithmic axis from `low` to `high` in values, `start` to `end` in the picture."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        least, most = min(values), max(values)
        room = max(math.log10(most / least) * 0.06, 0.02)
        self.low, self.high = math.log10(least) - room, math.log10(most) + room
        self.start, self.end = start, end

    def __call__(self, value: float) -> float:
        return self.start + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """At most `most` round values inside."""
        if self.high - self.low < NARROW:
            return self._narrow_ticks(most)
        decades = range(math.floor(self.low), math.ceil(self.high) + 1)
        for steps in ((1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8), (1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
            found = [m * 10.0**d for d in decades for m in steps if self.low <= math.log10(m) + d <= self.high]
            if len(found) <= most:
                return found
        return found[:: math.ceil(len(found) / most)]

    def _narrow_ticks(self, most: int) -> list[float]:
        """Evenly spaced round values, for a short axis."""
        low, high = 10**self.low, 10**self.high
        step = 10 ** math.floor(math.log10((high - low) / most))
        step *= next(m for m in (1, 2, 5, 10) if (high - low) / (m * step) <= most)
        return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def chart(
    series: Sequence[Series],
    x_name: str,
    y_name: str,
    label: str,
    *,
    levels: Sequence[tuple[float, str]] = (),
    roof: tuple[float, float] | None = None,
    height: float = 270,
) -> str:
    """Series on logarithmic axes; `levels` are horizontal lines with names; `roof` is (slope, top) of a roofline.

    Values that are not positive and finite cannot be drawn and are left out.
    """
    drawn = [_drawable(s) for s in series]
    levels = [(value, name) for value, name in levels if value > 0 and math.isfinite(value)]
    xs = [x for s in drawn for x, _ in s.points] + ([roof[1] / roof[0]] if roof else [])
    ys = [y for s in drawn for _, y in s.points] + [value for value, _ in levels] + ([roof[1]] if roof else [])
    if not xs:
        return svg(40, [text(WIDTH / 2, 24, "nothing to draw", "middle", "quiet")], label)
    x, y = Axis(xs, LEFT, WIDTH - RIGHT), Axis(ys, height - BOTTOM, TOP)
    body = _grid(x, y, x_name, y_name, height)
    if roof:
        body.append(_roof(x, y, *roof))
    for value, name in levels:
        body.append(f'<line class="level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        below = y(value) + 12 < height - BOTTOM and any(abs(y(other) - y(value)) < 14 and other > value for other, _ in levels)
        body.append(text(WIDTH - RIGHT - 2, y(value) + (12 if below else -4), name, "end", "quiet halo"))
    for s in drawn:
        body += _line(s, x, y) if s.line else _marks(s, x, y)
    return svg(height, body, label)


def _drawable(series: Series) -> Series:
    titles = series.titles or ("",) * len(series.points)
    kept = [(p, t) for p, t in zip(series.points, titles, strict=True) if all(v > 0 and math.isfinite(v) for v in p)]
    return replace(series, points=tuple(p for p, _ in kept), titles=tuple(t for _, t in kept))


def _grid(x: Axis, y: Axis, x_name: str, y_name: str, height: float) -> list[str]:
    floor = height - BOTTOM
    body = []
    for tick in x.ticks(5):
        body.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP}" y2="{floor}"/>')
        body.append(text(x(tick), floor + 14, number(tick), "middle", "quiet"))
    for tick in y.ticks(6):
        body.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        body.append(text(LEFT - 5, y(tick) + 4, number(tick), "end", "quiet"))
    middle = (TOP + floor) / 2
    body.append(text((LEFT + WIDTH - RIGHT) / 2, height - 6, x_name, "middle"))
    body.append(f'<text transform="translate(11 {middle:.1f}) rotate(-90)" text-anchor="middle">{escape(y_name)}</text>')
    return body


def _roof(x: Axis, y: Axis, slope: float, top: float) -> str:
    left, right = 10**x.low, 10**x.high
    start = max(left, 10**y.low / slope)
    corners = [(start, slope * start), (top / slope, top), (right, top)] if start < top / slope else [(left, top), (right, top)]
    return f'<polyline class="roof" points="{" ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in corners)}"/>'


def _line(series: Series, x: Axis, y: Axis) -> list[str]:
    path: list[str] = []
    for a, b in series.points:
        path.append(f"H{x(a):.1f}V{y(b):.1f}" if path else f"M{x(a):.1f} {y(b):.1f}")
    return [f'<path class="line s{series.colour}" d="{"".join(path)}"><title>{escape(series.name)}</title></path>']


def _marks(series: Series, x: Axis, y: Axis) -> list[str]:
    return [
        f'<circle class="mark c{series.colour}" cx="{x(a):.1f}" cy="{y(b):.1f}" r="4.5"><title>{escape(title)}</title></circle>'
        for (a, b), title in zip(series.points, series.titles, strict=True)
    ]


ROW, LABEL, NOTE = 19, 128, 84
"""Units: the height of a row of bars, and the room for labels on its left and notes on its right."""
LABEL_LETTERS = 20


def shortened(label: str) -> str:
    """Both ends of a label that has no room: names of layers often differ in the last letters only."""
    half = (LABEL_LETTERS - 1) // 2
    return label if len(label) <= LABEL_LETTERS else f"{label[:half]}…{label[-(LABEL_LETTERS - 1 - half) :]}"


def bars(rows: Sequence[Bar], label: str) -> str:
    """Rows of stacked bars on one linear scale."""
    longest = max((sum(value for value, _, _ in row.pieces) for row in rows), default=0) or 1.0
    body = []
    for i, row in enumerate(rows):
        top = 4 + i * ROW
        body.append(f"<g><title>{escape(row.label)}</title>{text(LABEL - 6, top + 12, shortened(row.label), 'end', 'row')}</g>")
        at = float(LABEL)
        for value, colour, title in row.pieces:
            wide = value / longest * (WIDTH - LABEL - NOTE)
            body.append(
                f'<rect class="c{colour}" x="{at:.2f}" y="{top + 2}" width="{max(wide, 0):.2f}" height="{ROW - 6}">'
                f"<title>{escape(title)}</title></rect>"
            )
            at += wide
        body.append(text(at + 4, top + 12, row.note, style="quiet"))
    return svg(8 + len(rows) * ROW, body, label)
