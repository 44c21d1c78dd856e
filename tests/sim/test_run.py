"""Programs from start to end: arguments in, results and exit code out, and every way in which the host core can go wrong."""

import _thread
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from riscv_programs import assemble, command_program

from baco import knobs
from baco.hardware import GemminiConfig
from baco.isa import float_bits
from baco.sim import Limits, Parameter, Program, ProgramError, SimulationFault, run
from baco.sim.errors import DramAddressFault, HostFault, IllegalInstruction, LimitReached, MalformedInstruction, StateFault

CONFIG = GemminiConfig(dim=4, scratchpad_bytes=4096, accumulator_bytes=4096)

# Moves a 4x4 int8 block from argument 0 to argument 1 through the scratchpad, writes grid and scalars to argument 2, exits with 7.
COPY = f"""
  li a0, {1 | 4 << 16 | float_bits(1.0) << 32}   # config_ld 0: block stride 4, scale 1
  li a1, 4
  .insn r CUSTOM_3, 3, 0, x0, a0, a1
  li a0, 2                                       # config_st: stride 4
  li a1, {4 | float_bits(1.0) << 32}
  .insn r CUSTOM_3, 3, 0, x0, a0, a1
  li a2, {4 << 48 | 4 << 32}
  ld a0, 24(s0)
  .insn r CUSTOM_3, 3, 2, x0, a0, a2
  ld a0, 32(s0)
  .insn r CUSTOM_3, 3, 3, x0, a0, a2
  fence
  ld a3, 40(s0)
  ld t0, 0(s0)
  sd t0, 0(a3)
  ld t0, 8(s0)
  sd t0, 8(a3)
  ld t0, 16(s0)
  sd t0, 16(a3)
  ld t0, 48(s0)
  sd t0, 24(a3)
  ld t0, 56(s0)
  sd t0, 32(a3)
  flw fa0, 56(s0)
  fcvt.l.s t0, fa0, rtz
  sd t0, 40(a3)
  li a0, 7
"""
COPY_PARAMETERS = (
    Parameter("source", "buffer", "int8"),
    Parameter("target", "buffer", "int8", writable=True),
    Parameter("seen", "buffer", "int64", writable=True),
    Parameter("n", "scalar", "int32"),
    Parameter("x", "scalar", "float32"),
)


def copy_arguments() -> list:
    return [np.arange(16, dtype=np.int8).reshape(4, 4), np.zeros((4, 4), np.int8), np.zeros(6, np.int64), -5, 2.5]


def run_assembly(body: str, **limits: float) -> object:
    return run(Program(assemble(body)), CONFIG, [], limits=Limits(**limits))


def test_arguments_results_and_exit_code() -> None:
    arguments = copy_arguments()
    result = run(Program(assemble(COPY), COPY_PARAMETERS), CONFIG, arguments, (2, 3, 4))
    assert result.exit_code == 7
    np.testing.assert_array_equal(arguments[1], arguments[0])
    assert arguments[2].tolist() == [2, 3, 4, -5, float_bits(2.5), 2]
    assert result.counters.instructions == {"config_ld": 1, "config_st": 1, "mvin": 1, "mvout": 1}
    assert result.counters.traffic.reads["dram", "inputs"] == result.counters.traffic.writes["dram", "outputs"] == 16
    assert result.counters.dram_bytes_read == result.counters.dram_bytes_written == 16


def test_one_array_for_two_parameters_is_one_buffer() -> None:
    arguments = copy_arguments()
    arguments[1] = arguments[0]
    run(Program(assemble(COPY), COPY_PARAMETERS), CONFIG, arguments)
    assert arguments[0].ravel().tolist() == list(range(16))
    whole = np.zeros(24, np.int8)
    with pytest.raises(ProgramError, match="source and target overlap"):
        run(Program(assemble(COPY), COPY_PARAMETERS), CONFIG, [whole[:16], whole[8:], *arguments[2:]])


def test_host_instructions_are_counted() -> None:
    short = run_assembly("  li t2, 10\n1: addi t2, t2, -1\n  bnez t2, 1b\n  li a0, 0\n").counters.host_instructions
    long = run_assembly("  li t2, 1010\n1: addi t2, t2, -1\n  bnez t2, 1b\n  li a0, 0\n").counters.host_instructions
    assert long - short == 2000


def test_commands_through_the_core_count_as_given() -> None:
    steps = [("flush", {}), ("config_ex", {"dataflow": 1, "a_stride": 1, "c_stride": 1}), ("flush", {})]
    assert run(Program(command_program(steps)), CONFIG, []).counters.instructions == {"flush": 2, "config_ex": 1}


def test_a_refused_command_is_reported_with_its_place() -> None:
    body = "  li a0, 0\n  li a1, 0\nbad: .insn r CUSTOM_3, 3, 2, x0, a0, a1\n"
    with pytest.raises(StateFault) as caught:
        run_assembly(body)
    fault = caught.value
    assert fault.pc > 0x8000_0000
    assert fault.command.funct7 == 2
    assert fault.disassembly.startswith("mvin dram=0x0, local=scratchpad[0]")
    assert fault.line.text.startswith("bad: .insn r CUSTOM_3") or fault.line.file.endswith("p.S")
    assert str(fault) == f"{fault.line}: pc {fault.pc:#x}: {fault.disassembly}: {fault.reason}"


def test_results_of_a_stopped_run_do_not_reach_the_caller() -> None:
    arguments = copy_arguments()
    with pytest.raises(SimulationFault):
        run(Program(assemble(COPY + "  ebreak\n"), COPY_PARAMETERS), CONFIG, arguments)
    assert not arguments[1].any()


def test_moves_outside_the_arguments_are_refused() -> None:
    arguments = copy_arguments()
    arguments[0] = np.zeros(15, np.int8)
    with pytest.raises(DramAddressFault, match=r"row 3 reads 4 bytes of DRAM at 0x[0-9a-f]+, outside argument source"):
        run(Program(assemble(COPY), COPY_PARAMETERS), CONFIG, arguments)
    parameters = (COPY_PARAMETERS[0], replace(COPY_PARAMETERS[1], writable=False), *COPY_PARAMETERS[2:])
    with pytest.raises(DramAddressFault, match="argument target, a read-only buffer"):
        run(Program(assemble(COPY), parameters), CONFIG, copy_arguments())


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        ("  .insn r CUSTOM_3, 3, 99, x0, a0, a1\n", IllegalInstruction, "funct7 99 is not a Gemmini instruction"),
        ("  .insn r CUSTOM_3, 2, 7, x0, a0, a1\n", MalformedInstruction, "funct3 2"),
        ("  .word 0xffffffff\n", IllegalInstruction, "0xffffffff is not an instruction of the host core"),
        ("  nop\n  .half 0\n", IllegalInstruction, "0x0000 is not an instruction of the host core"),
        ("  ebreak\n", HostFault, "breakpoint|tohost"),
        ("  ecall\n", HostFault, r"environment call \(ecall\)"),
        ("  li t0, 64\n  ld t0, 0(t0)\n", HostFault, "reads 8 bytes at 0x40, outside the program's memory"),
        ("  li t0, 64\n  sw t0, 0(t0)\n", HostFault, "writes 4 bytes at 0x40"),
        ("  li t0, 0x4000\n  jr t0\n", HostFault, "jumped to 0x4000"),
        ("  jr x0\n", HostFault, "jumped to 0x0"),
        ("  la t0, tohost\n  li t1, 2\n  sd t1, 0(t0)\n  j spin\n", HostFault, "wrote 0x2 to tohost"),
        ("  wfi\n  j spin\n", HostFault, "stopped before"),
    ],
)
def test_faults_of_the_host_core(body: str, kind: type, reason: str) -> None:
    with pytest.raises(kind, match=reason) as caught:
        run_assembly(body, instructions=100_000)
    assert caught.value.pc is not None


@pytest.mark.parametrize(
    ("fault", "offset"),
    [(".half 0", 0), (".word 0xffffffff", 0), ("csrr t0, 0x123", 0), ("c.li t0, 0\n  ld t0, 0(t0)", 2), ("ecall", 0)],
)
def test_the_place_of_a_host_fault_is_exact(fault: str, offset: int) -> None:
    padding = 9
    body = "  c.nop\n" * padding + f"  {fault}\n"
    # The code is the first thing in the file's first loaded page, and the image starts at the base address.
    start = 0x8000_0000 + assemble(body).find(b"\x01\x00" * padding) % 0x1000 + 2 * padding
    with pytest.raises(SimulationFault) as caught:
        run_assembly(body)
    assert caught.value.pc == start + offset


def test_endless_loops_end() -> None:
    with pytest.raises(LimitReached, match=r"after 1[0-9]{4} host instructions"):
        run_assembly("1: j 1b\n", instructions=10_000)
    with pytest.raises(LimitReached, match=r"within 0\.3 seconds"):
        run_assembly("1: j 1b\n", seconds=0.3)


def test_ctrl_c_ends_a_run() -> None:
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run_assembly("1: j 1b\n", instructions=1 << 60, seconds=60)
    timer.join()


def test_a_run_longer_than_a_slice_is_not_disturbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baco.sim.host.SLICE_SECONDS", 0.001)
    body = "  li t2, {}\n1: addi t2, t2, -1\n  .insn r CUSTOM_3, 3, 7, x0, a0, a1\n  bnez t2, 1b\n  li a0, 0\n"
    few, many = (run_assembly(body.format(n)).counters for n in (3_010, 200_010))
    assert many.instructions == {"flush": 200_010}
    assert many.host_instructions - few.host_instructions == 3 * 197_000


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({0: np.zeros(16, np.int16)}, "source must be an array of int8, but is of int16"),
        ({0: [1, 2]}, "source must be a NumPy array, but is list"),
        ({0: np.zeros((8, 8), np.int8)[:, :2]}, "source must be C-contiguous"),
        ({3: 1 << 31}, "n is 2147483648; int32 holds -2147483648 to 2147483647"),
        ({3: 1.5}, "n must be a whole number"),
        ({4: "1"}, "x must be a number"),
        ({4: 1e300}, "x is 1e[+]300, which does not fit float32"),
    ],
)
def test_arguments_that_do_not_fit(change: dict, reason: str) -> None:
    arguments = copy_arguments()
    for index, value in change.items():
        arguments[index] = value
    with pytest.raises(ProgramError, match=reason):
        run(Program(assemble(COPY), COPY_PARAMETERS), CONFIG, arguments)


def test_other_calls_that_cannot_run() -> None:
    program = Program(assemble("  li a0, 0\n"))
    with pytest.raises(ProgramError, match="takes 0 arguments, but 1 were given"):
        run(program, CONFIG, [1])
    with pytest.raises(ProgramError, match="grid is"):
        run(program, CONFIG, [], (1, 0, 1))
    with knobs.verilator.scope("/nowhere/verilator"), pytest.raises(ProgramError, match="Verilator was not found as '/nowhere/verilator'"):
        run(program, CONFIG, [], backend="verilator")
    with pytest.raises(ProgramError, match="no backend 'qemu'; those there are: functional, spike, verilator"):
        run(program, CONFIG, [], backend="qemu")
    read_only = np.zeros(4, np.int8)
    read_only.flags.writeable = False
    with pytest.raises(ProgramError, match="read-only"):
        run(Program(program.elf, (Parameter("c", "buffer", "int8", writable=True),)), CONFIG, [read_only])
    many = tuple(Parameter(f"p{i}", "scalar", "int32") for i in range(9))
    with pytest.raises(ProgramError, match="room for 11 argument slots in baco_arguments, but 12 are needed"):
        run(Program(program.elf, many), CONFIG, [0] * 9)
    with pytest.raises(ProgramError, match="kind must be one of buffer, scalar"):
        Parameter("a", "pointer", "int8")


def test_damaged_programs_are_refused() -> None:
    good = assemble("  li a0, 0\n")
    for data in (b"", b"hello", good[:100], good[: len(good) // 2], b"\x7fELF" + bytes(200)):
        with pytest.raises(ProgramError):
            run(Program(data), CONFIG, [])
    other_machine = bytearray(good)
    other_machine[18] = 62
    with pytest.raises(ProgramError, match="EM_X86_64"):
        run(Program(bytes(other_machine)), CONFIG, [])
    rng = np.random.default_rng(0)
    for _ in range(40):
        damaged = bytearray(good)
        for at in rng.integers(0, 300, 4):
            damaged[at] = rng.integers(0, 256)
        try:
            run(Program(bytes(damaged)), CONFIG, [], limits=Limits(instructions=10_000))
        except (ProgramError, SimulationFault):
            continue


def test_importing_the_module_loads_neither_emulator_nor_elf_reader() -> None:
    code = "import sys, baco.sim; sys.exit(any(m in sys.modules for m in ('unicorn', 'elftools')))"
    subprocess.run([sys.executable, "-c", code], check=True)
