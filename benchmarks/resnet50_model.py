"""Cycles that the model predicts for ResNet-50's layers beside those of the RTL, on the default machine.

    python benchmarks/resnet50_model.py              # run what has not been run (20 to 60 minutes on one core), print and draw
    python benchmarks/resnet50_model.py --report     # print and draw only

Each distinct layer runs in the mapping of least EDP by the model, in primitive instructions and in loop instructions where those can do it.
Results are in results/resnet50_model.jsonl, one line a run; the picture is docs/resnet50_model.svg. It also shows random mappings, from
results/resnet50_random.csv, which `baco dataset` wrote (the command is in docs/dataset.md).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path

from scatter import scatter

from baco import knobs
from baco.hardware import GemminiConfig
from baco.search.baselines import default_machine
from baco.search.dataset import OK, Options, Task, measure, read_table
from baco.sim.rtl import MemoryModel
from baco.toolchain import atomic_write
from baco.workloads import network

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "resnet50_model.jsonl"
RANDOM = HERE / "results" / "resnet50_random.csv"
PICTURE = HERE.parent / "docs" / "resnet50_model.svg"
FORMS = ("primitive", "loops")
NETWORK = "resnet50"
LINE_BYTES = MemoryModel().line_bytes


def tasks() -> list[Task]:
    """Every distinct layer in both forms, the quickest first."""
    config, memory = GemminiConfig(), knobs.memory_model.value
    layers = sorted(default_machine(network(NETWORK), tilings="ragged").layers, key=lambda r: r.cost.cycles)
    return [
        Task(NETWORK, r.layer, r.mapping, config, Options(instructions=form, most_cycles=2_000_000_000), memory)
        for r in layers
        for form in FORMS
    ]


def kept() -> dict[str, dict]:
    """What has been measured, by key."""
    lines = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    return {line["key"]: line for line in lines}


def table(lines: list[dict]) -> str:
    """The table of docs/dataset.md, a line a layer. What has two figures has them for primitive and for loop instructions; lines are those
    of the cache that come from DRAM, which gives one in `line_cycles` of the memory model."""
    by_layer: dict[str, dict[str, dict]] = {}
    for line in lines:
        by_layer.setdefault(line["layer"], {})[line["instructions"]] = line
    rows = ["| layer | count | predicted | bound by | primitive | loops | ratio | ratio | bytes a read | lines, B/cycle |"]
    rows.append("|---" * (rows[0].count("|") - 1) + "|")
    for name, forms in by_layer.items():
        first = next(iter(forms.values()))
        predicted = first["predicted_cycles"]
        done = [line if (line := forms.get(form)) and line["status"] == OK else None for form in FORMS]
        cells = ["-" if line is None else f"{line['device']:,}" for line in done]
        cells += ["-" if line is None else f"{line['device'] / predicted:.2f}" for line in done]
        reads = "; ".join("-" if line is None else f"{line['bytes_read'] / line['reads']:.0f}" for line in done)
        lines_read = "; ".join("-" if line is None else f"{LINE_BYTES * line['cache_misses'] / line['device']:.1f}" for line in done)
        rows.append(
            f"| {name} | {first['count']} | {predicted:,} | {first['predicted_bound']} | {' | '.join(cells)} | {reads} | {lines_read} |"
        )
    return "\n".join(rows)


def geometric_mean(values: list[float]) -> float:
    """The geometric mean."""
    return math.exp(sum(map(math.log, values)) / len(values))


def summary(lines: list[dict]) -> str:
    """Mean error and ratio of each form, and the network's sums."""
    said = []
    for form in FORMS:
        chosen = [line for line in lines if line["instructions"] == form and line["status"] == OK]
        if not chosen:
            continue
        ratios = [line["device"] / line["predicted_cycles"] for line in chosen]
        error = sum(abs(1 - 1 / r) for r in ratios) / len(ratios)
        sums = [sum(line[name] * line["count"] for line in chosen) for name in ("predicted_cycles", "device", "whole")]
        mean = geometric_mean(ratios)
        said.append(
            f"{form}: {len(chosen)} layers, measured / predicted {mean:.2f} (geometric mean), {min(ratios):.2f} to {max(ratios):.2f}; "
            f"mean error of the prediction {100 * error:.0f} %; the {sum(line['count'] for line in chosen)} layers of the network: "
            f"{sums[0]:,} cycles predicted, {sums[1]:,} measured on the device, {sums[2]:,} whole"
        )
    quickest: dict[str, dict] = {}
    for line in lines:
        if line["status"] == OK and line["device"] < quickest.get(line["layer"], {"device": math.inf})["device"]:
            quickest[line["layer"]] = line
    layers, cycles = (sum(n) for n in zip(*((line["count"], line["count"] * line["device"]) for line in quickest.values()), strict=True))
    said.append(f"each layer in its quicker form: {cycles:,} cycles on the device for {layers} layers")
    return "\n".join(said)


def point(line: dict) -> tuple[float, float, str]:
    """Where a line lies in the picture, and its title."""
    return float(line["predicted_cycles"]), float(line["device"]), f"{line['layer']}: {line['mapping']}"


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--report", action="store_true", help="run nothing")
    only_report, found = parser.parse_args().report, kept()
    wanted = [] if only_report else tasks()
    for task in wanted:
        if task.key in found:
            continue
        started = time.monotonic()
        found[task.key] = line = {**measure(task), "seconds": round(time.monotonic() - started, 1)}
        RESULTS.parent.mkdir(exist_ok=True)
        with RESULTS.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(f"{line['layer']} in {line['instructions']}: {line['status']}, {line['device']} cycles in {line['seconds']} s", flush=True)
    lines = list(found.values())
    print(table(lines))
    print(summary(lines))
    groups = [
        (f"{form.removesuffix('s')} instructions", [point(line) for line in lines if line["instructions"] == form and line["status"] == OK])
        for form in FORMS
    ]
    drawn_at_random = [line for line in read_table(RANDOM) if line["status"] == OK] if RANDOM.exists() else []
    if drawn_at_random:
        ratios = [int(line["device"]) / int(line["predicted_cycles"]) for line in drawn_at_random]
        print(f"random mappings: {len(ratios)}, measured / predicted {geometric_mean(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")
    groups.insert(0, ("random mappings", [point(line) for line in drawn_at_random]))
    drawn = [group for group in groups if group[1]]
    if drawn:
        atomic_write(PICTURE, scatter(drawn, "predicted cycles", "measured cycles", "predicted and measured cycles of ResNet-50's layers"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
