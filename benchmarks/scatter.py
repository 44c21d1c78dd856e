"""Two figures of the same things against each other, as an SVG file that stands by itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from baco.search.charts import Series, chart

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb")
STYLE = """<style>
svg { background: #fff; font: 11px sans-serif; }
.grid { stroke: #ddd; stroke-width: 0.7; }
.quiet { fill: #555; font-size: 10px; }
.line { fill: none; stroke: #888; stroke-width: 1; }
.mark { stroke: #fff; stroke-width: 0.6; }
"""


def scatter(groups: Sequence[tuple[str, Sequence[tuple[float, float, str]]]], x_name: str, y_name: str, label: str) -> str:
    """Points (x, y, title) of named groups on logarithmic axes, with the line on which both are equal and a legend."""
    series = [
        Series(name, tuple((x, y) for x, y, _ in points), i, tuple(title for _, _, title in points))
        for i, (name, points) in enumerate(groups)
    ]
    values = [v for s in series for point in s.points for v in point]
    equal = ((min(values),) * 2, (max(values),) * 2)
    drawn = chart([Series("equal", equal, len(series), line=True), *series], x_name, y_name, label, height=360)
    colours = "\n".join(f".c{i} {{ fill: {COLOURS[i % len(COLOURS)]}; }}" for i in range(len(series)))
    legend = "\n".join(
        f'<circle class="mark c{i}" cx="62" cy="{24 + 14 * i}" r="4.5"/><text x="70" y="{28 + 14 * i}">{escape(s.name)}</text>'
        for i, s in enumerate(series)
    )
    drawn = re.sub(r"M([\d.]+) ([\d.]+)H([\d.]+)V([\d.]+)", r"M\1 \2L\3 \4", drawn)  # charts draw lines as steps
    head, _, rest = drawn.partition("\n")
    head = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" width="640" ')
    return f"{head}\n{STYLE}{colours}\n</style>\n{rest.removesuffix('</svg>')}{legend}\n</svg>\n"
