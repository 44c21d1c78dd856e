"""Write docs/strict.md: what strict mode refuses, from the tables in baco/sim/rules.py. Run it with `make docs`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from baco.sim.rules import ALWAYS, RULES, UNSEEN
from baco.toolchain import atomic_write

PAGE = Path(__file__).parent / "strict.md"
INTRODUCTION = """\
# Strict mode

Spike's model of Gemmini runs programs that hardware would not run, or would run with another result. The functional simulator does as Spike
does, bit by bit; in strict mode it refuses such a program instead, with the instruction, its operands, the line of the kernel and the rule:

    baco run program.elf --strict
    error: kernel.py:12: program instance (0, 1, 0): pc 0x800001c4: mvout dram=0x80003000, local=accumulator[0], local_cols=16,
    local_rows=17: the move has 17 rows; 1 to 16 (DIM) are allowed. (Strict rule move_size.)

From Python it is `baco.sim.run(..., strict=True)`, for every run `BACO_STRICT=1`; `baco check` and BACO's own tests run so. What the compiler
emits is clean under it, on every preset. `make docs` writes this page from `baco/sim/rules.py`.
"""


def page() -> str:
    """The page's text."""
    rules = [(f"`{r.name}`", r.section, r.spike, r.hardware, r.remedy) for r in RULES]
    return "\n".join(
        [
            INTRODUCTION,
            "## Rules\n",
            "Sections are those of the instruction set: 9 lists where Spike, the vendor's header and the RTL differ, 10 the limits.\n",
            _table(("rule", "section", "Spike", "hardware", "what is safe"), rules),
            "## Refused with and without strict mode\n",
            _table(("section", "what", "why"), ALWAYS),
            "## Not seen\n",
            _table(("section", "what", "note"), UNSEEN),
        ]
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    atomic_write(PAGE, page())
