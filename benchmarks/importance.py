"""What the importance estimator saves: the same search with and without it, where the budget does not reach for every tile.

    python benchmarks/importance.py unet resnet50 --budgets 2000 8000 20000 --seeds 3

Prints the geometric mean of EDP over the seeds with effort by importance and with the same effort for every layer, and their ratio: what
importance makes better at the same number of samples.
"""

from __future__ import annotations

import argparse
import math

from baco.search import explore


def mean_edp(network: str, options: argparse.Namespace, budget: int, importance: bool) -> float:
    """Geometric mean of EDP over the seeds."""
    seeds, limits = options.seeds, {"max_area_mm2": options.max_area, "max_dim": options.max_dim}
    found = [explore(network, space=options.space, budget=budget, seed=seed, importance=importance, **limits).edp for seed in range(seeds)]
    return math.exp(sum(map(math.log, found)) / seeds)


def main() -> None:
    """Print one line a network and budget."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("networks", nargs="*", default=["unet", "resnet50", "bert", "retinanet"])
    parser.add_argument("--space", choices=["gemmini", "paper"], default="paper")
    parser.add_argument("--max-area", type=float, help="mm2")
    parser.add_argument("--max-dim", type=int)
    parser.add_argument("--budgets", type=int, nargs="+", default=[2_000, 8_000, 20_000])
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    print(f"{'network':12} {'samples':>9} {'importance':>11} {'even':>11} {'even / importance':>18}", flush=True)
    for network in options.networks:
        for budget in options.budgets:
            by, even = (mean_edp(network, options, budget, importance) for importance in (True, False))
            print(f"{network:12} {budget:9,} {by:11.4e} {even:11.4e} {even / by:18.3f}", flush=True)


if __name__ == "__main__":
    main()
