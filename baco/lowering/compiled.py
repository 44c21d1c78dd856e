"""What a compilation gives: plain data, so that a compiled kernel can be kept, read back and run without the MLIR bindings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from baco.hardware import GemminiConfig
from baco.sim.program import Program

if TYPE_CHECKING:
    from baco.lowering.analysis import Requirements
    from baco.sim.counters import Counters
    from baco.traffic import Traffic


@dataclass(frozen=True)
class Compiled:
    """A compiled program. `asm` holds each stage's text under its name, in pipeline order, and the ELF's bytes last."""

    name: str
    program: Program
    config: GemminiConfig
    asm: dict[str, str | bytes] = field(repr=False)
    remarks: tuple[str, ...] = ()
    """What the compiler decided that its user may want to know, each with its place: which lines run on the host core, for example."""

    @property
    def requirements(self) -> Requirements:
        """The rows of each memory that the program uses, and the least hardware that has them."""
        from baco.lowering import analysis

        return analysis.requirements(self)

    def counters(self, grid: int | Sequence[int], **scalars: int | float) -> Counters:
        """What a launch over `grid` would count, without running it: all but `host_instructions`. Arrays need not be given.

        Raises:
            baco.lowering.intervals.CannotAnalyse: if that depends on more than the grid and the numbers among the arguments.
        """
        from baco.lowering import analysis

        return analysis.count(self, grid, scalars)

    def traffic(self, grid: int | Sequence[int], **scalars: int | float) -> Traffic:
        """The words that a launch over `grid` would move at every level, and its multiply-accumulates; see :meth:`counters`."""
        return self.counters(grid, **scalars).traffic
