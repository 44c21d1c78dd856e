"""Descent's batch of starting points on the CPU and on a GPU: milliseconds a step, and whether whole searches end at the same design.

    python benchmarks/gpu_batch.py

Writes RESULTS (benchmarks/results/gpu_batch.jsonl) anew, a line a measurement; `docs/generate_results.py` makes a table of it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from baco.search import explore
from baco.search.descent import descend, start
from baco.search.spaces import Limits, space_named
from baco.workloads import network as network_named

RESULTS = Path(__file__).parent / "results" / "gpu_batch.jsonl"
NETWORKS = ("resnet50", "unet", "bert-dosa", "retinanet")
STARTS = (24, 256, 1024, 4096, 16384)
BUDGET = 400_000_000
"""Of a whole search: more than it takes from 4,096 starting points."""


def steps(name: str) -> Iterator[dict[str, Any]]:
    """A line for each number of starting points and device: milliseconds a step, and of rounding all points once."""
    network, space = network_named(name), space_named("gemmini")
    for starts in STARTS:
        whole, _ = start(network, space, Limits(), starts, 0)
        for device, many in (("cuda", 20), ("cpu", 10 if starts <= 1000 else 2)):
            seconds = []
            for taken in (2, 0, many):  # the first warms up
                began = time.monotonic()
                descend(network, space, Limits(), whole, taken, device=device)
                seconds.append(time.monotonic() - began)
            figures = {"ms_a_step": round((seconds[2] - seconds[1]) / many * 1e3, 3), "rounding_ms": round(seconds[1] * 1e3, 1)}
            yield {"network": name, "starts": starts, "device": device, **figures}


def searches(name: str) -> Iterator[dict[str, Any]]:
    """A line for each space and device: the whole search's EDP and seconds, and the best EDP that descent found."""
    for space in ("gemmini", "paper"):
        for device, starts in (("cpu", 24), ("cuda", 24), ("cuda", 4096)):
            found = explore(name, space=space, budget=BUDGET, starts=starts, device=device, tilings="exact")
            machine = found.design.machine
            yield {
                "network": name,
                "space": space,
                "device": device,
                "starts": starts,
                "edp": found.edp,
                "seconds": round(found.seconds, 2),
                "after_descent": min(value for _, value, phase in found.history if phase == "descent"),
                "machine": [machine.side, machine.scratchpad_kib, machine.accumulator_kib],
            }


def main(given: list[str] | None = None) -> None:
    """Measure all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(given)
    with options.results.open("w") as file:
        for name in NETWORKS:
            for measure in (steps, searches):
                for line in measure(name):
                    file.write(json.dumps(line) + "\n")
                    file.flush()
                    print(line, flush=True)


if __name__ == "__main__":
    main()
