"""The hardware that the search may choose: what a mapping needs, rounded to what can be had.

Two spaces. `gemmini`: only what the Gemmini generator builds (:class:`GemminiConfig`), capacities counted in rows of DIM elements and
twice, as loads overlap compute. `paper`: any side up to 128, SRAM in steps of 1 KiB, words counted once (PERFMODEL.md, "Least hardware
that holds a mapping"), for comparison with DOSA.

A capacity here is a float in KiB; all functions take NumPy arrays as well as numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baco.hardware import KIB, GemminiConfig
from baco.perfmodel.constants import TABLE_6_3
from baco.perfmodel.machine import Machine
from baco.search.errors import InvalidSearch

BUFFERS = 2
"""Copies of each tile on chip in the gemmini space: one being loaded while the other is used."""
LARGEST_SIDE = 128


@dataclass(frozen=True)
class Limits:
    """A user's limits on the hardware; None leaves a figure free."""

    max_dim: int = LARGEST_SIDE
    max_scratchpad_kib: float | None = None
    max_accumulator_kib: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.max_dim <= LARGEST_SIDE:
            raise InvalidSearch("max_dim", f"must be from 1 to {LARGEST_SIDE}, but is {self.max_dim}.")
        for name in ("max_scratchpad_kib", "max_accumulator_kib"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InvalidSearch(name, f"must be greater than 0, but is {value}.")

    def __str__(self) -> str:
        parts = [f"side up to {self.max_dim}"]
        parts += [f"scratchpad up to {self.max_scratchpad_kib:g} KiB"] if self.max_scratchpad_kib else []
        parts += [f"accumulator up to {self.max_accumulator_kib:g} KiB"] if self.max_accumulator_kib else []
        return ", ".join(parts)

    @property
    def accumulator_kib(self) -> float:
        return np.inf if self.max_accumulator_kib is None else self.max_accumulator_kib

    @property
    def scratchpad_kib(self) -> float:
        return np.inf if self.max_scratchpad_kib is None else self.max_scratchpad_kib


class Space:
    """What both spaces offer. `sides` are the array sides worth trying, best first."""

    name: str
    buffers = 1
    """Copies of each tile on chip."""
    whole_rows = False
    """Whether a tile takes whole rows of the side's width, however few of their words it fills."""

    def sides(self, limits: Limits) -> list[int]:
        raise NotImplementedError

    def round_side(self, side: float, limits: Limits) -> int:
        """The side to build for mappings that use `side` rows or columns: the nearest in proportion."""
        raise NotImplementedError

    def accumulator_kib(self, rows: ArrayLike, side: ArrayLike) -> NDArray[np.float64]:
        """Least accumulator that holds output tiles of `rows` rows (words per column)."""
        raise NotImplementedError

    def scratchpad_kib(
        self, weights: ArrayLike, weight_rows: ArrayLike, inputs: ArrayLike, input_rows: ArrayLike, side: ArrayLike
    ) -> NDArray[np.float64]:
        """Least scratchpad that holds weight and input tiles, given in words and in rows."""
        raise NotImplementedError

    def bound_slack(self, side: int) -> float:
        """The part by which an array left out of :meth:`sides` could be better than one of `side`, all else equal."""
        return 0.0

    def machine(self, side: int, accumulator_kib: float, scratchpad_kib: float) -> Machine:
        return Machine(side, scratchpad_kib, accumulator_kib)

    def config(self, side: int, accumulator_kib: float, scratchpad_kib: float) -> GemminiConfig | None:
        """The machine as the generator would build it; None where it would not."""
        return None


class GemminiSpace(Space):
    """What the generator elaborates: DIM a power of two, scratchpad rows a power of two a bank, accumulator banks of whole DIM rows."""

    name = "gemmini"
    buffers = BUFFERS
    whole_rows = True

    def __init__(self, base: GemminiConfig | None = None) -> None:
        self.base = base or GemminiConfig()

    def sides(self, limits: Limits) -> list[int]:
        return [side for side in (128, 64, 32, 16, 8, 4, 2) if side <= limits.max_dim]

    def round_side(self, side: float, limits: Limits) -> int:
        return min(self.sides(limits), key=lambda s: abs(np.log(s / max(side, 1))))

    def accumulator_kib(self, rows: ArrayLike, side: ArrayLike) -> NDArray[np.float64]:
        step = self.base.accumulator_banks * side
        return np.ceil(np.asarray(rows, float) * BUFFERS / step) * step * 4 * side / KIB

    def scratchpad_kib(
        self, weights: ArrayLike, weight_rows: ArrayLike, inputs: ArrayLike, input_rows: ArrayLike, side: ArrayLike
    ) -> NDArray[np.float64]:
        rows = (np.asarray(weight_rows, float) + input_rows) * BUFFERS
        bank = np.maximum(np.exp2(np.ceil(np.log2(rows / self.base.scratchpad_banks))), side)
        return bank * self.base.scratchpad_banks * side / KIB

    def config(self, side: int, accumulator_kib: float, scratchpad_kib: float) -> GemminiConfig:
        return GemminiConfig(
            dim=side,
            scratchpad_bytes=round(scratchpad_kib * KIB),
            scratchpad_banks=self.base.scratchpad_banks,
            accumulator_bytes=round(accumulator_kib * KIB),
            accumulator_banks=self.base.accumulator_banks,
        )


class PaperSpace(Space):
    """The space of DOSA and of the dissertation's evaluation."""

    name = "paper"

    def sides(self, limits: Limits) -> list[int]:
        """The largest only: a larger array costs nothing in Table 6.3, and holds every mapping of a smaller one."""
        return [limits.max_dim]

    def bound_slack(self, side: int) -> float:
        """Rounding to whole KiB costs less than 1 KiB over `side` columns, and that only in the accumulator's energy."""
        return TABLE_6_3.accumulator_per_kib_per_column / side / TABLE_6_3.accumulator

    def round_side(self, side: float, limits: Limits) -> int:
        return int(np.clip(np.ceil(side), 1, limits.max_dim))

    def accumulator_kib(self, rows: ArrayLike, side: ArrayLike) -> NDArray[np.float64]:
        return np.ceil(np.asarray(rows, float) * 4 * side / KIB)

    def scratchpad_kib(
        self, weights: ArrayLike, weight_rows: ArrayLike, inputs: ArrayLike, input_rows: ArrayLike, side: ArrayLike
    ) -> NDArray[np.float64]:
        return np.ceil((np.asarray(weights, float) + inputs) / KIB)


SPACES: dict[str, type[Space]] = {"gemmini": GemminiSpace, "paper": PaperSpace}


def space_named(name: str) -> Space:
    """The named space.

    Raises:
        InvalidSearch: if there is none of that name.
    """
    if name not in SPACES:
        raise InvalidSearch("space", f"must be one of {', '.join(SPACES)}, but is {name!r}.")
    return SPACES[name]()
