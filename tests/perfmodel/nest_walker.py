"""An independent count of accesses: walks the whole loop nest and watches which tile each memory holds. Slow and plain on purpose."""

from __future__ import annotations

import itertools

from baco.traffic import Traffic
from baco.workload import Mapping, Problem


def walk(problem: Problem, mapping: Mapping, halo: str = "reload") -> Traffic:
    nest = [(level, d, mapping.factor(level, d)) for level in (3, 1, 0) for d in mapping.orders[level]]
    t = Traffic()
    weights_held = inputs_held = registers_held = outputs_held = before = None
    tiles_seen: set[tuple] = set()
    started: set[tuple] = set()
    tile = mapping.tile(2)
    weight_words = tile["R"] * tile["S"] * tile["C"] * tile["K"]
    output_words = tile["N"] * tile["P"] * tile["Q"] * tile["K"]

    def evict() -> None:
        t.reads["accumulator", "outputs"] += output_words
        t.writes["dram", "outputs"] += output_words

    for trip in itertools.product(*(range(n) for _, _, n in nest)):
        at = {(level, d): i for (level, d, _), i in zip(nest, trip, strict=True)}
        outer = {d: at[3, d] for d in "RSPQCKN"}

        if outputs_held != (here := tuple(outer[d] for d in "PQKN")):
            if outputs_held is not None:
                evict()
            if here in tiles_seen:
                t.reads["dram", "outputs"] += output_words
                t.writes["accumulator", "outputs"] += output_words
            tiles_seen.add(here)
            outputs_held = here
        if weights_held != (here := tuple(outer[d] for d in "RSCK")):
            t.reads["dram", "weights"] += weight_words
            t.writes["scratchpad", "weights"] += weight_words
            weights_held = here
        if inputs_held != (here := tuple(outer[d] for d in "PQRSCN")):
            new = _input_words(problem, tile, outer, before, halo)
            t.reads["dram", "inputs"] += new
            t.writes["scratchpad", "inputs"] += new
            inputs_held = here
        before = outer
        if registers_held != (here := tuple(at[level, d] for level in (3, 1) for d in "RSCK")):
            words = mapping.spatial_c * mapping.spatial_k
            t.reads["scratchpad", "weights"] += words
            t.writes["registers", "weights"] += words
            registers_held = here

        t.reads["scratchpad", "inputs"] += mapping.spatial_c
        for k in range(mapping.spatial_k):
            output = (k, *(at[level, d] for level in (3, 1, 0) for d in "PQKN"))
            if output in started:
                t.reads["accumulator", "outputs"] += 1
            started.add(output)
            t.writes["accumulator", "outputs"] += 1
        t.macs += mapping.spatial_c * mapping.spatial_k
        t.reads["registers", "weights"] += mapping.spatial_c * mapping.spatial_k
    evict()
    return t


def _lines(problem: Problem, axis: int, outputs: range, taps: range, halo: str) -> set[int]:
    """Input rows (axis 0) or columns that these outputs need through these taps."""
    stride, dilation = problem.stride[axis], problem.dilation[axis]
    first, last = taps[0] * dilation, taps[-1] * dilation
    if halo == "reuse":
        return set(range(outputs[0] * stride + first, outputs[-1] * stride + last + 1))
    return {o * stride + tap for o in outputs for tap in range(first, last + 1)}


def _input_words(problem: Problem, tile: dict[str, int], here: dict[str, int], before: dict[str, int] | None, halo: str) -> int:
    """Words loaded at the step of the level-3 loops from `before` to `here`; with `reuse`, the new part if only one loop went one on."""

    def window(at: dict[str, int]) -> tuple[set[int], set[int]]:
        spans = {d: range(at[d] * tile[d], (at[d] + 1) * tile[d]) for d in "PQRS"}
        return _lines(problem, 0, spans["P"], spans["R"], halo), _lines(problem, 1, spans["Q"], spans["S"], halo)

    rows, columns = window(here)
    depth = tile["C"] * tile["N"]
    if halo == "reuse" and before is not None:
        moved = [(d, here[d] - before[d]) for d in here if here[d] != before[d]]
        if len(moved) == 1 and moved[0][1] == 1 and moved[0][0] in "PQRS":
            old_rows, old_columns = window(before)
            return depth * (len(rows) * len(columns) - len(rows & old_rows) * len(columns & old_columns))
    return depth * len(rows) * len(columns)
