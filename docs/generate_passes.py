"""Write docs/passes.md: what each of BACO's passes does, with the program before and after. Run it with `make docs`."""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from pathlib import Path

from baco.lowering import passes
from baco.lowering.pipelines import PIPELINES
from baco.toolchain import atomic_write

PAGE = Path(__file__).parent / "passes.md"
INTRODUCTION = """\
# Passes

`make docs` writes this page from the modules of `baco/lowering`; each pass is one module, and what stands here is its docstring. Every pass
can be run by itself, on the text of a module:

    baco-opt kernel.mlir -p structure-pointers,canonicalize
    baco-opt kernel.mlir --pass-pipeline='builtin.module(tile-to-dim,func.func(canonicalize{max-iterations=2}))' --mlir-print-ir-after-all
    baco-opt kernel.mlir --pipeline baco-to-linalg --hardware gemmini-default

`baco-opt --help` lists the options, which are those of mlir-opt.
"""


def page() -> str:
    """The page's text."""
    own = _in_order()
    parts = [INTRODUCTION, "## Pipelines\n"]
    for name, steps in PIPELINES.items():
        parts.append(f"- `{name}`: {', '.join(_linked(s) for step in steps for s in _split(step))}")
    parts.append("")
    for name in own:
        parts.append(f"## {name}\n\n{_described(name)}\n")
    return "\n".join(parts)


def _in_order() -> list[str]:
    """BACO's passes in the order in which the pipelines first use them."""
    used = [s for steps in PIPELINES.values() for step in steps for s in _split(step)]
    own = passes.registered()
    return list(dict.fromkeys([*(s for s in used if s in own), *own]))


def _split(step: str) -> list[str]:
    """The passes of a step: commas inside a pass's options, as in `a{b=c,d}`, do not separate."""
    return [s for s in re.split(r",(?![^{]*\})", step) if s]


def _linked(name: str) -> str:
    return f"[`{name}`](#{name})" if name in passes.registered() else f"`{name}`"


def _described(name: str) -> str:
    """The docstring of a pass's module as Markdown: indented blocks are programs."""
    text = inspect.cleandoc(sys.modules[passes.find(name).__module__].__doc__)
    summary, _, rest = text.partition("\n")
    summary = summary.removeprefix(f"{name}: ")
    return "\n".join([summary[0].upper() + summary[1:], *markdown(rest).splitlines()])


def markdown(text: str, language: str = "mlir") -> str:
    """Docstring text as Markdown: indented blocks are fenced, double backquotes become single ones."""
    out: list[str] = []
    block: list[str] = []
    for line in [*text.replace("``", "`").splitlines(), "end"]:
        if line.startswith("    ") or (block and not line):
            block.append(line)
            continue
        if block:
            code = textwrap.dedent("\n".join(block)).rstrip()
            out += [f"\n```{language}" if out and out[-1] else f"```{language}", code, "```", *([""] if not block[-1] else [])]
            block = []
        out.append(line)
    return "\n".join(out[:-1])


if __name__ == "__main__":
    atomic_write(PAGE, page())
