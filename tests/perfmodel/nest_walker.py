"""An independent count of accesses: walks the whole loop nest and watches which tile each memory holds. Slow and plain on purpose.

Where a last tile is smaller than the others, the walk leaves out what lies beyond the end of a dimension, element by element.
"""

from __future__ import annotations

import itertools

from baco.traffic import Traffic
from baco.workload import Mapping, Problem

Ranges = dict[str, range]


def walk(problem: Problem, mapping: Mapping, halo: str = "reload") -> Traffic:
    nest = [(level, d, mapping.factor(level, d)) for level in (3, 1, 0) for d in mapping.orders[level]]
    last_of_weights = max((i for i, (level, d, n) in enumerate(nest) if level > 0 and d in "RSCK" and n > 1), default=-1)
    t = Traffic()
    weights_held = inputs_held = registers_held = outputs_held = before = None
    leaving = 0
    tiles_seen: set[tuple] = set()
    started: set[tuple] = set()

    for trip in itertools.product(*(range(n) for _, _, n in nest)):
        at = {(level, d): i for (level, d, _), i in zip(nest, trip, strict=True)}
        chip, run, point = (_ranges(problem, mapping, at, level) for level in (2, 0, -1))
        if any(len(r) == 0 for r in point.values()):
            continue
        outer = {d: at[3, d] for d in "RSPQCKN"}
        size = {d: len(r) for d, r in chip.items()}

        if outputs_held != (here := tuple(outer[d] for d in "PQKN")):
            t.reads["accumulator", "outputs"] += leaving
            t.writes["dram", "outputs"] += leaving
            leaving = size["N"] * size["P"] * size["Q"] * size["K"]
            if here in tiles_seen:
                t.reads["dram", "outputs"] += leaving
                t.writes["accumulator", "outputs"] += leaving
            tiles_seen.add(here)
            outputs_held = here
        if weights_held != (here := tuple(outer[d] for d in "RSCK")):
            words = size["R"] * size["S"] * size["C"] * size["K"]
            t.reads["dram", "weights"] += words
            t.writes["scratchpad", "weights"] += words
            weights_held = here
        if inputs_held != (here := tuple(outer[d] for d in "PQRSCN")):
            new = _input_words(problem, chip, before, halo)
            t.reads["dram", "inputs"] += new
            t.writes["scratchpad", "inputs"] += new
            inputs_held = here
        before = chip
        # The array's weights come anew each time a loop that touches them has made a step, or one around such a loop.
        if registers_held != (here := trip[: last_of_weights + 1]):
            words = len(run["C"]) * len(run["K"])
            t.reads["scratchpad", "weights"] += words
            t.writes["registers", "weights"] += words
            registers_held = here

        t.reads["scratchpad", "inputs"] += len(point["C"])
        for k in point["K"]:
            output = (k, *(point[d][0] for d in "PQN"))
            if output in started:
                t.reads["accumulator", "outputs"] += 1
            started.add(output)
            t.writes["accumulator", "outputs"] += 1
        t.macs += len(point["C"]) * len(point["K"])
        t.reads["registers", "weights"] += len(point["C"]) * len(point["K"])
    t.reads["accumulator", "outputs"] += leaving
    t.writes["dram", "outputs"] += leaving
    return t


def _ranges(problem: Problem, mapping: Mapping, at: dict[tuple[int, str], int], level: int) -> Ranges:
    """The part of each dimension that the current tile of a level has; of level -1: what one pass of the array has."""
    found = {}
    for d in "RSPQCKN":
        first, step = 0, {"C": mapping.spatial_c, "K": mapping.spatial_k}.get(d, 1)
        length = step
        for inner in range(4):
            if inner > level:
                first += at.get((inner, d), 0) * step
            step *= mapping.factor(inner, d)
            if inner <= level:
                length = step
        found[d] = range(min(first, problem.sizes[d]), min(first + length, problem.sizes[d]))
    return found


def _lines(problem: Problem, axis: int, outputs: range, taps: range, halo: str) -> set[int]:
    """Input rows (axis 0) or columns that these outputs need through these taps; only rows that are read, where there is a single tap."""
    stride, dilation = problem.stride[axis], problem.dilation[axis]
    if (problem.R, problem.S)[axis] == 1:
        return set(outputs)
    first, last = taps[0] * dilation, taps[-1] * dilation
    if halo == "reuse":
        return set(range(outputs[0] * stride + first, outputs[-1] * stride + last + 1))
    return {o * stride + tap for o in outputs for tap in range(first, last + 1)}


def _input_words(problem: Problem, here: Ranges, before: Ranges | None, halo: str) -> int:
    """Words loaded at the step of the level-3 loops from `before` to `here`; with `reuse`, the new part if only one loop went one on."""

    def window(at: Ranges) -> tuple[set[int], set[int]]:
        return _lines(problem, 0, at["P"], at["R"], halo), _lines(problem, 1, at["Q"], at["S"], halo)

    rows, columns = window(here)
    depth = len(here["C"]) * len(here["N"])
    if halo == "reuse" and before is not None:
        moved = [d for d in here if here[d] != before[d]]
        if len(moved) == 1 and moved[0] in "PQRS" and here[moved[0]].start == before[moved[0]].stop:
            old_rows, old_columns = window(before)
            return depth * (len(rows) * len(columns) - len(rows & old_rows) * len(columns & old_columns))
    return depth * len(rows) * len(columns)
