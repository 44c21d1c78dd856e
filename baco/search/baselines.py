"""Known machines and mappers, judged by the same model and constants, to compare a chosen design with.

- Gemmini's default machine with the best mapping of each layer that it holds, double-buffered.
- The same machine with the tiles of its own C library (`tiled_matmul_auto`, `tiled_conv_auto`): :mod:`baco.search.library_tiling`.
- NVDLA small and large: a weight-stationary array of input channels x output channels with a convolution buffer for weights and inputs
  and an accumulator for outputs, the memories that the model has. Sizes: the machines of the DOSA study (MICRO 2023), which are NVIDIA's
  nv_small (8 x 8, 128 KiB) and a large one of 64 x 16 with 512 KiB; 512 and 256 accumulator words a column. Best mappings.
- Eyeriss: :mod:`baco.search.eyeriss`.

All have the DRAM of the model, 8 words a cycle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from baco.hardware import GemminiConfig
from baco.perfmodel.constants import Constants
from baco.perfmodel.machine import Machine
from baco.search import eyeriss
from baco.search.candidates import (
    ACCUMULATOR,
    ACCUMULATOR_KIB,
    FIXED,
    LATENCY,
    SCRATCHPAD,
    SCRATCHPAD_KIB,
    Choice,
    level3_orders,
    pieces,
    score_all,
)
from baco.search.choice import ABSENT, least
from baco.search.errors import NoDesign
from baco.search.goals import RULES, Goal, Rules
from baco.search.library_tiling import library_layer
from baco.search.polish import polish
from baco.search.result import CONSTANTS, KnownMachine, NetworkResult, assess
from baco.search.spaces import GemminiSpace, PaperSpace, Space
from baco.search.tilings import EXACT, tile_sizes
from baco.workload import Problem
from baco.workloads import Layer, Network

NVDLA_SMALL = Machine(8, scratchpad_kib=128, accumulator_kib=8 * 512 * 4 / 1024)
NVDLA_LARGE = Machine(64, scratchpad_kib=512, accumulator_kib=16 * 256 * 4 / 1024, columns=16)


def default_machine(
    network: Network, halo: str = "reload", latency: str = "shared", constants: Constants = CONSTANTS, tilings: str = EXACT
) -> NetworkResult:
    """The generator's default machine with the best mapping of each layer that it holds, double-buffered: the network's least EDP on it."""
    config, space, rules = GemminiConfig(), GemminiSpace(), Rules(RULES.goal, halo, latency, constants.energy, tilings)
    machine = Machine.from_config(config)
    hardware = (machine.side, machine.accumulator_kib, machine.scratchpad_kib)
    mapped = []
    for layer, found in zip(network.layers, best_choices(network, machine, space, rules), strict=True):
        choice, _ = polish(layer.problem, found, *hardware, space, halo, latency, table=constants.energy, tilings=tilings)
        mapped.append((layer, choice.mapping(layer.problem)))
    return assess("gemmini-default, best mapping", machine, config, mapped, halo, latency, constants)


def known_machines(network: Network, rules: Rules, constants: Constants) -> tuple[KnownMachine, ...]:
    """The network on every known machine but Gemmini's default with the best mapping, which :func:`default_machine` has."""
    config = GemminiConfig()
    mapped = []
    for layer in network.layers:
        problem, mapping = library_layer(layer.problem, config)
        mapped.append((Layer(problem, layer.count), mapping))
    library = assess(
        "gemmini-default, its library's tiles", Machine.from_config(config), config, mapped, rules.halo, rules.latency, constants
    )
    found = [_known(library)]
    for label, machine in (("nvdla-small", NVDLA_SMALL), ("nvdla-large", NVDLA_LARGE)):
        choices = best_choices(network, machine, PaperSpace(), rules)
        mapped = [(layer, choice.mapping(layer.problem)) for layer, choice in zip(network.layers, choices, strict=True)]
        found.append(_known(assess(label, machine, None, mapped, rules.halo, rules.latency, constants)))
    return (*found, eyeriss.on_network(network, constants))


def _known(result: NetworkResult) -> KnownMachine:
    m = result.machine
    hardware = f"{m.side} x {m.columns or m.side}, scratchpad {m.scratchpad_kib:g} KiB, accumulator {m.accumulator_kib:g} KiB"
    return KnownMachine(result.label, hardware, result.energy_uj, result.cycles, result.area_mm2)


def best_choices(network: Network, machine: Machine, space: Space, rules: Rules) -> list[Choice]:
    """One mapping a layer, together of the least EDP of the network on the machine as it is.

    Raises:
        NoDesign: if it holds no mapping of some layer.
    """
    tables = [_points(layer.problem, machine, space, rules) for layer in network.layers]
    energy, latency = (np.full((len(tables), max(len(t[0]) for t in tables)), ABSENT) for _ in range(2))
    for i, (layer, (points, _)) in enumerate(zip(network.layers, tables, strict=True)):
        if not len(points):
            raise NoDesign(f"a machine of {machine} holds no mapping of {layer.name} of {network.name}.")
        energy[i, : len(points)], latency[i, : len(points)] = layer.count * points.T
    best, _ = least(energy, latency, Goal())
    orders = level3_orders(rules.halo)
    chosen = [[int(v) for v in kinds[row]] for (_, kinds), row in zip(tables, best.rows, strict=True)]
    return [Choice(tuple(values[:7]), values[7], values[8], orders[values[9]]) for values in chosen]


def _points(problem: Problem, machine: Machine, space: Space, rules: Rules) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(energy, latency) of the mappings of one layer that the machine holds and that no other beats in both, and their choices."""
    points, kinds = [], []
    for piece in pieces(tile_sizes(problem, machine.side, rules.tilings, machine.columns)):
        figures, choices = score_all(problem, piece, machine.side, space, columns=machine.columns, tilings=rules.tilings, **rules.model)
        fits = np.flatnonzero(
            (figures[:, ACCUMULATOR_KIB] <= machine.accumulator_kib) & (figures[:, SCRATCHPAD_KIB] <= machine.scratchpad_kib)
        )
        figures = figures[fits]
        per_access = (
            rules.table.accumulator_per_kib_per_column * machine.accumulator_kib_per_column,
            rules.table.scratchpad_per_kib * machine.scratchpad_kib,
        )
        energy = figures[:, FIXED] + figures[:, ACCUMULATOR] * per_access[0] + figures[:, SCRATCHPAD] * per_access[1]
        keep = lower_left(energy, figures[:, LATENCY])
        points.append(np.stack([energy[keep], figures[keep, LATENCY]], axis=1))
        kinds.append(choices(fits[keep]))
    return np.concatenate(points), np.concatenate(kinds)


def lower_left(energy: NDArray[np.float64], latency: NDArray[np.float64]) -> NDArray[np.int64]:
    """The points that no other beats or equals in both."""
    order = np.lexsort((latency, energy))
    fastest = np.minimum.accumulate(latency[order])
    return order[np.concatenate([[True], latency[order][1:] < fastest[:-1]])] if len(order) else order
