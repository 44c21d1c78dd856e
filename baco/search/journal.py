"""What a search has done so far, kept in its folder, so that it goes on after it was killed and gives the same answer.

A search is a row of steps (a stretch of descent, the enumeration of one side), each of which changes only the search's state and gives an
answer. The journal keeps each finished step's answer and the state after it; a search that starts again takes them from there, in the same
order, instead of working. It is one file, replaced as a whole after each step. A file that is damaged, or that another search or another
version of this code wrote, is as good as none.
"""

from __future__ import annotations

import dataclasses
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baco.search.candidates import Choice, Design, Table
from baco.search.errors import OutputFolder
from baco.toolchain import atomic_write, digest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from baco.search.explorer import Search

PROGRESS_FILE = "progress.bin"
SEAL = len(digest())
"""Characters at the head of the file: a digest of the search's key and of all that follows."""
DECIDES = ("network", "space", "limits", "rules", "constants", "budget", "seed", "importance", "starts", "device", "whole_front")
"""Fields of a search that its answer depends on."""


def key_of(search: Search) -> str:
    """The same for two searches that do the same steps: of the same options, in the same code."""
    root = Path(__file__).parent.parent
    code = [file.read_bytes() for part in ("search", "perfmodel") for file in sorted((root / part).glob("*.py"))]
    space = search.space
    chosen = [repr(getattr(search, name)) for name in DECIDES if name != "space"]
    return digest(*chosen, type(space).__qualname__, repr(sorted(vars(space).items())), (root / "workload.py").read_bytes(), *code)


class Journal:
    """The steps of one search; without a folder it keeps nothing.

    Raises:
        OutputFolder: where the file cannot be written.
    """

    def __init__(self, folder: Path | None = None, key: str = "") -> None:
        self.file = None if folder is None else folder / PROGRESS_FILE
        self.key = key
        self.steps: dict[str, dict[str, Any]] = {}
        self.arrays: dict[str, NDArray[Any]] = {}
        self.started = time.monotonic()
        self.earlier = 0.0
        """Seconds that runs before this one took."""
        if self.file is not None:
            self._read(self.file)

    def _read(self, file: Path) -> None:
        try:
            seal, data = (whole := file.read_bytes())[:SEAL], whole[SEAL:]
        except OSError:
            return
        if seal.decode("ascii", "replace") != digest(self.key, data):
            return
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            text = json.loads(str(stored["journal"]))
            self.arrays = {name: stored[name] for name in stored.files if name != "journal"}
        self.steps, self.earlier = text["steps"], text["seconds"]

    @property
    def reached(self) -> str:
        """How far the runs before this one came, in words; empty if there is nothing to go on from."""
        if not self.steps:
            return ""
        name, last = list(self.steps.items())[-1]
        return f"{name}, {last['state']['samples']:,} mappings in {self.earlier:.0f} s"

    def step(self, search: Search, name: str, work: Callable[[], Any]) -> Any:
        """Do `work` and return its answer, which must be JSON; or return what it answered in an earlier run, the search as it was after it.

        The candidates of the sides that it adds to the search belong to the state that it leaves.
        """
        if name in self.steps:
            return self._restore(search, name)
        before = set(search.tables)
        answer = work()
        if self.file is not None:
            added = {side: tables for side, tables in search.tables.items() if side not in before}
            for side, tables in added.items():
                for i, table in enumerate(tables):
                    self.arrays[f"{side}/{i}/figures"], self.arrays[f"{side}/{i}/choices"] = table.figures, table.choices
            orders = [[side, [list(table.orders) for table in tables]] for side, tables in added.items()]
            self.steps[name] = {"answer": answer, "state": _state(search), "orders": orders}
            self._write(self.file)
        return answer

    def _restore(self, search: Search, name: str) -> Any:
        entry = self.steps[name]
        state = entry["state"]
        search.samples = state["samples"]
        search.best = None if state["best"] is None else _design(state["best"])
        search.seen = [_design(design) for design in state["seen"]]
        search.history = [(samples, value, phase) for samples, value, phase in state["history"]]
        for side, orders in entry["orders"]:
            search.tables[side] = [
                Table(self.arrays[f"{side}/{i}/figures"], self.arrays[f"{side}/{i}/choices"], tuple(names))
                for i, names in enumerate(orders)
            ]
        return entry["answer"]

    @property
    def seconds(self) -> float:
        """Of this run and of those that it goes on from."""
        return self.earlier + time.monotonic() - self.started

    def _write(self, file: Path) -> None:
        text = json.dumps({"steps": self.steps, "seconds": self.seconds})
        buffer = io.BytesIO()
        np.savez(buffer, journal=np.array(text), **self.arrays)
        try:
            atomic_write(file, digest(self.key, buffer.getvalue()).encode() + buffer.getvalue())
        except OSError as error:
            raise OutputFolder(file, f"cannot be written: {error.strerror}.") from error

    def remove(self) -> None:
        """The search is at its end: nothing is left to go on from."""
        if self.file is not None:
            self.file.unlink(missing_ok=True)


def _state(search: Search) -> dict[str, Any]:
    return {
        "samples": search.samples,
        "best": None if search.best is None else dataclasses.asdict(search.best),
        "seen": [dataclasses.asdict(design) for design in search.seen],
        "history": [list(entry) for entry in search.history],
    }


def _design(stored: dict[str, Any]) -> Design:
    choices = tuple(Choice(**{**choice, "tile": tuple(choice["tile"])}) for choice in stored["choices"])
    return Design(**{**stored, "choices": choices})
