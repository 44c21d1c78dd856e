"""How near the RTL is to the timing of the real thing, unit by unit: ours beside the figures of GEMMINI_UARCH.md.

The tables are 3.5 (loads), 4.3 (stores) and 6.3 (the array); the isolated latencies and the bank tests are of 11.3.

    python benchmarks/rtl_timing.py                # all of it, under a minute once the RTL is built
    python benchmarks/rtl_timing.py --only mvout   # rows whose name holds one of these

Cycles of a unit in a long stream are the slope between a stream and one of twice its length. Memory is flat: reads and writes take L.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from baco.hardware import GemminiConfig
from baco.isa import ACCUMULATE_BIT, ACCUMULATOR_BIT, FULL_WIDTH_BIT, GARBAGE, Command, encode, float_bits
from baco.sim.rtl import MemoryModel, Rtl

CONFIG = GemminiConfig()
BASE = 0x8000_0000
BANK = CONFIG.scratchpad_bank_rows
LENGTH = 80
"""Commands or pairs of the shorter stream; the array takes five pairs of few rows at a time."""
LOAD_LATENCIES = (6, 10, 20, 40, 60, 100)
"""Of the columns of table 3.5."""


@dataclass(frozen=True)
class Row:
    """A figure of the specification: in which table, what of, what it is, and how to measure ours."""

    table: str
    name: str
    expected: float
    measure: Callable[[], float]


def cycles(commands: Sequence[Command], setup: Sequence[Command], latency: int) -> int:
    """From the first command's arrival until the accelerator is at rest, the configuration being done before."""
    rtl = Rtl(CONFIG, np.zeros(1 << 20, np.uint8), BASE, MemoryModel(flat=True, get_latency=latency, put_latency=latency))
    rtl.stream(setup)
    taken = rtl.stream(commands)
    return rtl.counts.last_busy - taken[0]


def slope(unit: Callable[[int], list[Command]], setup: Sequence[Command], latency: int = 6) -> float:
    """Cycles that one more `unit` costs in a long stream."""
    streams = [[command for i in range(n) for command in unit(i)] for n in (LENGTH, 2 * LENGTH)]
    short, long = (cycles(stream, setup, latency) for stream in streams)
    return (long - short) / LENGTH


# ---- loads (3.5) ----------------------------------------------------------------------------------------------------------------------


def load_setup(stride: int = 64, scale: float = 1.0) -> list[Command]:
    """A load configuration."""
    return [encode("config_ld", dram_stride=stride, scale=float_bits(scale), block_stride=16)]


def mvin(rows: int, columns: int, local: int = 0, offset: int = 0) -> list[Command]:
    """One load."""
    return [encode("mvin", dram=BASE + offset, local=local, local_rows=rows, local_cols=columns)]


def load_rows() -> list[Row]:
    """Cycles of loads in a long stream of them."""
    shapes: list[tuple[str, list[Command], list[Command], tuple[float, ...]]] = [
        ("16 rows x 64", load_setup(), mvin(16, 64), (64, 64, 64, 64, 70, 110)),
        ("16 x 48", load_setup(), mvin(16, 48), (80, 80, 80, 80, 80, 110)),
        ("16 x 32", load_setup(), mvin(16, 32), (32, 32, 32.5, 48, 68, 108)),
        ("16 x 16", load_setup(), mvin(16, 16), (17.5, 19.5, 27, 47, 67, 107)),
        ("4 x 16", load_setup(), mvin(4, 16), (11.5, 13.5, 18.5, 28.5, 38.5, 58.5)),
        ("1 x 16", load_setup(), mvin(1, 16), (10, 12, 17, 27, 37, 57)),
        ("16 x 64 at offset 16", load_setup(), mvin(16, 64, offset=16), (80, 80, 80, 99, 138, 218)),
        ("bias 16 x 16, one row repeated", load_setup(0), mvin(16, 16, ACCUMULATOR_BIT), (18, 20, 25, 35, 45, 65)),
        ("bias 16 x 16, 16 rows", load_setup(), mvin(16, 16, ACCUMULATOR_BIT), (64, 64, 64, 64, 70, 110)),
        ("16 x 64, scale not 1", load_setup(scale=0.5), mvin(16, 64), (256,) * 6),
    ]
    return [
        Row("3.5 loads", f"mvin {name}, L = {latency}", expected, lambda s=setup, u=unit, at=latency: slope(lambda _: u, s, at))
        for name, setup, unit, row in shapes
        for latency, expected in zip(LOAD_LATENCIES, row, strict=True)
    ]


# ---- stores (4.3) ---------------------------------------------------------------------------------------------------------------------


def store_setup(**fields: int) -> list[Command]:
    """A store configuration."""
    return [encode("config_st", **{"dram_stride": 64, "acc_scale": float_bits(1.0), **fields})]


def mvout(columns: int, local: int = ACCUMULATOR_BIT, rows: int = 16, offset: int = 0) -> list[Command]:
    """One store."""
    return [encode("mvout", dram=BASE + offset, local=local, local_rows=rows, local_cols=columns)]


def store_rows() -> list[Row]:
    """Cycles of stores in a long stream of them."""
    pool = store_setup(pool_stride=2, pool_size=3, pool_out_dim=7, pool_out_rows=7, pool_out_cols=7, out_rows=15, out_cols=15)
    shapes: list[tuple[str, list[Command], list[Command], int, float]] = [
        ("64 columns", store_setup(), mvout(64), 6, 112),
        ("48 columns", store_setup(), mvout(48), 6, 96),
        ("32 columns", store_setup(), mvout(32), 6, 51),
        ("16 columns, Lw = 6", store_setup(), mvout(16), 6, 25.7),
        ("16 columns, Lw = 18", store_setup(), mvout(16), 18, 25.7),
        ("16 columns, Lw = 20", store_setup(), mvout(16), 20, 27),
        ("16 columns, Lw = 40", store_setup(), mvout(16), 40, 47),
        ("64 columns at offset 16", store_setup(), mvout(64, offset=16), 6, 128),
        ("16 columns of int32", store_setup(), mvout(16, ACCUMULATOR_BIT | FULL_WIDTH_BIT), 6, 64),
        ("64 columns of the scratchpad", store_setup(), mvout(64, 0), 6, 112),
        ("3x3 max-pooling to 7x7", pool, mvout(16, rows=0), 6, 705),
    ]
    return [
        Row("4.3 stores", f"mvout {name}", expected, lambda s=setup, u=unit, at=latency: slope(lambda _: u, s, at))
        for name, setup, unit, latency, expected in shapes
    ]


# ---- the array (6.3) ------------------------------------------------------------------------------------------------------------------

EXECUTE = [encode("config_ex", dataflow=1, a_stride=1, c_stride=1)]


def pair(rows: int, *, weights: int = GARBAGE, a: int = 0, c: int = ACCUMULATOR_BIT | ACCUMULATE_BIT) -> list[Command]:
    """A preload and its compute, with new weights if they are given."""
    name = "compute_accumulated" if weights == GARBAGE else "compute_preloaded"
    return [
        encode("preload", bd=weights, bd_cols=16, bd_rows=16, c=c, c_cols=16, c_rows=rows),
        encode(name, a=a, a_cols=16, a_rows=rows, bd=GARBAGE, bd_cols=16, bd_rows=16),
    ]


def c_row(i: int) -> int:
    """Successive results go to successive tiles of the first accumulator bank."""
    return ACCUMULATOR_BIT | ACCUMULATE_BIT | i % 16 * 16


def array_rows() -> list[Row]:
    """Cycles of products in a long stream of them."""
    measured = {4: 7.34, 5: 7.55, 6: 7.77, 7: 7.98, 8: 8.20, 10: 10.0, 12: 12.0, 14: 14.0, 16: 16.0}
    rows = [
        Row("6.3 array", f"pair of {r} rows, weights kept", expected, lambda r=r: slope(lambda i: pair(r, c=c_row(i)), EXECUTE))
        for r, expected in measured.items()
    ]
    for r in (4, 8, 16):
        new = lambda i, r=r: pair(r, weights=BANK, c=c_row(i))  # noqa: E731
        rows.append(Row("6.3 array", f"pair of {r} rows, new weights", 16.0, lambda new=new: slope(new, EXECUTE)))
    same = lambda i: pair(16, weights=64, c=c_row(i))  # noqa: E731
    return [*rows, Row("6.3 array", "pair of 16 rows, A and weights in one bank", 32.0, lambda: slope(same, EXECUTE))]


# ---- isolated latencies and bank tests (11.3) -----------------------------------------------------------------------------------------


def latency_rows() -> list[Row]:
    """Cycles of what is alone, from its command to rest."""
    both = [*load_setup(), *store_setup(), *EXECUTE]
    pairs = lambda n: [command for i in range(n) for command in pair(16, weights=BANK, c=c_row(i))]  # noqa: E731
    rows = [Row("11.3 alone", "config_ld", 7, lambda: cycles(load_setup(), both, 6))]
    for latency in (6, 40):
        rows += [
            Row("11.3 alone", f"mvin 1 x 16, L = {latency}", 21 + latency, lambda at=latency: cycles(mvin(1, 16), both, at)),
            Row("11.3 alone", f"mvin 16 x 64, L = {latency}", 84 + latency, lambda at=latency: cycles(mvin(16, 64), both, at)),
            Row("11.3 alone", f"mvout 1 x 16, Lw = {latency}", 26 + latency, lambda at=latency: cycles(mvout(16, rows=1), both, at)),
        ]
    rows += [Row("11.3 alone", f"{n} pairs with new weights", 60 + 16 * n, lambda n=n: cycles(pairs(n), both, 6)) for n in (1, 4, 16)]
    return rows


def bank_rows() -> list[Row]:
    """Extra cycles of pairs that loads or stores disturb; the specification does not say Lw, and with 20 its figure comes out."""
    both = [*load_setup(), *store_setup(), *EXECUTE]

    def loads(local: int) -> float:
        pairs = [pair(16, weights=BANK, c=c_row(i)) for i in range(48)]
        beside = [command for i in range(8) for command in mvin(16, 64, local + 64 * i)]
        disturbed = cycles([c for p in (*pairs[:2], beside, *pairs[2:]) for c in p], both, 6)
        return disturbed - cycles([c for p in pairs for c in p], both, 6)

    def stores(local: int, accumulate: int) -> float:
        pairs = [pair(16, weights=BANK, c=ACCUMULATOR_BIT | accumulate | i % 16 * 16) for i in range(32)]
        beside = [command for i in range(4) for command in mvout(16, ACCUMULATOR_BIT | local + 16 * i)]
        disturbed = cycles([c for p in (*pairs[:16], beside, *pairs[16:]) for c in p], both, 20)
        return disturbed - cycles([c for p in pairs for c in p], both, 20)

    half = CONFIG.accumulator_bank_rows
    return [
        Row("11.3 banks", "8 mvins of 1 KiB into A's bank, 48 pairs", 512, lambda: loads(1024)),
        Row("11.3 banks", "8 mvins of 1 KiB into another half, 48 pairs", 0, lambda: loads(2 * BANK)),
        Row("11.3 banks", "4 mvouts from the accumulating bank, 32 pairs", 718 - 575, lambda: stores(256, ACCUMULATE_BIT)),
        Row("11.3 banks", "4 mvouts from the other bank, 32 pairs", 0, lambda: stores(half, ACCUMULATE_BIT)),
        Row("11.3 banks", "4 mvouts from the bank overwritten, 32 pairs", 0, lambda: stores(256, 0)),
    ]


def rows() -> list[Row]:
    """Every figure."""
    return [*load_rows(), *store_rows(), *array_rows(), *latency_rows(), *bank_rows()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="*", default=[], help="words of the rows' names")
    options = parser.parse_args()
    wanted = [row for row in rows() if not options.only or any(word in f"{row.table} {row.name}" for word in options.only)]
    table = Table(
        "table", "what", "expected", "ours", "difference", title="Cycles of units, as specified and on the RTL", title_justify="left"
    )
    within = 0
    for row in wanted:
        ours = row.measure()
        within += abs(ours - row.expected) <= 1
        table.add_row(row.table, row.name, f"{row.expected:g}", f"{ours:g}", f"{ours - row.expected:+.2f}")
    console = Console(width=120)
    console.print(table)
    console.print(f"{within} of {len(wanted)} within 1 cycle")


if __name__ == "__main__":
    main()
