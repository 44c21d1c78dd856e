"""What can go wrong when a program runs: one class a kind, all with the instruction, where it was and why it stopped the run."""

from __future__ import annotations

from baco.errors import BacoError
from baco.isa import Command, IsaError, disassemble


class ProgramError(BacoError):
    """The program, its arguments or the backend asked for cannot be used at all: nothing was run."""


class SimulationFault(BacoError):
    """A run was stopped. Attributes: `reason`, `pc`, `command` and `disassembly` (the last three None where there is none).

    `pc` is the address of the instruction at fault; it is None for commands given to the accelerator model directly.
    """

    def __init__(self, reason: str, *, pc: int | None = None, command: Command | None = None) -> None:
        self.reason = reason
        self.pc = pc
        self.command = command
        self.disassembly = None if command is None else _disassemble(command)
        place = [] if pc is None else [f"pc {pc:#x}"]
        place += [] if self.disassembly is None else [self.disassembly]
        super().__init__(f"{': '.join(place)}: {reason}" if place else reason)


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
