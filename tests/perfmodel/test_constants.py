"""The table of constants: its published values, a person's file instead, and what is said of a wrong one."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from baco.hardware import GemminiConfig
from baco.perfmodel import TABLE_6_3, Constants, InvalidConstants, Machine


def test_the_energies_are_those_of_table_6_3():
    assert dataclasses.astuple(TABLE_6_3) == (0.561, 0.487, 1.94, 0.1005, 0.49, 0.025, 100.0)


def test_the_area_of_the_default_machine_is_the_published_one():
    assert Machine.from_config(GemminiConfig()).area_mm2() == pytest.approx(0.116 + 0.544 + 0.146)


@pytest.mark.parametrize(
    ("machine", "ratio"),
    # PERFMODEL.md, "Figures to expect": areas by DOSA's tools over that of its default machine, 0.71 mm2.
    [((128, 1362, 1960), 23.6 / 0.71), ((128, 877, 784), 15.4 / 0.71), ((32, 120, 64), 1.3 / 0.71), ((128, 640, 784), 13.9 / 0.71)],
)
def test_areas_compare_as_the_tools_of_dosa_have_them(machine, ratio):
    assert Machine(*machine).area_mm2() / Machine(16, 128, 32).area_mm2() == pytest.approx(ratio, rel=0.18)


def test_power_is_energy_over_time():
    # 2 uJ in 1000 cycles of 2 GHz, half a microsecond: 4 W.
    assert Constants(clock_ghz=2.0).power_mw(2e6, 1000) == pytest.approx(4000)


def test_a_file_replaces_what_it_names(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("clock_ghz: 2\nenergy:\n  dram: 12.5\n  # the rest stays\narea: {element: 100}\n")
    constants = Constants.load(file)
    assert constants.energy == dataclasses.replace(TABLE_6_3, dram=12.5)
    assert (constants.area.element, constants.clock_ghz, constants.source) == (100, 2, str(file))
    file.write_text(json.dumps(constants.to_dict()))
    assert Constants.load(file) == constants
    assert Constants.from_dict(Constants().to_dict()) == Constants()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("energy: {dram: -1}", r"my.yaml: energy.dram must be at least 0, but is -1\."),
        ("energy: {mac: 0}", r"my.yaml: energy.mac must be greater than 0, but is 0\."),
        ("energy: {dram: much}", r"my.yaml: energy.dram must be a number, but is 'much'\."),
        ("energy: {dram: true}", r"my.yaml: energy.dram must be a number, but is True\."),
        ("energy: {drum: 1}", r"my.yaml: energy.drum is not known; there are mac, register, accumulator, .*, dram\."),
        ("energy: 3", r"my.yaml: energy must be a table of mac, .*, but is 3\."),
        ("area: {element: .inf}", r"my.yaml: area.element must be a number, but is inf\."),
        ("clock_ghz: 0", r"my.yaml: clock_ghz must be a number greater than 0, but is 0\."),
        ("dram: 3", r"my.yaml: dram is not known; there are energy, area, clock_ghz, source\."),
        ("", r"my.yaml: must be a table of energy, area, clock_ghz, source, but is None\."),
        ("energy: {dram: 1", r"my.yaml: is no valid YAML at line 1, column \d+\."),
    ],
)
def test_a_wrong_file_is_told_by_field(tmp_path, text, message):
    (tmp_path / "my.yaml").write_text(text)
    with pytest.raises(InvalidConstants, match=message):
        Constants.load(tmp_path / "my.yaml")
    with pytest.raises(InvalidConstants, match=r"none.yaml: cannot be read: No such file"):
        Constants.load(tmp_path / "none.yaml")


def test_the_file_in_the_documentation_is_the_defaults(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "explore.md").read_text()
    (tmp_path / "page.yaml").write_text(re.search(r"```yaml\n(.*?)```", page, re.DOTALL)[1])
    assert dataclasses.replace(Constants.load(tmp_path / "page.yaml"), source=Constants().source) == Constants()
