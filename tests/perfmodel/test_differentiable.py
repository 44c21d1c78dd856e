"""The tensor form of the model: equal to the whole-number form at whole numbers, with right gradients in between."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mapping_cases import cases

from baco.perfmodel import Machine, evaluate, predict
from baco.perfmodel import differentiable as model
from baco.perfmodel.equations import HALOS, LATENCIES, STATIONARY_ORDERS
from baco.traffic import PLACES
from baco.workload import DIMENSIONS, SCRATCHPAD, Problem
from baco.workloads import network


def factors_of(mapping):
    tile = torch.tensor([[math.log(mapping.tile(SCRATCHPAD)[d]) for d in DIMENSIONS]], dtype=torch.float64)
    return model.Factors(tile, torch.tensor([[math.log(mapping.spatial_c), math.log(mapping.spatial_k)]], dtype=torch.float64))


@settings(max_examples=150, deadline=None)
@given(cases(canonical=True), st.sampled_from(HALOS), st.sampled_from(LATENCIES))
def test_tensors_and_whole_numbers_agree(case, halo, latency):
    problem, mapping = case
    shape, factors, order = model.shapes_of([problem]), factors_of(mapping), mapping.orders[3]
    counts, traffic = model.counts(shape, factors, order, halo), predict(problem, mapping, halo)
    for place in PLACES:
        assert float(counts.reads.get(place, 0)) == pytest.approx(traffic.reads[place], rel=1e-9, abs=1e-6)
        assert float(counts.writes.get(place, 0)) == pytest.approx(traffic.writes[place], rel=1e-9, abs=1e-6)
    machine = Machine(16, 256, 64)
    energy, cycles = model.costs(
        shape, factors, order, side=16, accumulator_kib_per_column=4.0, scratchpad_kib=256.0, halo=halo, latency=latency
    )
    cost = evaluate(problem, mapping, machine, halo=halo, latency=latency)
    assert float(energy) == pytest.approx(cost.energy_pj, rel=1e-9)
    assert float(cycles) == pytest.approx(cost.cycles, rel=1e-9)
    held = model.requirements(shape, factors)
    assert float(held.accumulator_rows) == pytest.approx(mapping.accumulator_rows(problem), rel=1e-9)
    tile = mapping.tile(SCRATCHPAD)
    assert float(held.weights) == pytest.approx(problem.tile_words("weights", tile), rel=1e-9)
    assert float(held.inputs) == pytest.approx(problem.tile_words("inputs", tile), rel=1e-9)


@pytest.mark.parametrize("order", sorted(STATIONARY_ORDERS.values()))
@pytest.mark.parametrize("halo", HALOS)
@pytest.mark.parametrize("latency", LATENCIES)
def test_gradients_are_right(order, halo, latency):
    torch.manual_seed(0)
    shape = model.shapes_of([Problem(R=3, S=3, P=8, Q=8, C=16, K=32, N=2, stride=(2, 1)), Problem(P=7, C=24, K=40, N=3)])
    sizes = torch.stack([shape.size[d] for d in DIMENSIONS], dim=-1).log()
    free = (sizes > 0).expand(3, 2, 7)  # a dimension of size 1 has no factor to vary, and lies on a kink
    tile = (sizes * (0.2 + 0.6 * torch.rand(3, 2, 7, dtype=torch.float64)))[free].requires_grad_()
    spatial = (0.1 + 0.2 * torch.rand(3, 2, 2, dtype=torch.float64)).requires_grad_()

    def run(tile, spatial):
        factors = model.Factors(torch.zeros(3, 2, 7, dtype=tile.dtype).masked_scatter(free, tile), spatial)
        held = model.requirements(shape, factors)
        side = spatial.exp().amax(dim=(-1, -2))[..., None]
        capacities = {"accumulator_kib_per_column": held.accumulator_rows / 256, "scratchpad_kib": (held.weights + held.inputs) / 1024}
        energy, cycles = model.costs(shape, factors, order, side=side, **capacities, halo=halo, latency=latency)
        return energy.log(), cycles.log()

    assert torch.autograd.gradcheck(run, (tile, spatial))


def test_the_batch_is_starting_points_by_layers():
    layers = [layer.problem for layer in network("resnet50").layers]
    shape = model.shapes_of(layers)
    factors = model.Factors(torch.rand(5, 24, 7, dtype=torch.float64) * 4, torch.rand(5, 24, 2, dtype=torch.float64) * 6).clamp(shape, 128)
    energy, cycles = model.costs(shape, factors, "CKRSNPQ", side=128, accumulator_kib_per_column=4.0, scratchpad_kib=256.0)
    assert energy.shape == cycles.shape == (5, 24)
    assert bool((energy > 0).all()) and bool((cycles > 0).all())
