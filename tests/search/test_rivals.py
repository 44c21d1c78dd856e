"""Rivals: the exact model confirms what they report, none beats the proven bound, all keep the number of samples and their seed."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
import rivals as benchmark
from small import NETWORK

from baco.perfmodel import evaluate, network_edp
from baco.search import InvalidSearch, NoDesign, explore
from baco.search.rivals import METHODS, dosa, run
from baco.search.rivals.dosa import decent_tile, rounded
from baco.search.rivals.harness import Hardware, Harness
from baco.search.spaces import Limits, space_named
from baco.workload import DIMENSIONS, Problem

TINY = dataclasses.replace(NETWORK, layers=NETWORK.layers[1:4:2])
SAMPLES = 240
SPACES = ("paper", "gemmini")


@pytest.fixture(scope="module")
def bounds():
    return {space: explore(TINY, space=space, budget=100_000).bound for space in SPACES}


def search(method, space, samples=SAMPLES, **options):
    if method == "bayesian":
        pytest.importorskip("sklearn")
    return run(method, TINY, space_named(space), samples=samples, **options)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("space", SPACES)
def test_a_rival_reports_what_the_exact_model_says_and_never_beats_the_bound(method, space, bounds):
    result = search(method, space)
    design = result.design
    machine = space_named(space).machine(design.side, design.accumulator_kib, design.scratchpad_kib)
    config = space_named(space).config(design.side, design.accumulator_kib, design.scratchpad_kib)
    mapped = [(layer, choice.mapping(layer.problem)) for layer, choice in zip(TINY.layers, design.choices, strict=True)]
    for layer, mapping in mapped:
        mapping.check(layer.problem, config, buffers=2)
    costs = [(layer.count, evaluate(layer.problem, mapping, machine)) for layer, mapping in mapped]
    assert design.value == pytest.approx(network_edp(costs))
    assert bounds[space] is not None and design.value >= bounds[space]
    assert result.history[-1][1] == design.value
    assert all(a[0] <= b[0] and a[1] > b[1] for a, b in zip(result.history, result.history[1:], strict=False))
    assert SAMPLES // 8 <= result.samples <= SAMPLES


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_gives_one_answer(method):
    first, again, other = search(method, "paper"), search(method, "paper"), search(method, "paper", seed=1)
    assert first.design == again.design and first.history == again.history
    assert other.history != first.history


@pytest.mark.parametrize("method", METHODS)
def test_rivals_keep_limits(method):
    limits = Limits(max_dim=8, max_scratchpad_kib=4, max_area_mm2=0.1)
    design = search(method, "paper", samples=400, limits=limits).design
    assert design.side <= 8 and limits.holds(design.side, design.accumulator_kib, design.scratchpad_kib)


def test_mappings_are_shrunk_until_they_fit():
    harness = Harness(TINY, space_named("paper"), budget=10)
    mappings, hardware = harness.layers[0], Hardware(4, 1, 1)
    drawn = mappings.random(50, harness.generator)
    shrunk = mappings.shrunk(drawn, hardware, harness.generator)
    assert not mappings.fits(drawn, hardware).all() and mappings.fits(shrunk, hardware).all()
    assert (shrunk <= drawn).all()
    assert harness.samples == 0


def test_dosa_rounds_innermost_first_to_what_divides():
    problem = Problem(P=12, C=30, K=64)
    factors = dict.fromkeys(DIMENSIONS, 1.0) | {"P": 4.4, "C": 3.2, "K": 2.0}
    # s_C: 7.4 is near 7, which does not divide 30, so its nearest divisor, 6 (7.4 / 6 < 10 / 7.4); then 3.2 / 5: nearest in whole
    # numbers is 3, which does not divide 30 / 6 = 5, so 5.
    assert rounded(np.array([*factors.values(), 7.4, 40.0]), problem, 128) == [1, 1, 4, 1, 5, 2, 1, 6, 32]


def test_dosa_counts_steps_and_roundings(monkeypatch):
    monkeypatch.setattr(dosa, "ROUND_EVERY", 4)
    harness = Harness(TINY, space_named("paper"), budget=10_000)
    (start,) = dosa.draw_starts(harness, starts=1, steps=10)
    # The start, 10 steps, and roundings after steps 4, 8 and 10 that try three orders, each of two layers.
    assert harness.samples == 2 * (1 + 10 + 3 * 3) and start.drawn_at == 2
    assert start.roundings == {4: 2 * (1 + 4 + 3), 8: 2 * (1 + 8 + 6), 10: 2 * (1 + 10 + 9)}
    for budget in range(20, 60, 7):
        harness = Harness(TINY, space_named("paper"), budget)
        dosa.search(harness, starts=2, steps=6)
        assert budget - 1 <= harness.samples <= budget


def test_dosa_descends_from_all_starts_at_once_as_from_each_alone(monkeypatch):
    monkeypatch.setattr(dosa, "OTHER_LEARNING_RATE", 1e-2)
    monkeypatch.setattr(dosa, "ROUND_EVERY", 20)
    together, alone = (Harness(TINY, space_named("paper"), budget=10_000, seed=1) for _ in range(2))
    starts = dosa.draw_starts(together, starts=5, steps=60)
    assert len(starts) == 5
    dosa._descend([(together, start) for start in starts])
    for start in starts:
        dosa._descend([(alone, start)])
    assert together.history == alone.history and together.best == alone.best
    assert len(together.history) > 1


def test_dosa_searches_several_networks_at_once_as_each_alone():
    networks = [dataclasses.replace(NETWORK, layers=NETWORK.layers[i : i + 1]) for i in (0, 3, 5)]
    together, alone = ([Harness(network, space_named("gemmini"), 150, seed=2) for network in networks] for _ in range(2))
    dosa.search_all(together, starts=2, steps=40)
    for harness in alone:
        dosa.search(harness, starts=2, steps=40)
    assert [h.history for h in together] == [h.history for h in alone] and [h.samples for h in together] == [h.samples for h in alone]


@pytest.mark.parametrize("limits", [Limits(max_dim=16), Limits(max_area_mm2=0.05)])
def test_dosa_starts_within_limits(limits):
    harness = Harness(TINY, space_named("paper"), 10_000, limits=limits)
    for start in dosa.draw_starts(harness, starts=4, steps=1):
        side = np.array([start.point.side])
        *_, accumulator, scratchpad = harness.totals(start.point.figures[start.point.orders, [0, 1]][None], side)
        assert limits.holds(side, accumulator, scratchpad).all() and side <= limits.largest_side


def test_a_decent_tile_fills_the_machine():
    problem, harness = Problem(P=64, C=256, K=256), Harness(TINY, space_named("paper"), budget=10)
    *tile, s_c, s_k = decent_tile(problem, Hardware(16, 4, 8), harness)
    assert (s_c, s_k) == (16, 16)
    words = dict(zip(DIMENSIONS, tile, strict=True))
    outputs, weights = words["P"] * words["K"] * s_k, words["C"] * s_c * words["K"] * s_k
    assert 512 < outputs <= 1024 and weights + words["P"] * words["C"] * s_c <= 8192


def test_what_makes_no_sense_is_refused():
    with pytest.raises(InvalidSearch, match="must be one of random, bayesian"):
        run("guessing", TINY, space_named("paper"), samples=10)
    with pytest.raises(InvalidSearch, match="at least 2, one mapping of each layer, but is 1"):
        run("random", TINY, space_named("paper"), samples=1)
    with pytest.raises(NoDesign, match="random found no design within side up to 128, latency up to 1 cycles in 20 samples"):
        run("random", TINY, space_named("paper"), samples=20, limits=Limits(max_cycles=1), rules=_impossible())


def _impossible():
    from baco.search.goals import Goal, Rules

    return Rules(Goal(max_cycles=1))


def test_the_benchmark_draws_every_method(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "network_named", lambda name: TINY)
    command = ["small", "--methods", "baco", "random", "dosa", "--points", "60", "--seeds", "2", "--out", str(tmp_path)]
    benchmark.main(command)
    printed = capsys.readouterr().out
    assert re.search(r"^dosa +\d\.\d+e\+\d+", printed, re.MULTILINE)
    folder = tmp_path / "small"
    stored = json.loads((folder / "rivals.json").read_text())
    assert len(stored["runs"]) == 6 and stored["samples"] == 120
    assert (folder / "rivals.svg").read_text().count('stroke-width="2"') == 3
    assert set(stored["curves"]) == {"random", "dosa"}
    ends = [r["value"] for r in stored["runs"] if r["method"] == "dosa"]
    assert stored["curves"]["dosa"][-1] == [120, pytest.approx((ends[0] * ends[1]) ** 0.5)]
    monkeypatch.setattr(benchmark, "one_run", None)  # nothing is run again
    benchmark.main(command)
    assert capsys.readouterr().out == printed
