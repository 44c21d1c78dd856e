"""The table of a layer's candidates: scored as the exact model scores them, and never beaten by a mapping that is not in it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baco.perfmodel import Machine, evaluate
from baco.search import candidates
from baco.search.candidates import tabulate, undominated
from baco.search.choice import Combination
from baco.search.polish import polish
from baco.search.spaces import GemminiSpace, Limits, PaperSpace
from baco.search.tilings import divisors
from baco.workload import DIMENSIONS, Mapping, Problem

SIDE = 8
PROBLEMS = [
    Problem(R=3, S=3, P=6, Q=4, C=12, K=8, padding=(1, 1)),
    Problem(R=3, S=1, P=4, Q=6, C=4, K=20, stride=(2, 2), N=2),
    Problem(P=6, Q=6, C=8, K=12, stride=(2, 2)),
    Problem.gemm(12, 20, 24),
]
FULL = [{d: divisors(n) for d, n in p.sizes.items()} for p in PROBLEMS]


@st.composite
def mappings(draw, problem, side=SIDE):
    """Any valid mapping at all, loops at every level in any order."""
    levels = [dict.fromkeys(DIMENSIONS, 1) for _ in range(4)]
    spatial = {"C": 1, "K": 1}
    for d, n in problem.sizes.items():
        if d in spatial:
            spatial[d] = draw(st.sampled_from([f for f in divisors(n) if f <= side]))
            n //= spatial[d]
        if d in "PQN":
            levels[0][d] = draw(st.sampled_from(divisors(n)))
            n //= levels[0][d]
        levels[1][d] = draw(st.sampled_from(divisors(n)))
        levels[3][d] = n // levels[1][d]
    order = st.permutations(DIMENSIONS).map("".join)
    return Mapping(tuple(tuple(level.values()) for level in levels), tuple(draw(order) for _ in range(4)), spatial["C"], spatial["K"])


@pytest.fixture(scope="module", params=["gemmini", "paper"])
def tables(request):
    space = {"gemmini": GemminiSpace, "paper": PaperSpace}[request.param]()
    return space, [tabulate(p, sizes, SIDE, space, Limits())[0] for p, sizes in zip(PROBLEMS, FULL, strict=True)]


@pytest.fixture(scope="module")
def sliding():
    return [tabulate(p, sizes, SIDE, PaperSpace(), Limits(), halo="reuse")[0] for p, sizes in zip(PROBLEMS, FULL, strict=True)]


def needs(space, problem, mapping):
    tile = mapping.tile(2)
    weights, inputs = problem.tile_words("weights", tile), problem.tile_words("inputs", tile)
    return (
        float(space.accumulator_kib(mapping.accumulator_rows(problem), SIDE)),
        float(space.scratchpad_kib(weights, mapping.weight_rows(problem), inputs, mapping.input_rows(problem), SIDE)),
    )


@settings(max_examples=150)
@given(data=st.data())
def test_no_mapping_beats_the_table(tables, data):
    space, found = tables
    which = data.draw(st.sampled_from(range(len(PROBLEMS))))
    problem, table = PROBLEMS[which], found[which]
    mapping = data.draw(mappings(problem))
    accumulator_kib, scratchpad_kib = needs(space, problem, mapping)
    cost = evaluate(problem, mapping, Machine(SIDE, scratchpad_kib, accumulator_kib))
    combination = Combination([table], [1], SIDE, Limits())
    fits = combination.fits(accumulator_kib, scratchpad_kib)[0]
    energy, latency = combination.totals(accumulator_kib, scratchpad_kib)
    assert ((energy[0] <= cost.energy_pj * (1 + 1e-9)) & (latency[0] <= cost.cycles * (1 + 1e-9)) & fits).any()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_order_beats_the_table_where_windows_slide(sliding, data):
    which = data.draw(st.sampled_from(range(len(PROBLEMS))))
    problem, table = PROBLEMS[which], sliding[which]
    mapping = data.draw(mappings(problem))
    accumulator_kib, scratchpad_kib = needs(PaperSpace(), problem, mapping)
    cost = evaluate(problem, mapping, Machine(SIDE, scratchpad_kib, accumulator_kib), halo="reuse")
    combination = Combination([table], [1], SIDE, Limits())
    energy, latency = combination.totals(accumulator_kib, scratchpad_kib)
    fits = combination.fits(accumulator_kib, scratchpad_kib)[0]
    assert ((energy[0] <= cost.energy_pj * (1 + 1e-9)) & (latency[0] <= cost.cycles * (1 + 1e-9)) & fits).any()


def test_the_table_scores_as_the_exact_model(tables):
    space, found = tables
    for problem, table in zip(PROBLEMS, found, strict=True):
        combination = Combination([table], [1], SIDE, Limits())
        energy, latency = combination.totals(3.0, 17.0)
        for row in range(0, len(table.figures), max(1, len(table.figures) // 20)):
            mapping = table.choice(row).mapping(problem)
            assert mapping.violations(problem) == []
            cost = evaluate(problem, mapping, Machine(SIDE, 17.0, 3.0))
            assert energy[0, row] == pytest.approx(cost.energy_pj, rel=1e-12)
            assert latency[0, row] == pytest.approx(cost.cycles, rel=1e-12)
            assert needs(space, problem, mapping) == tuple(table.figures[row, 4:])


@settings(max_examples=60)
@given(st.lists(st.tuples(*[st.integers(1, 4)] * 6), min_size=1, max_size=60))
def test_undominated_keeps_one_of_each_best(rows):
    figures = np.array(rows, float)
    keep = undominated(figures, chunk=4)
    for i, row in enumerate(figures):
        better = [j for j in keep if (figures[j] <= row).all()]
        assert better, "each row is kept, equalled or beaten"
        if i in keep:
            assert better == [i]


def test_large_tables_in_parts_hold_the_same_figures(monkeypatch):
    whole, scored = tabulate(PROBLEMS[0], FULL[0], SIDE, PaperSpace(), Limits())
    monkeypatch.setattr(candidates, "MOST_AT_ONCE", 100)
    parts, scored_in_parts = tabulate(PROBLEMS[0], FULL[0], SIDE, PaperSpace(), Limits())
    assert scored == scored_in_parts
    assert sorted(map(tuple, whole.figures)) == sorted(map(tuple, parts.figures))


def test_polish_takes_larger_tiles_and_never_costs_more():
    problem, space, machine = Problem(P=56, Q=56, C=16, K=16), GemminiSpace(), Machine(16, 256, 64)
    small = candidates.Choice((1, 1, 1, 1, 16, 16, 1), 16, 16, "NPQKCRS")
    large, scored = polish(problem, small, 16, 64, 256, space, "reload", "shared")
    before, after = (evaluate(problem, c.mapping(problem), machine) for c in (small, large))
    assert after.energy_pj <= before.energy_pj * (1 + 1e-9) and after.cycles <= before.cycles * (1 + 1e-9)
    assert large.tile[2] * large.tile[3] >= 224 and scored > 0
    assert polish(problem, small, 16, 64, 256, space, "reload", "shared", allowance=10) == (small, 0)
