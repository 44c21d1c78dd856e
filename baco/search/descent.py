"""Gradient descent on the logarithms of all tile factors and the hardware together, many starting points and all layers in one batch.

The loss is the logarithm of the objective, such as sum of energies x sum of latencies, of each starting point, on the least hardware that
holds its mappings, so that gradients flow through the hardware as well (PERFMODEL.md, "Gradient descent"). The loop order of each layer is
whichever of the stationary ones is best at the moment. Every so often the factors are rounded, innermost first to divisors, or to the sizes
of ragged tiles, and scored exactly; descent goes on from there.

The steps run on a device that PyTorch names ("cpu", "cuda"); starting points are drawn, rounded and scored on the CPU. Thousands of
starting points are one batch, for which a GPU is worth it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baco.perfmodel import differentiable as model
from baco.perfmodel.equations import STATIONARY_ORDERS, Shape
from baco.search.candidates import (
    ACCUMULATOR_KIB,
    LATENCY,
    SCRATCHPAD_KIB,
    Choice,
    Design,
    capacities,
    layer_energies,
    level3_orders,
    score,
)
from baco.search.errors import InvalidSearch
from baco.search.goals import RULES, Rules
from baco.search.spaces import Limits, Space
from baco.search.tilings import EXACT, RAGGED, divisors, sizes_of, spatial
from baco.workload import DIMENSIONS
from baco.workloads import Network

ORDERS = tuple(STATIONARY_ORDERS.values())
ROUND_EVERY = 75
LEARNING_RATE = 0.06
GPU_LAYERS = 20_000
"""Starting points x layers from which on a GPU is faster: with fewer its time goes into starting kernels."""
SHRINK, SHRINKS = 0.8, 60
"""Memories beyond the limits get this part of what they had, so many times at most."""
_spatial = lru_cache(maxsize=None)(spatial)
_sizes_of = lru_cache(maxsize=None)(sizes_of)
AXIS_C, AXIS_K = DIMENSIONS.index("C"), DIMENSIONS.index("K")


def initial(shape: Shape, starts: int, space: Space, limits: Limits, generator: torch.Generator) -> model.Factors:
    """Random hardware, and random mappings that use the whole array of it."""
    sizes = torch.stack([shape.size[d] for d in DIMENSIONS], dim=-1).log()
    sides = torch.tensor([float(s) for s in space.sides(limits)], dtype=torch.float64).log()
    drawn = torch.rand(starts, generator=generator, dtype=torch.float64)
    side = sides.max() - drawn * np.log(8)
    tile = sizes * torch.rand(starts, *sizes.shape, generator=generator, dtype=torch.float64)
    channels = torch.stack([sizes[:, AXIS_C], sizes[:, AXIS_K]], dim=-1)
    across = torch.minimum(channels.expand(starts, -1, -1), side[:, None, None])
    for axis, column in ((AXIS_C, 0), (AXIS_K, 1)):
        tile[..., axis] = torch.maximum(tile[..., axis], across[..., column])
    return model.Factors(tile, across)


def losses(shape: Shape, counts: Tensor, factors: model.Factors, space: Space, limits: Limits, rules: Rules) -> Tensor:
    """log of the objective of each starting point on the least hardware that holds it, with a penalty for what is beyond the limits."""
    held = model.requirements(shape, factors)
    side = factors.spatial.amax(dim=(-1, -2)).exp()[:, None]
    words = held.weights + held.inputs
    if space.whole_rows:
        s_c, s_k = factors.spatial.exp().unbind(-1)
        words = side * (held.weights / s_k + held.inputs / s_c)
    per_column = (held.accumulator_rows * (4 * space.buffers / 1024)).amax(dim=-1, keepdim=True)
    scratchpad = (words * (space.buffers / 1024)).amax(dim=-1, keepdim=True)
    hardware = {"side": side, "accumulator_kib_per_column": per_column, "scratchpad_kib": scratchpad}
    options = [model.costs(shape, factors, order, **hardware, **rules.model) for order in ORDERS]
    energy = torch.stack([e for e, _ in options]) * counts
    cycles = torch.stack([c for _, c in options]) * counts
    for_energy, for_latency = rules.goal.weights
    with torch.no_grad():
        share = for_energy * energy / energy.amin(dim=0).sum(dim=-1, keepdim=True)
        share = share + for_latency * cycles / cycles.amin(dim=0).sum(dim=-1, keepdim=True)
        order = share.argmin(dim=0, keepdim=True)
    whole_energy, whole_cycles = (figure.gather(0, order)[0].sum(dim=-1) for figure in (energy, cycles))
    loss = for_energy * whole_energy.log() + for_latency * whole_cycles.log()
    beyond = limits.excess(side[:, 0], (per_column * side)[:, 0], scratchpad[:, 0])
    beyond += [(whole_cycles, rules.goal.max_cycles), (whole_energy / whole_cycles, rules.goal.max_power)]
    for need, most in beyond:
        if np.isfinite(most):
            loss = loss + torch.relu((need / most).log())
    return loss


def device_for(name: str, starts: int, layers: int) -> str:
    """The device that `name` stands for: itself, or for "auto" a GPU where there is one and the batch is large.

    Raises:
        InvalidSearch: for "cuda" where PyTorch sees no GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidSearch("device", "is cuda, but PyTorch sees no GPU; leave it out, or take cpu.")
    if name != "auto":
        return name
    return "cuda" if starts * layers >= GPU_LAYERS and torch.cuda.is_available() else "cpu"


def nearest(value: float, choices: list[int]) -> int:
    """The choice nearest in proportion."""
    return int(_nearest(np.array([value]), np.array(choices))[0])


def _nearest(values: NDArray[np.float64], choices: NDArray[np.int64], most: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """(many,): for each of `values` the choice nearest in proportion, of those up to its `most` if that is given."""
    distance = np.abs(np.log(choices) - np.log(np.maximum(values, 1e-9))[:, None])
    if most is not None:
        distance = np.where(choices <= most[:, None], distance, np.inf)
    return choices[distance.argmin(axis=1)]


def rounded(
    network: Network, factors: model.Factors, space: Space, limits: Limits, tilings: str = EXACT
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Whole factors (starts, layers, 9): tile and spatial, divisors all, rounded innermost first; and each starting point's side."""
    tile, across = factors.tile.exp().numpy(), factors.spatial.exp().numpy()
    sides = np.array([space.round_side(s, limits) for s in across.max(axis=(1, 2))])
    whole = np.empty((*tile.shape[:2], 9), np.int64)
    for i, layer in enumerate(network.layers):
        sizes = layer.problem.sizes
        for axis, d in enumerate(DIMENSIONS):
            whole[:, i, axis] = _nearest(tile[:, i, axis], np.array(sizes_of(d, sizes[d], 1, tilings)))
        for axis, column in ((AXIS_C, 0), (AXIS_K, 1)):
            size = sizes[DIMENSIONS[axis]]
            if tilings == RAGGED:
                for side in map(int, np.unique(sides)):
                    at = sides == side
                    whole[at, i, axis] = _nearest(tile[at, i, axis], np.array(sizes_of(DIMENSIONS[axis], size, side, tilings)))
                    whole[at, i, 7 + column] = [_spatial(int(t), side, size, tilings) for t in whole[at, i, axis]]
                continue
            inner = _nearest(across[:, i, column], np.array(divisors(size)), sides)
            for n in np.unique(inner):
                at = inner == n
                whole[at, i, axis] = n * _nearest(tile[at, i, axis] / n, np.array(divisors(size // int(n))))
            whole[:, i, 7 + column] = [_spatial(int(t), int(side)) for t, side in zip(whole[:, i, axis], sides, strict=True)]
    return shrunk(network, whole, sides, space, limits, tilings), sides


def shrunk(
    network: Network, whole: NDArray[np.int64], sides: NDArray[np.int64], space: Space, limits: Limits, tilings: str
) -> NDArray[np.int64]:
    """The points with smaller tiles where their memories are beyond the limits: both memories take the same part of what they had, and in
    each layer that needs more the largest size of its tile goes down by half, or to the next one, until it fits."""
    if not limits.excess(1.0, 1.0, 1.0):
        return whole

    def needs(i: int) -> NDArray[np.float64]:
        tiles, across = list(whole[:, i, :7].T), (whole[:, i, 7], whole[:, i, 8])
        return np.stack(np.broadcast_arrays(*capacities(network.layers[i].problem, tiles, *across, sides, space)))

    most = np.max([needs(i) for i in range(len(network.layers))], axis=0)
    for _ in range(SHRINKS):
        over = ~limits.holds(sides, *most)
        most[:, over] *= SHRINK
    for i, layer in enumerate(network.layers):
        while True:
            over = np.flatnonzero((needs(i) > most * (1 + 1e-9)).any(axis=0) & (whole[:, i, :7] > 1).any(axis=1))
            if not len(over):
                break
            for start in over:
                axis, side = int(whole[start, i, :7].argmax()), int(sides[start])
                size, dim = int(whole[start, i, axis]), DIMENSIONS[axis]
                smaller = [n for n in _sizes_of(dim, layer.problem.sizes[dim], side, tilings) if n < size]
                whole[start, i, axis] = max((n for n in smaller if 2 * n <= size), default=smaller[-1])
                for at, column in ((AXIS_C, 7), (AXIS_K, 8)):
                    n = layer.problem.sizes[DIMENSIONS[at]]
                    whole[start, i, column] = _spatial(int(whole[start, i, at]), side, n, tilings)
    return whole


def exact_designs(
    network: Network, whole: NDArray[np.int64], sides: NDArray[np.int64], space: Space, limits: Limits, rules: Rules
) -> list[Design]:
    """The designs of rounded starting points, those beyond the limits left out."""
    figures = np.stack(
        [
            score(layer.problem, list(whole[:, i, :7].T), whole[:, i, 7], whole[:, i, 8], sides, space, **rules.model)
            * np.array([layer.count] * 4 + [1, 1])
            for i, layer in enumerate(network.layers)
        ],
        axis=2,
    )  # (orders, starts, layers, 6)
    accumulator, scratchpad = figures[0, ..., ACCUMULATOR_KIB].max(axis=1), figures[0, ..., SCRATCHPAD_KIB].max(axis=1)
    energy = layer_energies(figures, accumulator, scratchpad, sides, rules.table)
    cycles = figures[..., LATENCY]
    for_energy, for_latency = rules.goal.weights
    share = for_energy * energy / energy.min(axis=0).sum(axis=-1)[:, None]
    share += for_latency * cycles / cycles.min(axis=0).sum(axis=-1)[:, None]
    order = share.argmin(axis=0)[None]
    totals = [np.take_along_axis(f, order, axis=0)[0].sum(axis=-1) for f in (energy, cycles)]
    orders = level3_orders(rules.halo)
    kept = limits.holds(sides, accumulator, scratchpad) & rules.goal.allows(*totals)
    return [
        Design(
            value=float(rules.goal.value(totals[0][s], totals[1][s])),
            energy=float(totals[0][s]),
            latency=float(totals[1][s]),
            side=int(sides[s]),
            accumulator_kib=float(accumulator[s]),
            scratchpad_kib=float(scratchpad[s]),
            choices=tuple(
                Choice(tuple(map(int, whole[s, i, :7])), int(whole[s, i, 7]), int(whole[s, i, 8]), orders[order[0, s, i]])
                for i in range(len(network.layers))
            ),
        )
        for s in range(len(sides))
        if kept[s]
    ]


def rounds(steps: int) -> list[int]:
    """After how many steps points are rounded: before the first step, every ROUND_EVERY, and at the end."""
    return [*range(0, steps, ROUND_EVERY), steps]


def start(
    network: Network, space: Space, limits: Limits, starts: int, seed: int, tilings: str = EXACT
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Random starting points, rounded; as :func:`rounded`."""
    generator = torch.Generator().manual_seed(seed)
    shape = model.shapes_of([layer.problem for layer in network.layers])
    factors = initial(shape, starts, space, limits, generator)
    return rounded(network, factors.clamp(shape, limits.largest_side), space, limits, tilings)


def descend(
    network: Network,
    space: Space,
    limits: Limits,
    whole: NDArray[np.int64],
    steps: int,
    rules: Rules = RULES,
    tick: Callable[[int], None] | None = None,
    device: str = "cpu",
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Run `steps` steps from rounded points on a device and round again; both as :func:`rounded`.

    `tick` is called after each step with the mappings scored by it.
    """
    shape = model.shapes_of([layer.problem for layer in network.layers], device=device)
    counts = torch.tensor([layer.count for layer in network.layers], dtype=torch.float64, device=device)
    logs = torch.from_numpy(whole).to(torch.float64).to(device).log()
    tile, across = logs[..., :7].clone().requires_grad_(), logs[..., 7:].clone().requires_grad_()
    optimiser = torch.optim.Adam([tile, across], lr=LEARNING_RATE)
    for _ in range(steps):
        optimiser.zero_grad()
        free = model.Factors(tile, across)
        held = free.clamp(shape, limits.largest_side)
        outside = ((free.tile - held.tile) ** 2).sum() + ((free.spatial - held.spatial) ** 2).sum()
        (losses(shape, counts, held, space, limits, rules).sum() + outside).backward()
        optimiser.step()
        if tick:
            tick(len(whole) * len(network.layers) * len(ORDERS))
    factors = model.Factors(tile.detach(), across.detach()).clamp(shape, limits.largest_side)
    return rounded(network, model.Factors(factors.tile.cpu(), factors.spatial.cpu()), space, limits, rules.tilings)
