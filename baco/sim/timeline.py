"""When each step of a run would happen: logical time, in the cycles of :mod:`baco.sim.cost`.

The functional simulator has no clock, so this is an estimate, the same in every run. A step is sent when the host core has come to it, one
cycle an instruction, and starts when what is before it in its queue has ended, its unit is free and the private rows that it takes are
there (read after written, written after written and read). Then it takes:

=====================  ====================================================================================================================
step                   cycles
=====================  ====================================================================================================================
mvin, mvout            DRAM bytes over `dram_bytes_per_cycle`, on the one DMA
compute                DIM on the array, in which the preloaded operand moves in while rows move through
preload, config_*      1 in their queue
=====================  ====================================================================================================================

So the DMA and the array are busy for just what :func:`baco.sim.cost.counted_cost` says. Left out: latencies, stalls of the host core at
fences and full queues, and DRAM that is written and read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from baco.hardware import GemminiConfig
from baco.sim.observer import Rows, Step

LOAD, STORE, EXECUTE, CONTROL = "load queue", "store queue", "execute queue", "loops and counters"
DMA, ARRAY = "DMA", "array"
TRACKS = (LOAD, STORE, EXECUTE, DMA, ARRAY, CONTROL)
MEMORIES = ("scratchpad", "accumulator")
QUEUES = {
    **dict.fromkeys(("mvin", "mvin2", "mvin3", "config_ld"), LOAD),
    **dict.fromkeys(("mvout", "mvout_spad", "config_st", "config_norm"), STORE),
    **dict.fromkeys(("preload", "compute_preloaded", "compute_accumulated", "config_ex"), EXECUTE),
}


@dataclass(frozen=True)
class Interval:
    """A step on a track, from cycle `start` to cycle `end`."""

    track: str
    start: float
    end: float
    step: Step


class Timeline:
    """The intervals of a run, and how many rows of each memory hold something that is still needed."""

    def __init__(self, steps: Iterable[Step], config: GemminiConfig) -> None:
        self.config = config
        self._free = dict.fromkeys(TRACKS, 0.0)
        self.memories = {name: RowUse(rows) for name, rows in zip(MEMORIES, (config.scratchpad_rows, config.accumulator_rows), strict=True)}
        self.intervals = [interval for step in steps for interval in self._place(step)]

    @property
    def end(self) -> float:
        """The cycle in which everything has ended."""
        return max(self._free.values())

    def busy(self, track: str) -> float:
        """Cycles in which something is on a track."""
        return sum(i.end - i.start for i in self.intervals if i.track == track)

    def occupancy(self, memory: str) -> list[tuple[float, int]]:
        """From which cycle on how many rows are occupied: written, and to be read before they are written again."""
        return self.memories[memory].occupancy()

    def _place(self, step: Step) -> Iterator[Interval]:
        queue = QUEUES.get(step.name, CONTROL)
        if queue == CONTROL:
            start = max(float(step.clock), self._free[CONTROL])
            self._free[CONTROL] = start + 1
            yield Interval(CONTROL, start, start + 1, step)
            return
        unit = DMA if step.bytes else ARRAY if step.name.startswith("compute") else None
        cycles = step.bytes / self.config.dram_bytes_per_cycle if unit == DMA else float(self.config.dim) if unit == ARRAY else 1.0
        start = max(float(step.clock), self._free[queue], self._free[unit] if unit else 0.0)
        taken = [(self.memories[MEMORIES[rows.accumulator]], rows, rows.indices()) for rows in step.rows]
        start = max([start, *(memory.ready(rows, at) for memory, rows, at in taken)])
        end = start + cycles
        for memory, rows, at in taken:
            memory.take(rows, at, start, end)
        self._free[queue] = end
        yield Interval(queue, start, end, step)
        if unit:
            self._free[unit] = end
            yield Interval(unit, start, end, step)


class RowUse:
    """When each row of a private memory was written and read last, and for how long its contents were needed."""

    def __init__(self, rows: int) -> None:
        self._written = np.zeros(rows)
        self._read = np.zeros(rows)
        self._since = np.full(rows, np.inf)
        """When what a row holds began to be there; infinity if nothing does."""
        self._spans: list[tuple[np.ndarray, np.ndarray]] = []

    def ready(self, rows: Rows, at: np.ndarray) -> float:
        """When a step may take these rows."""
        if not at.size:
            return 0.0
        return float(max(self._written[at].max(), self._read[at].max() if rows.writes else 0.0))

    def take(self, rows: Rows, at: np.ndarray, start: float, end: float) -> None:
        """Note that a step does."""
        if rows.writes and not rows.reads:
            self._close(at)
            self._since[at] = start
        if rows.writes:
            self._written[at] = end
            self._since[at] = np.minimum(self._since[at], start)
        if rows.reads:
            self._read[at] = end

    def _close(self, at: np.ndarray) -> None:
        """What these rows held is needed no more: it was until it was read last, if it was read."""
        used = at[self._read[at] > self._since[at]]
        self._spans.append((self._since[used], self._read[used]))

    def occupancy(self) -> list[tuple[float, int]]:
        held = np.flatnonzero(self._read > self._since)
        spans = [*self._spans, (self._since[held], self._read[held])]
        times = np.concatenate([t for since, until in spans for t in (since, until)])
        changes = np.concatenate([np.full(t.size, sign) for span in spans for t, sign in zip(span, (1, -1), strict=True)])
        order = np.argsort(times, kind="stable")
        moments, first = np.unique(times[order], return_index=True)
        totals = np.add.reduceat(changes[order], first).cumsum() if moments.size else moments
        return [(float(t), int(n)) for t, n in zip(moments, totals, strict=True)]
