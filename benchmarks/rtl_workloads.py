"""How near the RTL is to the timing of the real thing: the loop table and the workloads of GEMMINI_UARCH.md (7.2 and 11.1), ours beside it.

    python benchmarks/rtl_workloads.py                       # all of it: some minutes
    python benchmarks/rtl_workloads.py --only conv1 loop     # rows whose name holds one of these
    python benchmarks/rtl_workloads.py --memory flat:6

Workloads are the vendor's default schedules (baco/search/library_commands.py), one command every 4 cycles at the command port; cycles are
from the first command until the accelerator is at rest. Every result is compared with NumPy, and the bytes fetched with the
specification's. Equal loops come as fast as the port takes them, after the configuration has settled.
Memory: flat with reads of 6 cycles (writes 4) or 40 (40), and a cold 512 KiB cache before a DRAM of 60 cycles. Rows run side by side.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from library_layers import BASE, LibraryLayer, addition_layer, convolution_layer, matmul_layer
from rich.console import Console
from rich.table import Table

from baco.hardware import GemminiConfig
from baco.isa import Command, encode, float_bits
from baco.search.library_tiling import Pool
from baco.sim.rtl import MemoryModel, Rtl, RtlCounts
from baco.workloads.layers import convolution

CONFIG = GemminiConfig()
INTERVAL = 4
"""Cycles from a command to the next, at the command port."""
MEMORIES = ("flat:6", "flat:40", "cached:60")
"""What the specification has figures for, in its order."""
LOOP_COUNTS = (1, 4, 8)
"""Lengths of the streams of equal loops: one by itself, and what each costs between the fourth and the eighth."""


@dataclass(frozen=True)
class Workload:
    """A row of the workload table: cycles with each memory, and bytes fetched."""

    name: str
    make: Callable[[], LibraryLayer]
    ideal: int
    """Cycles of an array that is never idle; 0 where there are no products."""
    cycles: tuple[int, int, int]
    bytes_read: int


def _matmul(i: int, j: int, k: int, *figures: int, name: str = "") -> Workload:
    return Workload(name or f"{i}x{j}x{k}", lambda: matmul_layer(i, j, k, CONFIG), figures[0], figures[1:4], figures[4])


def _convolution(name: str, sizes: tuple[int, ...], *figures: int, pool: Pool | None = None) -> Workload:
    """`sizes`: input size, channels, filters, filter size, stride."""
    problem = convolution(name, *sizes)
    return Workload(name, lambda: convolution_layer(problem, CONFIG, pool=pool), figures[0], figures[1:4], figures[4])


WORKLOADS = (
    _matmul(64, 64, 64, 1024, 2347, 2689, 3128, 9216),
    _matmul(128, 128, 128, 8192, 10647, 11464, 11913, 36864),
    _matmul(256, 256, 256, 65536, 70216, 71291, 72535, 475136),
    _matmul(512, 512, 512, 524288, 538946, 540104, 549300, 3473408),
    _matmul(128, 128, 64, 4096, 6417, 7610, 8100, 20480, name="BERT 128x128x64"),
    _matmul(128, 768, 768, 294912, 303261, 302812, 306356, 1425408, name="BERT 128x768x768"),
    _matmul(128, 3072, 768, 1179648, 1187869, 1188489, 1348106, 5382144, name="BERT 128x3072x768"),
    _matmul(128, 768, 3072, 1179648, 1197367, 1189777, 1515881, 9637888, name="BERT 128x768x3072"),
    _matmul(3136, 256, 64, 200704, 224033, 285457, 245333, 1458176),
    _matmul(784, 128, 512, 200704, 207314, 206327, 216667, 893440),
    _matmul(196, 1024, 256, 200704, 217181, 217470, 219583, 1391616),
    _matmul(49, 2048, 512, 200704, 269294, 270723, 269313, 1106432),
    _matmul(1, 1000, 2048, 8000, 198472, 209623, 315818, 2592672, name="FC 1x1000x2048"),
    _convolution("conv1 7x7 s2 and pool", (224, 3, 64, 7, 2), 460992, 2011022, 2218197, 1955297, 6778112, pool=Pool(3, 2, 1)),
    _convolution("3x3 56x56x64", (56, 64, 64, 3), 451584, 466387, 469056, 474773, 1325056),
    _convolution("3x3 28x28x128", (28, 128, 128, 3), 451584, 521474, 528220, 537934, 1554432),
    _convolution("3x3 s2 56-28 x128", (56, 128, 128, 3, 2), 451584, 557584, 616297, 599918, 4508160),
    _convolution("3x3 14x14x256", (14, 256, 256, 3), 451584, 474158, 495500, 566124, 657472),
    _convolution("3x3 7x7x512", (7, 512, 512, 3), 451584, 708507, 716162, 775568, 2841024),
    _convolution("1x1 s2 56x56x256-28x28x512", (56, 256, 512, 1, 2), 401408, 936478, 1115003, 1044062, 7520256),
    Workload("addition 3136x256", lambda: addition_layer(3136, 256, CONFIG), 0, (140515, 178480, 323115), 1851392),
)


@dataclass(frozen=True)
class LoopRow:
    """A row of the loop table: I, J and K of one loop_ws, and for each flat memory the cycles of one loop and of each further one."""

    sizes: tuple[int, int, int]
    bias: bool
    cycles: tuple[tuple[int, int], tuple[int, int]]

    @property
    def name(self) -> str:
        """The row as one is asked for."""
        return f"loop {','.join(map(str, self.sizes))}{' with bias' if self.bias else ''}"

    @property
    def ideal(self) -> int:
        """Cycles of a loop in which the array is never idle."""
        return CONFIG.dim * self.sizes[0] * self.sizes[1] * self.sizes[2]


LOOPS = tuple(
    LoopRow(sizes, bias, cycles)
    for sizes, *both in (
        ((1, 1, 1), ((182, 72), (283, 96)), ((205, 163), (321, 248))),
        ((2, 2, 2), ((434, 160), (552, 198)), ((506, 450), (692, 572))),
        ((1, 4, 4), ((794, 336), (864, 373)), ((866, 490), (1004, 510))),
        ((4, 1, 4), ((720, 393), (903, 450)), ((792, 426), (1043, 609))),
        ((4, 4, 1), ((881, 450), (1027, 454)), ((1215, 784), (1633, 997))),
        ((4, 4, 4), ((2024, 1216), (2094, 1024)), ((2312, 1138), (2654, 1273))),
        ((5, 6, 8), ((6096, 3840), (5833, 3840)), ((6636, 3840), (6883, 3840))),
    )
    for bias, cycles in zip((False, True), both, strict=True)
)


@dataclass(frozen=True)
class Measured:
    """A run of the RTL."""

    cycles: int
    """From the first command until the accelerator is at rest."""
    counts: RtlCounts
    wrong: int
    """Elements of the result that are not NumPy's."""
    seconds: float


def run(layer: LibraryLayer, memory: str, interval: int = INTERVAL) -> Measured:
    """Send a layer to the RTL."""
    rtl = Rtl(CONFIG, layer.memory, BASE, MemoryModel.parse(memory, CONFIG))
    started = time.perf_counter()
    rtl.stream(layer.commands, interval)
    seconds, counts = time.perf_counter() - started, rtl.counts
    wrong = int(np.count_nonzero(layer.result() != layer.expected))
    return Measured(counts.last_busy - counts.first_accepted, counts, wrong, seconds)


def run_workload(workload: Workload, memory: str) -> Measured:
    """A row of the workload table."""
    return run(workload.make(), memory)


def equal_loops(row: LoopRow, count: int) -> tuple[list[Command], list[Command]]:
    """The configuration of a product, and `count` equal loops. Rows in DRAM start at multiples of the largest request."""
    dim = CONFIG.dim
    i, j, k = row.sizes
    a, b, d, c = (BASE + 0x10_0000 * n for n in range(4))
    line = CONFIG.dma_max_bytes
    loads = (-(-k * dim // line) * line, -(-j * dim // line) * line, 0)
    fields = {"block_stride": dim, "pixel_repeats": 1, "scale": float_bits(1.0)}
    commands = [
        encode("config_ex", dataflow=1, a_stride=1, c_stride=1),
        encode("config_st", dram_stride=loads[1], acc_scale=float_bits(1.0)),
    ]
    commands += [encode("config_ld", load_id=n, dram_stride=stride, **fields) for n, stride in enumerate(loads)]
    loop = [
        encode("loop_ws_config_bounds", i=i, j=j, k=k),
        encode("loop_ws_config_addrs_ab", a=a, b=b),
        encode("loop_ws_config_addrs_dc", d=d if row.bias else 0, c=c),
        encode("loop_ws_config_strides_ab", a_stride=loads[0], b_stride=loads[1]),
        encode("loop_ws_config_strides_dc", c_stride=loads[1]),
        encode("loop_ws", ex_accumulate=int(row.bias)),
    ]
    return commands, loop * count


def run_loops(row: LoopRow, memory: str) -> tuple[int, float]:
    """Cycles of one loop by itself, and of each further one in a stream of them."""
    cycles = []
    for count in LOOP_COUNTS:
        rtl = Rtl(CONFIG, np.zeros(0x40_0000, np.uint8), BASE, MemoryModel.parse(memory, CONFIG))
        configuration, loops = equal_loops(row, count)
        rtl.stream(configuration)
        taken = rtl.stream(loops)
        cycles.append(rtl.counts.last_busy - taken[0])
    return cycles[0], (cycles[2] - cycles[1]) / (LOOP_COUNTS[2] - LOOP_COUNTS[1])


def percent(ours: float, expected: float) -> str:
    """How far ours is off."""
    return f"{100 * (ours / expected - 1):+.1f}"


def _chosen(names: list[str], wanted: list[str]) -> list[int]:
    return [n for n, name in enumerate(names) if not wanted or any(word in name for word in wanted)]


def _workload_table(pool: ProcessPoolExecutor, memories: list[str], wanted: list[str]) -> Iterator[Table]:
    rows = _chosen([w.name for w in WORKLOADS], wanted)
    if not rows:
        return
    jobs = {(n, m): pool.submit(_run_numbered, n, m) for n in sorted(rows, key=lambda n: -WORKLOADS[n].cycles[0]) for m in memories}
    table = Table(title="Workloads: cycles, expected cycles, % off; bytes fetched, % off; wrong results", title_justify="left")
    for title in ("workload", "ideal", *(f"{m} {part}" for m in memories for part in ("ours", "expected", "%")), "bytes", "%", "wrong"):
        table.add_column(title, justify="left" if title == "workload" else "right")
    seconds = simulated = 0.0
    for n in rows:
        w, cells = WORKLOADS[n], []
        for memory in memories:
            got, expected = jobs[n, memory].result(), w.cycles[MEMORIES.index(memory)]
            cells += [str(got.cycles), str(expected), percent(got.cycles, expected)]
            seconds, simulated = seconds + got.seconds, simulated + got.counts.cycle
        fetched = got.counts.bytes_read
        table.add_row(w.name, str(w.ideal), *cells, str(fetched), percent(fetched, w.bytes_read), str(got.wrong))
    table.caption = f"{simulated / 1e6:.1f} million cycles at {simulated / seconds / 1e3:.0f} thousand a second in each process"
    yield table


def _loop_table(pool: ProcessPoolExecutor, memories: list[str], wanted: list[str]) -> Iterator[Table]:
    rows, memories = _chosen([row.name for row in LOOPS], wanted), [m for m in memories if m in MEMORIES[:2]]
    if not rows or not memories:
        return
    jobs = {(n, m): pool.submit(run_loops, LOOPS[n], m) for n in rows for m in memories}
    table = Table(title="Equal loops: cycles of one / of each further one, expected, % off", title_justify="left")
    for title in ("loop", "ideal", *(f"{m} {part}" for m in memories for part in ("ours", "expected", "%"))):
        table.add_column(title, justify="left" if title == "loop" else "right")
    for n in rows:
        cells = []
        for memory in memories:
            (one, each), (want_one, want_each) = jobs[n, memory].result(), LOOPS[n].cycles[MEMORIES.index(memory)]
            cells += [f"{one} / {each:.0f}", f"{want_one} / {want_each}", f"{percent(one, want_one)} / {percent(each, want_each)}"]
        table.add_row(LOOPS[n].name, str(LOOPS[n].ideal), *cells)
    yield table


def _run_numbered(number: int, memory: str) -> Measured:
    return run_workload(WORKLOADS[number], memory)


def main(given: list[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="rows whose name holds one of these")
    parser.add_argument("--memory", nargs="+", choices=MEMORIES, default=list(MEMORIES))
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args(given)
    Rtl(CONFIG, np.zeros(64, np.uint8), BASE)  # built once, here
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool:
        for make in (_loop_table, _workload_table):
            for table in make(pool, options.memory, options.only):
                Console(width=230).print(table)


if __name__ == "__main__":
    main()
