"""Matrix multiplication: int8 x int8, requantised to int8 with a ReLU on the way out of the accumulator.

Run it: python examples/01_matmul.py
"""

import numpy as np

import baco
import baco.language as bl


@baco.jit
def matmul(
    a,
    b,
    c,
    M,
    N,
    K,
    stride_am,
    stride_ak,
    stride_bk,
    stride_bn,
    stride_cm,
    stride_cn,
    scale,
    BLOCK_M: bl.constexpr,
    BLOCK_N: bl.constexpr,
    BLOCK_K: bl.constexpr,
    RELU: bl.constexpr = True,
):
    row = bl.program_id(0) * BLOCK_M
    col = bl.program_id(1) * BLOCK_N
    a_ptr = bl.make_block_ptr(a, (M, K), (stride_am, stride_ak), (row, 0), (BLOCK_M, BLOCK_K), (1, 0))
    b_ptr = bl.make_block_ptr(b, (K, N), (stride_bk, stride_bn), (0, col), (BLOCK_K, BLOCK_N), (1, 0))
    acc = bl.zeros((BLOCK_M, BLOCK_N), dtype=bl.int32)
    for _ in range(0, K, BLOCK_K):
        acc += bl.dot(bl.load(a_ptr, boundary_check=(0, 1)), bl.load(b_ptr, boundary_check=(0, 1)))
        a_ptr = bl.advance(a_ptr, (0, BLOCK_K))
        b_ptr = bl.advance(b_ptr, (BLOCK_K, 0))
    c_ptr = bl.make_block_ptr(c, (M, N), (stride_cm, stride_cn), (row, col), (BLOCK_M, BLOCK_N), (1, 0))
    result = acc if c.dtype == bl.int32 else bl.gemmini.requantise(acc, scale, relu=RELU)
    bl.store(c_ptr, result, boundary_check=(0, 1))


def launch(a, b, c, scale=1.0, relu=True, block=(64, 64, 64), **options):
    """c = a @ b for int8 matrices; c is int32, or int8 scaled, rounded and clamped."""
    (m, k), n = a.shape, b.shape[1]
    strides = [s // x.itemsize for x in (a, b, c) for s in x.strides]
    meta = dict(zip(("BLOCK_M", "BLOCK_N", "BLOCK_K"), block, strict=True))

    def grid(meta):
        return (baco.cdiv(m, meta["BLOCK_M"]), baco.cdiv(n, meta["BLOCK_N"]))

    return matmul[grid](a, b, c, m, n, k, *strides, scale, **meta, RELU=relu, **options)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    a = rng.integers(-128, 128, (100, 300), dtype=np.int8)
    b = rng.integers(-128, 128, (300, 200), dtype=np.int8)
    c = np.zeros((100, 200), np.int32)
    result = launch(a, b, c)
    assert (c == a.astype(np.int32) @ b.astype(np.int32)).all()
    print(f"100x300 @ 300x200 is right; {result.counters.traffic.macs} multiply-accumulates on the array.")
