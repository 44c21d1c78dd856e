"""Somebody who watches a run on the functional simulator: takes down its steps, and who stored last to some bytes of DRAM.

A step is an instruction that the accelerator executed, or one of those that a loop stands for. Loops are run step by step while somebody
watches, with the same results and counters as otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from baco.isa import Command
from baco.sim import native
from baco.sim.loader import Image

HOST = "host"
"""The name of what the host core stored itself."""


@dataclass(frozen=True)
class Rows:
    """Rows of a private memory that a step took; each block of columns has rows of its own."""

    accumulator: bool
    first: int
    count: int
    stride: int
    blocks: int
    block_stride: int
    reads: bool
    writes: bool

    def indices(self) -> np.ndarray:
        """The rows' numbers."""
        rows = np.arange(self.count) * self.stride
        return (self.first + rows[None, :] + np.arange(self.blocks)[:, None] * self.block_stride).reshape(-1)


@dataclass(frozen=True)
class Step:
    """One step. `parent` is the loop it belongs to, or its own name; `clock` counts instructions of the host core."""

    name: str
    parent: str
    pc: int
    clock: int
    dram: int
    bytes: int
    macs: int
    instance: tuple[int, int, int]
    rows: tuple[Rows, ...]


@dataclass(frozen=True)
class Life:
    """A command's life on the simulated hardware, in cycles. One that only the front end sees is issued and done when it is sent."""

    command: Command
    origin: int
    """0 the program, 1 `loop_ws`, 2 `loop_conv_ws`."""
    sent: int
    """Taken at the command port, or made by a loop: then it is when it entered the reservation station."""
    issued: int
    done: int


class Observer:
    """Takes down the first `capacity` steps of one run. `watch` is a parameter's place among the arguments and a byte of its array, with
    the number of bytes: the run then also says who stored there last."""

    def __init__(self, capacity: int = 0, watch: tuple[int, int, int] | None = None) -> None:
        self._steps = (native.Step * capacity)()
        self._watch = watch
        self.native = native.Observer(self._steps, capacity)
        self.watched: tuple[int, int] | None = None
        """The first and the last address watched, once the run has begun."""
        self.lives: list[Life] | None = None
        """The lives of commands, from a run on hardware, in the order in which they entered the reservation station."""
        self.argument_address = 0
        """Where the array of which bytes are watched lies."""

    def begin(self, image: Image) -> None:
        """Called when a program was loaded."""
        if self._watch is not None:
            position, offset, size = self._watch
            self.argument_address = image.arguments[position] or 0
            self.native.watch = self.argument_address + offset
            self.native.watch_bytes = size
            self.watched = (self.native.watch, self.native.watch + size - 1)

    @property
    def capacity(self) -> int:
        """How many steps are taken down."""
        return len(self._steps)

    @property
    def count(self) -> int:
        """How many steps there were; those beyond the capacity were not taken down."""
        return self.native.count

    @property
    def left_out(self) -> int:
        """How many steps were not taken down."""
        return max(0, self.count - self.capacity)

    def steps(self) -> Iterator[Step]:
        """The steps taken down, in order."""
        for at in range(min(self.count, self.capacity)):
            yield _step(self._steps[at])

    @property
    def last_store(self) -> Step | None:
        """The step that stored last to the bytes watched."""
        return _step(self.native.last_store) if self.native.stored else None


def _step(s: native.Step) -> Step:
    names = (*native.INSTRUCTION_NAMES, HOST)
    return Step(
        names[s.instruction],
        names[s.parent],
        s.pc,
        s.clock,
        s.dram,
        s.bytes,
        s.macs,
        tuple(s.instance),
        tuple(_rows(r) for r in s.rows[: s.rows_count]),
    )


def _rows(r: native.Rows) -> Rows:
    accumulator = bool(r.address >> 31)
    first = r.address & 0x7FFF_FFFF
    return Rows(accumulator, first, r.rows, r.stride, r.blocks, r.block_stride, bool(r.access & native.READ), bool(r.access & native.WRITE))
