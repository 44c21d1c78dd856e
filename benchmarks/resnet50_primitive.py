"""ResNet-50 with primitive instructions only: every convolution in the best mapping that the search finds, as the compiler writes it.

Mappings have no biases, so the network has none. What is between the convolutions is written here: zero borders (a mapping's input has
one), the max pooling, the residual additions and the mean.
"""

from __future__ import annotations

from collections.abc import Mapping

from resnet50_network import POOL_PADDING, POOL_SIZE, POOL_STRIDE, Addition, Average, Convolution, Network, Step
from resnet50_program import Inference, Places, Writer, compile_network

from baco import isa, workload
from baco.dialects.mlir import arith, ir
from baco.hardware import GemminiConfig
from baco.lowering.emit import Quantity
from baco.lowering.layer_writer import LayerWriter
from baco.workload import Problem

ONE = isa.float_bits(1.0)
RELU = 1


def compile_with_primitives(network: Network, config: GemminiConfig, mappings: Mapping[Problem, workload.Mapping]) -> Inference:
    """A whole inference with primitive instructions."""

    def writer(network: Network, places: Places, config: GemminiConfig, arguments: list[ir.Value]) -> Writer:
        return PrimitiveWriter(network, places, config, arguments, mappings)

    return compile_network(network, config, writer, ("hoist-configs", "canonicalize,cse"), name="resnet50_primitive")


class PrimitiveWriter(Writer):
    """Writes steps as primitive instructions."""

    def __init__(
        self,
        network: Network,
        places: Places,
        config: GemminiConfig,
        arguments: list[ir.Value],
        mappings: Mapping[Problem, workload.Mapping],
    ) -> None:
        super().__init__(network, places, config, arguments)
        self.mappings = mappings

    def write(self, step: Step) -> None:
        if isinstance(step, Addition):
            self._add(step)
        elif isinstance(step, Average):
            self._average(step)
        else:
            self._convolve(step)

    def _config_ld(self, load_id: int, stride: int, block_stride: int, scale: float = 1.0, shrink: int = 0) -> None:
        fields = {"load_id": load_id, "dram_stride": stride, "block_stride": block_stride, "scale": isa.float_bits(scale)}
        self.e.instruction("config_ld", **fields, shrink=shrink, pixel_repeats=1)

    def _convolve(self, step: Convolution) -> None:
        p, source = step.problem, step.input
        if self.places.shapes[source] != (p.input_height, p.input_width, p.C):
            source = self._border(step)
        target = self.places.add(f"{step.output} before pooling", (p.P, p.Q, p.K)) if step.pool else self.places.tensors[step.output]
        result = self.e.add(self.activations, target)
        buffers = [self.e.value(q) for q in (self.at(source), self.weights_of(step), result, self.partial)]
        LayerWriter(p, self.mappings[p], self.config, buffers, self.network.scales[step.output][0], step.relu).write()
        if step.pool:
            self.e.fence()
            self._max_pool(result, (p.P, p.Q, p.K), step.output)

    def _border(self, step: Convolution) -> str:
        """Copy a convolution's input into a place with its zero border; pixels that it does not read are left out."""
        p, e = step.problem, self.e
        name = f"{step.input} for {p.name}"
        self.places.add(name, (p.input_height, p.input_width, p.C))
        height, width, channels = self.places.shapes[step.input]
        top, left = p.padding
        rows, columns = min(height, p.input_height - top), min(width, p.input_width - left)
        dim, widest = self.config.dim, self.config.max_block_columns
        self._config_ld(0, channels, dim)
        e.config_st(dram_stride=channels, acc_scale=ONE, activation=0)
        start = self.at(name, (top * p.input_width + left) * channels)

        def copy(row: Quantity, column: Quantity, pixels: int, channel: Quantity, count: int) -> None:
            here, there = (e.add(e.mul(e.add(e.mul(row, pitch), column), channels), channel) for pitch in (width, p.input_width))
            e.mvin(0, self.at(step.input, here), 0, count, pixels)
            e.mvout(e.add(start, there), 0, count, pixels)

        self.loop(
            rows,
            lambda row: self.pieces(
                columns,
                dim,
                lambda column, pixels: self.pieces(channels, widest, lambda channel, count: copy(row, column, pixels, channel, count)),
            ),
        )
        e.fence()
        return name

    def _max_pool(self, image: Quantity, shape: tuple[int, int, int], output: str) -> None:
        """Bands of the image go to the scratchpad, a pixel a row, and leave it through pooling stores."""
        e, dim = self.e, self.config.dim
        height, width, channels = shape
        out_rows, out_width, _ = self.places.shapes[output]
        most = (self.config.scratchpad_rows // width - POOL_SIZE) // POOL_STRIDE + 1
        for first in range(0, out_rows, most):
            rows = min(most, out_rows - first)
            top = first * POOL_STRIDE - POOL_PADDING
            low, high = max(top, 0), min(top + (rows - 1) * POOL_STRIDE + POOL_SIZE, height)
            self._config_ld(0, channels, dim)
            geometry = {"pool_out_dim": out_width, "pool_out_rows": rows, "pool_out_cols": out_width}
            window = {"pool_stride": POOL_STRIDE, "pool_size": POOL_SIZE, "pool_upper_pad": low - top, "pool_left_pad": POOL_PADDING}
            fields = {**geometry, **window, "out_rows": high - low, "out_cols": width, "dram_stride": channels, "acc_scale": ONE}

            def block(channel: Quantity, count: int, low: int = low, high: int = high, first: int = first, fields: dict = fields) -> None:
                def load(pixel: Quantity, pixels: int) -> None:
                    at = e.add(e.mul(e.add(pixel, low * width), channels), channel)
                    e.mvin(0, e.add(image, at), pixel, count, pixels)

                self.pieces((high - low) * width, dim, load)
                e.instruction("config_st", **fields)
                e.mvout(self.at(output, e.add(channel, first * out_width * channels)), 0, count, dim)

            self.pieces(channels, dim, block)

    def _add(self, step: Addition) -> None:
        """Rows of 64 elements, wherever in the image they are, added in the accumulator.

        The hardware does not order two loads of the same rows, and memory may answer the second one first. So all tiles that the
        accumulator holds are loaded before the first is added to, as the vendor's loops do.
        """
        height, width, channels = self.places.shapes[step.output]
        e, dim, columns = self.e, self.config.dim, self.config.max_block_columns
        blocks = columns // dim
        e.config_st(dram_stride=columns, acc_scale=ONE, activation=RELU)
        for load_id, scale in enumerate(self.network.scales[step.output]):
            self._config_ld(load_id, columns, dim, scale, shrink=1)

        def fill(first: Quantity, count: int) -> None:
            def place(row: Quantity, flags: int) -> Quantity:
                return e.add(e.mul(row, blocks), flags)

            def there(name: str, row: Quantity) -> Quantity:
                return self.at(name, e.mul(e.add(first, row), columns))

            sums = isa.ACCUMULATOR_BIT | isa.ACCUMULATE_BIT
            load, add, store = (
                lambda row, rows: e.mvin(0, there(step.left, row), place(row, isa.ACCUMULATOR_BIT), columns, rows),
                lambda row, rows: e.mvin(1, there(step.right, row), place(row, sums), columns, rows),
                lambda row, rows: e.mvout(there(step.output, row), place(row, isa.ACCUMULATOR_BIT), columns, rows),
            )
            for part in (load, add, store):
                self.pieces(count, dim, part)

        self.pieces(height * width * channels // columns, self.config.accumulator_rows // blocks, fill)

    def _average(self, step: Average) -> None:
        """All pixels added up in one row of the accumulator for each block of channels, which the store divides."""
        height, width, channels = self.places.shapes[step.input]
        e, dim, columns = self.e, self.config.dim, self.config.max_block_columns
        e.config_st(dram_stride=channels, acc_scale=isa.float_bits(self.network.scales[step.output][0]), activation=0)
        self._config_ld(0, channels, dim, shrink=1)

        def fill(first: Quantity, count: int) -> None:
            def load(channel: Quantity, size: int, pixel: Quantity, flags: int) -> None:
                at = e.add(e.mul(pixel, channels), e.add(first, channel))
                e.mvin(0, self.at(step.input, at), place(channel, flags), size, 1)

            def place(channel: Quantity, flags: int) -> Quantity:
                return e.add(arith.DivUIOp(e.value(channel), e.value(columns)).result, flags)

            def rest(channel: Quantity, size: int) -> None:
                sums = isa.ACCUMULATOR_BIT | isa.ACCUMULATE_BIT
                self.loop(height * width - 1, lambda n: load(channel, size, e.add(n, 1), sums))

            # As in _add: the first pixel of every block is there before anything is added to it.
            self.pieces(count, columns, lambda channel, size: load(channel, size, 0, isa.ACCUMULATOR_BIT))
            self.pieces(count, columns, rest)
            self.pieces(
                count,
                columns,
                lambda channel, size: e.mvout(self.at(step.output, e.add(first, channel)), place(channel, isa.ACCUMULATOR_BIT), size, 1),
            )

        # A block's rows are DIM apart, so that the rows of DIM blocks lie beside each other.
        self.pieces(channels, columns * dim, fill)
