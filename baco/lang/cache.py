"""The compile cache on disk: a kernel compiled once is not compiled again, in this process or another.

An entry is one JSON file in ``kernels`` under BACO's cache folder, named after a digest of everything that decides the result: what the
kernel does and what it calls, its signature, the hardware, the options, and BACO's own compiler. It holds every stage's text, the ELF and
what reading the kernel found out, and is read without the MLIR bindings. Data only: nothing in an entry is executed to read it. An entry
that is damaged, from another version, or not BACO's counts as absent.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import json
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import baco
from baco import knobs
from baco.errors import BacoError
from baco.hardware import GemminiConfig
from baco.lang.errors import SourceLocation
from baco.lang.launch import Options
from baco.lang.source import NoCanonicalText, Signature, canonical, fingerprint, signature_text
from baco.lang.types import Extent, KernelFacts
from baco.lowering.choices import STAGES
from baco.lowering.compiled import Compiled
from baco.sim.program import Parameter, Program
from baco.toolchain import atomic_write, cache_dir, digest

FORMAT = 1
_COMPILER = ("dialects", "lang", "lowering", "sim", "hardware.py", "isa.py", "toolchain.py", "traffic.py")
"""The parts of BACO that decide what a kernel becomes and what it counts."""
_SUFFIXES = (".py", ".S", ".ld", ".c", ".h")
_TOOLS = ("torch-mlir", "ziglang")


@functools.cache
def compiler_digest() -> str:
    """A name for this compiler: BACO's sources, and the versions of the tools that produce code."""
    root = Path(__file__).parents[1]
    files = [f for part in _COMPILER for f in ([root / part] if part.endswith(".py") else sorted((root / part).rglob("*")))]
    parts = [data for f in files if f.suffix in _SUFFIXES for data in (f.relative_to(root).as_posix(), f.read_bytes())]
    return digest(baco.__version__, *(metadata.version(tool) for tool in _TOOLS), *parts)


@dataclasses.dataclass(frozen=True)
class Key:
    """What an entry is for, readable, and the name it has on disk."""

    kernel: str
    source: str
    signature: str
    hardware: str
    options: str

    @property
    def name(self) -> str:
        return digest(str(FORMAT), compiler_digest(), *dataclasses.astuple(self))


def key_of(function: Callable[..., Any], signature: Signature, hardware: GemminiConfig, options: Options) -> Key | None:
    """The key of a compilation; None if it depends on something that cannot be written down, so that it is never kept."""
    try:
        # The stages' texts name lines of the kernel's file, so its place counts.
        return Key(
            function.__name__, fingerprint(function, places=True), signature_text(signature), json.dumps(hardware.to_dict()), str(options)
        )
    except NoCanonicalText:
        return None


def path_of(key: Key) -> Path:
    """Where an entry lies."""
    return cache_dir() / "kernels" / f"{key.kernel}-{key.name}.json"


def load(key: Key) -> tuple[Compiled, KernelFacts] | None:
    """What was kept under a key, or None. BACO_ALWAYS_COMPILE makes it None."""
    if knobs.always_compile.value:
        return None
    try:
        entry = json.loads(path_of(key).read_bytes())
        text = entry["content"]
        if entry["digest"] != digest(json.dumps(text)):
            return None
        compiled, facts = decode(text)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, BacoError):
        return None
    return (compiled, facts) if isinstance(compiled, Compiled) and isinstance(facts, KernelFacts) else None


def save(key: Key, compiled: Compiled, facts: KernelFacts) -> None:
    """Keep a compilation. A cache folder that cannot be written costs the next process a compilation, nothing else."""
    try:
        content = encode((compiled, facts))
    except NoCanonicalText:
        return
    entry = {"key": dataclasses.asdict(key), "digest": digest(json.dumps(content)), "content": content}
    with contextlib.suppress(OSError):
        atomic_write(path_of(key), json.dumps(entry, indent=1) + "\n")


# Values as JSON ----------------------------------------------------------------------------------------------------------------------

_CLASSES = {c.__name__: c for c in (Compiled, Extent, GemminiConfig, KernelFacts, Parameter, Program, SourceLocation)}
"""What an entry may hold besides plain data: classes whose fields are all there is to them."""


def encode(value: object) -> Any:
    """A value as JSON. Lists stay lists; whatever JSON has no form for becomes an object with one field, the name of its type.

    Raises:
        NoCanonicalText: for what an entry cannot hold.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [encode(v) for v in value]
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, tuple):
        return {"tuple": [encode(v) for v in value]}
    if isinstance(value, (set, frozenset)):
        return {"set": [encode(v) for v in sorted(value, key=canonical)]}
    if isinstance(value, dict):
        return {"dict": [[encode(k), encode(v)] for k, v in value.items()]}
    name = type(value).__name__
    if _CLASSES.get(name) is type(value):
        return {name: {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}}
    raise NoCanonicalText(f"{name} {value!r}")


def decode(value: Any) -> Any:
    """The value that :func:`encode` wrote.

    Raises:
        ValueError, KeyError, TypeError or BacoError: if it did not.
    """
    if isinstance(value, list):
        return [decode(v) for v in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    if kind == "bytes":
        return base64.b64decode(inner, validate=True)
    if kind == "tuple":
        return tuple(decode(v) for v in inner)
    if kind == "set":
        return {decode(v) for v in inner}
    if kind == "dict":
        return {decode(k): decode(v) for k, v in inner}
    return _CLASSES[kind](**{name: decode(v) for name, v in inner.items()})


# Stages for people -------------------------------------------------------------------------------------------------------------------

_EXTENSIONS = {"llvm": "ll", "riscv": "s", "elf": "elf"}


def dump(kernel: str, signature: Signature, target: object, asm: dict[str, str | bytes]) -> None:
    """With BACO_KERNEL_DUMP, write each stage to a folder of BACO_DUMP_DIR that is this specialisation's own."""
    if not knobs.kernel_dump.value:
        return
    folder = knobs.dump_dir.value / _folder(kernel, signature, target)
    for position, (stage, text) in enumerate(asm.items()):
        atomic_write(folder / f"{position}-{stage}.{_EXTENSIONS.get(stage, 'mlir')}", text)


def overrides(kernel: str, signature: Signature, target: object) -> dict[str, Path]:
    """With BACO_KERNEL_OVERRIDE, the files that take the place of this specialisation's stages."""
    if not knobs.kernel_override.value:
        return {}
    folder = knobs.override_dir.value / _folder(kernel, signature, target)
    return {stage: found for stage in STAGES for found in sorted(folder.glob(f"*-{stage}.{_EXTENSIONS.get(stage, 'mlir')}"))}


def _folder(kernel: str, signature: Signature, target: object) -> str:
    """A specialisation's own folder of stages."""
    return f"{kernel}-{digest(repr(signature), repr(target))[:8]}"
