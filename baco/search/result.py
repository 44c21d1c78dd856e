"""What a search found, as numbers, JSON and files. Energy in pJ (totals in uJ), latency in cycles, EDP in uJ x cycles."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from baco.hardware import GemminiConfig
from baco.perfmodel import Constants, Cost, Machine, evaluate, timeloop
from baco.perfmodel.exact import PJ_TO_UJ
from baco.search.errors import OutputFolder
from baco.search.goals import PARETO, Goal
from baco.toolchain import atomic_write
from baco.workload import DIMENSIONS, Mapping, Problem
from baco.workloads import Layer

FORMAT = 3
CONSTANTS = Constants()
DESIGN_FILE = "design.json"
PARAMS_FILE = "gemmini_params.h"
TIMELOOP = "timeloop"
CHISEL_FILE = "BacoGemmini.scala"


@dataclass(frozen=True)
class LayerResult:
    """A layer, the mapping chosen for it, and what one run of it costs."""

    layer: Layer
    mapping: Mapping
    cost: Cost

    @property
    def problem(self) -> Problem:
        return self.layer.problem

    @property
    def edp(self) -> float:
        """Of one run of this layer alone."""
        return self.cost.energy_pj * PJ_TO_UJ * self.cost.cycles

    def to_dict(self) -> dict[str, object]:
        return {
            "name": self.layer.name,
            "kind": self.layer.kind,
            "count": self.layer.count,
            "problem": self.problem.to_dict(),
            "mapping": self.mapping.to_dict(),
            "mapping_text": str(self.mapping),
            "energy_pj": self.cost.energy_pj,
            "energies_pj": self.cost.energies,
            "cycles": self.cost.cycles,
            "cycles_by_resource": self.cost.terms,
            "binding": self.cost.binding,
            "traffic": self.cost.traffic.to_dict(),
        }


@dataclass(frozen=True)
class NetworkResult:
    """A network mapped onto one machine."""

    label: str
    machine: Machine
    config: GemminiConfig | None
    """The machine as the generator builds it; None in the paper space."""
    layers: tuple[LayerResult, ...]
    constants: Constants = CONSTANTS

    @property
    def area_mm2(self) -> float:
        """Estimated area of array and memories."""
        return self.machine.area_mm2(self.constants.area)

    @property
    def power_mw(self) -> float:
        """Average power at the clock of the constants."""
        return self.constants.power_mw(self.energy_uj / PJ_TO_UJ, self.cycles)

    @property
    def energy_uj(self) -> float:
        return sum(r.layer.count * r.cost.energy_pj for r in self.layers) * PJ_TO_UJ

    @property
    def cycles(self) -> float:
        return sum(r.layer.count * r.cost.cycles for r in self.layers)

    @property
    def edp(self) -> float:
        """Energy-delay product of the network (equation 6.5): a product of sums."""
        return self.energy_uj * self.cycles

    @property
    def utilisation(self) -> float:
        """Useful multiply-accumulates over what the array could have done in the time."""
        return sum(r.layer.count * r.problem.macs for r in self.layers) / (self.cycles * self.machine.elements)

    def to_dict(self) -> dict[str, object]:
        return {
            "label": self.label,
            "machine": self.machine.to_dict(),
            "config": self.config.to_dict() if self.config else None,
            "energy_uj": self.energy_uj,
            "cycles": self.cycles,
            "edp": self.edp,
            "utilisation": self.utilisation,
            "area_mm2": self.area_mm2,
            "power_mw": self.power_mw,
            "layers": [r.to_dict() for r in self.layers],
        }


def assess(
    label: str,
    machine: Machine,
    config: GemminiConfig | None,
    mapped: list[tuple[Layer, Mapping]],
    halo: str,
    latency: str,
    constants: Constants = CONSTANTS,
) -> NetworkResult:
    """The network's cost in the exact model."""
    options = {"halo": halo, "latency": latency, "table": constants.energy}
    layers = [LayerResult(layer, m, evaluate(layer.problem, m, machine, **options)) for layer, m in mapped]
    return NetworkResult(label, machine, config, tuple(layers), constants)


@dataclass(frozen=True)
class KnownMachine:
    """What a published machine makes of the network, under the same model and constants."""

    label: str
    hardware: str
    energy_uj: float
    cycles: float
    area_mm2: float

    @property
    def edp(self) -> float:
        return self.energy_uj * self.cycles

    def to_dict(self) -> dict[str, object]:
        return dataclasses.asdict(self) | {"edp": self.edp}


@dataclass(frozen=True)
class ExploreResult:
    """The design that a search chose, beside the default machine, and how it was found."""

    network: str
    space: str
    objective: str
    """'edp', 'energy', 'latency', or 'pareto': then `design` has the least EDP, and `front` holds the others."""
    limits: str
    """A person's limits, in words."""
    halo: str
    latency: str
    tilings: str
    """Whether tiles divide their dimension ("exact"), or the last may be smaller ("ragged")."""
    seed: int
    budget: int
    design: NetworkResult
    baseline: NetworkResult
    known: tuple[KnownMachine, ...]
    """Other machines and mappers to compare with."""
    front: tuple[NetworkResult, ...]
    """From the fastest to the most frugal; empty unless it was asked for."""
    samples: int
    """Mappings of one layer scored, by descent and by enumeration."""
    history: tuple[tuple[int, float, str], ...]
    """(samples, the objective's value, phase) each time a better design was found."""
    bound: float | None
    """No design of this space within the limits has a lower value of the objective; None where the search could not show one."""
    method: str
    interrupted: bool
    seconds: float
    constants: Constants
    left_out: tuple[tuple[str, int], ...] = ()
    """Operations of the network that are no products, and how often each occurs."""

    @property
    def config(self) -> GemminiConfig | Machine:
        """The chosen hardware: a `GemminiConfig`, or a `Machine` in the paper space."""
        return self.design.config or self.design.machine

    @property
    def layers(self) -> tuple[LayerResult, ...]:
        return self.design.layers

    @property
    def edp(self) -> float:
        return self.design.edp

    @property
    def goal(self) -> Goal:
        return Goal("edp" if self.objective == PARETO else self.objective)

    @property
    def value(self) -> float:
        """Of the objective."""
        return self.goal.value(self.design.energy_uj / PJ_TO_UJ, self.design.cycles)

    @property
    def gap(self) -> float | None:
        """At most this part above the best possible."""
        return None if self.bound is None else max(0.0, self.value / self.bound - 1)

    @property
    def samples_per_second(self) -> float:
        return self.samples / self.seconds if self.seconds else math.inf

    def to_dict(self) -> dict[str, object]:
        """For JSON. All but `run` is the same each time for the same seed."""
        return {
            "format": FORMAT,
            "network": self.network,
            "space": self.space,
            "objective": self.objective,
            "limits": self.limits,
            "halo": self.halo,
            "latency": self.latency,
            "tilings": self.tilings,
            "seed": self.seed,
            "budget": self.budget,
            "samples": self.samples,
            "method": self.method,
            "interrupted": self.interrupted,
            "edp": self.edp,
            "bound": self.bound,
            "improvement_over_baseline": self.baseline.edp / self.edp,
            "history": [list(entry) for entry in self.history],
            "design": self.design.to_dict(),
            "baseline": self.baseline.to_dict(),
            "known": [machine.to_dict() for machine in self.known],
            "front": [design.to_dict() for design in self.front],
            "constants": self.constants.to_dict(),
            "left_out": [list(entry) for entry in self.left_out],
            "run": {"seconds": round(self.seconds, 3), "samples_per_second": round(self.samples_per_second)},
        }

    def write(self, out: Path) -> list[Path]:
        """Write into the folder `design.json`, the files for Timeloop and, where the generator builds the machine, its C header and its
        Chisel configuration."""
        files = {DESIGN_FILE: json.dumps(self.to_dict(), indent=1) + "\n"} | timeloop_files(self.design)
        if self.design.config:
            files[PARAMS_FILE] = self.design.config.to_params_h()
            files[CHISEL_FILE] = self.design.config.to_chisel()
        try:
            for name, text in files.items():
                atomic_write(out / name, text)
        except OSError as error:
            raise OutputFolder(out, f"cannot write the design: {error.strerror}.") from error
        return [out / name for name in files]


def timeloop_files(design: NetworkResult) -> dict[str, str]:
    """Timeloop's files by their place in the folder: the machine's own, and in a folder for each layer its problem and its mapping."""
    found = {}
    for entry in design.layers:
        texts = timeloop.files(entry.problem, entry.mapping, design.machine, design.constants.energy)
        layer = f"{TIMELOOP}/{folder_name(entry.layer.name)}"
        found |= {f"{TIMELOOP if name in timeloop.MACHINE_FILES else layer}/{name}": text for name, text in texts.items()}
    return found


def folder_name(layer: str) -> str:
    """A layer's name without what no file should be called."""
    return re.sub(r"[^\w.-]+", "_", layer or "layer")


def load(path: Path | str) -> ExploreResult:
    """The result in a `design.json` or in the folder that holds one; costs are computed anew from the stored mappings.

    Raises:
        OutputFolder: if there is none, or it cannot be read.
    """
    path = Path(path)
    file = path / DESIGN_FILE if path.is_dir() else path
    try:
        stored = json.loads(file.read_text())
        if stored["format"] != FORMAT:
            raise OutputFolder(file, f"has format {stored['format']}, but this version reads format {FORMAT}.")
        constants = Constants.from_dict(stored["constants"])
        options = stored["halo"], stored["latency"], constants
        kept = ("network", "space", "objective", "limits", "halo", "latency", "tilings", "seed", "budget")
        kept += ("samples", "bound", "method", "interrupted")
        return ExploreResult(
            **{name: stored[name] for name in kept},
            design=_network(stored["design"], *options),
            baseline=_network(stored["baseline"], *options),
            known=tuple(KnownMachine(**{k: v for k, v in entry.items() if k != "edp"}) for entry in stored["known"]),
            front=tuple(_network(entry, *options) for entry in stored["front"]),
            history=tuple(tuple(entry) for entry in stored["history"]),
            seconds=stored["run"]["seconds"],
            constants=constants,
            left_out=tuple((name, count) for name, count in stored["left_out"]),
        )
    except OSError as error:
        raise OutputFolder(file, f"cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise OutputFolder(file, f"is not a design that `baco explore` wrote: {error!r}.") from error


def _network(stored: dict, halo: str, latency: str, constants: Constants) -> NetworkResult:
    mapped = []
    for entry in stored["layers"]:
        fields = entry["problem"]
        pairs = {name: tuple(fields[name]) for name in ("stride", "padding", "dilation")}
        problem = Problem(**{d: fields[d] for d in DIMENSIONS}, **pairs, name=entry["name"])
        mapped.append((Layer(problem, entry["count"], entry["kind"]), Mapping.from_dict(entry["mapping"])))
    config = GemminiConfig.from_dict(stored["config"]) if stored["config"] else None
    return assess(stored["label"], Machine(**stored["machine"]), config, mapped, halo, latency, constants)


def require_writable(out: Path) -> None:
    """Make the folder, and find out now rather than after the search whether files can be written to it.

    Raises:
        OutputFolder: if they cannot.
    """
    try:
        atomic_write(out / ".baco-write-test", "")
        (out / ".baco-write-test").unlink()
    except OSError as error:
        raise OutputFolder(out, f"cannot write to this folder: {error.strerror}; choose another with --out.") from error
