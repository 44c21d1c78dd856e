"""Tiles that cannot be enlarged: of a layer's tiles that a machine holds, the few that can be best on it.

A tile is nowhere better than a larger one, in figures other than what memories it needs, where all of the following hold; so of the tiles
that fit some memories only those need scoring of which no larger one fits as well, some tens out of thousands.

- Output rows, columns, batch: any larger size. There are fewer tiles, so that what lies inside is repeated less often; and the input rows
  of m tiles add up to (n - m) x step + m x extent, with a step of at most the extent.
- Channels: a larger size that takes no more blocks in all, the passes of the array. And either both sizes are one block or neither is:
  weights that fill the array once stay there from one tile to the next, which a larger tile gives up.
- Filter taps: a larger size, where neither is one tap, for the same reason; and no dilation, with which the rows of larger windows include
  some that are not read.

All this with halo `reload`. With `reuse` a tile that slides may beat a larger one, so that what is left out is no more than unlikely to be
best. Whether a machine holds a tile is known without scoring it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from baco.search.candidates import AXIS_C, AXIS_K, Table, capacities, joined, level3_orders, score
from baco.search.choice import Box
from baco.search.goals import Rules
from baco.search.spaces import Space
from baco.search.tilings import spatial, tile_sizes
from baco.workload import DIMENSIONS, Problem

CROWDED = 500
"""Candidates of a layer of which the dominated are looked for; after that, twice as many as were left."""


def enlargements(problem: Problem, dim: str, sizes: Sequence[int], side: int, tilings: str) -> NDArray[np.int64]:
    """(sizes,): for each tile size of a dimension, ascending, the place of the next larger one that is nowhere worse; its own if none."""
    places = range(len(sizes))
    if dim in "PQN":
        return np.array([min(i + 1, len(sizes) - 1) for i in places])
    if dim in "RS":
        if problem.dilation["RS".index(dim)] > 1:
            return np.array(places)
        blocks, inner = [1] * len(sizes), list(sizes)
    else:
        across = [spatial(t, side, problem.sizes[dim], tilings) for t in sizes]
        blocks = [-(-problem.sizes[dim] // s) for s in across]
        inner = [-(-t // s) for t, s in zip(sizes, across, strict=True)]
    return np.array(
        [next((j for j in places[i + 1 :] if blocks[j] <= blocks[i] and (inner[j] > 1) == (inner[i] > 1)), i) for i in places], np.int64
    )


class Tiles:
    """All tiles of a layer on an array of one side, and the candidates made of those that were scored."""

    def __init__(self, problem: Problem, side: int, space: Space, rules: Rules) -> None:
        self.problem, self.side, self.space, self.rules = problem, side, space, rules
        self.sizes = [np.array(sizes, np.int64) for sizes in tile_sizes(problem, side, rules.tilings, any_width=space.any_width).values()]
        self.larger = [enlargements(problem, d, s.tolist(), side, rules.tilings) for d, s in zip(DIMENSIONS, self.sizes, strict=True)]
        self.across = [
            np.array([spatial(int(t), side, problem.sizes[DIMENSIONS[axis]], rules.tilings) for t in self.sizes[axis]], np.int64)
            for axis in (AXIS_C, AXIS_K)
        ]
        axes = np.ix_(*self.sizes)
        shapes = [[-1 if axis == at else 1 for axis in range(len(DIMENSIONS))] for at in (AXIS_C, AXIS_K)]
        across = [s.reshape(shape) for s, shape in zip(self.across, shapes, strict=True)]
        self.accumulator_kib, self.scratchpad_kib = capacities(problem, axes, *across, side, space)
        self.shape = tuple(map(len, self.sizes))
        self.scored = np.zeros(self.shape, bool)
        self.parts = [Table(np.zeros((0, 6)), np.zeros((0, 10), np.int64), level3_orders(rules.halo))]
        self.crowded = CROWDED

    def place(self, accumulators: NDArray[np.float64], scratchpads: NDArray[np.float64]) -> None:
        """Keep what each tile needs as places in the lists of memories that there are, ascending; one past the end for more than that."""
        self.accumulator = np.searchsorted(accumulators, self.accumulator_kib).astype(np.int32)
        self.scratchpad = np.searchsorted(scratchpads, self.scratchpad_kib).astype(np.int32)
        del self.accumulator_kib, self.scratchpad_kib

    def unscored(self, box: Box, most: NDArray[np.int64]) -> NDArray[np.int64]:
        """The tiles not yet scored that some machine of a box holds and that cannot be enlarged within them, as flat places.

        `most`: for each accumulator the largest scratchpad that the limits leave beside it.
        """
        first, last, low, high = box
        ceiling = np.minimum(most[first : last + 1], high)
        ceiling[ceiling < low] = -1
        top = np.append(np.repeat(ceiling[:1], first), np.append(ceiling, np.full(len(most) - last, -1)))
        fits = np.broadcast_to(self.scratchpad <= top[self.accumulator], self.shape)
        maximal = fits & ~self.scored
        for axis, larger in enumerate(self.larger):
            own = larger == np.arange(len(larger))
            if own.all():
                continue
            also = np.take(fits, larger, axis=axis)
            also[(slice(None),) * axis + (own,)] = False
            maximal &= ~also
        return np.flatnonzero(maximal)

    def sizes_at(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """(tiles, 7): their sizes."""
        return np.stack([s[i] for s, i in zip(self.sizes, np.unravel_index(places, self.shape), strict=True)], axis=1)

    def score(self, places: NDArray[np.int64]) -> Table:
        """The candidates made of these tiles in every order, which are from now on part of the layer's table."""
        self.scored.reshape(-1)[places] = True
        at = np.unravel_index(places, self.shape)
        tiles, across = self.sizes_at(places), [s[at[axis]] for s, axis in zip(self.across, (AXIS_C, AXIS_K), strict=True)]
        figures = score(self.problem, list(tiles.T), *across, self.side, self.space, **self.rules.model)
        orders = np.repeat(np.arange(len(figures)), len(places))
        kinds = np.column_stack([np.tile(np.column_stack([tiles, *across]), (len(figures), 1)), orders])
        found = Table(figures.reshape(-1, 6), kinds, level3_orders(self.rules.halo))
        self.parts.append(found)
        return found

    @property
    def table(self) -> Table:
        """The candidates of what was scored; now and then the dominated are left out."""
        if len(self.parts) > 1:
            self.parts = [joined(self.parts)]
        if len(self.parts[0].figures) > self.crowded:
            self.parts = [self.parts[0].thinned()]
            self.crowded = max(CROWDED, 2 * len(self.parts[0].figures))
        return self.parts[0]
