"""A run as a trace that ui.perfetto.dev and chrome://tracing open: Chrome's JSON, one track a queue, the DMA, the array, and occupancy.

One microsecond of the trace is one cycle: of logical time (:mod:`baco.sim.timeline`), or of the hardware's where it ran on that
(:mod:`baco.sim.measured`).
"""

from __future__ import annotations

import json
from typing import Any

from baco.hardware import GemminiConfig
from baco.sim.lines import LineTable
from baco.sim.measured import MeasuredTimeline
from baco.sim.observer import Observer, Rows, Step
from baco.sim.timeline import MEMORIES, TRACKS, Interval, Timeline

PROCESS = 1


def trace_of(observer: Observer, elf: bytes, config: GemminiConfig, name: str) -> dict[str, Any]:
    """The trace of a run that `observer` watched, as JSON-ready data."""
    measured = observer.lives is not None
    timeline = MeasuredTimeline(observer.steps(), observer.lives or (), config) if measured else Timeline(observer.steps(), config)
    lines = LineTable(elf)
    events = [_meta("process_name", 0, f"{name} on Gemmini {config.dim} x {config.dim}")]
    for number, track in enumerate(TRACKS, 1):
        events += [_meta("thread_name", number, track), _meta("thread_sort_index", number, number, "sort_index")]
    events += [_slice(interval, lines) for interval in timeline.intervals]
    for memory in MEMORIES:
        events += [
            {"ph": "C", "pid": PROCESS, "name": f"{memory} rows", "ts": time, "args": {"rows": rows}}
            for time, rows in [(0.0, 0), *timeline.occupancy(memory)]
        ]
    return {
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {
            "time": "measured: 1 us is a cycle of the hardware"
            if measured
            else "logical: 1 us is a cycle of the model in baco.sim.timeline, an estimate",
            "hardware": config.to_dict(),
            "steps": observer.count,
            "steps left out": observer.left_out,
        },
    }


def trace_text(trace: dict[str, Any]) -> str:
    """A trace as the text of a file."""
    return json.dumps(trace, separators=(",", ":")) + "\n"


def _meta(what: str, thread: int, value: object, key: str = "name") -> dict[str, Any]:
    return {"ph": "M", "pid": PROCESS, "tid": thread, "name": what, "args": {key: value}}


def _slice(interval: Interval, lines: LineTable) -> dict[str, Any]:
    step, line = interval.step, lines.find(interval.step.pc)
    args: dict[str, Any] = {"pc": f"{step.pc:#x}", "program instance": str(step.instance), "host instructions before": step.clock}
    if line is not None:
        args |= {"line": str(line), "source": line.text}
    if step.parent != step.name:
        args["part of"] = step.parent
    if step.dram:
        args["dram"] = f"{step.dram:#x}"
    args |= {key: value for key, value in (("bytes", step.bytes), ("macs", step.macs)) if value}
    for way in ("reads", "writes"):
        if taken := ", ".join(rows_text(rows) for rows in step.rows if getattr(rows, way)):
            args[way] = taken
    return {
        "ph": "X",
        "pid": PROCESS,
        "tid": TRACKS.index(interval.track) + 1,
        "name": _name(step),
        "cat": interval.track,
        "ts": interval.start,
        "dur": interval.end - interval.start,
        "args": args,
    }


def _name(step: Step) -> str:
    return f"{step.name} (zeros)" if step.name.startswith("mvin") and not step.dram else step.name


def rows_text(rows: Rows) -> str:
    """Rows of a private memory as text, such as ``accumulator[0..15]``."""
    memory = MEMORIES[rows.accumulator]
    stride = f" by {rows.stride}" if rows.stride != 1 else ""
    blocks = f", {rows.blocks} blocks {rows.block_stride} apart" if rows.blocks > 1 else ""
    last = rows.first + max(0, rows.count - 1) * rows.stride
    return f"{memory}[{rows.first}..{last}{stride}{blocks}]"
