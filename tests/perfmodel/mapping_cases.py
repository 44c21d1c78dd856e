"""Random small problems with valid mappings, of every layer kind."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from baco.workload import DIMENSIONS, Mapping, Problem

MOST_PASSES = 1500


@st.composite
def cases(draw: st.DrawFn, canonical: bool = False, ragged: bool = False) -> tuple[Problem, Mapping]:
    """A problem and a mapping of it. `canonical`: only mappings of the form that the search makes. `ragged`: last tiles may be smaller."""
    factor = st.sampled_from((1, 1, 1, 2, 3))
    level0 = {d: draw(factor) if d in "PQN" else 1 for d in DIMENSIONS}
    level1 = {d: draw(factor) if d in "RSCK" or not canonical else 1 for d in DIMENSIONS}
    level3 = {d: draw(factor) for d in DIMENSIONS}
    for factors in (level0, level1, level3):  # keep the walk short: drop loops from the inside until it is
        for d in DIMENSIONS:
            if math.prod((*level0.values(), *level1.values(), *level3.values())) <= MOST_PASSES:
                break
            factors[d] = 1
    spatial_c, spatial_k = draw(st.sampled_from((1, 2, 4))), draw(st.sampled_from((1, 2, 3)))
    size = {d: level0[d] * level1[d] * level3[d] for d in DIMENSIONS}
    size["C"] *= spatial_c
    size["K"] *= spatial_k
    if ragged:  # as much less as leaves no iteration without work
        for d in DIMENSIONS:
            inner, least = {"C": spatial_c, "K": spatial_k}.get(d, 1), {"C": spatial_c, "K": spatial_k}.get(d, 1)
            for factors in (level0, level1, level3):
                least, inner = max(least, (factors[d] - 1) * inner + 1), inner * factors[d]
            size[d] = draw(st.integers(least, size[d]))
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    problem = Problem(**size, stride=draw(pair), dilation=draw(pair))
    order = st.permutations(DIMENSIONS).map("".join)
    orders = ("NPQRSCK" if canonical else draw(order), "KCRSNPQ" if canonical else draw(order), "RSPQCKN", draw(order))
    temporal = tuple(tuple(level[d] for d in DIMENSIONS) for level in (level0, level1, dict.fromkeys(DIMENSIONS, 1), level3))
    return problem, Mapping(temporal, orders, spatial_c, spatial_k)
