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


def i32(x: int) -> int:
    """A whole number modulo 2**32, as int32."""
    return (x + (1 << 31)) % (1 << 32) - (1 << 31)


def truncate(x: float) -> int:
    """Towards zero; the smallest int32 where that does not fit."""
    return int(x) if -(2.0**31) - 1 < x < 2.0**31 else -(1 << 31)


def quotient(a: int, b: int) -> int:
    """Towards zero."""
    return i32(abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1))


class Statistics:
    """One slot of what normalised stores gather."""

    def __init__(self) -> None:
        self.fresh = True
        self.sum = self.count = self.mean = self.running_max = self.max = 0
        self.inverse_stddev = self.inverse_sum_exp = np.float32(0)


class Reference:
    """State and semantics; `scratchpad`, `accumulator` and `dram` (bytes from address `base`) are changed in place."""

    def __init__(self, dim: int, scratchpad: np.ndarray, accumulator: np.ndarray, dram: np.ndarray, base: int) -> None:
        self.dim, self.scratchpad, self.accumulator, self.dram, self.base = dim, scratchpad, accumulator, dram, base
        self.loads: dict[int, dict[str, int | float]] = {}
        self.array = np.zeros((dim, dim), np.int32)
        self.slots = [Statistics() for _ in range(4)]
        self.slot, self.activation = 0, 0
        self.constants = {"qln2": 0, "qln2_inv": 0, "qb": 0, "qc": 0}

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
        self.activation = 4 if self.activation == 4 and f["activation"] == 0 else f["activation"]

    def config_norm(self, f: dict) -> None:
        self.slot = f["stats_slot"]
        if not f["set_stats_slot_only"]:
            self.activation |= f["activation_msb"] << 2
            self.constants |= {"qb": f["qb"], "qc": f["qc"], ("qln2", "qln2_inv")[f["constant_id"]]: f["constant"]}

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
                    for pixel in range(min(max(1, load["pixel_repeats"]), row + 1)):
                        self.scratchpad[row - pixel, column + pixel * f["local_cols"]] = value
                elif accumulate:
                    self.accumulator[row, column] = wrap(int(self.accumulator[row, column]) + value)
                else:
                    self.accumulator[row, column] = value

    def mvout(self, f: dict) -> None:
        accumulator, full = f["local"] >> 31 & 1, f["local"] >> 29 & 1
        if self.st.get("pool_stride"):
            self.pooled_mvout(f)
            return
        for r in range(f["local_rows"]):
            base, at = (f["local"] & 0x3FFFFFF) + r, f["dram"] + r * self.st["dram_stride"] - self.base
            places = [(base + c // self.dim * self.dim, c % self.dim) for c in range(f["local_cols"])]
            if accumulator:
                command = f["local"] >> 26 & 7
                for first in range(0, len(places), self.dim):
                    last = first + self.dim >= len(places)
                    self.gather([int(self.accumulator[p]) for p in places[first : first + self.dim]], command, last)
                if command:
                    continue
            for c, place in enumerate(places):
                if not accumulator:
                    self.dram[at + c] = np.uint8(self.scratchpad[place].view(np.uint8))
                elif full:
                    self.dram[at + 4 * c : at + 4 * c + 4] = np.frombuffer(self.accumulator[place].tobytes(), np.uint8)
                else:
                    self.dram[at + c] = self.scaled(self.transformed(int(self.accumulator[place]))) & 255

    def scaled(self, value: int) -> int:
        """What an int8 store makes of a value of the accumulator."""
        value = int(s8(value, self.st["scale_value"]))
        return max(value, 0) if self.activation == 1 else value

    def pooled_mvout(self, f: dict) -> None:
        st, accumulator, base = self.st, f["local"] >> 31 & 1, f["local"] & 0x3FFFFFF
        for out_row, out_column in np.ndindex(st["pool_out_rows"], st["pool_out_cols"]):
            first = out_row * st["pool_stride"] - st["pool_upper_pad"], out_column * st["pool_stride"] - st["pool_left_pad"]
            for channel in range(f["local_cols"]):
                window = []
                for row, column in np.ndindex(st["pool_size"], st["pool_size"]):
                    row, column = row + first[0], column + first[1]
                    inside = 0 <= row < st["out_rows"] and 0 <= column < st["out_cols"]
                    pixel = base + row * st["out_cols"] + column, channel
                    memory = self.accumulator if accumulator else self.scratchpad
                    value = int(memory[pixel]) if inside else 0
                    window.append(self.scaled(value) if inside and accumulator else value)
                at = f["dram"] + (out_row * st["pool_out_dim"] + out_column) * st["dram_stride"] + channel - self.base
                self.dram[at] = max(window) & 255

    def exponential(self, q: int) -> int:
        k = self.constants
        z = i32(-q * k["qln2_inv"]) >> 16
        p = i32(i32(q + z * k["qln2"]) + k["qb"])
        return i32(p * p + k["qc"]) >> (z & 31)

    def transformed(self, q: int) -> int:
        """What LAYERNORM, IGELU and SOFTMAX make of a value before it is scaled."""
        slot, k = self.slots[self.slot], self.constants
        with np.errstate(all="ignore"):
            if self.activation == 2:
                return truncate(float(np.float32(i32(q - slot.mean)) * slot.inverse_stddev))
            if self.activation == 3:
                size = i32(abs(q))
                clipped = i32(-k["qb"]) if size > i32(-k["qb"]) else size
                p = i32(i32(clipped + k["qb"]) ** 2 + k["qc"])
                return i32(q * i32((-p if q < 0 else p) + k["qc"]))
            if self.activation == 4:
                return int(s8(np.int32(self.exponential(i32(q - slot.max))), float(slot.inverse_sum_exp)))
        return q

    def gather(self, values: list[int], command: int, last: bool) -> None:
        """Feed one block of a row to the statistics; blocks before the last only add to them."""
        if not last:
            command = {2: 1, 4: 3, 7: 6}.get(command, command)
        slot = self.slots[self.slot]
        if slot.fresh:
            slot.sum, slot.count, slot.running_max = 0, 0, -(1 << 31)
        slot.fresh = command in (0, 2, 4)
        if command in (6, 7):
            slot.max = slot.running_max
        if command == 5:
            slot.running_max = max(slot.running_max, *values)
        terms = {1: lambda x: x, 3: lambda x: i32(x - slot.mean) ** 2, 6: lambda x: self.exponential(i32(x - slot.max))}
        for x in values:
            slot.sum = i32(slot.sum + terms.get({2: 1, 4: 3, 7: 6}.get(command, command), lambda _: 0)(x))
        slot.count += len(values) if command in (1, 2, 3, 4) else 0
        with np.errstate(all="ignore"):
            if command == 2:
                slot.mean = quotient(slot.sum, slot.count)
            elif command == 4:
                variance = quotient(slot.sum, slot.count)
                deviation = 1 if variance == 0 else truncate(float(np.sqrt(np.float64(variance)))) if variance > 0 else -(1 << 31)
                slot.inverse_stddev = np.float32(1) / np.float32(deviation)
            elif command == 7:
                slot.running_max = -(1 << 31)
                slot.inverse_sum_exp = np.float32(127) / np.float32(slot.sum)

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
