"""The exact counts against an independent walk of the loop nest."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapping_cases import cases
from nest_walker import walk

from baco.hardware import GemminiConfig
from baco.perfmodel import InvalidMachine, InvalidOption, Machine, evaluate, predict
from baco.perfmodel.equations import HALOS
from baco.workload import InvalidMapping, Mapping, Problem


@settings(max_examples=300, deadline=None)
@given(cases() | cases(ragged=True))
def test_predicted_traffic_is_what_a_walk_counts(case):
    problem, mapping = case
    assert predict(problem, mapping).differences(walk(problem, mapping)) == []


@settings(max_examples=150, deadline=None)
@given(cases() | cases(ragged=True))
def test_sliding_inputs_are_counted_as_a_walk_counts_them(case):
    problem, mapping = case
    assert predict(problem, mapping, halo="reuse").differences(walk(problem, mapping, halo="reuse")) == []


@pytest.mark.parametrize(("orders", "words"), [("KP", 1600), ("PK", 960), ("CP", 800), ("PC", 960), ("QP", 1280), ("PQ", 960)])
def test_windows_slide_only_along_the_innermost_loop(orders, words):
    """Two loops at level 3, outermost first, and what Timeloop v3 counts of a 10 x 10 x 4 input in two batches."""
    problem = Problem(R=3, S=3, P=8, Q=8, C=4, K=4, N=2)
    trips = {d: {"Q": 4}.get(d, 2) if d in orders else 1 for d in "RSPQCKN"}
    inner = {d: n // trips[d] for d, n in problem.sizes.items()}
    levels = [tuple(inner[d] if d in held else 1 for d in inner) for held in ("PQN", "RS", "", "")]
    order = "".join(d for d in "RSPQCKN" if d not in orders) + orders
    mapping = Mapping((*levels[:3], tuple(trips.values())), (order,) * 4, inner["C"], inner["K"])
    assert (
        predict(problem, mapping, halo="reuse").reads["dram", "inputs"] == words == walk(problem, mapping, "reuse").reads["dram", "inputs"]
    )


@pytest.mark.long
@settings(max_examples=4000, deadline=None)
@given(cases() | cases(ragged=True), st.sampled_from(HALOS))
def test_thousands_of_mappings_are_counted_as_a_walk_counts_them(case, halo):
    problem, mapping = case
    assert predict(problem, mapping, halo).differences(walk(problem, mapping, halo)) == []


@settings(max_examples=50, deadline=None)
@given(cases())
def test_what_is_loaded_below_is_read_above(case):
    problem, mapping = case
    t = predict(problem, mapping)
    assert t.writes["scratchpad", "weights"] == t.reads["dram", "weights"]
    assert t.writes["scratchpad", "inputs"] == t.reads["dram", "inputs"]
    assert t.writes["registers", "weights"] == t.reads["scratchpad", "weights"]
    assert t.writes["dram", "outputs"] - t.reads["dram", "outputs"] == problem.tile_words("outputs", problem.sizes)


def test_a_layer_that_fits_crosses_dram_once():
    problem = Problem(R=3, S=3, P=4, Q=4, C=8, K=8)
    mapping = Mapping(((1, 1, 4, 4, 1, 1, 1), (3, 3, 1, 1, 2, 2, 1), (1,) * 7, (1,) * 7), spatial_c=4, spatial_k=4)
    t = predict(problem, mapping)
    assert (t.reads["dram", "weights"], t.reads["dram", "inputs"], t.writes["dram", "outputs"]) == (576, 6 * 6 * 8, 128)
    assert t.reads["dram", "outputs"] == 0


def test_cost_is_made_of_table_6_3():
    problem = Problem.gemm(16, 16, 16)
    mapping = Mapping(((1, 1, 16, 1, 1, 1, 1), (1,) * 7, (1,) * 7, (1,) * 7), spatial_c=16, spatial_k=16)
    cost = evaluate(problem, mapping, Machine.from_config(GemminiConfig()))
    assert cost.energies["compute"] == pytest.approx(4096 * 0.561)
    assert cost.energies["registers"] == pytest.approx((4096 + 256) * 0.487)
    assert cost.energies["accumulator"] == pytest.approx((256 + 256) * (1.94 + 0.1005 * 64 / 16))
    assert cost.energies["scratchpad"] == pytest.approx((256 + 256 + 256 + 256) * (0.49 + 0.025 * 256))
    assert cost.energies["dram"] == pytest.approx(768 * 100)
    assert cost.terms == {"compute": 16, "accumulator": 512 / 32, "scratchpad": 1024 / 32, "dram": 768 / 8}
    assert (cost.binding, cost.cycles) == ("dram", 96)


def test_separate_latency_takes_the_larger_of_reads_and_writes():
    problem = Problem.gemm(16, 16, 16)
    mapping = Mapping(((1, 1, 16, 1, 1, 1, 1), (1,) * 7, (1,) * 7, (1,) * 7), spatial_c=16, spatial_k=16)
    cost = evaluate(problem, mapping, Machine(16, 256, 64), latency="separate")
    assert cost.terms["dram"] == 512 / 8
    assert cost.terms["registers"] == 4096 / 512


def test_errors_name_what_is_wrong():
    problem = Problem.gemm(4, 4, 4)
    mapping = Mapping(((1,) * 7, (1,) * 7, (1,) * 7, (1, 1, 4, 1, 4, 4, 1)))
    with pytest.raises(InvalidOption, match=r"halo: must be one of 'reload', 'reuse', but is 'slide'\."):
        predict(problem, mapping, halo="slide")
    with pytest.raises(InvalidOption, match="latency: must be one of"):
        evaluate(problem, mapping, Machine(4, 1, 1), latency="exact")
    with pytest.raises(InvalidMapping, match="factors of P multiply to 4, but the problem has P=5"):
        predict(Problem.gemm(5, 4, 4), mapping)
    with pytest.raises(InvalidMachine, match=r"machine.side: must be greater than 0, but is 0\."):
        Machine(0, 1, 1)
