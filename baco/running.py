"""`baco run`, `baco check` and `baco audit`: an ELF file run or looked through, and a kernel compared on all backends.

A kernel that `baco compile` wrote into an ELF takes arguments; ``NAME.json`` beside its ELF says which. They follow the file's name on the
command line:

    baco run matmul.elf a=random:64x128 b=random:128x64 c=zeros:64x64 M=64 N=64 K=128 --grid 2,2

A value is a number, ``random:SHAPE``, ``zeros:SHAPE`` or the name of a .npy file.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from baco import knobs
from baco.errors import BacoError
from baco.reporting import reporting

if TYPE_CHECKING:
    import numpy as np

    from baco.hardware import GemminiConfig
    from baco.sim import Program, RunResult
    from baco.sim.cycles import Cycles

TRACE_LIMIT = 100_000
COUNTING = ("functional", "verilator")
"""The backends that count what the accelerator does."""
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class RunError(BacoError):
    """A file, option or argument that `baco run` or `baco audit` cannot use."""


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("run")(run)
    app.command("check")(check)
    app.command("audit")(audit)


def run(
    program: Annotated[Path, typer.Argument(help="An ELF file for a RISC-V core with Gemmini.", show_default=False)],
    arguments: Annotated[list[str] | None, typer.Argument(help="A kernel's arguments: NAME=VALUE.", show_default=False)] = None,
    config: Annotated[
        str | None,
        typer.Option(
            help="The machine: a preset, or a .json, .yaml or gemmini_params.h file.", show_default="the one compiled for, gemmini-default"
        ),
    ] = None,
    backend: Annotated[str, typer.Option(help="functional, spike or verilator.")] = "functional",
    grid: Annotated[str, typer.Option(help="A kernel's launch grid.")] = "1",
    strict: Annotated[bool, typer.Option("--strict", help="Refuse what Spike lets pass but hardware would not (docs/strict.md).")] = False,
    counters: Annotated[bool, typer.Option("--counters", help="Print what the accelerator did.")] = False,
    trace: Annotated[Path | None, typer.Option(help="Write a trace for ui.perfetto.dev.", show_default=False)] = None,
    memory_model: Annotated[
        str | None,
        typer.Option(
            help="Memory of the verilator backend: cached[:LATENCY] or flat[:LATENCY[:PUTS]].", show_default="BACO_MEMORY_MODEL, cached"
        ),
    ] = None,
    trace_limit: Annotated[int, typer.Option(help="Steps of the trace; the rest are left out.", min=1)] = TRACE_LIMIT,
    max_instructions: Annotated[int, typer.Option(help="Host instructions after which a run is stopped.", min=1)] = 2_000_000_000,
    memory: Annotated[str, typer.Option(help="Bytes of guest memory, with K, M or G.")] = "1G",
    timeout: Annotated[float | None, typer.Option(help="Seconds after which a run is stopped.", show_default=False)] = None,
    seed: Annotated[int, typer.Option(help="Of random arguments.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the arrays that a kernel writes, as .npy.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Run a program; exit with its status."""
    from baco import sim
    from baco.hardware import GemminiConfig, read_hardware
    from baco.sim.observer import Observer

    about = _description(program)
    machine = read_hardware(config) if config else GemminiConfig.from_dict(about["hardware"]) if about else GemminiConfig()
    loaded = _program(program, about)
    values = _values(loaded, arguments or [], seed)
    limits = sim.Limits(max_instructions, timeout, _bytes(memory))
    observer = Observer(trace_limit) if trace else None
    with knobs.memory_model.scope(memory_model or knobs.memory_model.value):
        result = sim.run(
            loaded, machine, list(values.values()), _grid(grid), backend=backend, limits=limits, strict=strict or None, observer=observer
        )
    wrote = _write_results(loaded, values, out)
    if trace is not None and observer is not None:
        _write_trace(trace, observer, loaded, machine, program.stem)
    if as_json:
        typer.echo(json.dumps(_to_dict(result, machine, backend, wrote, trace), indent=1))
    else:
        sys.stdout.write(result.output.decode(errors="replace"))
        sys.stdout.flush()
        if counters:
            _print_counters(result, machine, backend)
    if result.exit_code:
        raise typer.Exit(result.exit_code & 0xFF or 1)


def check(
    kernel: Annotated[str, typer.Argument(help="FILE.py:NAME; the file is run, as an import would.", show_default=False)],
    signature: Annotated[str, typer.Option(help='Arguments: "*i8[64x64], *i32[64x64], 64, BLOCK=32".', show_default=False)],
    backends: Annotated[
        str, typer.Option(help="Names with commas; results are compared with the first.")
    ] = "interpret,cpu,functional,spike",
    grid: Annotated[str, typer.Option(help="The launch grid.")] = "1",
    hardware: Annotated[str, typer.Option(help="A preset's name, or a .json, .yaml or gemmini_params.h file.")] = "gemmini-default",
    num_stages: Annotated[int, typer.Option(help="How deep loads are buffered.")] = 1,
    instructions: Annotated[str, typer.Option(help="What products become: primitive, loops or auto.")] = "primitive",
    seed: Annotated[int, typer.Option(help="Of the random inputs.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Run a kernel on several backends and compare every word; exit with status 1 if they differ."""
    from baco.hardware import read_hardware
    from baco.lang import check as checking
    from baco.lang.aot import load_kernel
    from baco.lang.launch import Options
    from baco.lowering import tools

    machine, sizes, options = read_hardware(hardware), _grid(grid), Options(num_stages, instructions)

    def work(note: Callable[[str], None]) -> int:
        note(f"checking {kernel}")
        function = load_kernel(kernel)
        arguments = checking.inputs(signature, function, seed)
        report = checking.check(function, arguments, sizes, [name.strip() for name in backends.split(",")], machine, options)
        typer.echo(json.dumps(report.to_dict(), indent=1) if as_json else checking.text_of(report))
        return 0 if report.agrees else 1

    status = tools.isolated("baco check", lambda note: reporting(lambda: work(note)))
    if status:
        raise typer.Exit(status)


def audit(
    program: Annotated[Path, typer.Argument(help="An ELF file or object for a RISC-V core with Gemmini.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """List a program's Gemmini commands, C library functions and memory; exit with status 1 if some of it is no instruction."""
    from baco.lowering.audit import audit as look

    found = look(_read(program))
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=1))
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table("what", "found", title=program.name, title_justify="left")
        table.add_row("Gemmini commands", "\n".join(f"{n} {name}" for name, n in found.commands.items()) or "none")
        table.add_row("C library", ", ".join(found.libc) or "none")
        stack = "not named" if found.stack is None else str(found.stack)
        sizes = {"text": found.text, "data": found.data, "bss": found.bss, "stack": stack, "heap": "yes" if found.heap else "none"}
        table.add_row("memory (bytes)", "\n".join(f"{name} {size}" for name, size in sizes.items()))
        table.add_row("outside the instruction table", "\n".join(found.unknown) or "nothing")
        table.add_row("not on Spike", "\n".join(found.not_on_spike) or "nothing")
        if found.undefined:
            table.add_row("undefined symbols", ", ".join(found.undefined))
        Console().print(table)
    if not found.clean:
        raise typer.Exit(1)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}.") from None


def _description(path: Path) -> Mapping[str, Any] | None:
    """What `baco compile` wrote about a kernel beside its ELF; None if there is nothing of the kind."""
    beside = path.with_suffix(".json")
    try:
        about = json.loads(beside.read_text())
        return about if {"parameters", "hardware"} <= about.keys() else None
    except (OSError, ValueError, AttributeError):
        return None


def _program(path: Path, about: Mapping[str, Any] | None) -> Program:
    from baco.sim import Parameter, Program

    elf = _read(path)
    if about is None:
        if b"\0baco_arguments\0" in elf:
            raise RunError(f"{path} is a kernel that takes arguments, but {path.with_suffix('.json')}, which says which, is not there.")
        return Program(elf)
    try:
        parameters = tuple(Parameter(p["name"], p["kind"], p["type"], p["written"]) for p in about["parameters"])
    except (KeyError, TypeError):
        raise RunError(f"{path.with_suffix('.json')} does not describe a kernel as baco compile does.") from None
    return Program(elf, parameters)


def _values(program: Program, given: Sequence[str], seed: int) -> dict[str, Any]:
    """The kernel's arguments by name, in order."""
    import numpy as np

    texts: dict[str, str] = {}
    names = [p.name for p in program.parameters]
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in names:
            raise RunError(f"{text!r} is no argument of the program, which takes {', '.join(f'{n}=VALUE' for n in names) or 'none'}.")
        texts[name] = value
    missing = [n for n in names if n not in texts]
    if missing:
        raise RunError(f"nothing is said about {', '.join(missing)}; add {' '.join(f'{n}=VALUE' for n in missing)}.")
    rng = np.random.default_rng(seed)
    return {p.name: _value(p.name, p.kind, np.dtype(p.dtype), texts[p.name], rng) for p in program.parameters}


def _value(name: str, kind: str, dtype: np.dtype, text: str, rng: np.random.Generator) -> Any:
    import numpy as np

    from baco.lang.check import random_array

    if kind == "scalar":
        try:
            return float(text) if dtype.kind == "f" else int(text, 0)
        except ValueError:
            raise RunError(f"{name}={text} must be a {'number' if dtype.kind == 'f' else 'whole number'}.") from None
    match = re.fullmatch(r"(random|zeros):(\d+(?:x\d+)*)", text)
    if match:
        shape = tuple(map(int, match[2].split("x")))
        return random_array(rng, shape, dtype) if match[1] == "random" else np.zeros(shape, dtype)
    try:
        return np.ascontiguousarray(np.load(text, allow_pickle=False))
    except (OSError, ValueError) as error:
        raise RunError(f"{name}={text} is neither random:SHAPE, zeros:SHAPE nor a .npy file: {error}") from None


def _grid(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\d+(,\d+){0,2}", text):
        raise RunError(f"--grid is {text!r}; give one to three numbers, such as 4,2.")
    return tuple(map(int, text.split(",")))


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+)([KMG]?)", text)
    if not match:
        raise RunError(f"--memory is {text!r}; give bytes, such as 268435456 or 256M.")
    return int(match[1]) * _UNITS[match[2]]


def _write_results(program: Program, values: Mapping[str, Any], folder: Path | None) -> list[str]:
    import numpy as np

    if folder is None:
        return []
    paths = [folder / f"{p.name}.npy" for p in program.parameters if p.kind == "buffer" and p.writable]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            np.save(path, values[path.stem])
    except OSError as error:
        raise RunError(f"cannot write to {folder}: {error.strerror}; choose another folder with --out.") from None
    return [str(path) for path in paths]


def _write_trace(path: Path, observer: Any, program: Program, machine: GemminiConfig, name: str) -> None:
    from baco.sim.trace import trace_of, trace_text
    from baco.toolchain import atomic_write

    try:
        atomic_write(path, trace_text(trace_of(observer, program.elf, machine, name)))
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}; choose another file with --trace.") from None
    if observer.left_out:
        kept = observer.count - observer.left_out
        print(f"note: the trace holds {kept} of {observer.count} steps; raise --trace-limit for more.", file=sys.stderr)


def _to_dict(result: RunResult, machine: GemminiConfig, backend: str, wrote: Sequence[str], trace: Path | None) -> dict[str, Any]:
    from dataclasses import asdict

    from baco.sim.cost import counted_cost

    counted = backend in COUNTING
    cost = counted_cost(result.counters, machine) if counted else None
    return {
        "exit_code": result.exit_code,
        "output": result.output.decode(errors="replace"),
        "backend": backend,
        "hardware": machine.to_dict(),
        "counters": result.counters.to_dict() if counted else None,
        "cost": None if cost is None else {**asdict(cost), "cycles": cost.cycles, "bound": cost.bound},
        "cycles": None if result.cycles is None else result.cycles.to_dict(),
        "arrays": list(wrote),
        "trace": None if trace is None else str(trace),
    }


def _print_counters(result: RunResult, machine: GemminiConfig, backend: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from baco.sim.cost import counted_cost

    if backend not in COUNTING:
        print(f"note: {backend} counts nothing; the functional backend does.", file=sys.stderr)
        return
    counters = result.counters
    cost = counted_cost(counters, machine)
    table = Table("counter", "value", title="What the accelerator did", title_justify="left")
    rows: list[tuple[str, float]] = [(name, n) for name, n in counters.instructions.items()]
    rows += [(f"{name} (in loops)", n) for name, n in counters.unrolled.items()]
    rows += [("multiply-accumulates", counters.traffic.macs), ("DRAM bytes read", counters.dram_bytes_read)]
    rows += [("DRAM bytes written", counters.dram_bytes_written)]
    rows += [(f"{level} words read or written", counters.traffic.accesses(level)) for level in ("scratchpad", "accumulator")]
    rows += [("host instructions", counters.host_instructions)]
    if result.cycles is None:
        rows += [(f"estimated cycles (bound by {cost.bound})", round(cost.cycles))]
    for name, n in rows:
        table.add_row(name, f"{n:,}")
    Console().print(table)
    if result.cycles is not None:
        _print_cycles(result.cycles)


def _print_cycles(cycles: Cycles) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("cycles", "value", title=f"Where the time went (memory: {cycles.memory})", title_justify="left")
    for name, n in (
        ("whole", cycles.whole),
        ("accelerator busy", cycles.device),
        ("host core at work", cycles.host),
        ("host core waits to hand a command over", cycles.queue_wait),
        ("host core waits at fences", cycles.fence_wait),
    ):
        table.add_row(name, f"{n:,}")
    table.add_row("utilisation of the array", f"{cycles.utilisation:.1%}")
    for queue, found in cycles.stalls.items():
        for reason, n in found.items():
            table.add_row(f"{queue} waits for {reason}", f"{n:,}")
    table.add_section()
    table.add_row("reads", f"{cycles.reads:,} ({cycles.bytes_read:,} bytes)")
    table.add_row("writes", f"{cycles.writes:,} ({cycles.bytes_written:,} bytes)")
    if cycles.cache_hits or cycles.cache_misses:
        table.add_row("cache hits, misses, lines written back", f"{cycles.cache_hits:,}, {cycles.cache_misses:,}, {cycles.write_backs:,}")
    Console().print(table)
