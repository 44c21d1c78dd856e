"""Run a tool's work in a process of its own, so that when MLIR ends the process, the person gets a sentence.

MLIR and its passes are C++: a fault there (a null pointer, a nesting deeper than the stack, `report_fatal_error`) ends the process without
an exception that Python could catch. The child is a fork (MLIR, as BACO sets it up, starts no threads), which costs about a millisecond. It
notes what it is about to do in a file that both processes hold, and the parent tells it if the child dies.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import BinaryIO

from baco.lowering.tools.common import Note, ToolInputError

NOTE_BYTES = 4096


class ToolCrash(ToolInputError):
    """MLIR ended the process. Attributes: `signal` (its number), `doing`."""

    def __init__(self, tool: str, number: int, doing: str, detail: str) -> None:
        self.signal = number
        self.doing = doing
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        cause = "most likely for want of memory" if number == signal.SIGKILL else "a fault inside MLIR, not in what you typed"
        super().__init__(f"{tool}: the process ended with {name} while {doing}: {detail or cause}.")


def isolated(tool: str, work: Callable[[Note], int]) -> int:
    """The exit status of `work`, run in a child process.

    Raises:
        ToolCrash: if the child dies.
    """
    with tempfile.TemporaryFile() as notes, tempfile.TemporaryFile() as raw:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            _be_the_child(work, notes, raw)
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child says that it was interrupted
        try:
            _, status = os.waitpid(child, 0)
        finally:
            signal.signal(signal.SIGINT, before)
        raw.seek(0)
        said = raw.read().decode(errors="replace")
        if not os.WIFSIGNALED(status):
            sys.stderr.write(said)
            return os.WEXITSTATUS(status)
        fatal = [line for line in said.splitlines() if line.startswith(("LLVM ERROR", "terminate", "loc(", "  what()"))]
        notes.seek(0)
        doing = notes.read().rstrip(b"\0 ").decode(errors="replace") or "starting"
        raise ToolCrash(tool, os.WTERMSIG(status), doing, "; ".join(line.strip().rstrip(".") for line in fatal))


def _be_the_child(work: Callable[[Note], int], notes: BinaryIO, raw: BinaryIO) -> None:
    """Do the work and end the process, whatever happens. Python's messages go where they always go; what C++ writes is held back."""

    def note(doing: str) -> None:
        os.pwrite(notes.fileno(), doing.encode(errors="replace")[:NOTE_BYTES].ljust(NOTE_BYTES), 0)

    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="replace")
        os.dup2(raw.fileno(), 2)
        status = work(note)
    except BaseException:  # noqa: BLE001  (os._exit follows: nobody else would print it)
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os._exit(status)
