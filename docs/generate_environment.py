"""Write docs/environment.md: the table of environment variables. Run it with `make docs`."""

from __future__ import annotations

from pathlib import Path

from baco import knobs
from baco.toolchain import atomic_write

PAGE = Path(__file__).parent / "environment.md"


def page() -> str:
    """The page's text."""
    rows = [f"| `{k.variable}` | {k.kind} | {k.default_text} | {k.description} |" for k in knobs.ALL]
    others = [f"| `{name}` | {description} |" for name, description in knobs.RESPECTED.items()]
    return "\n".join(
        [
            "# Environment variables",
            "",
            "`make docs` writes this page from `baco/knobs.py`. Each variable can also be set from Python, by its name without",
            "`BACO_` in small letters: `knobs.interpret.value = True`, or `with knobs.interpret.scope(True):`. What Python sets wins.",
            "",
            "| variable | value | default | what it does |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            "Variables of other programs that BACO looks at:",
            "",
            "| variable | what BACO does with it |",
            "| --- | --- |",
            *others,
            "",
        ]
    )


if __name__ == "__main__":
    atomic_write(PAGE, page())
