"""From LLVM IR text to RISC-V assembly and a linked ELF, with the clang and lld of the `ziglang` wheel.

LLVM IR is the only thing handed over, and its RoCC instructions are `.insn` inline assembly, so any stock LLVM will do.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from baco.toolchain import RISCV_TARGET, zig

FLAGS = ("-target", RISCV_TARGET, "-mcpu=generic_rv64+m+a+f+d+c", "-mabi=lp64d", "-mcmodel=medany")
"""RV64GC, as Rocket runs it; medany because programs live at 0x80000000."""


BARE = ("-O2", "-g0", "-ffreestanding", "-fno-builtin", "-ffunction-sections", "-Wl,--gc-sections", "-nostdlib", "-static")
"""Nothing but the program and, of the runtime's functions, those that it calls."""
_UNWINDING = re.compile(r"^\t\.cfi_.*\n", re.MULTILINE)
"""Directives for unwinding the stack, which come with line numbers and which nothing in a program without an operating system reads."""


@dataclass(frozen=True)
class MachineCode:
    """What code generation makes: assembly text, and the ELF."""

    assembly: str
    elf: bytes


def assembly_of(llvm_ir: str) -> str:
    """The RISC-V assembly of a module of LLVM IR.

    Raises:
        baco.toolchain.ToolError: if the compiler is missing or rejects its input.
    """
    return _UNWINDING.sub("", _compiled(llvm_ir, "-S").decode())


def object_of(llvm_ir: str) -> bytes:
    """The relocatable object of a module of LLVM IR, for whoever links it with a runtime of their own.

    Raises:
        baco.toolchain.ToolError: if the compiler is missing or rejects its input.
    """
    return _compiled(llvm_ir, "-c")


def _compiled(llvm_ir: str, what: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="baco-") as folder:
        source, result = Path(folder) / "kernel.ll", Path(folder) / "kernel.out"
        source.write_text(llvm_ir)
        zig("cc", *FLAGS, "-O2", what, str(source), "-o", str(result))
        return result.read_bytes()


def generate(llvm_ir: str) -> MachineCode:
    """Compile a module whose entry is `baco_main` and link it with the bare-metal runtime.

    Raises:
        baco.toolchain.ToolError: if the compiler or linker is missing or rejects its input.
    """
    runtime = resources.files("baco.lowering") / "runtime"
    with tempfile.TemporaryDirectory(prefix="baco-") as folder, resources.as_file(runtime) as files:
        assembly, elf = (Path(folder) / name for name in ("kernel.s", "kernel.elf"))
        assembly.write_text(assembly_of(llvm_ir))
        sources = [str(assembly), str(files / "crt.S"), str(files / "math.c"), str(files / "print.c")]
        zig("cc", *FLAGS, *BARE, f"-Wl,-T,{files / 'link.ld'}", *sources, "-o", str(elf))
        return MachineCode(assembly.read_text(), elf.read_bytes())
