"""Two products back to back: a hidden layer that never exists as a whole.

relu(x @ w1) @ w2 is one kernel: for BLOCK_H hidden units at a time, the first product makes a block of them, which is requantised and used
at once as the left operand of the second. The second accumulator stays where it is all through the loop. This is the persistent kernel of
Bolt; written as two kernels, the whole hidden layer would be written to an array of the program and read back, once for each block of
output columns.

What happens to a hidden block: its sums are int32, and it is needed as int8, in the scratchpad. If SCALE1 is a power of two, 1/512 say, the
block never leaves the chip: the array keeps the sums, and shifts, rounds and clamps them on their way into the scratchpad. That takes one
product over all of K, so blocks of x and w1 are K deep. Of any other scale the accumulator's way out takes care, which leads to memory:
the block goes out to a buffer of its own and comes straight back, with a fence between, BLOCK_M x BLOCK_H bytes at the same addresses every
time; a remark says so. The host core computes nothing either way.

One thing to know of hardware: its array has 20 bits for a sum, which any 31 products of int8 fit, and most sums of some hundreds; a remark
says so too, and the simulator's strict mode (docs/strict.md) stops at a sum that does not fit.

Run it: python examples/11_two_matmuls.py
"""

import numpy as np

import baco
import baco.language as bl


@baco.jit
def two_matmuls(
    x,
    w1,
    w2,
    y,
    M,
    H,
    N,
    scale2,
    K: bl.constexpr,
    SCALE1: bl.constexpr,
    BLOCK_M: bl.constexpr,
    BLOCK_H: bl.constexpr,
    BLOCK_N: bl.constexpr,
):
    row = bl.program_id(0) * BLOCK_M
    x_ptr = bl.make_block_ptr(x, (M, K), (K, 1), (row, 0), (BLOCK_M, K), (1, 0))
    rows = bl.load(x_ptr, boundary_check=(0,))
    acc = bl.zeros((BLOCK_M, BLOCK_N), dtype=bl.int32)
    for h in range(0, H, BLOCK_H):
        w1_ptr = bl.make_block_ptr(w1, (K, H), (H, 1), (0, h), (K, BLOCK_H), (1, 0))
        w2_ptr = bl.make_block_ptr(w2, (H, N), (N, 1), (h, 0), (BLOCK_H, BLOCK_N), (1, 0))
        sums = bl.gemmini.dot(rows, bl.load(w1_ptr, boundary_check=(1,)), dataflow="output_stationary")
        hidden = bl.gemmini.requantise(sums, SCALE1, relu=True)
        acc += bl.dot(hidden, bl.load(w2_ptr, boundary_check=(0, 1)))
    y_ptr = bl.make_block_ptr(y, (M, N), (N, 1), (row, 0), (BLOCK_M, BLOCK_N), (1, 0))
    bl.store(y_ptr, bl.gemmini.requantise(acc, scale2), boundary_check=(0, 1))


def launch(x, w1, w2, y, scale1, scale2, block=(64, 64), **options):
    """y = clamp(round(relu8(x @ w1 * scale1) @ w2 * scale2)) for int8 matrices; a row of y must fit into the accumulator."""
    (m, k), (h, n) = x.shape, w2.shape
    meta = {"K": k, "SCALE1": scale1, "BLOCK_M": block[0], "BLOCK_H": block[1], "BLOCK_N": n}
    return two_matmuls[(baco.cdiv(m, block[0]),)](x, w1, w2, y, m, h, n, scale2, **meta, **options)


def reference(x, w1, w2, scale1, scale2):
    """What NumPy says."""
    hidden = x.astype(np.int32) @ w1.astype(np.int32)
    hidden = np.clip(np.rint(hidden.astype(np.float32) * np.float32(scale1)), 0, 127).astype(np.int32)
    return np.clip(np.rint((hidden @ w2.astype(np.int32)).astype(np.float32) * np.float32(scale2)), -128, 127).astype(np.int8)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (256, 128), dtype=np.int8)
    w1, w2 = rng.integers(-128, 128, (128, 512), dtype=np.int8), rng.integers(-128, 128, (512, 128), dtype=np.int8)
    for scale, way in ((1 / 512, "on the chip"), (0.002, "out and back")):
        y = np.zeros((256, 128), np.int8)
        result = launch(x, w1, w2, y, scale, 0.002)
        assert (y == reference(x, w1, w2, scale, 0.002)).all()
        out = result.counters.dram_bytes_written - y.nbytes
        print(f"256x128 @ 128x512 @ 512x128, hidden scale {scale:.5f}, is right; hidden blocks {way}: {out} bytes written for them.")
