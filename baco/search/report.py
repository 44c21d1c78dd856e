"""Progress and results of a search for people: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from baco.perfmodel.exact import PJ_TO_UJ
from baco.search.progress import RESUMED, Event, Progress
from baco.search.realise import Realised
from baco.search.result import ExploreResult, NetworkResult

PHASES = {"descent": "gradient descent", "enumeration": "enumeration", "bound": "bound", "front": "Pareto front", "done": "done"}


@contextmanager
def live(console: Console | None = None) -> Iterator[Progress]:
    """A progress callback for :func:`baco.search.explore`: draws a bar; where there is no terminal, logs a line for each better design."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield _logger(console)
        return
    bar = Bar(
        SpinnerColumn(),
        TextColumn("{task.description:<17}"),
        BarColumn(),
        TextColumn("{task.fields[samples]:>11,} mappings"),
        TextColumn("best {task.fields[objective]} {task.fields[best]}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", style="dim"),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task("starting", total=1.0, samples=0, best="-", detail="", objective="EDP")

        def show(event: Event) -> None:
            if event.phase == RESUMED:
                _say_resumed(console, event)
                return
            bar.update(
                task,
                completed=event.fraction,
                description=PHASES.get(event.phase, event.phase),
                samples=event.samples,
                best=_short(event.best),
                detail=event.detail,
                objective=event.objective,
            )

        yield show


def _say_resumed(console: Console, event: Event) -> None:
    console.print(f"goes on where an earlier run was stopped: after {event.detail}", soft_wrap=True, highlight=False)


def _logger(console: Console) -> Progress:
    last: list[tuple[str, str]] = []

    def log(event: Event) -> None:
        if event.phase == RESUMED:
            _say_resumed(console, event)
            return
        entry = (event.phase, _short(event.best))
        if event.best is None or (last and entry == last[-1]):
            return
        last.append(entry)
        console.print(
            f"{PHASES.get(event.phase, event.phase)}: {event.samples} mappings scored, best {event.objective} {entry[1]}", soft_wrap=True
        )

    return log


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4e}"


WIDE = 150
"""Columns of a terminal that has room for the mappings."""


def layer_table(result: ExploreResult, mappings: bool = True) -> Table:
    """Each layer of the chosen design, beside the baseline."""
    table = Table(
        title=f"{escape(result.network)}: one run of each layer, beside {result.baseline.label}", title_justify="left", pad_edge=False
    )
    table.add_column("layer", no_wrap=True)
    for heading in ("count", "energy\nuJ", "cycles"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("bound\nby", no_wrap=True)
    for heading in ("default\nuJ", "default\ncycles"):
        table.add_column(heading, justify="right", no_wrap=True)
    if mappings:
        table.add_column("mapping", overflow="fold")
    for ours, default in zip(result.design.layers, result.baseline.layers, strict=True):
        cells = [escape(ours.layer.name), str(ours.layer.count)]
        cells += [f"{ours.cost.energy_pj * PJ_TO_UJ:,.1f}", f"{ours.cost.cycles:,.0f}", ours.cost.binding]
        cells += [f"{default.cost.energy_pj * PJ_TO_UJ:,.1f}", f"{default.cost.cycles:,.0f}"]
        table.add_row(*cells, *([str(ours.mapping)] if mappings else []))
    return table


def summary_table(result: ExploreResult) -> Table:
    """The whole network on the chosen machine and on the default one."""
    table = Table(
        title=f"{escape(result.network)} as a whole ({result.space} space, halo {result.halo}, {result.tilings} tiles)",
        title_justify="left",
    )
    table.add_column("")
    table.add_column("chosen", justify="right")
    table.add_column(result.baseline.label, justify="right")
    table.add_column("better by", justify="right")
    ours, default = result.design, result.baseline
    for name, figure in (("array side", "side"), ("scratchpad KiB", "scratchpad_kib"), ("accumulator KiB", "accumulator_kib")):
        table.add_row(name, f"{getattr(ours.machine, figure):g}", f"{getattr(default.machine, figure):g}", "")
    for name, figure, form in (("area mm2, estimated", "area_mm2", ",.3f"), ("power mW, average", "power_mw", ",.0f")):
        table.add_row(name, format(getattr(ours, figure), form), format(getattr(default, figure), form), "")
    for name, figure, form in (("energy uJ", "energy_uj", ",.0f"), ("latency cycles", "cycles", ",.0f"), ("EDP uJ x cycles", "edp", ".4e")):
        mine, theirs = getattr(ours, figure), getattr(default, figure)
        table.add_row(name, format(mine, form), format(theirs, form), f"{theirs / mine:.2f} x")
    table.add_row("utilisation", f"{ours.utilisation:.1%}", f"{default.utilisation:.1%}", "")
    return table


def known_table(result: ExploreResult) -> Table:
    """The chosen design beside known machines and mappers, under the same model and constants."""
    table = Table(title="beside other machines, same model and constants", title_justify="left")
    for heading in ("machine", "hardware"):
        table.add_column(heading, overflow="fold")
    for heading in ("area\nmm2", "energy\nuJ", "latency\ncycles", "EDP\nuJ x cycles", "chosen is\nbetter by"):
        table.add_column(heading, justify="right", no_wrap=True)
    chosen, default = (hardware_line(design) for design in (result.design, result.baseline))
    rows = [("chosen", chosen, result.design), (result.baseline.label, default, result.baseline)]
    rows += [(machine.label, machine.hardware, machine) for machine in result.known]
    for label, hardware, m in rows:
        better = "" if m is result.design else f"{m.edp / result.edp:.2f} x"
        table.add_row(label, hardware, f"{m.area_mm2:.2f}", f"{m.energy_uj:,.0f}", f"{m.cycles:,.0f}", f"{m.edp:.4e}", better)
    return table


def front_table(result: ExploreResult) -> Table:
    """The Pareto front, from the fastest design to the most frugal."""
    table = Table(title="designs that no other beats in both energy and latency", title_justify="left")
    table.add_column("hardware", overflow="fold")
    for heading in ("area mm2", "power mW", "energy uJ", "latency cycles", "EDP uJ x cycles"):
        table.add_column(heading, justify="right", no_wrap=True)
    for d in result.front:
        figures = f"{d.area_mm2:.3f}", f"{d.power_mw:,.0f}", f"{d.energy_uj:,.0f}", f"{d.cycles:,.0f}", f"{d.edp:.4e}"
        table.add_row(hardware_line(d), *figures)
    return table


def hardware_line(design: NetworkResult) -> str:
    """Array and memories of a design in words."""
    m = design.machine
    return f"{m.side} x {m.side}, scratchpad {m.scratchpad_kib:g} KiB, accumulator {m.accumulator_kib:g} KiB"


def closing_line(result: ExploreResult) -> str:
    """How the result was found, and how far it may be from the best."""
    rate = f"{result.samples:,} mappings scored in {result.seconds:.1f} s ({result.samples_per_second:,.0f} a second)"
    text = f"{rate}, seed {result.seed}: {result.method}."
    if result.interrupted:
        return text + " Interrupted: this is the best design found so far."
    if result.gap is not None:
        text += (
            f" {result.goal.name} at most {result.gap:.2%} above the best possible in this space, with {result.limits}, under this model."
        )
    if result.left_out:
        text += f" Not products, and so left out: {', '.join(f'{name} ({count})' for name, count in result.left_out)}."
    return text + f" Constants: {result.constants.source}."


def print_result(result: ExploreResult, console: Console | None = None) -> None:
    """The tables: layers, then the whole."""
    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, 200)  # nobody resizes a log: no reason to fold
    console.print(layer_table(result, mappings=console.width >= WIDE))
    console.print(summary_table(result))
    console.print(known_table(result))
    if result.front:
        console.print(front_table(result))
    console.print(closing_line(result), soft_wrap=True, highlight=False)


def realised_table(layer: Realised) -> Table:
    """Predicted beside counted, for one layer that ran."""
    verdict = "equal to NumPy" if layer.correct else f"{layer.wrong_elements} ELEMENTS DIFFER FROM NUMPY"
    title = f"{escape(layer.name)}, {layer.kind}: result {verdict}, {layer.seconds:.1f} s" + "".join(
        f"; {remark}" for remark in layer.remarks
    )
    table = Table(title=title, title_justify="left")
    table.add_column("figure")
    for heading in ("predicted", "counted", ""):
        table.add_column(heading, justify="right")
    for row in layer.rows:
        table.add_row(row.name, f"{row.predicted:,}", f"{row.counted:,}", "equal" if row.equal else f"{row.counted - row.predicted:+,}")
    return table


def print_realised(layers: Sequence[Realised], console: Console | None = None) -> None:
    """The layers that ran: what the model predicted beside what the programs did."""
    console = console or Console()
    for layer in layers:
        console.print(realised_table(layer))
    good = sum(layer.correct and layer.equal for layer in layers)
    console.print(f"{good} of {len(layers)} layers ran with the right result and exactly the predicted accesses.", highlight=False)
    if any(layer.loops and not layer.equal for layer in layers):
        console.print("Loop instructions order the work inside a tile themselves; what that changes is in the tables.", highlight=False)
