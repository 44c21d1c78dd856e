"""Differential checking: one kernel on every backend with the same inputs, every word compared, and the way back to the line at fault.

    baco check kernel.py:matmul --signature '*i8[64x64], *i8[64x64], *i32[64x64], 64, 64, 64, BLOCK=32' --grid 2,2

The signature is that of `baco compile`, with what a run needs besides: the shape of each array, and numbers in place of their types.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from baco import knobs
from baco.errors import BacoError
from baco.hardware import GemminiConfig
from baco.lang import launch
from baco.lang.aot import TYPES, Entry, SignatureError, entries
from baco.lang.jit import CPU, INTERPRETED, JITFunction
from baco.lang.launch import Options

BACKENDS = {
    "interpret": INTERPRETED,
    INTERPRETED: INTERPRETED,
    CPU: CPU,
    "functional": "functional",
    "spike": "spike",
    "verilator": "verilator",
}
"""The backends by the names that may be given."""
_SIMULATED = ("functional", "spike", "verilator")


class CheckError(BacoError):
    """A backend or argument that a check cannot use."""


@dataclass(frozen=True)
class Writer:
    """Who stored to an element on the functional simulator, last of all."""

    instruction: str
    """Name and operands of the instruction; of the step, where a loop did it."""
    part_of: str | None
    """The loop instruction."""
    pc: int
    instance: tuple[int, int, int]
    """The program instance."""
    tile: tuple[int, ...] | None
    """The first element of what the instruction stored."""
    line: str | None
    source: str | None


@dataclass(frozen=True)
class Difference:
    """The first element, in the order of the parameters and in C order, in which a backend differs from the first backend that ran."""

    backend: str
    reference: str
    argument: str
    index: tuple[int, ...]
    expected: int | float
    found: int | float
    words: int
    """How many elements differ in all."""
    writer: Writer | None
    """None if nothing stored there on the functional simulator, or it is not here."""


@dataclass
class Report:
    """What a check found: for each backend "agrees", "differs", or why it was skipped or failed."""

    kernel: str
    ran: dict[str, str] = field(default_factory=dict)
    words: int = 0
    """Elements compared for each backend."""
    differences: list[Difference] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether at least two backends ran, and nothing failed or differed."""
        outcomes = list(self.ran.values())
        return not self.differences and not any(o.startswith("failed") for o in outcomes) and outcomes.count("agrees") >= 2

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return {**asdict(self), "agrees": self.agrees}


def inputs(signature: str, kernel: JITFunction, seed: int = 0) -> dict[str, Any]:
    """Arguments for a kernel: random arrays of the shapes given, the same for the same seed, and the numbers given.

    Raises:
        SignatureError: if the signature does not fit the kernel.
    """
    rng = np.random.default_rng(seed)
    order = [p.name for p in kernel.parameters]
    given: dict[str, Any] = {}
    for i, entry in enumerate(entries(signature)):
        if entry.name is None and i >= len(order):
            raise SignatureError(signature, f"there are only {len(order)} parameters: {', '.join(order)}.", entry.at)
        name = entry.name or order[i]
        if name not in order or name in given:
            raise SignatureError(
                signature, f"{name!r} is {'given twice' if name in given else 'no parameter'}; there are {', '.join(order)}.", entry.at
            )
        given[name] = _argument(signature, entry, rng)
    missing = [p.name for p in kernel.parameters if p.name not in given and p.default is inspect.Parameter.empty]
    if missing:
        raise SignatureError(signature, f"nothing is said about {', '.join(missing)}.")
    return given


def _argument(signature: str, entry: Entry, rng: np.random.Generator) -> Any:
    pointer = re.fullmatch(r"\*\s*(\w+)\s*\[([\dx, ]+)\]", entry.text)
    if pointer and pointer[1] in TYPES:
        shape = tuple(int(n) for n in re.findall(r"\d+", pointer[2]))
        return random_array(rng, shape, np.dtype(TYPES[pointer[1]].name))
    if entry.text.removeprefix("bl.") in TYPES:
        return TYPES[entry.text.removeprefix("bl.")]
    try:
        return ast.literal_eval(entry.text)
    except (ValueError, SyntaxError):
        raise SignatureError(
            signature, f"give an array as *TYPE[SHAPE], such as *i8[64x64], or a value, not {entry.text}.", entry.at
        ) from None


def random_array(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Values of the whole range of int8, of a thousandth of the range of wider integers, or normal floats."""
    if dtype.kind == "f":
        return rng.normal(size=shape).astype(dtype)
    limits = np.iinfo(dtype)
    largest = limits.max if dtype.itemsize == 1 else limits.max // 1000
    return rng.integers(max(limits.min, -largest - 1), largest, shape, dtype, endpoint=True)


def check(
    kernel: JITFunction,
    arguments: Mapping[str, Any],
    grid: Sequence[int],
    backends: Sequence[str],
    hardware: GemminiConfig,
    options: Options | None = None,
) -> Report:
    """Run a kernel on every backend and compare what is in its arrays afterwards, bit by bit.

    Programs run in strict mode. A backend that is not here is skipped; one that stops with an error has failed.

    Raises:
        CheckError: for a backend that there is not.
        LaunchError: if the arguments do not fit the kernel.
    """
    options = options or Options()
    unknown = [b for b in backends if b not in BACKENDS]
    if unknown:
        raise CheckError(f"there is no backend {unknown[0]!r}; those there are: {', '.join(BACKENDS)}.")
    arrays = [name for name, value in arguments.items() if isinstance(value, np.ndarray)]
    report = Report(kernel.__name__, words=sum(arguments[name].size for name in arrays))
    results: dict[str, dict[str, np.ndarray]] = {}
    for name in dict.fromkeys(backends):
        missing = _missing(BACKENDS[name], hardware)
        if missing:
            report.ran[name] = f"skipped: {missing}"
            continue
        mine = _copied(arguments)
        try:
            with knobs.strict.scope(True):
                kernel.run(
                    grid=grid,
                    hardware=hardware,
                    backend=BACKENDS[name],
                    num_stages=options.num_stages,
                    instructions=options.instructions,
                    **mine,
                )
        except BacoError as error:
            report.ran[name] = f"failed: {error}"
            continue
        results[name] = {array: mine[array] for array in arrays}
        reference = next(iter(results))
        found = _first_difference(results[reference], results[name], arguments)
        report.ran[name] = "differs" if found else "agrees"
        if found:
            argument, index, words = found
            expected, value = results[reference][argument][index], results[name][argument][index]
            writer = _writer(kernel, arguments, grid, hardware, options, argument, index)
            report.differences.append(Difference(name, reference, argument, index, expected.item(), value.item(), words, writer))
    return report


def _missing(backend: str, hardware: GemminiConfig) -> str | None:
    """Why a backend cannot run here."""
    from baco.sim import ProgramError, rtl_build, spike

    try:
        if backend == "spike":
            spike.find(hardware.dim)
        elif backend == "verilator":
            rtl_build.find()
    except ProgramError as error:
        return str(error)
    return None


def _copied(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in arguments.items()}


def _first_difference(
    expected: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray], arguments: Mapping[str, Any]
) -> tuple[str, tuple[int, ...], int] | None:
    """Argument and index of the first element whose bits differ, and how many do."""
    first, words = None, 0
    for name in (n for n in arguments if n in expected):
        bits = np.dtype(f"u{expected[name].dtype.itemsize}")
        differ = np.flatnonzero(expected[name].reshape(-1).view(bits) != found[name].reshape(-1).view(bits))
        words += differ.size
        if first is None and differ.size:
            first = name, tuple(int(i) for i in np.unravel_index(differ[0], expected[name].shape))
    return None if first is None else (*first, words)


def _writer(
    kernel: JITFunction,
    arguments: Mapping[str, Any],
    grid: Sequence[int],
    hardware: GemminiConfig,
    options: Options,
    argument: str,
    index: tuple[int, ...],
) -> Writer | None:
    """Run the program on the functional simulator again and watch the element."""
    from baco import sim
    from baco.sim.observer import Observer

    mine = _copied(arguments)
    special = kernel.warmup(hardware=hardware, num_stages=options.num_stages, instructions=options.instructions, **mine)
    names = [p.name for p in special.program.parameters]
    array = mine[argument]
    offset = int(np.ravel_multi_index(index, array.shape)) * array.itemsize
    observer = Observer(watch=(names.index(argument), offset, array.itemsize))
    bound = kernel.bind((), mine)
    values = [launch.plain(bound[name]) for name in names]
    with contextlib.suppress(sim.SimulationFault):  # what was stored before it stopped is what there is
        sim.run(special.program, hardware, values, launch.grid_sizes(kernel.__name__, grid, bound), observer=observer)
    return _describe(observer, special.program.elf, array)


def _describe(observer: Any, elf: bytes, array: np.ndarray) -> Writer | None:
    from baco.sim.lines import LineTable
    from baco.sim.observer import HOST
    from baco.sim.trace import rows_text

    step = observer.last_store
    if step is None:
        return None
    line = LineTable(elf).find(step.pc)
    at = (step.dram - observer.argument_address) // array.itemsize
    tile = tuple(int(i) for i in np.unravel_index(at, array.shape)) if 0 <= at < array.size else None
    if step.name == HOST:
        text = f"a store of {step.bytes} bytes by the host core"
    else:
        text = f"{step.name} dram={step.dram:#x}, {', '.join(map(rows_text, step.rows))}, {step.bytes} bytes"
    part_of = step.parent if step.parent != step.name else None
    return Writer(text, part_of, step.pc, step.instance, tile, line and str(line), line and line.text)


def text_of(report: Report) -> str:
    """A report for people."""
    lines = [f"{report.kernel}: {report.words} words compared"]
    lines += [f"  {name:12} {outcome}" for name, outcome in report.ran.items()]
    for d in report.differences:
        index = ", ".join(map(str, d.index))
        lines.append(
            f"{d.backend} differs from {d.reference} in {d.words} words, first in {d.argument}[{index}]: {d.found} instead of {d.expected}."
        )
        w = d.writer
        if w is None:
            lines.append("  Nothing stored there on the functional simulator.")
            continue
        lines.append(f"  program instance  {w.instance}")
        if w.tile is not None:
            lines.append(f"  tile              from {d.argument}[{', '.join(map(str, w.tile))}]")
        part = f" of {w.part_of}" if w.part_of else ""
        lines.append(f"  instruction       {w.instruction}{part}, at pc {w.pc:#x}")
        lines.append(f"  line              {w.line}: {w.source}" if w.line else "  line              the program has no line table")
    return "\n".join(lines)
