"""`baco dataset`: mappings drawn at random, run on the RTL, and a table of what the model predicts and what was measured."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from baco.errors import BacoError

if TYPE_CHECKING:
    from baco.workload import Problem
    from baco.workloads import Layer


class DatasetError(BacoError):
    """An option of `baco dataset` that it cannot use."""


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("dataset")(dataset)


def dataset(
    network: Annotated[
        str, typer.Argument(help="A network, such as resnet50, or FILE.py:NAME, a PyTorch model; none with --problem.", show_default=False)
    ] = "",
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="Shape of each input of a PyTorch model, as in 1,3,224,224.", show_default=False)
    ] = None,
    problem: Annotated[
        list[str] | None,
        typer.Option(
            help="A problem of your own, as in R=3,S=3,P=8,Q=8,C=16,K=16,stride=1,padding=1; may be repeated.", show_default=False
        ),
    ] = None,
    layers: Annotated[str, typer.Option(help="Layers of the network: all, or names with commas.")] = "all",
    hardware: Annotated[str, typer.Option(help="A preset's name, or a .json, .yaml or gemmini_params.h file.")] = "gemmini-default",
    samples: Annotated[int, typer.Option(help="Mappings of each layer.")] = 10,
    seed: Annotated[int, typer.Option(help="The same seed draws the same mappings.")] = 0,
    instructions: Annotated[str, typer.Option(help="What does the tiles of a layer: primitive, loops, or auto.")] = "primitive",
    tilings: Annotated[str, typer.Option(help="exact: tiles that divide a layer; ragged: last tiles may be smaller.")] = "exact",
    backend: Annotated[str, typer.Option(help="verilator, or functional, which has no cycles.")] = "verilator",
    max_cycles: Annotated[int, typer.Option(help="Mappings that the model expects to take more cycles are not drawn.")] = 1_000_000,
    jobs: Annotated[int, typer.Option(help="Mappings that run at a time; 0 for one a processor core.")] = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="The table; what is in it is not run again.")] = Path("dataset.csv"),
) -> None:
    """Draw mappings of layers, run them on the hardware in parallel, and add a line for each to a table."""
    from baco.hardware import read_hardware
    from baco.search import dataset as collection

    options = collection.Options(samples, seed, instructions, tilings, backend, max_cycles, jobs)
    name, chosen = _layers(network, inputs, problem, layers)
    config = read_hardware(hardware)
    with _progress() as show:
        new = collection.collect(out, name, chosen, config, options, show)
    good = sum(line["status"] == collection.OK for line in new)
    typer.echo(f"{len(new)} new lines in {out}, {good} of them measured; the others say why not in the column status.")
    if any("differ from NumPy" in str(line["status"]) for line in new):
        raise typer.Exit(1)


def _layers(network: str, inputs: Sequence[str] | None, problems: Sequence[str] | None, wanted: str) -> tuple[str, list[Layer]]:
    """The layers to draw mappings of, and the network's name."""
    from baco import workloads

    if bool(network) == bool(problems):
        raise DatasetError("baco dataset takes either a network or problems: resnet50, or --problem P=64,C=64,K=64.")
    if problems:
        return "", [workloads.Layer(read_problem(text)) for text in problems]
    from_file = ".py:" in network or network.endswith(".py")
    table = workloads.from_file(network, inputs or ()) if from_file else workloads.network(network)
    if wanted == "all":
        return table.name, list(table.layers)
    by_name, names = {layer.name: layer for layer in table.layers}, [part.strip() for part in wanted.split(",")]
    for missing in (n for n in names if n not in by_name):
        raise DatasetError(f"--layers: {table.name} has no layer {missing!r}; its layers are {', '.join(by_name)}.")
    return table.name, [by_name[n] for n in names]


_PAIRS = ("stride", "padding", "dilation")


def read_problem(text: str) -> Problem:
    """The problem of a text such as ``R=3,S=3,P=8,Q=8,C=16,K=16,stride=2x1``.

    Raises:
        DatasetError: for a text of another form.
        InvalidProblem: for sizes that make no sense.
    """
    from baco.workload import DIMENSIONS, Problem

    fields: dict[str, Any] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\w+)=(\d+)(?:x(\d+))?\s*", part)
        if match is None or match[1] not in (*DIMENSIONS, *_PAIRS) or (match[3] and match[1] in DIMENSIONS):
            raise DatasetError(
                f"--problem: cannot read {part!r}; a problem looks like R=3,S=3,P=8,Q=8,C=16,K=16,stride=1,padding=1, "
                f"and what it does not name of {', '.join(DIMENSIONS)} is 1."
            )
        value = int(match[2])
        fields[match[1]] = value if match[1] in DIMENSIONS else (value, int(match[3] or value))
    return Problem(**fields, name=text)


@contextmanager
def _progress() -> Iterator[Callable[[int, int, dict[str, object] | None], None]]:
    """A bar on a terminal; elsewhere a line on standard error for each mapping."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:

        def log(done: int, total: int, line: dict[str, object] | None) -> None:
            print(f"{done}/{total} {_said(line)}", file=sys.stderr, flush=True)

        yield log
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.description}", style="dim"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("building the hardware", total=None)
        yield lambda done, total, line: bar.update(task, completed=done, total=total, description=_said(line))


def _said(line: dict[str, object] | None) -> str:
    if line is None:
        return "in the table already"
    status, device = line["status"], line["device"]
    told = f"{int(str(device)):,} cycles, {int(str(line['predicted_cycles'])):,} predicted" if device != "" else status
    return f"{line['layer']}: {told}"
