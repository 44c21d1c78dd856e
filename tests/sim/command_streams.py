"""Hypothesis strategies for random legal command streams: what is drawn follows the configuration the stream has set so far."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from baco.hardware import GemminiConfig
from baco.isa import ACCUMULATE_BIT, ACCUMULATOR_BIT, FULL_WIDTH_BIT, GARBAGE, NORM_COMMAND_LOW, bits_float, float_bits

BASE = 0x8000_0000
DRAM_BYTES = 1 << 15
SCALES = (1.0, 0.5, 0.25, 0.037, 1.7, -0.5, 100.0, 0.0, 1e30, -1e30, float("inf"), float("nan"))

Step = tuple[str, dict[str, int]]


def small_config(dim: int) -> GemminiConfig:
    """A machine whose memories are so small that random operands often overlap."""
    return GemminiConfig(dim=dim, scratchpad_bytes=64 * dim * dim, accumulator_bytes=32 * dim * dim)


PRIMITIVES = ("mvin",) * 4 + ("mvout",) * 3 + ("compute",) * 5 + ("config_ex", "config_ld", "config_st", "config_norm", "flush")


@st.composite
def streams(draw: Callable, config: GemminiConfig, length: int = 24, kinds: tuple[str, ...] = PRIMITIVES) -> list[Step]:
    """A legal stream: configurations first, then `length` random commands, each compute with its preload."""
    gen = Generator(draw, config)
    gen.start()
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=6, max_size=length)):
        getattr(gen, kind)()
    return gen.steps


class Generator:
    """What `streams` draws with; random rows come from a window of each memory of at most `WINDOW` tiles, so that operands overlap."""

    WINDOW = 8

    def __init__(self, draw: Callable, config: GemminiConfig) -> None:
        self.draw, self.config, self.dim = draw, config, config.dim
        self.steps: list[Step] = []
        self.loads: dict[int, dict[str, int]] = {}
        self.activation = 0
        self.window = {kind: draw(st.sampled_from(("bottom", "middle", "top"))) for kind in (False, True)}

    def start(self) -> None:
        self.config_norm(first=True)
        self.config_ex(full=True)
        self.config_st()
        for load_id in range(3):
            self.config_ld(load_id)

    def memory_rows(self, accumulator: bool) -> int:
        """Rows of the window."""
        rows = self.config.accumulator_rows if accumulator else self.config.scratchpad_rows
        return min(rows, self.WINDOW * self.dim)

    def int(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def bool(self) -> bool:
        return self.draw(st.booleans())

    def emit(self, name: str, **fields: int) -> None:
        self.steps.append((name, fields))

    def flush(self) -> None:
        self.emit("flush", skip=0)

    def config_ex(self, full: bool = False) -> None:
        only = int(not full and self.bool())
        if not only:
            self.ws = int(self.bool())
            self.ta, self.tb = self.draw(st.sampled_from([(0, 0), (1, 0), (0, 1)] if self.ws else [(0, 0), (1, 0), (1, 1)]))
        self.a_stride, self.c_stride = self.int(0, 3), self.int(0, 3)
        self.emit(
            "config_ex",
            dataflow=self.ws,
            activation=self.int(0, 1),
            set_only_strides=only,
            transpose_a=self.ta,
            transpose_b=self.tb,
            a_stride=self.a_stride,
            c_stride=self.c_stride,
            in_shift=self.draw(st.sampled_from([0, 0, 1, 3, 31])),
        )

    def config_ld(self, load_id: int | None = None) -> None:
        load_id = self.int(0, 2) if load_id is None else load_id
        fields = {
            "load_id": load_id,
            "shrink": int(self.bool()),
            "block_stride": self.int(1, 2 * self.dim),
            "scale": float_bits(self.draw(st.sampled_from(SCALES))),
            "dram_stride": self.draw(st.one_of(st.just(0), st.integers(1, 200))),
            "pixel_repeats": self.draw(st.sampled_from([0, 0, 0, 1, 2, 3])),
        }
        self.loads[load_id] = fields
        self.emit("config_ld", **fields)

    def config_st(self) -> None:
        self.stride = self.int(0, 200)
        scale = self.draw(st.sampled_from(SCALES))
        activation = self.draw(st.sampled_from([0, 0, 0, 1, 1, 1, 2, 3]))
        self.pool: dict[str, int] = {}
        if self.int(0, 3) == 0:
            self.pool = {"pool_stride": self.int(1, 3), "pool_size": self.int(1, 3)}
            self.pool |= {"pool_upper_pad": self.int(0, 3), "pool_left_pad": self.int(0, 3), "pool_out_dim": self.int(1, 6)}
            self.pool |= {
                "pool_out_rows": self.int(1, 5),
                "pool_out_cols": self.int(1, 5),
                "out_rows": self.int(1, 6),
                "out_cols": self.int(1, 6),
            }
        self.activation = 4 if activation == 0 and self.activation == 4 else activation
        self.emit("config_st", activation=activation, dram_stride=self.stride, acc_scale=float_bits(scale), **self.pool)

    def config_norm(self, first: bool = False) -> None:
        """Choose a slot of statistics, new constants, or SOFTMAX."""
        only = int(not first and self.bool())
        softmax = int(not first and self.activation in (0, 4) and self.int(0, 2) == 0)
        if softmax and not only:
            self.activation = 4
        self.emit(
            "config_norm",
            stats_slot=self.int(0, 3),
            activation_msb=softmax,
            set_stats_slot_only=only,
            constant_id=self.int(0, 1),
            constant=self.int(-(1 << 12), 1 << 12),
            qb=self.int(-(1 << 12), 1 << 8),
            qc=self.int(-(1 << 12), 1 << 12),
        )

    def _dram(self, stride: int, rows: int, row_bytes: int) -> int:
        return BASE + self.int(0, DRAM_BYTES - ((rows - 1) * stride + row_bytes))

    def _row(self, accumulator: bool, span: int) -> int:
        rows = self.config.accumulator_rows if accumulator else self.config.scratchpad_rows
        spare = rows - self.memory_rows(accumulator)
        first = {"bottom": 0, "middle": spare // 2, "top": spare}[self.window[accumulator]]
        return first + self.int(0, self.memory_rows(accumulator) - 1 - span)

    def mvin(self) -> None:
        load_id = self.int(0, 2)
        load = self.loads[load_id]
        repeats = max(1, load["pixel_repeats"])
        accumulator = repeats == 1 and self.bool()
        size = 4 if accumulator and not load["shrink"] else 1
        rows = self.int(1, min(self.dim, load["block_stride"]))
        widest = self.config.max_accumulator_columns if size == 4 else self.config.max_block_columns
        columns = self.int(1, min(widest, (1 + (self.memory_rows(accumulator) - rows) // load["block_stride"]) * self.dim))
        if repeats > 1:
            columns = min(columns, self.dim // repeats)
            if columns == 0:
                return
        local = self._row(accumulator, (columns - 1) // self.dim * load["block_stride"] + rows - 1)
        flags = ACCUMULATOR_BIT | self.bool() * ACCUMULATE_BIT if accumulator else 0
        dram = 0 if self.int(0, 7) == 0 else self._dram(load["dram_stride"], rows, columns * size)
        self.emit(("mvin", "mvin2", "mvin3")[load_id], dram=dram, local=local | flags, local_rows=rows, local_cols=columns)

    def mvout(self) -> None:
        accumulator = self.bool()
        if self.pool:
            self._pooled_mvout(accumulator)
            return
        transformed = self.activation >= 2
        full = accumulator and not transformed and self.bool()
        rows = self.int(1, self.dim)
        widest = self.dim if full else self.config.max_block_columns
        columns = self.int(1, min(widest, (1 + (self.memory_rows(accumulator) - rows) // self.dim) * self.dim))
        local = self._row(accumulator, (columns - 1) // self.dim * self.dim + rows - 1)
        norm = self.int(1, 7) if accumulator and self.bool() else 0
        flags = accumulator * ACCUMULATOR_BIT | full * FULL_WIDTH_BIT | norm << NORM_COMMAND_LOW
        dram = self._dram(self.stride, rows, columns * (4 if full else 1))
        self.emit("mvout", dram=dram, local=local | flags, local_rows=rows, local_cols=columns)

    def _pooled_mvout(self, accumulator: bool) -> None:
        p, columns = self.pool, self.int(1, self.dim)
        if self.activation >= 2 or p["out_rows"] * p["out_cols"] > self.memory_rows(accumulator):
            return
        local = self._row(accumulator, p["out_rows"] * p["out_cols"] - 1) | accumulator * ACCUMULATOR_BIT
        pixels = (p["pool_out_rows"] - 1) * p["pool_out_dim"] + p["pool_out_cols"]
        self.emit("mvout", dram=self._dram(self.stride, pixels, columns), local=local, local_rows=self.int(0, 3), local_cols=columns)

    def _operand(self, name: str, stride: int, transposed: int, garbage: bool) -> dict[str, int]:
        rows, columns = self.int(1, self.dim), self.int(1, self.dim)
        taken = columns if transposed else rows
        if transposed and not self.ws and name == "bd":
            taken = max(rows, columns)  # Spike reads its rows as they lie, too
        address = GARBAGE if garbage else self._row(False, stride * (taken - 1))
        return {name: address, f"{name}_rows": rows, f"{name}_cols": columns}

    def compute(self) -> None:
        weights = self._operand("bd", 1, self.ws and self.tb, self.int(0, 3) == 0)
        to_accumulator = self.bool()
        rows = self.int(1, self.dim)
        address = self._row(to_accumulator, self.c_stride * (rows - 1))
        address |= ACCUMULATOR_BIT | self.bool() * ACCUMULATE_BIT if to_accumulator else 0
        no_result = self.int(0, 4) == 0
        self.emit("preload", **weights, c=GARBAGE if no_result else address, c_rows=rows, c_cols=self.int(1, self.dim))
        no_a = no_result and self.bool()
        a = self._operand("a", self.a_stride, self.ta, no_a)
        bd = self._operand("bd", 1, not self.ws and self.tb, (no_a and not self.ws) or self.bool())
        self.emit("compute_preloaded" if self.int(0, 2) else "compute_accumulated", **a, **bd)


def with_scale_values(fields: dict[str, int]) -> dict[str, float]:
    """The fields with their float32 patterns also as numbers, which the reference computes with."""
    bits = fields.get("scale", fields.get("acc_scale"))
    return {**fields, "scale_value": bits_float(bits)} if bits is not None else fields
