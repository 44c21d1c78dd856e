"""The host core: the program's RISC-V code on `unicorn`, with hooks that bring RoCC instructions to the accelerator.

`unicorn` (GPL-2.0) is used unmodified through its public API. Its hooks are C functions of the native core, which call back into
unicorn's own library, so that a RoCC instruction costs no Python.
"""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from baco.sim import htif, native
from baco.sim.accelerator import Accelerator
from baco.sim.counters import Limits
from baco.sim.errors import HostFault, LimitReached, ProgramError, SimulationFault
from baco.sim.lines import LineTable
from baco.sim.loader import Image, take_instructions
from baco.sim.observer import Observer
from baco.sim.program import Program

SLICE_SECONDS = 0.2
"""How much processor time native code takes before Python looks at ctrl-C and the time limit."""
NEVER = 1
"""An address that execution cannot reach, being odd: unicorn runs "until" it."""


class Device(Protocol):
    """An accelerator with a clock, in place of the model."""

    native: native.Device

    def fault(self) -> SimulationFault:
        """Why it refused to go on."""
        ...


@dataclass(frozen=True)
class Ended:
    """How the host core fared. The cycles are 0 where there was no clock."""

    exit_code: int
    instructions: int
    cycles: int
    queue_cycles: int
    """Cycles in which it waited to hand a command over."""
    fence_cycles: int
    """Cycles in which it waited at fences."""


def check_limits(limits: Limits) -> None:
    """Raises:
    ProgramError: for limits that let nothing run.
    """
    if limits.instructions < 1 or (limits.seconds is not None and not limits.seconds > 0):
        raise ProgramError(f"the limits are {limits.instructions} instructions and {limits.seconds} seconds; both must be positive.")


def place(fault: SimulationFault, program: Program, image: Image) -> None:
    """Say on which line and in which program instance a run was stopped, where the program tells."""
    if fault.pc is not None:
        fault.line = LineTable(program.elf).find(fault.pc)
    if image.instance is not None:
        at = image.instance - image.base
        fault.instance = tuple(int(n) for n in image.memory[at : at + 24].view(np.int64))


def run_host(
    image: Image, accelerator: Accelerator, htif_host: htif.Host, limits: Limits, observer: Observer | None, device: Device | None = None
) -> Ended:
    """Run from the entry point until the program ends. With a device, commands and fences go to it instead of to the accelerator model."""
    import unicorn
    from unicorn import riscv_const, unicorn_const
    from unicorn.unicorn_py3.unicorn import uclib

    library = native.load()
    memory, taken = image.memory.ctypes.data, take_instructions(image, fences=device is not None)
    host = native.Host(
        gemmini=accelerator.address,
        reg_read=_address(uclib.uc_reg_read),
        reg_write=_address(uclib.uc_reg_write),
        reg_read_batch=_address(uclib.uc_reg_read_batch),
        emu_stop=_address(uclib.uc_emu_stop),
        memory=memory,
        base=image.base,
        size=image.memory.size,
        tohost=memory + image.tohost - image.base,
        instruction_limit=limits.instructions,
        reg_x0=riscv_const.UC_RISCV_REG_X0,
        reg_pc=riscv_const.UC_RISCV_REG_PC,
        taken=taken.ctypes.data,
        taken_count=taken.size,
        device=None if device is None else ctypes.addressof(device.native),
    )
    engine = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV64)
    engine.mem_map_ptr(image.base, image.code_size, unicorn.UC_PROT_ALL, memory)
    for address, size in image.buffers:
        engine.mem_map_ptr(address, size, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE, memory + address - image.base)
    for kind, callback in (
        (unicorn_const.UC_HOOK_INTR, library.host_interrupt),
        (unicorn_const.UC_HOOK_BLOCK, library.host_block),
        (unicorn_const.UC_HOOK_MEM_UNMAPPED | unicorn_const.UC_HOOK_MEM_PROT, library.host_memory_fault),
    ):
        _add_hook(uclib, engine, kind, callback, host)
    if observer is not None and observer.watched is not None:
        first, last = observer.watched
        _add_hook(uclib, engine, unicorn_const.UC_HOOK_MEM_WRITE, library.host_store, host, (first, last))

    end = None if limits.seconds is None else time.monotonic() + limits.seconds
    pc = image.entry
    while True:
        now = time.monotonic()
        if end is not None and now >= end:
            raise LimitReached(f"the program did not end within {limits.seconds:g} seconds, its time limit.", pc=pc)
        left = SLICE_SECONDS if end is None else min(SLICE_SECONDS, end - now)
        host.slice_end = library.host_now() + int(left * 1e6)
        host.stop = native.STOP_NONE
        stopped = ""
        try:
            engine.emu_start(pc, NEVER)
        except unicorn.UcError as error:
            stopped = str(error)
        pc = host.resume or engine.reg_read(riscv_const.UC_RISCV_REG_PC)
        host.resume = 0
        if host.stop == native.STOP_FAULT:
            raise accelerator.fault()
        if host.stop == native.STOP_DEVICE and device is not None:
            fault = device.fault()
            fault.pc = pc
            raise fault
        if htif_host.request() != 0:
            exit_code = htif_host.serve(pc)
            if exit_code is not None:
                return Ended(exit_code, host.instructions, host.cycles, host.queue_cycles, host.fence_cycles)
        elif host.stop != native.STOP_SLICE:
            raise HostFault(f"the host core stopped before the program wrote tohost{f': {stopped}' if stopped else ''}.", pc=pc)


def _add_hook(
    uclib: ctypes.CDLL, engine: object, kind: int, callback: object, host: native.Host, addresses: tuple[int, int] = (1, 0)
) -> None:
    """`uc_hook_add` with a C function: the binding's own method takes Python functions only. Addresses are everywhere if the first is
    greater than the last."""
    handle = ctypes.c_size_t()
    where = (ctypes.c_uint64(addresses[0]), ctypes.c_uint64(addresses[1]))
    hook_add = uclib["uc_hook_add"]  # a function object of our own: the binding has declared argument types for its own
    hook_add.argtypes = None
    status = hook_add(
        engine._uch, ctypes.byref(handle), ctypes.c_int(kind), ctypes.c_void_p(_address(callback)), ctypes.byref(host), *where
    )
    if status:
        raise HostFault(f"the emulator refused a hook with error {status}.")


def _address(function: object) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0
