"""The Verilator backend: the RTL of `hw/gemmini`, cycle by cycle, with the RISC-V core of the functional backend before it.

The core runs ahead of the RTL's clock and the RTL catches up when the core hands it a command, waits at a fence or reads a clock:

* each instruction takes the cycles of :mod:`baco.sim.host_costs`; a RoCC command is at the accelerator's port one cycle after it was
  issued, through a queue of two, and the core waits when that is full;
* a fence waits until the accelerator is not busy, and goes on some cycles later;
* `rdcycle` reads this clock.

Before that the program runs on the functional backend, with a memory of its own: a program that breaks a rule is stopped there, in one
sentence, and the counters of instructions and traffic are those of that run.

The core stores to memory when it comes to it, and the accelerator reads in the cycle in which its request is taken, so a program that
changes an operand that it has sent, without a fence between, may see either.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from baco import knobs
from baco.hardware import GemminiConfig
from baco.sim import functional, htif
from baco.sim.accelerator import Accelerator
from baco.sim.counters import Limits, RunResult
from baco.sim.cycles import Cycles
from baco.sim.errors import SimulationFault
from baco.sim.host import Ended, check_limits, place, run_host
from baco.sim.loader import load
from baco.sim.observer import Observer
from baco.sim.program import Program
from baco.sim.rtl import MemoryModel, Rtl

EVENTS_PER_STEP = 4
"""Events of a command: taken, allocated, issued, completed."""


def run(
    program: Program,
    config: GemminiConfig,
    arguments: Sequence[object],
    grid: Sequence[int],
    limits: Limits,
    strict: bool | None = None,
    observer: Observer | None = None,
) -> RunResult:
    """Run `program` to its end; writable arguments then hold its results. See :func:`baco.sim.run`.

    Raises:
        ProgramError: besides what else there is, if there is no Verilator.
        ToolError: if the hardware cannot be built.
        AcceleratorHangs: if nothing moves any more in it, with what each queue waits for.
    """
    check_limits(limits)
    model = MemoryModel.parse(knobs.memory_model.value, config)
    modelled = functional.run(program, config, _copies(arguments), grid, limits, strict, observer)
    image = load(program, arguments, grid, limits.memory)
    host = htif.Host(image)
    rtl = Rtl(config, image.memory, image.base, model, events=EVENTS_PER_STEP * observer.capacity if observer else 0)
    try:
        ended = run_host(image, Accelerator(config, image.memory, image.base, image.regions), host, limits, None, rtl)
        at_rest = rtl.fence(ended.cycles)
    except SimulationFault as fault:
        place(fault, program, image)
        raise
    image.copy_back()
    if observer is not None:
        observer.lives = rtl.lives()
    cycles = _report(ended, max(ended.cycles, at_rest), rtl, modelled.counters.traffic.macs)
    return RunResult(modelled.counters, ended.exit_code, bytes(host.output), cycles)


def _copies(arguments: Sequence[object]) -> list[object]:
    """The arguments with copies of the arrays, one for each array however often it is given."""
    copies = {id(a): a.copy() for a in arguments if isinstance(a, np.ndarray)}
    return [copies.get(id(a), a) for a in arguments]


def _report(ended: Ended, whole: int, rtl: Rtl, macs: int) -> Cycles:
    counts = rtl.counts
    return Cycles(
        whole=whole,
        device=counts.busy_cycles,
        host=ended.cycles - ended.queue_cycles - ended.fence_cycles,
        queue_wait=ended.queue_cycles,
        fence_wait=ended.fence_cycles,
        macs=macs,
        dim=rtl.config.dim,
        reads=counts.gets,
        writes=counts.puts,
        bytes_read=counts.bytes_read,
        bytes_written=counts.bytes_written,
        cache_hits=counts.hits,
        cache_misses=counts.misses,
        write_backs=counts.write_backs,
        memory=str(rtl.model),
        stalls=counts.stalls,
    )
