"""Differential checks: backends that agree, and a report that leads to the element, tile, instruction and line of a planted fault."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import baco
import baco.language as bl
from baco import cli, knobs
from baco.hardware import GemminiConfig
from baco.lang.aot import SignatureError
from baco.lang.check import CheckError, check, inputs, text_of
from baco.lowering.emit import Emitter

EXAMPLE = Path(__file__).parents[2] / "examples" / "01_matmul.py"
SIGNATURE = "*i8[48x64], *i8[64x40], *i8[48x40], 48, 40, 64, 64, 1, 40, 1, 40, 1, 0.002, BLOCK_M=16, BLOCK_N=16, BLOCK_K=32"
HARDWARE = GemminiConfig(dim=8)
BACKENDS = ("interpret", "cpu", "functional", "spike", "verilator")


@pytest.fixture(scope="module")
def matmul():
    spec = importlib.util.spec_from_file_location("matmul_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.matmul


@baco.jit
def scaled_sum(x, y, n, BLOCK: bl.constexpr):
    """Work of the host core: nothing of it fits the array."""
    at = bl.program_id(0) * BLOCK
    x_ptr = bl.make_block_ptr(x, (n,), (1,), (at,), (BLOCK,), (0,))
    y_ptr = bl.make_block_ptr(y, (n,), (1,), (at,), (BLOCK,), (0,))
    value = bl.load(x_ptr, boundary_check=(0,))
    bl.store(y_ptr, value * value + 3, boundary_check=(0,))


def line_of(text: str, path: Path) -> str:
    lines = path.read_text().splitlines()
    (number,) = (i for i, line in enumerate(lines, 1) if line.strip().startswith(text))
    return f"{path}:{number}"


def test_backends_agree(matmul, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACO_SPIKE", "/nowhere/spike")
    monkeypatch.setenv("BACO_VERILATOR", "/nowhere/verilator")
    report = check(matmul, inputs(SIGNATURE, matmul), (3, 3), BACKENDS, HARDWARE)
    assert report.agrees and report.words == 48 * 64 + 64 * 40 + 48 * 40
    assert [o.partition(":")[0] for o in report.ran.values()] == ["agrees", "agrees", "agrees", "skipped", "skipped"]
    assert "not found as '/nowhere/spike'" in report.ran["spike"] and "not found as '/nowhere/verilator'" in report.ran["verilator"]


@pytest.mark.parametrize("instructions", ["primitive", "loops"])
def test_a_backend_that_corrupts_one_word(matmul, monkeypatch: pytest.MonkeyPatch, instructions: str) -> None:
    """Element (37, 21) is in row 37 // 16 and column 21 // 16 of the grid's blocks, and in the DIM x DIM tile from (32, 16)."""
    from baco.lang.launch import Options
    from baco.sim import functional

    real = functional.run

    def corrupt(program, config, arguments, *rest):
        result = real(program, config, arguments, *rest)
        position = [p.name for p in program.parameters].index("c")
        arguments[position].reshape(48, 40)[37, 21] ^= 4
        arguments[position].reshape(48, 40)[40, 0] ^= 1
        return result

    monkeypatch.setattr(functional, "run", corrupt)
    arguments = inputs(SIGNATURE, matmul)
    report = check(matmul, arguments, (3, 3), ("cpu", "functional"), HARDWARE, Options(instructions=instructions))
    assert not report.agrees and report.ran == {"cpu": "agrees", "functional": "differs"}
    (difference,) = report.differences
    assert (difference.argument, difference.index, difference.words) == ("c", (37, 21), 2)
    assert difference.found == np.int8(difference.expected) ^ 4
    sums = arguments["a"].astype(np.int32) @ arguments["b"].astype(np.int32)
    assert difference.expected == np.clip(np.rint(sums.astype(np.float32) * np.float32(0.002)), 0, 127)[37, 21]
    writer = difference.writer
    assert writer.instance == (2, 1, 0)
    assert writer.tile[0] in (32, 36) if instructions == "loops" else writer.tile == (32, 16)
    assert writer.instruction.startswith("mvout dram=0x8") and "accumulator[" in writer.instruction
    assert writer.part_of == ("loop_ws" if instructions == "loops" else None)
    # A loop does everything where its product stands.
    expected = "acc += bl.dot(" if instructions == "loops" else "bl.store(c_ptr"
    assert writer.line == line_of(expected, EXAMPLE) and writer.source.startswith(expected)
    text = text_of(report)
    for part in ("first in c[37, 21]", "program instance  (2, 1, 0)", writer.instruction, writer.line):
        assert part in text


def test_a_broken_pass_is_found(matmul, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The compiler stores one byte too far: strict mode names the line and program instance that reach beyond the array."""
    monkeypatch.setattr(knobs.cache_dir, "_set", tmp_path)
    real = Emitter.mvout
    monkeypatch.setattr(matmul, "specialisations", {})

    def shifted(self, dram, local, cols, rows):
        real(self, self.add(dram, 1), local, cols, rows)

    monkeypatch.setattr(Emitter, "mvout", shifted)
    arguments = inputs(SIGNATURE, matmul)
    arguments["c"][:] = 99
    report = check(matmul, arguments, (3, 3), ("interpret", "functional"), HARDWARE)
    outcome = report.ran["functional"]
    # The last row's last byte lies beyond the array, which the simulator sees first.
    assert outcome.startswith("failed: ") and "outside argument c" in outcome
    assert line_of("bl.store(", EXAMPLE) in outcome and "program instance (" in outcome


def test_what_the_host_core_stores_is_found_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from baco.sim import functional

    real = functional.run

    def corrupt(program, config, arguments, *rest):
        result = real(program, config, arguments, *rest)
        arguments[1][70] += 1
        return result

    monkeypatch.setattr(functional, "run", corrupt)
    report = check(scaled_sum, inputs("*i32[100], *i32[100], 100, BLOCK=32", scaled_sum), (4,), ("interpret", "functional"), HARDWARE)
    (difference,) = report.differences
    assert (difference.argument, difference.index, difference.found) == ("y", (70,), difference.expected + 1)
    writer = difference.writer
    assert writer.instance == (2, 0, 0)
    assert writer.instruction.endswith("by the host core") and writer.tile == (70,)
    place, line = writer.line.rsplit(":", 1)
    assert Path(place) == Path(__file__)
    assert "value" in Path(__file__).read_text().splitlines()[int(line) - 1]


def test_nothing_stored_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from baco.sim import functional

    real = functional.run

    def corrupt(program, config, arguments, *rest):
        result = real(program, config, arguments, *rest)
        arguments[0][5] += 1
        return result

    monkeypatch.setattr(functional, "run", corrupt)
    report = check(scaled_sum, inputs("*i32[100], *i32[100], 100, BLOCK=32", scaled_sum), (4,), ("interpret", "functional"), HARDWARE)
    # The first argument is only read, so what a backend does to it is not brought back by the program.
    assert report.differences[0].argument == "x" and report.differences[0].writer is None
    assert "Nothing stored there" in text_of(report)


def test_what_cannot_be_checked(matmul) -> None:
    with pytest.raises(CheckError, match="there is no backend 'qemu'; those there are: interpret,"):
        check(matmul, inputs(SIGNATURE, matmul), (3, 3), ("qemu",), HARDWARE)
    with pytest.raises(SignatureError, match=r"give an array as \*TYPE\[SHAPE\]"):
        inputs("*i8, *i8, *i8", matmul)
    with pytest.raises(SignatureError, match="nothing is said about b, c"):
        inputs("*i8[4x4]", matmul)


def test_the_command(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACO_VERILATOR", "/nowhere/verilator")
    arguments = [
        "check",
        f"{EXAMPLE}:matmul",
        "--signature",
        SIGNATURE,
        "--grid",
        "3,3",
        "--backends",
        "interpret,cpu,functional,verilator",
    ]
    assert cli.main(arguments) == 0
    out = capfd.readouterr().out
    assert "functional   agrees" in out and "verilator    skipped" in out
    assert cli.main([*arguments[:-1], "interpret,verilator"]) == 1  # one backend alone shows nothing
    assert cli.main(["check", f"{EXAMPLE}:matmul", "--signature", "*i8"]) == 2
    assert "give an array as *TYPE[SHAPE]" in capfd.readouterr().err
