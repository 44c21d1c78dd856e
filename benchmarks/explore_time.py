"""How long `baco explore` takes and how near it comes: time, samples and proven gap on each network, and the EDP with ten times the budget.

    python benchmarks/explore_time.py                       # all networks, gemmini space
    python benchmarks/explore_time.py resnet50 --times 10   # and what ten times the mappings and starting points reach

Processor seconds add up all processes of the search; on a machine that does nothing else, seconds are those over the cores in use.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from baco.search import ExploreResult, explore
from baco.search.explorer import DEFAULT_BUDGET, STARTS
from baco.workloads import NETWORKS


@dataclass(frozen=True)
class Timed:
    """A search and what it took."""

    result: ExploreResult
    seconds: float
    processor_seconds: float


def timed(network: str, times: int = 1, **options: object) -> Timed:
    """Search a network with so many times the default mappings and starting points."""
    before, began = os.times(), time.monotonic()
    result = explore(network, budget=times * DEFAULT_BUDGET, starts=times * STARTS, **options)
    after = os.times()
    return Timed(result, time.monotonic() - began, sum(after[:4]) - sum(before[:4]))


def rows(networks: list[str], times: int, **options: object) -> Iterator[str]:
    """A table in Markdown, row by row."""
    more = times > 1
    yield "| network | seconds | processor seconds | mappings scored | EDP | above the bound, % |" + (
        f" EDP, {times} times as much | worse by, % | its processor seconds |" if more else ""
    )
    yield "|" + " --- |" * (9 if more else 6)
    for name in networks:
        one = timed(name, **options)
        gap = "-" if one.result.gap is None else f"{100 * one.result.gap:.3f}"
        row = f"| {name} | {one.seconds:.0f} | {one.processor_seconds:.0f} | {one.result.samples:,} | {one.result.edp:.4g} | {gap} |"
        if more:
            long = timed(name, times, **options)
            row += f" {long.result.edp:.4g} | {100 * (one.result.edp / long.result.edp - 1):.3f} | {long.processor_seconds:.0f} |"
        yield row


def main(given: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--space", choices=["gemmini", "paper"], default="gemmini")
    parser.add_argument("--tilings", choices=["exact", "ragged"], default=None)
    parser.add_argument("--times", type=int, default=1, help="search again with so many times the budget")
    options = parser.parse_args(given)
    for row in rows(options.networks, options.times, space=options.space, tilings=options.tilings):
        print(row, flush=True)


if __name__ == "__main__":
    main()
