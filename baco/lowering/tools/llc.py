"""`baco-llc`: turn LLVM IR into RISC-V assembly, an object or an ELF, or list the instructions of either of the last two."""

from __future__ import annotations

import re
from collections.abc import Sequence

from baco.lowering.errors import SourceLocation
from baco.lowering.tools.common import (
    Diagnostic,
    Note,
    Parser,
    Run,
    ToolFailure,
    ToolInputError,
    display_name,
    in_this_process,
    read_bytes,
    read_text,
    write,
)
from baco.toolchain import ToolError

_ERROR = re.compile(r"^\S*kernel\.ll:(\d+):(\d+): error: (.*)$", re.MULTILINE)


def llc(argv: Sequence[str], run: Run = in_this_process) -> int:
    """`baco-llc`: turn LLVM IR into RISC-V assembly, an object or an ELF, or list the instructions of an object or ELF.

    Raises:
        ToolInputError: for a file or option that cannot be used.
        ToolFailure: if LLVM rejects the input.
    """
    parser = Parser("baco-llc", "Turn LLVM IR into RISC-V assembly, an object or an ELF, or list the instructions of either.")
    parser.add_argument("--emit", choices=("asm", "obj", "elf"), default="asm", help="what to write (default: asm)")
    parser.add_argument(
        "--disassemble",
        "-d",
        action="store_true",
        help="the input is an object or ELF: list its instructions, Gemmini's by name, with the fields whose values the code fixes",
    )
    options = parser.parse_args(argv)
    if options.emit != "asm" and not options.disassemble and options.output is None:
        raise ToolInputError(f"--emit {options.emit} writes bytes, not text; name a file for them with -o.")
    name = display_name(options.input)
    content = read_bytes(options.input) if options.disassemble else read_text(options.input)

    def work(note: Note) -> int:
        note(f"reading {name}")
        write(options.output, _listing(content) if isinstance(content, bytes) else _generated(content, options.emit, name))
        return 0

    return run(work)


def _listing(elf: bytes) -> str:
    from baco.lowering.disassemble import disassemble

    return "".join(f"{line}\n" for line in disassemble(elf))


def _generated(llvm_ir: str, emit: str, file: str) -> str | bytes:
    from baco.lowering.codegen import assembly_of, generate, object_of

    try:
        if emit == "elf":
            return generate(llvm_ir).elf
        return assembly_of(llvm_ir) if emit == "asm" else object_of(llvm_ir)
    except ToolError as error:
        found = [Diagnostic("error", m[3], SourceLocation(file, int(m[1]), int(m[2]))) for m in _ERROR.finditer(error.output)]
        if "undefined symbol: baco_main" in error.output:
            found.append(
                Diagnostic("error", f"{file} defines no function baco_main, where a program starts; write an object with --emit obj.")
            )
        if not found:
            raise
        raise ToolFailure(found) from None
