"""Random streams that break the rules of strict mode but not those of Spike, which must do the same with them."""

from __future__ import annotations

import numpy as np
from command_streams import BASE, DRAM_BYTES, Step

from baco.hardware import GemminiConfig
from baco.isa import GARBAGE, encode, float_bits
from baco.sim import SimulationFault
from baco.sim.accelerator import Accelerator

SCALES = tuple(float_bits(x) for x in (1.0, 0.5, -0.25, 1e30, float("inf"), float("nan"), 0.01))
KINDS = ("mvin",) * 4 + ("mvout",) * 3 + ("pair",) * 3 + ("preload", "compute", "config_ex", "config_ld", "config_st", "config_norm")


def stream(config: GemminiConfig, rng: np.random.Generator, length: int = 30) -> list[Step]:
    """Configurations, then random commands, without those that stop a run with or without strict mode."""
    dim, one = config.dim, float_bits(1.0)
    steps: list[Step] = [("config_ex", {"dataflow": 1, "a_stride": 1, "c_stride": 1})]
    steps += [("config_ld", {"load_id": n, "block_stride": dim, "scale": one, "dram_stride": 64}) for n in range(3)]
    steps.append(("config_st", {"dram_stride": 64, "acc_scale": one}))
    draw = _Draw(rng, dim)
    for kind in rng.choice(KINDS, length):
        steps += getattr(draw, kind)()
    return _without_faults(steps, config)


def _without_faults(steps: list[Step], config: GemminiConfig) -> list[Step]:
    machine, kept = Accelerator(config, np.zeros(DRAM_BYTES, np.uint8), BASE, strict=False), []
    for name, fields in steps:
        try:
            machine.execute(encode(name, **fields))
        except SimulationFault:
            continue
        kept.append((name, fields))
    return kept


class _Draw:
    """Fields beyond what hardware takes, within what the encoding holds."""

    def __init__(self, rng: np.random.Generator, dim: int) -> None:
        self.rng, self.dim = rng, dim

    def int(self, high: int) -> int:
        return int(self.rng.integers(0, high + 1))

    def local(self, flags: bool = True) -> int:
        if self.int(9) == 0:
            return GARBAGE
        return self.int(60) | (self.int(3) << 30 if flags and self.int(1) else 0)

    def operand(self, name: str) -> dict[str, int]:
        rows, columns = (self.int(self.dim + (5 if self.int(2) == 0 else 0)) for _ in range(2))
        return {name: self.local(False), f"{name}_rows": rows, f"{name}_cols": columns}

    def scale(self) -> int:
        return int(self.rng.choice(SCALES))

    def config_ex(self) -> list[Step]:
        dataflow = self.int(1)
        a, b = ((0, 0), (1, 0), (0, 1) if dataflow else (1, 1))[self.int(2)]
        fields = {"dataflow": dataflow, "activation": self.int(3), "transpose_a": a, "transpose_b": b, "in_shift": self.int(31)}
        return [("config_ex", {**fields, "a_stride": self.int(3), "c_stride": self.int(3)})]

    def config_ld(self) -> list[Step]:
        fields = {"load_id": self.int(2), "shrink": self.int(1), "pixel_repeats": self.int(3), "block_stride": self.int(9)}
        return [("config_ld", {**fields, "scale": self.scale(), "dram_stride": self.int(100)})]

    def config_st(self) -> list[Step]:
        pool = {"pool_stride": self.int(1) * self.int(3), **{f"pool_{name}": self.int(3) for name in ("size", "upper_pad", "left_pad")}}
        pool |= {name: self.int(4) for name in ("pool_out_dim", "pool_out_rows", "pool_out_cols", "out_rows", "out_cols")}
        return [("config_st", {**pool, "activation": self.int(3), "dram_stride": self.int(80), "acc_scale": self.scale()})]

    def config_norm(self) -> list[Step]:
        return [("config_norm", {"stats_slot": self.int(3), "set_stats_slot_only": 1})]

    def mvin(self) -> list[Step]:
        dram = 0 if self.int(9) == 0 else BASE + 1 + self.int(8000)
        size = {"local_rows": self.int(self.dim + 6), "local_cols": self.int(9 * self.dim if self.int(2) == 0 else self.dim + 4)}
        return [(("mvin", "mvin2", "mvin3")[self.int(2)], {"dram": dram, "local": self.local(), **size})]

    def mvout(self) -> list[Step]:
        size = {"local_rows": self.int(self.dim + 6), "local_cols": self.int(self.dim * (3 if self.int(2) == 0 else 1))}
        return [("mvout", {"dram": BASE + 8192 + self.int(8000), "local": self.local() | self.int(1) << 29, **size})]

    def preload(self) -> list[Step]:
        return [("preload", {**self.operand("bd"), "c": self.local(), "c_rows": self.int(self.dim), "c_cols": self.int(self.dim)})]

    def compute(self) -> list[Step]:
        return [(("compute_preloaded", "compute_accumulated")[self.int(1)], {**self.operand("a"), **self.operand("bd")})]

    def pair(self) -> list[Step]:
        return [*self.preload(), *self.compute()]
