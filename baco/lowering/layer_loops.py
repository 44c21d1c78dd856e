"""The program of one layer in Gemmini's loop instructions: the mapping's DRAM-level loops, and one loop_ws or loop_conv_ws for each tile.

The tiles and the order in which they come are the mapping's, so that each tensor moves to and from DRAM as often as in primitive
instructions; within a tile the order is the instruction's own (GEMMINI_ISA.md sections 7.10 and 7.11):

* loop_ws does a tile whose pixels are rows at one distance in DRAM and that has one position of the filter: a matrix product. Moves are
  the mapping's at every level. It loads the array's weights once for each DIM x DIM block of a tile, which is what may differ;
  and it fills the array where the mapping's spatial factors leave a part of it idle, so that inputs are read fewer times.
* loop_conv_ws does any tile, but first fills the accumulator with zeros, and then always adds. With a stride it also clears input rows
  and columns that no output reads. Both cost accesses on the chip, none to DRAM, except with a stride beyond the filter's extent, whose
  skipped pixels only a 1x1 filter of stride 2 leaves out.

Both take half of each memory and choose the rows themselves. A tile that stays on the chip while others change is not loaded again: its
pointer is null, and loops say by their scratchpad ids which half it is in; where every tile is loaded, the hardware alternates by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

from baco import isa
from baco.dialects.mlir import arith, ir, scf
from baco.hardware import GemminiConfig
from baco.lowering import place_in_memories
from baco.lowering.emit import Quantity
from baco.lowering.layer_tile import FIELD16
from baco.lowering.layer_writer import Index, LayerWriter, innermost
from baco.workload import DRAM, INPUT_DIMENSIONS, OUTPUT_DIMENSIONS, WEIGHT_DIMENSIONS, Loop, Mapping, Problem

LOOP_WS, LOOP_CONV_WS = "loop_ws", "loop_conv_ws"
COMMANDS = {LOOP_WS: 6, LOOP_CONV_WS: 7}
"""What the core issues for a tile: the configurations of the loop, and the loop."""
LARGEST_INPUT = (1 << 15) - 1
"""Rows and columns of an input tile are signed 16-bit numbers in loop_conv_ws."""
LARGEST_DILATION = 255
Condition = ir.Value | bool


class NoLayerLoop(Exception):
    """Why a loop instruction cannot do a mapping's tiles: a clause that completes a sentence."""


@dataclass(frozen=True)
class Form:
    """What a mapping's scratchpad-level tile asks of a loop instruction, in rows of each memory."""

    instruction: str
    inputs: int
    weights: int
    outputs: int
    stride: int = 1
    dilation: int = 1
    downsample: bool = False


def _blocks(size: int, dim: int) -> int:
    return -(-size // dim)


def _one_value(name: str, values: tuple[int, int], sizes: tuple[int, int]) -> int:
    """A stride or dilation for both directions; that of a direction with nothing to step over does not matter."""
    needed = {value for value, size in zip(values, sizes, strict=True) if size > 1}
    if len(needed) > 1:
        raise NoLayerLoop(f"its {name} is {values[0]} by {values[1]}, and loop_conv_ws has one for both directions")
    return next(iter(needed), 1)


class LoopLayerWriter(LayerWriter):
    """Writes the body of a layer's program in loop instructions at the current insertion point.

    Raises:
        NoLayerLoop: on construction, if neither instruction can do the mapping's tiles.
    """

    def __init__(
        self, problem: Problem, mapping: Mapping, config: GemminiConfig, buffers: list[ir.Value], scale: float, relu: bool
    ) -> None:
        super().__init__(problem, mapping, config, buffers, scale, relu)
        try:
            self.form = self._of_all_tiles(self._as_product)
        except NoLayerLoop as product:
            try:
                self.form = self._of_all_tiles(self._as_convolution)
            except NoLayerLoop as convolution:
                raise NoLayerLoop(f"loop_ws cannot, because {product}; loop_conv_ws cannot, because {convolution}") from None

    def rows(self) -> dict[str, int]:
        """Both halves of each memory, as large as the tiles need."""
        scratchpad = 2 * (self.form.inputs + self.form.weights)
        return {place_in_memories.SCRATCHPAD: scratchpad, place_in_memories.ACCUMULATOR: 2 * self.form.outputs}

    # What fits --------------------------------------------------------------------------------------------------------------------

    def _fits(self, tile: Form) -> Form:
        halves = ((tile.inputs + tile.weights, self.config.scratchpad_rows, "scratchpad"),)
        for rows, there, memory in (*halves, (tile.outputs, self.config.accumulator_rows, "accumulator")):
            if rows > there // 2:
                raise NoLayerLoop(f"its tiles take {rows} rows of the {memory}, and a loop has {there // 2}")
        return tile

    def _of_all_tiles(self, form: Callable[[], Form]) -> Form:
        """What a whole tile asks for, once it is known that ragged last tiles, in any dimensions at once, can be done as well."""
        last = {d: self.problem.sizes[d] % self._whole(d) for d in self.mapping.ragged(self.problem)}
        for sizes in itertools.product(*({self.tile[d], rest or self.tile[d]} for d, rest in last.items())):
            with self._writing(replace(self.tile, sizes={**self.tile.sizes, **dict(zip(last, sizes, strict=True))})):
                form()
        return form()

    def _as_product(self) -> Form:
        t, dim = self.tile, self.config.dim
        if t["R"] * t["S"] > 1:
            raise NoLayerLoop(f"its tiles have {t['R']} x {t['S']} positions of the filter")
        if len(self.tile.input_axes()) > 1 or len(self.tile.output_axes(1)) > 1:
            raise NoLayerLoop("the pixels of its tiles are not at one distance in memory")
        if t["C"] % dim:
            raise NoLayerLoop(
                f"its tiles have {t['C']} input channels, no multiple of {dim} (DIM), and hardware would read beyond the weights"
            )
        i, j, k = (_blocks(size, dim) for size in (t["N"] * t["P"] * t["Q"], t["K"], t["C"]))
        return self._fits(Form(LOOP_WS, i * k * dim, k * j * dim, i * j * dim))

    def _as_convolution(self) -> Form:
        p, t, dim = self.problem, self.tile, self.config.dim
        if self._outer_reductions({}):
            raise NoLayerLoop("its output tiles leave and return as partial sums, which it can neither store nor load")
        stride = _one_value("stride", p.stride, (t["P"], t["Q"]))
        dilation = _one_value("dilation", p.dilation, (t["R"], t["S"]))
        sizes = {"input height": p.input_height, "input width": p.input_width, "input channels": p.C, "output channels": p.K, "batch": p.N}
        for name, size in sizes.items():
            if size > FIELD16:
                raise NoLayerLoop(f"its {name}, {size}, does not fit a 16-bit field")
        if stride > LARGEST_DILATION or dilation > LARGEST_DILATION:
            raise NoLayerLoop(f"its stride {stride} or dilation {dilation} is above {LARGEST_DILATION}")
        downsample = stride == 2 and t["R"] * t["S"] == 1
        height, width = (t[o] * stride + (t[f] - 1) * dilation for o, f in (("P", "R"), ("Q", "S")))
        if max(height, width) > LARGEST_INPUT:
            raise NoLayerLoop(f"its input tile is {height} x {width} pixels, and each may be {LARGEST_INPUT}")
        image = (height >> downsample) * (width >> downsample) * t["N"]
        taps, pixels = t["R"] * t["S"] * t["C"], t["N"] * t["P"] * t["Q"]
        if max(image, taps, pixels) > FIELD16:
            raise NoLayerLoop(f"its column blocks are up to {max(image, taps, pixels)} rows apart, which does not fit a 16-bit field")
        blocks = _blocks(t["C"], dim), _blocks(t["K"], dim)
        return self._fits(Form(LOOP_CONV_WS, image * blocks[0], taps * blocks[1], pixels * blocks[1], stride, dilation, downsample))

    # The nest ---------------------------------------------------------------------------------------------------------------------

    def write(self) -> None:
        a_stride = self.form.stride >> self.form.downsample
        self.e.instruction("config_ex", dataflow=1, a_stride=a_stride, c_stride=1, acc_scale=isa.float_bits(1.0))
        self._nest_of_tiles(0, {}, self._product_tile if self.form.instruction == LOOP_WS else self._convolution_tile)

    def _nest_of_tiles(self, depth: int, at: Index, tile: Callable[[Index], None]) -> None:
        if depth == len(self.outer):
            tile(at)
            return
        loop = self.outer[depth]
        self._tiles(loop, lambda i: self._nest_of_tiles(depth + 1, {**at, (DRAM, loop.dim): i}, tile))

    def _inside(self, dims: frozenset[str]) -> list[Loop]:
        """The loops further in than the innermost one over `dims`: a tile of that tensor stays while they run."""
        return self.outer[innermost(self.outer, dims) + 1 :]

    def _begins(self, at: Index, loops: list[Loop]) -> Condition:
        return self._all_zero([at[DRAM, loop.dim] for loop in loops])

    def _ends(self, at: Index, loops: list[Loop]) -> Condition:
        return self._all_zero([self.e.sub(loop.trips - 1, at[DRAM, loop.dim]) for loop in loops])

    def _only_if(self, condition: Condition, value: Quantity) -> Quantity:
        if isinstance(condition, bool):
            return value if condition else 0
        return self.e.select(condition, value, 0)

    def _branches(self, conditions: dict[str, Condition], body: Callable[[dict[str, bool]], None]) -> None:
        """Call `body` where each combination of the conditions holds."""
        if not conditions:
            body({})
            return
        (name, condition), *rest = conditions.items()

        def with_(value: bool) -> None:
            self._branches(dict(rest), lambda known: body({name: value, **known}))

        if isinstance(condition, bool):
            with_(condition)
            return
        branch = scf.IfOp(condition, has_else=True)
        for block, value in ((branch.then_block, True), (branch.else_block, False)):
            with ir.InsertionPoint(block):
                with_(value)
                scf.YieldOp([])

    # Operands ---------------------------------------------------------------------------------------------------------------------

    def _addresses(self, at: Index) -> tuple[Quantity, Quantity]:
        """Where the input and the weight tile lie in DRAM; 0 where the tile is still on the chip."""
        inputs = self._only_if(self._begins(at, self._inside(INPUT_DIMENSIONS)), self.e.add(self.inputs, self._input_origin(at)))
        weights = self._only_if(self._begins(at, self._inside(WEIGHT_DIMENSIONS)), self.e.add(self.weights, self._weight_origin(at)))
        return inputs, weights

    def _halves(self, at: Index) -> dict[str, Condition]:
        """Whether the input and the weight tile are in the upper half; empty if the hardware may alternate as it likes."""
        if not self._inside(INPUT_DIMENSIONS) and not self._inside(WEIGHT_DIMENSIONS):
            return {}
        return {f"{name}_spad_id": self._odd(at, dims) for name, dims in (("a", INPUT_DIMENSIONS), ("b", WEIGHT_DIMENSIONS))}

    def _odd(self, at: Index, dims: frozenset[str]) -> Condition:
        """Whether the tile of a tensor is the second, fourth, ... of those that it has had."""
        count = self._half(at, dims, 1, True)
        return bool(count) if isinstance(count, int) else arith.CmpIOp(arith.CmpIPredicate.ne, count, self.e.value(0)).result

    @staticmethod
    def _ids(known: dict[str, bool]) -> dict[str, int]:
        return {name: 2 if upper else 1 for name, upper in known.items() if name.endswith("_spad_id")}

    # Tiles ------------------------------------------------------------------------------------------------------------------------

    def _product_tile(self, at: Index) -> None:
        """One loop_ws; a tile whose sums go on later leaves as int32 partial sums, and comes back as the bias."""
        e, p, t, dim = self.e, self.problem, self.tile, self.config.dim
        interrupting, going_on = self._outer_reductions(at), self._inside(OUTPUT_DIMENSIONS)
        visit_begins, visit_ends = self._begins(at, going_on), self._ends(at, going_on)
        sums_begin, sums_end = self._begins(at, interrupting), self._ends(at, interrupting)
        rows = t["N"] * t["P"] * t["Q"]
        a_row, c_row = self.tile.input_axes()[0].steps[1], self.tile.output_axes(1)[0].steps[1]
        counts = {axis: _blocks(size, dim) for axis, size in (("i", rows), ("j", t["K"]), ("k", t["C"]))}
        pads = {"pad_i": counts["i"] * dim - rows, "pad_j": counts["j"] * dim - t["K"]}
        a, b = self._addresses(at)
        for load_id, stride in ((0, a_row), (1, p.K), *([(2, 4 * c_row)] if interrupting else [])):
            e.config_ld(load_id=load_id, dram_stride=stride, block_stride=dim)

        def loop(known: dict[str, bool]) -> None:
            finished = known["sums_end"]
            result = self.outputs if finished else self.partial
            size = 1 if finished else 4
            c = self._only_if(visit_ends, e.add(result, self._output_origin(at, size)))
            d = 0
            if not known["sums_begin"]:
                d = self._only_if(visit_begins, e.add(self.partial, self._output_origin(at, 4)))
                # The hardware does not order a load after an earlier store to the same DRAM.
                self._branches({"loads": visit_begins}, lambda inner: e.fence() if inner["loads"] else None)
            scale, activation = (self.scale, int(self.relu)) if finished else (isa.float_bits(1.0), 0)
            e.config_st(dram_stride=c_row * size, acc_scale=scale, activation=activation)
            e.instruction("loop_ws_config_bounds", **pads, **counts)
            e.instruction("loop_ws_config_addrs_ab", a=a, b=b)
            e.instruction("loop_ws_config_addrs_dc", d=d, c=c)
            e.instruction("loop_ws_config_strides_ab", a_stride=a_row, b_stride=p.K)
            e.instruction("loop_ws_config_strides_dc", d_stride=c_row, c_stride=c_row)
            overwrites = {"overwrites": visit_begins} if known["sums_begin"] else {"overwrites": False}

            def command(inner: dict[str, bool]) -> None:
                flags = {"ex_accumulate": int(not inner["overwrites"]), "full_c": int(not finished), "activation": activation}
                e.instruction(LOOP_WS, **flags, **self._ids(inner))

            self._branches({**overwrites, **self._halves(at)}, command)

        self._branches({"sums_begin": sums_begin, "sums_end": sums_end}, loop)

    def _convolution_tile(self, at: Index) -> None:
        e, p, t, form = self.e, self.problem, self.tile, self.form
        going_on = self._inside(OUTPUT_DIMENSIONS)
        begins, ends = self._begins(at, going_on), self._ends(at, going_on)
        inputs, weights = self._addresses(at)
        # The instruction makes the input tile a whole number of strides long; nothing reads the rest, and zeros cost no DRAM access.
        rest = 0 if form.downsample else form.stride - 1
        e.config_st(dram_stride=p.K, acc_scale=self.scale, activation=int(self.relu))
        e.instruction(
            "loop_conv_ws_config_1",
            batch_size=p.N,
            in_row_dim=p.input_height,
            in_channels=p.C,
            out_channels=p.K,
            out_row_dim=p.P,
            pool_out_row_dim=p.P,
            out_col_dim=p.Q,
            stride=form.stride,
        )
        tile = {"pochs": t["K"], "pocols": t["Q"], "porows": t["P"], "batches": t["N"]}
        e.instruction("loop_conv_ws_config_2", pool_stride=1, pool_size=1, pool_out_col_dim=p.Q, kernel_dim=p.S, **tile)
        e.instruction("loop_conv_ws_config_3", kchs=t["C"], kcols=t["S"], krows=t["R"], in_col_dim=p.input_width, dpad=rest, rpad=rest)
        pitches = {"out_stride": p.K, "weight_stride": p.K, "in_stride": p.C}
        e.instruction("loop_conv_ws_config_4", kernel_dilation=form.dilation, orows=t["P"], ocols=t["Q"], **pitches)
        e.instruction("loop_conv_ws_config_5", weights=weights, output=self._only_if(ends, e.add(self.outputs, self._output_origin(at, 1))))
        # Without a bias the pointer says only that a new tile begins; nothing is read there.
        e.instruction("loop_conv_ws_config_6", bias=self._only_if(begins, self.weights), input=inputs)
        flags = {"no_bias": 1, "no_pool": 1, "downsample": int(form.downsample), "activation": int(self.relu)}
        self._branches(self._halves(at), lambda known: e.instruction(LOOP_CONV_WS, **flags, **self._ids(known)))

    # Cost -------------------------------------------------------------------------------------------------------------------------

    def check_cost(self) -> None:
        """Refuse where the loop would read more from DRAM, or primitive instructions are no more: two for each run of pixels of a tile."""
        m, t, name = self.mapping, self.tile, self.form.instruction
        skipped = (t[outputs] > 1 and self.form.stride > self.tile.extent(axis) for axis, outputs in enumerate("PQ"))
        if name == LOOP_CONV_WS and not self.form.downsample and any(skipped):
            raise NoLayerLoop(f"loop_conv_ws would load the pixels that a stride of {self.form.stride} skips")
        runs = _blocks(t["N"] * t["P"] * t["Q"], self.config.dim)
        commands = 2 * runs * t["R"] * t["S"] * _blocks(t["C"], m.spatial_c) * _blocks(t["K"], m.spatial_k)
        if commands <= COMMANDS[name]:
            raise NoLayerLoop(f"its tiles take {commands} computing instructions, and {name} {COMMANDS[name]}")
