"""How every entry point ends: a fault of the person's is one sentence on standard error, a bug keeps its traceback."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

from baco.errors import BacoError

USER_ERROR = 2
INTERRUPTED = 130


def reporting(call: Callable[[], int | None]) -> int:
    """The exit status of `call`, its user errors told in one sentence. Every entry point goes through here."""
    try:
        return call() or 0
    except SystemExit as stop:
        if isinstance(stop.code, str):
            raise
        return stop.code or 0
    except BacoError as error:
        _say_error(str(error))
        return USER_ERROR
    except KeyboardInterrupt:
        _say_error("interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`baco explore ... | head`); keep Python from complaining as it closes the stream.
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return 1


def _say_error(message: str) -> None:
    red, plain = ("\x1b[1;31m", "\x1b[0m") if sys.stderr.isatty() else ("", "")
    print(f"{red}error:{plain} {message}", file=sys.stderr)
