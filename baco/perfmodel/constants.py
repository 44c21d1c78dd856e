"""The constants of the model: energy of one access, silicon area, clock. The only such table in BACO; a person's file replaces any of them.

Energy, in pJ a multiply-accumulate or a word. Source: Table 6.3 of the BACO dissertation, which rounds DOSA's constants (MICRO 2023
artifact: MAC 0.5608, register 0.48746, scratchpad slope 0.02513), themselves Accelergy's for the MAC and Timeloop's built-in tables for
the memories.

Area, in square micrometres. Source: the published breakdown of a Gemmini with a 16 x 16 array, 256 KiB of scratchpad and 64 KiB of
accumulator in a 22 nm process (Genc et al., DAC 2021, table of areas): 116k, 544k and 146k um2, each scaled in proportion to elements or
capacity; the host core, 171k um2, is not counted. It is an estimate for comparing designs: the areas that DOSA's tools give for the four
machines of PERFMODEL.md stand to that of their default machine as this table's do, to within 18 % (process and absolute figures differ).

A file that replaces some of it, in YAML or JSON (``baco explore --energy FILE``):

    source: our SRAM compiler, 12 nm
    clock_ghz: 1.2
    energy:                                   # pJ
      mac: 0.561
      register: 0.487
      accumulator: 1.94
      accumulator_per_kib_per_column: 0.1005  # times the accumulator's KiB over the side of the array
      scratchpad: 0.49
      scratchpad_per_kib: 0.025               # times the scratchpad's KiB
      dram: 100
    area:                                     # um2
      element: 453
      scratchpad_per_kib: 2125
      accumulator_per_kib: 2281

Instead of `energy` it may name energy reference tables of Accelergy, and it may be such a table (:mod:`baco.perfmodel.accelergy`):

    accelergy:
      - {file: small/ERT.yaml, side: 16, scratchpad_kib: 64, accumulator_kib: 16}
      - {file: large/ERT.yaml, side: 16, scratchpad_kib: 1024, accumulator_kib: 512}
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from baco.perfmodel.errors import InvalidConstants


def _check_numbers(table: object, section: str, positive: frozenset[str]) -> None:
    """Every field of the table is a finite number of at least 0, and more than 0 where it must be."""
    for f in dataclasses.fields(table):
        value = getattr(table, f.name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise InvalidConstants(f"{section}.{f.name}", f"must be a number, but is {value!r}.")
        if value < 0 or (value == 0 and f.name in positive):
            raise InvalidConstants(
                f"{section}.{f.name}", f"must be {'greater than' if f.name in positive else 'at least'} 0, but is {value}."
            )


@dataclass(frozen=True)
class EnergyTable:
    """pJ a multiply-accumulate or an access; memory energies grow linearly with capacity.

    Raises:
        InvalidConstants: on construction, naming the field.
    """

    mac: float = 0.561
    register: float = 0.487
    accumulator: float = 1.94
    accumulator_per_kib_per_column: float = 0.1005
    """Times the accumulator's KiB divided by the side of the array: one column's own SRAM."""
    scratchpad: float = 0.49
    scratchpad_per_kib: float = 0.025
    dram: float = 100.0

    def __post_init__(self) -> None:
        # The bound of the paper space divides by the accumulator's energy.
        _check_numbers(self, "energy", frozenset({"mac", "accumulator"}))


@dataclass(frozen=True)
class AreaTable:
    """um2 of one processing element and of a KiB of each memory.

    Raises:
        InvalidConstants: on construction, naming the field.
    """

    element: float = 116_000 / 16**2
    scratchpad_per_kib: float = 544_000 / 256
    accumulator_per_kib: float = 146_000 / 64

    def __post_init__(self) -> None:
        _check_numbers(self, "area", frozenset({"element"}))

    def mm2(self, elements: Any, scratchpad_kib: Any, accumulator_kib: Any) -> Any:
        """Area of array and memories; numbers or arrays that broadcast."""
        um2 = elements * self.element + scratchpad_kib * self.scratchpad_per_kib + accumulator_kib * self.accumulator_per_kib
        return um2 * 1e-6


TABLE_6_3 = EnergyTable()
GEMMINI_AREA = AreaTable()
SOURCE = "energy: BACO dissertation, Table 6.3; area: Gemmini, DAC 2021, 22 nm; 1 GHz"


@dataclass(frozen=True)
class Constants:
    """All constants of the model, and where they come from."""

    energy: EnergyTable = field(default=TABLE_6_3)
    area: AreaTable = field(default=GEMMINI_AREA)
    clock_ghz: float = 1.0
    """For power only: the rate at which Gemmini was laid out (DAC 2021)."""
    source: str = SOURCE

    def __post_init__(self) -> None:
        if isinstance(self.clock_ghz, bool) or not isinstance(self.clock_ghz, (int, float)) or not 0 < self.clock_ghz < math.inf:
            raise InvalidConstants("clock_ghz", f"must be a number greater than 0, but is {self.clock_ghz!r}.")

    def power_mw(self, energy_pj: Any, cycles: Any) -> Any:
        """Average power in mW: pJ a cycle times GHz."""
        return energy_pj / cycles * self.clock_ghz

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: object, source: str = "constants") -> Constants:
        """The constants in the form of :meth:`to_dict`; what is left out keeps its default.

        Raises:
            InvalidConstants: for an unknown field or a value of the wrong kind, naming the field's path.
        """
        known = _fields(fields, "", ("energy", "area", "clock_ghz", "source"))
        tables = {
            section: table(**_fields(known.pop(section), section, tuple(f.name for f in dataclasses.fields(table))))
            for section, table in (("energy", EnergyTable), ("area", AreaTable))
            if section in known
        }
        return cls(**tables, **({"source": source} | known))

    @classmethod
    def load(cls, path: Path | str) -> Constants:
        """The constants in a YAML or JSON file of the forms above.

        Raises:
            InvalidConstants: if it cannot be read, or as :meth:`from_dict`; the message begins with the file's name.
        """
        import yaml

        from baco.perfmodel import accelergy

        try:
            fields = yaml.safe_load(Path(path).read_text())
            if isinstance(fields, dict) and accelergy.ROOT in fields:
                return cls(accelergy.table_of_one(fields), source=f"Accelergy: {path}")
            if isinstance(fields, dict) and "accelergy" in fields and "energy" not in fields:
                fields = {"source": f"Accelergy: {path}"} | fields
                fields["energy"] = dataclasses.asdict(accelergy.table_of(fields.pop("accelergy"), Path(path).parent))
            return cls.from_dict(fields, source=str(path))
        except OSError as error:
            raise InvalidConstants("", f"cannot be read: {error.strerror}.", path) from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            mark = getattr(error, "problem_mark", None)
            where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            raise InvalidConstants("", f"is no valid YAML{where}.", path) from None
        except InvalidConstants as error:
            raise InvalidConstants(error.field, error.reason, path) from None


def _fields(value: object, section: str, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidConstants(section, f"must be a table of {', '.join(known)}, but is {value!r}.")
    for name in value:
        if name not in known:
            raise InvalidConstants(f"{section}.{name}" if section else str(name), f"is not known; there are {', '.join(known)}.")
    return dict(value)


DRAM_WORDS_PER_CYCLE = 8
"""Table 6.3: words per cycle between DRAM and the scratchpad, reads and writes together."""

PORTS = 2
"""Table 6.3: the accumulator and the scratchpad move 2 words per cycle and column (row), the registers 2 per element."""
