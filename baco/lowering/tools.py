"""The command-line tools on MLIR and machine code: `baco-opt`, `baco-translate` and `baco-llc`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from baco.hardware import GemminiConfig, preset
from baco.lowering.errors import CompilationError, SourceLocation


class ToolInputError(CompilationError):
    """A file or option that a tool cannot use."""


def opt(argv: Sequence[str]) -> int:
    """`baco-opt`: run passes over MLIR text and print the result."""
    parser = _parser("baco-opt", "Run passes over MLIR text.")
    parser.add_argument(
        "--passes", "-p", default="", help="comma-separated passes, BACO's or MLIR's, such as structure-pointers,canonicalize"
    )
    parser.add_argument("--pipeline", help="a named pipeline instead")
    parser.add_argument("--hardware", help="a preset's name or a JSON file; else what the module says, or gemmini-default")
    parser.add_argument("--list-passes", action="store_true", help="print BACO's passes and pipelines and stop")
    options = parser.parse_args(argv)
    from baco.lowering.passes import registered, run_passes, set_hardware
    from baco.lowering.pipelines import PIPELINES

    if options.list_passes:
        _write(None, "\n".join([*registered(), *(f"{name}: {', '.join(passes)}" for name, passes in PIPELINES.items())]) + "\n")
        return 0
    if options.pipeline and options.pipeline not in PIPELINES:
        raise ToolInputError(f"there is no pipeline {options.pipeline!r}; the pipelines are {', '.join(PIPELINES)}.")
    module = parse_module(_read_text(options.input), options.input)
    if options.hardware:
        set_hardware(module, load_hardware(options.hardware))
    run_passes(module, PIPELINES[options.pipeline] if options.pipeline else [p for p in _split(options.passes) if p])
    _write(options.output, f"{module}\n")
    return 0


def translate(argv: Sequence[str]) -> int:
    """`baco-translate`: turn a module in the instgem dialect into LLVM IR."""
    options = _parser("baco-translate", "Turn a module in the instgem dialect into LLVM IR.").parse_args(argv)
    from baco.lowering.pipelines import to_llvm_ir

    _write(options.output, to_llvm_ir(parse_module(_read_text(options.input), options.input)))
    return 0


def llc(argv: Sequence[str]) -> int:
    """`baco-llc`: turn LLVM IR into RISC-V assembly or an ELF, or list the instructions of an ELF."""
    parser = _parser("baco-llc", "Turn LLVM IR into RISC-V assembly or an ELF, or list the instructions of an ELF.")
    parser.add_argument("--emit", choices=("asm", "elf"), default="asm", help="what to write (default: asm)")
    parser.add_argument("--disassemble", "-d", action="store_true", help="the input is an ELF: list its instructions, Gemmini's by name")
    options = parser.parse_args(argv)
    if options.disassemble:
        from baco.lowering.disassemble import disassemble

        _write(options.output, "".join(f"{line}\n" for line in disassemble(_read_bytes(options.input))))
        return 0
    from baco.lowering.codegen import generate

    code = generate(_read_text(options.input))
    if options.emit == "elf" and options.output is None:
        raise ToolInputError("an ELF is not text; name a file for it with -o.")
    _write(options.output, code.elf if options.emit == "elf" else code.assembly)
    return 0


def parse_module(text: str, name: str) -> object:
    """The module in MLIR text.

    Raises:
        ToolInputError: with the place of the first thing that is wrong.
    """
    from baco.dialects.mlir import context, ir

    with context(), ir.Location.unknown():
        try:
            return ir.Module.parse(text)
        except ir.MLIRError as error:
            first = error.error_diagnostics[0]
            place = SourceLocation.of(first.location)
            raise ToolInputError(first.message, place and SourceLocation(name, place.line, place.column)) from None


def load_hardware(name: str) -> GemminiConfig:
    """A preset, or the configuration in a JSON file."""
    return GemminiConfig.from_json(_read_text(name)) if name.endswith(".json") else preset(name)


def _split(passes: str) -> list[str]:
    """Comma-separated pass names; commas inside options or nesting do not separate."""
    parts, depth = [""], 0
    for letter in passes:
        depth += (letter in "{(") - (letter in "})")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [p.strip() for p in parts]


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name, description=description)
    parser.add_argument("input", nargs="?", default="-", help="a file, or - for standard input (default)")
    parser.add_argument("-o", dest="output", help="where to write (default: standard output)")
    return parser


def _read_bytes(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise ToolInputError(f"cannot read {name}: {error.strerror}.") from None


def _read_text(name: str) -> str:
    try:
        return _read_bytes(name).decode()
    except UnicodeDecodeError as error:
        raise ToolInputError(f"{name} is not text: byte {error.start} is not UTF-8.") from None


def _write(name: str | None, content: str | bytes) -> None:
    from baco.toolchain import atomic_write

    if name is None:
        sys.stdout.write(content if isinstance(content, str) else content.decode())
        return
    try:
        atomic_write(Path(name), content)
    except OSError as error:
        raise ToolInputError(f"cannot write {name}: {error.strerror}.") from None
