"""Linear layer: a product with its bias, scale and ReLU, all of it on the accelerator.

A bias costs no addition. The accumulator can be loaded from DRAM before the first product, and every product adds to what is there. The
bias is one row that all rows of the block need: a block pointer of shape (M, N) with strides (0, 1) says so, and the DMA then reads the
same row again for every row it writes. Scale, rounding, clamping and ReLU happen on the way out of the accumulator, in the same move that
stores the block. Nothing runs on the host core.

Run it: python examples/02_linear.py
"""

import numpy as np

import baco
import baco.language as bl


@baco.jit
def linear(
    x,
    w,
    bias,
    y,
    M,
    N,
    K,
    scale,
    BLOCK_M: bl.constexpr,
    BLOCK_N: bl.constexpr,
    BLOCK_K: bl.constexpr,
    RELU: bl.constexpr,
):
    row = bl.program_id(0) * BLOCK_M
    col = bl.program_id(1) * BLOCK_N
    x_ptr = bl.make_block_ptr(x, (M, K), (K, 1), (row, 0), (BLOCK_M, BLOCK_K), (1, 0))
    w_ptr = bl.make_block_ptr(w, (K, N), (N, 1), (0, col), (BLOCK_K, BLOCK_N), (1, 0))
    bias_ptr = bl.make_block_ptr(bias, (M, N), (0, 1), (row, col), (BLOCK_M, BLOCK_N), (1, 0))
    acc = bl.load(bias_ptr, boundary_check=(0, 1))
    for _ in range(0, K, BLOCK_K):
        acc += bl.dot(bl.load(x_ptr, boundary_check=(0, 1)), bl.load(w_ptr, boundary_check=(0, 1)))
        x_ptr = bl.advance(x_ptr, (0, BLOCK_K))
        w_ptr = bl.advance(w_ptr, (BLOCK_K, 0))
    y_ptr = bl.make_block_ptr(y, (M, N), (N, 1), (row, col), (BLOCK_M, BLOCK_N), (1, 0))
    bl.store(y_ptr, bl.gemmini.requantise(acc, scale, relu=RELU), boundary_check=(0, 1))


def launch(x, w, bias, y, scale, relu=True, block=(64, 64, 64), **options):
    """y = clamp(round((x @ w + bias) * scale)): int8 matrices, an int32 bias, int8 out."""
    (m, k), n = x.shape, w.shape[1]
    meta = dict(zip(("BLOCK_M", "BLOCK_N", "BLOCK_K"), block, strict=True))
    grid = (baco.cdiv(m, block[0]), baco.cdiv(n, block[1]))
    return linear[grid](x, w, bias, y, m, n, k, scale, **meta, RELU=relu, **options)


def reference(x, w, bias, scale, relu=True):
    """What NumPy says."""
    acc = x.astype(np.int32) @ w.astype(np.int32) + bias
    return np.clip(np.rint(acc.astype(np.float32) * np.float32(scale)), 0 if relu else -128, 127).astype(np.int8)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x, w = rng.integers(-128, 128, (128, 768), dtype=np.int8), rng.integers(-128, 128, (768, 768), dtype=np.int8)
    bias, y = rng.integers(-100000, 100000, 768, dtype=np.int32), np.zeros((128, 768), np.int8)
    result = launch(x, w, bias, y, 0.001)
    assert (y == reference(x, w, bias, 0.001)).all()
    print(f"128x768 @ 768x768 + bias is right; the bias took {result.counters.instructions['mvin3']} loads, and no instruction added it.")
