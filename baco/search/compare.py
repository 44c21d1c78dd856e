"""`baco compare`: two designs of the same or of different searches, side by side: hardware, the whole network, and each layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.markup import escape
from rich.table import Table

from baco.perfmodel.exact import PJ_TO_UJ
from baco.search.charts import Bar, bars, number
from baco.search.errors import OutputFolder
from baco.search.hierarchy import NAMES, picture
from baco.search.page import render
from baco.search.report import hardware_line
from baco.search.result import ExploreResult, LayerResult
from baco.toolchain import atomic_write

COMPARISON_FILE = "comparison.html"


@dataclass(frozen=True)
class Row:
    """A figure of both designs; text, or numbers whose ratio says by how much the second is better (they are better small)."""

    name: str
    first: float | str
    second: float | str
    form: str = ",.0f"

    @property
    def ratio(self) -> float | None:
        """First over second; None where the two are no costs."""
        costs = isinstance(self.first, float) and isinstance(self.second, float) and self.second
        return self.first / self.second if costs else None

    @property
    def cells(self) -> list[str]:
        first, second = (value if isinstance(value, str) else format(value, self.form) for value in (self.first, self.second))
        return [self.name, first, second, "" if self.ratio is None else f"{self.ratio:.3f} ×"]

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "first": self.first, "second": self.second, "ratio": self.ratio}


@dataclass(frozen=True)
class LayerPair:
    """One layer in both designs; None where a design has no such layer."""

    name: str
    first: LayerResult | None
    second: LayerResult | None

    @property
    def same_mapping(self) -> bool:
        return self.first is not None and self.second is not None and self.first.mapping == self.second.mapping

    def figures(self, which: LayerResult | None) -> tuple[float, float] | None:
        """(uJ, cycles) of all runs."""
        return None if which is None else (which.layer.count * which.cost.energy_pj * PJ_TO_UJ, which.layer.count * which.cost.cycles)

    def to_dict(self) -> dict[str, Any]:
        def side(which: LayerResult | None) -> dict[str, Any] | None:
            figures = self.figures(which)
            if which is None or figures is None:
                return None
            mapping = str(which.mapping)
            return {
                "count": which.layer.count,
                "energy_uj": figures[0],
                "cycles": figures[1],
                "binding": which.cost.binding,
                "mapping": mapping,
            }

        return {"name": self.name, "first": side(self.first), "second": side(self.second), "same_mapping": self.same_mapping}


@dataclass(frozen=True)
class Comparison:
    """Two results; `labels` is what they are called, such as their folders."""

    labels: tuple[str, str]
    first: ExploreResult
    second: ExploreResult

    @property
    def asked(self) -> list[Row]:
        """What was asked for, where it differs."""
        names = ("network", "space", "objective", "limits", "halo", "latency", "tilings", "seed", "budget")
        rows = [Row(name, str(getattr(self.first, name)), str(getattr(self.second, name))) for name in names]
        rows.append(Row("constants", self.first.constants.source, self.second.constants.source))
        return [row for row in rows if row.first != row.second]

    @property
    def hardware(self) -> list[Row]:
        """The machines."""
        first, second = self.first.design, self.second.design
        rows = [
            Row(name, format(getattr(first.machine, figure), "g"), format(getattr(second.machine, figure), "g"))
            for name, figure in (("array side", "side"), ("scratchpad KiB", "scratchpad_kib"), ("accumulator KiB", "accumulator_kib"))
        ]
        rows.append(Row("area mm2, estimated", float(first.area_mm2), float(second.area_mm2), ",.3f"))
        return rows

    @property
    def totals(self) -> list[Row]:
        """Costs of the whole networks."""
        first, second = self.first.design, self.second.design
        rows = [Row("EDP uJ x cycles", float(first.edp), float(second.edp), ".4e")]
        rows.append(Row("energy uJ", float(first.energy_uj), float(second.energy_uj)))
        rows.append(Row("latency cycles", float(first.cycles), float(second.cycles)))
        rows.append(Row("power mW, average", float(first.power_mw), float(second.power_mw)))
        rows.append(Row("utilisation", f"{first.utilisation:.1%}", f"{second.utilisation:.1%}"))
        bounds = ["not proved" if r.gap is None else f"at most {r.gap:.2%}" for r in (self.first, self.second)]
        return [*rows, Row("above the best possible", *bounds)]

    @property
    def layers(self) -> list[LayerPair]:
        """Layers by name, in the order of the first network, then those of the second alone."""
        sides = [{r.layer.name: r for r in result.layers} for result in (self.first, self.second)]
        return [LayerPair(name, sides[0].get(name), sides[1].get(name)) for name in dict.fromkeys([*sides[0], *sides[1]])]

    def to_dict(self) -> dict[str, Any]:
        groups = {"asked": self.asked, "hardware": self.hardware, "network": self.totals}
        rows = {name: [row.to_dict() for row in group] for name, group in groups.items()}
        return {"first": self.labels[0], "second": self.labels[1], **rows, "layers": [pair.to_dict() for pair in self.layers]}

    def tables(self) -> list[Table]:
        """For a terminal: the hardware and the whole network, then each layer."""
        whole = Table(title="the whole network", title_justify="left")
        whole.add_column("")
        for label in self.labels:
            whole.add_column(escape(label), justify="right", overflow="fold")
        whole.add_column("second is\nbetter by", justify="right", no_wrap=True)
        for group in (self.asked, self.hardware, self.totals):
            for row in group:
                whole.add_row(*(escape(cell) for cell in row.cells))
            whole.add_section()
        each = Table(title="all runs of each layer", title_justify="left")
        for heading in LAYER_HEADINGS:
            each.add_column(heading, justify="left" if heading in TEXTS else "right", no_wrap=True)
        for pair in self.layers:
            each.add_row(*(escape(cell) for cell in _layer_cells(pair)))
        return [whole, each]

    def page(self) -> str:
        """comparison.html: needs nothing else."""
        sides = zip(self.labels, (self.first, self.second), ("0", "4"), strict=True)
        return render(
            "comparison.html",
            labels=self.labels,
            networks=[self.first.network, self.second.network],
            groups=[("Asked for", "asked", self.asked), ("Hardware", "hardware", self.hardware), ("Whole network", "network", self.totals)],
            key=[(self.labels[0], FIRST), (self.labels[1], SECOND)],
            sides=[(label, hardware_line(r.design), Markup(picture(r.design)), colour) for label, r, colour in sides],
            energy=Markup(self._bars(0, "uJ")),
            latency=Markup(self._bars(1, "cycles")),
            layer_headings=LAYER_HEADINGS,
            layers=[_layer_cells(pair) for pair in self.layers],
        )

    def _bars(self, figure: int, unit: str) -> str:
        rows = []
        for pair in self.layers:
            for which, colour in ((pair.first, FIRST), (pair.second, SECOND)):
                label = pair.name if colour == FIRST else ""
                figures = pair.figures(which)
                value = figures[figure] if figures else 0.0
                pieces = ((value, colour, f"{pair.name}: {value:,.1f} {unit}"),) if figures else ()
                rows.append(Bar(label, pieces, number(value) if figures else "none"))
        return bars(rows, f"{unit} of each layer in both designs")

    def write(self, file: Path) -> None:
        """Write the page.

        Raises:
            OutputFolder: if it cannot be written.
        """
        try:
            atomic_write(file, self.page())
        except OSError as error:
            raise OutputFolder(file, f"cannot be written: {error.strerror}.") from error


FIRST, SECOND = 0, 4
"""Colours."""
TEXTS = ("layer", "bound by", "mapping")
LAYER_HEADINGS = ("layer", "energy uJ", "second", "better by", "cycles", "second", "better by", "bound by", "mapping")


def _layer_cells(pair: LayerPair) -> list[str]:
    first, second = pair.figures(pair.first), pair.figures(pair.second)
    cells = [pair.name]
    for i, form in enumerate((",.1f", ",.0f")):
        cells += [format(figures[i], form) if figures else "-" for figures in (first, second)]
        cells.append(f"{first[i] / second[i]:.2f} ×" if first and second else "")
    bindings = [NAMES[r.cost.binding] for r in (pair.first, pair.second) if r]
    both = " / ".join(dict.fromkeys(bindings))
    return [*cells, both, "same" if pair.same_mapping else "differs" if first and second else "only in one"]
