"""What `explore` reaches and how near the best possible that is, beside DOSA and others: four networks, two spaces, with and without caps.

    python benchmarks/acceptance.py                                   # everything: hours on two cores, half of them `bayesian`
    python benchmarks/acceptance.py --networks bert-dosa --methods baco best default dosa --caps none side

Every search is one line of JSON in RESULTS (benchmarks/results/acceptance.jsonl), written when it ends; those already there are not run
again. Searches run side by side on all cores, one thread each, which makes the seconds of each longer. `docs/generate_results.py`
makes the tables of docs/results.md from the file.

`--shard 2/16` runs the second of sixteen parts, for so many machines or terminals, each with its own RESULTS.

Methods: `best` is `explore` with samples for every tile, which proves a bound; `many` the same from 4,096 starting points as one batch,
on a GPU where there is one; `exact` the same with tiles that divide their dimension only, as all searches of the paper space and all
rivals have them; `baco` is `explore` with as many samples as DOSA takes, 10,430 mappings of each layer; `default` is the default machine
with the best mapping of each layer, every mapping tried; the others are those of benchmarks/rivals.py, with the same samples as `baco`.

Caps: `none`; `side`: an array of at most 16 x 16; `area`: no larger than the default machine.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from baco.perfmodel.machine import Machine
from baco.search import explore
from baco.search.baselines import best_choices, default_machine
from baco.search.candidates import Choice
from baco.search.errors import NoDesign
from baco.search.goals import RULES
from baco.search.result import NetworkResult, assess
from baco.search.rivals import run
from baco.search.rivals.dosa import STARTS, STEPS
from baco.search.spaces import Limits, PaperSpace, space_named
from baco.workload import DIMENSIONS
from baco.workloads import Network
from baco.workloads import network as network_named

RESULTS = Path(__file__).parent / "results" / "acceptance.jsonl"
NETWORKS = ("unet", "resnet50", "bert-dosa", "retinanet")
"""The layer tables of the DOSA study; its BERT is one encoder block with other counts than BERT's."""
SPACES = ("paper", "gemmini")
CAPS = ("none", "side", "area")
SIDE = 16
ON_CHIP = 2
"""The level whose tiles the scratchpad and the accumulator hold."""
POINTS = STARTS * STEPS
"""Mappings of each layer that a rival may score: DOSA's 7 starts of 1,490 steps."""
STARTING_POINTS = 4096
BUDGET = 400_000_000
"""Of a search for a bound: more than any of these takes."""
SEEDS = {"best": 10, "many": 3, "exact": 3, "baco": 10, "default": 1, "dosa": 5, "random": 5, "bayesian": 2, "evolution": 5, "two-loop": 5}

DEFAULT_MACHINES = {"paper": Machine(SIDE, scratchpad_kib=128, accumulator_kib=32), "gemmini": Machine(SIDE, 256, 64)}
"""DOSA's default machine, whose memories hold a tile once, and Gemmini's, whose memories hold it twice: the same machine in both spaces."""


@dataclass(frozen=True)
class Job:
    """One search."""

    network: str
    space: str
    cap: str
    method: str
    seed: int
    points: int
    """Mappings of each layer that may be scored; 0 for as many as it likes."""


def jobs_of(options: argparse.Namespace) -> list[Job]:
    """Every search asked for, the longest first."""
    found = []
    for space, cap, network, method in itertools.product(options.spaces, options.caps, options.networks, options.methods):
        if method == "exact" and space == "paper":  # there it is the same as `best`
            continue
        points = {"best": 0, "many": 0, "exact": 0, "default": 0}.get(method, options.points)
        seeds = SEEDS[method] if options.seeds is None else min(options.seeds, SEEDS[method])
        found += [Job(network, space, cap, method, seed, points) for seed in range(seeds)]
    return sorted(found, key=lambda job: (job.method != "bayesian", job.seed))


def limits_of(job: Job) -> dict[str, Any]:
    """The cap as options of `explore` and of `Limits`."""
    if job.cap == "side":
        return {"max_dim": SIDE}
    return {"max_area_mm2": DEFAULT_MACHINES[job.space].area_mm2() * (1 + 1e-9)} if job.cap == "area" else {}


def run_job(job: Job) -> dict[str, Any]:
    """The search's line: the job's fields, EDP in uJ x cycles (None where no design was found), samples, seconds, machine, mappings."""
    network = network_named(job.network)
    started = time.monotonic()
    if job.method == "default":
        found = _on_default(network, job.space)
    elif job.method in ("best", "many", "exact", "baco"):
        found = _explored(network, job)
    else:
        found = _rival(network, job)
    return asdict(job) | found | {"seconds": round(time.monotonic() - started, 2)}


def _explored(network: Network, job: Job) -> dict[str, Any]:
    options = {"many": {"starts": STARTING_POINTS}, "exact": {"tilings": "exact"}}.get(job.method, {}) | limits_of(job)
    budget = job.points * len(network.layers) or BUDGET
    result = explore(network, space=job.space, seed=job.seed, budget=budget, workers=1, **options)
    return {"samples": result.samples, "bound": result.bound, **_design(result.design)}


def _rival(network: Network, job: Job) -> dict[str, Any]:
    samples = job.points * len(network.layers)
    try:
        result = run(job.method, network, space_named(job.space), samples=samples, seed=job.seed, limits=Limits(**limits_of(job)))
    except NoDesign:
        return {"samples": samples, "edp": None}
    design, space = result.design, space_named(job.space)
    machine = space.machine(design.side, design.accumulator_kib, design.scratchpad_kib)
    return {"samples": result.samples, **_design(_assess(network, machine, list(design.choices)))}


def _on_default(network: Network, space: str) -> dict[str, Any]:
    if space == "gemmini":
        return {"samples": None, **_design(default_machine(network))}
    machine = DEFAULT_MACHINES[space]
    return {"samples": None, **_design(_assess(network, machine, best_choices(network, machine, PaperSpace(), RULES)))}


def _assess(network: Network, machine: Machine, choices: list[Choice]) -> NetworkResult:
    mapped = [(layer, choice.mapping(layer.problem)) for layer, choice in zip(network.layers, choices, strict=True)]
    return assess("", machine, None, mapped, RULES.halo, RULES.latency)


def _design(result: NetworkResult) -> dict[str, Any]:
    machine = result.machine
    return {
        "edp": result.edp,
        "machine": [machine.side, machine.scratchpad_kib, machine.accumulator_kib],
        "area_mm2": round(result.area_mm2, 4),
        # For each layer: the tile, s_C and s_K, the loop order at DRAM.
        "mappings": [
            [[r.mapping.tile(ON_CHIP)[d] for d in DIMENSIONS], r.mapping.spatial_c, r.mapping.spatial_k, r.mapping.orders[3]]
            for r in result.layers
        ],
    }


def stored(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of results; a last one that was cut off is left out."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def compute(jobs: Iterable[Job], path: Path, workers: int) -> None:
    """Run what the file lacks and add it there."""
    have = {tuple(line[name] for name in Job.__dataclass_fields__) for line in stored(path)}
    waiting = [job for job in jobs if tuple(asdict(job).values()) not in have]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        for place, line in enumerate(_lines(waiting, workers), start=1):
            file.write(json.dumps(line) + "\n")
            file.flush()
            print(
                f"{place}/{len(waiting)}", *(line[name] for name in ("network", "space", "cap", "method", "seed")), line["edp"], flush=True
            )


def _lines(jobs: list[Job], workers: int) -> Iterator[dict[str, Any]]:
    """The line of each search, as they end."""
    if workers == 1:
        yield from map(run_job, jobs)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(run_job, job) for job in jobs]):
            yield done.result()


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--spaces", nargs="+", choices=SPACES, default=list(SPACES))
    parser.add_argument("--caps", nargs="+", choices=CAPS, default=list(CAPS))
    parser.add_argument("--methods", nargs="+", choices=list(SEEDS), default=list(SEEDS))
    parser.add_argument("--points", type=int, default=POINTS, help="mappings of each layer that a method may score")
    parser.add_argument("--seeds", type=int, help="at most so many of each method")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--shard", default="1/1", help="which part of how many")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> None:
    """Run the searches."""
    os.environ["OMP_NUM_THREADS"] = "1"  # one thread each: set before the workers import NumPy
    options = arguments(given)
    part, parts = map(int, options.shard.split("/"))
    compute(jobs_of(options)[part - 1 :: parts], options.results, options.workers)


if __name__ == "__main__":
    main()
