"""The tiles that Gemmini's C library chooses, as mappings: what the default machine does by default.

Rebuilt from the library's documented behaviour (`tiled_matmul_auto` and `tiled_conv_auto`, weight-stationary, double-buffered): a 1 x 1
convolution of stride 1 is a matrix product of all its pixels, any other convolution is tiled as such.

Its last tiles are smaller than the others where the layer asks for it, as a mapping's. It may cut channels inside a block of DIM, which a
mapping does not: there the tile has the whole blocks, which makes as many tiles or one more, and fewer blocks in all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from baco.hardware import GemminiConfig
from baco.search.candidates import Choice
from baco.workload import DIMENSIONS, Mapping, Problem

ORDER = "NPQKRSC"
"""Loop order over tiles, outermost first: batch, row, column, output channel, filter row, filter column, input channel."""


def library_layer(problem: Problem, config: GemminiConfig) -> tuple[Problem, Mapping]:
    """The layer as the library does it, and the mapping that its tiles on `config` are."""
    p, dim = problem, config.dim
    if p.R * p.S == 1 and p.stride == (1, 1):
        p = Problem.gemm(p.N * p.P * p.Q, p.K, p.C, name=p.name)
        blocks = dict(zip("PKC", matmul_tiles(p.P, p.K, p.C, config), strict=True))
        tile = {d: blocks.get(d, 1) * dim for d in DIMENSIONS}
    else:
        tile = conv_tiles(p, config)
    tile = {d: min(n, p.sizes[d]) for d, n in tile.items()}
    across = {d: min(dim, tile[d]) for d in "CK"}
    tile |= {d: tile[d] // n * n for d, n in across.items() if tile[d] < p.sizes[d]}
    return p, Choice(tuple(tile[d] for d in DIMENSIONS), across["C"], across["K"], ORDER).mapping(p)


def matmul_tiles(i: int, j: int, k: int, config: GemminiConfig) -> tuple[int, int, int]:
    """Blocks of DIM in each direction of the tile that `tiled_matmul_auto` chooses for an (i x k) by (k x j) product.

    It starts from a square tile of outputs in half of the accumulator and a quarter of the scratchpad, and grows one block at a time.
    """
    dim, scratchpad, accumulator = config.dim, config.scratchpad_rows // 2, config.accumulator_rows // 2
    most = tuple(-(-n // dim) for n in (i, j, k))
    square = math.isqrt(accumulator // dim)
    tile = [min(most[0], square), min(most[1], square), min(most[2], scratchpad // 2 // dim // square)]

    def fits(t: list[int]) -> bool:
        return (t[0] * t[2] + t[2] * t[1]) * dim <= scratchpad and t[0] * t[1] * dim <= accumulator

    grown = True
    while grown:
        grown = False
        for axis in (1, 0, 2):
            larger = [n + (a == axis) for a, n in enumerate(tile)]
            if larger[axis] <= most[axis] and fits(larger):
                tile, grown = larger, True
    return tile[0], tile[1], tile[2]


CONV_ARGUMENTS = "NPQKRSC"
"""The library's order of arguments: batch, output row, output column, output channels, filter row, filter column, input channels."""


@dataclass(frozen=True)
class Pool:
    """Max pooling on the way out of the accumulator: the same window, stride and border of zeros in both directions."""

    size: int
    stride: int
    padding: int

    def outputs(self, size: int) -> int:
        """Pooled rows of an image of `size` rows."""
        return (size + 2 * self.padding - self.size) // self.stride + 1


NO_POOL = Pool(1, 1, 0)


def downsamples(problem: Problem, pool: Pool | None = None) -> bool:
    """Whether the loader skips the pixels that a 1x1 filter of stride 2 does not read."""
    return (problem.R, problem.S, problem.stride, problem.padding, pool) == (1, 1, (2, 2), (0, 0), None)


def conv_tiles(problem: Problem, config: GemminiConfig, pool: Pool | None = None) -> dict[str, int]:
    """The tile that `tiled_conv_auto` chooses: the largest argument shrinks until half of each memory holds the tile, then all grow.

    With a `pool`, P and Q of the tile are pooled rows and columns.
    """
    p, dim, pooled = problem, config.dim, pool or NO_POOL
    most = [pooled.outputs(p.sizes[d]) if d in "PQ" else p.sizes[d] for d in CONV_ARGUMENTS]
    downsample = downsamples(p, pool)

    def fits(arguments: list[int]) -> bool:
        batch, rows, columns, out, taps_r, taps_s, channels = arguments
        rows, columns = (n * pooled.stride + pooled.size - 1 for n in (rows, columns))
        height = (rows * p.stride[0] + (taps_r - 1) * p.dilation[0]) >> downsample
        width = (columns * p.stride[1] + (taps_s - 1) * p.dilation[1]) >> downsample
        inputs = -(-channels // dim) * batch * height * width
        weights = -(-out // dim) * taps_r * taps_s * channels
        outputs = -(-out // dim) * batch * rows * columns
        return inputs + weights <= config.scratchpad_rows // 2 and outputs <= config.accumulator_rows // 2

    arguments = list(most)
    while not fits(arguments):
        spared = arguments[2] <= dim and arguments[1] > 1  # columns fill the array
        axis = max((a for a in range(7) if not (a == 2 and spared)), key=lambda a: (arguments[a], -a))
        if CONV_ARGUMENTS[axis] in "KC":
            arguments[axis] = max(1, (arguments[axis] - 1) // dim * dim)
        else:
            arguments[axis] -= 1
    for axes, once in (((2,), False), (range(7), False)):
        grown = True
        while grown:
            grown = once
            for axis in axes:
                larger = [n + (a == axis) for a, n in enumerate(arguments)]
                if larger[axis] <= most[axis] and fits(larger):
                    arguments, grown = larger, True
    return dict(zip(CONV_ARGUMENTS, arguments, strict=True))


def addition_tile(rows: int, columns: int, config: GemminiConfig) -> tuple[int, int]:
    """Rows and columns of the tile that `tiled_resadd_auto` chooses: rows are halved while there are more of them than columns, else a
    block of columns is taken away, until half of the accumulator holds the tile."""
    dim, tile = config.dim, [rows, columns]
    while -(-tile[0] // dim) * -(-tile[1] // dim) * dim > config.accumulator_rows // 2:
        if tile[0] > tile[1]:
            tile[0] //= 2
        else:
            tile[1] -= dim
    return tile[0], tile[1]
