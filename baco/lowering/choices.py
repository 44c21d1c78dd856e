"""What a person may ask of the compiler by name; free of MLIR, so that a launch can check it at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

PRIMITIVE, LOOPS, AUTO = "primitive", "loops", "auto"
INSTRUCTIONS = (PRIMITIVE, LOOPS, AUTO)
"""What products become: primitive instructions, Gemmini's loop instructions, or the cheaper; see :mod:`baco.lowering.select_loops`."""
LOOP_STAGES = "baco.loop_stages"
"""Attribute of a loop: how deep its loads are buffered, in place of the module's number of stages."""
STAGES = ("baco", "linalg", "instgem", "llvm")
"""The stages that a file may take the place of; see :mod:`baco.lowering.overrides`."""

AXES = 3
"""How many axes a launch grid has; those that are not given have size 1."""
GRID_ORDER = (0, 1, 2)
"""The axes of the grid from the innermost on, where nothing else is asked for."""


def whole_grid_order(order: Sequence[int]) -> tuple[int, ...] | None:
    """All axes from the innermost on, if `order` names the first ones, each once; those not named are outermost. None otherwise."""
    named = tuple(order)
    if any(not isinstance(axis, int) or isinstance(axis, bool) for axis in named) or sorted(named) != list(range(len(named))):
        return None
    return named + GRID_ORDER[len(named) :] if len(named) <= AXES else None


def program_instances(sizes: Sequence[int], order: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The points of a launch grid in the order in which they run: the first axis of `order` counts fastest."""
    for place in itertools.product(*(range(sizes[axis]) for axis in reversed(order))):
        at = dict(zip(reversed(order), place, strict=True))
        yield tuple(at[axis] for axis in range(AXES))
