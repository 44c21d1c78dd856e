"""The RTL as its tools see it: Verilator's lint, Yosys' elaboration, and the area table."""

import shutil
import subprocess
from pathlib import Path

import pytest

from baco.hardware import PRESETS, GemminiConfig
from baco.sim.rtl_area import ModuleArea, areas, elaborate, modules_of, table
from baco.sim.rtl_package import package
from baco.sim.rtl_sources import TOP, single_file, sources

MACHINES = [
    pytest.param(GemminiConfig(), id="default"),
    pytest.param(GemminiConfig(dim=4, scratchpad_banks=2, accumulator_banks=4), id="4x4, other banks"),
    pytest.param(GemminiConfig(dim=32, dma_bus_bits=256, dma_requests_in_flight=32, reservation_station_load=4), id="32x32, wider bus"),
]


@pytest.mark.skipif(shutil.which("verilator") is None, reason="no verilator on PATH")
@pytest.mark.parametrize("config", MACHINES)
def test_verilator_has_nothing_to_say(config: GemminiConfig, tmp_path: Path) -> None:
    generated = tmp_path / "gemmini_config_pkg.sv"
    generated.write_text(package(config))
    command = ["verilator", "--lint-only", "-Wall", "--top-module", TOP, str(generated), *map(str, sources())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("yosys") is None, reason="no yosys on PATH")
@pytest.mark.parametrize("config", [pytest.param(GemminiConfig(), id="default", marks=pytest.mark.long), *MACHINES[1:2]])
def test_yosys_elaborates_it(config: GemminiConfig) -> None:
    elaborate(config)


def test_single_file_has_no_packages() -> None:
    text = single_file(PRESETS["gemmini-default"])
    assert "import " not in text and "endpackage" not in text and f"module {TOP}\n" in text


def test_areas_count_what_is_inside_as_often_as_it_is_there() -> None:
    """A top with 2 rows of 3 elements and a queue apart; figures by hand."""
    gates = {
        "\\gemmini": {"num_cells_by_type": {"row": 2, "$paramod$1\\queue": 1, "$_AND_": 5}},
        "\\row": {"num_cells_by_type": {"element": 3, "$_DFF_P_": 4, "$_SDFFE_PP0P_": 1, "$_XOR_": 2}},
        "\\element": {"num_cells_by_type": {"$_MUX_": 7, "$paramod\\queue\\WIDTH=8": 1}},
        "$paramod$1\\queue": {"num_cells_by_type": {"$_NOT_": 10, "$mem_v2": 1}},
        "$paramod\\queue\\WIDTH=8": {"num_cells_by_type": {"$_NOT_": 1, "$mem_v2": 1}},
    }
    bits = {"$paramod$1\\queue": 100, "$paramod\\queue\\WIDTH=8": 16}
    found = areas({name: {"num_memory_bits": bits.get(name, 0)} for name in gates}, gates)
    assert set(found) == {
        ModuleArea("gemmini", 1, 5, 0, 0),
        ModuleArea("row", 2, 4, 10, 0),
        ModuleArea("element", 6, 42, 0, 0),
        ModuleArea("queue", 7, 16, 0, 196),
    }
    assert table(found).splitlines()[-1].split() == ["whole", "1", "67", "10", "196"]


def test_statistics_end_where_the_modules_do() -> None:
    """As Yosys 0.23 writes them for a design of several modules."""
    text = '{\n "creator": "Yosys",\n "modules": {\n  "\\\\queue": {\n "num_memory_bits": 8 }\n },\n     queue      1\n "design": {}'
    assert modules_of(text) == {"\\queue": {"num_memory_bits": 8}}
