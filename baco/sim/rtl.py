"""The RTL of a machine, simulated: commands in, cycles out.

`Rtl` is the library that :mod:`baco.sim.rtl_build` makes, with guest memory on its memory port. The Verilator backend lets the host core
talk to it; `Rtl.stream` feeds it commands without a host core, which is how its timing is measured.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from baco.hardware import GemminiConfig
from baco.isa import BY_NAME, Command, disassemble
from baco.sim import native, rtl_build
from baco.sim.errors import AcceleratorHangs, ProgramError, RtlFault, SimulationFault
from baco.sim.observer import Life

FLAT, CACHED = 0, 1
FRONT_END = frozenset(i.funct7 for name, i in BY_NAME.items() if name.startswith("loop_") or name in ("flush", "counter", "clock_gate"))
"""The funct7 of commands that never enter the reservation station."""
HANG_CYCLES = 50_000
"""Cycles without any transfer after which a busy accelerator is taken to hang; the slowest memory answers sooner."""
PATIENCE = 100_000
"""Cycles that native code runs before Python looks at ctrl-C."""
ROUTER_ENTRIES = 2
"""Commands between the core and the accelerator's port (GEMMINI_UARCH.md section 1.4)."""

STALLS: dict[str, tuple[str, ...]] = {
    "load queue": ("a load", "an execute command", "a store", "its controller", "a tracker", "the reader", "a free Get", ""),
    "execute queue": ("a load", "an execute command", "a store", "its controller", "", "", "", ""),
    "execute controller": (
        *("the array, to configure it", "a preload's compute", "a result that is an operand", "a flush of the array"),
        *("the scratchpad", "the accumulator", "operands in one bank", "room in the array, or operands on their way"),
    ),
    "store queue": ("a load", "an execute command", "a store", "its controller", "a tracker", "the store pipeline", "a free Put", ""),
    "reservation station": ("a load entry", "an execute entry", "a store entry", "", "", "", "", ""),
    "loops": ("a loop_ws slot", "a loop_conv_ws slot", "", "", "", "", "", ""),
}
"""What the bits of the stall outputs say a queue waits for, in the order of the harness."""


@dataclass(frozen=True)
class MemoryModel:
    """How long memory takes. `flat`: every access the same. Otherwise a cache before one DRAM channel (GEMMINI_UARCH.md section 10.2).

    Cycles; from a Get's acceptance to its first beat, and from a Put's last beat to its acknowledge (the cached ones: from its first).
    One beat a cycle comes back; data goes before acknowledges.
    """

    flat: bool = False
    get_latency: int = 6
    put_latency: int = 4
    hit_latency: int = 6
    miss_latency: int = 40
    put_miss_latency: int = 39
    line_put_latency: int = 10
    cache_bytes: int = 512 << 10
    cache_ways: int = 8
    line_bytes: int = 64
    misses: int = 10
    """Under way at a time."""
    line_cycles: int = 8
    """Of the DRAM channel for a line."""

    @classmethod
    def cached(cls, config: GemminiConfig, dram: int | None = None) -> MemoryModel:
        """The cache before a DRAM of read latency `dram`; by default that and the bandwidth are the configuration's."""
        latency = max(1, config.dram_latency - 10) if dram is None else dram
        return cls(miss_latency=10 + latency, put_miss_latency=9 + latency, line_cycles=max(1, 64 // config.dram_bytes_per_cycle))

    @classmethod
    def parse(cls, text: str, config: GemminiConfig) -> MemoryModel:
        """`cached`, `cached:60` with the read latency of DRAM, `flat`, `flat:40`, or `flat:6:4` with the latency of Puts.

        Raises:
            ProgramError: for anything else.
        """
        match = re.fullmatch(r"(flat|cached)(?::(\d+))?(?::(\d+))?", text)
        if match is None or (match[1] == "cached" and match[3]):
            raise ProgramError(
                f"the memory model is {text!r}; it is cached, cached:LATENCY of DRAM, flat, flat:LATENCY or flat:LATENCY:PUTS, in cycles."
            )
        first = None if match[2] is None else int(match[2])
        if match[1] == "cached":
            return cls.cached(config, first)
        get = 6 if first is None else first
        put = int(match[3]) if match[3] else 4 if get == 6 else get
        if get < 1 or put < 1:
            raise ProgramError(f"the memory model is {text!r}; memory takes at least 1 cycle.")
        return cls(flat=True, get_latency=get, put_latency=put)

    def __str__(self) -> str:
        if self.flat:
            return f"flat: {self.get_latency} cycles for reads, {self.put_latency} for writes"
        return f"{self.cache_bytes >> 10} KiB cache: {self.hit_latency} cycles for hits, {self.miss_latency} for misses"


class _Settings(ctypes.Structure):
    """`struct rtl_settings`."""

    _fields_ = (
        ("memory", ctypes.c_void_p),
        ("base", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        *(
            (name, ctypes.c_uint32)
            for name in (
                *("model", "get_latency", "put_latency", "hit_latency", "miss_latency", "put_miss_latency", "line_put_latency"),
                *("cache_bytes", "cache_ways", "line_bytes", "misses", "line_cycles", "router_entries"),
            )
        ),
        ("hang_cycles", ctypes.c_uint64),
    )


class RtlEvent(ctypes.Structure):
    """`struct rtl_event`."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("cycle", "rs1", "rs2")),
        *((name, ctypes.c_uint32) for name in ("kind", "id", "funct7", "origin")),
    )


SENT, ALLOCATED, ISSUED, DONE = range(4)
"""Kinds of events: a command is taken at the port, enters the reservation station, leaves for its controller, and is completed."""


class _Counts(ctypes.Structure):
    """`struct rtl_counts`."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("cycle", "busy_cycles", "sent", "accepted", "first_accepted", "last_accepted", "last_busy")),
        *((name, ctypes.c_uint64) for name in ("gets", "get_beats", "puts", "put_beats", "put_bytes", "hits", "misses", "write_backs")),
        ("stalls", ctypes.c_uint64 * 48),
        ("events", ctypes.c_uint64),
    )


class _Entry(ctypes.Structure):
    """`struct rtl_entry`."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("rs1", "rs2", "allocated", "issued")),
        *((name, ctypes.c_uint32) for name in ("state", "funct7", "origin", "padding")),
    )


_ENTRIES = 256
_DONE, _AGAIN, _HANGS, _BROKEN = range(4)


@dataclass(frozen=True)
class RtlCounts:
    """What the simulated accelerator did so far."""

    cycle: int
    busy_cycles: int
    accepted: int
    first_accepted: int
    last_busy: int
    """The first cycle in which it was idle again."""
    gets: int
    bytes_read: int
    """Whole beats, also where part of one was not asked for."""
    puts: int
    bytes_written: int
    hits: int
    misses: int
    write_backs: int
    stalls: dict[str, dict[str, int]] = field(default_factory=dict)
    """Cycles for which a queue waited, by queue and by what it waited for; only those that there were."""


class Rtl:
    """One simulated accelerator. `memory` (bytes) starts at guest address `base`.

    Raises:
        ProgramError: if there is no Verilator.
        ToolError: if the library cannot be built.
    """

    def __init__(
        self,
        config: GemminiConfig,
        memory: np.ndarray,
        base: int = 0x8000_0000,
        model: MemoryModel | None = None,
        events: int = 0,
        hang_cycles: int = HANG_CYCLES,
    ) -> None:
        self.config = config
        self.memory = memory
        self.model = MemoryModel.cached(config) if model is None else model
        self._library = _load(rtl_build.build(config))
        settings = _Settings(
            memory=memory.ctypes.data,
            base=base,
            size=memory.size,
            model=FLAT if self.model.flat else CACHED,
            router_entries=ROUTER_ENTRIES,
            hang_cycles=hang_cycles,
            **{name: getattr(self.model, name) for name, _ in _Settings._fields_ if hasattr(self.model, name)},
        )
        self._rtl = self._library.rtl_new(settings)
        self._events = (RtlEvent * events)()
        self._library.rtl_record(self._rtl, self._events, events)
        command, fence = (ctypes.cast(f, ctypes.c_void_p) for f in (self._library.rtl_command, self._library.rtl_fence))
        self.native = native.Device(self._rtl, command, fence)

    def __del__(self) -> None:
        if getattr(self, "_rtl", None):
            self._library.rtl_free(self._rtl)
            self._rtl = None

    def stream(self, commands: Sequence[Command], interval: int = 1) -> list[int]:
        """Give the commands to the port, `interval` cycles apart or as soon after as it takes them, and run until all is done.

        The cycles in which they were taken.

        Raises:
            AcceleratorHangs: if nothing moves any more.
        """
        count = len(commands)
        functs = (ctypes.c_uint32 * count)(*(c.funct7 for c in commands))
        rs1, rs2 = ((ctypes.c_uint64 * count)(*(getattr(c, name) for c in commands)) for name in ("rs1", "rs2"))
        taken = (ctypes.c_uint64 * count)()
        while state := self._library.rtl_stream(self._rtl, functs, rs1, rs2, count, interval, taken, PATIENCE):
            if state != _AGAIN:
                raise self.fault()
        return list(taken)

    def send(self, command: Command, cycle: int = 0) -> int:
        """Give a command to the router before the port at `cycle` or as soon after as that has room; the cycle in which it took it.

        Raises:
            AcceleratorHangs: if it never has.
        """
        now = ctypes.c_uint64(cycle)
        fields = command.funct7, command.rs1, command.rs2
        while state := self._library.rtl_command(self._rtl, ctypes.byref(now), PATIENCE, *fields, None):
            if state != _AGAIN:
                raise self.fault()
        return now.value

    def fence(self, cycle: int = 0) -> int:
        """Run to `cycle` at least, and until all is done; the first cycle at rest."""
        now = ctypes.c_uint64(cycle)
        while state := self._library.rtl_fence(self._rtl, ctypes.byref(now), PATIENCE):
            if state != _AGAIN:
                raise self.fault()
        return now.value

    @property
    def counts(self) -> RtlCounts:
        """What it did so far."""
        c = self._library.rtl_look(self._rtl)[0]
        bits = [[c.stalls[8 * i + bit] for bit in range(8)] for i in range(len(STALLS))]
        stalls = {
            queue: {reason: n for reason, n in zip(reasons, counted, strict=True) if n and reason}
            for (queue, reasons), counted in zip(STALLS.items(), bits, strict=True)
        }
        beat = self.config.dma_bus_bits // 8
        names = ("cycle", "busy_cycles", "accepted", "first_accepted", "last_busy", "gets", "puts", "hits", "misses", "write_backs")
        return RtlCounts(
            **{name: getattr(c, name) for name in names},
            bytes_read=c.get_beats * beat,
            bytes_written=c.put_bytes,
            stalls={queue: found for queue, found in stalls.items() if found},
        )

    @property
    def events(self) -> list[RtlEvent]:
        """What was recorded of the commands' lives, in order."""
        return self._events[: min(len(self._events), self._library.rtl_look(self._rtl)[0].events)]

    def lives(self) -> list[Life]:
        """The recorded events by command, in the order in which the commands entered the reservation station; those that are done."""
        alive: dict[int, list[RtlEvent]] = {}
        made: list[Life] = []
        for event in self.events:
            if event.kind == ALLOCATED:
                alive[event.id] = [event]
            elif event.kind in (ISSUED, DONE) and event.id in alive:
                alive[event.id].append(event)
            if event.kind == DONE and len(alive.get(event.id, ())) == 3:
                start, issued, done = alive.pop(event.id)
                made.append(Life(Command(start.funct7, start.rs1, start.rs2), start.origin, start.cycle, issued.cycle, done.cycle))
            elif event.kind == SENT and event.funct7 in FRONT_END:
                made.append(Life(Command(event.funct7, event.rs1, event.rs2), 0, event.cycle, event.cycle, event.cycle))
        return sorted(made, key=lambda life: life.sent)

    def fault(self) -> SimulationFault:
        """Why it does not go on."""
        if said := self._library.rtl_fault(self._rtl).decode(errors="replace"):
            return RtlFault(f"the simulation of the RTL ended at cycle {self.counts.cycle}: {said}")
        return AcceleratorHangs(self._hang_report())

    def _hang_report(self) -> str:
        entries = self._library.rtl_entries(self._rtl)
        counts = self.counts
        lines = [f"nothing has moved in the accelerator for {HANG_CYCLES} cycles, at cycle {counts.cycle}; in its reservation station:"]
        for e in (entries[i] for i in range(_ENTRIES)):
            if e.state:
                when = f"waits since cycle {e.allocated}" if e.state == 1 else f"issued in cycle {e.issued}, not completed"
                part = ("", " of loop_ws", " of loop_conv_ws")[e.origin]
                lines.append(f"  {disassemble(Command(e.funct7, e.rs1, e.rs2))}{part}: {when}")
        if len(lines) == 1:
            lines.append("  nothing")
        lines += [
            f"  {queue} waited for {', '.join(f'{r} ({n} cycles)' for r, n in found.items())}" for queue, found in counts.stalls.items()
        ]
        return "\n".join(lines)


@cache
def _load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    pointer, u32, u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
    for name, result, arguments in (
        ("rtl_new", pointer, (ctypes.POINTER(_Settings),)),
        ("rtl_free", None, (pointer,)),
        ("rtl_record", None, (pointer, pointer, u64)),
        ("rtl_command", ctypes.c_int, (pointer, pointer, u64, u32, u64, u64, pointer)),
        ("rtl_fence", ctypes.c_int, (pointer, pointer, u64)),
        ("rtl_stream", ctypes.c_int, (pointer, pointer, pointer, pointer, u64, u32, pointer, u64)),
        ("rtl_look", ctypes.POINTER(_Counts), (pointer,)),
        ("rtl_entries", ctypes.POINTER(_Entry), (pointer,)),
        ("rtl_fault", ctypes.c_char_p, (pointer,)),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
