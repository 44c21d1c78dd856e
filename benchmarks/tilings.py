"""What ragged tiles gain: each network on the default Gemmini with its library's tiles, the best exact tiles and the best ragged ones, and
with hardware chosen for it.

    python benchmarks/tilings.py vit-b16 gpt2-decode
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from baco.perfmodel import Constants
from baco.search import explore
from baco.search.baselines import default_machine, known_machines
from baco.search.goals import RULES
from baco.search.tilings import TILINGS, as_searched
from baco.workloads import NETWORKS, network


def rows(names: list[str]) -> Iterator[str]:
    """A table in Markdown, row by row: EDP in uJ x cycles."""
    yield "| network | library's tiles | exact | ragged | exact / ragged | library / ragged | chosen hardware, exact | ragged | ratio |"
    yield "|" + " --- |" * 9
    for name in names:
        table = network(name)
        exact, ragged = (default_machine(as_searched(table, tilings), tilings=tilings).edp for tilings in TILINGS)
        library = next(m.edp for m in known_machines(table, RULES, Constants()) if "library" in m.label)
        chosen = [explore(name, tilings=tilings).edp for tilings in TILINGS]
        yield (
            f"| {name} | {library:.3e} | {exact:.3e} | {ragged:.3e} | {exact / ragged:.3f} | {library / ragged:.3f} "
            f"| {chosen[0]:.3e} | {chosen[1]:.3e} | {chosen[0] / chosen[1]:.3f} |"
        )


def main(given: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    for row in rows(parser.parse_args(given).networks):
        print(row, flush=True)


if __name__ == "__main__":
    main()
