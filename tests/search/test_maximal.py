"""Tiles that cannot be enlarged: no other is better on a machine, by scoring all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baco.search.candidates import ACCUMULATOR_KIB, SCRATCHPAD_KIB, tabulate
from baco.search.goals import Rules
from baco.search.maximal import Tiles, enlargements
from baco.search.spaces import SPACES, Limits
from baco.search.tilings import TILINGS, tile_sizes
from baco.workload import DIMENSIONS, Problem

problems = st.builds(
    Problem,
    R=st.sampled_from((1, 2, 3, 4)),
    S=st.sampled_from((1, 3)),
    P=st.sampled_from((1, 4, 6, 7)),
    Q=st.sampled_from((1, 5, 6)),
    C=st.sampled_from((1, 3, 8, 12, 20)),
    K=st.sampled_from((1, 6, 10, 16)),
    N=st.sampled_from((1, 2)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
)
machines = st.tuples(st.sampled_from((2, 4, 8, 32)), st.floats(0.05, 0.9), st.floats(0.05, 0.9))


def whole(problem, side, space, rules, limits):
    """The undominated of every tile."""
    sizes = tile_sizes(problem, side, rules.tilings, any_width=space.any_width)
    return tabulate(problem, sizes, side, space, limits, **rules.model, tilings=rules.tilings)[0].figures


def placed(problem, side, space, rules, limits):
    """The layer's tiles, with all accumulators and scratchpads that one takes, and the largest scratchpad beside each accumulator."""
    tiles = Tiles(problem, side, space, rules)
    xs, ys = np.unique(tiles.accumulator_kib), np.unique(tiles.scratchpad_kib)
    tiles.place(xs, ys)
    return tiles, xs, ys, np.array([np.count_nonzero(limits.holds(side, x, ys)) - 1 for x in xs])


@settings(max_examples=120, deadline=None)
@given(problems, machines, st.sampled_from(list(SPACES)), st.sampled_from(TILINGS), st.sampled_from(("shared", "separate")))
def test_on_every_machine_one_of_them_is_as_good_as_any_tile(problem, machine, name, tilings, latency):
    space, rules, (side, x, y) = SPACES[name](), Rules(latency=latency, tilings=tilings), machine
    tiles, xs, ys, most = placed(problem, side, space, rules, Limits())
    x, y = int(x * len(xs)), int(y * len(ys))
    if len(places := tiles.unscored((x, x, y, y), most)):
        tiles.score(places)
    every = whole(problem, side, space, rules, Limits())
    every = every[(every[:, ACCUMULATOR_KIB] <= xs[x]) & (every[:, SCRATCHPAD_KIB] <= ys[y])]
    for row in every:
        assert (tiles.table.figures[:, :4] <= row[:4] * (1 + 1e-12)).all(axis=1).any()
    assert len(tiles.unscored((x, x, y, y), most)) == 0


@pytest.mark.parametrize("name", list(SPACES))
def test_those_of_a_box_are_as_good_as_any_tile_of_its_machines(name):
    problem, space, side = Problem(R=3, S=3, P=12, Q=8, C=24, K=32), SPACES[name](), 8
    rules, limits = Rules(tilings=space.tilings), Limits(max_area_mm2=0.06)
    tiles, xs, ys, most = placed(problem, side, space, rules, limits)
    first, last, low, high = box = (len(xs) // 4, len(xs) - 1, len(ys) // 5, len(ys) - 1)
    assert most[last] < high  # the box is partly beyond the limit
    tiles.score(tiles.unscored(box, most))
    table = tiles.table.figures
    held = limits.holds(side, np.maximum(table[:, ACCUMULATOR_KIB], xs[first]), np.maximum(table[:, SCRATCHPAD_KIB], ys[low]))
    assert len(table) and held.all()
    every = whole(problem, side, space, rules, limits)
    x, y = (np.maximum(every[:, column], least) for column, least in ((ACCUMULATOR_KIB, xs[first]), (SCRATCHPAD_KIB, ys[low])))
    every = every[limits.holds(side, x, y)]
    for row in every:
        assert (table[:, :4] <= row[:4] * (1 + 1e-12)).all(axis=1).any()
    assert tiles.scored.sum() < 0.1 * tiles.scored.size


def test_what_a_larger_size_may_be_worse_at_is_no_enlargement():
    problem = Problem(R=3, S=4, P=12, Q=1, C=24, K=20, dilation=(2, 1))
    sizes = tile_sizes(problem, 8, "exact")
    larger = {d: dict(zip(sizes[d], np.array(sizes[d])[enlargements(problem, d, sizes[d], 8, "exact")], strict=True)) for d in DIMENSIONS}
    assert larger["P"] == {1: 2, 2: 3, 3: 4, 4: 6, 6: 12, 12: 12}
    assert larger["R"] == {1: 1, 3: 3}  # dilated: a window of three taps has rows that are not read
    assert larger["S"] == {1: 1, 2: 4, 4: 4}  # a single tap's weights may stay
    # 8 of 24 lie across the array in one block; 12 would take 6 at a time, in more blocks.
    assert larger["C"] == {1: 2, 2: 3, 3: 4, 4: 6, 6: 8, 8: 8, 12: 24, 24: 24}
    assert larger["K"] == {1: 2, 2: 4, 4: 5, 5: 5, 10: 20, 20: 20}
