"""Kernels that the fuzzers mutate, taken from the examples and the tests: between them they use every part of the language."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Seed:
    """A kernel in a file of the project, the functions it calls, and a signature in the form of `baco compile`."""

    file: str
    signature: tuple[str, ...]
    calls: tuple[str, ...] = ()


SEEDS = {
    "matmul": Seed("examples/01_matmul.py", ("*i8", "*i8", "*i8", *["i64"] * 3, *["i64", "i64:1"] * 3, "fp32", "32", "16", "48")),
    "pointer_matmul": Seed("tests/lang/test_language.py", ("*i8", "*i8", "*i32", *["i64"] * 3, *["i64", "i64:1"] * 3, "16", "32", "16")),
    "softmax": Seed("tests/lang/test_language.py", ("*fp32", "*fp32", "i64", "32")),
    "elementwise": Seed("tests/lang/test_language.py", ("*i8", "*i32", "i64", "i64", "16", "32")),
    "control": Seed("tests/lang/test_language.py", ("*i64", "i64", "i64", "4"), ("both", "square")),
    "with_descriptors": Seed("tests/lang/test_kernels.py", ("*i8", "*i8", "*i32", "i64", "i64", "i64", "16", "16", "16")),
    "of_floats": Seed("tests/lang/test_standard.py", ("*fp32", "*fp32", "16")),
    "atomics": Seed("tests/lang/test_standard.py", ("*i32", "*i32", "*i32", "i64", "16")),
    "syntax": Seed("tests/lang/test_standard.py", ("*i32", "*i32", "*i32", "i64", "8")),
}


@cache
def text() -> str:
    """The text of one file with all of them."""
    parts = ["import baco\nimport baco.language as bl\n"]
    for name, seed in SEEDS.items():
        source = (ROOT / seed.file).read_text()
        functions = {f.name: f for f in ast.parse(source).body if isinstance(f, ast.FunctionDef)}
        parts += [f"@baco.jit\n{ast.get_source_segment(source, functions[n])}\n" for n in (*seed.calls[::-1], name)]
    return "\n\n".join(parts)
