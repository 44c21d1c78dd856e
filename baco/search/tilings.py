"""Which tiles of a layer the search looks at: sizes of each dimension, and the spatial factors that go with them.

`exact`: tiles that divide their dimension, as published searches have them. `ragged`: a dimension's last tile may be smaller than the
others (:class:`baco.workload.Mapping`), counted and compiled as it is.

The ragged space of a layer, on an array of some side: output rows, columns and batch in tiles of any size; filter taps in divisors;
input and output channels either in divisors, of which a divisor lies across the array, or in tiles of any number of blocks, all blocks
but the last of the least width of which the array needs no more. Every mapping of it is matched by one with the sizes given here, no worse
in any figure:

- Rows, columns, batch. Counts depend on a tile of t out of n only through the number of tiles m = ceil(n / t): a tensor's tiles add up to
  the tensor, whole or ragged, and the input rows of m tiles add up to (n - m) x step + m x extent. ceil(n / m) is the smallest tile that
  makes m of them, so it needs the least room. A 1x1 filter of stride 1 sees pixels in a row, so that all three dimensions are one.
- Channels. A larger part of a tile across the array takes fewer blocks and rows, and no figure grows with it: so the largest divisor for
  a tile that divides. With b blocks and m tiles of them, ceil(b / m) blocks are the smallest tile that makes m.

Where arrays of many sides are judged by the largest of them, as in the paper space, blocks of any width up to its side are tried: of each
number of blocks the narrowest. Then no ragged mapping of channels is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from baco.search.errors import InvalidSearch
from baco.workload import Problem
from baco.workloads import Layer, Network

EXACT, RAGGED = TILINGS = ("exact", "ragged")


def check_tilings(name: str) -> str:
    """Raises :class:`InvalidSearch` unless it is one of TILINGS."""
    if name not in TILINGS:
        raise InvalidSearch("tilings", f"must be one of {', '.join(TILINGS)}, but is {name!r}.")
    return name


def divisors(n: int) -> list[int]:
    """All divisors of `n`, ascending."""
    return list(_divisors(n))


@cache
def _divisors(n: int) -> tuple[int, ...]:
    small = [i for i in range(1, math.isqrt(n) + 1) if n % i == 0]
    return tuple(sorted({*small, *(n // i for i in small)}))


def shares(n: int) -> list[int]:
    """The smallest tiles of `n` that make 1, 2, 3, ... tiles, ascending: 2 sqrt(n) of them at most."""
    found, m = [], 1
    while m <= n:
        found.append(tile := -(-n // m))
        m = -(-n // (tile - 1)) if tile > 1 else n + 1
    return found[::-1]


def block(n: int, side: int) -> int:
    """Channels of `n` that lie across an array of `side` at a time: the fewest that take no more blocks than `side` of them would."""
    return -(-n // -(-n // side))


def tile_sizes(problem: Problem, side: int, tilings: str, columns: int | None = None, any_width: bool = False) -> dict[str, list[int]]:
    """The tile sizes of each dimension to look at on an array of `side` rows and as many columns, unless `columns` says otherwise; with
    `any_width`, also for blocks of channels that are narrower than the array."""
    return {d: sizes_of(d, n, columns if columns and d == "K" else side, tilings, any_width) for d, n in problem.sizes.items()}


def sizes_of(dim: str, n: int, side: int, tilings: str, any_width: bool = False) -> list[int]:
    """The tile sizes of one dimension of size `n`."""
    if tilings == EXACT or dim in "RS":
        return divisors(n)
    if dim in "PQN":
        return shares(n)
    widths = [w for w in shares(n) if w <= side] if any_width else [block(n, side)]
    ragged = {min(n, across * blocks) for across in widths for blocks in shares(-(-n // across))}
    return undominated_tiles({*divisors(n), *ragged}, n, side) if any_width else sorted({*divisors(n), *ragged})


def undominated_tiles(tiles: Iterable[int], n: int, side: int) -> list[int]:
    """Those tiles of `n` channels, ascending, to which no smaller one is as good: as many tiles, no more blocks in all or in a tile."""
    kept: list[int] = []
    before: tuple[int, list[tuple[int, int]]] = (0, [])
    for tile in sorted(tiles):
        across = spatial(tile, side, n, RAGGED)
        blocks, trips = (-(-n // across), -(-tile // across)), -(-n // tile)
        if trips != before[0]:  # a smaller tile makes more tiles: only those of equal number compare
            before = (trips, [])
        if not any(all(a <= b for a, b in zip(other, blocks, strict=True)) for other in before[1]):
            kept.append(tile)
            before[1].append(blocks)
    return kept


def spatial(tile: int, side: int, size: int = 0, tilings: str = EXACT) -> int:
    """Channels of a tile, of a dimension of `size`, that lie across the array at a time."""
    if tilings == RAGGED and tile == size:
        return block(size, side)
    return max(d for d in divisors(tile) if d <= side)


def as_searched(network: Network, tilings: str) -> Network:
    """The network with its 1x1 convolutions of stride 1 as the matrix products that they are, where tiles may be ragged."""
    if tilings == EXACT:
        return network
    return replace(network, layers=tuple(_flat(layer) for layer in network.layers))


def _flat(layer: Layer) -> Layer:
    p = layer.problem
    if p.R * p.S > 1 or p.stride != (1, 1) or p.padding != (0, 0) or p.P * p.Q * p.N == p.P:
        return layer
    return Layer(replace(p, P=p.N * p.P * p.Q, Q=1, N=1, dilation=(1, 1)), layer.count, layer.kind)


def count_tiles(problem: Problem, side: int, tilings: str, any_width: bool = False) -> int:
    """How many tiles there are to look at."""
    return math.prod(len(sizes) for sizes in tile_sizes(problem, side, tilings, any_width=any_width).values())
