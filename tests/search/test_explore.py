"""The whole search on a small network: the same answer each time, within its limits, written and read back."""

from __future__ import annotations

import json

import pytest
from small import NETWORK

from baco.hardware import GemminiConfig
from baco.perfmodel import Machine, network_edp, timeloop
from baco.search import InvalidSearch, NoDesign, OutputFolder, explore, load
from baco.workloads import UnknownNetwork

BUDGET = 30_000


@pytest.fixture(scope="module", params=["gemmini", "paper"])
def result(request, tmp_path_factory):
    return explore(NETWORK, space=request.param, budget=BUDGET, out=tmp_path_factory.mktemp(request.param))


def stable(result):
    return {k: v for k, v in result.to_dict().items() if k != "run"}


def test_it_finds_a_better_machine_than_the_default(result):
    assert result.edp < result.baseline.edp
    assert result.edp == pytest.approx(network_edp((r.layer.count, r.cost) for r in result.layers))
    assert result.edp == pytest.approx(result.history[-1][1])
    assert 0 < result.samples <= BUDGET
    assert len(result.layers) == len(NETWORK.layers)
    assert result.baseline.config == GemminiConfig()


def test_every_mapping_can_run_on_the_chosen_machine(result):
    for r in result.layers:
        assert r.mapping.violations(r.problem) == []
        assert max(r.mapping.spatial_c, r.mapping.spatial_k) <= result.design.machine.side
    for design in (result.design, result.baseline):
        if design.config:
            assert design.machine == Machine.from_config(design.config)
            assert all(r.mapping.violations(r.problem, design.config, buffers=2) == [] for r in design.layers)


def test_the_hardware_is_the_least_that_holds_the_mappings(result):
    from baco.search.spaces import space_named

    space, machine = space_named(result.space), result.design.machine
    rows = max(r.mapping.accumulator_rows(r.problem) for r in result.layers)
    assert machine.accumulator_kib == float(space.accumulator_kib(rows, machine.side))
    assert type(result.config) is (GemminiConfig if result.space == "gemmini" else Machine)


def test_the_same_seed_gives_the_same_answer(result):
    again = explore(NETWORK, space=result.space, budget=BUDGET)
    assert stable(again) == stable(result)


def test_another_seed_ends_at_the_same_design(result):
    other = explore(NETWORK, space=result.space, budget=BUDGET, seed=7)
    assert other.edp == pytest.approx(result.edp, rel=0.02)


def test_the_bound_holds(result):
    assert result.bound is None or result.bound <= result.edp
    assert result.gap is None or 0 <= result.gap <= 0.002


def test_a_full_search_proves_its_answer():
    result = explore(NETWORK, space="paper", budget=250_000)
    assert result.gap is not None and result.gap <= 0.002
    assert result.edp <= explore(NETWORK, space="paper", budget=2_000).edp


def test_a_design_is_written_and_read_back(result, tmp_path):
    result.write(tmp_path)
    stored = json.loads((tmp_path / "design.json").read_text())
    assert stored["edp"] == result.edp
    assert stable(load(tmp_path)) == stable(result)
    assert (tmp_path / "gemmini_params.h").exists() == (result.space == "gemmini")
    for layer in result.layers:
        texts = timeloop.files(layer.problem, layer.mapping, result.design.machine, result.constants.energy)
        folders = {name: tmp_path / "timeloop" / ("" if name in timeloop.MACHINE_FILES else layer.layer.name) for name in texts}
        assert {name: (folders[name] / name).read_text() for name in texts} == texts


@pytest.mark.parametrize("budget", [18, 100, 1000])
def test_a_small_budget_is_kept(budget):
    result = explore(NETWORK, budget=budget)
    assert result.samples <= budget
    assert result.bound is None or result.bound <= result.edp


def test_limits_are_kept():
    result = explore(NETWORK, space="paper", budget=20_000, max_dim=12, max_scratchpad_kib=4, max_accumulator_kib=3)
    machine = result.design.machine
    assert machine.side <= 12 and machine.scratchpad_kib <= 4 and machine.accumulator_kib <= 3


def test_sliding_windows_cost_no_more():
    sliding, whole = (explore(NETWORK, space="paper", budget=60_000, halo=halo) for halo in ("reuse", "reload"))
    assert sliding.bound <= sliding.edp <= whole.edp * (1 + 2e-3)
    assert sliding.gap < 0.01


def test_an_interrupt_keeps_the_best_so_far(tmp_path):
    def stop(event):
        if event.phase != "done" and event.samples > 500:
            raise KeyboardInterrupt

    result = explore(NETWORK, budget=BUDGET, progress=stop, out=tmp_path)
    assert result.interrupted and result.bound is None and "interrupted" in result.method
    assert load(tmp_path).interrupted


def test_progress_is_told(capsys):
    events = []
    explore(NETWORK, budget=5_000, progress=events.append)
    assert {e.phase for e in events} == {"descent", "enumeration", "done"}
    assert [e.samples for e in events] == sorted(e.samples for e in events)
    assert [e.fraction for e in events] == sorted(e.fraction for e in events)


def test_wrong_options_are_refused_before_the_search(tmp_path):
    with pytest.raises(UnknownNetwork, match="did you mean 'resnet50'"):
        explore("resnet-50")
    with pytest.raises(InvalidSearch, match=r"budget: must be at least 18, one mapping of each of 6 layers, but is 3\."):
        explore(NETWORK, budget=3)
    with pytest.raises(InvalidSearch, match=r"max_dim: leaves no room for the smallest array of the gemmini space: it is 1\."):
        explore(NETWORK, max_dim=1)
    (tmp_path / "file").write_text("")
    asked = []
    with pytest.raises(OutputFolder, match=r"file/out: cannot write to this folder: Not a directory; choose another with --out\."):
        explore(NETWORK, out=tmp_path / "file" / "out", progress=asked.append)
    assert asked == []


def test_no_design_within_the_limits_is_said():
    with pytest.raises(NoDesign, match="no machine of the gemmini space with side up to 128, scratchpad up to 0.001 KiB holds a mapping"):
        explore(NETWORK, budget=2_000, max_scratchpad_kib=0.001)


@pytest.mark.parametrize("text", ["", "{}", '{"format": 99}', "[]"])
def test_a_damaged_design_is_refused(tmp_path, text):
    (tmp_path / "design.json").write_text(text)
    with pytest.raises(OutputFolder, match=r"design\.json"):
        load(tmp_path)
    with pytest.raises(OutputFolder, match="cannot be read: No such file"):
        load(tmp_path / "nowhere" / "design.json")
