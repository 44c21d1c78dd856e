"""Problems and mappings: each validity rule names itself, texts survive a round trip, and the sizes agree with counting by hand."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baco.hardware import GemminiConfig
from baco.workload import (
    ACCUMULATOR,
    DIMENSIONS,
    DRAM,
    REGISTER_LOOPS,
    REGISTERS,
    SCRATCHPAD,
    InvalidMapping,
    InvalidProblem,
    Mapping,
    Problem,
    window,
)

SIZES = {"R": (1, 2, 3), "S": (1, 2, 3), "P": (1, 2, 4, 6, 7), "Q": (1, 2, 4, 6), "C": (1, 3, 8, 12), "K": (1, 4, 6, 10), "N": (1, 2)}


def divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    return Problem(**{d: draw(st.sampled_from(sizes)) for d, sizes in SIZES.items()}, stride=draw(pairs), dilation=draw(pairs))


@st.composite
def mapped_problems(draw: st.DrawFn) -> tuple[Problem, Mapping]:
    """A problem and a mapping that keeps every rule but those of capacity."""
    problem = draw(problems())
    factors = [dict.fromkeys(DIMENSIONS, 1) for _ in range(4)]
    spatial = {"C": 1, "K": 1}
    for d, size in problem.sizes.items():
        left = size
        if d in spatial:
            spatial[d] = draw(st.sampled_from(divisors(left)))
            left //= spatial[d]
        for level in (REGISTERS, ACCUMULATOR) if d in REGISTER_LOOPS else (ACCUMULATOR,):
            factors[level][d] = draw(st.sampled_from(divisors(left)))
            left //= factors[level][d]
        factors[DRAM][d] = left
    orders = tuple("".join(draw(st.permutations(DIMENSIONS))) for _ in range(4))
    return problem, Mapping(tuple(tuple(f.values()) for f in factors), orders, spatial["C"], spatial["K"])


def one_tile(problem: Problem, **spatial: int) -> Mapping:
    """Everything in one accumulator-level tile, P at the registers."""
    inner = dict.fromkeys(DIMENSIONS, 1) | {"P": problem.P}
    outer = problem.sizes | {"P": 1}
    outer["C"] //= spatial.get("spatial_c", 1)
    outer["K"] //= spatial.get("spatial_k", 1)
    return Mapping((tuple(inner.values()), tuple(outer.values()), (1,) * 7, (1,) * 7), **spatial)


# Problems ----------------------------------------------------------------------------------------------------------------------


def test_a_matrix_product_is_a_problem() -> None:
    problem = Problem.gemm(7, 13, 5)
    assert problem == Problem(P=7, K=13, C=5)
    assert problem.macs == 7 * 13 * 5
    assert problem.tile_words("weights", problem.sizes) == 5 * 13
    assert problem.tile_words("inputs", problem.sizes) == 7 * 5
    assert problem.tile_words("outputs", problem.sizes) == 7 * 13


def test_a_name_does_not_tell_problems_apart() -> None:
    assert Problem.gemm(1, 2, 3, "a") == Problem.gemm(1, 2, 3, "b")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"C": 0}, r"^problem\.C: must be a whole number of at least 1, but is 0\.$"),
        ({"P": 1.5}, r"^problem\.P: must be a whole number of at least 1, but is 1\.5\.$"),
        ({"stride": (0, 1)}, r"^problem\.stride: must be two whole numbers \(height, width\) of at least 1, but is \(0, 1\)\.$"),
        ({"stride": (1, 1, 1)}, r"^problem\.stride: must be two whole numbers"),
        ({"padding": (0, -1)}, r"^problem\.padding: must be two whole numbers \(height, width\) of at least 0, but is \(0, -1\)\.$"),
        ({"dilation": (1, 0)}, r"^problem\.dilation: must be two whole numbers"),
    ],
)
def test_a_problem_that_makes_no_sense_names_its_field(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidProblem, match=message):
        Problem(**fields)


@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_window_counts_the_rows_that_must_be_loaded(outputs: int, taps: int, stride: int, dilation: int) -> None:
    extent = (taps - 1) * dilation + 1
    covered = {o * stride + row for o in range(outputs) for row in range(extent)}
    assert window(outputs, taps, stride, dilation) == len(covered)


@given(problems())
def test_input_size_is_the_last_row_and_column_touched(problem: Problem) -> None:
    rows = [p * problem.stride[0] + r * problem.dilation[0] for p in range(problem.P) for r in range(problem.R)]
    columns = [q * problem.stride[1] + s * problem.dilation[1] for q in range(problem.Q) for s in range(problem.S)]
    assert (problem.input_height, problem.input_width) == (max(rows) + 1, max(columns) + 1)


# Validity ----------------------------------------------------------------------------------------------------------------------

GEMM = Problem.gemm(8, 4, 6)
GOOD = Mapping(((1, 1, 4, 1, 1, 1, 1), (1, 1, 2, 1, 3, 1, 1), (1,) * 7, (1, 1, 1, 1, 1, 2, 1)), spatial_c=2, spatial_k=2)


def changed(level: int, dim: str, factor: int) -> Mapping:
    temporal = [list(f) for f in GOOD.temporal]
    temporal[level][DIMENSIONS.index(dim)] = factor
    return dataclasses.replace(GOOD, temporal=tuple(tuple(f) for f in temporal))


def test_a_good_mapping_breaks_no_rule() -> None:
    assert GOOD.violations(GEMM, GemminiConfig(), buffers=2) == []
    GOOD.check(GEMM, GemminiConfig())


@pytest.mark.parametrize(
    ("mapping", "rules"),
    [
        (
            dataclasses.replace(GOOD, orders=("RSPQCKN", "RSPQCK", "RSPQCKN", "RSPQCKN")),
            ["orders[1] must be a permutation of RSPQCKN, but is 'RSPQCK'."],
        ),
        (changed(DRAM, "N", 0), ["every factor must be at least 1."]),
        (dataclasses.replace(GOOD, spatial_c=0), ["every factor must be at least 1."]),
        (changed(DRAM, "P", 2), ["the factors of P multiply to 16, but the problem has P=8."]),
        (dataclasses.replace(GOOD, spatial_k=4), ["the factors of K multiply to 8, but the problem has K=4."]),
        (
            changed(REGISTERS, "C", 3),
            [
                "the factors of C multiply to 18, but the problem has C=6.",
                "level 0 (registers) may loop only over P, Q, N, where the weights stay put, but has C=3.",
            ],
        ),
        (
            changed(SCRATCHPAD, "K", 2),
            ["the factors of K multiply to 8, but the problem has K=4.", "level 2 (scratchpad) has no temporal loops, but has K=2."],
        ),
    ],
)
def test_each_broken_rule_names_itself(mapping: Mapping, rules: list[str]) -> None:
    assert mapping.violations(GEMM) == rules
    with pytest.raises(InvalidMapping) as caught:
        mapping.check(GEMM)
    assert caught.value.violations == tuple(rules)
    assert str(caught.value) == "invalid mapping: " + " ".join(rules)


def test_capacity_rules_say_what_is_needed_and_what_there_is() -> None:
    problem = Problem.gemm(64, 64, 64)
    config = GemminiConfig(dim=4, scratchpad_bytes=1024, accumulator_bytes=512, scratchpad_banks=1, accumulator_banks=1)
    assert one_tile(problem, spatial_c=8, spatial_k=8).violations(problem, config) == [
        "spatial C=8 is larger than the array's side, DIM=4.",
        "spatial K=8 is larger than the array's side, DIM=4.",
        "the output tile needs 512 accumulator rows, but there are 32.",
        "the weight and input tiles need 1024 scratchpad rows, but there are 256.",
    ]


def test_two_buffers_need_twice_the_rows() -> None:
    problem = Problem.gemm(16, 16, 16)
    mapping = one_tile(problem, spatial_c=16, spatial_k=16)
    config = GemminiConfig(scratchpad_bytes=32 * 16, scratchpad_banks=1, accumulator_bytes=16 * 64, accumulator_banks=1)
    assert mapping.violations(problem, config) == []
    assert mapping.violations(problem, config, buffers=2) == [
        "the output tile in 2 copies needs 32 accumulator rows, but there are 16.",
        "the weight and input tiles in 2 copies need 64 scratchpad rows, but there are 32.",
    ]


@given(mapped_problems())
def test_generated_mappings_keep_every_rule(pair: tuple[Problem, Mapping]) -> None:
    problem, mapping = pair
    assert mapping.violations(problem) == []


@given(mapped_problems())
def test_tiles_divide_the_problem_and_nest(pair: tuple[Problem, Mapping]) -> None:
    problem, mapping = pair
    assert mapping.tile(DRAM) == problem.sizes
    for level in (REGISTERS, ACCUMULATOR, SCRATCHPAD):
        inner, outer = mapping.tile(level), mapping.tile(level + 1)
        assert all(outer[d] % inner[d] == 0 for d in DIMENSIONS)


@given(mapped_problems())
def test_loops_are_the_factors_in_their_order(pair: tuple[Problem, Mapping]) -> None:
    problem, mapping = pair
    loops = mapping.loops(DRAM, SCRATCHPAD, ACCUMULATOR, REGISTERS)
    assert math.prod(loop.trips for loop in loops) * mapping.spatial_c * mapping.spatial_k == problem.macs
    assert all(loop.trips > 1 for loop in loops)
    assert [loop.level for loop in loops] == sorted((loop.level for loop in loops), reverse=True)
    for level in range(4):
        dims = [loop.dim for loop in mapping.loops(level)]
        assert dims == sorted(dims, key=mapping.orders[level].index)


# Rows against counting each one -------------------------------------------------------------------------------------------------


def indices(tile: dict[str, int], dims: str) -> list[tuple[int, ...]]:
    return list(itertools.product(*(range(tile[d]) for d in dims)))


@given(mapped_problems())
def test_output_rows_are_pixels_times_channel_blocks(pair: tuple[Problem, Mapping]) -> None:
    problem, mapping = pair
    rows = {(n, p, q, k // mapping.spatial_k) for n, p, q, k in indices(mapping.tile(SCRATCHPAD), "NPQK")}
    assert mapping.accumulator_rows(problem) == len(rows)


@given(mapped_problems())
def test_weight_rows_are_taps_and_channels_times_output_blocks(pair: tuple[Problem, Mapping]) -> None:
    problem, mapping = pair
    tile = mapping.tile(SCRATCHPAD)
    rows = {(r, s, c, k // mapping.spatial_k) for r, s, c, k in indices(tile, "RSCK")}
    assert mapping.weight_rows(problem) == len(rows)
    assert problem.tile_words("weights", tile) == len(indices(tile, "RSCK"))
    assert problem.tile_words("outputs", tile) == len(indices(tile, "NPQK"))


@given(mapped_problems())
def test_input_rows_are_loaded_pixels_times_channel_blocks(pair: tuple[Problem, Mapping]) -> None:
    problem, mapping = pair
    tile = mapping.tile(SCRATCHPAD)

    def loaded(outputs: int, taps: int, axis: int) -> set[int]:
        extent = (taps - 1) * problem.dilation[axis] + 1
        return {o * problem.stride[axis] + row for o in range(outputs) for row in range(extent)}

    pixels = tile["N"] * len(loaded(tile["P"], tile["R"], 0)) * len(loaded(tile["Q"], tile["S"], 1))
    assert problem.tile_words("inputs", tile) == pixels * tile["C"]
    assert mapping.input_rows(problem) == pixels * len({c // mapping.spatial_c for c in range(tile["C"])})


# Text and JSON -----------------------------------------------------------------------------------------------------------------


def test_text_form() -> None:
    assert str(GOOD) == "L3[WIO] K2 - L2[WI] N1 K2X - L1[O] P2 C3 C2X - L0[W] P4"


@given(mapped_problems())
def test_text_and_json_survive_a_round_trip(pair: tuple[Problem, Mapping]) -> None:
    _, mapping = pair
    again = Mapping.parse(str(mapping))
    assert (again.temporal, again.spatial_c, again.spatial_k) == (mapping.temporal, mapping.spatial_c, mapping.spatial_k)
    assert all(again.loops(level) == mapping.loops(level) for level in range(4))
    assert str(again) == str(mapping)
    assert Mapping.from_dict(mapping.to_dict()) == mapping


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("L4[WIO] K2", r"^invalid mapping: cannot read 'L4\[WIO\] K2'; a level looks like 'L3\[WIO\] K8 Q28'\.$"),
        ("L3[WIO] Z2", "cannot read"),
        ("", "cannot read ''"),
        ("L1[O] P4X", r"only C and K may be spatial, but P4X is\."),
    ],
)
def test_a_text_that_is_no_mapping_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidMapping, match=message):
        Mapping.parse(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spatial_c": None}, r"cannot read the stored mapping: "),
        ({"temporal": [[1] * 7] * 3}, r"a stored mapping has four levels of seven factors and four loop orders\.$"),
        ({"temporal": [[1] * 6] * 4}, "four levels of seven factors"),
        ({"orders": ["RSPQCKN"]}, "four loop orders"),
    ],
)
def test_a_stored_mapping_of_the_wrong_shape_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidMapping, match=message):
        Mapping.from_dict({**GOOD.to_dict(), **change})


def test_a_stored_mapping_without_a_field_is_refused() -> None:
    fields = GOOD.to_dict()
    del fields["orders"]
    with pytest.raises(InvalidMapping, match="'orders'"):
        Mapping.from_dict(fields)
