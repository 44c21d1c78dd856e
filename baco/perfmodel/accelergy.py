"""Energies as Accelergy estimates them, from its energy reference tables (ERT.yaml) of the machine that BACO describes to it.

One table is of one machine, whose memories have one size each. What an access costs grows with the size, so a search needs tables of
machines of several sizes: a line is put through them (least squares), the model's base and slope. With one size, or tables that agree, the
slope is 0.

Components are those of `architecture.yaml` (:mod:`baco.perfmodel.timeloop`), by the last part of their path: Registers, Accumulator,
Scratchpad and DRAM, whose read, write and update are averaged, as the model has one energy for all three, and MACC with compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from baco.perfmodel.constants import EnergyTable
from baco.perfmodel.errors import InvalidConstants

ROOT = "ERT"
ACCESSES = ("read", "write", "update")
SIZES = ("side", "scratchpad_kib", "accumulator_kib")


def energies(ert: Any, field: str = ROOT) -> dict[str, float]:
    """pJ of each component in the content of an ERT file.

    Raises:
        InvalidConstants: if it is no such table, or lacks a component.
    """
    try:
        found = {}
        for table in ert[ROOT]["tables"]:
            actions = {action["name"]: float(action["energy"]) for action in table["actions"]}
            values = [actions[name] for name in ACCESSES if name in actions] or [actions["compute"]]
            found[str(table["name"]).rsplit(".", 1)[-1].split("[")[0]] = sum(values) / len(values)
    except (TypeError, KeyError, ValueError):
        raise InvalidConstants(field, "is no energy reference table of Accelergy.") from None
    for name in ("Registers", "Accumulator", "Scratchpad", "DRAM", "MACC"):
        if name not in found:
            raise InvalidConstants(field, f"has no component {name}; it must be of the architecture.yaml that BACO writes.")
    return found


def table_of_one(ert: Any) -> EnergyTable:
    """The energies of one machine, for memories of any size."""
    found = energies(ert)
    return _table([found], [0.0], [0.0])


def table_of(machines: Any, folder: Path) -> EnergyTable:
    """The energies through the tables of several machines, each {file, side, scratchpad_kib, accumulator_kib}, files relative to `folder`.

    Raises:
        InvalidConstants: for a missing file, size or component, naming the place.
    """
    if not isinstance(machines, list) or not machines:
        raise InvalidConstants("accelergy", "must be a list of tables, each with a file and the sizes of its machine.")
    found, scratchpads, columns = [], [], []
    for place, entry in enumerate(machines):
        field = f"accelergy[{place}]"
        if not isinstance(entry, dict) or set(entry) != {"file", *SIZES}:
            raise InvalidConstants(field, f"must have file, {', '.join(SIZES)}.")
        sizes = [entry[name] for name in SIZES]
        if not all(isinstance(size, (int, float)) and size > 0 for size in sizes):
            raise InvalidConstants(field, "must have sizes greater than 0.")
        try:
            content = yaml.safe_load((folder / str(entry["file"])).read_text())
        except (OSError, yaml.YAMLError):
            raise InvalidConstants(f"{field}.file", f"cannot be read: {entry['file']}.") from None
        found.append(energies(content, field))
        scratchpads.append(sizes[1])
        columns.append(sizes[2] / sizes[0])
    return _table(found, scratchpads, columns)


def _table(found: Sequence[dict[str, float]], scratchpads: Sequence[float], columns: Sequence[float]) -> EnergyTable:
    def mean(name: str) -> float:
        return sum(entry[name] for entry in found) / len(found)

    scratchpad, per_kib = _line(scratchpads, [entry["Scratchpad"] for entry in found])
    accumulator, per_column = _line(columns, [entry["Accumulator"] for entry in found])
    return EnergyTable(mean("MACC"), mean("Registers"), accumulator, per_column, scratchpad, per_kib, mean("DRAM"))


def _line(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Base and slope of the line with the least squares; a flat one where all sizes are the same."""
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((a - x) ** 2 for a in xs)
    slope = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / spread if spread else 0.0
    return y - slope * x, slope
