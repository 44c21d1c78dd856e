"""Cycles of our RTL beside those of Gemmini on an FPGA (FireSim): rows of the training table of DOSA's artifact, rebuilt and run.

    python benchmarks/firesim.py --data firesim_gemmini_train.csv                   # run what has not been run, then print and draw
    python benchmarks/firesim.py --data firesim_gemmini_train.csv --bus-bits 64     # the same on a narrower memory port
    python benchmarks/firesim.py --data firesim_gemmini_train.csv --report          # print and draw only

The table is not part of this project; without it the program says so and ends. What we measured is in results/firesim.jsonl, one line a
run. Which rows, read how, run how: docs/firesim.md, where the rule was written down before anything was run.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from library_layers import BASE, LibraryLayer, convolution_layer, matmul_layer
from scatter import scatter

from baco.hardware import GemminiConfig
from baco.search.library_commands import Schedule
from baco.sim.rtl import MemoryModel, Rtl
from baco.toolchain import atomic_write
from baco.workload import DIMENSIONS, DRAM, SCRATCHPAD, Mapping, Problem

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "firesim.jsonl"
PICTURE = HERE.parent / "docs" / "firesim.svg"

LARGEST_SIDE, SMALLEST_SIDE = 16, 4
BUS_BITS = GemminiConfig().dma_bus_bits
MOST_CYCLES = 5_000_000
"""Rows that took longer are left out: they would take minutes each."""
CHOSEN = {
    ("convolution", 4): 12,
    ("convolution", 8): 12,
    ("convolution", 16): 24,
    ("product", 4): 6,
    ("product", 8): 6,
    ("product", 16): 12,
}
"""Rows of each kind and side, evenly spaced by rank of measured cycles, the fewest and the most among them."""

WIDE = 24
"""Bytes: reads of fewer on average take mostly one beat of the memory port."""
LOOP_CYCLES = {"convolution": 250, "product": 145}
"""From one loop's first command to the next one's at least. Convolutions: the floor of the table's cycles over tiles, whatever is in the
tiles. Products: the middle of what is known of the library's loop (GEMMINI_UARCH.md section 9.2)."""
COMMAND_CYCLES = {"convolution": 8, "product": 6}
"""Between the commands of one loop (the same section: 60 for seven, 38 to 42 for six)."""
LOOP_COMMANDS = {"convolution": 7, "product": 6}


@dataclass(frozen=True)
class Row:
    """A row as we read it: tile sizes in elements, loops over tiles from the outermost on, and the side of the array."""

    number: int
    problem: Problem
    tile: dict[str, int]
    order: str
    side: int
    cycles: int
    text: str

    @property
    def kind(self) -> str:
        p = self.problem
        return "product" if p.Q * p.R * p.S == 1 else "convolution"

    @property
    def tiles(self) -> int:
        """Loop instructions; a product's tiles are whole blocks."""
        least = self.side if self.kind == "product" else 1
        return math.prod(-(-size // (-(-self.tile[d] // least) * least)) for d, size in self.problem.sizes.items())

    @property
    def config(self) -> GemminiConfig:
        return GemminiConfig(dim=self.side)

    @property
    def fits(self) -> bool:
        """Whether half of each memory of the default capacities holds a tile."""
        p, t, blocks = self.problem, self.tile, lambda d: -(-self.tile[d] // self.side)
        if self.kind == "product":
            inputs, weights = (blocks(a) * blocks(b) * self.side for a, b in ("PC", "CK"))
            outputs = blocks("P") * blocks("K") * self.side
        else:
            inputs = blocks("C") * math.prod(t[o] * s + t[f] - 1 for o, f, s in zip("PQ", "RS", p.stride, strict=True))
            weights, outputs = blocks("K") * t["R"] * t["S"] * t["C"], blocks("K") * t["P"] * t["Q"]
        return inputs + weights <= self.config.scratchpad_rows // 2 and outputs <= self.config.accumulator_rows // 2


TURNED = str.maketrans("RSPQ", "SRQP")
"""In the table P and R run along a row of the image."""


def read(fields: dict[str, str], number: int) -> Row:
    """A row of the table. Sides: the least power of two that holds the spatial factors, `SMALLEST_SIDE` at least."""
    mapping, sizes = Mapping.parse(fields["mapping.mapping"]), {d: int(fields[f"prob.{d}"]) for d in DIMENSIONS}
    turned = {} if sizes["Q"] == sizes["R"] == sizes["S"] == 1 else TURNED  # P of a product is the number of rows, here too
    sizes, tile = ({d.translate(turned): size for d, size in s.items()} for s in (sizes, mapping.tile(SCRATCHPAD)))
    stride, order = (int(fields["prob.Hstride"]), int(fields["prob.Wstride"])), mapping.orders[DRAM].translate(turned)
    border = ((sizes["R"] - 1) // 2,) * 2
    problem = Problem(**sizes, stride=stride, padding=border, name=f"row {number}")
    side = max(SMALLEST_SIDE, 1 << (max(mapping.spatial_c, mapping.spatial_k) - 1).bit_length())
    return Row(number, problem, tile, order, side, round(float(fields["target.gemmini_cycle"])), fields["mapping.mapping"])


def why_not(row: Row) -> str:
    """Why a row is left out, in the order of the rule; empty for those to choose from."""
    if row.side > LARGEST_SIDE:
        return f"spatial factors above {LARGEST_SIDE}"
    if row.cycles < row.problem.macs / row.side**2:
        return "fewer cycles than multiply-accumulates over the array's"
    if row.kind == "convolution" and row.problem.P != row.problem.Q:
        return "an image that is not square"
    if not row.fits:
        return "tiles larger than half of a memory"
    if row.cycles > MOST_CYCLES:
        return f"more than {MOST_CYCLES:,} cycles"
    return ""


def choose(rows: Iterable[Row]) -> list[Row]:
    """Rows evenly spaced by rank of cycles in each kind and side."""
    rows, chosen = list(rows), []
    for (kind, side), count in CHOSEN.items():
        ranked = sorted((r for r in rows if (r.kind, r.side) == (kind, side)), key=lambda r: (r.cycles, r.number))
        picks = sorted({round(i * (len(ranked) - 1) / (count - 1)) for i in range(count)})
        chosen += [ranked[i] for i in picks]
    return chosen


def layer_of(row: Row, config: GemminiConfig) -> LibraryLayer:
    """The row's layer in the vendor's loops over its tiles, every tile loaded anew, without a bias."""
    p, schedule = row.problem, Schedule(row.tile, row.order, reuse=False, first_layer=False)
    if row.kind == "product":
        return matmul_layer(p.P, p.K, p.C, config, name=p.name, bias=False, schedule=schedule)
    return convolution_layer(p, config, bias=False, schedule=schedule)


def play(rtl: Rtl, layer: LibraryLayer, kind: str) -> dict[str, object]:
    """Send the layer's commands as its host core would, and wait until all is done; cycles and what was counted."""
    loop, configurations = LOOP_COMMANDS[kind], len(layer.commands) % LOOP_COMMANDS[kind]
    cycle = begun = late = 0
    for i, command in enumerate(layer.commands):
        at = cycle + COMMAND_CYCLES[kind]
        if i >= configurations and (i - configurations) % loop == 0:
            begun = at = max(at, begun + LOOP_CYCLES[kind])
        cycle = rtl.send(command, at)
        late += cycle - at
    whole, counts = rtl.fence(cycle), rtl.counts
    return {
        "cycles": whole,
        "waited_to_send": late,
        "busy": counts.busy_cycles,
        "reads": counts.gets,
        "bytes_read": counts.bytes_read,
        "bytes_written": counts.bytes_written,
        "misses": counts.misses,
        "stalls": counts.stalls,
    }


def measure(row: Row, side: int, bus_bits: int) -> dict[str, object]:
    """Run a row on an array of a side."""
    config = GemminiConfig(dim=side, dma_bus_bits=bus_bits)
    layer = layer_of(row, config)
    started = time.monotonic()
    counted = play(Rtl(config, layer.memory, BASE, MemoryModel.cached(config)), layer, row.kind)
    return {
        "row": row.number,
        "side": side,
        "bus_bits": bus_bits,
        "tiles": row.tiles,
        **counted,
        "seconds": round(time.monotonic() - started, 1),
    }


def kept(bus_bits: int) -> dict[tuple[int, int], dict]:
    """What has been measured with a memory port of that width, by row and side."""
    found = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    return {(line["row"], line["side"]): line for line in found if line["bus_bits"] == bus_bits}


def spearman(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Rank correlation, ties with their mean rank."""

    def ranks(values: Sequence[float]) -> list[float]:
        return [sum(v < value for v in values) + (sum(v == value for v in values) - 1) / 2 for value in values]

    a, b = ranks(xs), ranks(ys)
    mean = (len(a) - 1) / 2
    covariance = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    return covariance / math.sqrt(sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b))


def figures(pairs: Sequence[tuple[float, float]]) -> str:
    """Cells of (measured, ours): rows, Spearman, mean absolute error, and how many are within 10 and 25 %."""
    errors = [abs(ours / there - 1) for there, ours in pairs]
    within = [sum(e <= limit for e in errors) for limit in (0.10, 0.25)]
    ratio = math.exp(sum(math.log(ours / there) for there, ours in pairs) / len(pairs))
    rank = spearman(*zip(*pairs, strict=True))
    return f"{len(pairs)} | {rank:.3f} | {100 * sum(errors) / len(errors):.0f} % | {ratio:.2f} | {within[0]} | {within[1]}"


HEADER = "rows | run on | number | Spearman | mean error | mean ratio | within 10 % | within 25 %"


def bytes_a_read(ran: dict) -> float:
    """Bytes fetched by a request to memory, on average."""
    return ran["bytes_read"] / ran["reads"]


def report(rows: Sequence[Row], results: dict[tuple[int, int], dict]) -> str:
    """The tables of docs/firesim.md."""
    lines = [f"| {HEADER} |", "|" + "---|" * HEADER.count("|") + "---|"]
    for kind in ("convolution", "product"):
        groups = [(f"{side} x {side}", [(r, side) for r in rows if (r.kind, r.side) == (kind, side)]) for side in (4, 8, 16)]
        groups.append(("their side", [(r, r.side) for r in rows if r.kind == kind]))
        groups.append(("16 x 16 instead of 4 or 8", [(r, LARGEST_SIDE) for r in rows if r.kind == kind and r.side < LARGEST_SIDE]))
        for name, of_width in (("reads under", lambda width: width < WIDE), ("reads from", lambda width: width >= WIDE)):
            runs = [(r, r.side) for r in rows if r.kind == kind and (r.number, r.side) in results]
            runs = [(r, side) for r, side in runs if of_width(bytes_a_read(results[r.number, side]))]
            groups.append((f"their side, {name} {WIDE} bytes", runs))
        for where, runs in groups:
            pairs = [(r.cycles, results[r.number, side]["cycles"]) for r, side in runs if (r.number, side) in results]
            if len(pairs) > 2:
                lines.append(f"| {kind}s | {where} | {figures(pairs)} |")
    lines += [
        "",
        "| row | layer (R P C K stride) | mapping | tiles | ours / measured | bytes a read | read |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in sorted(rows, key=lambda r: (r.kind, r.side, r.cycles)):
        if ran := results.get((r.number, r.side)):
            p, ratio, share = r.problem, ran["cycles"] / r.cycles, ran["bytes_read"] / ran["cycles"]
            layer = f"{p.R} {p.P} {p.C} {p.K} {p.stride[0]}"
            lines.append(f"| {r.number} | {layer} | {r.text} | {r.tiles} | {ratio:.2f} | {bytes_a_read(ran):.0f} | {share:.1f} B/cycle |")
    return "\n".join(lines)


def draw(rows: Sequence[Row], results: dict[tuple[int, int], dict]) -> None:
    """The picture of docs/firesim.md: rows on the array of their side."""
    groups = [
        (
            f"{kind}s, {side} x {side}",
            [
                (r.cycles, results[r.number, side]["cycles"], r.problem.name)
                for r in rows
                if (r.kind, r.side) == (kind, side) and (r.number, side) in results
            ],
        )
        for kind in ("convolution", "product")
        for side in (4, 8, 16)
    ]
    drawn = [group for group in groups if group[1]]
    if drawn:
        atomic_write(PICTURE, scatter(drawn, "cycles on the FPGA", "cycles of this RTL", "cycles against FireSim's"))


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("BACO_FIRESIM"), help="firesim_gemmini_train.csv of DOSA's artifact")
    parser.add_argument(
        "--bus-bits",
        type=int,
        default=BUS_BITS,
        help="width of the memory port; the rule's is %(default)s, others run rows on their side only",
    )
    parser.add_argument("--report", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    if arguments.data is None or not Path(arguments.data).exists():
        print(f"skipped: there is no table of FireSim measurements at {arguments.data}; name it with --data.")
        return 0
    with Path(arguments.data).open(newline="") as file:
        rows = [read(fields, number) for number, fields in enumerate(csv.DictReader(file))]
    reasons = [why_not(row) for row in rows]
    for reason in sorted(set(reasons), key=lambda r: -reasons.count(r)):
        print(f"{reasons.count(reason):5} {reason or 'to choose from'}")
    chosen = choose(row for row, reason in zip(rows, reasons, strict=True) if not reason)
    results = kept(arguments.bus_bits)
    usual = arguments.bus_bits == BUS_BITS
    runs = [
        (row.number, side) for row in sorted(chosen, key=lambda r: r.cycles) for side in {row.side, LARGEST_SIDE if usual else row.side}
    ]
    left = sorted(set(runs) - set(results), key=lambda run: (run[1] != rows[run[0]].side, runs.index(run)))
    for number, side in [] if arguments.report else left:
        results[number, side] = line = measure(rows[number], side, arguments.bus_bits)
        RESULTS.parent.mkdir(exist_ok=True)
        with RESULTS.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(f"row {number} on {side} x {side}: {line['cycles']:,} cycles, measured {rows[number].cycles:,}", flush=True)
    print(report(chosen, results))
    if usual:
        draw(chosen, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
