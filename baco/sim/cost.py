"""What a run costs: the one place that turns a run into a number to compare programs by.

On the Verilator backend that is its cycles. The functional simulator counts; it has no clock. So there the cost is an estimate in cycles,
the same on every machine and in every run: five resources work side by side, each needs so many cycles, and the busiest decides.

=============  ==========================================================================================================================
resource       cycles
=============  ==========================================================================================================================
array          DIM for each preload, the time in which new weights move in while rows move through, or the useful multiply-accumulates
               at DIM x DIM a cycle if those are more
DRAM           bytes read and written over `dram_bytes_per_cycle`
scratchpad     rows of DIM elements read and written, one a cycle in each bank
accumulator    the same
host core      instructions, one a cycle; the RoCC instructions that it hands to Gemmini are among them
=============  ==========================================================================================================================

What the others do shows at the start and the end, where nothing overlaps: an eighth of it counts on top. This also orders programs that
the busiest resource makes equal.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from baco.hardware import GemminiConfig
from baco.sim.counters import Counters, RunResult

EXPOSED = 1 / 8
"""The part of the other resources' work that does not hide behind the busiest one's."""


@dataclass(frozen=True)
class Cost:
    """Cycles that each resource needs by itself."""

    array: float
    dram: float
    scratchpad: float
    accumulator: float
    host: float

    @property
    def cycles(self) -> float:
        """The estimate for all of them together."""
        parts = [getattr(self, f.name) for f in fields(self)]
        return max(parts) + EXPOSED * (sum(parts) - max(parts))

    @property
    def bound(self) -> str:
        """The busiest resource."""
        return max((f.name for f in fields(self)), key=lambda name: getattr(self, name))


def counted_cost(counters: Counters, hardware: GemminiConfig) -> Cost:
    """The cost of a run on a machine."""
    traffic, dim = counters.traffic, hardware.dim
    return Cost(
        array=max(dim * counters.instructions.get("preload", 0), traffic.macs / dim**2),
        dram=(counters.dram_bytes_read + counters.dram_bytes_written) / hardware.dram_bytes_per_cycle,
        scratchpad=traffic.accesses("scratchpad") / (dim * hardware.scratchpad_banks),
        accumulator=traffic.accesses("accumulator") / (dim * hardware.accumulator_banks),
        host=float(counters.host_instructions),
    )


def cycles_of(result: RunResult, hardware: GemminiConfig) -> float:
    """The cycles of a run: all of them where there was a clock, the estimate where there was none."""
    return float(result.cycles.whole) if result.cycles else counted_cost(result.counters, hardware).cycles
