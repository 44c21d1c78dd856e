"""The tiles that Gemmini's C library chooses, as mappings: what the default machine does by default.

Rebuilt from the library's documented behaviour (`tiled_matmul_auto` and `tiled_conv_auto`, weight-stationary, double-buffered): a 1 x 1
convolution of stride 1 is a matrix product of all its pixels, any other convolution is tiled as such. A mapping has no partial tiles, so of
each of the library's tile sizes the largest divisor of the layer's size that it holds is taken, blocks of DIM channels counted whole.
"""

from __future__ import annotations

import math

from baco.hardware import GemminiConfig
from baco.search.candidates import Choice, divisors, spatial
from baco.workload import DIMENSIONS, Mapping, Problem

ORDER = "NPQKRSC"
"""Loop order over tiles, outermost first: matmul i, j, k; convolution batch, row, column, output channel, filter row and column, input
channel. The same but for names."""


def library_mapping(problem: Problem, config: GemminiConfig) -> Mapping:
    """The mapping of a layer by the library's tiles on `config`."""
    p = problem
    if p.R * p.S == 1 and p.stride == (1, 1):
        i, j, k = matmul_tiles(p.N * p.P * p.Q, p.K, p.C, config)
        pixels = pixel_tile((p.N, p.P, p.Q), i * config.dim)
        tile = dict(zip("NPQ", pixels, strict=True)) | {"R": 1, "S": 1, "K": j * config.dim, "C": k * config.dim}
    else:
        tile = conv_tiles(p, config)
    sizes = {d: at_most(p.sizes[d], tile[d]) for d in DIMENSIONS}
    spatial_c, spatial_k = (spatial(sizes[d], config.dim) for d in "CK")
    mapping = Choice(tuple(sizes.values()), spatial_c, spatial_k, ORDER).mapping(p)
    return _shrunk(mapping, sizes, p, config)


def at_most(size: int, tile: int) -> int:
    """The largest divisor of `size` that is at most `tile`."""
    return max(d for d in divisors(size) if d <= tile)


def pixel_tile(sizes: tuple[int, int, int], rows: int) -> tuple[int, int, int]:
    """The (N, P, Q) tile of at most `rows` pixels that has most of them; of those the one with the longest lines."""
    n, p, q = (divisors(size) for size in sizes)
    tiles = [(a, b, c) for a in n for b in p for c in q if a * b * c <= rows]
    return max(tiles, key=lambda t: (math.prod(t), t[2], t[1]))


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


def conv_tiles(problem: Problem, config: GemminiConfig) -> dict[str, int]:
    """The tile that `tiled_conv_auto` chooses: the largest argument shrinks until half of each memory holds the tile, then all grow."""
    p, dim = problem, config.dim
    most = [p.sizes[d] for d in CONV_ARGUMENTS]
    downsample = p.stride == (2, 2) and p.R * p.S == 1 and p.padding == (0, 0)

    def fits(arguments: list[int]) -> bool:
        batch, rows, columns, out, taps_r, taps_s, channels = arguments
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


def _shrunk(mapping: Mapping, sizes: dict[str, int], problem: Problem, config: GemminiConfig) -> Mapping:
    """The mapping itself where the machine holds it twice, as it nearly always does; else with its largest dimension a divisor smaller.

    Divisors may be ragged where the library's tiles are blocks of DIM, and ragged channels take whole rows.
    """
    while mapping.violations(problem, config, buffers=2):
        largest = max((d for d in DIMENSIONS if sizes[d] > 1), key=lambda d: sizes[d])
        sizes = sizes | {largest: at_most(sizes[largest], sizes[largest] - 1)}
        spatial_c, spatial_k = (spatial(sizes[d], config.dim) for d in "CK")
        mapping = Choice(tuple(sizes[d] for d in DIMENSIONS), spatial_c, spatial_k, ORDER).mapping(problem)
    return mapping
