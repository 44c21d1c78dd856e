"""Random legal loops: loop_ws and loop_conv_ws with all their fields, among random primitive commands."""

from __future__ import annotations

from collections.abc import Callable

from command_streams import BASE, DRAM_BYTES, PRIMITIVES, Generator, Step
from hypothesis import strategies as st

from baco.hardware import GemminiConfig
from baco.isa import float_bits

LOOPS = (*PRIMITIVES, *("loop_ws",) * 8, *("residual_add",) * 2, *("loop_conv_ws",) * 8)
SCALES = (1.0, 1.0, 0.25, 0.037, 0.0011)


@st.composite
def loop_streams(draw: Callable, config: GemminiConfig, length: int = 12, kinds: tuple[str, ...] = LOOPS) -> list[Step]:
    """A stream of primitives and loops."""
    gen = LoopGenerator(draw, config)
    gen.start()
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=3, max_size=length)):
        getattr(gen, kind)()
    return gen.steps


class LoopGenerator(Generator):
    def __init__(self, draw: Callable, config: GemminiConfig) -> None:
        super().__init__(draw, config)
        self.tile_open = False  # whether loop_conv_ws has loaded a bias whose tile is not stored yet

    def matrix(self, rows: int, pitch: int, columns: int, size: int = 1) -> int:
        """The address of a matrix somewhere in DRAM."""
        return self._dram(pitch * size, rows, columns * size)

    def load(self, load_id: int, dram_stride: int, shrink: int = 0) -> None:
        fields = {
            "load_id": load_id,
            "shrink": shrink,
            "block_stride": self.dim,
            "dram_stride": dram_stride,
            "pixel_repeats": self.int(0, 1),
        }
        self.loads[load_id] = fields | {"scale": float_bits(self.draw(st.sampled_from(SCALES)))}
        self.emit("config_ld", **self.loads[load_id])

    def store(self, dram_stride: int, activation: int) -> None:
        """A store configuration without pooling; one with another activation first, because SOFTMAX only leaves for that."""
        scale = float_bits(self.draw(st.sampled_from(SCALES)))
        self.stride, self.pool, self.activation = dram_stride, {}, activation
        self.emit("config_st", activation=1, dram_stride=dram_stride, acc_scale=scale)
        self.emit("config_st", activation=activation & 3, dram_stride=dram_stride, acc_scale=scale)
        if activation == 4:
            self.emit("config_norm", activation_msb=1, constant=self.int(1, 900), qb=self.int(0, 2000), qc=self.int(0, 2000))

    def execute(self, a_stride: int, c_stride: int, ta: int, tb: int) -> None:
        self.ws, self.ta, self.tb, self.a_stride, self.c_stride = 1, ta, tb, a_stride, c_stride
        self.emit("config_ex", dataflow=1, a_stride=a_stride, c_stride=c_stride, transpose_a=ta, transpose_b=tb)

    def tiles(self, residual: bool = False) -> tuple[int, int, int]:
        half_a, half_c = self.config.scratchpad_rows // 2 // self.dim, self.config.accumulator_rows // 2 // self.dim
        i = self.int(1, min(3, half_c))
        j = self.int(1, min(3, half_c // i))
        return i, j, 0 if residual else self.int(1, min(3, half_a // (i + j)))

    def loop_ws(self) -> None:
        dim, (i, j, k) = self.dim, self.tiles()
        pads = [self.draw(st.sampled_from([0, 0, 1, dim - 1, dim // 2])) for _ in range(3)]
        m, n, inner = i * dim - pads[0], j * dim - pads[1], k * dim - pads[2]
        ta, tb = self.draw(st.sampled_from([(0, 0), (1, 0), (0, 1)]))
        activation = self.draw(st.sampled_from([0, 0, 1, 2, 3, 4]))
        full_c, low_d = int(activation < 2 and self.bool()), self.int(0, 1)
        a_rows, a_columns = (inner, m) if ta else (m, inner)
        b_rows, b_columns = (n, inner) if tb else (inner, n)
        strides = {name: columns + self.int(0, 5) for name, columns in (("a", a_columns), ("b", b_columns), ("c", n), ("d", n))}
        if self.bool():
            strides["d"] = 0
        a_id, b_id = self.int(0, 2), self.int(0, 2)
        pointers = {
            "a": self.matrix(a_rows, strides["a"], a_columns) if a_id == 0 or self.int(0, 3) else 0,
            "b": self.matrix(b_rows, strides["b"], b_columns) if b_id == 0 or self.int(0, 3) else 0,
            "c": self.matrix(m, strides["c"], n, 4 if full_c else 1) if self.int(0, 4) else 0,
            "d": self.matrix(m, strides["d"], n, 1 if low_d else 4) if self.bool() else 0,
        }
        self.execute(1, 1, ta, tb)
        self.load(0, strides["a"])
        self.load(1, strides["b"])
        self.load(2, strides["d"] * (1 if low_d else 4), low_d)
        self.store(strides["c"] * (4 if full_c else 1), activation)
        self.emit("loop_ws_config_bounds", pad_i=pads[0], pad_j=pads[1], pad_k=pads[2], i=i, j=j, k=k)
        self.pointers_and_strides(pointers, strides)
        flags = {"ex_accumulate": self.int(0, 1), "full_c": full_c, "low_d": low_d, "activation": activation}
        self.emit("loop_ws", **flags, a_spad_id=a_id, b_spad_id=b_id, transpose_a=ta, transpose_b=tb)

    def pointers_and_strides(self, pointers: dict[str, int], strides: dict[str, int]) -> None:
        self.emit("loop_ws_config_addrs_ab", a=pointers["a"], b=pointers["b"])
        self.emit("loop_ws_config_addrs_dc", d=pointers["d"], c=pointers["c"])
        self.emit("loop_ws_config_strides_ab", a_stride=strides["a"], b_stride=strides["b"])
        self.emit("loop_ws_config_strides_dc", d_stride=strides["d"], c_stride=strides["c"])

    def residual_add(self) -> None:
        dim, (i, j, k) = self.dim, self.tiles(residual=True)
        pads = [self.draw(st.sampled_from([0, 1, dim - 1])) for _ in range(2)]
        m, n, full_c = i * dim - pads[0], j * dim - pads[1], self.int(0, 1)
        strides = {"a": n + self.int(0, 5), "b": n + self.int(0, 5), "c": n + self.int(0, 5), "d": 0}
        pointers = {name: self.matrix(m, strides[name], n, 4 if name == "c" and full_c else 1) for name in "abc"} | {"d": 0}
        self.load(0, strides["a"], 1)
        self.load(1, strides["b"], 1)
        self.store(strides["c"] * (4 if full_c else 1), self.int(0, 1))
        self.emit("loop_ws_config_bounds", pad_i=pads[0], pad_j=pads[1], i=i, j=j, k=k)
        self.pointers_and_strides(pointers, strides)
        self.emit("loop_ws", full_c=full_c, residual_add=1)

    def loop_conv_ws(self) -> None:
        conv = self._convolution()
        if conv is None:
            return
        f, flags = conv
        start, pool = not self.tile_open, not flags["no_pool"]
        end = self.int(0, 3) > 0
        self.tile_open = not end
        a_id, b_id = self.int(0, 2), self.int(0, 2)
        f["input"] = f["input"] if a_id == 0 or self.int(0, 3) else 0
        f["weights"] = f["weights"] if b_id == 0 or self.int(0, 3) else 0
        f["output"] = f["output"] if end else 0
        f["bias"] = BASE + self.int(0, DRAM_BYTES - 4 * f["pochs"]) if start else 0
        flags["no_bias"] = self.int(0, 1)
        if not flags["trans_input_3120"]:
            self.execute(f["stride"] >> flags["downsample"], 1 + flags["input_dilated"], 0, flags["trans_weight_0132"])
        else:
            self.execute(self.int(0, 2), self.int(0, 2), 1, 0)
        activation = self.int(0, 1)
        stride = f["out_channels"] if flags["trans_output_1203"] else f["out_stride"]
        self.store(stride, activation)
        for number, names in CONV_CONFIGS.items():
            self.emit(f"loop_conv_ws_config_{number}", **{name: f[name] for name in names if name in f})
        self.emit("loop_conv_ws", **flags, activation=activation, a_spad_id=a_id, b_spad_id=b_id)
        if end and pool:
            self.stride = f["out_stride"]  # which the loop has configured itself
        # Random primitives need configurations of sizes that suit them.
        self.execute(1, 1, 0, 0)
        for load_id in range(3):
            self.config_ld(load_id)

    def _convolution(self) -> tuple[dict[str, int], dict[str, int]] | None:
        """Fields of loop_conv_ws without its pointers' nulls, and the flags; None if this draw does not fit the memories."""
        dim, draw = self.dim, self.draw
        kind = draw(st.sampled_from(("plain", "plain", "downsample", "dilated", "depthwise", "packed", "1203", "0132", "3120")))
        flags = dict.fromkeys(("downsample", "input_dilated", "depthwise", "trans_weight_1203", "trans_weight_0132", "trans_input_3120"), 0)
        flags |= {
            "wrot180": self.int(0, 1),
            "trans_output_1203": self.int(0, 1),
            "max_pixels_per_row": self.int(0, 1),
            "no_pool": self.int(0, 1),
        }
        if flags["trans_output_1203"]:
            flags["no_pool"] = 1
        kernel = self.int(1, 3)
        f = {"kernel_dim": kernel, "krows": self.int(1, kernel), "kcols": self.int(1, kernel), "stride": self.int(1, 3)}
        f |= {"kernel_dilation": draw(st.sampled_from((1, 1, 2, 3))), "batches": self.int(1, 3)}
        f |= {"kchs": draw(st.sampled_from((1, 3, dim, dim + 1, 2 * dim))), "pochs": draw(st.sampled_from((1, 3, dim, dim + 2, 2 * dim)))}
        f |= {"orows": self.int(1, 4), "ocols": draw(st.sampled_from((1, 2, 3, 5, dim, dim + 1)))}
        if kind == "downsample":
            flags["downsample"] = 1
            f |= {"stride": 2, "krows": 1, "kcols": 1}
        elif kind == "dilated":
            flags["input_dilated"] = 1
            f |= {"stride": 1}
        elif kind == "depthwise":
            flags["depthwise"] = 1
            f |= {"kchs": 1, "pochs": 1}
        elif kind == "packed":
            flags |= {"max_pixels_per_row": self.int(2, 3), "wrot180": 0}
            f |= {"kchs": self.int(1, max(1, dim // flags["max_pixels_per_row"])), "stride": self.int(1, 2), "kernel_dilation": 1}
            if f["kchs"] * flags["max_pixels_per_row"] > dim:
                return None
        elif kind in ("1203", "0132"):
            flags[f"trans_weight_{kind}"] = 1
        elif kind == "3120":
            flags["trans_input_3120"] = 1
            f |= {"batches": draw(st.sampled_from((1, 2, dim, dim + 1)))}
        rows = f["orows"] * f["stride"] + f["krows"] + (f["kernel_dilation"] - 1) * (f["krows"] - 1) - 1
        columns = f["ocols"] * f["stride"] + f["kcols"] + (f["kernel_dilation"] - 1) * (f["kcols"] - 1) - 1
        pads = {name: 0 if kind == "downsample" else self.int(0, 2) for name in ("upad", "dpad", "lpad", "rpad")}
        if pads["upad"] + pads["dpad"] > rows or pads["lpad"] + pads["rpad"] > columns:
            return None
        d = flags["input_dilated"]
        inner_rows, inner_columns = (rows - pads["upad"] - pads["dpad"] + d) >> d, (columns - pads["lpad"] - pads["rpad"] + d) >> d
        f["rows"] = inner_rows + (pads["upad"] + d >> d) + (pads["dpad"] + d >> d)
        f["columns"] = inner_columns + (pads["lpad"] + d >> d) + (pads["rpad"] + d >> d)
        f |= pads | {"in_row_dim": inner_rows + self.int(0, 2), "in_col_dim": inner_columns + self.int(0, 2)}
        f |= {"in_channels": f["kchs"] + self.int(0, 3), "out_channels": f["pochs"] + self.int(0, 3)}
        f |= {
            "out_row_dim": f["orows"] + self.int(0, 2),
            "out_col_dim": f["ocols"] + self.int(0, 2),
            "batch_size": f["batches"] + self.int(0, 2),
        }
        for name, least in (("in", "in_channels"), ("out", "out_channels"), ("weight", "out_channels")):
            f[f"{name}_stride"] = f[least] + self.int(0, 2)
        if not flags["no_pool"]:
            f |= {"pool_stride": self.int(1, 3), "pool_size": self.int(1, 3), "pupad": self.int(0, 2), "plpad": self.int(0, 2)}
            f |= {"porows": self.int(1, 4), "pocols": self.int(1, 4)}
            f |= {"pool_out_row_dim": f["porows"] + self.int(0, 2), "pool_out_col_dim": f["pocols"] + self.int(0, 2)}
        return self._place(f, flags)

    def _place(self, f: dict[str, int], flags: dict[str, int]) -> tuple[dict[str, int], dict[str, int]] | None:
        """Add pointers to buffers large enough, if the tile fits half of each memory and the buffers DRAM."""
        dim, ds = self.dim, flags["downsample"]

        def blocks(channels: int) -> int:
            return -(-channels // dim)

        image, taps = (f["rows"] >> ds) * (f["columns"] >> ds), f["krows"] * f["kcols"]
        t, w = flags["trans_input_3120"], flags["trans_weight_0132"]
        a = image * (f["kchs"] * blocks(f["batches"]) if t else f["batches"] * blocks(f["kchs"]))
        b = taps * (f["pochs"] * blocks(f["kchs"]) if w else f["kchs"] * blocks(f["pochs"]))
        c = f["orows"] * f["ocols"] * f["batches"] * blocks(f["pochs"])
        if a + b > self.config.scratchpad_rows // 2 or c > self.config.accumulator_rows // 2:
            return None
        k2 = f["kernel_dim"] ** 2
        sizes = {
            "input": f["in_row_dim"] * f["in_col_dim"] * (f["in_channels"] * f["batch_size"] if t else f["batches"] * f["in_stride"]),
            "weights": k2 * f["in_channels"] * f["weight_stride"] + f["weight_stride"],
            "output": f["out_row_dim"] * f["out_col_dim"] * f["batch_size"] * max(f["out_stride"], f["out_channels"]),
        }
        if not flags["no_pool"]:
            sizes["output"] = f["batches"] * f["pool_out_row_dim"] * f["pool_out_col_dim"] * f["out_stride"]
        if max(sizes.values()) > DRAM_BYTES:
            return None
        return f | {name: BASE + self.int(0, DRAM_BYTES - size) for name, size in sizes.items()}, flags


CONV_CONFIGS = {
    1: ("batch_size", "in_row_dim", "in_channels", "out_channels", "out_row_dim", "pool_out_row_dim", "out_col_dim", "stride"),
    2: ("pool_stride", "pool_size", "pool_out_col_dim", "kernel_dim", "pochs", "pocols", "porows", "batches"),
    3: ("lpad", "kchs", "kcols", "krows", "in_col_dim", "plpad", "dpad", "upad", "rpad"),
    4: ("kernel_dilation", "pupad", "orows", "ocols", "out_stride", "weight_stride", "in_stride"),
    5: ("weights", "output"),
    6: ("bias", "input"),
}
