"""The root of every error BACO raises on purpose.

Each module keeps its own error classes, derived from :class:`BacoError`, next to the code that raises them. The command line
prints a `BacoError` as one sentence and exits with status 2; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations


class BacoError(Exception):
    """Bad input from a person: the message says what is wrong, where, and what would fix it."""
