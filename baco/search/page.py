"""report.html: what a search found, on one page that needs nothing else: no script, no network.

Jinja escapes every text of the templates; the charts (:mod:`baco.search.charts`) escape theirs. So a layer may be called anything.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from baco.perfmodel.exact import PJ_TO_UJ
from baco.search.charts import COLOURS, Bar, Series, bars, chart, number
from baco.search.errors import OutputFolder
from baco.search.goals import UNITS
from baco.search.hierarchy import NAMES, PLACES, picture
from baco.search.realise import REALISED_FILE
from baco.search.report import closing_line, hardware_line
from baco.search.result import ExploreResult, LayerResult, NetworkResult
from baco.search.spaces import Limits
from baco.search.tilings import RAGGED
from baco.toolchain import atomic_write

REPORT_FILE = "report.html"
RIVALS_FILE = "rivals.json"
OURS = "baco"


@dataclass(frozen=True)
class Trajectory:
    """One search of one method: (samples, least EDP so far) at each better design."""

    method: str
    points: tuple[tuple[float, float], ...]


def read_rivals(result: ExploreResult, folder: Path) -> list[Trajectory]:
    """Searches of other methods that benchmarks/rivals.py left in the folder, their geometric means over seeds; none without its file.

    Those of another network, space or limit say nothing of this result, and there are none for other objectives than EDP. They try tiles
    that divide their dimension, which is said where the result has ragged ones.

    Raises:
        OutputFolder: if the file is something else.
    """
    file = folder / RIVALS_FILE
    try:
        stored = json.loads(file.read_text())
        searched = stored["network"], stored["space"], str(Limits(max_dim=stored["max_dim"])), "edp"
        if searched != (result.network, result.space, result.limits, result.goal.objective):
            return []
        curves, tiles = stored["curves"].items(), ", exact tiles" if result.tilings == RAGGED else ""
        return [Trajectory(f"{method}{tiles}", tuple((float(at), float(value)) for at, value in points)) for method, points in curves]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputFolder(file, f"cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise OutputFolder(file, "does not hold runs as benchmarks/rivals.py writes them; remove or mend it.") from error


def write_report(result: ExploreResult, folder: Path) -> Path:
    """Write the page into the folder that holds the design, with what else is there: layers that ran, and other methods' searches.

    Raises:
        OutputFolder: if the page cannot be written, or a file of the folder cannot be read.
    """
    text = page(result, read_realised(result, folder), read_rivals(result, folder))
    try:
        atomic_write(folder / REPORT_FILE, text)
    except OSError as error:
        raise OutputFolder(folder, f"cannot write {REPORT_FILE}: {error.strerror}.") from error
    return folder / REPORT_FILE


def read_realised(result: ExploreResult, folder: Path) -> list[dict[str, Any]]:
    """What :func:`baco.search.realise.realise` left in the folder; nothing where it did not run these mappings.

    Raises:
        OutputFolder: if the file is something else.
    """
    file, chosen = folder / REALISED_FILE, {r.layer.name: str(r.mapping) for r in result.layers}
    try:
        stored = [layer for layer in json.loads(file.read_text()) if chosen.get(layer["name"]) == layer["mapping"]]
        return [{k: layer[k] for k in ("name", "kind", "wrong_elements", "differences", "counted")} for layer in stored]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputFolder(file, f"cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError) as error:
        raise OutputFolder(file, "does not hold layers that `baco explore` ran; remove it.") from error


def page(result: ExploreResult, ran: Sequence[Mapping[str, Any]] = (), others: Sequence[Trajectory] = ()) -> str:
    """The page as HTML: `ran` are entries of realised.json."""
    design, baseline = result.design, result.baseline
    searches = [Trajectory(OURS, _steps(result)), *others]
    colours = {method: i % COLOURS for i, method in enumerate(dict.fromkeys(s.method for s in searches))}
    bindings = sorted({r.cost.binding for r in design.layers}, key=PLACES.index)
    summary = f"The {result.space} space with {result.limits}; the least {result.goal.name} was asked for."
    if result.interrupted:
        summary += " Interrupted: this is the best design found so far."
    return render(
        "report.html",
        network=result.network,
        hardware=hardware_line(design),
        summary=summary,
        figures=_figures(design, baseline),
        bound=bound_line(result),
        objective=result.goal.name,
        trajectory=Markup(_trajectory(result, searches, colours)),
        trajectory_key=list(colours.items()),
        front=Markup(_front(result)) if result.front else "",
        front_key=[("chosen", CHOSEN), ("front", FRONT)],
        machines=Markup(_machines(result)),
        machines_key=[("chosen", CHOSEN), (baseline.label, DEFAULT), *((m.label, i) for i, m in zip(itertools.cycle(KNOWN), result.known))],
        hierarchy=Markup(picture(design)),
        roofline=Markup(_roofline(design)),
        binding_key=[(NAMES[place], PLACES.index(place)) for place in bindings],
        energy=Markup(energy_bars(design)),
        energy_key=[(NAMES[place], i) for i, place in enumerate(PLACES)],
        latency=Markup(latency_bars(design)),
        known=_known(result),
        front_rows=[[hardware_line(d), f"{d.area_mm2:.3f}", f"{d.power_mw:,.0f}", *_costs(d)] for d in result.front],
        ran=[_ran(layer) for layer in ran],
        mappings=[_mapping(r) for r in design.layers],
        closing=closing_line(result),
    )


def render(template: str, **values: object) -> str:
    """A template of this module, with every value escaped that is no Markup."""
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(**values)


def bound_line(result: ExploreResult) -> str:
    """How far the result may be from the best, or that this is not known."""
    goal, unit = result.goal.name, UNITS[result.goal.objective]
    if result.gap is None or result.bound is None:
        missing = "No bound was proved in this run: it did not go through every tile of every layer."
        return f"{missing} A budget larger than {result.budget:,} may prove one."
    least = f"no design of this space, with {result.limits}, has a lower {goal} than {result.bound:.4e} {unit}"
    return f"{goal} is at most {result.gap:.2%} above the best possible: under this model {least}."


def _figures(design: NetworkResult, baseline: NetworkResult) -> list[tuple[str, str, str]]:
    def beside(figure: str) -> str:
        ours, theirs = getattr(design, figure), getattr(baseline, figure)
        return f"{theirs / ours:.2f} × better than default" if theirs >= ours else f"{ours / theirs:.2f} × the default's"

    return [
        ("EDP, uJ × cycles", f"{design.edp:.3e}", beside("edp")),
        ("energy, uJ", number(design.energy_uj), beside("energy_uj")),
        ("latency, cycles", number(design.cycles), beside("cycles")),
        ("area, mm² estimated", f"{design.area_mm2:.2f}", f"default {baseline.area_mm2:.2f}"),
        ("power, mW average", f"{design.power_mw:,.0f}", f"default {baseline.power_mw:,.0f}"),
        ("utilisation", f"{design.utilisation:.1%}", f"default {baseline.utilisation:.1%}"),
    ]


def _steps(result: ExploreResult) -> tuple[tuple[float, float], ...]:
    """The history, up to the last sample."""
    points = [(float(samples), float(value)) for samples, value, _ in result.history]
    return (*points, *((float(result.samples), value) for _, value in points[-1:]))


def _trajectory(result: ExploreResult, searches: Sequence[Trajectory], colours: Mapping[str, int]) -> str:
    series = [Series(s.method, s.points, colours[s.method], line=True) for s in reversed(searches)]  # ours on top
    goal, baseline = result.goal, result.baseline
    levels = [(goal.value(baseline.energy_uj / PJ_TO_UJ, baseline.cycles), baseline.label)]
    levels += [(result.bound, "bound")] if result.bound is not None else []
    unit = f"{goal.name}, {UNITS[goal.objective]}"
    return chart(series, "mappings scored", unit, f"{goal.name} against samples", levels=levels)


CHOSEN, FRONT, DEFAULT, KNOWN = 0, 1, 4, (2, 3, 5, 6, 7)
"""Colours; the known machines take those of KNOWN in turn."""


def _front(result: ExploreResult) -> str:
    points = tuple((d.cycles, d.energy_uj) for d in result.front)
    line = Series("front", points, FRONT, line=True)
    marks = Series("front", points, FRONT, tuple(hardware_line(d) for d in result.front))
    return _totals([line, marks, _mark(result.design, CHOSEN)], "Pareto front")


def _machines(result: ExploreResult) -> str:
    series = [
        Series(m.label, ((m.cycles, m.energy_uj),), i, (f"{m.label}: {m.hardware}",)) for i, m in zip(itertools.cycle(KNOWN), result.known)
    ]
    return _totals([*series, _mark(result.baseline, DEFAULT), _mark(result.design, CHOSEN)], "energy and latency of machines")


def _mark(design: NetworkResult, colour: int) -> Series:
    return Series(design.label, ((design.cycles, design.energy_uj),), colour, (f"{design.label}: {hardware_line(design)}",))


def _totals(series: Sequence[Series], label: str) -> str:
    return chart(series, "latency, cycles", "energy, uJ", label)


def intensity(r: LayerResult) -> float:
    """Multiply-accumulates for each word that crosses to or from DRAM."""
    return r.problem.macs / r.cost.traffic.accesses("dram")


def _roofline(design: NetworkResult) -> str:
    points: dict[str, list[tuple[tuple[float, float], str]]] = {}
    for r in design.layers:
        rate = r.problem.macs / r.cost.cycles
        title = (
            f"{r.layer.name}: {rate:.1f} multiply-accumulates a cycle, {intensity(r):.1f} a word of DRAM, bound by {NAMES[r.cost.binding]}"
        )
        points.setdefault(r.cost.binding, []).append(((intensity(r), rate), title))
    series = [
        Series(binding, tuple(p for p, _ in entries), PLACES.index(binding), tuple(t for _, t in entries))
        for binding, entries in points.items()
    ]
    machine = design.machine
    roof = (float(machine.dram_words_per_cycle), float(machine.elements))
    return chart(series, "multiply-accumulates a word of DRAM", "multiply-accumulates a cycle", "roofline", roof=roof)


def energy_bars(design: NetworkResult) -> str:
    """A row for each layer: the uJ of all its runs, by place."""
    rows = []
    for r in design.layers:
        parts = {place: r.layer.count * r.cost.energies[place] * PJ_TO_UJ for place in PLACES}
        pieces = tuple((uj, i, f"{r.layer.name}: {NAMES[place]} {uj:,.1f} uJ") for i, (place, uj) in enumerate(parts.items()))
        rows.append(Bar(r.layer.name, pieces, _note(r, sum(parts.values()))))
    return bars(rows, "energy of each layer")


def latency_bars(design: NetworkResult) -> str:
    """A row for each layer: the cycles of all its runs, coloured by the resource that sets them."""
    rows = []
    for r in design.layers:
        cycles = r.layer.count * r.cost.cycles
        each = ", ".join(f"{NAMES[place]} {value:,.0f}" for place, value in r.cost.terms.items())
        title = f"{r.layer.name}: bound by {NAMES[r.cost.binding]}; one run by resource: {each}"
        rows.append(Bar(r.layer.name, ((cycles, PLACES.index(r.cost.binding), title),), _note(r, cycles)))
    return bars(rows, "latency of each layer")


def _note(r: LayerResult, value: float) -> str:
    """A figure of all runs, and how many they are."""
    return number(value) if r.layer.count == 1 else f"{number(value)} ({r.layer.count}×)"


def _costs(m: NetworkResult) -> list[str]:
    return [f"{m.energy_uj:,.0f}", f"{m.cycles:,.0f}", f"{m.edp:.4e}"]


def _known(result: ExploreResult) -> list[list[str]]:
    ours, default = result.design, result.baseline
    rows = [["chosen", hardware_line(ours), f"{ours.area_mm2:.2f}", *_costs(ours), ""]]
    for label, hardware, m in [(default.label, hardware_line(default), default), *((k.label, k.hardware, k) for k in result.known)]:
        costs = [f"{m.energy_uj:,.0f}", f"{m.cycles:,.0f}", f"{m.edp:.4e}"]
        rows.append([label, hardware, f"{m.area_mm2:.2f}", *costs, f"{m.edp / ours.edp:.2f} ×" if math.isfinite(m.edp) else "-"])
    return rows


def _ran(layer: Mapping[str, Any]) -> list[str]:
    wrong, different = layer["wrong_elements"], len(layer["differences"])
    return [
        layer["name"],
        layer["kind"],
        f"{wrong:,} differ from NumPy" if wrong else "equal to NumPy",
        f"{different} figures differ" if different else f"all {len(layer['counted'])} figures as predicted",
    ]


def _mapping(r: LayerResult) -> list[str]:
    cost = r.cost
    return [
        r.layer.name,
        r.layer.kind,
        str(r.layer.count),
        f"{cost.energy_pj * PJ_TO_UJ:,.1f}",
        f"{cost.cycles:,.0f}",
        NAMES[cost.binding],
        str(r.mapping),
    ]
