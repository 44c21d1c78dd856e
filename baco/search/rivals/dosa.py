"""DOSA (Hong et al., MICRO 2023), rebuilt from its paper and published settings: gradient descent from a few decent starting points.

- 7 starting points: random hardware (side 2 to 128, each memory 1 to 2,048 KiB, powers of two all), then a decent mapping of each layer
  for it. A start whose first loss is more than ten times the lowest first loss so far is drawn again.
- 1,490 steps of Adam each, one start after the other. Variables are the factors at the accumulator and the two spatial ones, each over
  the largest that it can be; those at DRAM are what is left. The loss is sum of energies x sum of latencies on the least hardware, plus
  as much of itself as the squares of what any factor is below 1. Learning rate 5e-5 for unet, 7.5e-5 for resnet50 and retinanet, else 1e-5.
- Every 500 steps and at the end factors are rounded, innermost first, each to the nearest whole number that divides what is left, or
  else to its nearest divisor. Then, layer by layer, the weight-, input- and output-stationary orders are tried at DRAM, and the best
  for the network stays. Descent goes on from there, with Adam's moments kept. The best rounded point counts.

Two parts differ of necessity. Its starting mappings come from CoSA, a mixed-integer program for a commercial solver: here from
`decent_tile`, greedy with CoSA's aims (a full array, little traffic, full memories), which asks no model and so costs no samples, as CoSA
costs none there. And it divides factors by the largest in its data set of mappings: here by the largest size in the network.

Limits, which the original has not but for a side that is held: starting points have the largest side allowed, where that is limited, and
random hardware beyond a limit is drawn again; a rounded point beyond one does not count.

A sample is one mapping of one layer, so a step costs as many as there are layers; 7 x 1,490 steps are about 10,430 mappings of each. All
starts descend as one batch, which changes no number: each has its own loss, and samples are counted as if they ran one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baco.perfmodel import differentiable as model
from baco.perfmodel.equations import Shape
from baco.search.candidates import LATENCY, Choice, capacities, layer_energies, level3_orders, score
from baco.search.descent import nearest
from baco.search.rivals.harness import AXIS_C, AXIS_K, Hardware, Harness
from baco.search.tilings import divisors
from baco.workload import DIMENSIONS, TENSOR_DIMENSIONS, Problem

STARTS = 7
STEPS = 1490
ROUND_EVERY = 500
WORST_START = 10
DRAWS = 1000
"""Random machines that are drawn until one keeps the limits."""
LARGEST_SIDE = 128
LEARNING_RATES = {"unet": 5e-5, "resnet50": 7.5e-5, "retinanet": 7.5e-5}
OTHER_LEARNING_RATE = 1e-5

WHOLE = len(DIMENSIONS) + 2
"""Factors of a layer: the tile's, without the spatial part, in the order of DIMENSIONS, then s_C and s_K."""


@dataclass
class Point:
    """A rounded point of one start: factors (layers, WHOLE), the order of each layer, and the figures (orders, layers, 6)."""

    factors: NDArray[np.int64]
    orders: NDArray[np.int64]
    figures: NDArray[np.float64]
    side: int


@dataclass
class Start:
    """A starting point that is good enough, and how far the samples reach from there."""

    point: Point
    drawn_at: int
    """Samples of the whole search when it was drawn."""
    roundings: dict[int, int]
    """After which steps it is rounded, and the samples of the whole search then; the last of them is the last step."""


def search(harness: Harness, starts: int = STARTS, steps: int = STEPS) -> None:
    """Run the published number of starts and steps, or as far as the samples reach; then more starts until they are used up."""
    search_all([harness], starts, steps)


def search_all(harnesses: Sequence[Harness], starts: int = STARTS, steps: int = STEPS) -> None:
    """The same for several networks of as many layers, in one space and within the same limits: all their starts are one batch."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tensors of some hundred numbers: more threads only wait for each other
    try:
        while unused := [harness for harness in harnesses if harness.left >= len(harness.layers)]:
            _descend([(harness, start) for harness in unused for start in draw_starts(harness, starts, steps)])
    finally:
        torch.set_num_threads(threads)


def draw_starts(harness: Harness, starts: int, steps: int) -> list[Start]:
    """So many starting points, or as many as the samples reach, whose samples are counted here, descent from them included."""
    layers, lowest, drawn = len(harness.layers), np.inf, []
    while len(drawn) < starts and harness.left >= layers:
        point = _first(harness)
        harness.samples += layers
        loss = _value(harness, point.figures, point.orders, point.side)
        if loss <= WORST_START * lowest:
            lowest = min(lowest, loss)
            drawn.append(Start(point, harness.samples, _count_steps(harness, steps)))
    return drawn


def _count_steps(harness: Harness, steps: int) -> dict[int, int]:
    """Count the samples of the steps of one start and of its roundings, as :attr:`Start.roundings` has them."""
    layers, roundings = len(harness.layers), {}
    rounding = layers * len(level3_orders(harness.rules.halo))
    for step in range(1, steps + 1):
        if harness.left < layers + rounding:  # the last step was rounded: see below
            break
        harness.samples += layers
        if step % ROUND_EVERY == 0 or step == steps or harness.left < layers + rounding:
            harness.samples += rounding
            roundings[step] = harness.samples
    return roundings


def _first(harness: Harness) -> Point:
    """Random hardware and a decent mapping of each layer for it."""
    g = harness.generator
    limits, space = harness.limits, harness.space
    for _ in range(DRAWS):
        side, accumulator, scratchpad = 2 ** int(g.integers(1, 8)), 2.0 ** int(g.integers(0, 12)), 2.0 ** int(g.integers(0, 12))
        side = space.round_side(limits.max_dim if limits.max_dim < LARGEST_SIDE else side, limits)
        hardware = Hardware(side, min(accumulator, limits.accumulator_kib), min(scratchpad, limits.scratchpad_kib))
        if limits.holds(side, hardware.accumulator_kib, hardware.scratchpad_kib):
            break
    factors = np.array([decent_tile(layer.problem, hardware, harness) for layer in harness.layers])
    figures, side = _figures(harness, factors)
    each = np.arange(len(factors))
    energy = np.stack([_energies(harness, rows, side) for rows in figures])
    return Point(factors, (energy * figures[:, each, LATENCY]).argmin(axis=0), figures, side)


def decent_tile(problem: Problem, hardware: Hardware, harness: Harness) -> list[int]:
    """Factors (WHOLE) of a mapping that fills the machine: the array first, then whatever saves most traffic, as long as it fits.

    Traffic is counted as CoSA does: each tensor once for every loop outside that it does not depend on.
    """
    spatial = {d: max(n for n in divisors(problem.sizes[d]) if n <= hardware.side) for d in "CK"}
    tile = dict.fromkeys(DIMENSIONS, 1) | spatial

    def fits(tile: dict[str, int]) -> bool:
        sizes = [np.array(tile[d]) for d in DIMENSIONS]
        at = np.array(spatial["C"]), np.array(spatial["K"])
        accumulator, scratchpad = capacities(problem, sizes, *at, hardware.side, harness.space)
        return bool((accumulator <= hardware.accumulator_kib) & (scratchpad <= hardware.scratchpad_kib))

    def traffic(tile: dict[str, int]) -> float:
        outside = {d: problem.sizes[d] / tile[d] for d in DIMENSIONS}
        return sum(
            problem.tile_words(tensor, problem.sizes) * float(np.prod([outside[d] for d in DIMENSIONS if d not in dims]))
            for tensor, dims in TENSOR_DIMENSIONS.items()
        )

    while not fits(tile) and max(spatial.values()) > 1:  # a machine too small for a pass of the whole array
        d = max(spatial, key=spatial.__getitem__)
        spatial[d] = tile[d] = max(n for n in divisors(problem.sizes[d]) if n < spatial[d])
    while True:
        larger = []
        for d in DIMENSIONS:
            step = next((n for n in divisors(problem.sizes[d]) if n > tile[d] and n % tile[d] == 0), None)
            if step is not None and fits(grown := tile | {d: step}):
                larger.append((traffic(grown), grown[d] // tile[d], d, grown))
        if not larger:
            return [tile[d] // spatial.get(d, 1) for d in DIMENSIONS] + [spatial["C"], spatial["K"]]
        tile = min(larger, key=lambda option: option[:3])[3]


def _tiles(factors: NDArray[np.int64]) -> NDArray[np.int64]:
    """(layers, 7): whole tiles, spatial parts included."""
    tiles = factors[:, : len(DIMENSIONS)].copy()
    tiles[:, AXIS_C] *= factors[:, -2]
    tiles[:, AXIS_K] *= factors[:, -1]
    return tiles


def _figures(harness: Harness, factors: NDArray[np.int64]) -> tuple[NDArray[np.float64], int]:
    """Figures (orders, layers, 6) in every order, all occurrences of a layer together, and the least side."""
    side = harness.space.round_side(int(factors[:, -2:].max()), harness.limits)
    rows = [
        score(layer.problem, list(t[:, None]), f[-2:-1], f[-1:], np.array([side]), harness.space, **harness.rules.model)[:, 0]
        * np.array([count] * 4 + [1, 1])
        for layer, count, t, f in zip(harness.layers, harness.counts, _tiles(factors), factors, strict=True)
    ]
    return np.stack(rows, axis=1), side


def _energies(harness: Harness, figures: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    _, _, accumulator, scratchpad = harness.totals(figures[None], np.array([side]))
    return layer_energies(figures, accumulator[0], scratchpad[0], side, harness.rules.table)


def _value(harness: Harness, figures: NDArray[np.float64], orders: NDArray[np.int64], side: int) -> float:
    energy, latency, *_ = harness.totals(figures[orders, np.arange(len(orders))][None], np.array([side]))
    return float(harness.rules.goal.value(energy, latency)[0])


def _offer(harness: Harness, point: Point, at: int) -> None:
    orders = level3_orders(harness.rules.halo)
    choices = [
        Choice(tuple(int(v) for v in tile), int(row[-2]), int(row[-1]), orders[order])
        for tile, row, order in zip(_tiles(point.factors), point.factors, point.orders, strict=True)
    ]
    harness.offer(point.figures[point.orders, np.arange(len(choices))], point.side, choices, at)


def _descend(runs: list[tuple[Harness, Start]]) -> None:
    """Descend from all starts together, each of its own search, and offer their rounded points there in the order of their samples."""
    harness = runs[0][0]
    shape, largest = _shapes([run for run, _ in runs])
    counts = torch.from_numpy(np.stack([run.counts for run, _ in runs]))
    points = [start.point for _, start in runs]
    found = [(start.drawn_at, run, start.point) for run, start in runs]
    variables = (torch.from_numpy(np.stack([p.factors for p in points])) / largest).requires_grad_()
    optimiser = torch.optim.Adam([variables], lr=LEARNING_RATES.get(harness.network.name, OTHER_LEARNING_RATE))
    orders = torch.from_numpy(np.stack([p.orders for p in points]))
    for step in range(1, max(max(start.roundings, default=0) for _, start in runs) + 1):
        optimiser.zero_grad()
        _losses(harness, shape, counts, variables * largest, orders).sum().backward()
        optimiser.step()
        for i, (run, start) in enumerate(runs):
            if step in start.roundings:
                points[i] = _round(run, (variables[i].detach() * largest[i]).numpy(), points[i].orders)
                found.append((start.roundings[step], run, points[i]))
                orders[i] = torch.from_numpy(points[i].orders)
                with torch.no_grad():
                    variables[i].copy_(torch.from_numpy(points[i].factors) / largest[i])
    for at, run, point in sorted(found, key=lambda entry: entry[0]):
        _offer(run, point, at)


def _shapes(harnesses: list[Harness]) -> tuple[Shape, Tensor]:
    """The layers of each search, figures (searches, layers), and what their factors are divided by, (searches, 1, WHOLE)."""
    shapes = [model.shapes_of([layer.problem for layer in harness.network.layers]) for harness in harnesses]

    size = {d: torch.stack([s.size[d] for s in shapes]) for d in DIMENSIONS}
    (rows, columns), (down, across) = (
        [torch.stack([getattr(s, name)[axis] for s in shapes]) for axis in (0, 1)] for name in ("stride", "dilation")
    )
    sides = torch.full((len(shapes), 2), float(LARGEST_SIDE), dtype=torch.float64)
    largest = torch.cat([torch.stack([size[d].amax(dim=1) for d in DIMENSIONS], dim=1), sides], dim=1)
    return Shape(size, (rows, columns), (down, across)), largest[:, None]


def _round(harness: Harness, factors: NDArray[np.float64], orders: NDArray[np.int64]) -> Point:
    """The rounded point with the best orders; `orders` are those so far."""
    largest_side = harness.limits.largest_side
    whole = np.array([rounded(row, layer.problem, largest_side) for row, layer in zip(factors, harness.layers, strict=True)])
    figures, side = _figures(harness, whole)
    point = Point(whole, orders, figures, side)
    point.orders = _best_orders(harness, point)
    return point


def _losses(harness: Harness, shape: Shape, counts: Tensor, factors: Tensor, orders: Tensor) -> Tensor:
    """(starts,): the loss at factors (starts, layers, WHOLE) with the orders (starts, layers); so are all figures of the layers."""
    sizes = torch.stack([shape.size[d] for d in DIMENSIONS], dim=-1)
    tile = factors[..., : len(DIMENSIONS)].unbind(-1)
    s_c, s_k = factors[..., -2], factors[..., -1]
    whole = torch.stack([t * {AXIS_C: s_c, AXIS_K: s_k}.get(axis, 1) for axis, t in enumerate(tile)], dim=-1)
    below = torch.relu(1 - factors).square().sum((-1, -2)) + torch.relu(1 - sizes / whole).square().sum((-1, -2))
    free = model.Factors(whole.clamp(min=1e-3).log(), factors[..., -2:].clamp(min=1e-3).log())
    held = free.clamp(shape, harness.limits.largest_side)
    space, need = harness.space, model.requirements(shape, held)
    side = held.spatial.exp().amax((-1, -2)).unsqueeze(-1)
    words = need.weights + need.inputs
    if space.whole_rows:
        words = side * (need.weights / held.spatial[..., 1].exp() + need.inputs / held.spatial[..., 0].exp())
    hardware = {
        "side": side,
        "accumulator_kib_per_column": need.accumulator_rows.amax(-1, keepdim=True) * (4 * space.buffers / 1024),
        "scratchpad_kib": words.amax(-1, keepdim=True) * (space.buffers / 1024),
    }
    options = [model.costs(shape, held, order, **hardware, **harness.rules.model) for order in level3_orders(harness.rules.halo)]
    energy, cycles = (torch.stack([o[i] for o in options]).gather(0, orders[None])[0] for i in (0, 1))
    loss = (energy * counts).sum(-1) * (cycles * counts).sum(-1)
    return loss + loss.detach() * below


def rounded(factors: NDArray[np.float64], problem: Problem, largest_side: int) -> list[int]:
    """Whole factors (WHOLE) of one layer: spatial first, then the tile's, so that each divides what is left of its dimension."""
    left = dict(problem.sizes)

    def whole(dim: str, value: float, most: int | None = None) -> int:
        options = [n for n in divisors(left[dim]) if most is None or n <= most]
        found = round(value) if round(value) in options else nearest(value, options)
        left[dim] //= found
        return found

    s_c, s_k = (whole(d, float(v), largest_side) for d, v in zip("CK", factors[-2:], strict=True))
    return [*(whole(d, float(v)) for d, v in zip(DIMENSIONS, factors, strict=False)), s_c, s_k]


def _best_orders(harness: Harness, point: Point) -> NDArray[np.int64]:
    """The order of each layer, one layer after the other the best for the network."""
    chosen = point.orders.copy()
    for layer in range(len(chosen)):
        values = []
        for order in range(len(point.figures)):
            chosen[layer] = order
            values.append(_value(harness, point.figures, chosen, point.side))
        chosen[layer] = int(np.argmin(values))
    return chosen
