"""When each step of a run happened on the simulated hardware: the intervals of :mod:`baco.sim.timeline`, in real cycles.

The hardware says when each command entered the reservation station, was issued and was done; the functional simulator, which ran the same
program, says what each step was. The commands of the program come in the same order in both; those of a loop in the same order for each
instruction, or are told apart by their DRAM addresses.

======================  ===================================================================================================================
track                   an interval is
======================  ===================================================================================================================
load and store queue    from the issue of a command, or the end of the one before it, until it is done
execute queue           the same; a preload is done when the results that it placed are there
DMA                     the intervals of commands that move bytes
array                   those of computes, which are done when their last row has gone in
======================  ===================================================================================================================
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from baco.hardware import GemminiConfig
from baco.isa import ACCUMULATOR_BIT, FULL_WIDTH_BIT, ROW_MASK, decode
from baco.sim.observer import Life, Rows, Step
from baco.sim.timeline import ARRAY, CONTROL, DMA, MEMORIES, QUEUES, Interval, RowUse

LOOPS = ("", "loop_ws", "loop_conv_ws")
LOADS = ("mvin", "mvin2", "mvin3")


class MeasuredTimeline:
    """The intervals of a run on hardware, and how many rows of each memory held something that was still needed."""

    def __init__(self, steps: Iterable[Step], lives: Iterable[Life], config: GemminiConfig) -> None:
        self._memories = {
            name: RowUse(rows) for name, rows in zip(MEMORIES, (config.scratchpad_rows, config.accumulator_rows), strict=True)
        }
        self._free: dict[str, float] = defaultdict(float)
        pairs = list(_matched(steps, lives, config.dim))
        self.intervals = [i for step, life in sorted(pairs, key=lambda pair: pair[1].done) for i in self._place(step, life)]

    def occupancy(self, memory: str) -> list[tuple[float, int]]:
        """From which cycle on how many rows were occupied: written, and read before they were written again."""
        return self._memories[memory].occupancy()

    def _place(self, step: Step, life: Life) -> Iterator[Interval]:
        queue = QUEUES.get(step.name, CONTROL)
        end = float(max(life.done, life.issued + 1))
        for rows in step.rows:
            self._memories[MEMORIES[rows.accumulator]].take(rows, rows.indices(), float(life.issued), end)
        tracks = [queue, DMA] if step.bytes else [queue, ARRAY] if step.name.startswith("compute") else [queue]
        for track in tracks:
            start = max(float(life.issued), self._free[track])
            if start < end:
                self._free[track] = end
                yield Interval(track, start, end, step)


def _matched(steps: Iterable[Step], lives: Iterable[Life], dim: int) -> Iterator[tuple[Step, Life]]:
    """Each command with the step that it was. A command that the functional simulator has no step for is a bare one."""
    waiting: dict[tuple[str, str, int], deque[Step]] = defaultdict(deque)
    for step in steps:
        waiting[_key(step.name, step.parent if step.parent != step.name else "", step.dram)].append(step)
    loads: dict[int, Mapping[str, int]] = {}
    for life in lives:
        decoded = decode(life.command)
        name, loop, values = decoded.instruction.name, LOOPS[life.origin], decoded.values
        if name == "config_ld":
            loads[values["load_id"]] = values
        found = waiting.get(_key(name, loop, values.get("dram", 0)))
        step = found.popleft() if found else Step(name, loop or name, 0, 0, 0, 0, 0, (0, 0, 0), ())
        yield (
            (_moved(step, values, loads.get(LOADS.index(name)) if name in LOADS else None, dim) if loop and "local" in values else step),
            life,
        )


def _moved(step: Step, values: Mapping[str, int], load: Mapping[str, int] | None, dim: int) -> Step:
    """A move of a loop, by its command: hardware moves several blocks of columns at once where the functional simulator moves one."""
    rows, columns, local = values["local_rows"], values["local_cols"], values["local"]
    accumulator = bool(local & ACCUMULATOR_BIT)
    wide = accumulator and (not load["shrink"] if load else bool(local & FULL_WIDTH_BIT))
    stride = load["block_stride"] if load else dim
    taken = Rows(accumulator, local & ROW_MASK, rows, 1, -(-columns // dim), stride, load is None, load is not None)
    moves = rows * columns * (4 if wide else 1) if values["dram"] else 0
    return replace(step, dram=values["dram"], bytes=moves, rows=(taken,))


def _key(name: str, loop: str, dram: int) -> tuple[str, str, int]:
    """What tells steps apart: only those of loops need their address."""
    return name, loop, dram if loop else 0
