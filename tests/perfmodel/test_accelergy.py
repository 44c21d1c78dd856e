"""Constants from Accelergy's energy reference tables: those that BACO writes come back, and Accelergy's own form is read."""

from __future__ import annotations

import dataclasses

import pytest
import yaml

from baco.perfmodel import Constants, Machine
from baco.perfmodel.constants import TABLE_6_3
from baco.perfmodel.errors import InvalidConstants
from baco.perfmodel.timeloop import energy_reference

# As `accelergy` 0.4 writes it, shortened: paths for names, text for the version.
ACCELERGY = """
ERT:
    version: '0.4'
    tables:
      - name: System.Chip.Column[0..15].Row[0..15].Registers
        actions:
          - {name: read, arguments: {global_cycle_seconds: 1e-09}, energy: 0.5}
          - {name: write, arguments: {global_cycle_seconds: 1e-09}, energy: 0.7}
          - {name: update, arguments: {global_cycle_seconds: 1e-09}, energy: 0.6}
          - {name: leak, arguments: {global_cycle_seconds: 1e-09}, energy: 9}
      - name: System.Chip.Column[0..15].Row[0..15].MACC
        actions: [{name: compute, arguments: {}, energy: 0.25}]
      - name: System.Chip.Column[0..15].Accumulator
        actions: [{name: read, arguments: {}, energy: 3}, {name: write, arguments: {}, energy: 4}]
      - name: System.Chip.Scratchpad
        actions: [{name: read, arguments: {}, energy: 7}]
      - name: System.DRAM
        actions: [{name: read, arguments: {}, energy: 120}]
"""


def test_one_table_holds_for_every_size(tmp_path):
    (tmp_path / "ERT.yaml").write_text(ACCELERGY)
    constants = Constants.load(tmp_path / "ERT.yaml")
    assert dataclasses.astuple(constants.energy) == pytest.approx((0.25, 0.6, 3.5, 0.0, 7.0, 0.0, 120.0))
    assert "Accelergy" in constants.source


def test_tables_of_several_machines_give_base_and_slope(tmp_path):
    machines = [Machine(16, 64, 16), Machine(16, 1024, 512), Machine(32, 300, 100)]
    entries = []
    for place, machine in enumerate(machines):
        (tmp_path / f"{place}.yaml").write_text(yaml.safe_dump(energy_reference(machine)))
        sizes = {"side": machine.side, "scratchpad_kib": machine.scratchpad_kib, "accumulator_kib": machine.accumulator_kib}
        entries.append({"file": f"{place}.yaml", **sizes})
    (tmp_path / "constants.yaml").write_text(yaml.safe_dump({"accelergy": entries, "clock_ghz": 0.5}))
    constants = Constants.load(tmp_path / "constants.yaml")
    assert dataclasses.astuple(constants.energy) == pytest.approx(dataclasses.astuple(TABLE_6_3))
    assert constants.clock_ghz == 0.5


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("ERT: {tables: [1]}", "ERT"),
        (ACCELERGY.replace("System.DRAM", "System.Flash"), "DRAM"),
        ("accelergy: []", "accelergy"),
        ("accelergy: [{file: none.yaml, side: 16, scratchpad_kib: 1, accumulator_kib: 1}]", "none.yaml"),
        ("accelergy: [{file: none.yaml, side: 0, scratchpad_kib: 1, accumulator_kib: 1}]", "greater than 0"),
        ("accelergy: [{file: none.yaml}]", "scratchpad_kib"),
    ],
)
def test_wrong_tables_are_refused(text, place, tmp_path):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(InvalidConstants, match=place):
        Constants.load(tmp_path / "c.yaml")
