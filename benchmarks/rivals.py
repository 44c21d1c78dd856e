"""Figure 6.11 of the dissertation redrawn: best EDP against samples, for `explore` and each rival, same evaluator, same samples.

    python benchmarks/rivals.py bert resnet50 --space paper --seeds 5 --out baco-out

A sample is one mapping of one layer. `--points` (10,430 unless told, DOSA's 7 starts of 1,490 steps) is how many mappings of each layer a
method may score. Prints a table, and leaves in OUT/NETWORK rivals.json, from which a later call without `--again` takes finished runs;
and rivals.svg, the picture. The report of `baco explore NETWORK --out OUT/NETWORK` draws the others' curves beside its own search.
`bayesian` needs the extra baco[rivals] and takes longest, some 0.6 ms a sample.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from baco.search import explore
from baco.search.rivals import METHODS, run
from baco.search.rivals.dosa import STARTS, STEPS
from baco.search.spaces import Limits, space_named
from baco.search.tilings import EXACT
from baco.workloads import Network
from baco.workloads import network as network_named

OURS = "baco"
COLOURS = {OURS: "#000000", "random": "#999999", "bayesian": "#0072b2", "evolution": "#009e73", "two-loop": "#e69f00", "dosa": "#d55e00"}
WIDTH, HEIGHT, MARGIN = 640, 400, 60


def one_run(method: str, network: Network, space: str, samples: int, seed: int, max_dim: int) -> dict[str, Any]:
    """One search as JSON: samples, value, seconds and the value at each new best; with `bound` where it is proved."""
    if method != OURS:
        return run(method, network, space_named(space), samples=samples, seed=seed, limits=Limits(max_dim=max_dim)).to_dict()
    result = explore(network, space=space, budget=samples, seed=seed, max_dim=max_dim, tilings=EXACT)  # what the others have
    machine = result.design.machine
    return {
        "method": OURS,
        "seed": seed,
        "samples": result.samples,
        "seconds": result.seconds,
        "value": result.edp,
        "hardware": {"side": machine.side, "accumulator_kib": machine.accumulator_kib, "scratchpad_kib": machine.scratchpad_kib},
        "history": [[at, value] for at, value, _ in result.history],
        "bound": result.bound,
    }


def geometric_mean(values: list[float]) -> float:
    """The geometric mean."""
    return math.exp(sum(map(math.log, values)) / len(values))


def table(runs: list[dict[str, Any]]) -> str:
    """One line a method: best, geometric mean and worst over the seeds, samples and seconds of a run."""
    lines = [f"{'method':10} {'best':>10} {'mean':>10} {'worst':>10} {'of baco':>8} {'samples':>9} {'seconds':>8}"]
    ours = [r["value"] for r in runs if r["method"] == OURS]
    for method in COLOURS:
        chosen = [r for r in runs if r["method"] == method]
        if chosen:
            values = [r["value"] for r in chosen]
            ratio = f"{geometric_mean(values) / geometric_mean(ours):8.2f}" if ours else f"{'':8}"
            most, seconds = max(r["samples"] for r in chosen), sum(r["seconds"] for r in chosen) / len(chosen)
            lines.append(
                f"{method:10} {min(values):10.3e} {geometric_mean(values):10.3e} {max(values):10.3e} {ratio} {most:9,} {seconds:8.1f}"
            )
    return "\n".join(lines)


def curve(runs: list[dict[str, Any]], samples: int) -> list[tuple[int, float]]:
    """The geometric mean over the runs of the best value, at every number of samples where one of them got better."""
    first = max(r["history"][0][0] for r in runs)
    places = sorted({at for r in runs for at, _ in r["history"] if at >= first} | {first, samples})
    return [(at, geometric_mean([[value for when, value in r["history"] if when <= at][-1] for r in runs])) for at in places]


def curves_of(runs: list[dict[str, Any]], samples: int) -> dict[str, list[tuple[int, float]]]:
    """The curve of each method that has runs."""
    return {m: curve([r for r in runs if r["method"] == m], samples) for m in COLOURS if any(r["method"] == m for r in runs)}


def proved_bound(runs: list[dict[str, Any]]) -> float | None:
    """The largest lower bound that any of the runs proved."""
    return max((r["bound"] for r in runs if r.get("bound")), default=None)


def plot(title: str, curves: dict[str, list[tuple[int, float]]], samples: int, bound: float | None) -> str:
    """The curves as an SVG picture, both axes logarithmic, and the bound as a dashed line."""
    values = [v for c in curves.values() for _, v in c] + ([bound] if bound else [])
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    left, right = math.floor(math.log10(min(c[0][0] for c in curves.values()))), math.log10(samples)

    def x(at: float) -> float:
        return MARGIN + (math.log10(at) - left) / (right - left) * (WIDTH - 2 * MARGIN)

    def y(value: float) -> float:
        return HEIGHT - MARGIN - (math.log10(value) - low) / (high - low) * (HEIGHT - 2 * MARGIN)

    def text(across: float, down: float, what: str, anchor: str = "middle", colour: str = "#000000") -> str:
        return f'<text x="{across:.1f}" y="{down:.1f}" text-anchor="{anchor}" fill="{colour}">{what}</text>'

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">']
    parts.append('<rect width="100%" height="100%" fill="#ffffff"/>')
    parts += [text(WIDTH / 2, 24, title), text(WIDTH / 2, HEIGHT - 16, "samples (mappings of one layer)")]
    parts.append(text(MARGIN, MARGIN - 12, "EDP, uJ x cycles", "start"))
    for power in range(low, high + 1):
        parts.append(f'<path d="M{MARGIN} {y(10**power):.1f}H{WIDTH - MARGIN}" stroke="#dddddd"/>')
        parts.append(text(MARGIN - 6, y(10**power) + 4, f"1e{power}", "end"))
    parts += [text(x(10**power), HEIGHT - MARGIN + 18, f"1e{power}") for power in range(left, math.floor(right) + 1)]
    if bound:
        parts.append(f'<path d="M{MARGIN} {y(bound):.1f}H{WIDTH - MARGIN}" stroke="#000000" stroke-dasharray="4 4"/>')
    for place, (method, points) in enumerate(curves.items()):
        path = f"M{x(points[0][0]):.1f} {y(points[0][1]):.1f}" + "".join(f"H{x(at):.1f}V{y(value):.1f}" for at, value in points[1:])
        parts.append(f'<path d="{path}" fill="none" stroke="{COLOURS[method]}" stroke-width="2"/>')
        parts.append(text(WIDTH - MARGIN - 8, MARGIN + 16 * place, method, "end", COLOURS[method]))
    return "\n".join([*parts, "</svg>", ""])


def compare(network: Network, options: argparse.Namespace) -> list[dict[str, Any]]:
    """All runs of one network, those that are already in its file read from there; the files are written after each."""
    samples = options.points * len(network.layers)
    settings = {"network": network.name, "space": options.space, "max_dim": options.max_dim, "samples": samples}
    folder = options.out / network.name
    stored = folder / "rivals.json"
    runs: list[dict[str, Any]] = []
    if stored.exists() and not options.again:
        before = json.loads(stored.read_text())
        if all(before.get(name) == value for name, value in settings.items()):
            runs = before["runs"]
    for method in options.methods:
        for seed in range(options.seeds):
            if any(r["method"] == method and r["seed"] == seed for r in runs):
                continue
            runs.append(one_run(method, network, options.space, samples, seed, options.max_dim))
            folder.mkdir(parents=True, exist_ok=True)
            curves = curves_of(runs, samples)
            others = {method: points for method, points in curves.items() if method != OURS}
            stored.write_text(json.dumps({**settings, "runs": runs, "curves": others}, indent=1) + "\n")
            (folder / "rivals.svg").write_text(plot(f"{network.name}, {options.space} space", curves, samples, proved_bound(runs)))
    return runs


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("networks", nargs="*", default=["bert"])
    parser.add_argument("--methods", nargs="+", choices=list(COLOURS), default=[OURS, *METHODS])
    parser.add_argument("--space", choices=["gemmini", "paper"], default="paper")
    parser.add_argument("--points", type=int, default=STARTS * STEPS, help="mappings of each layer that a method may score")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--max-dim", type=int, default=Limits.max_dim, help="largest side of the array")
    parser.add_argument("--out", type=Path, default=Path("baco-out"))
    parser.add_argument("--again", action="store_true", help="run everything again")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> None:
    """Compare the methods on each network."""
    options = arguments(given)
    for name in options.networks:
        print(f"{name}, {options.space} space, EDP in uJ x cycles\n{table(compare(network_named(name), options))}\n", flush=True)


if __name__ == "__main__":
    main()
