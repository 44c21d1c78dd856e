"""What the importance estimator saves: the same search with and without it, where the budget does not reach for every tile.

    python benchmarks/importance.py unet resnet50 --budgets 10000 30000 100000 --seeds 3

Prints the geometric mean of EDP over the seeds with effort by importance and with the same effort for every layer, and their ratio: what
importance makes better at the same number of samples.
"""

from __future__ import annotations

import argparse
import math

from baco.search import explore


def mean_edp(network: str, space: str, budget: int, seeds: int, importance: bool) -> float:
    """Geometric mean of EDP over the seeds."""
    found = [explore(network, space=space, budget=budget, seed=seed, importance=importance).edp for seed in range(seeds)]
    return math.exp(sum(map(math.log, found)) / seeds)


def main() -> None:
    """Print one line a network and budget."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("networks", nargs="*", default=["unet", "resnet50", "bert", "retinanet"])
    parser.add_argument("--space", choices=["gemmini", "paper"], default="paper")
    parser.add_argument("--budgets", type=int, nargs="+", default=[10_000, 30_000, 100_000])
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    print(f"{'network':12} {'samples':>9} {'importance':>11} {'even':>11} {'even / importance':>18}", flush=True)
    for network in options.networks:
        for budget in options.budgets:
            by, even = (mean_edp(network, options.space, budget, options.seeds, importance) for importance in (True, False))
            print(f"{network:12} {budget:9,} {by:11.4e} {even:11.4e} {even / by:18.3f}", flush=True)


if __name__ == "__main__":
    main()
