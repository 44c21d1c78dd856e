"""The RTL's timing against the specification's: its loop table and its workloads, whose results and fetched bytes must be exact."""

from __future__ import annotations

import shutil

import pytest
from rtl_workloads import LOOPS, MEMORIES, WORKLOADS, LoopRow, Workload, run_loops, run_workload

pytestmark = [pytest.mark.long, pytest.mark.skipif(shutil.which("verilator") is None, reason="no Verilator here")]

TINY = 3000
"""Cycles of the array below which a row says less: start and end, and how the parts meet, decide."""
CLOSE, ROUGH, CACHED = 0.01, 0.05, 0.1
"""How far off a row may be: large, tiny, and with the memory model of section 10.2, which is itself off by as much."""


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w.name)
def test_workloads(workload: Workload, memory: str) -> None:
    got = run_workload(workload, memory)
    assert got.wrong == 0
    assert got.counts.bytes_read == workload.bytes_read
    bound = CACHED if memory.startswith("cached") else ROUGH if 0 < workload.ideal < TINY else CLOSE
    assert got.cycles == pytest.approx(workload.cycles[MEMORIES.index(memory)], rel=bound)


@pytest.mark.parametrize("memory", MEMORIES[:2])
@pytest.mark.parametrize("row", LOOPS, ids=lambda row: row.name)
def test_equal_loops(row: LoopRow, memory: str) -> None:
    one, each = run_loops(row, memory)
    expected = row.cycles[MEMORIES.index(memory)]
    assert one == pytest.approx(expected[0], rel=CLOSE)
    assert each == pytest.approx(expected[1], rel=ROUGH if row.ideal < TINY else CLOSE)
