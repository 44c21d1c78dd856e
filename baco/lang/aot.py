"""Compile a kernel of a file without running it, for argument types given as text: what `baco compile` does.

    kernel.py:matmul    "*i8, *i8, *i32, i64, i64, i64, scale=fp32, BLOCK_M=64, BLOCK_N=64, BLOCK_K=64"

The signature has Triton's form: `*` marks a pointer, and the entries stand in the order of the parameters or carry their names. A run-time
parameter is given its type, a compile-time one (`bl.constexpr`) its value; `i64:1` is an integer known to be 1, such as a unit stride.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from baco.errors import BacoError
from baco.hardware import GemminiConfig
from baco.lang.errors import LaunchError
from baco.lang.jit import JITFunction, Launchable, Specialisation
from baco.lang.types import BY_NAME
from baco.toolchain import atomic_write
from baco.userfile import run_file

TYPES = {
    **{f"i{t.bits}": t for t in BY_NAME.values() if t.name.startswith("int")},
    **{f"{prefix}{t.bits}": t for t in BY_NAME.values() if t.name.startswith("float") for prefix in ("fp", "f")},
    **BY_NAME,
}
"""Triton's short names and the plain ones."""
STAGES = {
    "baco": (".baco.mlir", "what the kernel says: blocks and pointers, no decision about memory"),
    "linalg": (".linalg.mlir", "strided memory accesses, and block operations as linalg on tensors"),
    "instgem": (".instgem.mlir", "tiled to DIM, placed in scratchpad and accumulator, one operation an instruction"),
    "llvm": (".ll", "LLVM IR, each Gemmini instruction as inline assembly"),
    "riscv": (".s", "RISC-V assembly"),
    "elf": (".elf", "the program, linked with the bare-metal runtime"),
}
"""What can be written: each stage's file suffix and meaning."""
_HINTS = {"1": "the integer is 1", "16": "a divisibility, which Triton uses and this machine does not need"}
_ANY_INTEGER, _ANY_FLOAT = 2, 0.5
"""Stand for run-time scalars: compiled code depends on their type only."""


class SignatureError(LaunchError):
    """A signature that does not fit its kernel. Attribute: `column`, from 1, None where something is missing."""

    def __init__(self, text: str, reason: str, at: int | None = None) -> None:
        self.column = None if at is None else at + 1
        where = "" if at is None else f", column {at + 1}"
        shown = "" if at is None else f"\n    {text}\n    {' ' * at}^"
        super().__init__(f"signature{where}: {reason}{shown}")


class KernelFileError(BacoError):
    """A file that cannot be loaded, or that has no such kernel."""


@dataclass(frozen=True)
class Entry:
    """One entry of a signature; `at` is where its value starts in the text."""

    name: str | None
    text: str
    at: int


def load_kernel(place: str) -> JITFunction:
    """The kernel at ``FILE.py:NAME``; the name may be left out if the file has only one. The file is run, as an import would run it.

    Raises:
        KernelFileError: if the file cannot be loaded or has no such kernel.
    """
    file, _, name = place.rpartition(":") if not place.endswith(".py") else (place, "", "")
    if not file:
        raise KernelFileError(f"{place!r} does not name a kernel; write FILE.py:NAME.")
    kernels = {n: v for n, v in vars(run_file(Path(file), KernelFileError)).items() if isinstance(v, Launchable)}
    there = f"its kernels are {', '.join(kernels)}" if kernels else "it has none; put @baco.jit above the function"
    if not name:
        if len(kernels) != 1:
            raise KernelFileError(f"{file}: name one kernel, as in {file}:NAME; {there}.")
        name = next(iter(kernels))
    if name not in kernels:
        raise KernelFileError(f"{file} has no kernel {name!r}; {there}.")
    kernel = kernels[name]
    return kernel if isinstance(kernel, JITFunction) else kernel.base


def without_signature(place: str) -> SignatureError:
    """What to say where the signature is missing: what the kernel's parameters are, and a form to fill in.

    Raises:
        KernelFileError: if there is no such kernel.
    """
    kernel = load_kernel(place)
    form = ",".join(f"{p.name}={'VALUE' if p.name in kernel.constexprs else 'TYPE'}" for p in kernel.parameters if p.default is p.empty)
    reason = f'say what {kernel.__name__} is compiled for: --signature "{form}"; a type is i64, fp32, or *i8 for an array.'
    return SignatureError("", reason)


def compile_ahead(place: str, signature: str, hardware: GemminiConfig, **options: object) -> Specialisation:
    """Compile a kernel for a signature and a machine. `options` are those of a launch, such as num_stages.

    Raises:
        KernelFileError: if there is no such kernel.
        SignatureError: if the signature does not fit it.
        LaunchError: if an option has a value that it cannot take.
        baco.lowering.errors.CompilationError: if it cannot be compiled.
    """
    kernel = load_kernel(place)
    arguments = stand_ins(signature, kernel.parameters, kernel.constexprs)
    return kernel.warmup(hardware=hardware, **options, **arguments)


def stand_ins(signature: str, parameters: Sequence[inspect.Parameter], constexprs: frozenset[str]) -> dict[str, Any]:
    """An argument of the right type for each parameter, by name.

    Raises:
        SignatureError: with the column of what does not fit.
    """
    order = [p.name for p in parameters]
    given: dict[str, Any] = {}
    named = False
    for i, entry in enumerate(entries(signature)):
        name = entry.name
        if name is None:
            if named:
                raise SignatureError(signature, "an entry without a name cannot follow one with a name.", entry.at)
            if i >= len(order):
                raise SignatureError(signature, f"there are only {len(order)} parameters: {', '.join(order)}.", entry.at)
            name = order[i]
        elif name not in order:
            raise SignatureError(signature, f"there is no parameter {name!r}; there are {', '.join(order)}.", entry.at)
        named = named or entry.name is not None
        if name in given:
            raise SignatureError(signature, f"parameter {name!r} is given twice.", entry.at)
        given[name] = _constant(signature, entry, name) if name in constexprs else _typed(signature, entry, name)
    missing = [p.name for p in parameters if p.name not in given and p.default is p.empty]
    if missing:
        kinds = ", ".join(f"{n}={'VALUE' if n in constexprs else 'TYPE'}" for n in missing)
        raise SignatureError(signature, f"nothing is said about {', '.join(missing)}; add {kinds}.")
    return given


def entries(signature: str) -> list[Entry]:
    """The entries between commas; commas inside brackets and quotes do not separate.

    Raises:
        SignatureError: for an empty entry.
    """
    found, start, depth, quote = [], 0, 0, ""
    if not signature.strip():
        return []
    for i, letter in enumerate(f"{signature},"):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"" and i < len(signature):
            quote = letter
        elif letter == "," and (depth == 0 or i == len(signature)):
            found.append(_entry(signature, start, i))
            start = i + 1
        else:
            depth += (letter in "([{") - (letter in ")]}")
    if quote:
        raise SignatureError(signature, "this text is not closed.", signature.rindex(quote))
    return found


def _entry(signature: str, start: int, end: int) -> Entry:
    text = signature[start:end]
    match = re.match(r"\s*(?:([A-Za-z_]\w*)\s*=(?!=)\s*)?", text)
    value = text[match.end() :].rstrip()
    if not value:
        raise SignatureError(signature, "a type or value is missing here.", min(start + match.end(), len(signature)))
    return Entry(match[1], value, start + match.end())


def _constant(signature: str, entry: Entry, name: str) -> Any:
    if entry.text.removeprefix("bl.") in TYPES:
        return TYPES[entry.text.removeprefix("bl.")]
    try:
        return ast.literal_eval(entry.text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        reason = f"parameter {name!r} is fixed when the kernel is compiled; give its value, such as 64, not {entry.text}."
        raise SignatureError(signature, reason, entry.at) from None


def _typed(signature: str, entry: Entry, name: str) -> Any:
    text, _, hint = entry.text.partition(":")
    type_ = TYPES.get(text.strip().removeprefix("*").removeprefix("bl."))
    if type_ is None:
        reason = f"parameter {name!r} is given at run time; give its type, one of {', '.join(TYPES)}, or * and a type, not {entry.text}."
        raise SignatureError(signature, reason, entry.at)
    if hint and hint.strip() not in _HINTS:
        raise SignatureError(signature, f"there is no hint {hint!r}; :1 says that an integer is 1.", entry.at)
    if text.strip().startswith("*"):
        if type_.name == "int1":
            raise SignatureError(signature, "memory holds no elements of one bit; use *i8.", entry.at)
        return np.dtype(type_.name)
    if type_.name not in ("int32", "int64", "float32"):
        raise SignatureError(signature, f"a scalar argument is i64 or fp32, not {text.strip()}; did you mean *{text.strip()}?", entry.at)
    if type_.name == "float32":
        return _ANY_FLOAT
    return 1 if hint.strip() == "1" else _ANY_INTEGER


def write_stages(special: Specialisation, folder: Path) -> list[Path]:
    """Write every stage and a description to files of a folder, named after the kernel.

    Raises:
        OSError: if one cannot be written.
    """
    name = special.compiled.name
    contents = {folder / f"{name}{suffix}": special.asm[stage] for stage, (suffix, _) in STAGES.items()}
    contents[folder / f"{name}.json"] = json.dumps(description(special), indent=1) + "\n"
    for path, content in contents.items():
        atomic_write(path, content)
    return list(contents)


def description(special: Specialisation) -> Mapping[str, Any]:
    """What a program that loads the ELF needs to know, as plain data."""
    compiled = special.compiled
    plain = (int, float, str, bool, type(None))
    return {
        "kernel": compiled.name,
        "hardware": compiled.config.to_dict(),
        "parameters": [{"name": p.name, "kind": p.kind, "type": p.dtype, "written": p.writable} for p in compiled.program.parameters],
        "constants": {n: v if isinstance(v, plain) else str(v) for n, v in special.signature.constants},
        "remarks": list(compiled.remarks),
    }
