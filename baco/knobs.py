"""Every environment variable that BACO reads, declared once: its type, its default, and what it does.

    BACO_INTERPRET=1 python my_kernel.py          # from the shell

    from baco import knobs
    knobs.interpret.value = True                  # from Python, until changed
    with knobs.interpret.scope(True): ...         # from Python, for a while

A value set from Python wins over the environment. The environment is read when a value is asked for, so a test or a notebook may change it
while the program runs. ``docs/environment.md`` is written from this file by ``make docs``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from baco.errors import BacoError

T = TypeVar("T")

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off")


class KnobError(BacoError):
    """An environment variable whose value makes no sense. Attributes: `variable`, `text`."""

    def __init__(self, variable: str, text: str, expected: str) -> None:
        self.variable = variable
        self.text = text
        super().__init__(f"environment variable {variable} is {text!r}, but must be {expected}.")


class _Unset:
    """Stands for a value that nobody set from Python."""


_UNSET = _Unset()


class Knob(Generic[T]):
    """One environment variable. An empty text counts as unset."""

    kind = "text"

    def __init__(self, variable: str, default: Callable[[], T], default_text: str, description: str) -> None:
        self.variable = variable
        self.description = description
        self.default_text = default_text
        self._default = default
        self._set: T | _Unset = _UNSET
        ALL.append(self)

    def parse(self, text: str) -> T:
        """The value that a text in the environment stands for."""
        raise NotImplementedError

    @property
    def value(self) -> T:
        """The value now: set from Python, else from the environment, else the default.

        Raises:
            KnobError: if the text in the environment makes no sense.
        """
        if not isinstance(self._set, _Unset):
            return self._set
        text = os.environ.get(self.variable, "")
        return self.parse(text) if text else self._default()

    @value.setter
    def value(self, value: T) -> None:
        self._set = value

    def reset(self) -> None:
        """Forget a value set from Python: the environment counts again."""
        self._set = _UNSET

    @contextmanager
    def scope(self, value: T) -> Iterator[None]:
        """Set a value for the statements inside; for all threads, as an environment variable would be."""
        before, self._set = self._set, value
        try:
            yield
        finally:
            self._set = before


class Flag(Knob[bool]):
    """A variable that is on or off."""

    kind = "0 or 1"

    def __init__(self, variable: str, default: bool, description: str) -> None:
        super().__init__(variable, lambda: default, str(int(default)), description)

    def parse(self, text: str) -> bool:
        if text.lower() in _TRUE + _FALSE:
            return text.lower() in _TRUE
        raise KnobError(self.variable, text, f"one of {', '.join(_TRUE + _FALSE)}")


class Number(Knob[float]):
    """A variable that is a number of at least 0."""

    kind = "number"

    def parse(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not value >= 0:
            raise KnobError(self.variable, text, "a number of at least 0")
        return value


class Text(Knob[str]):
    """A variable that is taken as it is."""

    def parse(self, text: str) -> str:
        return text


class Folder(Knob[Path]):
    """A variable that names a folder."""

    kind = "folder"

    def parse(self, text: str) -> Path:
        return Path(text)


ALL: list[Knob] = []
"""The variables in the order of their declaration."""


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "baco"


home = Folder(
    "BACO_HOME", _user_cache, "`baco` in the user's cache folder", "The folder above all others of BACO's; those below it may be set apart."
)
cache_dir = Folder(
    "BACO_CACHE_DIR",
    lambda: home.value,
    "BACO_HOME",
    "Where BACO keeps what it can make again; safe to delete at any time.",
)
always_compile = Flag(
    "BACO_ALWAYS_COMPILE", False, "Compile every kernel anew instead of reading the compile cache; the new result is still kept."
)
interpret = Flag(
    "BACO_INTERPRET",
    False,
    "Run kernels as plain Python over NumPy, so that `print` and `breakpoint()` work in them. Read when a kernel is decorated; "
    "`@baco.jit(interpret=True)` does it for one kernel.",
)
debug = Flag(
    "BACO_DEBUG", False, "Compile `device_assert`, and `assert` on run-time conditions, into kernels; they cost host instructions."
)
kernel_dump = Flag(
    "BACO_KERNEL_DUMP", False, "Write each stage of every kernel, as it is compiled or read from the cache, to BACO_DUMP_DIR."
)
dump_dir = Folder(
    "BACO_DUMP_DIR", lambda: cache_dir.value / "dump", "`dump` in BACO_CACHE_DIR", "Where BACO_KERNEL_DUMP writes, a folder a kernel."
)
kernel_override = Flag(
    "BACO_KERNEL_OVERRIDE",
    False,
    "Take stages of kernels from BACO_OVERRIDE_DIR, where it has files for them, and go on compiling from there; nothing of such a kernel "
    "is read from or kept in the compile cache. The stages are baco, linalg, instgem and llvm; folders and files are called as those that "
    "BACO_KERNEL_DUMP writes.",
)
override_dir = Folder(
    "BACO_OVERRIDE_DIR",
    lambda: cache_dir.value / "override",
    "`override` in BACO_CACHE_DIR",
    "Where BACO_KERNEL_OVERRIDE reads: copy a folder of BACO_DUMP_DIR here, and edit a stage.",
)
disable_line_info = Flag("BACO_DISABLE_LINE_INFO", False, "Leave the table of the kernel's lines out of ELFs.")
front_end_debugging = Flag(
    "BACO_FRONT_END_DEBUGGING", False, "Keep the traceback from inside the compiler with the errors of reading a kernel, for work on BACO."
)
pass_diff = Flag("BACO_PASS_DIFF", False, "Print on standard error what each pass of a compilation changes, as a unified diff.")
pass_profile = Flag("BACO_PASS_PROFILE", False, "Print on standard error how long each pass of a compilation takes.")
pass_profile_threshold_ms = Number(
    "BACO_PASS_PROFILE_THRESHOLD_MS", lambda: 0.0, "0", "Passes that take fewer milliseconds are left out by BACO_PASS_PROFILE."
)
print_autotuning = Flag(
    "BACO_PRINT_AUTOTUNING", False, "Say on standard error what `@baco.autotune` chose, and the decorator line that chooses it at once."
)
strict = Flag(
    "BACO_STRICT",
    False,
    "Let the functional simulator refuse what Spike lets pass but hardware would not do, or do differently (docs/strict.md); for runs that "
    "do not say themselves.",
)
cache_autotuning = Flag("BACO_CACHE_AUTOTUNING", True, "Keep the cost of each tuned configuration on disk, for other processes to use.")
timeloop = Text(
    "BACO_TIMELOOP",
    lambda: "timeloop-model",
    "`timeloop-model` on the search path",
    "The Timeloop to compare the performance model with (docs/timeloop.md).",
)
verilator = Text(
    "BACO_VERILATOR",
    lambda: "verilator",
    "`verilator` on the search path",
    "The Verilator that builds the simulated hardware (docs/verilator.md).",
)
memory_model = Text(
    "BACO_MEMORY_MODEL",
    lambda: "cached",
    "cached",
    "The memory behind the simulated hardware: cached, cached:LATENCY, flat, flat:LATENCY or flat:LATENCY:PUTS, in cycles "
    "(docs/verilator.md).",
)

RESPECTED = {
    "LD_LIBRARY_PATH": "`baco doctor` looks here for Spike's Gemmini extension.",
    "RISCV": "`baco doctor` looks for Spike's Gemmini extension in its `lib`.",
    "XDG_CACHE_HOME": "The user's cache folder, `~/.cache` if unset.",
    "ZIG_GLOBAL_CACHE_DIR": "Where the carried compiler keeps its own cache; `zig` in BACO_CACHE_DIR if unset.",
}
"""Variables of other programs that BACO looks at."""
