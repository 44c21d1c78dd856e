"""What the compiler makes, on Spike: the same results as on the functional simulator, word for word."""

import numpy as np
import pytest
from spike_runs import found

import baco
import baco.language as bl
from baco.hardware import GemminiConfig
from baco.lowering.mapping_program import compile_mapping
from baco.workload import Mapping, Problem

DIMS = (4, 8, 16, 32)


@baco.jit
def matmul(a, b, c, M, N, K, scale, BLOCK: bl.constexpr):
    row = bl.program_id(0) * BLOCK
    col = bl.program_id(1) * BLOCK
    a_ptr = bl.make_block_ptr(a, (M, K), (K, 1), (row, 0), (BLOCK, BLOCK), (1, 0))
    b_ptr = bl.make_block_ptr(b, (K, N), (N, 1), (0, col), (BLOCK, BLOCK), (1, 0))
    acc = bl.zeros((BLOCK, BLOCK), dtype=bl.int32)
    for _ in range(0, K, BLOCK):
        acc += bl.dot(bl.load(a_ptr, boundary_check=(0, 1)), bl.load(b_ptr, boundary_check=(0, 1)))
        a_ptr = bl.advance(a_ptr, (0, BLOCK))
        b_ptr = bl.advance(b_ptr, (BLOCK, 0))
    c_ptr = bl.make_block_ptr(c, (M, N), (N, 1), (row, col), (BLOCK, BLOCK), (1, 0))
    result = acc if c.dtype == bl.int32 else bl.gemmini.requantise(acc, scale, relu=True)
    bl.store(c_ptr, result, boundary_check=(0, 1))


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("dtype", [np.int8, np.int32])
def test_a_kernel(dim: int, dtype: type) -> None:
    if not found(dim):
        pytest.skip(f"no Spike for DIM {dim}")
    rng = np.random.default_rng(dim)
    m, n, k = 37, 50, 45
    a, b = rng.integers(-128, 128, (m, k), np.int8), rng.integers(-128, 128, (k, n), np.int8)
    results = []
    for backend in ("functional", "spike"):
        c = np.full((m, n), 99, dtype)
        matmul[2, 2](a, b, c, m, n, k, 0.004, BLOCK=32, backend=backend, hardware=GemminiConfig(dim=dim))
        results.append(c)
    np.testing.assert_array_equal(*results)
    assert dtype is np.int8 or (results[0] == a.astype(np.int32) @ b.astype(np.int32)).all()


@baco.jit
def pooled(a, b, y, ROWS: bl.constexpr, C: bl.constexpr, K: bl.constexpr, OUT: bl.constexpr, SIZE: bl.constexpr):
    """Sums that stay in the array, requantised and pooled on their way out."""
    left = bl.load(bl.make_block_ptr(a, (ROWS * ROWS, K), (K, 1), (0, 0), (ROWS * ROWS, K), (1, 0)))
    right = bl.load(bl.make_block_ptr(b, (K, C), (C, 1), (0, 0), (K, C), (1, 0)))
    acc = bl.gemmini.dot(left, right, dataflow="output_stationary")
    highest = bl.gemmini.max_pool(bl.gemmini.requantise(acc, 0.004), (ROWS, ROWS), SIZE, 2, 1)
    bl.store(bl.make_block_ptr(y, (OUT * OUT, C), (C, 1), (0, 0), (OUT * OUT, C), (1, 0)), highest)


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("size", [2, 3])
def test_pooling_of_sums_that_stay(dim: int, size: int) -> None:
    if not found(dim):
        pytest.skip(f"no Spike for DIM {dim}")
    rng = np.random.default_rng(dim)
    rows, channels, depth = 9, 20, 40
    out = (rows + 2 - size) // 2 + 1
    a, b = rng.integers(-128, 128, (rows**2, depth), np.int8), rng.integers(-128, 128, (depth, channels), np.int8)
    results = []
    for backend in ("functional", "spike"):
        y = np.full((out**2, channels), 99, np.int8)
        meta = {"ROWS": rows, "C": channels, "K": depth, "OUT": out, "SIZE": size}
        pooled[(1,)](a, b, y, **meta, backend=backend, hardware=GemminiConfig(dim=dim))
        results.append(y)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize(
    ("problem", "mapping"),
    [
        (Problem(P=8, Q=14, C=32, K=32, stride=(2, 2)), "L3[WIO] K2 P4 - L2[WI] N1 K8X - L1[O] K2 C4 C8X - L0[W] P2 Q14"),
        (Problem(C=256, K=96), "L3[WIO] K3 C2 - L2[WI] N1 K8X - L1[O] K4 C16 C8X - L0[W] N1"),
        (Problem(R=3, S=3, P=7, Q=7, C=16, K=16, padding=(1, 1)), "L3[WIO] R3 K2 - L2[WI] N1 K8X - L1[O] S3 C2 C8X - L0[W] Q7 P7"),
    ],
    ids=["strided 1x1", "fully connected, partial sums", "3x3, partial sums"],
)
def test_a_mapping(problem: Problem, mapping: str) -> None:
    if not found(8):
        pytest.skip("no Spike for DIM 8")
    rng = np.random.default_rng(0)
    compiled = compile_mapping(problem, Mapping.parse(mapping), GemminiConfig(dim=8), scale=0.01, relu=True)
    p = problem
    inputs = rng.integers(-128, 128, (p.N, p.input_height, p.input_width, p.C), np.int8)
    weights = rng.integers(-128, 128, (p.R, p.S, p.C, p.K), np.int8)
    ours, spikes = (compiled.run(inputs, weights, backend)[0] for backend in ("functional", "spike"))
    np.testing.assert_array_equal(ours, spikes)
