"""Run Timeloop on a mapping, read what it counted, and compare it with the model.

`timeloop-model` is $BACO_TIMELOOP or on the search path. It writes its figures as text; those used here are for each memory and tensor the
words read, filled and updated in one instance and how many instances are in use, the energy of each level, and the cycles.

The two count alike, with halo `reuse`, but for one thing: Timeloop leaves out that the accumulator is read when its outputs go to DRAM.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from baco import knobs
from baco.perfmodel.constants import PORTS, TABLE_6_3, EnergyTable
from baco.perfmodel.equations import access_energies
from baco.perfmodel.errors import TimeloopError
from baco.perfmodel.exact import Cost, evaluate
from baco.perfmodel.machine import Machine
from baco.perfmodel.timeloop import COMPUTE, ENERGY_FILE, LEVEL_NAMES, TENSOR_NAMES, files, write
from baco.toolchain import ToolError, run_tool
from baco.traffic import PLACES, Traffic
from baco.workload import Mapping, Problem

DEFAULT_SECONDS = 120.0
STATISTICS_FILE = "timeloop-model.stats.txt"

_LEVELS = {name: level for level, name in LEVEL_NAMES.items()}
_TENSORS = {name: tensor for tensor, name in TENSOR_NAMES.items()}


def find() -> Path:
    """The `timeloop-model` to run: $BACO_TIMELOOP, or the one on the search path.

    Raises:
        TimeloopError: if there is none.
    """
    name = knobs.timeloop.value
    found = shutil.which(name)
    if found is None:
        raise TimeloopError(f"Timeloop was not found as {name!r}; put timeloop-model on the search path, or name it in BACO_TIMELOOP.")
    return Path(found)


@dataclass(frozen=True)
class Statistics:
    """What Timeloop says: words by place, as :class:`Traffic`; pJ by level, 'compute' and 'networks' besides; cycles of the whole."""

    traffic: Traffic
    energies: dict[str, float]
    cycles: float

    @property
    def energy_pj(self) -> float:
        return sum(self.energies.values())


def run(
    problem: Problem,
    mapping: Mapping,
    machine: Machine,
    *,
    table: EnergyTable | None = TABLE_6_3,
    seconds: float = DEFAULT_SECONDS,
) -> Statistics:
    """Timeloop's verdict on `mapping`. Energies are those of `table`; with None Timeloop asks Accelergy, which must be on the search path.

    Raises:
        InvalidMapping: if the mapping is not one of `problem`.
        TimeloopError: if Timeloop is not installed, refuses the mapping (say for want of capacity), or takes longer than `seconds`.
    """
    program = find()
    texts = files(problem, mapping, machine, table or TABLE_6_3)
    if table is None:
        del texts[ENERGY_FILE]
    with tempfile.TemporaryDirectory(prefix="baco-timeloop-") as name:
        folder = Path(name)
        inputs = write(folder, texts)
        try:
            output = run_tool([str(program), *map(str, inputs), "-o", name], timeout=seconds, cwd=folder)
        except ToolError as error:
            said = _message(error.output)
            raise TimeloopError(f"{program}: {error.reason}{f': {said}' if said else '.'}", error.output) from None
        statistics = folder / STATISTICS_FILE
        if not statistics.exists():  # as when it could not run Accelergy: then it ends with status 0
            text = output.decode(errors="replace")
            raise TimeloopError(f"{program} wrote no figures: {_message(text)}", text)
        return parse(statistics.read_text())


def _message(output: str) -> str:
    """The line that says what is wrong: the last one with an error, or the last one of all."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"error|fail", line, re.IGNORECASE)]
    return (errors or lines or [""])[-1]


def parse(text: str) -> Statistics:
    """The figures in a file of statistics that `timeloop-model` v3 wrote.

    Raises:
        TimeloopError: if a figure is missing.
    """
    traffic = Traffic()
    energies = dict.fromkeys(("compute", *LEVEL_NAMES, "networks"), 0.0)
    blocks = re.split(r"^(?:=== (\S+) ===|Network \d+|Summary Stats)$", _details(text), flags=re.MULTILINE)
    levels = {name: body for name, body in zip(blocks[1::2], blocks[2::2], strict=True) if name}
    for name in (COMPUTE, *_LEVELS):
        if name not in levels:
            raise TimeloopError(f"Timeloop's figures have no level {name}.", text)
    traffic.macs = int(_figure(levels[COMPUTE], r"Computes \(total\)"))
    energies["compute"] = _figure(levels[COMPUTE], r"Energy \(total\)")
    for name, level in _LEVELS.items():
        tensors = re.split(rf"^    ({'|'.join(_TENSORS)}):$", levels[name], flags=re.MULTILINE)
        for tensor, body in zip(tensors[1::2], tensors[2::2], strict=True):
            instances = _figure(body, r"Utilized instances \((?:max|average)\)")
            place = level, _TENSORS[tensor]
            energies[level] += _figure(body, r"Energy \(total\)")
            reads, fills, updates = (
                round(_figure(body, rf"(?:Actual scalar|Scalar) {verb} \(per-instance\)") * instances)
                for verb in ("reads", "fills", "updates")
            )
            if place in PLACES:
                traffic.reads[place], traffic.writes[place] = reads, fills + updates
    summary = text.partition("Summary Stats")[2]
    networks = re.findall(r"<==>.*= *([\d.e+-]+)", summary)
    energies["networks"] = sum(map(float, networks)) * traffic.macs
    return Statistics(traffic, energies, _figure(summary, "Cycles"))


def _details(text: str) -> str:
    """The part before the networks' own figures, whose tensors are called the same."""
    return re.split(r"^Networks$", text, maxsplit=1, flags=re.MULTILINE)[0]


def _figure(text: str, name: str) -> float:
    found = re.search(rf"^\s*{name}\s*: *([\d.e+-]+)", text, re.MULTILINE)
    if not found:
        raise TimeloopError(f"Timeloop's figures lack {name!r}.", text)
    return float(found[1])


@dataclass(frozen=True)
class Comparison:
    """One mapping by the model, with halo `reuse`, and by Timeloop."""

    model: Cost
    timeloop: Statistics

    @property
    def energy_error(self) -> float:
        """The model's energy over Timeloop's, less 1."""
        return _error(self.model.energy_pj, self.timeloop.energy_pj)

    @property
    def cycles_error(self) -> float:
        """The model's cycles over Timeloop's, less 1."""
        return _error(self.model.cycles, self.timeloop.cycles)

    def access_errors(self) -> dict[str, float]:
        """For the MACs and the reads and writes of each place, the model's over Timeloop's, less 1; those 0 in both left out."""
        mine, theirs = self.model.traffic.to_dict(), self.timeloop.traffic.to_dict()
        return {name: _error(mine[name], theirs[name]) for name in mine if mine[name] or theirs[name]}


def _error(mine: float, theirs: float) -> float:
    return mine / theirs - 1 if theirs else (float("inf") if mine else 0.0)


def compare(problem: Problem, mapping: Mapping, machine: Machine, table: EnergyTable = TABLE_6_3, *, leaving: bool = True) -> Comparison:
    """The model and Timeloop on the same mapping, machine and energies.

    With `leaving` false the model too leaves out the reads of outputs that leave the accumulator.

    Raises:
        As :func:`run`.
    """
    model = evaluate(problem, mapping, machine, halo="reuse", table=table)
    return Comparison(model if leaving else without_leaving(model, mapping, machine, table), run(problem, mapping, machine, table=table))


def without_leaving(cost: Cost, mapping: Mapping, machine: Machine, table: EnergyTable = TABLE_6_3) -> Cost:
    """The cost less the reads of outputs that leave the accumulator, one for each word of outputs written to DRAM."""
    leaving = cost.traffic.writes["dram", "outputs"]
    reads = cost.traffic.reads | {("accumulator", "outputs"): cost.traffic.reads["accumulator", "outputs"] - leaving}
    per_access = access_energies(machine.accumulator_kib_per_column, machine.scratchpad_kib, table)["accumulator"]
    return Cost(
        Traffic(cost.traffic.macs, reads, dict(cost.traffic.writes)),
        cost.energies | {"accumulator": cost.energies["accumulator"] - leaving * per_access},
        cost.terms | {"accumulator": cost.terms["accumulator"] - leaving / (PORTS * mapping.spatial_k)},
    )
