"""Combining layers: against trying every combination."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baco.search.candidates import Table
from baco.search.choice import Combination, least
from baco.search.goals import UNITS, Goal
from baco.search.spaces import Limits

numbers = st.integers(1, 50)


def every(figures):
    return itertools.product(*(range(len(layer)) for layer in figures))


@settings(max_examples=200)
@given(st.lists(st.lists(st.tuples(numbers, numbers), min_size=4, max_size=4), min_size=1, max_size=4), st.sampled_from(list(UNITS)))
def test_least_is_the_least(layers, objective):
    points = np.array(layers, float)
    each = np.arange(len(points))
    totals = [(points[each, rows, 0].sum(), points[each, rows, 1].sum()) for rows in map(list, every(points))]
    goal = Goal(objective)
    best, bound = least(points[..., 0], points[..., 1], goal)
    lowest = min(goal.value(*point) for point in totals)
    assert goal.value(*best.point) == pytest.approx(lowest)
    assert bound == pytest.approx(lowest)


@settings(max_examples=60)
@given(st.lists(st.lists(st.tuples(*[numbers] * 6), min_size=5, max_size=5), min_size=1, max_size=3), st.integers(1, 3))
def test_branch_and_bound_finds_the_best_hardware(layers, count):
    figures = [np.array(layer, float) for layer in layers]
    tables = [Table(f, np.zeros((len(f), 10), np.int64), ("NPQKCRS",)) for f in figures]
    combination = Combination(tables, [count] * len(tables), 4, Limits())
    found, bound = combination.best(gap=0.0)
    lowest = min(combination.least_hardware(np.array(rows)).value for rows in every(figures))
    assert found.value == pytest.approx(lowest)
    assert bound <= lowest * (1 + 1e-9)
    assert combination.quick_bound() <= lowest * (1 + 1e-9)


def test_an_incumbent_that_is_better_stays():
    table = Table(np.ones((1, 6)), np.zeros((1, 10), np.int64), ("NPQKCRS",))
    combination = Combination([table], [1], 4, Limits())
    found, bound = combination.best(incumbent=1e-12)
    assert found is None
    assert bound <= 1e-12


def test_a_machine_too_small_for_a_layer_is_refused():
    table = Table(np.full((1, 6), 8.0), np.zeros((1, 10), np.int64), ("NPQKCRS",))
    assert Combination([table], [1], 4, Limits()).on_machine(7, 8) is None
