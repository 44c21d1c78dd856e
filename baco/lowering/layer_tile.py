"""Where a tile of a layer lies on the chip and in DRAM, and which rows move for it: numbers only.

A tile has its sizes, whole ones or those of a ragged last tile, and lies compactly: what its rows are counted by is its own sizes, not
those of a whole tile. A run is the part of a tile that meets one set of weights in the array; it may be ragged as well.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from baco.workload import Problem, window

FIELD16 = (1 << 16) - 1
"""Strides between private rows are 16-bit fields."""


@dataclass(frozen=True)
class Axis:
    """One direction of a regular set of rows: how many, and the steps between them on each side of a move."""

    count: int
    steps: tuple[int, int]


def merge(axes: Sequence[Axis]) -> list[Axis]:
    """The same rows with fewer axes (innermost first): two directions that continue each other become one."""
    merged: list[Axis] = []
    for axis in axes:
        inner = merged[-1] if merged else None
        if axis.count == 1:
            continue
        if inner and all(step == inner.count * s for step, s in zip(axis.steps, inner.steps, strict=True)):
            merged[-1] = Axis(inner.count * axis.count, inner.steps)
        else:
            merged.append(axis)
    return merged or [Axis(1, (1, 1))]


@dataclass(frozen=True)
class Tile:
    """A tile on chip of `sizes`, of which `run` is done at a time; both give all seven dimensions."""

    problem: Problem
    sizes: MappingType[str, int]
    run: MappingType[str, int]

    def __getitem__(self, dim: str) -> int:
        return self.sizes[dim]

    def extent(self, axis: int) -> int:
        """Input rows (axis 0) or columns (1) that the filter tile covers."""
        return (self["RS"[axis]] - 1) * self.problem.dilation[axis] + 1

    @cached_property
    def steps(self) -> tuple[int, int]:
        """Tile rows (columns) between consecutive output rows (columns): the stride, or less where skipped pixels are not loaded."""
        return min(self.problem.stride[0], self.extent(0)), min(self.problem.stride[1], self.extent(1))

    @cached_property
    def height(self) -> int:
        return window(self["P"], self["R"], self.problem.stride[0], self.problem.dilation[0])

    @cached_property
    def width(self) -> int:
        return window(self["Q"], self["S"], self.problem.stride[1], self.problem.dilation[1])

    # Rows of one block of channels ------------------------------------------------------------------------------------------------

    @property
    def weight_rows(self) -> int:
        return self["R"] * self["S"] * self["C"]

    @property
    def input_rows(self) -> int:
        return self["N"] * self.height * self.width

    @property
    def output_rows(self) -> int:
        return self["N"] * self["P"] * self["Q"]

    # Rows to move (steps: local rows, DRAM bytes) ---------------------------------------------------------------------------------

    def weight_axes(self) -> list[Axis]:
        p = self.problem
        row = p.K  # bytes from one input channel to the next
        taps = Axis(self["S"], (self["C"], p.C * row)), Axis(self["R"], (self["S"] * self["C"], p.S * p.C * row))
        return merge([Axis(self["C"], (1, row)), *taps])

    def input_axes(self) -> list[Axis]:
        p = self.problem
        line = p.input_width * p.C
        return merge(
            [
                *self._window_axes(1, self["Q"], self.width, 1, p.C),
                *self._window_axes(0, self["P"], self.height, self.width, line),
                Axis(self["N"], (self.height * self.width, p.input_height * line)),
            ]
        )

    def _window_axes(self, axis: int, outputs: int, size: int, near: int, far: int) -> list[Axis]:
        """Rows or columns of the input tile: one run, or one for each output where the stride skips pixels."""
        extent, stride = self.extent(axis), self.problem.stride[axis]
        if stride <= extent:
            return [Axis(size, (near, far))]
        return [Axis(extent, (near, far)), Axis(outputs, (extent * near, stride * far))]

    def output_axes(self, element_bytes: int) -> list[Axis]:
        p = self.problem
        row = p.K * element_bytes
        lines = Axis(self["P"], (self["Q"], p.Q * row)), Axis(self["N"], (self["P"] * self["Q"], p.P * p.Q * row))
        return merge([Axis(self["Q"], (1, row)), *lines])

    def run_axes(self) -> list[Axis]:
        """The pixels of a run (steps: scratchpad rows of A, accumulator rows of C), innermost first."""
        axes = merge(
            [
                Axis(self.run["Q"], (self.steps[1], 1)),
                Axis(self.run["P"], (self.steps[0] * self.width, self["Q"])),
                Axis(self.run["N"], (self.height * self.width, self["P"] * self["Q"])),
            ]
        )
        # One instruction walks its rows with 16-bit strides; rows further apart take one instruction each.
        return axes if max(axes[0].steps) <= FIELD16 else [Axis(1, (1, 1)), *axes]
