"""What the language can refuse. Errors found while compiling carry the kernel's line; see also :mod:`baco.lowering.errors`."""

from __future__ import annotations

from baco.errors import BacoError
from baco.lowering.errors import CompilationError, OutOfResources, SourceLocation

__all__ = [
    "AutotunerError",
    "CompilationError",
    "CompileTimeAssertionFailure",
    "DeviceAssertionFailure",
    "InterpreterError",
    "KernelTypeError",
    "LaunchError",
    "OutOfResources",
    "OutsideKernel",
    "SemanticError",
    "ShapeMismatch",
    "SourceLocation",
    "UnsupportedLanguageConstruct",
]


class UnsupportedLanguageConstruct(CompilationError):
    """Python that the kernel language does not have."""


class KernelTypeError(CompilationError):
    """Values of types or shapes that do not go together."""


class CompileTimeAssertionFailure(CompilationError):
    """A `static_assert` that does not hold."""


class DeviceAssertionFailure(BacoError):
    """A `device_assert`, or an `assert` on a run-time condition, that did not hold in a run. Attribute: `location`, where known."""

    def __init__(self, message: str, location: SourceLocation | None = None) -> None:
        self.location = location
        where = f"{location.file}:{location.line}:{location.column}: " if location else ""
        super().__init__(f"{where}{message}{location.excerpt() if location else ''}")


class SemanticError(Exception):
    """Raised by builtins, which do not know their line; the front end turns it into a :class:`KernelTypeError` that does."""


class OutsideKernel(BacoError):
    """A builtin called from ordinary Python."""


class InterpreterError(BacoError):
    """A fault in a kernel that runs as plain Python. Attributes: `reason`, `instance` (its grid position), `location`."""

    def __init__(self, reason: str, instance: tuple[int, int, int], location: SourceLocation | None = None) -> None:
        self.reason = reason
        self.instance = instance
        self.location = location
        where = f"{location.file}:{location.line}:{location.column}: " if location else ""
        super().__init__(f"{where}in program instance {instance}: {reason}{location.excerpt() if location else ''}")


class AutotunerError(BacoError):
    """A kernel for which no configuration is left or works."""


class LaunchError(BacoError):
    """A launch whose grid or arguments do not fit the kernel."""


class ShapeMismatch(LaunchError):
    """An array smaller than the tensor the kernel describes on it. Attributes: `parameter`, `needed`, `there` (elements)."""

    def __init__(self, kernel: str, parameter: str, needed: int, there: int, detail: str) -> None:
        self.parameter = parameter
        self.needed = needed
        self.there = there
        super().__init__(
            f"{kernel}: argument {parameter!r} has {there} elements, but the kernel describes a tensor on it that needs {needed} "
            f"({detail}). "
            f"Pass an array of at least {needed} elements, or the right sizes and strides."
        )
