"""Tiny bare-metal programs for tests: assembly text, or a list of Gemmini commands, turned into an ELF."""

import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from baco.isa import Command, encode
from baco.toolchain import RISCV_TARGET, zig

FLAGS = (
    *("-target", RISCV_TARGET, "-mcpu=generic_rv64+m+a+f+d+c", "-mabi=lp64d", "-mcmodel=medany"),
    *("-nostdlib", "-static"),
)

LINKER_SCRIPT = """
OUTPUT_ARCH(riscv)
ENTRY(_start)
SECTIONS
{
  . = 0x80000000;
  .text : { *(.text.start) *(.text*) }
  . = ALIGN(4096);
  .data : { *(.data*) *(.sdata*) }
  .bss : { *(.bss*) *(.sbss*) }
}
"""

START = """
.section .text.start, "ax"
.globl _start
_start:
  la sp, stack_top
  li t0, 0x6000
  csrs mstatus, t0
  la s0, baco_arguments
"""

END = """
exit:              # a0: exit code
  slli a0, a0, 1
  ori a0, a0, 1
  la t0, tohost
  sd a0, 0(t0)
spin: j spin

.section .data, "aw"
.balign 64
.globl baco_arguments, tohost, fromhost
.type baco_arguments, @object
.size baco_arguments, 88
baco_arguments: .zero 88
.balign 64
tohost: .dword 0
fromhost: .dword 0
.bss
.balign 16
.zero 4096
stack_top:
"""


@cache
def assemble(body: str) -> bytes:
    """An ELF that runs `body` with s0 at `baco_arguments`, then ends with the exit code in a0."""
    with tempfile.TemporaryDirectory() as folder:
        source, script, out = (Path(folder, name) for name in ("p.S", "p.ld", "p.elf"))
        source.write_text(START + body + END)
        script.write_text(LINKER_SCRIPT)
        zig("cc", *FLAGS, f"-Wl,-T,{script}", "-o", str(out), str(source))
        return out.read_bytes()


def command_text(command: Command) -> str:
    """Assembly that sends one command."""
    return f"  li a0, {command.rs1:#x}\n  li a1, {command.rs2:#x}\n  .insn r CUSTOM_3, 3, {command.funct7}, x0, a0, a1\n"


def command_program(steps: Iterable[tuple[str, dict[str, int]]]) -> bytes:
    """An ELF that sends the named commands in order, then ends with exit code 0."""
    return assemble("".join(command_text(encode(name, **fields)) for name, fields in steps) + "  fence\n  li a0, 0\n")
