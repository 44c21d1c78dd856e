"""The commands that Gemmini's C library sends: its default schedules, which other schedules have to beat.

Rebuilt from the library's documented behaviour (GEMMINI_UARCH.md, section 8; GEMMINI_ISA.md, sections 7.10 and 7.11): `tiled_matmul_auto`,
`tiled_conv_auto` and `tiled_resadd_auto`, weight-stationary, with one loop instruction a tile and the tiles of
:mod:`baco.search.library_tiling`. An operand of at most two tiles is loaded once and pinned to a half of the scratchpad. Last tiles are
what is left. The library's fences are not among the commands: where a program needs one, its caller sends it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from baco.hardware import GemminiConfig
from baco.isa import Command, encode, float_bits
from baco.search.errors import InvalidSearch
from baco.search.library_tiling import CONV_ARGUMENTS, NO_POOL, Pool, addition_tile, conv_tiles, downsamples, matmul_tiles
from baco.workload import Problem

RELU = 1
_NO_BIAS = 1
"""What stands in the bias pointer of a convolution without one: it must not be null, or the sums would start from what is there."""


@dataclass(frozen=True)
class Output:
    """What happens to sums on their way out: scaled, rounded and clamped to int8, negative ones cut off with `relu`."""

    scale: float = 1.0
    relu: bool = False

    @property
    def activation(self) -> int:
        return RELU if self.relu else 0


@dataclass(frozen=True)
class Schedule:
    """Tiles: their sizes by dimension (with pooling, P and Q of the pooled image), and their order, outermost first."""

    tile: dict[str, int]
    order: str = CONV_ARGUMENTS
    reuse: bool = True
    """Whether an operand of at most two tiles is loaded once, which older versions of the library did not do."""
    first_layer: bool = True
    """Whether the hardware has what it needs to pack pixels of few channels into one row, and to skip pixels that a stride jumps over."""


def matmul_commands(
    i: int,
    j: int,
    k: int,
    config: GemminiConfig,
    *,
    a: int,
    b: int,
    c: int,
    bias: int | None = None,
    output: Output = Output(),
    schedule: Schedule | None = None,
) -> Iterator[Command]:
    """`tiled_matmul_auto`: int8 C (i x j) = A (i x k) times B (k x j) plus a row of j int32 biases, all in row-major order.

    With a `schedule` the same loops over other tiles, P, K and C of which are rows, columns and depth in elements, of which whole blocks
    are taken; for orders see :func:`convolution_commands`.

    `a`, `b`, `c` and `bias` are addresses in DRAM. The hardware's loader of B ignores that the last block of k may be short: up to DIM - 1
    rows behind B are read.
    """
    dim = config.dim
    tile = matmul_tiles(i, j, k, config) if schedule is None else [-(-schedule.tile[d] // dim) for d in "PKC"]
    order = "PKC" if schedule is None else "".join(d for d in schedule.order if d in "PKC")
    yield encode("config_ex", dataflow=1, activation=output.activation, a_stride=1, c_stride=1, acc_scale=float_bits(1.0))
    yield encode("config_st", dram_stride=j, activation=output.activation, acc_scale=float_bits(output.scale))
    for load_id, stride in enumerate((k, j, 0)):
        yield _config_ld(load_id, stride, dim)
    trips = [-(-n // (t * dim)) for n, t in zip((i, j, k), tile, strict=True)]
    keep_a, keep_b = trips[0] * trips[2] <= 2, trips[1] * trips[2] <= 2
    if schedule is not None and not schedule.reuse:
        keep_a = keep_b = False
    for steps in itertools.product(*(range(trips["PKC".index(d)]) for d in order)):
        at = tuple(steps[order.index(d)] for d in "PKC")
        row, column, depth = (n * t * dim for n, t in zip(at, tile, strict=True))
        sizes = [min(t * dim, n - first) for t, n, first in zip(tile, (i, j, k), (row, column, depth), strict=True)]
        yield from _loop_ws(
            sizes,
            dim,
            a=0 if keep_a and at[1] else a + row * k + depth,
            b=0 if keep_b and at[0] else b + depth * j + column,
            d=0 if depth or bias is None else bias + 4 * column,
            c=c + row * j + column if at[2] == trips[2] - 1 else 0,
            strides=(k, j, 0, j),
            ex_accumulate=int(bias is not None or depth > 0),
            activation=output.activation,
            a_spad_id=_half(keep_a, at[0] + at[2]),
            b_spad_id=_half(keep_b, at[1] + at[2]),
        )


def addition_commands(
    rows: int, columns: int, config: GemminiConfig, *, a: int, b: int, c: int, scales: tuple[float, float] = (1.0, 1.0), relu: bool = False
) -> Iterator[Command]:
    """`tiled_resadd_auto`: int8 C = A scaled plus B scaled, element by element, on matrices of `rows` x `columns`.

    Up to DIM - 1 rows behind the last tile of B are read by the hardware, as in a product.
    """
    dim, tile, output = config.dim, addition_tile(rows, columns, config), Output(relu=relu)
    yield encode("config_st", dram_stride=columns, activation=output.activation, acc_scale=float_bits(1.0))
    yield encode("config_ex", dataflow=1, a_stride=1, c_stride=1, acc_scale=float_bits(1.0))
    for load_id, scale in enumerate(scales):
        yield _config_ld(load_id, columns, dim, scale, shrink=1)
    for row, column in itertools.product(range(0, rows, tile[0]), range(0, columns, tile[1])):
        at = row * columns + column
        sizes = (min(tile[0], rows - row), min(tile[1], columns - column), 0)
        strides = (columns, columns, 0, columns)
        yield from _loop_ws(sizes, dim, a=a + at, b=b + at, d=0, c=c + at, strides=strides, residual_add=1, activation=output.activation)


def convolution_commands(
    problem: Problem,
    config: GemminiConfig,
    *,
    inputs: int,
    weights: int,
    outputs: int,
    bias: int | None = None,
    output: Output = Output(),
    pool: Pool | None = None,
    schedule: Schedule | None = None,
) -> Iterator[Command]:
    """`tiled_conv_auto`: int8 outputs (N, P, Q, K), pooled if there is a `pool`, of int8 inputs (N, height, width, C) without their zero
    border and weights (R, S, C, K), plus K int32 biases.

    With a `schedule`, the same loops over the tiles that `tiled_conv` is given. In an order with sums not innermost the outputs of several
    tiles are summed up in turn, for which the accumulator has no room: the commands are right then, the sums are not.

    The filter is square and the same in both directions, as the library has it; the input is as large as its rows can be read with the
    border of `problem.padding`, and the outputs times the stride at least: with stride 2 an input of 56 rows, not of 55, makes 28.

    Raises:
        InvalidSearch: for a layer that the library does not have.
    """
    p, dim = problem, config.dim
    if p.R != p.S or any(len({*pair}) > 1 for pair in (p.stride, p.padding, p.dilation)):
        raise InvalidSearch(
            f"layer {p.name}".strip(),
            f"Gemmini's library wants filters, strides, borders and dilations that are the same in both directions, not {p.R} x {p.S}, "
            f"{p.stride}, {p.padding} and {p.dilation}; it has no default schedule for this one.",
        )
    schedule = schedule or Schedule(conv_tiles(p, config, pool))
    down, tile = int(schedule.first_layer and downsamples(p, pool)), schedule.tile
    pooled = pool or NO_POOL
    ends = {"N": p.N, "P": pooled.outputs(p.P), "Q": pooled.outputs(p.Q), "K": p.K, "R": p.R, "S": p.S, "C": p.C}
    yield encode("config_st", dram_stride=p.K, activation=output.activation, acc_scale=float_bits(output.scale))
    yield encode("config_ex", dataflow=1, a_stride=p.stride[0] >> down, c_stride=1, acc_scale=float_bits(1.0))
    trips = {d: -(-ends[d] // tile[d]) for d in tile}
    over_taps = trips["C"] * trips["R"] * trips["S"]
    keep_inputs, keep_weights = over_taps * trips["N"] * trips["P"] * trips["Q"] <= 2, over_taps * trips["K"] <= 2
    if not schedule.reuse:
        keep_inputs = keep_weights = False
    height, width = library_input_size(p)
    for at in itertools.product(*(range(0, ends[d], tile[d]) for d in schedule.order)):
        t = dict(zip(schedule.order, at, strict=True))
        n = {d: min(tile[d], ends[d] - t[d]) for d in tile}
        rows, cols = (_window(t[d], n[d], size, pooled) for d, size in (("P", p.P), ("Q", p.Q)))
        first, last = not any(t[d] for d in "RSC"), all(t[d] + n[d] == ends[d] for d in "RSC")
        top, up, bottom = _input_span(rows, t["R"], n["R"], p, 0, height)
        left, before, after = _input_span(cols, t["S"], n["S"], p, 1, width)
        reload_inputs, reload_weights = not (keep_inputs and t["K"]), not (keep_weights and any(t[d] for d in "NPQ"))
        source = ((t["N"] * height + top) * width + left) * p.C + t["C"]
        target = ((t["N"] * ends["P"] + t["P"]) * ends["Q"] + t["Q"]) * p.K + t["K"]
        kernel = ((t["R"] * p.S + t["S"]) * p.C + t["C"]) * p.K + t["K"]
        yield encode(
            "loop_conv_ws_config_1",
            batch_size=p.N,
            in_row_dim=height,
            in_channels=p.C,
            out_channels=p.K,
            out_row_dim=p.P,
            pool_out_row_dim=ends["P"],
            out_col_dim=p.Q,
            stride=p.stride[0],
            padding=p.padding[0],
        )
        yield encode(
            "loop_conv_ws_config_2",
            pool_padding=pooled.padding,
            pool_stride=pooled.stride,
            pool_size=pooled.size,
            pool_out_col_dim=ends["Q"],
            kernel_dim=p.R,
            pochs=n["K"],
            pocols=n["Q"],
            porows=n["P"],
            batches=n["N"],
        )
        yield encode(
            "loop_conv_ws_config_3",
            lpad=before,
            kchs=n["C"],
            kcols=n["S"],
            krows=n["R"],
            in_col_dim=width,
            plpad=cols.before,
            dpad=bottom,
            upad=up,
            rpad=after,
        )
        yield encode(
            "loop_conv_ws_config_4",
            kernel_dilation=p.dilation[0],
            pdpad=rows.after,
            pupad=rows.before,
            prad=cols.after,
            orows=rows.count,
            ocols=cols.count,
            out_stride=p.K,
            weight_stride=p.K,
            in_stride=p.C,
        )
        yield encode("loop_conv_ws_config_5", weights=weights + kernel if reload_weights else 0, output=outputs + target if last else 0)
        yield encode(
            "loop_conv_ws_config_6",
            bias=(_NO_BIAS if bias is None else bias + 4 * t["K"]) if first else 0,
            input=inputs + source if reload_inputs else 0,
        )
        packs = schedule.first_layer and p.dilation == (1, 1) and not down
        pixels = min(max(1, dim // n["C"]), n["S"]) if packs else 1
        yield encode(
            "loop_conv_ws",
            no_bias=int(bias is None),
            max_pixels_per_row=pixels,
            a_spad_id=_half(keep_inputs, sum(t[d] for d in "CRSNPQ")),
            b_spad_id=_half(keep_weights, sum(t[d] for d in "CKRS")),
            no_pool=int(pool is None),
            downsample=down,
            activation=output.activation,
        )


def library_input_size(problem: Problem) -> tuple[int, int]:
    """Rows and columns of the input without its border: all that are read, and the outputs times the stride at least."""
    p = problem
    return max(p.P * p.stride[0], p.input_height - 2 * p.padding[0]), max(p.Q * p.stride[1], p.input_width - 2 * p.padding[1])


@dataclass(frozen=True)
class _Window:
    """Output rows (or columns) before pooling that a tile computes, from `first` on, and those outside the output on either side."""

    first: int
    count: int
    before: int
    after: int


def _window(first: int, count: int, size: int, pool: Pool) -> _Window:
    """For `count` pooled rows from `first` on. The library takes stride - 1 rows more than pooling reads."""
    start = first * pool.stride - pool.padding
    rows = count * pool.stride + pool.size - 1
    before, after = max(-start, 0), max(start + rows - size, 0)
    return _Window(start + before, rows - before - after, before, after)


def _input_span(window: _Window, tap: int, taps: int, p: Problem, axis: int, size: int) -> tuple[int, int, int]:
    """Where the input under a tile starts, and how much of it is border on either side."""
    start = window.first * p.stride[axis] + tap * p.dilation[axis] - p.padding[axis]
    rows = window.count * p.stride[axis] + (taps - 1) * p.dilation[axis]
    before = max(-start, 0)
    return start + before, before, max(start + rows - size, 0)


def _half(kept: bool, number: int) -> int:
    """The id of the scratchpad's half that a kept operand's tile is pinned to; 0 leaves the choice to the hardware."""
    return 0 if not kept else 1 if number == 0 else 2


def _config_ld(load_id: int, stride: int, dim: int, scale: float = 1.0, shrink: int = 0) -> Command:
    fields = {"load_id": load_id, "dram_stride": stride, "block_stride": dim, "pixel_repeats": 1}
    return encode("config_ld", **fields, scale=float_bits(scale), shrink=shrink)


def _loop_ws(
    sizes: tuple[int, ...] | list[int], dim: int, *, a: int, b: int, c: int, d: int, strides: tuple[int, int, int, int], **flags: int
) -> Iterator[Command]:
    """The six commands of one loop_ws over `sizes` elements of I, J and K."""
    i, j, k = (-(-n // dim) for n in sizes)
    pads = {f"pad_{name}": blocks * dim - n for name, blocks, n in zip("ijk", (i, j, k), sizes, strict=True)}
    yield encode("loop_ws_config_bounds", i=i, j=j, k=k, **pads)
    yield encode("loop_ws_config_addrs_ab", a=a, b=b)
    yield encode("loop_ws_config_addrs_dc", d=d, c=c)
    yield encode("loop_ws_config_strides_ab", a_stride=strides[0], b_stride=strides[1])
    yield encode("loop_ws_config_strides_dc", d_stride=strides[2], c_stride=strides[3])
    yield encode("loop_ws", **flags)
