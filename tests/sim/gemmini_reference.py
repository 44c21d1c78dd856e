"""An independent model of the accelerator's semantics, element by element in NumPy, to compare the native core with.

It takes field values by name, knows nothing of the encoding's bit positions beyond local address flags, and checks nothing: the
streams it is given are legal.
"""

from __future__ import annotations

import numpy as np

GARBAGE = 0xFFFFFFFF


def s8(x: np.ndarray, scale: float) -> np.ndarray:
    """Scale to int8: fp32 product, half to even, clamp; NaN and huge products are -128."""
    with np.errstate(all="ignore"):
        y = np.asarray(x).astype(np.float32) * np.float32(scale)
        bad = ~(np.abs(y) < np.float32(2.0**63))
        return np.where(bad, -128, np.clip(np.rint(np.where(bad, 0, y)), -128, 127)).astype(np.int8)


def rounding_shift(x: int, n: int) -> int:
    """Half to even, by exact integer division."""
    quotient, rest = divmod(x, 1 << n)
    return quotient + (2 * rest > (1 << n) or (2 * rest == (1 << n) and quotient % 2 == 1))


def wrap(x: np.ndarray) -> np.ndarray:
    return np.asarray(x, np.int64).astype(np.uint32).astype(np.int32)


class Reference:
    """State and semantics; `scratchpad`, `accumulator` and `dram` (bytes from address `base`) are changed in place."""

    def __init__(self, dim: int, scratchpad: np.ndarray, accumulator: np.ndarray, dram: np.ndarray, base: int) -> None:
        self.dim, self.scratchpad, self.accumulator, self.dram, self.base = dim, scratchpad, accumulator, dram, base
        self.loads: dict[int, dict[str, int | float]] = {}
        self.array = np.zeros((dim, dim), np.int32)

    def execute(self, name: str, f: dict) -> None:
        handler = {"mvin": 0, "mvin2": 1, "mvin3": 2}
        if name in handler:
            self.mvin(f, self.loads[handler[name]])
        elif name.startswith("compute"):
            self.compute(f, name == "compute_preloaded")
        else:
            getattr(self, name)(f)

    def flush(self, f: dict) -> None:
        pass

    def config_ex(self, f: dict) -> None:
        self.a_stride, self.c_stride = f["a_stride"], f["c_stride"]
        if not f["set_only_strides"]:
            self.ex = dict(f)

    def config_ld(self, f: dict) -> None:
        self.loads[f["load_id"]] = dict(f)

    def config_st(self, f: dict) -> None:
        self.st = dict(f)

    def preload(self, f: dict) -> None:
        self.pre = dict(f)

    def mvin(self, f: dict, load: dict) -> None:
        accumulator, accumulate = f["local"] >> 31 & 1, f["local"] >> 30 & 1
        size = 4 if accumulator and not load["shrink"] else 1
        for r in range(f["local_rows"]):
            for c in range(f["local_cols"]):
                value = 0
                if f["dram"]:
                    at = f["dram"] + r * load["dram_stride"] + c * size - self.base
                    value = int.from_bytes(self.dram[at : at + size].tobytes(), "little", signed=True)
                    if size == 1:
                        value = int(s8(value, load["scale_value"]))
                row = (f["local"] & 0x1FFFFFFF) + r + c // self.dim * load["block_stride"]
                column = c % self.dim
                if not accumulator:
                    self.scratchpad[row, column] = value
                elif accumulate:
                    self.accumulator[row, column] = wrap(int(self.accumulator[row, column]) + value)
                else:
                    self.accumulator[row, column] = value

    def mvout(self, f: dict) -> None:
        accumulator, full = f["local"] >> 31 & 1, f["local"] >> 29 & 1
        for r in range(f["local_rows"]):
            for c in range(f["local_cols"]):
                row, column = (f["local"] & 0x3FFFFFF) + r + c // self.dim * self.dim, c % self.dim
                at = f["dram"] + r * self.st["dram_stride"] - self.base
                if not accumulator:
                    self.dram[at + c] = np.uint8(self.scratchpad[row, column].view(np.uint8))
                elif full:
                    self.dram[at + 4 * c : at + 4 * c + 4] = self.accumulator[row, column : column + 1].view(np.uint8)
                else:
                    value = int(s8(self.accumulator[row, column], self.st["scale_value"]))
                    self.dram[at + c] = max(value, 0) if self.st["activation"] == 1 else value & 255

    def _tile(self, f: dict, name: str, stride: int, transposed: int) -> np.ndarray:
        tile = np.zeros((self.dim, self.dim), np.int64)
        if f[name] != GARBAGE:
            for i in range(f[f"{name}_rows"]):
                for j in range(f[f"{name}_cols"]):
                    row, column = (j, i) if transposed else (i, j)
                    tile[i, j] = self.scratchpad[f[name] + stride * row, column]
        return tile

    def compute(self, f: dict, preloaded: bool) -> None:
        ws = self.ex["dataflow"] == 1
        if preloaded:
            self.array = self._tile(self.pre, "bd", 1, ws and self.ex["transpose_b"]).astype(np.int32)
        a = self._tile(f, "a", self.a_stride, self.ex["transpose_a"])
        bd = self._tile(f, "bd", 1, not ws and self.ex["transpose_b"])
        if ws:
            result = wrap(a @ self.array.astype(np.int64) + bd)
        else:
            self.array = result = wrap(self.array.astype(np.int64) + a @ bd)
        c = self.pre["c"]
        if c == GARBAGE:
            return
        for i in range(self.pre["c_rows"]):
            for j in range(self.pre["c_cols"]):
                row, value = (c & 0x1FFFFFFF) + self.c_stride * i, int(result[i, j])
                if c >> 31 & 1:
                    before = int(self.accumulator[row, j]) if c >> 30 & 1 else 0
                    self.accumulator[row, j] = wrap(before + value)
                else:
                    value = min(127, max(-128, value if ws else rounding_shift(value, self.ex["in_shift"])))
                    self.scratchpad[row, j] = max(value, 0) if self.ex["activation"] == 1 else value
