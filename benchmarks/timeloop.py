"""How far the model's energy, cycles and access counts are from Timeloop's. Run it: python benchmarks/timeloop.py [points] [seed]

Random mappings (500 unless told) of the layers of networks, each on the least machine that holds it, with a random side of the array. Half
of them have the form that the search makes (P, Q, N inside, then R, S, C, K), the others any loops in any order at the levels that may have
loops. Energies of an access are the same on both sides, so that energy compares counts. Timeloop is $BACO_TIMELOOP, or timeloop-model on
the search path. An error is the model's figure over Timeloop's, less 1.

The first tables compare all that the model counts, with halo `reuse`; the last one leaves out, as Timeloop does, that the accumulator is
read when its outputs go to DRAM. Figures that are 0 in Timeloop alone have no error; their number is beside the points.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from baco.perfmodel import Machine
from baco.perfmodel.equations import INNER_ORDERS
from baco.perfmodel.timeloop_run import Comparison, compare, without_leaving
from baco.search.tilings import divisors
from baco.workload import DIMENSIONS, SCRATCHPAD, Mapping, Problem
from baco.workloads import network

NETWORKS = ("resnet50", "unet", "retinanet", "bert", "mobilenetv2", "vit-b16", "gpt2-decode", "deepbench-ocr")
SIDES = (4, 8, 16, 32, 64, 128)
KIB = 1024
EXACT = 1e-6
"""Timeloop rounds energies to 0.01 pJ."""


def random_mapping(problem: Problem, side: int, random: np.random.Generator, searched: bool) -> Mapping:
    """Factors and orders drawn at random; of the form of the search when `searched`."""
    spatial = {d: int(random.choice([f for f in divisors(problem.sizes[d]) if f <= side])) for d in "CK"}
    levels: list[dict[str, int]] = [{}, {}, {}, {}]
    for d, size in problem.sizes.items():
        tile = int(random.choice(divisors(size // spatial.get(d, 1))))
        inner = int(random.choice(divisors(tile))) if d in "PQN" else 1
        inner = tile if searched and d in "PQN" else inner
        levels[0][d], levels[1][d], levels[2][d], levels[3][d] = inner, tile // inner, 1, size // spatial.get(d, 1) // tile
    orders = ["".join(random.permutation(list(DIMENSIONS))) for _ in levels]
    if searched:
        orders[:3] = [INNER_ORDERS[level] for level in range(3)]
    return Mapping(tuple(tuple(level[d] for d in DIMENSIONS) for level in levels), tuple(orders), spatial["C"], spatial["K"])


def least_machine(problem: Problem, mapping: Mapping, side: int) -> Machine:
    """The memories that hold the mapping as Timeloop counts it: whole windows, capacities in whole KiB."""
    tile = mapping.tile(SCRATCHPAD)
    height = (tile["P"] - 1) * problem.stride[0] + (tile["R"] - 1) * problem.dilation[0] + 1
    width = (tile["Q"] - 1) * problem.stride[1] + (tile["S"] - 1) * problem.dilation[1] + 1
    words = math.prod(tile[d] for d in "RSCK") + tile["N"] * tile["C"] * height * width
    return Machine(side, math.ceil(words / KIB), math.ceil(4 * side * mapping.accumulator_rows(problem) / KIB))


@dataclass(frozen=True)
class Point:
    """A random mapping on its machine, with the verdicts: in full, and less what Timeloop leaves out."""

    problem: Problem
    searched: bool
    full: Comparison
    alike: Comparison


def sample(points: int, seed: int) -> list[Point]:
    """Random mappings, compared; every other one is of the search's form."""
    random = np.random.default_rng(seed)
    layers = [layer.problem for name in NETWORKS for layer in network(name).layers]
    found = []
    for i in track(range(points), "comparing", console=Console(stderr=True)):
        problem, side = layers[random.integers(len(layers))], int(random.choice(SIDES))
        mapping = random_mapping(problem, side, random, searched=i % 2 == 0)
        machine = least_machine(problem, mapping, side)
        full = compare(problem, mapping, machine)
        alike = Comparison(without_leaving(full.model, mapping, machine), full.timeloop)
        found.append(Point(problem, i % 2 == 0, full, alike))
    return found


def row(errors: Sequence[float]) -> list[str]:
    """Points, exact points, mean size, 95th percentile and largest size of the error, mean error with its sign."""
    finite = np.array([e for e in errors if math.isfinite(e)])
    points = str(len(finite)) + (f" (+{len(errors) - len(finite)})" if len(finite) < len(errors) else "")
    sizes = np.abs(finite)
    exact = str(int((sizes < EXACT).sum()))
    return [points, exact, f"{sizes.mean():.4%}", f"{np.quantile(sizes, 0.95):.4%}", f"{sizes.max():.4%}", f"{finite.mean():+.4%}"]


def table(title: str, comparisons: Sequence[Comparison]) -> Table:
    """Errors of energy, cycles and every access count."""
    shown = Table(title=f"{title}: {len(comparisons)} points", title_justify="left")
    for heading in ("figure", "points", "exact", "mean size", "95 % below", "largest", "mean"):
        shown.add_column(heading, justify="left" if heading == "figure" else "right")
    shown.add_row("energy", *row([c.energy_error for c in comparisons]))
    shown.add_row("cycles", *row([c.cycles_error for c in comparisons]))
    errors = [c.access_errors() for c in comparisons]
    for name in dict.fromkeys(name for each in errors for name in each):
        shown.add_row(name, *row([each[name] for each in errors if name in each]))
    return shown


def main(points: int = 500, seed: int = 0) -> None:
    """Print the tables."""
    found = sample(points, seed)
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table("mappings of the search's form", [p.full for p in found if p.searched]))
    console.print(table("any mappings", [p.full for p in found if not p.searched]))
    console.print(table("layers with strides", [p.full for p in found if max(p.problem.stride) > 1]))
    console.print(table("all, without reads of outputs that leave the accumulator", [p.alike for p in found]))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
