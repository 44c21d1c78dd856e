"""One tile of a convolution as loop_conv_ws; part of the pass select-loops (:mod:`baco.lowering.select_loops`).

Before: the loops of :mod:`baco.lowering.convolution_sums`, which load a row of pixels anew at every position of the filter.

After:
    scf.if (the tile is not empty, and every distance fits its field) {
      scf.for %c = 0 to C step BLOCK_C {
        "instgem.loop_conv_ws_config_1" ... "instgem.loop_conv_ws_config_6"
        "instgem.loop_conv_ws" ... }                     // zeros or the bias before the first step, the output in the last
    } else { what was there }

The input tile, filter's margin included, is loaded once; what lies outside the image is padding, which the instruction fills with zeros. A
row of the tile in which nothing is inside is zeros too, where the kernel skips its product (GEMMINI_ISA.md section 7.11).
"""

from __future__ import annotations

from baco import isa
from baco.dialects.mlir import arith, func, ir, memref, scf
from baco.hardware import GemminiConfig
from baco.lowering.convolution_sums import convolution_sum
from baco.lowering.convolution_tiles import Border
from baco.lowering.depth_of_sum import Condition, both, compare, either
from baco.lowering.emit import Emitter, Quantity
from baco.lowering.passes import location_of
from baco.lowering.place_in_memories import ACCUMULATOR, SCRATCHPAD
from baco.lowering.polynomials import NotPolynomial, Polynomial, Quotient, bounds
from baco.lowering.summed_products import InDram, NoLoop, requantisation, something_else_lives
from baco.lowering.tile_to_dim import root

FIELD16 = (1 << 16) - 1
LARGEST_PAD = 255
"""Rows of zeros below a tile, in an 8-bit field."""
Signed = arith.CmpIPredicate


class ConvolutionLoop:
    """A tile of a convolution, checked and then replaced.

    Raises:
        NoLoop: on construction or replacement, if loop_conv_ws cannot do it.
    """

    def __init__(self, kernel: func.FuncOp, config: GemminiConfig, product: ir.OpView, shared: set[ir.Value]) -> None:
        self.config = config
        self.place = location_of(product)
        self.sum = s = convolution_sum(product)
        self.products = s.products
        width, filters, channels = s.shape
        self.most = tuple(n * s.stride + (taps - 1) * s.dilation for n, taps in zip((len(s.results), width), s.taps, strict=True))
        blocks = [-(-n // config.dim) for n in (channels, filters)]
        inputs, weights = self.most[0] * self.most[1] * blocks[0], s.taps[0] * s.taps[1] * channels * blocks[1]
        self.rows = {SCRATCHPAD: 2 * (inputs + weights), ACCUMULATOR: 2 * len(s.results) * width * blocks[1]}
        for memory, there in ((SCRATCHPAD, config.scratchpad_rows), (ACCUMULATOR, config.accumulator_rows)):
            if self.rows[memory] > there:
                raise self._refusal(f"its tile takes {self.rows[memory] // 2} rows of the {memory}, and a loop has {there // 2}")
        if self.most[0] > LARGEST_PAD or max(s.dilation, s.stride) > LARGEST_PAD:
            raise self._refusal(f"its stride, dilation or height of {self.most[0]} input rows is above {LARGEST_PAD}")
        other = something_else_lives(s, kernel)
        if other is not None:
            where = location_of(other)
            what = f"the block of line {where.line}" if where else "another block"
            raise self._refusal(f"{what} stays on the chip meanwhile, and a loop chooses its rows itself")
        if any(root(side.view) in shared for side in (s.input, s.weights, *s.bias, *s.results)):
            raise self._refusal("the kernel also loads from an array that it stores to, which takes fences between them")

    def _refusal(self, reason: str) -> NoLoop:
        return NoLoop(reason, self.place)

    def check_cost(self, stages: int) -> None:
        """Refuse where primitive instructions are better; they never take fewer instructions."""
        if stages > 1:
            raise self._refusal(f"its loads run ahead (num_stages={stages})")

    def replace(self) -> str:
        """Write the loop instructions; says when, if ever, what was there before still runs."""
        self.e = Emitter(self.config)
        s = self.sum
        with ir.InsertionPoint.after(s.operations[-1]), s.products[0].location:
            self._measure()
            conditions = self._conditions()
            if any(c is False for c in conditions):
                raise self._refusal("it is empty, or a distance in memory does not fit its field")
            unknown = [c for c in conditions if c is not True]
            if not unknown:
                self._write()
                for op in reversed(s.operations):
                    op.erase()
                return ""
            all_of = unknown[0]
            for c in unknown[1:]:
                all_of = arith.AndIOp(all_of, c).result
            branch = scf.IfOp(all_of, has_else=True)
            with ir.InsertionPoint(branch.then_block):
                self._write()
                scf.YieldOp([])
            with ir.InsertionPoint(branch.else_block):
                last = scf.YieldOp([])
            for op in s.operations:
                op.move_before(last.operation)
        return "it is empty, or a distance in memory does not fit its field"

    # Geometry ---------------------------------------------------------------------------------------------------------------------

    def _measure(self) -> None:
        """Sizes and padding of the tile, as quantities before the loop."""
        e, s = self.e, self.sum
        stored = [e.i64(r.sizes[0]) if not isinstance(r.sizes[0], int) else r.sizes[0] for r in s.results]
        self.columns, self.filters = stored[0], self._outside(s.results[0].sizes[1])
        self.uneven: list[Condition] = []
        self.lines: Quantity = 1
        before: Condition = True
        for size in stored[1:]:
            whole = both(before, compare(e, Signed.eq, size, self.columns))
            self.uneven.append(either(whole, compare(e, Signed.eq, size, 0)))
            self.lines = e.add(self.lines, self._as_number(whole))
            before = whole
        seen: Condition = True
        for number in s.always:
            seen = both(seen, compare(e, Signed.sge, number.emit(e), 0))
        self.above, self.below, _ = self._padding(s.rows, self.lines, s.taps[0], seen)
        self.left, self.right, _ = self._padding(s.columns, self.columns, s.taps[1], True)
        self.pixel = s.pixel.emit(e)
        self.line = s.line.emit(e) if s.line else self.pixel

    def _padding(self, border: Border, outputs: Quantity, taps: int, seen: Condition) -> tuple[Quantity, Quantity, Quantity]:
        """Rows (columns) of zeros before and after what is loaded, and of the whole tile.

        The instruction makes the tile a whole number of strides long; nothing reads the rest, and zeros cost no access to DRAM.
        """
        e, s = self.e, self.sum
        length = e.add(e.mul(outputs, s.stride), (taps - 1) * s.dilation)
        before: Quantity = 0
        if border.before:
            before = e.min(e.max(self._count(border.before, border.scale), 0), length)
        if seen is not True:
            before = length if seen is False else e.select(seen, before, length)
        after: Quantity = s.stride - 1
        for room in border.room:
            # Of the last step only the first is seen, and the rest may lie beyond the array.
            after = e.max(after, e.sub(e.add(length, border.scale - 1), self._count(room, border.scale)))
        return before, e.min(after, e.sub(length, before)), length

    def _count(self, quotient: Quotient, scale: int) -> Quantity:
        e = self.e
        return e.mul(e.ceil_div(quotient.above.emit(e), quotient.below), scale)

    def _outside(self, q: Quantity) -> Quantity:
        return q if isinstance(q, int) else self.e.i64(q)

    def _as_number(self, condition: Condition) -> Quantity:
        return int(condition) if isinstance(condition, bool) else arith.ExtUIOp(ir.IntegerType.get_signless(64), condition).result

    # Conditions -------------------------------------------------------------------------------------------------------------------

    def _conditions(self) -> list[Condition]:
        """All of this must hold."""
        e, s = self.e, self.sum
        found = [compare(e, Signed.sgt, q, 0) for q in (self.columns, self.filters)] + self.uneven
        if s.channels:
            lower, upper = (e.i64(v) for v in list(s.channels.operation.operands)[:2])
            found.append(compare(e, Signed.slt, lower, upper))
        else:
            found += [compare(e, Signed.sgt, left.emit(e), 0) for left in s.depth]
        for limit in s.limits:
            found.append(compare(e, Signed.sge, limit.emit(e), self.columns))
        # As many output channels of the weights and of the bias are loaded as are stored, and a bias for as many pixels.
        width, filters = s.shape[:2]
        needed = s.results[0].sizes[1]
        for have in (s.weights.sizes[1], *(b.sizes[1] for b in s.bias)):
            found += self._loaded(have, needed, filters)
        for bias, result in zip(s.bias, s.results, strict=bool(s.bias)):
            found += self._loaded(bias.sizes[0], result.sizes[0], width)
        self.weight_row = Polynomial.of(s.weights.row_stride).emit(e)
        self.result_row = Polynomial.of(s.results[0].row_stride).emit(e)
        self.weight_channels = s.weight_channels.emit(e)
        self.result_columns, self.line_columns = 1, 1
        if len(s.results) > 1:
            self.result_columns, whole = self._ratio(s.result_line, self.result_row, Polynomial.of(s.results[0].row_stride))
            found.append(whole)
        if s.line and s.line != s.pixel:
            self.line_columns, whole = self._ratio(s.line, self.pixel, s.pixel)
            found.append(whole)
        for field in (self.pixel, self.line_columns, self.weight_channels, self.weight_row, self.result_row, self.result_columns):
            found += [compare(e, Signed.sgt, field, 0), compare(e, Signed.slt, field, FIELD16 + 1)]
        return found

    def _loaded(self, have: Quantity, need: Quantity, most: int) -> list[Condition]:
        """Whether as many rows or columns are loaded as are needed, of `most`."""
        if have in (most, need):
            return []
        known = bounds(need, most)
        return [compare(self.e, Signed.sge, self._count(q, 1), self._outside(need)) for q in bounds(have, most) if q not in known]

    def _ratio(self, above: Polynomial, below: Quantity, divisor: Polynomial) -> tuple[Quantity, Condition]:
        """How many times `below` goes into `above`, and whether that is a whole number of times."""
        e = self.e
        try:
            return above.over(divisor).emit(e), True
        except NotPolynomial:
            total = above.emit(e)
        times = arith.DivUIOp(e.value(total), e.value(e.max(below, 1))).result
        return times, compare(e, Signed.eq, e.mul(times, below), total)

    # Instructions -----------------------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        e, s = self.e, self.sum
        e.instruction("config_ex", dataflow=1, a_stride=s.stride, c_stride=1, acc_scale=isa.float_bits(1.0))
        scale, self.relu = requantisation(e, s.requantise)
        e.config_st(dram_stride=self.result_row, acc_scale=scale, activation=int(self.relu))
        if s.channels is None:
            self._step({}, True, True)
        else:
            lower, upper, by = list(s.channels.operation.operands)
            loop = scf.ForOp(lower, upper, by)
            with ir.InsertionPoint(loop.body):
                here = loop.induction_variable
                first = arith.CmpIOp(Signed.eq, here, lower).result
                last = arith.CmpIOp(Signed.sge, arith.AddIOp(here, by).result, upper).result
                self._step({s.channel: e.i64(here)}, first, last)
                scf.YieldOp([])
        if s.stride != 1:
            e.config_ex()

    def _base(self, side: InDram) -> Quantity:
        """The address of the array that a block is moved from or to."""
        parts = [q for q in (side.offset, side.row_stride) if not isinstance(q, int)]
        numbers = [self.e.index(Polynomial.of(q).emit(self.e, self.at)) for q in parts]
        op = side.view.owner.operation.clone(ip=ir.InsertionPoint.current)
        for i, number in enumerate(numbers, start=1):
            op.operands[i] = number
        pointer = memref.ExtractAlignedPointerAsIndexOp(op.results[0]).result
        return arith.IndexCastOp(ir.IntegerType.get_signless(64), pointer).result

    def _only_if(self, condition: Condition, value: Quantity) -> Quantity:
        return value if condition is True else self.e.select(condition, value, 0)

    def _step(self, at: dict[ir.Value, Quantity], first: Condition, last: Condition) -> None:
        """All instructions of one block of input channels."""
        e, s = self.e, self.sum
        self.at = {**dict.fromkeys(s.counters, 0), **at}
        skipped = e.add(e.mul(self.above, self.line), e.mul(self.left, self.pixel))
        inputs = e.add(self._base(s.input), e.add(s.input_offset.emit(e, at), skipped))
        weights = e.add(self._base(s.weights), s.weight_offset.emit(e, at))
        outputs = e.add(self._base(s.results[0]), Polynomial.of(s.results[0].offset).emit(e))
        channels: Quantity = s.shape[2]
        for left in s.depth:
            channels = e.min(channels, left.emit(e, at))
        image = {"out_row_dim": self.lines, "pool_out_row_dim": self.lines, "out_col_dim": self.result_columns}
        e.instruction(
            "loop_conv_ws_config_1",
            batch_size=1,
            in_row_dim=1,
            in_channels=self.weight_channels,
            out_channels=self.weight_row,
            stride=s.stride,
            **image,
        )
        tile = {"pochs": self.filters, "pocols": self.columns, "porows": self.lines, "batches": 1}
        pool = {"pool_stride": 1, "pool_size": 1, "pool_out_col_dim": self.result_columns}
        e.instruction("loop_conv_ws_config_2", kernel_dim=s.taps[1], **pool, **tile)
        pads = {"lpad": self.left, "rpad": self.right, "upad": self.above, "dpad": self.below}
        e.instruction("loop_conv_ws_config_3", kchs=channels, kcols=s.taps[1], krows=s.taps[0], in_col_dim=self.line_columns, **pads)
        pitches = {"out_stride": self.result_row, "weight_stride": self.weight_row, "in_stride": self.pixel}
        e.instruction("loop_conv_ws_config_4", kernel_dilation=s.dilation, orows=self.lines, ocols=self.columns, **pitches)
        e.instruction("loop_conv_ws_config_5", weights=weights, output=self._only_if(last, outputs))
        # Without a bias the pointer says only that a new tile begins; nothing is read there.
        bias = e.add(self._base(s.bias[0]), e.mul(Polynomial.of(s.bias[0].offset).emit(e), s.bias[0].element_bytes)) if s.bias else weights
        e.instruction("loop_conv_ws_config_6", bias=self._only_if(first, bias), input=inputs)
        e.instruction("loop_conv_ws", no_bias=int(not s.bias), no_pool=1, activation=int(self.relu))
