"""Run a compiled program on a machine: one interface for every backend.

The emulator and the ELF reader are imported when a run starts, not with this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from baco.hardware import GemminiConfig
from baco.sim.counters import Counters, Limits, RunResult
from baco.sim.errors import ProgramError, SimulationFault
from baco.sim.program import Parameter, Program

if TYPE_CHECKING:
    from baco.sim.observer import Observer

__all__ = ["BACKENDS", "Counters", "Limits", "Parameter", "Program", "ProgramError", "RunResult", "SimulationFault", "run"]

BACKENDS = ("functional", "spike", "verilator")
_DEFAULT_LIMITS = Limits()


def run(
    program: Program,
    config: GemminiConfig,
    arguments: Sequence[object],
    grid: Sequence[int] = (1, 1, 1),
    *,
    backend: str = "functional",
    limits: Limits = _DEFAULT_LIMITS,
    strict: bool | None = None,
    observer: Observer | None = None,
) -> RunResult:
    """Run `program` on the machine `config`.

    `backend` is "functional", which is BACO's own simulator, "spike", the vendor's, where it is installed (see baco/sim/spike.py), or
    "verilator", the hardware itself, cycle by cycle (see baco/sim/verilator.py).

    `arguments` are one per parameter, in order: C-contiguous NumPy arrays for buffers, numbers for scalars. Arrays of writable
    parameters hold the result after a run that ended by itself, and are untouched after one that was stopped. An array given for
    two parameters is one buffer to the program.

    `strict` and `observer` are not for Spike: whether it refuses what Spike lets pass but hardware would not do, or do
    differently (:mod:`baco.sim.rules`; BACO_STRICT decides where it is None), and who takes down what the accelerator does.

    Raises:
        ProgramError: if nothing could be run: an unknown backend, a damaged program, an argument that does not fit.
        SimulationFault: if the run was stopped, with the instruction, where it was, and why.
    """
    if backend not in BACKENDS:
        raise ProgramError(f"there is no backend {backend!r}; those there are: {', '.join(BACKENDS)}.")
    if backend == "spike":
        from baco.sim import spike

        if observer is not None:
            raise ProgramError("Spike does not show its steps; run without an observer, or on another backend.")
        return spike.run(program, config, arguments, grid, limits)
    if backend == "verilator":
        from baco.sim import verilator

        return verilator.run(program, config, arguments, grid, limits, strict, observer)
    from baco.sim import functional

    return functional.run(program, config, arguments, grid, limits, strict, observer)
