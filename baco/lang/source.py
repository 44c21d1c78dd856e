"""A kernel's text and what it is compiled for, in plain data: where errors point, and what the caches on disk are keyed by.

Nothing here needs the MLIR bindings, so that launching a kernel that was compiled before does not load them.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from baco.lang.builtins import BUILTIN
from baco.lang.errors import LaunchError, SourceLocation
from baco.lang.types import DType, constexpr
from baco.toolchain import digest


@dataclass(frozen=True)
class KernelSource:
    """A kernel's text: its syntax tree, and where it stands, so that errors can point there."""

    tree: ast.FunctionDef
    file: str
    first_line: int
    indent: int

    def place(self, node: ast.AST) -> SourceLocation:
        return SourceLocation(self.file, self.first_line + node.lineno - 1, node.col_offset + self.indent + 1)


@dataclass(frozen=True)
class Signature:
    """What a kernel is compiled for: for each run-time parameter its kind and type, and the compile-time values."""

    runtime: tuple[tuple[str, str, str], ...]
    """(name, "pointer" or "scalar", dtype name)"""
    constants: tuple[tuple[str, Any], ...]


def read_source(function: Callable[..., Any]) -> KernelSource:
    """The text of a function.

    Raises:
        LaunchError: if it is not in a file.
    """
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        raise LaunchError(f"kernel {function.__name__}: its source text cannot be found; define it in a file.") from None
    tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    indent = len(lines[0]) - len(lines[0].lstrip())
    return KernelSource(tree, inspect.getsourcefile(function) or "<unknown>", first, indent)


def namespace_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Names that a function may use from around it."""
    closure = inspect.getclosurevars(function)
    return {**closure.globals, **closure.nonlocals}


# Names for content -------------------------------------------------------------------------------------------------------------------


class NoCanonicalText(Exception):
    """A value that has no text of its own to be keyed by: what depends on it is not kept on disk."""


def canonical(value: object) -> str:
    """A text that two values share only if kernel code cannot tell them apart; ``1``, ``1.0`` and ``True`` have three.

    Raises:
        NoCanonicalText: for values that kernels do not compute with.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, constexpr):
        return canonical(value.value)
    if isinstance(value, DType):
        return f"dtype {value.name}"
    if isinstance(value, np.dtype):
        return f"numpy {value.str}"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(canonical(v) for v in value)})"
    if hasattr(value, BUILTIN):
        return f"builtin {getattr(value, BUILTIN)}"
    if inspect.ismodule(value):
        return f"module {value.__name__}"
    if inspect.isclass(value):
        return f"class {value.__module__}.{value.__qualname__}"
    raise NoCanonicalText(f"{type(value).__name__} {value!r}")


def signature_text(signature: Signature) -> str:
    """A signature in one line."""
    runtime = [f"{name}: {kind} {dtype}" for name, kind, dtype in signature.runtime]
    return ", ".join([*runtime, *(f"{name} = {canonical(value)}" for name, value in signature.constants)])


def fingerprint(function: Callable[..., Any], *, places: bool = False) -> str:
    """A name for what a kernel does: its syntax tree and those of the functions it calls, with the outside values they use.

    Comments, formatting, decorators and the file it is in do not count, unless its `places` matter too.

    Raises:
        NoCanonicalText: if it uses something from outside that has no text.
        LaunchError: if the text of a function cannot be found.
    """
    functions, parts = [function], []
    for current in functions:  # grows while it is walked
        source = read_source(current)
        source.tree.decorator_list = []
        namespace = namespace_of(current)
        parts.append(ast.dump(source.tree, include_attributes=places))
        if places:
            parts.append(f"{source.file}:{source.first_line}:{source.indent}")
        for chain in sorted(_chains(source.tree)):
            found, value = _resolve(chain, namespace)
            called = getattr(value, "function", value)
            if not found:
                continue
            if inspect.isfunction(called) and not hasattr(called, BUILTIN):
                if called not in functions:
                    functions.append(called)
                parts.append(f"{'.'.join(chain)}: function {functions.index(called)}")
            else:
                parts.append(f"{'.'.join(chain)}: {canonical(value)}")
    return digest(*parts)


def _chains(tree: ast.AST) -> set[tuple[str, ...]]:
    """The dotted names in a tree, such as ``bl.zeros``, each as long as it goes."""
    found: set[tuple[str, ...]] = set()
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if chain := _dotted(node):
            found.add(chain)
        else:
            nodes += ast.iter_child_nodes(node)
    return found


def _dotted(node: ast.AST) -> tuple[str, ...]:
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute) and (owner := _dotted(node.value)):
        return (*owner, node.attr)
    return ()


def _resolve(chain: tuple[str, ...], namespace: Mapping[str, Any]) -> tuple[bool, Any]:
    """What a dotted name stands for outside the kernel: through modules and classes only, as the front end reads them."""
    if chain[0] not in namespace:
        return False, None
    value = namespace[chain[0]]
    for name in chain[1:]:
        if not (inspect.ismodule(value) or inspect.isclass(value)) or not hasattr(value, name):
            break
        value = getattr(value, name)
    return True, value
