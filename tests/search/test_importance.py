"""Effort by importance: the estimate by hand, and an allocation that scores what it says."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from small import NETWORK

from baco.search import explore
from baco.search.allocation import allocate, menu_of
from baco.search.candidates import tabulate
from baco.search.goals import RULES
from baco.search.importance import PATIENCE, Scheduler
from baco.search.spaces import Limits, space_named
from baco.search.tilings import divisors
from baco.workload import DIMENSIONS, Problem
from baco.workloads import Layer

PAPER = space_named("paper")
LAYERS = [Layer(Problem.gemm(8, 8, 8)), Layer(Problem.gemm(8, 8, 16), 2), Layer(Problem(R=3, S=3, P=4, Q=4, C=8, K=8))]


def finish(units):
    """The (layer, scored) of an allocation, and what it returns."""
    done = []
    while True:
        try:
            done.append(next(units))
        except StopIteration as end:
            return done, *end.value


def test_the_gain_is_that_of_the_equations():
    scheduler = Scheduler(LAYERS)
    scheduler.record(0, 10, 0.9)
    scheduler.record(0, 5, 0.6)
    scheduler.record(1, 10, 0.7)
    scheduler.record(2, 10, 0.1)
    # Backward: (0.9 - 0.6) / 5. Forward: the lower of 0.6 - 0.6 x 5 / 15 = 0.4 and, by the other product, which does four times the work
    # for 0.7, 2 x 512 x 0.7 / 2048 = 0.35.
    assert scheduler.gain(0) == pytest.approx(0.2 * 0.06 + 0.8 * (0.6 - 0.35) / 5)
    # The other product has no better example: cost / effort, as it falls to nothing.
    assert scheduler.gain(1) == pytest.approx(0.8 * 0.7 / 10)
    assert scheduler.choose() == 1  # 0.056 against 0.052, and the convolution at 0.008


def test_effort_leaves_a_layer_that_stopped_improving():
    scheduler, spent = Scheduler(LAYERS), [0, 0, 0]
    for _ in range(60):
        layer = scheduler.choose()
        spent[layer] += 1
        # The first gets better for long, the second, which costs more, never, and the third hardly counts.
        scheduler.record(layer, 1, {0: 0.5 * 0.95 ** spent[0], 1: 1.0, 2: 1e-4}[layer])
    assert spent[1] == 1 + PATIENCE and spent[2] == 1 and spent[0] == 60 - 2 - PATIENCE
    scheduler.finish(0)
    scheduler.finish(2)
    assert scheduler.choose() == 1  # what is left over goes on


def test_even_effort_is_even():
    scheduler = Scheduler(LAYERS, even=True)
    chosen = []
    for _ in range(9):
        chosen.append(scheduler.choose())
        scheduler.record(chosen[-1], 1, 1.0)
    assert sorted(chosen) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_slabs_cover_every_tile_once():
    problem = Problem(P=4, Q=2, C=6, K=4)
    menu = menu_of({d: divisors(n) for d, n in problem.sizes.items()}, [(1, 1, 2, 1, 3, 4, 1)])
    slabs = [menu.taken]
    while menu.waiting:
        slabs.append(menu.next_slab())
        menu.take()
    tiles = [tile for slab in slabs for tile in itertools.product(*(slab[d] for d in DIMENSIONS))]
    assert sorted(tiles) == sorted(itertools.product(*(divisors(problem.sizes[d]) for d in DIMENSIONS)))
    assert slabs[1]["C"] in ([2], [6]) or slabs[1]["P"] in ([1], [4])  # the nearest in proportion come first


@pytest.mark.parametrize("even", [False, True])
def test_an_allocation_with_enough_samples_is_the_whole_enumeration(even):
    done, tables, complete = finish(allocate(NETWORK, [], 16, PAPER, Limits(), RULES, 10**6, even=even))
    assert complete
    for i, (layer, table) in enumerate(zip(NETWORK.layers, tables, strict=True)):
        whole, scored = tabulate(layer.problem, {d: divisors(n) for d, n in layer.problem.sizes.items()}, 16, PAPER, Limits())
        assert sum(n for at, n in done if at == i) == scored
        # The same undominated figures; of candidates with equal figures either may stay.
        one, other = (np.array(sorted(map(tuple, t.figures.tolist()))) for t in (table, whole))
        np.testing.assert_allclose(one, other)


def test_an_allocation_keeps_its_allowance():
    for allowance in (18, 100, 1000):
        done, tables, complete = finish(allocate(NETWORK, [], 16, PAPER, Limits(), RULES, allowance))
        assert sum(n for _, n in done) <= allowance and not complete
        assert all(len(table.figures) for table in tables) and {layer for layer, _ in done} == set(range(len(NETWORK.layers)))


@pytest.mark.parametrize("importance", [True, False])
def test_a_search_that_cannot_try_every_tile(importance):
    best = explore(NETWORK, space="paper", budget=250_000)
    found = explore(NETWORK, space="paper", budget=3000, importance=importance)
    assert found.samples <= 3000 and found.bound is None
    assert best.bound <= found.edp < 1.2 * best.edp
    assert found.edp == explore(NETWORK, space="paper", budget=3000, importance=importance).edp
    assert ("importance" in found.method) is importance
    assert math.isfinite(found.edp)
