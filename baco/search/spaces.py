"""The hardware that the search may choose: what a mapping needs, rounded to what can be had.

Two spaces. `gemmini`: only what the Gemmini generator builds (:class:`GemminiConfig`), capacities counted in rows of DIM elements and
twice, as loads overlap compute. `paper`: any side up to 128, SRAM in steps of 1 KiB, words counted once (PERFMODEL.md, "Least hardware
that holds a mapping"), for comparison with DOSA.

A capacity here is a float in KiB; all functions take NumPy arrays as well as numbers.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baco.hardware import KIB, GemminiConfig
from baco.perfmodel.constants import GEMMINI_AREA, AreaTable, EnergyTable
from baco.perfmodel.machine import Machine
from baco.search.errors import InvalidSearch
from baco.search.tilings import EXACT, RAGGED

BUFFERS = 2
"""Copies of each tile on chip in the gemmini space: one being loaded while the other is used."""
LARGEST_SIDE = 128
PAPER_SIDES = (128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4, 2, 1)
"""Sides of the paper space worth trying where a limit keeps the largest from being the best: powers of two and those between."""


@dataclass(frozen=True)
class Limits:
    """A person's limits on the hardware and on the network's totals; None leaves a figure free. `area` is the table of areas.

    Raises:
        InvalidSearch: on construction, naming the limit.
    """

    max_dim: int = LARGEST_SIDE
    max_scratchpad_kib: float | None = None
    max_accumulator_kib: float | None = None
    max_sram_kib: float | None = None
    """Scratchpad and accumulator together."""
    max_pes: int | None = None
    max_area_mm2: float | None = None
    max_power_mw: float | None = None
    """On average."""
    max_cycles: float | None = None
    """Of the whole network."""
    area: AreaTable = GEMMINI_AREA

    def __post_init__(self) -> None:
        if not 1 <= self.max_dim <= LARGEST_SIDE:
            raise InvalidSearch("max_dim", f"must be from 1 to {LARGEST_SIDE}, but is {self.max_dim}.")
        for name in ("scratchpad_kib", "accumulator_kib", "sram_kib", "pes", "area_mm2", "power_mw", "cycles"):
            value = getattr(self, f"max_{name}")
            if value is not None and not value > 0:
                raise InvalidSearch(f"max_{name}", f"must be greater than 0, but is {value}.")

    def __str__(self) -> str:
        parts = [f"side up to {self.max_dim}"]
        parts += [f"scratchpad up to {self.max_scratchpad_kib:g} KiB"] if self.max_scratchpad_kib else []
        parts += [f"accumulator up to {self.max_accumulator_kib:g} KiB"] if self.max_accumulator_kib else []
        parts += [f"SRAM up to {self.max_sram_kib:g} KiB"] if self.max_sram_kib else []
        parts += [f"up to {self.max_pes} elements"] if self.max_pes else []
        parts += [f"area up to {self.max_area_mm2:g} mm2"] if self.max_area_mm2 else []
        parts += [f"power up to {self.max_power_mw:g} mW"] if self.max_power_mw else []
        parts += [f"latency up to {self.max_cycles:g} cycles"] if self.max_cycles else []
        return ", ".join(parts)

    @property
    def largest_side(self) -> int:
        """The largest array that the limits on side, elements and area leave; 0 where not even one element is left."""
        elements = self.max_dim**2 if self.max_pes is None else min(self.max_dim**2, int(self.max_pes))
        if self.max_area_mm2 is not None:
            elements = min(elements, int(self.max_area_mm2 / self.area.mm2(1, 0, 0)))
        return math.isqrt(elements)

    @property
    def largest_is_best(self) -> bool:
        """Whether no limit makes a larger array a trade: for room, for rows of an accumulator, or for power, as it is done sooner."""
        limits = (self.max_scratchpad_kib, self.max_accumulator_kib, self.max_sram_kib, self.max_area_mm2, self.max_power_mw)
        return all(limit is None for limit in limits)

    @property
    def accumulator_kib(self) -> float:
        return np.inf if self.max_accumulator_kib is None else self.max_accumulator_kib

    @property
    def scratchpad_kib(self) -> float:
        return np.inf if self.max_scratchpad_kib is None else self.max_scratchpad_kib

    def excess(self, side: Any, accumulator_kib: Any, scratchpad_kib: Any) -> list[tuple[Any, float]]:
        """Each limited figure of a machine with its limit; numbers, arrays or tensors."""
        pairs = [(accumulator_kib, self.accumulator_kib), (scratchpad_kib, self.scratchpad_kib)]
        if self.max_sram_kib is not None:
            pairs.append((accumulator_kib + scratchpad_kib, self.max_sram_kib))
        if self.max_area_mm2 is not None:
            pairs.append((self.area.mm2(side**2, scratchpad_kib, accumulator_kib), self.max_area_mm2))
        return [(figure, limit) for figure, limit in pairs if limit < np.inf]

    def holds(self, side: ArrayLike, accumulator_kib: ArrayLike, scratchpad_kib: ArrayLike) -> NDArray[np.bool_]:
        """Whether machines keep the limits on memories and area; arrays broadcast."""
        side, accumulator_kib, scratchpad_kib = map(np.asarray, (side, accumulator_kib, scratchpad_kib))
        kept = np.ones(np.broadcast_shapes(side.shape, accumulator_kib.shape, scratchpad_kib.shape), bool)
        for figure, limit in self.excess(side, accumulator_kib, scratchpad_kib):
            kept = kept & (figure <= limit)
        return kept


class Space:
    """What both spaces offer. `sides` are the array sides worth trying, best first."""

    name: str
    buffers = 1
    """Copies of each tile on chip."""
    whole_rows = False
    """Whether a tile takes whole rows of the side's width, however few of their words it fills."""
    tilings = RAGGED
    """The tiles that are searched unless something else is asked for."""
    any_width = False
    """Whether ragged channels are tried in blocks narrower than the array, on behalf of smaller arrays that :meth:`sides` leaves out."""

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

    def gaps(self, limits: Limits) -> list[tuple[int, int]]:
        """Ranges (least, most) of sides that are left out of :meth:`sides` and might be better by more than :meth:`bound_slack`."""
        return []

    def bound_slack(self, side: int, table: EnergyTable) -> float:
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
        return [side for side in (128, 64, 32, 16, 8, 4, 2) if side <= limits.largest_side]

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
    """The space of DOSA and of the dissertation's evaluation, tiles that divide their dimension included."""

    name = "paper"
    tilings = EXACT
    any_width = True

    def sides(self, limits: Limits) -> list[int]:
        """The largest only, where no limit speaks for a smaller one: it costs no energy and holds every mapping of a smaller one."""
        largest = limits.largest_side
        if limits.largest_is_best:
            return [largest] if largest else []
        return [largest, *(side for side in PAPER_SIDES if side < largest)] if largest else []

    def gaps(self, limits: Limits) -> list[tuple[int, int]]:
        return [(below + 1, side - 1) for side, below in itertools.pairwise(self.sides(limits)) if side - below > 1]

    def bound_slack(self, side: int, table: EnergyTable) -> float:
        """Rounding to whole KiB costs less than 1 KiB over `side` columns, and that only in the accumulator's energy."""
        return table.accumulator_per_kib_per_column / side / table.accumulator

    def round_side(self, side: float, limits: Limits) -> int:
        return int(np.clip(np.ceil(side), 1, limits.largest_side))

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
