"""A compiled program and the signature of its kernel: what the compiler hands to whoever runs it."""

from __future__ import annotations

from dataclasses import dataclass, field

from baco.sim.errors import ProgramError

KINDS = ("buffer", "scalar")
DTYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")

STOPPED = 134
"""The exit code of a program that one of its own checks has ended (the compiler's runtime/print.c), as of a process that aborts."""


@dataclass(frozen=True)
class Parameter:
    """One kernel parameter. A writable buffer is copied back into the caller's array after a run.

    Raises:
        ProgramError: for a kind or dtype that does not exist.
    """

    name: str
    kind: str
    dtype: str
    writable: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ProgramError(f"parameter {self.name}: kind must be one of {', '.join(KINDS)}, but is {self.kind!r}.")
        if self.dtype not in DTYPES:
            raise ProgramError(f"parameter {self.name}: dtype must be one of {', '.join(DTYPES)}, but is {self.dtype!r}.")


@dataclass(frozen=True)
class Program:
    """A bare-metal RV64GC ELF image and the parameters that its `baco_arguments` slots stand for, in order."""

    elf: bytes = field(repr=False)
    parameters: tuple[Parameter, ...] = ()
