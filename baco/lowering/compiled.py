"""What a compilation gives: plain data, so that a compiled kernel can be kept, read back and run without the MLIR bindings."""

from __future__ import annotations

from dataclasses import dataclass, field

from baco.hardware import GemminiConfig
from baco.sim.program import Program


@dataclass(frozen=True)
class Compiled:
    """A compiled program. `asm` holds each stage's text under its name, in pipeline order, and the ELF's bytes last."""

    name: str
    program: Program
    config: GemminiConfig
    asm: dict[str, str | bytes] = field(repr=False)
    remarks: tuple[str, ...] = ()
    """What the compiler decided that its user may want to know, each with its place: which lines run on the host core, for example."""
