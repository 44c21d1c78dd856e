"""The hardware point that the model judges: the few figures of a machine that its equations need."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from baco.hardware import KIB, GemminiConfig
from baco.perfmodel.constants import DRAM_WORDS_PER_CYCLE, GEMMINI_AREA, AreaTable
from baco.perfmodel.errors import InvalidMachine


@dataclass(frozen=True)
class Machine:
    """A square array of `side` x `side` elements with its memories in KiB and DRAM bandwidth in words per cycle.

    Wider than :class:`GemminiConfig`: any side and any capacity, as the paper space needs.

    Raises:
        InvalidMachine: on construction, naming the field.
    """

    side: int
    scratchpad_kib: float
    accumulator_kib: float
    dram_words_per_cycle: float = DRAM_WORDS_PER_CYCLE
    columns: int | None = None
    """Of an array that is not square; then `side` is the number of its rows."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not (value is None or value > 0):
                raise InvalidMachine(f"machine.{field.name}: must be greater than 0, but is {value!r}.")

    @classmethod
    def from_config(cls, config: GemminiConfig) -> Machine:
        return cls(config.dim, config.scratchpad_bytes / KIB, config.accumulator_bytes / KIB, config.dram_bytes_per_cycle)

    @property
    def accumulator_kib_per_column(self) -> float:
        return self.accumulator_kib / (self.columns or self.side)

    @property
    def elements(self) -> int:
        return self.side * (self.columns or self.side)

    def area_mm2(self, table: AreaTable = GEMMINI_AREA) -> float:
        """Estimated area of the array and the memories, without host core and wiring between them."""
        return table.mm2(self.elements, self.scratchpad_kib, self.accumulator_kib)

    def to_dict(self) -> dict[str, float]:
        return dataclasses.asdict(self)
