"""Random mappings of a layer that a machine holds: the same seed, the same mappings.

A mapping is drawn dimension by dimension, in a random order of them: of the tile sizes (:mod:`baco.search.tilings`) that still fit, each as
likely as any other, so that tiles that fill the memories are as common as small ones. The order of the loops over tiles is any
permutation. The rest follows from the tile, as everywhere in the search (:class:`baco.search.candidates.Choice`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from baco.hardware import GemminiConfig
from baco.search.candidates import Choice
from baco.search.tilings import EXACT, spatial, tile_sizes
from baco.toolchain import digest
from baco.workload import DIMENSIONS, Mapping, Problem

TRIES = 400
"""Draws in a row that give nothing new, after which there is taken to be nothing more."""


def generator(problem: Problem, seed: int) -> np.random.Generator:
    """Random numbers of one layer: they do not depend on what else is drawn."""
    return np.random.default_rng([seed, int(digest(repr(problem.to_dict()))[:16], 16)])


def draw(problem: Problem, config: GemminiConfig, random: np.random.Generator, buffers: int = 1, tilings: str = EXACT) -> Mapping:
    """One random mapping, of whose tiles the machine holds `buffers` copies."""
    sizes, tile = tile_sizes(problem, config.dim, tilings), dict.fromkeys(DIMENSIONS, 1)
    order = "".join(DIMENSIONS[i] for i in random.permutation(len(DIMENSIONS)))

    def mapping(changed: dict[str, int]) -> Mapping:
        sides = (spatial(changed[d], config.dim, problem.sizes[d], tilings) for d in "CK")
        return Choice(tuple(changed[d] for d in DIMENSIONS), *sides, order).mapping(problem)

    for i in random.permutation(len(DIMENSIONS)):
        d = DIMENSIONS[i]
        fitting = [s for s in sizes[d] if not mapping(tile | {d: s}).violations(problem, config, buffers)]
        tile[d] = fitting[random.integers(len(fitting))] if fitting else tile[d]
    return mapping(tile)


def mappings(
    problem: Problem,
    config: GemminiConfig,
    seed: int = 0,
    buffers: int = 1,
    tilings: str = EXACT,
    accept: Callable[[Mapping], bool] = lambda _: True,
) -> Iterator[Mapping]:
    """Different random mappings that `accept` takes, until TRIES draws in a row give none; none at all where the machine holds no tile."""
    random, seen, tries = generator(problem, seed), set(), 0
    while tries < TRIES:
        tries += 1
        mapping = draw(problem, config, random, buffers, tilings)
        if str(mapping) in seen or mapping.violations(problem, config, buffers):
            continue
        seen.add(str(mapping))
        if accept(mapping):
            tries = 0
            yield mapping
