"""The functional backend: host code on `unicorn`, RoCC instructions on the accelerator model, both on the same guest memory."""

from __future__ import annotations

from collections.abc import Sequence

from baco.hardware import GemminiConfig
from baco.sim import htif
from baco.sim.accelerator import Accelerator
from baco.sim.counters import Limits, RunResult
from baco.sim.errors import SimulationFault
from baco.sim.host import check_limits, place, run_host
from baco.sim.loader import load
from baco.sim.observer import Observer
from baco.sim.program import Program


def run(
    program: Program,
    config: GemminiConfig,
    arguments: Sequence[object],
    grid: Sequence[int],
    limits: Limits,
    strict: bool | None = None,
    observer: Observer | None = None,
) -> RunResult:
    """Run `program` to its end; writable arguments then hold its results. See :func:`baco.sim.run`."""
    check_limits(limits)
    image = load(program, arguments, grid, limits.memory)
    accelerator = Accelerator(config, image.memory, image.base, image.regions, strict)
    host = htif.Host(image)
    instance = None if image.instance is None else image.memory.ctypes.data + image.instance - image.base
    if observer is not None:
        observer.begin(image)
        accelerator.observe(observer.native, instance)
    try:
        ended = run_host(image, accelerator, host, limits, observer)
    except SimulationFault as fault:
        place(fault, program, image)
        raise
    image.copy_back()
    counters = accelerator.counters
    counters.host_instructions = ended.instructions
    return RunResult(counters, ended.exit_code, bytes(host.output))
