"""Write docs/language.md: the reference of the kernel language, from its docstrings, signatures and tables. Run it with `make docs`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from generate_passes import markdown

from baco.lang import arithmetic, errors, expressions, frontend, language
from baco.lang.types import RANKED
from baco.toolchain import atomic_write

PAGE = Path(__file__).parent / "language.md"

GROUPS = {
    "Program instances": ("program_id", "num_programs", "cdiv", "swizzle2d"),
    "Pointers and memory": (
        *("make_block_ptr", "advance", "make_tensor_descriptor", "load_tensor_descriptor", "store_tensor_descriptor", "load", "store"),
        *("atomic_add", "atomic_max", "atomic_min", "atomic_and", "atomic_or", "atomic_xor", "atomic_xchg", "atomic_cas"),
        *("atomic_load", "atomic_store"),
    ),
    "Making blocks": ("arange", "zeros", "zeros_like", "full", "cast"),
    "Rearranging blocks": (
        *("reshape", "view", "ravel", "expand_dims", "unsqueeze", "squeeze", "broadcast_to", "broadcast", "trans", "permute", "join"),
        *("split", "interleave", "cat", "flip", "gather", "sort", "topk"),
    ),
    "Products, reductions and scans": (
        *("dot", "sum", "max", "min", "argmax", "argmin", "xor_sum", "reduce_or", "histogram", "reduce", "associative_scan", "cumsum"),
        "cumprod",
    ),
    "Elementwise": (
        "where",
        "minimum",
        "maximum",
        "abs",
        "exp",
        "exp2",
        "log",
        "log2",
        "sqrt",
        "rsqrt",
        "sin",
        "cos",
        "floor",
        "ceil",
        "sigmoid",
        "erf",
        "softmax",
        "clamp",
        "fma",
        "PropagateNan",
        "math",
        *("add", "sub", "mul", "fdiv", "div_rn", "sqrt_rn"),
    ),
    "Loops and checks": ("range", "condition", "device_print", "device_assert"),
    "While compiling": ("constexpr", "static_range", "static_assert", "static_print"),
}
OTHERS = "Promises, and the rest of Triton's names"

PYTHON = {
    "Assign": "`x = ...`, `x, y = ...`",
    "AnnAssign": "`x: T = ...`",
    "AugAssign": "`x += ...`, also for pointers",
    "If": "`if`: chosen while compiling if the condition is a compile-time value, else at run time",
    "For": "`for i in range(...)` or `bl.range(...)` at run time; `for i in bl.static_range(...)` unrolled",
    "While": "`while` on run-time or compile-time numbers",
    "Return": "`return`, also early but not from inside a run-time loop; with a value in functions that kernels call",
    "Assert": "`assert`: on compile-time conditions as `bl.static_assert`, on run-time ones as `bl.device_assert`",
    "Expr": "a call for its effect",
    "Pass": "`pass`",
    "Constant": "numbers, texts, `None`, `True`, `False`",
    "Tuple": "tuples and lists of values, of fixed length",
    "List": "",
    "Name": "variables, and names from around the kernel: modules, types, numbers, other kernels",
    "Attribute": "`x.dtype`, `x.shape`, `x.T`, `x.to(...)`, functions of one block as methods, `bl.name`",
    "Subscript": "`x[:, None]` on blocks, `x[1]` on tuples",
    "BinOp": "`+ - * / // % ** & | ^ << >> @`",
    "UnaryOp": "`-x`, `+x`, `~x`, `not x`",
    "BoolOp": "`and`, `or` on numbers; blocks take `&` and `|`",
    "Compare": "`< <= > >= == !=`, also chained; `is`, `in` and their opposites on compile-time values",
    "IfExp": "`x if condition else y`",
    "JoinedStr": "f-strings, for messages",
    "Call": "builtins, other `@baco.jit` functions, and `min`, `max`, `abs`, `len`, `int`, `float`, `bool`, `str` on compile-time values; `print` is `bl.device_print`",
}
"""What each kind of syntax is for. Those that the compiler handles and that are not here, are listed by their name."""


def page() -> str:
    """The page's text."""
    return "\n".join(
        [
            "# The kernel language",
            "",
            "`make docs` writes this page from the docstrings, signatures and tables of `baco/lang`.",
            "",
            _text(language),
            "",
            "## Kernels",
            "",
            _text(importlib.import_module("baco.lang.jit")),
            "",
            _text(importlib.import_module("baco.lang.autotune")),
            "",
            "## Types",
            "",
            *_table(
                ("type", "bits", "short name in signatures"),
                [(f"`bl.{t.name}`", str(t.bits), f"`{_short(t.name, t.bits)}`") for t in RANKED],
            ),
            "",
            "A block has a shape of compile-time integers and one of these types; so has a pointer's element. Scalars of run time are `int64` or",
            "`float32` arguments and what is computed from them.",
            "",
            "## Operators and promotion",
            "",
            _text(arithmetic),
            "",
            *_table(
                ("result of `+`", *(f"`{t}`" for t in RANKED)), [(f"`{a}`", *(f"`{_promoted(a, b)}`" for b in RANKED)) for a in RANKED]
            ),
            "",
            "`/` gives `float32`, comparisons give `int1`, and arithmetic on `int1` is done in `int8`.",
            "",
            "## Python in kernels",
            "",
            *_table(("syntax", "what it is in a kernel"), _syntax()),
            "",
            "Other syntax is refused, at its place, with what to write instead:",
            "",
            *_table(("syntax", "instead"), [(f"`{name}`", text) for name, text in sorted(expressions._REMEDY.items())]),
            "",
            *_functions(),
            "## On Gemmini only: `bl.gemmini`",
            "",
            _text(language.gemmini),
            "",
            *_entries(((f"gemmini.{n}", f) for n, f in vars(language.gemmini).items() if not n.startswith("_")), static=True),
            "## What Triton has and this machine has not",
            "",
            *_table(("name", "why it is not here"), [(f"`{name}`", reason) for name, reason in sorted(language.REFUSED.items())]),
            "",
            "## Errors",
            "",
            "Every error found while compiling names file, line and column and shows the line. All are `baco.BacoError`.",
            "",
            *_table(("class", "raised for"), [(f"`{name}`", _first_sentence(getattr(errors, name))) for name in sorted(_errors())]),
            "",
        ]
    )


def _text(thing: Any) -> str:
    return markdown(inspect.cleandoc(thing.__doc__), "python").replace(":mod:", "").replace(":class:", "").replace(":meth:", "")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _short(name: str, bits: int) -> str:
    return f"{'fp' if name.startswith('float') else 'i'}{bits}"


def _promoted(a: Any, b: Any) -> Any:
    """The type in which two types meet, asked of the compiler."""
    from baco.dialects.mlir import context, ir
    from baco.lang.types import Scalar

    with context(), ir.Location.unknown():
        module = ir.Module.create()
        with ir.InsertionPoint(module.body):
            left, right = (arithmetic.materialise(1, dtype=t) for t in (a, b))
            assert isinstance(left, Scalar)
            return arithmetic.binary("+", left, right).dtype


def _syntax() -> list[tuple[str, str]]:
    """The syntax that the compiler has a handler for, statements first."""
    handled = [
        name.removeprefix(prefix)
        for prefix, owner in (("_do_", frontend._Reader), ("_eval_", expressions.ExpressionReader))
        for name in vars(owner)
        if name.startswith(prefix)
    ]
    return [(f"`{name}`", PYTHON.get(name, "")) for name in handled if PYTHON.get(name, "?")]


def _functions() -> list[str]:
    """The builtins by group; those that no group names come last."""
    named = {n for names in GROUPS.values() for n in names} | {"gemmini", "DType"} | {t.name for t in RANKED}
    groups = {**GROUPS, OTHERS: tuple(n for n in language.__all__ if n not in named)}
    out: list[str] = []
    for title, names in groups.items():
        there = [n for n in names if n in language.__all__]
        if there:
            out += [f"## {title}", "", *_entries((n, getattr(language, n)) for n in there)]
    return out


def _entries(functions: Iterable[tuple[str, Callable[..., Any]]], static: bool = False) -> list[str]:
    out = []
    for name, function in functions:
        plain = function.__func__ if static and isinstance(function, staticmethod) else function
        out += [f"### `bl.{name}{_signature(plain)}`", "", _text(plain), ""]
    return out


def _signature(function: Any) -> str:
    """Names and defaults of the parameters, without their types."""
    if inspect.isclass(function) and function.__init__ is object.__init__:
        return ""
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    shown = []
    for p in parameters:
        star = "*" if p.kind is p.VAR_POSITIONAL else ""
        shown.append(f"{star}{p.name}" + ("" if p.default is p.empty else f"={p.default!r}"))
    return f"({', '.join(shown)})"


def _errors() -> list[str]:
    return [n for n in errors.__all__ if isinstance(getattr(errors, n), type) and issubclass(getattr(errors, n), errors.BacoError)]


def _first_sentence(thing: Any) -> str:
    return inspect.cleandoc(thing.__doc__).split(". ")[0].replace("\n", " ").rstrip(".") + "."


if __name__ == "__main__":
    atomic_write(PAGE, page())
