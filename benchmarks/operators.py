"""Single operators (dissertation, Tables 6.4 to 6.6): matrix products and convolutions, each machine's cycles, energy and EDP.

    python benchmarks/operators.py                     # 540 cases, as in Table 6.6
    python benchmarks/operators.py --every 10          # every tenth case

A case is a layer of its own: shapes are drawn at random, by proportion, from the ranges of Tables 6.4 and 6.5, as many of each row as the
tables have of it; sizes above 64 are multiples of 16. The tables name no channels: here they are powers of two that the networks have
(U-Net 64 to 1024, ResNet-50 64 to 2048, RetinaNet 256). A product with a vector has M = 1; a one-dimensional convolution one row.

Gemmini-BACO is `explore`, hardware and mapping for each case; Gemmini-DOSA the rival of that name with 5,000 samples, both in the gemmini
space; Gemmini-default the generator's machine with its library's tiles; the others as `docs/explore.md` has them, with the best mapping.
Each case is one line of JSON in RESULTS; those already there are not run again. Prints the table.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from baco.perfmodel.exact import PJ_TO_UJ
from baco.search import explore
from baco.search.rivals import dosa
from baco.search.rivals.harness import Harness
from baco.search.spaces import space_named
from baco.workload import Problem
from baco.workloads import Layer, Network

RESULTS = Path(__file__).parent / "results" / "operators.jsonl"
PRODUCTS = (
    # Table 6.4: ranges of M, N and K, and the number of cases.
    ((1, 256), (1, 256), (1, 256), 100),
    ((1, 256), (1, 256), (257, 65536), 88),
    ((257, 1024), (1, 256), (1, 65536), 64),
    ((257, 1024), (257, 65536), (1, 65536), 98),
    ((1025, 8192), (1, 256), (1, 65536), 66),
    ((1025, 8192), (257, 8192), (1, 65536), 128),
)
CONVOLUTIONS = (
    # Table 6.5: range of the map's side, side of the filter, number of cases; and the channels of the network.
    ((280, 568), 3, 80, (64, 1024)),
    ((56, 138), 3, 88, (64, 1024)),
    ((8, 52), 1, 64, (64, 1024)),
    ((56, 120), 1, 80, (64, 2048)),
    ((32, 80), 3, 120, (64, 2048)),
    ((4, 40), 1, 68, (64, 2048)),
    ((2, 30), 3, 140, (256, 256)),
    ((2, 28), 1, 98, (256, 256)),
    ((2, 28), 3, 108, (256, 256)),
)
CASES = {"GEMM": 170, "GEMV": 174, "Conv1D": 68, "Conv2D": 128}
"""Table 6.6: how many of each are drawn."""
SAMPLES = 5000
OURS = "Gemmini-BACO"
NAMES = {
    "gemmini-default, its library's tiles": "Gemmini-default",
    "eyeriss": "Eyeriss",
    "nvdla-small": "NVDLA-small",
    "nvdla-large": "NVDLA-large",
}
MACHINES = ("Eyeriss", "NVDLA-small", "NVDLA-large", "Gemmini-default", "Gemmini-DOSA", OURS)


def cases() -> list[tuple[str, Problem]]:
    """(kind, problem) of every case, always the same."""
    generator = np.random.default_rng(66)
    return [(kind, _case(kind, place, generator)) for kind, many in CASES.items() for place in range(many)]


def _case(kind: str, place: int, generator: np.random.Generator) -> Problem:
    rows: Sequence[Any] = PRODUCTS if kind.startswith("GEM") else CONVOLUTIONS
    weights = np.array([row[-1] if rows is PRODUCTS else row[2] for row in rows], float)
    row = rows[generator.choice(len(rows), p=weights / weights.sum())]
    name = f"{kind}-{place}"
    if rows is PRODUCTS:
        m, n, k = (_size(*limits, generator) for limits in row[:3])
        return Problem.gemm(1 if kind == "GEMV" else m, n, k, name=name)
    limits, taps, _, (least, most) = row
    side = _size(*limits, generator)
    c, k = (2 ** int(generator.integers(math.log2(least), math.log2(most) + 1)) for _ in range(2))
    if kind == "Conv1D":
        return Problem(R=taps, P=side, C=c, K=k, name=name)
    return Problem(R=taps, S=taps, P=side, Q=side, C=c, K=k, name=name)


def _size(least: int, most: int, generator: np.random.Generator) -> int:
    """A size between two, by proportion."""
    value = math.exp(generator.uniform(math.log(least), math.log(most + 1)))
    return min(most, max(least, int(value) if value <= 64 else round(value / 16) * 16))


def run_cases(chosen: list[tuple[str, Problem]]) -> Iterator[dict[str, Any]]:
    """Each case's line: its shape, and (cycles, uJ) on each machine. DOSA's searches are one batch."""
    networks = [Network(problem.name, (Layer(problem),)) for _, problem in chosen]
    rivals = [Harness(network, space_named("gemmini"), SAMPLES) for network in networks]
    dosa.search_all(rivals)
    for (kind, problem), network, rival in zip(chosen, networks, rivals, strict=True):
        result = explore(network, space="gemmini", starts=0, workers=1)  # every tile is tried anyway
        found = {NAMES[known.label]: (known.cycles, known.energy_uj) for known in result.known if known.label in NAMES}
        if rival.best is not None:
            found["Gemmini-DOSA"] = rival.best.latency, rival.best.energy * PJ_TO_UJ
        found[OURS] = result.design.cycles, result.design.energy_uj
        figures = {name: [float(cycles), float(energy)] for name, (cycles, energy) in found.items()}
        yield {"kind": kind, "name": problem.name, "shape": problem.to_dict(), "bound": result.bound, "machines": figures}


def stored(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of results; a last one that was cut off is left out."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def summary(lines: list[dict[str, Any]]) -> list[tuple[str, int, str, float, float, float]]:
    """(kind, cases, machine, mean cycles, mean uJ, geometric mean of EDP over that of BACO), a row for each kind and machine."""
    rows = []
    for kind in CASES:
        found = [line["machines"] for line in lines if line["kind"] == kind]
        for machine in MACHINES if found else ():
            cycles, energy = (sum(f[machine][i] for f in found) / len(found) for i in (0, 1))
            ratios = [math.log(math.prod(f[machine]) / math.prod(f[OURS])) for f in found]
            rows.append((kind, len(found), machine, cycles, energy, math.exp(sum(ratios) / len(ratios))))
    return rows


def main(given: list[str] | None = None) -> None:
    """Run the cases and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--every", type=int, default=1, help="run every so many-th case")
    parser.add_argument("--shard", default="1/1", help="which part of how many")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(given)
    part, parts = map(int, options.shard.split("/"))
    options.results.parent.mkdir(parents=True, exist_ok=True)
    have = {line["name"] for line in stored(options.results)}
    waiting = [case for case in cases()[:: options.every] if case[1].name not in have]
    with options.results.open("a") as file:
        for line in run_cases(waiting[part - 1 :: parts]):
            file.write(json.dumps(line) + "\n")
            file.flush()
    for kind, many, machine, cycles, energy, ratio in summary(stored(options.results)):
        print(f"{kind:7} {many:4} {machine:16} {cycles:14,.0f} {energy:14,.1f} {ratio:8.2f}")


if __name__ == "__main__":
    main()
