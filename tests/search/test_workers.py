"""Tiles scored by several processes, or on a Ray cluster: the answer of one process."""

from __future__ import annotations

import dataclasses
import sys
import types
from unittest.mock import Mock

import pytest
from small import NETWORK as WHOLE

from baco.search import InvalidSearch, explore
from baco.search.workers import Processes, ThisProcess, open_workers

NETWORK = dataclasses.replace(WHOLE, layers=WHOLE.layers[1:4:2])
OPTIONS = {"space": "paper", "budget": 400_000, "max_sram_kib": 12.0}


def answer(**options):
    return {k: v for k, v in explore(NETWORK, **OPTIONS, **options).to_dict().items() if k != "run"}


@pytest.fixture(scope="module")
def alone():
    return answer(workers=1)


def test_several_processes_give_the_answer_of_one(alone):
    assert answer(workers=2) == alone


@pytest.mark.long
def test_a_cluster_gives_the_answer_of_one_process(alone):
    pytest.importorskip("ray")
    assert answer(workers="ray") == alone


def test_a_cluster_out_of_reach_is_one_sentence(monkeypatch):
    ray = types.SimpleNamespace(
        is_initialized=lambda: False, init=Mock(side_effect=ConnectionError("Failed to connect to Ray cluster at 192.0.2.1:6379.\nMore."))
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(InvalidSearch, match=r"cannot be reached: Failed to connect to Ray cluster at 192\.0\.2\.1:6379\. Is"):
        explore(NETWORK, workers="ray", **OPTIONS)


def test_few_mappings_are_scored_here():
    with open_workers(None, 1000) as few, open_workers(2, 10**9) as many:
        assert isinstance(few, ThisProcess) and isinstance(many, Processes)
        assert list(many.map(abs, [-3, 2, -1])) == [3, 2, 1]


@pytest.mark.parametrize("workers", [0, "many"])
def test_wrong_workers_are_refused(workers):
    with pytest.raises(InvalidSearch, match="workers"):
        explore(NETWORK, workers=workers)


def test_a_weak_bound_between_two_sides_is_made_better():
    found = explore(NETWORK, space="paper", max_area_mm2=0.01, budget=2_000_000, starts=1, workers=1)
    # With the thirteen sides alone and what is bounded between them it is 1.44 times the bound.
    assert found.bound is not None and found.edp <= found.bound * 1.02
    assert found.design.area_mm2 <= 0.01
