"""What makes a function of :mod:`baco.language` a builtin: called in a kernel, it is done by whoever reads or interprets the kernel."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from baco.lang.errors import OutsideKernel

BUILTIN = "__baco_builtin__"
"""Marks a function that kernel code may call; its value is the name of the function in :mod:`baco.lang.semantic` that does it."""

INTERPRETER: ContextVar[Callable[[str, tuple[Any, ...], dict[str, Any]], Any] | None] = ContextVar("interpreter", default=None)
"""Does a builtin, given its name and arguments, while a kernel runs as plain Python; see :mod:`baco.lang.interpreter`."""


def builtin(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a builtin of a signature and a docstring: kernel code calls its namesake in :mod:`baco.lang.semantic`."""

    @functools.wraps(function)
    def outside(*arguments: object, **keywords: object) -> Any:
        interpreter = INTERPRETER.get()
        if interpreter is not None:
            return interpreter(function.__name__, arguments, keywords)
        raise OutsideKernel(f"{function.__qualname__} can only be called inside a @baco.jit kernel; launch the kernel instead.")

    setattr(outside, BUILTIN, function.__name__)
    return outside
