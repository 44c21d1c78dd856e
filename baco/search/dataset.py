"""A table of mappings with what the model predicts for them and what the hardware takes: `baco dataset`.

One line of the CSV file is one mapping of one layer on one machine, run on the RTL (or, without cycles, on the functional simulator). The
columns are those of :data:`COLUMNS`; docs/dataset.md describes them. The table grows by whole lines, each written in one piece, so that a
run that was killed goes on where it was: what is in the table is not run again, and half a line at its end is dropped.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path

from baco import knobs
from baco.errors import BacoError
from baco.hardware import GemminiConfig
from baco.perfmodel import Machine, evaluate
from baco.search.errors import InvalidSearch, OutputFolder
from baco.search.sampling import mappings
from baco.search.tilings import EXACT
from baco.toolchain import atomic_write, digest
from baco.workload import DIMENSIONS, Mapping, Problem
from baco.workloads import Layer

BACKENDS = ("verilator", "functional")
IDENTITY = (
    "key",
    "network",
    "layer",
    "count",
    *DIMENSIONS,
    "stride",
    "padding",
    "dilation",
    "mapping",
    "instructions",
    "memory",
    "hardware",
)
PREDICTED = ("macs", "predicted_cycles", "predicted_energy_pj", "predicted_bound")
CYCLES = ("whole", "device", "host", "queue_wait", "fence_wait", "utilisation", "reads", "writes", "bytes_read", "bytes_written")
MEASURED = (
    "status",
    *CYCLES,
    *("cache_hits", "cache_misses", "write_backs", "stalls", "commands", "host_instructions", "dram_bytes_read", "dram_bytes_written"),
)
COLUMNS = (*IDENTITY, *PREDICTED, *MEASURED)
OK = "ok"
"""The status of a mapping that ran and computed what NumPy does."""
DEFAULT_MOST_CYCLES = 1_000_000


@dataclass(frozen=True)
class Options:
    """How mappings are drawn and run.

    Raises:
        InvalidSearch: on construction, for an option that makes no sense.
    """

    samples: int = 10
    """Mappings of each layer."""
    seed: int = 0
    instructions: str = "primitive"
    """As for :func:`baco.lowering.mapping_program.compile_mapping`."""
    tilings: str = EXACT
    backend: str = BACKENDS[0]
    most_cycles: int = DEFAULT_MOST_CYCLES
    """Mappings for which the model predicts more, or that need more host instructions, are not run."""
    jobs: int = 0
    """Processes; 0 for one a processor core."""

    def __post_init__(self) -> None:
        from baco.lowering.choices import INSTRUCTIONS

        for name, least in (("samples", 1), ("most_cycles", 1), ("jobs", 0)):
            if getattr(self, name) < least:
                raise InvalidSearch(name.replace("_", "-"), f"must be at least {least}, but is {getattr(self, name)}.")
        for name, known in (("backend", BACKENDS), ("instructions", INSTRUCTIONS)):
            if getattr(self, name) not in known:
                raise InvalidSearch(name, f"must be one of {', '.join(known)}, but is {getattr(self, name)!r}.")


@dataclass(frozen=True)
class Task:
    """One mapping to run."""

    network: str
    layer: Layer
    mapping: Mapping
    config: GemminiConfig
    options: Options
    memory: str
    """The memory model; empty where there is no clock."""

    @property
    def key(self) -> str:
        """Names all that decides the measured figures, but for the hardware's description itself."""
        parts = (self.layer.problem.to_dict(), str(self.mapping), self.config.to_dict(), self.options.instructions, self.memory)
        return digest(json.dumps(parts))[:16]

    def identity(self) -> dict[str, object]:
        """The first columns of the task's line."""
        p = self.layer.problem
        pairs = {name: "{}x{}".format(*getattr(p, name)) for name in ("stride", "padding", "dilation")}
        names = {"key": self.key, "network": self.network, "layer": self.layer.name, "count": self.layer.count}
        how = {"mapping": str(self.mapping), "instructions": self.options.instructions, "memory": self.memory}
        return {**names, **p.sizes, **pairs, **how, "hardware": hardware_name(self.config)}


def hardware_name(config: GemminiConfig) -> str:
    """A short digest of a machine; the file beside the table says which machine it names."""
    return digest(json.dumps(config.to_dict(), sort_keys=True))[:12]


def tasks(network: str, layers: Sequence[Layer], config: GemminiConfig, options: Options) -> list[Task]:
    """The mappings to run: the first of every layer, then the second of every layer, and so on.

    Raises:
        InvalidSearch: if there is no mapping of a layer that the machine holds and that is short enough.
    """
    machine, memory = Machine.from_config(config), knobs.memory_model.value if options.backend == "verilator" else ""
    buffers = 1 if options.instructions == "primitive" else 2  # loop instructions use half of each memory
    drawn: list[list[Task]] = []
    for layer in layers:

        def short(mapping: Mapping, problem: Problem = layer.problem) -> bool:
            return evaluate(problem, mapping, machine).cycles <= options.most_cycles

        found = mappings(layer.problem, config, options.seed, buffers, options.tilings, short)
        drawn.append([Task(network, layer, m, config, options, memory) for m in islice(found, options.samples)])
        if not drawn[-1]:
            raise InvalidSearch(
                f"layer {layer.name}".strip(),
                f"no mapping was found that a machine of {config.dim} x {config.dim} holds and that takes at most "
                f"{options.most_cycles:,} cycles by the model; allow more with --max-cycles.",
            )
    return [task for row in zip_longest(*drawn) for task in row if task is not None]


def measure(task: Task) -> dict[str, object]:
    """Run one mapping; its line of the table. What cannot be compiled or run says so in the column `status`."""
    cost = evaluate(task.layer.problem, task.mapping, Machine.from_config(task.config))
    line = dict.fromkeys(COLUMNS, "") | task.identity()
    line |= {"macs": task.layer.problem.macs, "predicted_cycles": round(cost.cycles)}
    line |= {"predicted_energy_pj": round(cost.energy_pj), "predicted_bound": cost.binding}
    try:
        return line | _run(task)
    except BacoError as error:
        return line | {"status": " ".join(str(error).split())}


def _run(task: Task) -> dict[str, object]:
    import numpy as np

    from baco.lowering.mapping_program import compile_mapping
    from baco.search.realise import example, reference
    from baco.sim import Limits

    problem, options = task.layer.problem, task.options
    inputs, weights, scale = example(problem)
    program = compile_mapping(problem, task.mapping, task.config, scale=scale, relu=True, instructions=options.instructions)
    with knobs.memory_model.scope(task.memory) if task.memory else contextlib.nullcontext():
        outputs, run = program.run(inputs, weights, backend=options.backend, limits=Limits(instructions=options.most_cycles))
    wrong = int(np.count_nonzero(outputs != reference(problem, inputs, weights, scale, True)))
    counted, cycles = run.counters, run.cycles
    found: dict[str, object] = {
        "status": OK if not wrong else f"{wrong} of {outputs.size} outputs differ from NumPy's",
        "commands": sum(counted.instructions.values()),
        "host_instructions": counted.host_instructions,
        "dram_bytes_read": counted.dram_bytes_read,
        "dram_bytes_written": counted.dram_bytes_written,
    }
    if cycles is not None:
        found |= {name: getattr(cycles, name) for name in (*CYCLES, "cache_hits", "cache_misses", "write_backs")}
        found |= {"utilisation": f"{cycles.utilisation:.4f}", "stalls": json.dumps(cycles.stalls)}
    return found


# The table --------------------------------------------------------------------------------------------------------------------------


class Table:
    """The CSV file, opened for appending by one process at a time. `dropped` says whether half a line at its end was dropped.

    Raises:
        OutputFolder: if it cannot be read or written, is another table, is damaged elsewhere than at its end, or is in use.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.dropped = path, False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise OutputFolder(path, f"cannot be opened: {error.strerror}; name another table.") from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise OutputFolder(path, "another run writes to this table; wait for it, or name another table.") from None
        try:
            self.keys = self._read()
        except BaseException:
            self.close()
            raise

    def _read(self) -> set[str]:
        with open(self._file, "rb", closefd=False) as file:
            data = file.read()
        whole, _, rest = data.rpartition(b"\n")
        lines = (whole + b"\n" if whole else b"").decode(errors="replace").splitlines(keepends=True)
        if not lines:
            if rest and not _csv(COLUMNS).startswith(rest.decode(errors="replace")):
                raise OutputFolder(self.path, "is not a table of `baco dataset`; name another one.")
            self._cut(0, bool(rest))
            self._append(_csv(COLUMNS))
            return set()
        if lines[0] != _csv(COLUMNS):
            raise OutputFolder(self.path, "has other columns than `baco dataset` of this version writes; name another table.")
        keys, good = set(), len(lines[0].encode())
        for number, line in enumerate(lines[1:], 2):
            fields = next(csv.reader([line]))
            if len(fields) != len(COLUMNS):
                if number < len(lines):
                    raise OutputFolder(self.path, f"line {number} is damaged; remove it, and its mapping is run again.")
                rest = rest or b"damaged"
                break
            keys.add(fields[0])
            good += len(line.encode())
        self._cut(good, bool(rest))
        return keys

    def _cut(self, size: int, damaged: bool) -> None:
        """Drop what lies behind the last good line."""
        self.dropped = damaged
        if damaged:
            os.ftruncate(self._file, size)

    def _append(self, text: str) -> None:
        os.write(self._file, text.encode())
        os.fsync(self._file)

    def add(self, line: dict[str, object]) -> None:
        """Append a line, whole or not at all: after a crash the half that is there counts as none."""
        self._append(_csv([line[name] for name in COLUMNS]))
        self.keys.add(str(line["key"]))

    def close(self) -> None:
        """Let others write to it."""
        os.close(self._file)


def _csv(fields: Iterable[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue()


def read_table(path: Path) -> list[dict[str, str]]:
    """The whole lines of a table, as texts by column.

    Raises:
        OutputFolder: if it cannot be read.
    """
    try:
        with path.open(newline="") as file:
            return [line for line in csv.DictReader(file) if None not in line.values() and None not in line]
    except OSError as error:
        raise OutputFolder(path, f"cannot be read: {error.strerror}.") from None


def _note_hardware(path: Path, config: GemminiConfig) -> None:
    """Add the machine to the file beside the table that says what the column `hardware` names."""
    beside = path.with_suffix(".hardware.json")
    known = {}
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(beside.read_text())
    atomic_write(beside, json.dumps(known | {hardware_name(config): config.to_dict()}, indent=1) + "\n")


# Runs -------------------------------------------------------------------------------------------------------------------------------


def collect(
    path: Path,
    network: str,
    layers: Sequence[Layer],
    config: GemminiConfig,
    options: Options,
    progress: Callable[[int, int, dict[str, object] | None], None] = lambda done, total, line: None,
) -> list[dict[str, object]]:
    """Run what is not yet in the table at `path`, and add it; the new lines. `progress` is told (done, all, the new line) of this run.

    Raises:
        InvalidSearch: for a layer without a mapping.
        OutputFolder: for a table that cannot be used.
        ProgramError, ToolError: if the hardware cannot be built.
    """
    wanted = tasks(network, layers, config, options)
    table = Table(path)
    try:
        left = [task for task in wanted if task.key not in table.keys]
        _note_hardware(path, config)
        progress(len(wanted) - len(left), len(wanted), None)
        new: list[dict[str, object]] = []
        for line in _measured(left, config, options):
            table.add(line)
            new.append(line)
            progress(len(wanted) - len(left) + len(new), len(wanted), line)
        return new
    finally:
        table.close()


def _measured(left: Sequence[Task], config: GemminiConfig, options: Options) -> Iterator[dict[str, object]]:
    """The lines of the tasks, as they get done."""
    if not left:
        return
    if options.backend == "verilator":
        from baco.sim import rtl_build
        from baco.sim.rtl import MemoryModel

        MemoryModel.parse(knobs.memory_model.value, config)  # one sentence now, instead of one in every line
        rtl_build.build(config)  # once, before many processes ask for it
    jobs = min(options.jobs or os.cpu_count() or 1, len(left))
    if jobs == 1:
        yield from map(measure, left)
        return
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN))
    try:
        waiting = {pool.submit(measure, task) for task in left}
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BaseException as reason:  # ctrl-C among others: what runs has nobody to tell its figures to
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        if isinstance(reason, BrokenProcessPool):
            text = "a process that ran mappings died, perhaps for want of memory; run the command again, with fewer --jobs."
            raise BacoError(text) from None
        raise
    finally:
        pool.shutdown(cancel_futures=True)
