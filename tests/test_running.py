"""`baco run` and `baco audit`: what they print, their exit statuses, and that what a person gets wrong is one sentence."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from baco import cli

sys.path.append(str(Path(__file__).parent / "sim"))
from riscv_programs import assemble

EXAMPLE = Path(__file__).parents[1] / "examples" / "01_matmul.py"
SIGNATURE = "*i8,*i8,*i8,i64,i64,i64,i64,i64:1,i64,i64:1,i64,i64:1,fp32,BLOCK_M=16,BLOCK_N=16,BLOCK_K=32"
ARGUMENTS = ["a=random:48x64", "b=random:64x40", "c=zeros:48x40", "M=48", "N=40", "K=64", "stride_am=64", "stride_bk=40", "stride_cm=40"]
HELLO = """
  la s1, text
  li s2, 6
1: lbu t1, 0(s1)
  li t0, 0x0101000000000000
  or t0, t0, t1
  la t2, tohost
  sd t0, 0(t2)
  la t2, fromhost
2: ld t3, 0(t2)
  beqz t3, 2b
  sd x0, 0(t2)
  addi s1, s1, 1
  addi s2, s2, -1
  bnez s2, 1b
  li a0, 5
  j exit
text: .ascii "hello\\n"
.balign 4
"""


def foreign(folder: Path, body: str) -> str:
    """A program that takes no arguments."""
    path = folder / "program.elf"
    path.write_bytes(assemble(body).replace(b"baco_arguments\0", b"some_arguments\0"))
    return str(path)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("kernel")
    assert cli.main(["compile", f"{EXAMPLE}:matmul", "--signature", SIGNATURE, "-o", str(folder)]) == 0
    return str(folder / "matmul.elf")


def test_a_program_prints_and_ends_with_its_status(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", foreign(tmp_path, HELLO)]) == 5
    assert capfd.readouterr().out == "hello\n"


def test_a_compiled_kernel(kernel: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    trace, out = tmp_path / "trace.json", tmp_path / "out"
    more = ["scale=0.002", "--grid", "3,3", "--strict", "--json", "--trace", str(trace), "--trace-limit", "50", "--out", str(out)]
    assert cli.main(["run", kernel, *ARGUMENTS, *more]) == 0
    captured = capfd.readouterr()
    answer = json.loads(captured.out)
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-128, 127, shape, np.int8, endpoint=True).astype(np.int32) for shape in ((48, 64), (64, 40)))
    np.testing.assert_array_equal(np.load(out / "c.npy"), np.clip(np.rint((a @ b).astype(np.float32) * np.float32(0.002)), 0, 127))
    assert answer["counters"]["traffic"]["MACs"] == 48 * 48 * 64 and answer["cost"]["cycles"] > 0
    assert answer["exit_code"] == 0 and answer["arrays"] == [str(out / "c.npy")]
    told = json.loads(trace.read_text())["otherData"]
    assert told["steps left out"] == told["steps"] - 50 and "the trace holds 50 of" in captured.err


def test_counters(kernel: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", kernel, *ARGUMENTS, "scale=0.002", "--grid", "3,3", "--counters"]) == 0
    out = capfd.readouterr().out
    assert "multiply-accumulates" in out and f"{48 * 48 * 64:,}" in out


def test_clocks_are_the_same_in_every_run(tmp_path: Path) -> None:
    body = "  rdcycle s1\n  rdcycle t0\n  rdinstret t1\n  csrr t2, mcycle\n  sub a0, t2, s1\n  add a0, a0, t1\n  andi a0, a0, 127\n"
    statuses = {cli.main(["run", foreign(tmp_path, body)]) for _ in range(5)}
    assert len(statuses) == 1 and statuses != {0}


def test_an_audit(kernel: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["audit", kernel]) == 0
    assert "outside the instruction table" in capfd.readouterr().out
    assert cli.main(["audit", foreign(tmp_path, "  .insn r CUSTOM_3, 3, 99, x0, a0, a1\n"), "--json"]) == 1
    assert json.loads(capfd.readouterr().out)["clean"] is False


ENDLESS, STRAY = "1: j 1b\n", "  li t0, 0x1000\n  sd t0, 0(t0)\n"


@pytest.mark.parametrize(
    ("body", "options", "message"),
    [
        (ENDLESS, ["--max-instructions", "10000"], "host instructions, its limit."),
        (ENDLESS, ["--timeout", "0.2"], "within 0.2 seconds, its time limit."),
        ("  jr x0\n", [], "jumped to 0x0, where there is no code."),
        (STRAY, [], "writes 8 bytes at 0x1000, outside the program's memory"),
        ("  .insn r CUSTOM_3, 3, 127, x0, a0, a1\n", ["--strict"], "(Strict rule fence_command.)"),
        ("", ["--backend", "verilator", "--memory-model", "fast"], "the memory model is 'fast'; it is cached"),
        ("", ["--backend", "qemu"], "there is no backend 'qemu'"),
        ("", ["--memory", "much"], "--memory is 'much'; give bytes"),
        ("", ["--memory", "4K"], "the limit is 4096."),
        ("", ["--grid", "0x2"], "--grid is '0x2'"),
        ("", ["--config", "none.json"], "none.json cannot be read: No such file or directory."),
        ("", ["--config", "gemini"], "there is no preset 'gemini'"),
        ("", ["x=1"], "'x=1' is no argument of the program"),
        ("", ["--trace", "/dev/null/t.json"], "cannot write /dev/null/t.json"),
    ],
)
def test_what_can_go_wrong_is_one_sentence(
    body: str, options: list[str], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", foreign(tmp_path, body + "  li a0, 0\n"), *options]) == 2
    err = capfd.readouterr().err
    assert err.startswith("error: ") and message in err and err.count("\n") == 1


def test_what_can_go_wrong_with_a_kernel(kernel: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["/nowhere.elf"], "/nowhere.elf cannot be read: No such file or directory."),
        ([kernel], "nothing is said about a, b, c, M"),
        ([kernel, *ARGUMENTS, "scale=much"], "scale=much must be a number."),
        ([kernel, *ARGUMENTS[1:], "scale=1", "a=missing.npy"], "a=missing.npy is neither random:SHAPE"),
        ([kernel, *ARGUMENTS[1:], "scale=1", "a=zeros:4x4"], "outside argument a"),
    ):
        assert cli.main(["run", *arguments]) == 2
        assert message in capfd.readouterr().err
    alone = tmp_path / "alone.elf"
    alone.write_bytes(Path(kernel).read_bytes())
    assert cli.main(["run", str(alone)]) == 2
    assert "alone.json, which says which, is not there." in capfd.readouterr().err


def test_the_host_core_stays_inside_its_buffers(tmp_path: Path) -> None:
    """Off by one behind an array, and between two arrays: memory of the process, but nobody's of the program's."""
    from baco.hardware import GemminiConfig
    from baco.sim import Parameter, Program, run
    from baco.sim.errors import HostFault

    parameters = (Parameter("x", "buffer", "int64", True), Parameter("y", "buffer", "int8", True))
    arrays = [np.zeros(16, np.int64), np.zeros(64, np.int8)]
    for argument, offset, beyond in ((24, 128, "0 bytes beyond the end of argument x"), (32, 72, "8 bytes beyond the end of argument y")):
        elf = assemble(f"  ld t0, {argument}(s0)\n  sd t0, {offset}(t0)\n  li a0, 0\n")
        with pytest.raises(HostFault, match=beyond if argument == 24 else "beyond the end of argument y|outside the program's memory"):
            run(Program(elf, parameters), GemminiConfig(), arrays)
    before = assemble("  ld t0, 32(s0)\n  li t1, -4096\n  add t0, t0, t1\n  ld t0, 0(t0)\n  li a0, 0\n")
    with pytest.raises(HostFault, match=r"reads 8 bytes at 0x[0-9a-f]+, \d+ bytes beyond the end of argument x"):
        run(Program(before, parameters), GemminiConfig(), arrays)
