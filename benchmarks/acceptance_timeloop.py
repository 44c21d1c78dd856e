"""The designs of benchmarks/acceptance.py judged by Timeloop: `explore`'s and the best of DOSA's seeds.

    BACO_TIMELOOP=timeloop-model python benchmarks/acceptance_timeloop.py

Every layer of each design goes through `timeloop-model` with the energies of Table 6.3. A layer that Timeloop refuses, as it wants room
for rows that a stride jumps over, is judged by the model with halo `reuse`, which counts as Timeloop does (docs/timeloop.md); how many
those are is in the line. Writes RESULTS (benchmarks/results/acceptance_timeloop.jsonl) anew.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from acceptance import CAPS, NETWORKS, stored
from acceptance import RESULTS as SEARCHES

from baco.perfmodel import timeloop_run
from baco.perfmodel.errors import TimeloopError
from baco.perfmodel.exact import PJ_TO_UJ, evaluate
from baco.perfmodel.machine import Machine
from baco.search.candidates import Choice
from baco.workloads import network as network_named

RESULTS = SEARCHES.with_name("acceptance_timeloop.jsonl")


def judged(line: dict[str, Any]) -> dict[str, Any]:
    """EDP of a design by the model and by Timeloop, in uJ x cycles, and how many layers Timeloop refused."""
    network, machine = network_named(line["network"]), Machine(*line["machine"])
    energy, cycles, refused = 0.0, 0.0, 0
    for layer, (tile, spatial_c, spatial_k, order) in zip(network.layers, line["mappings"], strict=True):
        mapping = Choice(tuple(tile), spatial_c, spatial_k, order).mapping(layer.problem)
        try:
            said = timeloop_run.run(layer.problem, mapping, machine)
            one = said.energy_pj, said.cycles
        except TimeloopError:
            cost = evaluate(layer.problem, mapping, machine, halo="reuse")
            one, refused = (cost.energy_pj, cost.cycles), refused + 1
        energy, cycles = energy + layer.count * one[0], cycles + layer.count * one[1]
    named = {name: line[name] for name in ("network", "space", "cap", "method", "seed", "edp")}
    return named | {"timeloop_edp": energy * cycles * PJ_TO_UJ, "refused": refused, "layers": len(network.layers)}


def designs(space: str) -> Iterator[dict[str, Any]]:
    """`explore`'s design and DOSA's best for each network and cap."""
    lines = [line for line in stored(SEARCHES) if line["space"] == space and "mappings" in line]
    for cap in CAPS:
        for network in NETWORKS:
            for method in ("best", "dosa"):
                found = [line for line in lines if (line["cap"], line["network"], line["method"]) == (cap, network, method)]
                if found:
                    yield min(found, key=lambda line: line["edp"])


def main(given: list[str] | None = None) -> None:
    """Judge all designs of the paper space, whose mappings Timeloop can express."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(given)
    with options.results.open("w") as file:
        for design in designs("paper"):
            line = judged(design)
            file.write(json.dumps(line) + "\n")
            file.flush()
            print(line, flush=True)


if __name__ == "__main__":
    main()
