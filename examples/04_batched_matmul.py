"""Batched matrix multiplication: a pointer moved by the program's index.

`pointer + distance` is a pointer further on, in elements. Each batch is a matrix of its own at a multiple of the batch stride, so that the
third axis of the grid only decides where the pointers start; the accelerator sees an ordinary product. A batch stride of 0 uses one
matrix for all batches, as NumPy's broadcasting does. Nothing runs on the host core.

Run it: python examples/04_batched_matmul.py
"""

import numpy as np

import baco
import baco.language as bl


@baco.jit
def batched_matmul(
    a,
    b,
    c,
    M,
    N,
    K,
    stride_ab,
    stride_bb,
    stride_cb,
    BLOCK_M: bl.constexpr,
    BLOCK_N: bl.constexpr,
    BLOCK_K: bl.constexpr,
):
    row = bl.program_id(0) * BLOCK_M
    col = bl.program_id(1) * BLOCK_N
    batch = bl.program_id(2)
    a_ptr = bl.make_block_ptr(a + batch * stride_ab, (M, K), (K, 1), (row, 0), (BLOCK_M, BLOCK_K), (1, 0))
    b_ptr = bl.make_block_ptr(b + batch * stride_bb, (K, N), (N, 1), (0, col), (BLOCK_K, BLOCK_N), (1, 0))
    acc = bl.zeros((BLOCK_M, BLOCK_N), dtype=bl.int32)
    for _ in range(0, K, BLOCK_K):
        acc += bl.dot(bl.load(a_ptr, boundary_check=(0, 1)), bl.load(b_ptr, boundary_check=(0, 1)))
        a_ptr = bl.advance(a_ptr, (0, BLOCK_K))
        b_ptr = bl.advance(b_ptr, (BLOCK_K, 0))
    c_ptr = bl.make_block_ptr(c + batch * stride_cb, (M, N), (N, 1), (row, col), (BLOCK_M, BLOCK_N), (1, 0))
    bl.store(c_ptr, acc, boundary_check=(0, 1))


def launch(a, b, c, block=(64, 64, 64), **options):
    """c[i] = a[i] @ b[i] in int32, for int8 matrices; a or b may be one matrix for all batches."""
    batches, m, n = c.shape
    k = a.shape[-1]
    meta = dict(zip(("BLOCK_M", "BLOCK_N", "BLOCK_K"), block, strict=True))
    strides = [m * k if a.ndim == 3 else 0, k * n if b.ndim == 3 else 0, m * n]
    grid = (baco.cdiv(m, block[0]), baco.cdiv(n, block[1]), batches)
    return batched_matmul[grid](a, b, c, m, n, k, *strides, **meta, **options)


def reference(a, b):
    """What NumPy says."""
    return a.astype(np.int32) @ b.astype(np.int32)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    a, b = rng.integers(-128, 128, (12, 128, 64), dtype=np.int8), rng.integers(-128, 128, (12, 64, 128), dtype=np.int8)
    c = np.zeros((12, 128, 128), np.int32)
    result = launch(a, b, c)
    assert (c == reference(a, b)).all()
    print(f"12 products of 128x64 @ 64x128 are right; {result.counters.traffic.macs} multiply-accumulates on the array.")
