"""Random problems with random mappings of them, and the convolution to compare a layer's program with."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from baco.workload import DIMENSIONS, Mapping, Problem


@st.composite
def factorings(draw, size: int, parts: int) -> list[int]:
    """`size` as a product of `parts` factors."""
    factors = [1] * parts
    prime = 2
    while size > 1:
        while size % prime == 0:
            factors[draw(st.integers(0, parts - 1))] *= prime
            size //= prime
        prime += 1
    return factors


@st.composite
def cases(draw, dim: int, ragged: bool = False) -> tuple[Problem, Mapping]:
    """A small layer of any kind, and any mapping of it whose spatial factors fit the array. `ragged`: last tiles may be smaller."""
    pick = lambda *options: draw(st.sampled_from(options))  # noqa: E731
    problem = Problem(
        R=pick(1, 1, 2, 3),
        S=pick(1, 1, 2, 3),
        P=pick(1, 2, 4, 6, 7, 9),
        Q=pick(1, 3, 4, 7, 20, 34),
        C=pick(1, 3, 8, 16, 24),
        K=pick(1, 4, 10, 16, 64),
        N=pick(1, 1, 2, 3),
        stride=(pick(1, 1, 2, 3), pick(1, 1, 2, 3)),
        dilation=(pick(1, 1, 2), pick(1, 1, 2)),
    )
    temporal = [[1] * len(DIMENSIONS) for _ in range(4)]
    spatial = {"C": 1, "K": 1}
    for i, d in enumerate(DIMENSIONS):
        size = problem.sizes[d]
        if d in spatial:
            spatial[d] = draw(st.sampled_from([s for s in range(1, dim + 1) if size % s == 0]))
            temporal[1][i], temporal[3][i] = draw(factorings(size // spatial[d], 2))
        elif d in "RS":
            temporal[1][i], temporal[3][i] = draw(factorings(size, 2))
        else:
            temporal[0][i], temporal[1][i], temporal[3][i] = draw(factorings(size, 3))
    if ragged:  # the layer made smaller, as long as no iteration is left without work
        smaller = {}
        for i, d in enumerate(DIMENSIONS):
            inner = least = spatial.get(d, 1)
            for level in (0, 1, 3):
                least, inner = max(least, (temporal[level][i] - 1) * inner + 1), inner * temporal[level][i]
            smaller[d] = draw(st.integers(least, inner))
        problem = replace(problem, **smaller)
    orders = tuple("".join(draw(st.permutations(DIMENSIONS))) for _ in range(4))
    return problem, Mapping(tuple(tuple(f) for f in temporal), orders, spatial["C"], spatial["K"])


def convolution(problem: Problem, inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The exact int32 outputs N x P x Q x K of inputs N x H x W x C (with their border) and weights R x S x C x K."""
    p = problem
    out = np.zeros((p.N, p.P, p.Q, p.K), np.int32)
    for r in range(p.R):
        for s in range(p.S):
            rows = slice(r * p.dilation[0], r * p.dilation[0] + (p.P - 1) * p.stride[0] + 1, p.stride[0])
            cols = slice(s * p.dilation[1], s * p.dilation[1] + (p.Q - 1) * p.stride[1] + 1, p.stride[1])
            out += inputs[:, rows, cols].astype(np.int32) @ weights[r, s].astype(np.int32)
    return out


def tensors(problem: Problem, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random inputs and weights of a layer."""
    p = problem
    rng = np.random.default_rng(seed)
    inputs = rng.integers(-128, 128, (p.N, p.input_height, p.input_width, p.C), dtype=np.int8)
    return inputs, rng.integers(-128, 128, (p.R, p.S, p.C, p.K), dtype=np.int8)
