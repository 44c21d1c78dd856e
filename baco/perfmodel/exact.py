"""The model in whole numbers: what one mapping of one problem does, and what it costs on a machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from baco.perfmodel.constants import TABLE_6_3, EnergyTable
from baco.perfmodel.equations import INTEGERS, Counts, Nest, Shape, access_energies, count, cycles, energies
from baco.perfmodel.machine import Machine
from baco.traffic import Traffic
from baco.workload import ACCUMULATOR, DIMENSIONS, DRAM, REGISTERS, SCRATCHPAD, Mapping, Problem

PJ_TO_UJ = 1e-6


def shape_of(problem: Problem) -> Shape:
    """The problem's figures as the equations read them."""
    return Shape(problem.sizes, problem.pixel_steps, problem.dilation)


def nest_of(problem: Problem, mapping: Mapping) -> Nest:
    """The mapping's figures as the equations read them."""
    levels = (REGISTERS, ACCUMULATOR, DRAM)
    return Nest(
        trips={level: dict(zip(DIMENSIONS, mapping.temporal[level], strict=True)) for level in levels},
        orders={level: mapping.orders[level] for level in levels},
        spatial_c=mapping.spatial_c,
        spatial_k=mapping.spatial_k,
        tiles=mapping.tiles(SCRATCHPAD, problem),
        runs=mapping.tiles(REGISTERS, problem),
    )


def _counts(problem: Problem, mapping: Mapping, halo: str) -> Counts:
    mapping.check(problem)
    return count(shape_of(problem), nest_of(problem, mapping), halo, INTEGERS)


def predict(problem: Problem, mapping: Mapping, halo: str = "reload") -> Traffic:
    """The words that a program compiled from `mapping` moves at every level.

    Raises:
        InvalidMapping: if the mapping is not one of `problem`.
        InvalidOption: if `halo` is neither 'reload' nor 'reuse'.
    """
    return _traffic(_counts(problem, mapping, halo))


def _traffic(counts: Counts) -> Traffic:
    traffic = Traffic(macs=counts.macs)
    traffic.reads.update(counts.reads)
    traffic.writes.update(counts.writes)
    return traffic


@dataclass(frozen=True)
class Cost:
    """What one run of a layer costs: pJ by place, cycles by resource, and the traffic they come from."""

    traffic: Traffic
    energies: dict[str, float]
    terms: dict[str, float]

    @property
    def energy_pj(self) -> float:
        return sum(self.energies.values())

    @property
    def cycles(self) -> float:
        return max(self.terms.values())

    @property
    def binding(self) -> str:
        """The resource that sets the latency."""
        return max(self.terms, key=self.terms.__getitem__)


def evaluate(
    problem: Problem,
    mapping: Mapping,
    machine: Machine,
    *,
    halo: str = "reload",
    latency: str = "shared",
    table: EnergyTable = TABLE_6_3,
) -> Cost:
    """Energy and latency of `mapping` on `machine`. Does not check that the machine holds the mapping."""
    counts = _counts(problem, mapping, halo)
    per_access = access_energies(machine.accumulator_kib_per_column, machine.scratchpad_kib, table)
    terms = cycles(counts, machine.side, machine.dram_words_per_cycle, latency, INTEGERS)
    return Cost(_traffic(counts), energies(counts, per_access, table), terms)


def network_edp(costs: Iterable[tuple[int, Cost]]) -> float:
    """Energy-delay product of a network in uJ x cycles from (count, cost) of its layers (equation 6.5): a product of sums."""
    costs = list(costs)
    return sum(n * c.energy_pj for n, c in costs) * PJ_TO_UJ * sum(n * c.cycles for n, c in costs)
