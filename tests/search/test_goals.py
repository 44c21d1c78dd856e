"""Objectives and limits: against trying every combination, and on a small network."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small import NETWORK

from baco.perfmodel import AreaTable, Constants, EnergyTable
from baco.search import InvalidSearch, NoDesign, explore, load
from baco.search.candidates import Design, Table, tabulate
from baco.search.choice import Combination, least
from baco.search.goals import UNITS, Goal
from baco.search.pareto import undominated_designs
from baco.search.spaces import GemminiSpace, Limits, PaperSpace
from baco.search.tilings import divisors
from baco.workload import Problem
from baco.workloads import Layer, Network

numbers = st.integers(1, 50)
layers_of_points = st.lists(st.lists(st.tuples(numbers, numbers), min_size=4, max_size=4), min_size=1, max_size=4)
BUDGET = 10_000


def totals(points):
    each = np.arange(len(points))
    combinations = itertools.product(*(range(len(layer)) for layer in points))
    return [(points[each, rows, 0].sum(), points[each, rows, 1].sum()) for rows in map(list, combinations)]


@settings(max_examples=200, deadline=None)
@given(layers_of_points, st.sampled_from(list(UNITS)), st.integers(4, 150), st.sampled_from((0.3, 1.0, 3.0, math.inf)))
def test_under_limits_the_best_is_allowed_and_the_bound_below_all_that_are(layers, objective, cycles, power):
    points, goal = np.array(layers, float), Goal(objective, max_cycles=cycles, max_power=power)
    best, bound = least(points[..., 0], points[..., 1], goal)
    allowed = [goal.value(*point) for point in totals(points) if goal.allows(*point)]
    if best is not None:
        assert goal.allows(*best.point)
        assert min(allowed) <= goal.value(*best.point) * (1 + 1e-9)
    if allowed:
        assert bound <= min(allowed) * (1 + 1e-9)
    if power == math.inf:  # the fastest choice is a corner, so something is found whenever there is something
        assert (best is None) == (not allowed)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.tuples(*[numbers] * 6), min_size=4, max_size=4), min_size=1, max_size=3), st.integers(2, 60), st.integers(2, 90)
)
def test_branch_and_bound_under_a_limit_on_area_finds_the_best(layers, sram, area):
    figures = [np.array(layer, float) for layer in layers]
    limits = Limits(max_sram_kib=sram, max_area_mm2=area, area=AreaTable(1e-3, 1e6, 2e6))
    combination = Combination([Table(f, np.zeros((len(f), 10), np.int64), ("NPQKCRS",)) for f in figures], [1] * len(figures), 4, limits)
    selections = [combination.least_hardware(np.array(rows)) for rows in itertools.product(*(range(len(f)) for f in figures))]
    held = [
        s.value for s in selections if s.accumulator_kib + s.scratchpad_kib <= sram and 2 * s.accumulator_kib + s.scratchpad_kib <= area
    ]
    found, bound = combination.best(gap=0.0)
    if not held:
        assert found is None
        return
    assert found.value == pytest.approx(min(held))
    assert bound <= min(held) * (1 + 1e-9)


def explored(**options):
    return explore(NETWORK, budget=BUDGET, **options)


@pytest.fixture(scope="module")
def free():
    return explored()


@pytest.mark.parametrize(
    ("limits", "figure"),
    [
        ({"max_area_mm2": 0.1}, lambda d: d.area_mm2),
        ({"max_sram_kib": 6}, lambda d: d.machine.scratchpad_kib + d.machine.accumulator_kib),
        ({"max_pes": 100}, lambda d: d.machine.elements),
        ({"max_power_mw": 500}, lambda d: d.power_mw),
        ({"max_cycles": 9000}, lambda d: d.cycles),
    ],
)
@pytest.mark.parametrize("space", ["gemmini", "paper"])
def test_limits_are_kept(space, limits, figure):
    result = explored(space=space, **limits)
    assert figure(result.design) <= next(iter(limits.values())) * (1 + 1e-9)
    assert result.bound is None or result.bound <= result.value


def test_a_limit_costs_and_a_looser_one_costs_no_more(free):
    tight, loose = explored(max_area_mm2=0.02), explored(max_area_mm2=0.2)
    assert tight.edp > loose.edp >= free.edp
    assert tight.bound is None or tight.bound <= tight.edp


TWO = Network("two", (Layer(Problem(R=3, S=3, P=8, Q=4, C=10, K=12, name="conv"), 2), Layer(Problem.gemm(6, 15, 14, name="product"), 1)))


@pytest.mark.parametrize("limits", [{"max_sram_kib": 3}, {"max_area_mm2": 0.03}, {"max_accumulator_kib": 1, "max_power_mw": 300}])
def test_a_limited_bound_holds_for_every_side(limits):
    result = explore(TWO, space="paper", budget=400_000, max_dim=14, **limits)
    assert result.bound is not None and result.bound <= result.value
    space, kept = PaperSpace(), Limits(max_dim=14, **limits)
    goal = Goal(max_power=limits.get("max_power_mw", math.inf))
    best = math.inf
    for side in range(1, kept.largest_side + 1):
        tables = [tabulate(n.problem, {d: divisors(size) for d, size in n.problem.sizes.items()}, side, space, kept)[0] for n in TWO.layers]
        found, _ = Combination(tables, [2, 1], side, kept, goal=goal).best(gap=0.0)
        best = min(best, found.value if found else math.inf)
    assert result.bound <= best * (1 + 1e-9)


def test_each_objective_is_best_at_its_own(free):
    frugal, fast = explored(objective="energy"), explored(objective="latency")
    assert frugal.design.energy_uj <= min(free.design.energy_uj, fast.design.energy_uj) * (1 + 1e-3)
    assert fast.design.cycles <= min(free.design.cycles, frugal.design.cycles) * (1 + 1e-3)
    assert free.edp <= min(frugal.edp, fast.edp) * (1 + 1e-3)
    assert (frugal.value, fast.value) == (pytest.approx(frugal.design.energy_uj), fast.design.cycles)


def test_no_design_of_a_front_beats_another(tmp_path):
    result = explored(objective="pareto", max_area_mm2=0.15, out=tmp_path)
    points = [(d.cycles, d.energy_uj) for d in result.front]
    assert points and all(a[0] < b[0] and a[1] > b[1] for a, b in itertools.pairwise(points))
    assert all(d.area_mm2 <= 0.15 for d in result.front)
    # The design of the least product is a point of the front, or one of the front is as good.
    assert min(d.edp for d in result.front) <= result.edp * (1 + 1e-9)
    assert [d.edp for d in load(tmp_path).front] == [d.edp for d in result.front]


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=12))
def test_a_front_keeps_one_of_each_best(points):
    kept = [(d.energy, d.latency) for d in undominated_designs([Design(0.0, e, cycles, 4, 1.0, 1.0, ()) for e, cycles in points])]
    assert kept == sorted(set(kept), key=lambda p: p[1])
    for e, cycles in points:
        assert any(a <= e and b <= cycles for a, b in kept)
    assert all(not (a <= e and b <= cycles) or (a, b) == (e, cycles) for a, b in kept for e, cycles in kept)


def test_constants_of_a_person_are_used(tmp_path):
    constants = Constants(EnergyTable(dram=10.0), AreaTable(element=1000.0), clock_ghz=0.5, source="mine")
    result, usual = explored(constants=constants, out=tmp_path), explored()
    assert result.design.energy_uj < usual.design.energy_uj / 2
    assert load(tmp_path).constants == constants
    assert load(tmp_path).to_dict()["design"] == result.to_dict()["design"]
    m = result.design.machine
    assert result.design.area_mm2 == pytest.approx((m.side**2 * 1000 + m.scratchpad_kib * 2125 + m.accumulator_kib * 2281.25) * 1e-6)


def test_sides_leave_room_for_the_limits():
    assert GemminiSpace().sides(Limits(max_pes=300)) == [16, 8, 4, 2]
    assert PaperSpace().sides(Limits(max_pes=300)) == [17]
    assert PaperSpace().sides(Limits(max_pes=300, max_sram_kib=4))[:3] == [17, 16, 12]
    assert PaperSpace().gaps(Limits(max_pes=300)) == GemminiSpace().gaps(Limits(max_area_mm2=1)) == []
    assert PaperSpace().gaps(Limits(max_dim=17, max_sram_kib=4)) == [(13, 15), (9, 11), (7, 7), (5, 5), (3, 3)]
    assert Limits(max_area_mm2=0.1).largest_side == math.isqrt(int(0.1e6 / 453.125))


def test_wrong_goals_and_limits_are_refused():
    with pytest.raises(InvalidSearch, match=r"objective: must be one of edp, energy, latency, pareto, but is 'speed'\."):
        explored(objective="speed")
    with pytest.raises(InvalidSearch, match=r"max_power_mw: must be greater than 0, but is -3\."):
        explored(max_power_mw=-3)
    with pytest.raises(InvalidSearch, match=r"max_area_mm2: leaves no room for the smallest array of the gemmini space: it is 0.001\."):
        explored(max_area_mm2=0.001)
    with pytest.raises(NoDesign, match="latency up to 10 cycles holds a mapping of every layer of small; raise a limit or the budget"):
        explored(max_cycles=10)
