"""Phase 2 of a search: every tile of every layer, or those that branch and bound asks for, on each side worth it; and the bound.

Each side's candidates are combined by branch and bound (`choice`), which also gives a lower bound on what that side can do. Sides that were
not tried lie between two that were, and are bounded together, by a machine with the elements of the largest and the memories and the area
of the least. Where that says little, the side in the middle is tried as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from baco.search.branching import branch
from baco.search.candidates import Table, level3_orders, tabulate
from baco.search.choice import GAP, Combination, Selection
from baco.search.floors import floor_of_side
from baco.search.goals import Rules
from baco.search.spaces import Limits, Space
from baco.search.tilings import count_tiles, tile_sizes
from baco.workload import Problem

if TYPE_CHECKING:
    from baco.search.explorer import Search

GUIDES = 4
"""Designs of descent that are remembered: their sides come first."""
APART = 0.01
"""Sides between two that were tried are told apart where their bound is further below the best design than this part."""


def enumerate_sides(search: Search) -> None:
    """Phase 2, the sides that descent liked best first, so that their results rule out others."""
    liked = {d.side: rank for rank, d in reversed(list(enumerate(search.seen)))}
    sides = sorted(search.space.sides(search.limits), key=lambda s: (liked.get(s, GUIDES), -s))
    bounds, whole, scored = {}, True, []
    for position, side in enumerate(sides):
        floor = floor_of_side(search.network, side, search.rules)
        if floor >= search.best_value * (1 - GAP) and not search.whole_front:
            bounds[side] = floor
            continue
        left = (search.budget - search.samples) // 2 if position + 1 < len(sides) else search.budget - search.samples
        if all_tiles(search, side) > left:
            found, whole = search.journal.step(search, "branch and bound", partial(branch, search, sides[position:]))
            bounds |= dict(found)
            break
        fraction = 0.6 + 0.4 * position / len(sides)
        bounds[side] = search.journal.step(search, f"side {side}", partial(_enumerate_side, search, side, fraction))
        scored.append(side)
    if scored:
        search.method.append(f"every tile on sides {', '.join(map(str, scored))} combined by branch and bound")
    if further := [side for side in search.tables if side not in scored]:
        how = ", layers by importance," if search.importance else ""
        search.method.append(f"branch and bound over tiles that cannot be enlarged{how} on sides {', '.join(map(str, further))}")
    lowest = [bound * (1 - search.space.bound_slack(side, search.rules.table)) for side, bound in bounds.items()]
    if further and sum(all_tiles(search, most) for _, most in search.space.gaps(search.limits)) > search.budget - search.samples:
        whole = False
    if whole:
        between, whole = _bounds_between(search)
        lowest += between
    search.bound = float(min([*lowest, search.best_value])) if whole else None


def _enumerate_side(search: Search, side: int, fraction: float) -> float:
    """A lower bound on what a side can do, every tile scored."""
    tables = []
    for layer, found in zip(search.network.layers, _tabulated(search, side), strict=True):
        tables.append(found)
        search.tell("enumeration", fraction, f"side {side}, {layer.name}")
    search.tables[side] = tables

    def improved(selection: Selection) -> None:
        search.offer(search.design(selection), "enumeration")
        search.tell("enumeration", fraction, f"side {side}")

    return search.combination(side).best(search.best_value, improved)[1]


def _tabulated(search: Search, side: int, memory_side: int | None = None) -> Iterator[Table]:
    """The undominated of every tile of each layer, as :func:`tabulate` makes them; counts what is scored."""
    rules = search.rules
    score = partial(_tabulate, side=side, space=search.space, limits=search.limits, rules=rules, memory_side=memory_side)
    for found, scored in search.workers.map(score, [layer.problem for layer in search.network.layers]):
        search.samples += scored
        yield found


def _tabulate(problem: Problem, side: int, space: Space, limits: Limits, rules: Rules, memory_side: int | None) -> tuple[Table, int]:
    sizes = tile_sizes(problem, side, rules.tilings, any_width=space.any_width)
    return tabulate(problem, sizes, side, space, limits, **rules.model, tilings=rules.tilings, memory_side=memory_side)


def _bounds_between(search: Search) -> tuple[list[float], bool]:
    """Lower bounds that cover all sides between those of the space, and whether the budget reached for that.

    Where a range's bound is weak and the budget reaches, its middle side is scored and the rest of it bounded in two parts.
    """
    bounds: list[float] = []
    ranges = search.space.gaps(search.limits)
    while ranges:
        least_side, most_side = ranges.pop(0)
        bound = search.journal.step(search, f"sides {least_side} to {most_side}", partial(_bound_between, search, least_side, most_side))
        if bound is None:
            return bounds, False
        middle, each = (least_side + most_side) // 2, all_tiles(search, search.limits.largest_side)
        # The middle, its two parts, and what is still to come.
        left = search.budget - search.samples - each * (2 + len(ranges))
        if bound >= search.best_value * (1 - APART) or all_tiles(search, middle) > left:
            bounds.append(bound)
            continue
        lowest = search.journal.step(search, f"side {middle}", partial(_enumerate_side, search, middle, 1.0))
        bounds.append(lowest * (1 - search.space.bound_slack(middle, search.rules.table)))
        ranges = [(a, b) for a, b in ((least_side, middle - 1), (middle + 1, most_side)) if a <= b] + ranges
    return bounds, True


def _bound_between(search: Search, least_side: int, most_side: int) -> float | None:
    """A lower bound on all arrays of a range of sides; None where the budget does not reach.

    It is the best of a machine that none of them is better than: elements and bandwidth of the largest, area and memories of the least.
    """
    floor = floor_of_side(search.network, most_side, search.rules)
    if floor >= search.best_value * (1 - GAP):
        return floor
    if all_tiles(search, most_side) > search.budget - search.samples:
        return None
    tables = []
    for layer, found in zip(search.network.layers, _tabulated(search, most_side, least_side), strict=True):
        tables.append(found)
        search.tell("bound", 1.0, f"sides {least_side} to {most_side}, {layer.name}")
    counts = [layer.count for layer in search.network.layers]
    relaxed = Combination(tables, counts, least_side, search.limits, search.rules.table, search.rules.goal)
    return relaxed.best(search.best_value)[1] * (1 - search.space.bound_slack(least_side, search.rules.table))


def all_tiles(search: Search, side: int) -> int:
    """How many mappings it takes to score every tile of every layer in every order on arrays of a side."""
    tiles = sum(count_tiles(layer.problem, side, search.rules.tilings, search.space.any_width) for layer in search.network.layers)
    return tiles * len(level3_orders(search.rules.halo))
