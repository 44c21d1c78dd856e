"""Which line of the person's program an instruction comes from, read from an ELF's line table (DWARF's .debug_line).

Programs that BACO compiles name lines of the Python file; those of a C compiler, lines of theirs. A program without a table has no lines.
"""

from __future__ import annotations

import bisect
import io
import linecache
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any


@dataclass(frozen=True)
class SourceLine:
    """A line of a file, counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def text(self) -> str:
        """What stands there; nothing where the file cannot be read."""
        return linecache.getline(self.file, self.line).strip()


class LineTable:
    """Lines by address."""

    def __init__(self, elf: bytes) -> None:
        rows = sorted(_rows(elf), key=lambda row: (row[0], row[1] is not None))  # what begins wins over what ends
        self._addresses = [address for address, _ in rows]
        self._lines = [line for _, line in rows]

    def find(self, pc: int) -> SourceLine | None:
        """The line of the instruction at `pc`."""
        at = bisect.bisect_right(self._addresses, pc) - 1
        return self._lines[at] if at >= 0 else None


def _rows(elf: bytes) -> list[tuple[int, SourceLine | None]]:
    """Where each line's code begins; None where code without lines does."""
    from elftools.elf.elffile import ELFFile

    rows: list[tuple[int, SourceLine | None]] = []
    try:
        file = ELFFile(io.BytesIO(elf))
        if not file.has_dwarf_info():
            return []
        info = file.get_dwarf_info()
        for unit in info.iter_CUs():
            program = info.line_program_for_CU(unit)
            if program is not None:
                folder = unit.get_top_DIE().attributes.get("DW_AT_comp_dir")
                rows += _rows_of(program, folder.value.decode() if folder else "")
    except Exception:  # noqa: BLE001  (pyelftools raises many unrelated types on tables it does not understand; lines are a courtesy)
        return []
    return rows


def _rows_of(program: Any, folder: str) -> list[tuple[int, SourceLine | None]]:
    files = [_path(program, entry, folder) for entry in program["file_entry"]]
    first = 1 if program["version"] < 5 else 0
    rows: list[tuple[int, SourceLine | None]] = []
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        known = not state.end_sequence and state.line > 0 and 0 <= state.file - first < len(files)
        rows.append((state.address, SourceLine(files[state.file - first], state.line) if known else None))
    return rows


def _path(program: Any, entry: Any, folder: str) -> str:
    folders = [name.decode() for name in program["include_directory"]]
    if program["version"] < 5:
        folders = [folder, *folders]
    at = entry.dir_index
    return str(PurePosixPath(folder) / (folders[at] if at < len(folders) else "") / entry.name.decode())
