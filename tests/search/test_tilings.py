"""Ragged tiles: the sizes looked at are enough, what is found and its bound hold for the whole space, and programs do what was counted."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baco.perfmodel import Machine, evaluate
from baco.search import InvalidSearch, explore
from baco.search.candidates import tabulate
from baco.search.choice import Combination
from baco.search.realise import realise
from baco.search.spaces import GemminiSpace, Limits, PaperSpace
from baco.search.tilings import EXACT, RAGGED, as_searched, block, divisors, shares, spatial, tile_sizes
from baco.workload import DIMENSIONS, Mapping, Problem
from baco.workloads import Layer, Network, network

SIDE = 4
PROBLEMS = [
    Problem(R=3, S=2, P=7, Q=5, C=6, K=11, stride=(2, 1)),
    Problem(P=5, Q=3, C=10, K=9, N=2, stride=(3, 2)),
    Problem.gemm(13, 10, 7),
]


@given(st.integers(1, 3000))
def test_shares_are_the_smallest_tiles_of_each_number_of_tiles(n):
    assert shares(n) == sorted({-(-n // m) for m in range(1, n + 1)})


@given(st.integers(1, 3000), st.sampled_from((1, 2, 4, 8, 16, 128)))
def test_blocks_are_as_few_as_can_be_and_no_wider_than_that_takes(n, side):
    width = block(n, side)
    blocks = -(-n // width)
    assert blocks == -(-n // side) and width <= side
    assert width == 1 or -(-n // (width - 1)) > blocks


def channel_splits(n: int, side: int, any_width: bool) -> list[tuple[int, int, int]]:
    """(across the array, in a tile, tiles): every way of the ragged space to cut channels, from its definition."""
    exact = [(s, t // s, n // t) for t in divisors(n) for s in divisors(t) if s <= side]
    narrowest = min(range(1, side + 1), key=lambda w: (-(-n // w), w))
    for width in range(1, min(n, side) + 1) if any_width else [narrowest]:
        blocks = -(-n // width)
        exact += [(width, q, -(-blocks // q)) for q in range(1, blocks + 1)]
    return exact


def mapping_of(splits: dict[str, tuple[int, int, int]], order: str, level1: str = "KCRSNPQ") -> Mapping:
    """`splits`: trips at levels 0, 1 and 3; of C and K the part across the array instead of the first."""
    levels = [tuple(splits[d][i] if i or d in "PQN" else 1 for d in DIMENSIONS) for i in range(3)]
    orders = ("RSCKNPQ", level1, "RSPQCKN", order)
    return Mapping((levels[0], levels[1], (1,) * 7, levels[2]), orders, splits["C"][0], splits["K"][0])


@st.composite
def ragged_mappings(draw, problem: Problem, any_width: bool) -> Mapping:
    """Any mapping of the ragged space, loops in any order."""
    splits = {}
    for d, n in problem.sizes.items():
        if d in "CK":
            splits[d] = draw(st.sampled_from(channel_splits(n, SIDE, any_width)))
        elif d in "RS":
            tile = draw(st.sampled_from(divisors(n)))
            splits[d] = (1, tile, n // tile)
        else:
            inner = draw(st.integers(1, n))
            runs = draw(st.integers(1, -(-n // inner)))
            splits[d] = (inner, runs, -(-n // (inner * runs)))
    order = st.permutations(DIMENSIONS).map("".join)
    return mapping_of(splits, draw(order), draw(order))


def needs(space, problem: Problem, mapping: Mapping, side: int) -> tuple[float, float]:
    held = mapping.held(problem)
    words = [problem.tile_words(tensor, held) for tensor in ("weights", "inputs")]
    rows = mapping.weight_rows(problem), mapping.input_rows(problem)
    scratchpad = space.scratchpad_kib(words[0], rows[0], words[1], rows[1], side)
    return float(space.accumulator_kib(mapping.accumulator_rows(problem), side)), float(scratchpad)


@pytest.fixture(scope="module", params=[GemminiSpace(), PaperSpace()], ids=lambda s: s.name)
def tables(request):
    space = request.param
    sizes = [tile_sizes(p, SIDE, RAGGED, any_width=space.any_width) for p in PROBLEMS]
    return space, [tabulate(p, s, SIDE, space, Limits(), tilings=RAGGED)[0] for p, s in zip(PROBLEMS, sizes, strict=True)]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_mapping_of_the_ragged_space_beats_the_table(tables, data):
    space, found = tables
    which = data.draw(st.sampled_from(range(len(PROBLEMS))))
    problem, table = PROBLEMS[which], found[which]
    mapping = data.draw(ragged_mappings(problem, space.any_width))
    assert mapping.violations(problem) == []
    accumulator_kib, scratchpad_kib = needs(space, problem, mapping, SIDE)
    cost = evaluate(problem, mapping, Machine(SIDE, scratchpad_kib, accumulator_kib))
    combination = Combination([table], [1], SIDE, Limits())
    fits = combination.fits(accumulator_kib, scratchpad_kib)[0]
    energy, latency = combination.totals(accumulator_kib, scratchpad_kib)
    assert ((energy[0] <= cost.energy_pj * (1 + 1e-9)) & (latency[0] <= cost.cycles * (1 + 1e-9)) & fits).any()


def test_ragged_candidates_score_as_the_exact_model(tables):
    space, found = tables
    for problem, table in zip(PROBLEMS, found, strict=True):
        energy, latency = Combination([table], [1], SIDE, Limits()).totals(3.0, 17.0)
        for row in range(0, len(table.figures), max(1, len(table.figures) // 20)):
            mapping = table.choice(row).mapping(problem)
            assert mapping.violations(problem) == []
            cost = evaluate(problem, mapping, Machine(SIDE, 17.0, 3.0))
            assert energy[0, row] == pytest.approx(cost.energy_pj, rel=1e-12)
            assert latency[0, row] == pytest.approx(cost.cycles, rel=1e-12)
            assert needs(space, problem, mapping, SIDE) == tuple(table.figures[row, 4:])


@pytest.mark.parametrize("space", [GemminiSpace(), PaperSpace()], ids=lambda s: s.name)
@pytest.mark.parametrize("problem", [Problem.gemm(7, 5, 6), Problem(P=5, R=2, C=3, K=7, stride=(2, 1))], ids=["product", "convolution"])
def test_the_bound_holds_for_every_mapping_of_a_small_layer(space, problem):
    """Brute force: every side, tile and order of the ragged space of one layer, each on the least hardware that holds it."""
    best = math.inf
    for side in [n for n in (1, 2, 3, 4) if n in (2, 4) or space.name == "paper"]:
        splits = {d: [(t, 1, -(-n // t)) for t in range(1, n + 1)] for d, n in problem.sizes.items() if d in "PQN"}
        splits |= {d: [(1, t, n // t) for t in divisors(n)] for d, n in problem.sizes.items() if d in "RS"}
        splits |= {d: channel_splits(problem.sizes[d], side, space.any_width) for d in "CK"}
        for chosen in itertools.product(*(splits[d] for d in DIMENSIONS)):
            by_dim = dict(zip(DIMENSIONS, chosen, strict=True))
            loops = [d for d in DIMENSIONS if by_dim[d][2] > 1]
            rest = "".join(d for d in DIMENSIONS if d not in loops)
            for order in itertools.permutations(loops):
                mapping = mapping_of(by_dim, rest + "".join(order))
                accumulator, scratchpad = needs(space, problem, mapping, side)
                cost = evaluate(problem, mapping, Machine(side, scratchpad, accumulator))
                best = min(best, cost.energy_pj * cost.cycles * 1e-6)
    found = explore(Network("one", (Layer(problem),)), space=space.name, tilings=RAGGED, max_dim=4, budget=4_000)
    assert found.bound <= best * (1 + 1e-9)
    assert found.edp == pytest.approx(best, rel=2e-3)


AWKWARD = Network(
    "awkward",
    (
        Layer(Problem(R=3, S=3, P=7, Q=7, C=19, K=21, padding=(1, 1), name="conv"), 2),
        Layer(Problem(P=13, Q=11, C=17, K=30, name="pointwise")),
        Layer(Problem(P=7, Q=5, C=37, K=11, stride=(2, 2), name="downsample")),
        Layer(Problem.gemm(197, 34, 23, name="tokens")),
        Layer(Problem(C=101, K=53, name="classifier")),
    ),
)


@pytest.mark.parametrize("instructions", ["primitive", "auto"])
def test_programs_with_ragged_tiles_do_what_was_predicted(instructions):
    limits = {"max_scratchpad_kib": 4, "max_accumulator_kib": 2}
    result = explore(AWKWARD, tilings=RAGGED, max_dim=8, budget=40_000, **limits)
    assert sum(len(r.mapping.ragged(r.problem)) for r in result.layers) > len(AWKWARD.layers)
    assert [r.layer.kind for r in result.layers][1] == "1x1 convolution" and result.layers[1].problem.P == 13 * 11
    for layer in realise(result, layers="all", instructions=instructions):
        assert layer.wrong_elements == 0, layer.name
        assert layer.predicted.differences(layer.counted) == [] or layer.loops, layer.name


def test_only_flat_convolutions_become_products():
    layers = as_searched(network("resnet50"), RAGGED).layers
    assert as_searched(network("resnet50"), EXACT) == network("resnet50")
    for before, after in zip(network("resnet50").layers, layers, strict=True):
        assert (after.name, after.kind, after.count) == (before.name, before.kind, before.count)
        assert after.problem.macs == before.problem.macs
        assert (after.problem.Q == 1) == (before.kind in ("1x1 convolution", "fully connected"))


def test_spatial_factors_of_whole_and_divided_channels():
    assert spatial(197, 16) == 1 and spatial(197, 16, 197, RAGGED) == 16
    assert spatial(48, 32, 96, RAGGED) == 24 and spatial(96, 64, 96, RAGGED) == 48


def test_an_unknown_kind_of_tiles_is_refused():
    with pytest.raises(InvalidSearch, match="tilings: must be one of exact, ragged, but is 'padded'"):
        explore(AWKWARD, tilings="padded")
