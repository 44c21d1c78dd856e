"""Effort by importance: the estimate by hand, and a search that goes by it."""

from __future__ import annotations

import pytest
from small import NETWORK

from baco.search import explore
from baco.search.importance import PATIENCE, Scheduler
from baco.workload import Problem
from baco.workloads import Layer

LAYERS = [Layer(Problem.gemm(8, 8, 8)), Layer(Problem.gemm(8, 8, 16), 2), Layer(Problem(R=3, S=3, P=4, Q=4, C=8, K=8))]


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


@pytest.mark.parametrize("importance", [True, False])
def test_a_search_that_cannot_try_what_it_asks_for(importance):
    best = explore(NETWORK, space="paper", budget=250_000)
    found = explore(NETWORK, space="paper", budget=200, importance=importance)
    assert found.samples <= 200 and found.bound is None
    assert best.bound <= found.edp < 1.5 * best.edp
    assert found.edp == explore(NETWORK, space="paper", budget=200, importance=importance).edp
    assert ("importance" in found.method) is importance
