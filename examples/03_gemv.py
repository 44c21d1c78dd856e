"""Matrix times vector, or times a few of them: which operand stands still.

The array holds a DIM x DIM tile of the right operand still while rows of the left one stream past, one row a cycle. With a vector on the
right, its tile is DIM x 1: one column of the array works, but the tile is loaded once for a whole column of the matrix, and the matrix
streams past at full speed. With the vector on the left (x.T @ A.T) every tile of the matrix would be loaded into the array to meet a
single row. Tall blocks are therefore the ones to use here. The same kernel takes any skinny matrix: up to DIM vectors cost what one does.

Run it: python examples/03_gemv.py
"""

import numpy as np

import baco
import baco.language as bl


@baco.jit
def gemv(a, x, y, M, N, K, BLOCK_M: bl.constexpr, BLOCK_N: bl.constexpr, BLOCK_K: bl.constexpr):
    row = bl.program_id(0) * BLOCK_M
    a_ptr = bl.make_block_ptr(a, (M, K), (K, 1), (row, 0), (BLOCK_M, BLOCK_K), (1, 0))
    x_ptr = bl.make_block_ptr(x, (K, N), (N, 1), (0, 0), (BLOCK_K, BLOCK_N), (1, 0))
    acc = bl.zeros((BLOCK_M, BLOCK_N), dtype=bl.int32)
    for _ in range(0, K, BLOCK_K):
        acc += bl.dot(bl.load(a_ptr, boundary_check=(0, 1)), bl.load(x_ptr, boundary_check=(0, 1)))
        a_ptr = bl.advance(a_ptr, (0, BLOCK_K))
        x_ptr = bl.advance(x_ptr, (BLOCK_K, 0))
    y_ptr = bl.make_block_ptr(y, (M, N), (N, 1), (row, 0), (BLOCK_M, BLOCK_N), (1, 0))
    bl.store(y_ptr, acc, boundary_check=(0, 1))


def launch(a, x, y, block=(256, 64), **options):
    """y = a @ x in int32, for an int8 matrix and an int8 vector, or a matrix of few columns."""
    (m, k), n = a.shape, 1 if x.ndim == 1 else x.shape[1]
    return gemv[(baco.cdiv(m, block[0]),)](a, x, y, m, n, k, BLOCK_M=block[0], BLOCK_N=n, BLOCK_K=block[1], **options)


def reference(a, x):
    """What NumPy says."""
    return a.astype(np.int32) @ x.astype(np.int32)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    a, x = rng.integers(-128, 128, (1000, 2048), dtype=np.int8), rng.integers(-128, 128, 2048, dtype=np.int8)
    y = np.zeros(1000, np.int32)
    result = launch(a, x, y)
    assert (y == reference(a, x)).all()
    count = result.counters.instructions
    loaded, kept = count["compute_preloaded"], count["compute_accumulated"]
    print(
        f"1000x2048 @ 2048 is right; {loaded} tiles of the vector were loaded into the array and met {loaded + kept} tiles of the matrix."
    )
