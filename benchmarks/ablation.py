"""The ablation of Table 6.7 on ResNet-50, as far as its parts are comparable: what each part of the co-design adds to the one before.

    python benchmarks/ablation.py

(a) the default machine with its library's tiles; (b) block partition: the best mapping of each layer on that machine; (c) inferred
hardware: memories as small as the mappings allow, 16 x 16; (d) the whole machine by the analytical model; all in the gemmini space, (c) and
(d) no larger than the default machine. (e), the learned model, changes what a design is judged by, not this EDP, and (f), importance, what
a search finds with few samples: the same search with 8,000 samples without it and with it. Writes RESULTS (benchmarks/results/
ablation.jsonl) anew, a line a row.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from baco.hardware import GemminiConfig
from baco.perfmodel.machine import Machine
from baco.search import explore

RESULTS = Path(__file__).parent / "results" / "ablation.jsonl"
LIBRARY = "gemmini-default, its library's tiles"
FEW = 8_000
BUDGET = 100_000_000


def rows(network: str) -> Iterator[tuple[str, str, float]]:
    """(letter, what it is, EDP in uJ x cycles)."""
    config = GemminiConfig()
    area = Machine.from_config(config).area_mm2() * (1 + 1e-9)
    whole = explore(network, max_area_mm2=area, budget=BUDGET)
    library = next(known for known in whole.known if known.label == LIBRARY)
    yield "a", "default machine, its library's tiles", library.energy_uj * library.cycles
    yield "b", "block partition: the best mapping of each layer", whole.baseline.edp
    yield "c", "inferred memories, 16 x 16", explore(network, max_area_mm2=area, max_dim=config.dim, budget=BUDGET).edp
    yield "d", "the whole machine by the analytical model", whole.edp
    for importance in (False, True):
        few = explore(network, max_area_mm2=area, budget=FEW, importance=importance)
        yield ("f" if importance else "d, few"), f"{FEW:,} samples, {'by importance' if importance else 'even effort'}", few.edp


def main(given: list[str] | None = None) -> None:
    """Run all rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--network", default="resnet50")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(given)
    with options.results.open("w") as file:
        for letter, what, edp in rows(options.network):
            print(f"({letter}) {what}: {edp:.3e}", flush=True)
            file.write(json.dumps({"network": options.network, "row": letter, "what": what, "edp": edp}) + "\n")


if __name__ == "__main__":
    main()
