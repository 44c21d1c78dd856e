"""What a run is counted and limited by, in plain data: counters, limits and the result of a run.

The traffic follows one set of rules, the same that the performance model predicts by:

* mvin to the scratchpad reads DRAM (nothing for address 0) and writes the scratchpad, as "weights" for mvin2 and "inputs" for the
  others; mvin to the accumulator reads DRAM outputs and writes accumulator outputs, and with the accumulate bit reads them too.
* mvout reads accumulator outputs (or scratchpad inputs) and writes DRAM outputs.
* compute_preloaded with real weights reads them from the scratchpad and writes them to the registers.
* a compute reads A as scratchpad inputs, and so a bias from the scratchpad; with a real C it makes
  A rows * A columns * C columns multiply-accumulates, each reading one weight register, and writes C as accumulator outputs (reading
  them too with the accumulate bit). A result that goes to the scratchpad is written there as inputs.
* output-stationary: the array holds partial sums, which have no place in a weights-only register level, so registers count nothing.
  A compute with real A and B makes A rows * A columns * B columns multiply-accumulates and reads B as scratchpad weights; initial
  sums D are scratchpad inputs.
* a pooling mvout reads every pixel that a window covers, once a window, and writes the pooled pixels.
* a normalised mvout that only feeds the statistics reads the accumulator and writes nothing.
* an mvin with pixel repeats reads DRAM once and writes the scratchpad as often as the data goes there.
* a loop moves and computes what the instructions it stands for do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from baco.sim.cycles import Cycles
from baco.traffic import Traffic


@dataclass(frozen=True)
class Limits:
    """When to give up on a run."""

    instructions: int = 2_000_000_000
    """Instructions of the host core, RoCC instructions included."""
    seconds: float | None = None
    """Wall-clock time; None for no limit."""
    memory: int = 1 << 30
    """Bytes of guest memory, image and buffers; a program that BACO did not make has all of it to itself."""


@dataclass
class Counters:
    """What a run did."""

    instructions: dict[str, int] = field(default_factory=dict)
    """RoCC instructions executed, by name; those that never ran are left out."""
    unrolled: dict[str, int] = field(default_factory=dict)
    """The instructions that loop commands stood for, by name, counted apart; their traffic is in the traffic."""
    host_instructions: int = 0
    """Instructions of the host core, RoCC instructions included, counted by basic block as it is entered."""
    traffic: Traffic = field(default_factory=Traffic)
    dram_bytes_read: int = 0
    dram_bytes_written: int = 0

    def to_dict(self) -> dict[str, object]:
        """The counters as JSON-ready data."""
        return {
            "instructions": dict(self.instructions),
            "unrolled": dict(self.unrolled),
            "host_instructions": self.host_instructions,
            "traffic": self.traffic.to_dict(),
            "dram_bytes_read": self.dram_bytes_read,
            "dram_bytes_written": self.dram_bytes_written,
        }


@dataclass(frozen=True)
class RunResult:
    """The counters of a finished run, the exit code its program reported and what it wrote to its console; its cycles where there is a
    clock, which is on the Verilator backend."""

    counters: Counters
    exit_code: int
    output: bytes = b""
    cycles: Cycles | None = None
