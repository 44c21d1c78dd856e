"""A picture of a design: its memories, what crosses between them for the whole network, and where the energy goes."""

from __future__ import annotations

import math

from baco.perfmodel.equations import access_energies
from baco.search.charts import WIDTH, number, svg, text
from baco.search.result import NetworkResult

PLACES = ("compute", "registers", "accumulator", "scratchpad", "dram")
"""In the order of their colours."""
NAMES = {
    "compute": "compute",
    "registers": "registers",
    "accumulator": "accumulator",
    "scratchpad": "scratchpad",
    "dram": "DRAM",
}
HEIGHT = 372


def energy_by_place(design: NetworkResult) -> dict[str, float]:
    """pJ of the whole network: of the multiply-accumulates, and of the accesses of each level."""
    return {place: sum(r.layer.count * r.cost.energies[place] for r in design.layers) for place in PLACES}


def words(design: NetworkResult, verb: str, level: str, *tensors: str) -> int:
    """Words of the whole network that are read ('reads') or written ('writes') at a level."""
    return sum(r.layer.count * getattr(r.cost.traffic, verb)[level, tensor] for r in design.layers for tensor in tensors)


def picture(design: NetworkResult) -> str:
    """DRAM on top, both memories below it, the array at the foot; arrows are as wide as the logarithm of the words that cross."""
    machine, energies = design.machine, energy_by_place(design)
    price = access_energies(machine.accumulator_kib_per_column, machine.scratchpad_kib, design.constants.energy)
    total = sum(energies.values())

    def energy(*places: str) -> str:
        return f"{sum(energies[p] for p in places) / total:.0%} of the energy"

    def access(level: str) -> str:
        return f"{price[level]:.3g} pJ a word"

    dram = [f"{machine.dram_words_per_cycle:g} words a cycle, {access('dram')}", energy("dram")]
    scratchpad = [f"{machine.scratchpad_kib:g} KiB", access("scratchpad"), energy("scratchpad")]
    accumulator = [f"{machine.accumulator_kib:g} KiB", access("accumulator"), energy("accumulator")]
    columns = machine.columns or machine.side
    array = [f"{machine.side} x {columns} elements, {design.utilisation:.0%} busy", energy("compute", "registers")]
    body = [
        _box(10, 4, WIDTH - 20, 60, 4, "DRAM", dram),
        _box(10, 134, 172, 78, 3, "scratchpad", scratchpad),
        _box(198, 134, 172, 78, 2, "accumulator", accumulator),
        _box(10, 282, WIDTH - 20, 86, 0, "array", array),
        _elements(WIDTH - 92, 290, machine.side, columns),
        _arrow(60, 66, 132, words(design, "reads", "dram", "weights"), "weights"),
        _arrow(146, 66, 132, words(design, "reads", "dram", "inputs"), "inputs"),
        _arrow(246, 66, 132, words(design, "reads", "dram", "outputs"), "sums"),
        _arrow(330, 132, 66, words(design, "writes", "dram", "outputs"), "outputs"),
        _arrow(60, 214, 280, words(design, "reads", "scratchpad", "weights"), "weights"),
        _arrow(146, 214, 280, words(design, "reads", "scratchpad", "inputs"), "inputs"),
        _arrow(246, 214, 280, words(design, "reads", "accumulator", "outputs"), "read"),
        _arrow(330, 280, 214, words(design, "writes", "accumulator", "outputs"), "written"),
    ]
    return svg(HEIGHT, [part for part in body if part], "memory hierarchy")


def _box(x: float, y: float, width: float, height: float, colour: int, title: str, lines: list[str]) -> str:
    parts = [
        f'<rect class="box" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>',
        f'<rect class="c{colour}" x="{x}" y="{y}" width="5" height="{height}" rx="2"/>',
        text(x + 14, y + 18, title, style="strong"),
        *(text(x + 14, y + 36 + 16 * i, line) for i, line in enumerate(lines)),
    ]
    return "".join(parts)


def _elements(x: float, y: float, rows: int, columns: int) -> str:
    """A grid that says how large the array is: one square for each element up to 16 x 16, then one for several."""
    across, down = (min(n, 16) for n in (columns, rows))
    step = 68 / max(across, down)
    squares = "".join(
        f"M{x + column * step:.1f} {y + row * step:.1f}h{step * 0.78:.1f}v{step * 0.78:.1f}h{-step * 0.78:.1f}z"
        for row in range(down)
        for column in range(across)
    )
    return f'<path class="c0" d="{squares}"/>'


def _arrow(x: float, start: float, end: float, count: int, tensor: str) -> str:
    """Nothing where no word crosses."""
    if not count:
        return ""
    half = max(1.5, math.log10(count)) / 2.2
    down = 1 if end > start else -1
    tip, neck = end - down, end - down * 10
    shape = f"M{x - half:.1f} {start}V{neck}h-4L{x:.1f} {tip}L{x + half + 4:.1f} {neck}h-4V{start}z"
    middle = (start + end) / 2
    label = text(x + half + 5, middle - 3, tensor, style="quiet") + text(x + half + 5, middle + 11, number(count))
    return f'<path class="arrow" d="{shape}"><title>{count:,} words</title></path>{label}'
