"""Programs that BACO did not make: memory of their own, a console, and system calls that reach nothing of the host's."""

import pytest
from riscv_programs import assemble

from baco.hardware import GemminiConfig
from baco.isa import encode
from baco.sim import Program, RunResult, run
from baco.sim.errors import HostFault

CALL = """
.macro call number, first, second, third
  la t0, block
  li t1, \\number
  sd t1, 0(t0)
  li t1, \\first
  sd t1, 8(t0)
  la t1, \\second
  sd t1, 16(t0)
  li t1, \\third
  sd t1, 24(t0)
  fence
  la t2, tohost
  sd t0, 0(t2)
  la t2, fromhost
1: ld t3, 0(t2)
  beqz t3, 1b
  sd x0, 0(t2)
  ld a0, 0(t0)
.endm
.section .data
.balign 64
block: .zero 64
text: .ascii "hello\\n"
.section .text
"""


def foreign(body: str) -> RunResult:
    """Run a program whose argument slots go by a name that says nothing."""
    elf = assemble(CALL + body)
    assert elf.count(b"baco_arguments\0") == 1
    return run(Program(elf.replace(b"baco_arguments\0", b"some_arguments\0")), GemminiConfig(), [])


def test_the_console() -> None:
    result = foreign("  call 64, 1, text, 6\n  mv s1, a0\n  call 64, 2, text, 2\n  mv a0, s1\n")
    assert (result.output, result.exit_code) == (b"hello\nhe", 6)
    put = "  li t0, 0x0101000000000041\n  la t2, tohost\n  sd t0, 0(t2)\n  la t2, fromhost\n1: ld t3, 0(t2)\n  beqz t3, 1b\n  li a0, 0\n"
    assert foreign(put).output == b"A"


def test_other_calls_reach_nothing() -> None:
    assert foreign("  call 64, 3, text, 6\n  neg a0, a0\n").exit_code == 9
    assert foreign("  call 1024, 0, text, 0\n  neg a0, a0\n").exit_code == 38
    assert foreign("  call 93, 5, text, 0\n").exit_code == 5


def test_wrong_requests_are_reported() -> None:
    with pytest.raises(HostFault, match=r"prints 2000000000 bytes at 0x[0-9a-f]+, which are not in its memory"):
        foreign("  call 64, 1, text, 2000000000\n")
    with pytest.raises(HostFault, match="wrote 0x2 to tohost"):
        foreign("  la t0, tohost\n  li t1, 2\n  sd t1, 0(t0)\n1: j 1b\n")


def test_memory_behind_the_image_is_the_programs() -> None:
    assert foreign("  la t0, stack_top\n  li t1, 0x100000\n  add t0, t0, t1\n  sd t1, 0(t0)\n  li a0, 3\n").exit_code == 3


def test_the_counter_command_answers_in_its_register() -> None:
    reprogram, read = encode("counter", reprogram=1, index=3, event=5, external=1), encode("counter", index=3)
    st = encode("config_st", dram_stride=16)
    out = encode("mvout", local_rows=2, local_cols=5)
    body = f"""
  li a1, {reprogram.rs1}
  .insn r CUSTOM_3, 7, 126, a0, a1, a1
  li a1, {st.rs1}
  li a2, {st.rs2}
  .insn r CUSTOM_3, 3, 0, x0, a1, a2
  la a1, stack_top
  li a2, {out.rs2}
  .insn r CUSTOM_3, 3, 3, x0, a1, a2
  li a1, {read.rs1}
  .insn r CUSTOM_3, 7, 126, a0, a1, a1
"""
    assert foreign(body).exit_code == 10
