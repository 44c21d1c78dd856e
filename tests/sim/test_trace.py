"""Traces: what they are made of against the counters of the same run, and that logical time respects queues, units and rows."""

import importlib.util
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from baco.hardware import GemminiConfig
from baco.sim import RunResult, run
from baco.sim.cost import counted_cost
from baco.sim.observer import Observer
from baco.sim.timeline import ARRAY, DMA, EXECUTE, LOAD, STORE, TRACKS, Timeline
from baco.sim.trace import trace_of, trace_text

EXAMPLE = Path(__file__).parents[2] / "examples" / "01_matmul.py"
CONFIG = GemminiConfig()


@pytest.fixture(scope="module")
def matmul():
    spec = importlib.util.spec_from_file_location("matmul_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.matmul


def watched(matmul, instructions: str = "primitive", capacity: int = 10_000) -> tuple[Observer, RunResult, bytes, np.ndarray]:
    rng = np.random.default_rng(0)
    a, b, c = rng.integers(-128, 128, (64, 64), np.int8), rng.integers(-128, 128, (64, 64), np.int8), np.zeros((64, 64), np.int8)
    strides = {"stride_am": 64, "stride_ak": 1, "stride_bk": 64, "stride_bn": 1, "stride_cm": 64, "stride_cn": 1}
    arguments = {"M": 64, "N": 64, "K": 64, **strides, "scale": 0.001, "BLOCK_M": 32, "BLOCK_N": 32, "BLOCK_K": 32}
    special = matmul.warmup(a, b, c, **arguments, instructions=instructions)
    values = [{"a": a, "b": b, "c": c, **arguments}[p.name] for p in special.program.parameters]
    observer = Observer(capacity)
    result = run(special.program, CONFIG, values, (2, 2), observer=observer)
    return observer, result, special.program.elf, c


@pytest.mark.parametrize("instructions", ["primitive", "loops"])
def test_a_timeline_agrees_with_the_counters(matmul, instructions: str) -> None:
    observer, result, _, c = watched(matmul, instructions)
    steps = list(observer.steps())
    counted = result.counters
    names = [s.name for s in steps]
    for name in ("mvin", "mvin2", "mvin3", "mvout", "preload", "compute_preloaded", "compute_accumulated"):
        assert names.count(name) == counted.instructions.get(name, 0) + counted.unrolled.get(name, 0)
    assert sum(s.macs for s in steps) == counted.traffic.macs == 64**3
    assert sum(s.bytes for s in steps) == counted.dram_bytes_read + counted.dram_bytes_written
    timeline, cost = Timeline(steps, CONFIG), counted_cost(counted, CONFIG)
    assert timeline.busy(DMA) == pytest.approx(cost.dram)
    assert timeline.busy(ARRAY) == names.count("preload") * CONFIG.dim
    assert (
        max(timeline.busy(DMA), timeline.busy(ARRAY))
        <= timeline.end
        <= timeline.busy(DMA) + timeline.busy(ARRAY) + steps[-1].clock + len(steps)
    )
    assert c.any()


def test_nothing_overlaps_that_cannot(matmul) -> None:
    timeline = Timeline(watched(matmul)[0].steps(), CONFIG)
    for track in TRACKS:
        intervals = [i for i in timeline.intervals if i.track == track]
        assert all(a.end <= b.start for a, b in itertools.pairwise(intervals))
    written: dict[tuple[bool, int], float] = {}
    for i in timeline.intervals:
        if i.track not in (LOAD, STORE, EXECUTE):
            continue
        for rows in i.step.rows:
            for row in rows.indices():
                if rows.reads:
                    assert i.start >= written[rows.accumulator, row]  # and every row was written before
        for rows in i.step.rows:
            if rows.writes:
                written |= {(rows.accumulator, row): i.end for row in rows.indices()}


def test_occupancy_is_what_is_still_needed(matmul) -> None:
    observer = watched(matmul)[0]
    timeline = Timeline(observer.steps(), CONFIG)
    used = {row for s in observer.steps() for rows in s.rows if not rows.accumulator for row in rows.indices()}
    series = timeline.occupancy("scratchpad")
    assert 0 < max(n for _, n in series) <= len(used)
    assert min(n for _, n in series) >= 0 and series[-1][1] == 0
    assert max(n for _, n in timeline.occupancy("accumulator")) >= 32 * 32 // CONFIG.dim


def test_a_trace_opens_in_perfetto(matmul) -> None:
    """The parts of Chrome's JSON that its readers ask for; slices name the kernel's lines."""
    observer, _, elf, _ = watched(matmul)
    trace = json.loads(trace_text(trace_of(observer, elf, CONFIG, "matmul")))
    events = trace["traceEvents"]
    named = {e["tid"]: e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    assert tuple(named.values()) == TRACKS
    slices = [e for e in events if e["ph"] == "X"]
    assert {e["ph"] for e in events} == {"M", "X", "C"}
    assert all(e["tid"] in named and e["ts"] >= 0 and e["dur"] > 0 for e in slices)
    assert {e["name"] for e in events if e["ph"] == "C"} == {"scratchpad rows", "accumulator rows"}
    source = EXAMPLE.read_text().splitlines()
    for e in slices:
        file, _, line = e["args"]["line"].rpartition(":")
        assert Path(file) == EXAMPLE and source[int(line) - 1].strip() == e["args"]["source"]
    assert all("bl.dot" in e["args"]["source"] for e in slices if e["name"].startswith("compute"))
    assert all("bl.store" in e["args"]["source"] for e in slices if e["name"] == "mvout")
    assert {e["args"]["program instance"] for e in slices if e["name"] == "mvout"} == {f"({x}, {y}, 0)" for x in (0, 1) for y in (0, 1)}
    assert trace["otherData"]["steps"] == observer.count and trace["otherData"]["steps left out"] == 0


def test_a_trace_is_bounded(matmul) -> None:
    whole, short = watched(matmul)[0], watched(matmul, capacity=10)[0]
    assert short.count == whole.count and short.left_out == whole.count - 10
    assert list(short.steps()) == list(whole.steps())[:10]
