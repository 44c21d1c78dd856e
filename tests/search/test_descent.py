"""The batch of descent: many starting points are rounded as one by one, and any number of them and any device gives a good design."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small import NETWORK

from baco.perfmodel.differentiable import Factors
from baco.search import InvalidSearch, explore
from baco.search.descent import descend, device_for, exact_designs, nearest, rounded, start
from baco.search.goals import RULES, Rules
from baco.search.spaces import GemminiSpace, Limits, PaperSpace, space_named
from baco.search.tilings import EXACT, RAGGED, divisors, spatial
from baco.workload import DIMENSIONS

SPACE, LIMITS = space_named("paper"), Limits(max_dim=12)


def test_many_starting_points_are_rounded_as_one_by_one():
    drawn = torch.rand(50, len(NETWORK.layers), 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 4
    whole, sides = rounded(NETWORK, Factors(drawn[..., :7], drawn[..., 7:]), SPACE, LIMITS)
    values = drawn.exp().numpy()

    def closest(value, choices):
        return min(choices, key=lambda c: abs(np.log(c) - np.log(value)))

    for row, point, side in zip(whole, values, sides, strict=True):
        for layer, found, free in zip(NETWORK.layers, row, point, strict=True):
            for axis, dim in enumerate(DIMENSIONS):
                size = layer.problem.sizes[dim]
                if dim not in "CK":
                    assert found[axis] == closest(free[axis], divisors(size)) == nearest(free[axis], divisors(size))
                    continue
                inner = closest(free[7 + "CK".index(dim)], [d for d in divisors(size) if d <= side])
                assert found[axis] == inner * closest(free[axis] / inner, divisors(size // inner))
                assert found[7 + "CK".index(dim)] == spatial(int(found[axis]), int(side))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))])
def test_descent_from_a_thousand_starting_points_is_better_than_the_best_of_them(device):
    begun = start(NETWORK, SPACE, LIMITS, 1000, seed=0)
    whole, sides = descend(NETWORK, SPACE, LIMITS, begun[0], 15, device=device)
    first, last = (min(d.value for d in exact_designs(NETWORK, *points, SPACE, LIMITS, RULES)) for points in (begun, (whole, sides)))
    assert whole.shape == (1000, len(NETWORK.layers), 9) and last < 0.9 * first


def test_the_number_of_starting_points_and_the_device_are_options():
    many = explore(NETWORK, space="paper", budget=40_000, starts=100, device="cpu")
    assert "descent from 27 starting points" in many.method  # 20,000 samples, at least 40 steps of 18 mappings each
    assert device_for("auto", 24, 24) == "cpu" and device_for("cpu", 10_000, 24) == "cpu"
    none = explore(NETWORK, space="paper", budget=40_000, starts=0)
    assert "descent" not in none.method and none.edp == pytest.approx(many.edp)
    for options in ({"starts": -1}, {"device": "tpu"}, *([] if torch.cuda.is_available() else [{"device": "cuda"}])):
        with pytest.raises(InvalidSearch, match=next(iter(options))):
            explore(NETWORK, **options)


@pytest.mark.parametrize(("space", "tilings"), [(PaperSpace(), EXACT), (GemminiSpace(), RAGGED)], ids=["paper", "gemmini"])
def test_points_beyond_the_limits_get_smaller_tiles_until_they_hold(space, tilings):
    limits = Limits(max_area_mm2=0.1, max_dim=8)
    whole, sides = start(NETWORK, space, limits, 8, 0, tilings)
    designs = exact_designs(NETWORK, whole, sides, space, limits, Rules(tilings=tilings))
    assert len(designs) == 8
    for design in designs:
        assert space.machine(design.side, design.accumulator_kib, design.scratchpad_kib).area_mm2() <= 0.1
        assert all(c.mapping(n.problem).violations(n.problem) == [] for c, n in zip(design.choices, NETWORK.layers, strict=True))
