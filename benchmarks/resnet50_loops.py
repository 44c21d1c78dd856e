"""ResNet-50 with Gemmini's loop instructions: loop_conv_ws for convolutions, the first with its pooling, loop_ws for everything else.

Tiles are chosen to move the fewest rows between DRAM and the private memories, of which a loop has half (GEMMINI_ISA.md, sections 7.10 and
7.11). Sums over more channels than a tile holds stay in the accumulator from one loop to the next.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from resnet50_network import POOL_PADDING, POOL_SIZE, POOL_STRIDE, Addition, Average, Convolution, Network, Step, pooled
from resnet50_program import Inference, Writer, compile_network

from baco.hardware import GemminiConfig
from baco.isa import float_bits
from baco.lowering.emit import Quantity
from baco.workload import Problem

ONE = float_bits(1.0)
RELU = 1


def compile_with_loops(network: Network, config: GemminiConfig) -> Inference:
    """A whole inference with loop instructions."""
    return compile_network(network, config, LoopWriter, name="resnet50_loops")


def _chunks(total: int, size: int) -> Iterator[tuple[int, int]]:
    """Start and length of consecutive pieces."""
    return ((start, min(size, total - start)) for start in range(0, total, size))


def _sizes(total: int, unit: int = 1) -> list[int]:
    """Piece sizes that cut `total` into equal numbers of units, as far as they go."""
    units = -(-total // unit)
    return sorted({-(-units // n) * unit for n in range(1, units + 1)})


def _trips(total: int, size: int) -> int:
    return -(-total // size)


# ---- matrix products -----------------------------------------------------------------------------------------------------------


def matmul_tile(m: int, n: int, k: int, config: GemminiConfig) -> tuple[int, int, int]:
    """Tiles (I, J, K) of DIM a side for one loop_ws of an m x k by k x n product."""
    dim = config.dim
    rows, columns, depth = (_trips(size, dim) for size in (m, n, k))
    most_c, most_ab = config.accumulator_rows // 2 // dim, config.scratchpad_rows // 2 // dim
    best: tuple[int, tuple[int, int, int]] | None = None
    for i, j in itertools.product(_sizes(rows), _sizes(columns)):
        if i * j > most_c:
            continue
        fitting = [kk for kk in _sizes(depth) if kk * (i + j) <= most_ab]
        if not fitting:
            continue
        moved = _trips(columns, j) * rows * depth + _trips(rows, i) * columns * depth
        key = (moved + 8 * _trips(depth, fitting[-1]) * _trips(rows, i) * _trips(columns, j), (i, j, fitting[-1]))
        best = key if best is None else min(best, key)
    return best[1]


# ---- convolutions --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ConvolutionTile:
    """Output rows, columns and channels (pooled, if there is pooling) and input channels of one loop_conv_ws."""

    rows: int
    columns: int
    outputs: int
    inputs: int


@dataclass(frozen=True)
class Span:
    """Output rows (or columns) of a tile: the unpooled ones it computes, the input ones it reads, and the padding on either side."""

    out_first: int
    out: int
    pool_before: int
    pool_after: int
    in_first: int
    before: int
    after: int


def span(first: int, count: int, outputs: int, size: int, p: Problem, axis: int, pool: bool) -> Span:
    """For `count` (pooled) rows from `first` on, of `outputs` unpooled rows, on an input of `size` rows."""
    out_first, last = first, first + count
    if pool:
        out_first, last = first * POOL_STRIDE - POOL_PADDING, (first + count - 1) * POOL_STRIDE - POOL_PADDING + POOL_SIZE
    low, high = max(out_first, 0), min(last, outputs)
    stride, taps = p.stride[axis], (p.R, p.S)[axis]
    in_first = low * stride - p.padding[axis]
    in_last = in_first + (high - low) * stride + taps - 1
    return Span(low, high - low, low - out_first, last - high, max(in_first, 0), max(-in_first, 0), max(in_last - size, 0))


def is_downsampling(p: Problem) -> bool:
    """Whether the loader may skip the pixels that a 1x1 kernel of stride 2 does not read."""
    return (p.R, p.S, p.stride) == (1, 1, (2, 2))


def convolution_tile(step: Convolution, config: GemminiConfig) -> ConvolutionTile:
    """The tile that moves the fewest rows."""
    p, dim = step.problem, config.dim
    height, width = (pooled(p.P), pooled(p.Q)) if step.pool else (p.P, p.Q)
    best: tuple[int, tuple[int, int, int, int]] | None = None
    for rows, columns, outputs in itertools.product(_sizes(height), _sizes(width), _sizes(p.K, dim)):
        out = [n if not step.pool else min((n - 1) * POOL_STRIDE + POOL_SIZE, whole) for n, whole in ((rows, p.P), (columns, p.Q))]
        blocks = _trips(outputs, dim)
        if out[0] * out[1] * blocks > config.accumulator_rows // 2:
            continue
        pixels = (out[0] * p.stride[0] + p.R - 1) * (out[1] * p.stride[1] + p.S - 1) // (4 if is_downsampling(p) else 1)
        for inputs in reversed(_sizes(p.C, dim)):
            inputs = min(inputs, p.C)
            a, b = pixels * _trips(inputs, dim), blocks * p.R * p.S * inputs
            if a + b > config.scratchpad_rows // 2:
                continue
            trips = _trips(height, rows) * _trips(width, columns) * _trips(p.K, outputs)
            moved = trips * (_trips(p.C, inputs) * (a + b) + 2 * out[0] * out[1] * blocks)
            key = (moved, (rows, columns, min(outputs, p.K), inputs))
            best = key if best is None else min(best, key)
            break
    return ConvolutionTile(*best[1])


class LoopWriter(Writer):
    """Writes steps as loop instructions."""

    def write(self, step: Step) -> None:
        if isinstance(step, Addition):
            self._add(step)
        elif isinstance(step, Average):
            self._average(step)
        elif (step.problem.R, step.problem.S, step.problem.stride) == (1, 1, (1, 1)):
            self._multiply(step)
        else:
            self._convolve(step)

    def _load(self, load_id: int, stride: int, scale: float = 1.0, shrink: int = 0) -> None:
        fields = {"load_id": load_id, "dram_stride": stride, "scale": float_bits(scale), "shrink": shrink}
        self.e.instruction("config_ld", block_stride=self.config.dim, pixel_repeats=1, **fields)

    def _loop(
        self,
        bounds: tuple[tuple[int, int], ...],
        a: Quantity,
        b: Quantity,
        d: Quantity,
        c: Quantity,
        strides: tuple[int, ...],
        **flags: int,
    ) -> None:
        """One loop_ws over `bounds`: elements and tiles of I, J and K."""
        e, dim = self.e, self.config.dim
        (rows, i), (columns, j), (depth, k) = bounds
        pads = {"pad_i": i * dim - rows, "pad_j": j * dim - columns, "pad_k": k * dim - depth}
        e.instruction("loop_ws_config_bounds", i=i, j=j, k=k, **pads)
        e.instruction("loop_ws_config_addrs_ab", a=a, b=b)
        e.instruction("loop_ws_config_addrs_dc", d=d, c=c)
        e.instruction("loop_ws_config_strides_ab", a_stride=strides[0], b_stride=strides[1])
        e.instruction("loop_ws_config_strides_dc", d_stride=strides[2], c_stride=strides[3])
        e.instruction("loop_ws", **flags)

    def _multiply(self, step: Convolution) -> None:
        p, e = step.problem, self.e
        m, n, k = p.P * p.Q, p.K, p.C
        self._start_product(k, n, self.network.scales[step.output][0], RELU if step.relu else 0)
        self._load(2, 0)  # the bias row, for every row of C
        a, b, d, c = self.at(step.input), self.weights_of(step), self.bias_of(step), self.at(step.output)
        i, j, depth = (tiles * self.config.dim for tiles in matmul_tile(m, n, k, self.config))

        def rows_of_tiles(row: Quantity, rows: int) -> None:
            for (column, columns), (inner, size) in itertools.product(_chunks(n, j), _chunks(k, depth)):
                here = e.add(c, e.add(e.mul(row, n), column)) if inner + size == k else 0
                bias = e.add(d, 4 * column) if inner == 0 else 0
                source = e.add(a, e.add(e.mul(row, k), inner))
                self._loop(
                    self._bounds(rows, columns, size), source, e.add(b, inner * n + column), bias, here, (k, n, 0, n), ex_accumulate=1
                )

        self.pieces(m, i, rows_of_tiles)

    def _start_product(self, k: int, n: int, scale: float, activation: int) -> None:
        self.e.config_ex()
        self.e.config_st(dram_stride=n, acc_scale=float_bits(scale), activation=activation)
        self._load(0, k)
        self._load(1, n)

    def _bounds(self, *sizes: int) -> tuple[tuple[int, int], ...]:
        return tuple((size, _trips(size, self.config.dim)) for size in sizes)

    def _average(self, step: Average) -> None:
        """Ones times the pixels."""
        height, width, channels = self.places.shapes[step.input]
        pixels = height * width
        ones = self.e.add(self.weights, self.places.weights["ones"])
        self._start_product(pixels, channels, self.network.scales[step.output][0], 0)
        _, j, _ = matmul_tile(1, channels, pixels, self.config)
        for column, columns in _chunks(channels, j * self.config.dim):
            bounds = self._bounds(1, columns, pixels)
            b, c = self.at(step.input, column), self.at(step.output, column)
            self._loop(bounds, ones, b, 0, c, (pixels, channels, 0, channels), ex_accumulate=0)

    def _add(self, step: Addition) -> None:
        height, width, channels = self.places.shapes[step.output]
        e = self.e
        e.config_st(dram_stride=channels, acc_scale=ONE, activation=RELU)
        for load_id, scale in enumerate(self.network.scales[step.output]):
            self._load(load_id, channels, scale, shrink=1)
        j = max(size for size in _sizes(_trips(channels, self.config.dim)) if size <= self.config.accumulator_rows // 2 // self.config.dim)
        i = self.config.accumulator_rows // 2 // self.config.dim // j

        def rows_of_tiles(row: Quantity, rows: int) -> None:
            for column, columns in _chunks(channels, j * self.config.dim):
                at = e.add(e.mul(row, channels), column)
                a, b, c = (self.at(name, at) for name in (step.left, step.right, step.output))
                bounds = (*self._bounds(rows, columns), (0, 0))
                self._loop(bounds, a, b, 0, c, (channels, channels, 0, channels), residual_add=1, activation=RELU)

        self.pieces(height * width, i * self.config.dim, rows_of_tiles)

    def _convolve(self, step: Convolution) -> None:
        p, e, tile = step.problem, self.e, convolution_tile(step, self.config)
        height, width, _ = self.places.shapes[step.output]
        down = is_downsampling(p)
        e.instruction("config_ex", dataflow=1, a_stride=p.stride[0] >> down, c_stride=1, acc_scale=ONE)
        e.config_st(dram_stride=p.K, acc_scale=float_bits(self.network.scales[step.output][0]), activation=RELU if step.relu else 0)
        for (row, rows), (column, columns), (out, outputs) in itertools.product(
            _chunks(height, tile.rows), _chunks(width, tile.columns), _chunks(p.K, tile.outputs)
        ):
            for channel, channels in _chunks(p.C, tile.inputs):
                self._convolve_tile(step, (row, column, out, channel), ConvolutionTile(rows, columns, outputs, channels))

    def _convolve_tile(self, step: Convolution, at: tuple[int, int, int, int], tile: ConvolutionTile) -> None:
        p, e = step.problem, self.e
        in_height, in_width, _ = self.places.shapes[step.input]
        height, width, _ = self.places.shapes[step.output]
        row, column, out, channel = at
        v = span(row, tile.rows, p.P, in_height, p, 0, step.pool)
        h = span(column, tile.columns, p.Q, in_width, p, 1, step.pool)
        first, last = channel == 0, channel + tile.inputs == p.C
        e.instruction(
            "loop_conv_ws_config_1",
            batch_size=1,
            in_row_dim=in_height,
            in_channels=p.C,
            out_channels=p.K,
            out_row_dim=p.P,
            out_col_dim=p.Q,
            pool_out_row_dim=height,
            stride=p.stride[0],
            padding=p.padding[0],
        )
        pooling = {"pool_padding": POOL_PADDING, "pool_stride": POOL_STRIDE, "pool_size": POOL_SIZE} if step.pool else {}
        e.instruction(
            "loop_conv_ws_config_2",
            **pooling,
            pool_out_col_dim=width,
            kernel_dim=p.R,
            pochs=tile.outputs,
            pocols=tile.columns,
            porows=tile.rows,
            batches=1,
        )
        e.instruction(
            "loop_conv_ws_config_3",
            lpad=h.before,
            rpad=h.after,
            upad=v.before,
            dpad=v.after,
            plpad=h.pool_before,
            kchs=tile.inputs,
            kcols=p.S,
            krows=p.R,
            in_col_dim=in_width,
        )
        e.instruction(
            "loop_conv_ws_config_4",
            kernel_dilation=1,
            pdpad=v.pool_after,
            pupad=v.pool_before,
            prad=h.pool_after,
            orows=v.out,
            ocols=h.out,
            out_stride=p.K,
            weight_stride=p.K,
            in_stride=p.C,
        )
        output = self.at(step.output, (row * width + column) * p.K + out) if last else 0
        e.instruction("loop_conv_ws_config_5", weights=e.add(self.weights_of(step), channel * p.K + out), output=output)
        source = self.at(step.input, (v.in_first * in_width + h.in_first) * p.C + channel)
        e.instruction("loop_conv_ws_config_6", bias=e.add(self.bias_of(step), 4 * out) if first else 0, input=source)
        pixels = min(self.config.dim // p.C, p.S) if p.C * 2 <= self.config.dim else 1
        flags = {"no_pool": int(not step.pool), "downsample": int(is_downsampling(p)), "activation": RELU if step.relu else 0}
        e.instruction("loop_conv_ws", max_pixels_per_row=pixels, **flags)
