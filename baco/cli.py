"""The command line: `baco`, `baco-opt`, `baco-translate` and `baco-llc`.

Commands import what they need when they run, so that `baco --help` answers at once. A fault of the user's, any `BacoError`, is one
sentence on standard error and exit status 2; any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from baco import __version__, collecting, running
from baco.errors import BacoError
from baco.reporting import INTERRUPTED, reporting

if TYPE_CHECKING:
    from baco.workloads import Network

app = typer.Typer(
    name="baco",
    help="Compile block-level Python kernels for the Gemmini accelerator, and find hardware and mappings for a network.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `baco`."""
    return reporting(lambda: app(args=None if argv is None else list(argv), prog_name="baco"))


def opt_main() -> int:
    """Entry point of `baco-opt`: run passes over MLIR text."""
    return _tool("opt")


def translate_main() -> int:
    """Entry point of `baco-translate`: turn lowered MLIR into LLVM IR."""
    return _tool("translate")


def llc_main() -> int:
    """Entry point of `baco-llc`: turn LLVM IR into RISC-V assembly, an object or an ELF."""
    return _tool("llc")


def _tool(name: str) -> int:
    """Call a compiler tool; what it does with MLIR is done in a process of its own, which may die."""

    def call() -> int | None:
        from baco.lowering import tools

        return getattr(tools, name)(
            sys.argv[1:], run=lambda work: tools.isolated(f"baco-{name}", lambda note: reporting(lambda: work(note)))
        )

    return reporting(call)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"baco {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")] = False,
) -> None:
    pass


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """List what BACO uses and whether it is here; exit with status 1 if a required part is missing."""
    from baco import doctor as examination

    findings = examination.examine()
    if as_json:
        typer.echo(json.dumps(examination.to_dicts(findings), indent=2))
    else:
        from rich.console import Console

        Console().print(examination.table(findings))
    if not examination.healthy(findings):
        raise typer.Exit(1)


@app.command("compile")
def compile_(
    kernel: Annotated[str, typer.Argument(help="FILE.py:NAME; the file is run, as an import would.", show_default=False)] = "",
    signature: Annotated[
        str | None,
        typer.Option(help='Types of run-time and values of compile-time parameters: "*i8,*i8,*i32,i64,BLOCK=64".', show_default=False),
    ] = None,
    hardware: Annotated[str, typer.Option(help="A preset's name or a JSON file.")] = "gemmini-default",
    num_stages: Annotated[int, typer.Option(help="How deep loads are buffered.")] = 1,
    instructions: Annotated[
        str, typer.Option(help="What products become: primitive instructions, Gemmini's loops, or auto.")
    ] = "primitive",
    grid_order: Annotated[str, typer.Option(help="Axes of the launch grid from the innermost on, such as 1,0.")] = "0",
    keep_resident: Annotated[bool, typer.Option(help="Keep blocks on the chip that several program instances use.")] = True,
    emit: Annotated[str | None, typer.Option(help="The stage to write; all of them if not given.", show_default=False)] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File of the stage (standard output), or folder of all.", show_default="baco-out/NAME"),
    ] = None,
    list_stages: Annotated[bool, typer.Option("--list-stages", help="List the stages and stop.")] = False,
) -> None:
    """Compile a kernel of a file for the types of its arguments, without running it."""
    from baco.lang import aot
    from baco.lowering import tools

    if list_stages:
        typer.echo("\n".join(f"{name:8} {meaning}" for name, (_, meaning) in aot.STAGES.items()))
        return
    if not kernel:
        raise BacoError("baco compile takes a kernel, as in kernel.py:matmul, and its --signature.")
    if signature is None:
        raise aot.without_signature(kernel)
    if emit is not None and emit not in aot.STAGES:
        raise BacoError(f"there is no stage {emit!r}; the stages are {', '.join(aot.STAGES)}.")
    if emit == "elf" and output is None:
        raise BacoError("--emit elf writes bytes, not text; name a file for them with -o.")
    try:
        order = tuple(int(axis) for axis in grid_order.split(","))
    except ValueError:
        raise BacoError(f"--grid-order takes axes of the grid from the innermost on, such as 1,0, not {grid_order!r}.") from None

    def work(note: Callable[[str], None]) -> int:
        note(f"compiling {kernel}")
        options = {"num_stages": num_stages, "instructions": instructions, "grid_order": order, "keep_resident": keep_resident}
        special = aot.compile_ahead(kernel, signature, tools.load_hardware(hardware), **options)
        for remark in special.compiled.remarks:
            print(f"remark: {remark}", file=sys.stderr)
        if emit is not None:
            tools.write(output and str(output), special.asm[emit])
            return 0
        folder = output or Path("baco-out") / special.compiled.name
        try:
            files = aot.write_stages(special, folder)
        except OSError as error:
            raise BacoError(f"cannot write to {folder}: {error.strerror}; choose another folder with -o.") from None
        typer.echo(f"{len(files)} files are in {folder}: {', '.join(f.name for f in files)}.")
        return 0

    status = tools.isolated("baco compile", lambda note: reporting(lambda: work(note)))
    if status:
        raise typer.Exit(status)


NETWORK_HELP = "The network, such as resnet50 (`baco networks` lists them), or FILE.py:NAME, a PyTorch model or a function that makes one."
INPUT_HELP = "Shape of each input of a PyTorch model, as in 1,3,224,224 or 1,128:int64."


def _read_network(name: str, inputs: Sequence[str] | None) -> Network:
    """The named network, or the one in a file.

    Raises:
        UnknownNetwork, UnreadableModel: if there is none, or it cannot be read.
    """
    from baco import workloads

    return workloads.from_file(name, inputs or ()) if ".py:" in name or name.endswith(".py") else workloads.network(name)


@app.command()
def networks(
    network: Annotated[str, typer.Argument(help=NETWORK_HELP + " All of them if not given.", show_default=False)] = "",
    inputs: Annotated[list[str] | None, typer.Option("--input", help=INPUT_HELP, show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """List the known networks, or the layers of one."""
    from rich.console import Console

    from baco import workloads

    if network:
        shown = _read_network(network, inputs)
        described = workloads.layers_table(shown), shown.to_dict()
    else:
        known = [workloads.network(name) for name in workloads.NETWORKS]
        described = workloads.networks_table(known), [net.to_dict() for net in known]
    if as_json:
        typer.echo(json.dumps(described[1], indent=1))
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(described[0])


@app.command()
def explore(
    network: Annotated[str, typer.Argument(help=NETWORK_HELP, show_default=False)],
    inputs: Annotated[list[str] | None, typer.Option("--input", help=INPUT_HELP, show_default=False)] = None,
    space: Annotated[
        str, typer.Option(help="gemmini: hardware that the generator builds; paper: the wider space of publications.")
    ] = "gemmini",
    objective: Annotated[str, typer.Option(help="What to make small: edp, energy or latency; pareto for a set of designs.")] = "edp",
    budget: Annotated[int | None, typer.Option(help="The most mappings to score; fewer are quicker.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same answer.")] = 0,
    starts: Annotated[int | None, typer.Option(help="The most starting points of descent.", show_default=False)] = None,
    device: Annotated[str, typer.Option(help="Where descent runs: cpu, cuda, or auto, a GPU for thousands of starting points.")] = "auto",
    workers: Annotated[str | None, typer.Option(help="Processes that score tiles, or ray for a cluster.", show_default="all cores")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the design and its kernels.", show_default="baco-out/NETWORK")] = None,
    layers: Annotated[str, typer.Option(help="Layers to compile and run: typical, all, none, or names with commas.")] = "typical",
    max_dim: Annotated[int | None, typer.Option(help="Largest side of the array.", show_default=False)] = None,
    max_pes: Annotated[int | None, typer.Option(help="Most processing elements.", show_default=False)] = None,
    max_scratchpad_kib: Annotated[float | None, typer.Option(help="Largest scratchpad.", show_default=False)] = None,
    max_accumulator_kib: Annotated[float | None, typer.Option(help="Largest accumulator.", show_default=False)] = None,
    max_sram_kib: Annotated[float | None, typer.Option(help="Most memory, both together.", show_default=False)] = None,
    max_area: Annotated[float | None, typer.Option(help="Largest area of array and memories, in mm2.", show_default=False)] = None,
    max_power: Annotated[float | None, typer.Option(help="Most power on average, in mW.", show_default=False)] = None,
    max_latency: Annotated[float | None, typer.Option(help="Most cycles of the whole network.", show_default=False)] = None,
    energy: Annotated[
        Path | None, typer.Option(help="YAML file of constants instead of the published ones: energy, area, clock.", show_default=False)
    ] = None,
    halo: Annotated[str, typer.Option(help="How overlaps of input tiles count: reload, as programs do, or reuse.")] = "reload",
    latency: Annotated[str, typer.Option(help="Reads and writes of a memory: shared bandwidth, or separate.")] = "shared",
    tilings: Annotated[
        str | None,
        typer.Option(
            help="exact: tiles divide their dimension; ragged: the last may be smaller.", show_default="ragged, exact in the paper space"
        ),
    ] = None,
    instructions: Annotated[
        str, typer.Option(help="What does the tiles of a layer: primitive, as predicted, loops, or auto.")
    ] = "primitive",
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Find hardware and mappings for a network together, then compile layers of it for that hardware and run them."""
    from rich.console import Console

    from baco import search
    from baco.perfmodel import Constants
    from baco.search import page, report
    from baco.search.realise import realise

    table = _read_network(network, inputs)
    constants = None if energy is None else Constants.load(energy)
    folder = out or Path("baco-out") / table.name
    with report.live() as progress:
        result = search.explore(
            table,
            space=space,
            objective=objective,
            seed=seed,
            out=folder,
            progress=progress,
            max_dim=max_dim,
            max_scratchpad_kib=max_scratchpad_kib,
            max_accumulator_kib=max_accumulator_kib,
            max_pes=max_pes,
            max_sram_kib=max_sram_kib,
            max_area_mm2=max_area,
            max_power_mw=max_power,
            max_cycles=max_latency,
            constants=constants,
            halo=halo,
            latency=latency,
            tilings=tilings,
            device=device,
            workers=int(workers) if workers and workers.isdecimal() else workers,
            **({} if budget is None else {"budget": budget}),
            **({} if starts is None else {"starts": starts}),
        )
    if not as_json:
        report.print_result(result)
    ran = []
    if layers != "none" and not result.interrupted:
        notes = Console(stderr=True)
        chosen = {"typical": None, "all": "all"}.get(layers, [name.strip() for name in layers.split(",")])

        def tell(text: str) -> None:
            notes.print(text, style="dim", highlight=False)

        ran = realise(result, layers=chosen, out=folder, progress=tell, instructions=instructions)
    described = page.write_report(result, folder)
    if as_json:
        typer.echo(json.dumps({**result.to_dict(), "out": str(folder), "ran": [layer.to_dict() for layer in ran]}, indent=1))
    else:
        if ran:
            report.print_realised(ran)
        typer.echo(f"The design is in {folder}; {described} shows it.")
    if result.interrupted:
        raise typer.Exit(INTERRUPTED)
    if not all(layer.correct and (layer.equal or layer.loops) for layer in ran):
        raise typer.Exit(1)


@app.command("report")
def report_(
    folder: Annotated[Path, typer.Argument(help="Folder that `baco explore` wrote.", show_default=False)],
) -> None:
    """Write report.html anew from what is in a folder of `baco explore`."""
    from baco import search
    from baco.search import page

    typer.echo(f"{page.write_report(search.load(folder), folder)} shows the design.")


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="Folder that `baco explore` wrote.", show_default=False)],
    second: Annotated[Path, typer.Argument(help="Another one.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="The page to write.", show_default="SECOND/comparison.html")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Say what two designs differ in: hardware, and EDP, energy and latency of the whole network and of each layer."""
    from rich.console import Console

    from baco import search
    from baco.search.compare import COMPARISON_FILE, Comparison

    both = Comparison((str(first), str(second)), search.load(first), search.load(second))
    file = out or (second if second.is_dir() else second.parent) / COMPARISON_FILE
    both.write(file)
    if as_json:
        typer.echo(json.dumps({**both.to_dict(), "page": str(file)}, indent=1))
        return
    console = Console(width=None if sys.stdout.isatty() else 160)
    for table in both.tables():
        console.print(table)
    typer.echo(f"{file} shows both.")


running.register(app)
collecting.register(app)

if __name__ == "__main__":
    sys.exit(main())
