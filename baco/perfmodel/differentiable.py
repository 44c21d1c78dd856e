"""The model on torch tensors: a batch of (starting points x layers), differentiable in the logarithms of all factors.

Variables are log tile factors, so that a factor is their exponential; tile x outer trips = the dimension always holds, because the level-3
trips are the rest. Counts are the same equations as the exact model's (`equations`), evaluated on tensors.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from baco.perfmodel.constants import DRAM_WORDS_PER_CYCLE, TABLE_6_3, EnergyTable
from baco.perfmodel.equations import (
    INNER_ORDERS,
    Counts,
    Nest,
    Operations,
    Shape,
    access_energies,
    count,
    cycles,
    energies,
    extent,
    product,
)
from baco.workload import DIMENSIONS, Problem


def _tensor(value: object, like: Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=like.dtype, device=like.device)


def _minimum(a: object, b: object) -> Tensor:
    like = a if isinstance(a, Tensor) else b
    return torch.minimum(_tensor(a, like), _tensor(b, like))


def _maximum(a: object, b: object) -> Tensor:
    like = a if isinstance(a, Tensor) else b
    return torch.maximum(_tensor(a, like), _tensor(b, like))


TENSORS = Operations(where=torch.where, minimum=_minimum, maximum=_maximum, one=1 + 1e-6)


def shapes_of(problems: list[Problem], dtype: torch.dtype = torch.float64, device: str = "cpu") -> Shape:
    """The figures of several layers as tensors of shape (layers,) on a device."""

    def column(values: list[int]) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=device)

    return Shape(
        size={d: column([getattr(p, d) for p in problems]) for d in DIMENSIONS},
        stride=(column([p.pixel_steps[0] for p in problems]), column([p.pixel_steps[1] for p in problems])),
        dilation=(column([p.dilation[0] for p in problems]), column([p.dilation[1] for p in problems])),
    )


@dataclass(frozen=True)
class Factors:
    """Log factors of a batch, each a tensor (..., layers): the tile of each dimension and the two spatial factors inside it."""

    tile: Tensor
    """(..., layers, 7): log of the sizes of the tile on chip, in the order of DIMENSIONS."""
    spatial: Tensor
    """(..., layers, 2): log of s_C and s_K."""

    def clamp(self, shape: Shape, max_side: float) -> Factors:
        """The nearest factors that make sense: 1 <= tile <= size, 1 <= spatial <= min(tile, max_side)."""
        sizes = torch.stack([shape.size[d] for d in DIMENSIONS], dim=-1).log()
        tile = torch.minimum(self.tile.clamp(min=0), sizes)
        spatial = torch.minimum(self.spatial.clamp(min=0), torch.tensor(max_side, dtype=tile.dtype).log())
        held = torch.stack([tile[..., DIMENSIONS.index("C")], tile[..., DIMENSIONS.index("K")]], dim=-1)
        return Factors(tile, torch.minimum(spatial, held))

    def nest(self, shape: Shape, order: str) -> Nest:
        """The loops of these factors: P, Q, N of the tile at level 0, R, S, C, K at level 1, the rest at level 3."""
        tile = dict(zip(DIMENSIONS, self.tile.exp().unbind(-1), strict=True))
        spatial_c, spatial_k = self.spatial.exp().unbind(-1)
        inner = {"R": tile["R"], "S": tile["S"], "C": tile["C"] / spatial_c, "K": tile["K"] / spatial_k}
        tiles = {d: shape.size[d] / tile[d] for d in DIMENSIONS}
        trips = {3: tiles, 1: inner, 0: {d: tile[d] for d in "PQN"}}
        runs = {d: tiles[d] * inner.get(d, 1) for d in DIMENSIONS}
        return Nest(trips, {3: order} | INNER_ORDERS, spatial_c, spatial_k, tiles, runs)


def counts(shape: Shape, factors: Factors, order: str, halo: str = "reload") -> Counts:
    """Words moved at every level, each a tensor (..., layers)."""
    return count(shape, factors.nest(shape, order), halo, TENSORS)


@dataclass(frozen=True)
class Requirements:
    """What a mapping holds on chip, each a tensor (..., layers): rows of the accumulator, words of weights and of inputs."""

    accumulator_rows: Tensor
    weights: Tensor
    inputs: Tensor


def requirements(shape: Shape, factors: Factors) -> Requirements:
    """The tiles on chip (PERFMODEL.md, "Least hardware that holds a mapping")."""
    tile = dict(zip(DIMENSIONS, factors.tile.exp().unbind(-1), strict=True))
    rows = tile["N"] * tile["P"] * tile["Q"] * tile["K"] / factors.spatial[..., 1].exp()
    height = extent(tile["P"], tile["R"], shape.stride[0], shape.dilation[0], "reload", TENSORS)
    width = extent(tile["Q"], tile["S"], shape.stride[1], shape.dilation[1], "reload", TENSORS)
    return Requirements(rows, product([tile[d] for d in "RSCK"]), tile["N"] * tile["C"] * height * width)


def costs(
    shape: Shape,
    factors: Factors,
    order: str,
    *,
    side: Tensor,
    accumulator_kib_per_column: Tensor,
    scratchpad_kib: Tensor,
    dram_words_per_cycle: float = DRAM_WORDS_PER_CYCLE,
    halo: str = "reload",
    latency: str = "shared",
    table: EnergyTable = TABLE_6_3,
) -> tuple[Tensor, Tensor]:
    """Energy in pJ and latency in cycles of each layer of the batch, on machines given as tensors that broadcast with it."""
    moved = counts(shape, factors, order, halo)
    energy = sum(energies(moved, access_energies(accumulator_kib_per_column, scratchpad_kib, table), table).values())
    terms = cycles(moved, side, dram_words_per_cycle, latency, TENSORS).values()
    return energy, torch.stack(torch.broadcast_tensors(*terms)).amax(dim=0)
