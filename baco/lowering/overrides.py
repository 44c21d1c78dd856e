"""Stages taken from edited files instead of the compiler's own: BACO_KERNEL_OVERRIDE, as Triton's TRITON_KERNEL_OVERRIDE.

A person dumps a kernel's stages (BACO_KERNEL_DUMP), edits one, keeps it in the same folder of BACO_OVERRIDE_DIR, and runs the kernel again:
compilation goes on from that text. What the hardware attributes of the module say is not looked at again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from baco.dialects.mlir import context, ir
from baco.lowering.errors import CompilationError, SourceLocation

NONE: Mapping[str, Path] = {}


def replaced(module: ir.Module, stage: str, files: Mapping[str, Path]) -> ir.Module:
    """The module of a stage: what the file for it says, else as it is.

    Raises:
        CompilationError: at the place in the file where it is wrong.
    """
    if stage not in files:
        return module
    _tell(stage, files[stage])
    with context(), ir.Location.unknown():
        try:
            return ir.Module.parseFile(str(files[stage]))
        except ir.MLIRError as error:
            first = error.error_diagnostics[0]
            raise CompilationError(first.message, SourceLocation.of(first.location)) from None


def replaced_text(text: str, stage: str, files: Mapping[str, Path]) -> str:
    """The text of a stage: what the file for it says, else as it is."""
    if stage not in files:
        return text
    _tell(stage, files[stage])
    return files[stage].read_text()


def _tell(stage: str, path: Path) -> None:
    print(f"note: the stage {stage} is taken from {path}.", file=sys.stderr)
