"""The tiles that Gemmini's C library chooses, as mappings: what the default machine does by default.

Rebuilt from the library's documented behaviour (`tiled_matmul_auto` and `tiled_conv_auto`, weight-stationary, double-buffered): a 1 x 1
convolution of stride 1 is a matrix product of all its pixels, any other convolution is tiled as such.

The library's last tiles may be smaller than the others; a mapping has no partial tiles. So in each dimension there are two ways to say
what the library does: as many tiles as it has, all of one size, the layer enlarged to fit them; or the largest divisor that its tile holds.
Of all such mappings the cheapest stands for the library.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

from baco.hardware import GemminiConfig
from baco.perfmodel import Machine, evaluate
from baco.search.candidates import Choice
from baco.search.goals import Rules
from baco.search.tilings import divisors, spatial
from baco.workload import DIMENSIONS, Mapping, Problem

ORDER = "NPQKRSC"
"""Loop order over tiles, outermost first: batch, row, column, output channel, filter row, filter column, input channel."""


def library_layer(problem: Problem, config: GemminiConfig, rules: Rules) -> tuple[Problem, Mapping]:
    """The layer, enlarged where tiles ask for it, and the mapping that stands for the library's tiles on `config`."""
    p = problem
    if p.R * p.S == 1 and p.stride == (1, 1):
        p = Problem.gemm(p.N * p.P * p.Q, p.K, p.C, name=p.name)
        i, j, k = matmul_tiles(p.P, p.K, p.C, config)
        tile = dict.fromkeys(DIMENSIONS, 1) | {"P": i * config.dim, "K": j * config.dim, "C": k * config.dim}
    else:
        tile = conv_tiles(p, config)
    machine, found = Machine.from_config(config), []
    for sizes in itertools.product(*(ways(d, p.sizes[d], tile[d], config.dim) for d in DIMENSIONS)):
        enlarged = replace(p, **{d: whole for d, (whole, _) in zip(DIMENSIONS, sizes, strict=True)})
        mapping = _mapping(enlarged, dict(zip(DIMENSIONS, (tile for _, tile in sizes), strict=True)), config)
        if not mapping.violations(enlarged, config, buffers=2):
            cost = evaluate(enlarged, mapping, machine, **rules.model)
            found.append((cost.energy_pj * cost.cycles, len(found), enlarged, mapping))
    if found:
        return min(found)[2:]
    return p, _shrunk(p, {d: at_most(p.sizes[d], tile[d]) for d in DIMENSIONS}, config)


def ways(dim: str, size: int, tile: int, side: int) -> list[tuple[int, int]]:
    """(size, tile) of a dimension that the library cuts into tiles of `tile`: with equal tiles, and with a divisor.

    Channels come in blocks of at most `side`, all of one size, as many as the library's.
    """
    blocks, block, most = size, 1, tile
    if dim in "CK":
        blocks, most = -(-size // side), max(1, tile // side)
        block = -(-size // blocks)
    trips = -(-blocks // most)
    equal = -(-blocks // trips)
    return sorted({(trips * equal * block, equal * block), (size, at_most(size, tile))})


def at_most(size: int, tile: int) -> int:
    """The largest divisor of `size` that is at most `tile`."""
    return max(d for d in divisors(size) if d <= tile)


def _mapping(problem: Problem, tile: dict[str, int], config: GemminiConfig) -> Mapping:
    spatial_c, spatial_k = (spatial(tile[d], config.dim) for d in "CK")
    return Choice(tuple(tile[d] for d in DIMENSIONS), spatial_c, spatial_k, ORDER).mapping(problem)


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


def _shrunk(problem: Problem, tile: dict[str, int], config: GemminiConfig) -> Mapping:
    """The tile made smaller, its largest dimension first, until the machine holds it twice: ragged channels may take more rows than the
    library's blocks."""
    while (mapping := _mapping(problem, tile, config)).violations(problem, config, buffers=2):
        largest = max((d for d in DIMENSIONS if tile[d] > 1), key=lambda d: tile[d])
        tile = tile | {largest: at_most(tile[largest], tile[largest] - 1)}
    return mapping
