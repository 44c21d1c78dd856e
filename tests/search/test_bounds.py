"""What must hold of any model and search: more room is never worse, and no mapping goes below a bound."""

from __future__ import annotations

import itertools
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_candidates import FULL, PROBLEMS, SIDE, mappings

from baco.perfmodel import EnergyTable, Machine, evaluate
from baco.search.candidates import tabulate
from baco.search.choice import Combination
from baco.search.floors import floor_of_side
from baco.search.goals import UNITS, Goal, Rules
from baco.search.spaces import GemminiSpace, Limits, PaperSpace
from baco.workloads import Layer, Network

COUNTS = [2, 1, 3, 1]
FLAT = EnergyTable(accumulator_per_kib_per_column=0.0, scratchpad_per_kib=0.0)
"""Energies that do not grow with capacity: then a larger memory can only help."""
SPACES = {"gemmini": GemminiSpace(), "paper": PaperSpace()}


@cache
def tables(space, table):
    return [tabulate(p, sizes, SIDE, SPACES[space], Limits(), table=table)[0] for p, sizes in zip(PROBLEMS, FULL, strict=True)]


def combination(space, objective="edp", table=FLAT, limits=None):
    return Combination(tables(space, table), COUNTS, SIDE, limits or Limits(), table, Goal(objective))


capacity = st.sampled_from((0.25, 0.5, 1, 2, 4, 8, 16, 32, 64))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(SPACES)), st.sampled_from(list(UNITS)), capacity, capacity, capacity, capacity)
def test_a_larger_buffer_never_makes_the_best_mapping_worse(space, objective, accumulator, scratchpad, more_accumulator, more_scratchpad):
    judge = combination(space, objective)
    small = judge.on_machine(accumulator, scratchpad)
    large = judge.on_machine(max(accumulator, more_accumulator), max(scratchpad, more_scratchpad))
    if small is not None:
        assert large is not None
        assert large.value <= small.value * (1 + 1e-9)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(list(SPACES)), capacity, capacity, capacity)
def test_with_the_energies_of_table_6_3_a_larger_buffer_is_never_slower(space, accumulator, scratchpad, more):
    judge = combination(space, "latency", EnergyTable())
    small, large = judge.on_machine(accumulator, scratchpad), judge.on_machine(accumulator + more, scratchpad + more)
    assert small is None or large.latency <= small.latency


@pytest.mark.parametrize("space", list(SPACES))
@pytest.mark.parametrize("objective", list(UNITS))
def test_a_tighter_limit_never_lowers_best_or_bound(space, objective):
    before = 0.0
    for most in (None, 64, 16, 8, 4, 2):
        limits = Limits(max_sram_kib=most)
        found, bound = combination(space, objective, EnergyTable(), limits).best()
        if found is None:
            break
        assert bound <= found.value * (1 + 1e-9)
        assert before <= found.value * (1 + 2e-3)  # each is found to within a part of 1e-3
        before = found.value
    assert before > 0


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(list(UNITS)), st.sampled_from(("reload", "reuse")), st.sampled_from(("shared", "separate")))
def test_no_mapping_goes_below_the_floor_of_its_side(data, objective, halo, latency):
    problem = data.draw(st.sampled_from(PROBLEMS))
    mapping = data.draw(mappings(problem))
    side = data.draw(st.sampled_from((SIDE, 2 * SIDE, 16 * SIDE)))
    rules = Rules(Goal(objective), halo, latency)
    cost = evaluate(problem, mapping, Machine(side, 1e-6, 1e-6), halo=halo, latency=latency)
    floor = floor_of_side(Network("one", (Layer(problem, 3),)), side, rules)
    assert floor <= rules.goal.value(3 * cost.energy_pj, 3 * cost.cycles) * (1 + 1e-9)


def test_floors_fall_as_arrays_grow():
    network = Network("all", tuple(Layer(p, n) for p, n in zip(PROBLEMS, COUNTS, strict=True)))
    for objective in UNITS:
        floors = [floor_of_side(network, side, Rules(Goal(objective))) for side in (1, 2, 4, 8, 16, 32, 64, 128)]
        assert all(a >= b > 0 for a, b in itertools.pairwise(floors))


@pytest.mark.parametrize("space", list(SPACES))
@pytest.mark.parametrize("objective", list(UNITS))
def test_the_bound_of_free_memories_is_below_the_best(space, objective):
    judge = combination(space, objective, EnergyTable())
    found, bound = judge.best()
    assert judge.quick_bound() <= bound * (1 + 1e-9) <= found.value * (1 + 2e-9)
