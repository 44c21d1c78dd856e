"""Few samples: branch and bound that scores the tiles it asks for, beside scoring all of them."""

from __future__ import annotations

import pytest
from small import NETWORK

from baco.search import explore

LIMITS = [{}, {"max_dim": 8}, {"max_area_mm2": 0.1}, {"max_sram_kib": 12.0}]


@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("space", ["gemmini", "paper"])
def test_few_samples_reach_what_every_tile_does(space, limits):
    best = explore(NETWORK, space=space, budget=4_000_000, starts=0, **limits)
    assert best.bound is not None and "every tile" in best.method
    found = [explore(NETWORK, space=space, budget=4_000, seed=seed, **limits) for seed in range(2)]
    for result in found:
        assert result.samples <= 4_000 and result.samples < best.samples / 3
        assert best.bound <= result.edp <= 1.01 * best.edp
        assert result.bound is None or result.bound <= best.edp
    assert max(r.edp for r in found) <= 1.005 * min(r.edp for r in found)


@pytest.mark.parametrize(("space", "limits"), [("gemmini", {}), ("gemmini", {"max_area_mm2": 0.1}), ("paper", {})], ids=str)
def test_few_samples_prove_it_where_they_reach(space, limits):
    found = explore(NETWORK, space=space, budget=6_000, **limits)
    assert "cannot be enlarged" in found.method
    assert found.bound is not None and found.edp <= found.bound * 1.005


@pytest.mark.parametrize("objective", ["energy", "latency"])
def test_other_objectives(objective):
    best, few = (
        explore(NETWORK, space="paper", objective=objective, budget=budget, starts=0, max_area_mm2=0.2) for budget in (1_000_000, 4_000)
    )
    assert best.bound <= few.value <= 1.01 * best.value


def test_nothing_is_proven_of_windows_that_slide():
    best, few = (explore(NETWORK, space="paper", halo="reuse", budget=budget, starts=0) for budget in (1_000_000, 6_000))
    assert few.bound is None
    assert best.bound <= few.edp <= 1.05 * best.edp
