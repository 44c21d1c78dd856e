"""What can go wrong when a program runs: one class a kind, all with the instruction, where it was and why it stopped the run."""

from __future__ import annotations

from baco.errors import BacoError
from baco.isa import Command, IsaError, disassemble
from baco.sim.lines import SourceLine
from baco.sim.rules import Rule


class ProgramError(BacoError):
    """The program, its arguments or the backend asked for cannot be used at all: nothing was run."""


class SimulationFault(BacoError):
    """A run was stopped. Attributes: `reason`, `pc`, `command`, `disassembly`, `rule`, `line` and `instance` (None where there is none).

    `pc` is the address of the instruction at fault; it is None for commands given to the accelerator model directly. `rule` is the rule of
    strict mode that was broken. `line` is the source line and `instance` the program instance, where the program tells them.
    """

    def __init__(self, reason: str, *, pc: int | None = None, command: Command | None = None, rule: Rule | None = None) -> None:
        self.reason = reason
        self.pc = pc
        self.command = command
        self.disassembly = None if command is None else _disassemble(command)
        self.rule = rule
        self.line: SourceLine | None = None
        self.instance: tuple[int, ...] | None = None
        super().__init__()

    def __str__(self) -> str:
        place = [] if self.line is None else [str(self.line)]
        place += [] if self.instance is None else [f"program instance {self.instance}"]
        place += [] if self.pc is None else [f"pc {self.pc:#x}"]
        place += [] if self.disassembly is None else [self.disassembly]
        return ": ".join([*place, self.reason]) + (f" (Strict rule {self.rule.name}.)" if self.rule else "")


class IllegalInstruction(SimulationFault):
    """An instruction that neither the host core nor the accelerator has."""


class MalformedInstruction(SimulationFault):
    """A field of the instruction has a value that the hardware does not allow."""


class LocalAddressFault(SimulationFault):
    """Rows outside the scratchpad or the accumulator."""


class DramAddressFault(SimulationFault):
    """The accelerator reads or writes DRAM outside the program's buffers."""


class StateFault(SimulationFault):
    """The instruction depends on something that was not set up before: a configuration, a preload, an operand."""


class UnsupportedInstruction(SimulationFault):
    """A Gemmini instruction or option that only some hardware has, or has differently."""


class HostFault(SimulationFault):
    """The host core cannot go on: unmapped memory, a wild jump, an exception."""


class LimitReached(SimulationFault):
    """The run used up its instruction or time limit."""


class AcceleratorHangs(SimulationFault):
    """Nothing moves any more in the simulated RTL."""


class RtlFault(SimulationFault):
    """The simulated RTL did what its ports do not allow, or one of its own checks failed."""


FAULT_KINDS: tuple[type[SimulationFault], ...] = (
    IllegalInstruction,
    MalformedInstruction,
    LocalAddressFault,
    DramAddressFault,
    StateFault,
    UnsupportedInstruction,
    HostFault,
    LimitReached,
)
"""The kinds that the native code reports, in the order of its enumeration (1 is the first)."""


def _disassemble(command: Command) -> str:
    try:
        return disassemble(command)
    except IsaError:
        return f"funct7={command.funct7}, rs1={command.rs1:#x}, rs2={command.rs2:#x}"
