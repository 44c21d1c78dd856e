"""The generated SystemVerilog package: the one that is kept, its encodings, and what Verilator says of it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from baco.hardware import PRESETS, GemminiConfig
from baco.isa import encode
from baco.sim.rtl_package import default_file, package

USER = """\
module user
  import gemmini_config_pkg::*;
(input logic [63:0] rs2, output logic [MVIN_LOCAL_ROWS_WIDTH-1:0] rows, output logic [31:0] local_address);
  assign rows = rs2[MVIN_LOCAL_ROWS_LSB +: MVIN_LOCAL_ROWS_WIDTH];
  assign local_address = rs2[MVIN_LOCAL_LSB +: MVIN_LOCAL_WIDTH] | GARBAGE;
  logic unused;
  assign unused = ^rs2;
endmodule
"""


def values(text: str) -> dict[str, int]:
    """The parameters of a package by name. Values are 12, 1'b0, 7'd3 or 32'hff."""
    bases = {"h": 16, "b": 2, "d": 10}
    found = re.findall(r"localparam (?:[\w\[\]:]+ )*(\w+) = (?:\d+'([hbd]))?(\w+);", text)
    return {name: int(digits, bases[base] if base else 10) for name, base, digits in found}


def test_the_kept_package_is_the_default_machines() -> None:
    assert default_file().read_text() == package(GemminiConfig()), "run python -m baco.sim.rtl_package"


def test_encodings_take_a_command_apart() -> None:
    command = encode("mvin", dram=0x8000_1000, local=7, local_cols=16, local_rows=3)
    p = values(package(GemminiConfig()))
    assert command.funct7 == p["FUNCT_MVIN"]
    assert command.rs2 >> p["MVIN_LOCAL_ROWS_LSB"] & (1 << p["MVIN_LOCAL_ROWS_WIDTH"]) - 1 == 3
    assert encode("config_st").rs1 & 3 == p["CONFIG_ST"]


def test_sizes_of_another_machine() -> None:
    p = values(package(GemminiConfig(dim=32, accumulator_banks=1, dma_requests_in_flight=24)))
    # 256 KiB in 4 banks of 32-byte rows; 64 KiB in one bank of 128-byte rows; a tracker where 16/DIM is less than one
    assert (p["SPAD_BANK_ROWS"], p["ACC_BANK_ROWS"], p["ACC_BANK_BITS"], p["LD_TRACKERS"]) == (2048, 512, 1, 1)
    assert (p["IN_FLIGHT_BITS"], p["MEM_ID_BITS"], p["MAX_BLOCKS"], p["MAX_ACC_BLOCKS"]) == (5, 6, 2, 1)
    lean = values(package(PRESETS["gemmini-lean"]))
    assert (lean["EX_READ_FROM_ACC"], lean["FULL_WIDTH_STORES"], lean["MAX_IN_FLIGHT"]) == (0, 0, 64)


@pytest.mark.skipif(shutil.which("verilator") is None, reason="no verilator here")
def test_verilator_has_nothing_to_say(tmp_path: Path) -> None:
    (tmp_path / "gemmini_config_pkg.sv").write_text(package(GemminiConfig(dim=4)))
    (tmp_path / "user.sv").write_text(USER)
    command = ["verilator", "--lint-only", "-Wall", "gemmini_config_pkg.sv", "user.sv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
