"""Offsets that start over (``% n``) are still moves of whole rows where they can be: on every executor, compared with NumPy."""

import numpy as np
import pytest
from kernels import int8, product

import baco
import baco.language as bl

BACKENDS = ["functional", "cpu", "interpreter"]
rng = np.random.default_rng(0)


@baco.jit
def wrapped_product(a, b, c, m, n, first_row, first_column, B: bl.constexpr):
    index = bl.arange(0, B)
    rows, columns = (first_row + index) % m, (first_column + index) % n
    left = bl.load(a + rows[:, None] * B + index[None, :], mask=index[None, :] < 14, other=0)
    right = bl.load(b + index[:, None] * n + columns[None, :], mask=(index[:, None] < 14) & (index[None, :] < 13))
    bl.store(c + index[:, None] * B + index[None, :], bl.dot(left, right))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("m", "n", "first_row", "first_column"), [(40, 40, 3, 5), (20, 20, 9, 8), (5, 3, 7, 4), (30, 30, -4, -2)])
def test_rows_and_columns_that_start_over(backend, m, n, first_row, first_column) -> None:
    a, b, c = int8(rng, m, 16), int8(rng, 16, n), np.zeros((16, 16), np.int32)
    wrapped_product[(1,)](a, b, c, m, n, first_row, first_column, B=16, backend=backend)
    left = a[(first_row + np.arange(16)) % m].copy()
    right = b[:, (first_column + np.arange(16)) % n].copy()
    left[:, 14:], right[14:], right[:, 13:] = 0, 0, 0
    np.testing.assert_array_equal(c, product(left, right))


@baco.jit
def wrapped_vector(x, y, n, B: bl.constexpr):
    bl.store(y + bl.arange(0, B), bl.load(x + (bl.arange(0, B) % n) * 2))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_vector_that_repeats(backend) -> None:
    x, y = int8(rng, 14), np.zeros(32, np.int8)
    wrapped_vector[(1,)](x, y, 7, B=32, backend=backend)
    np.testing.assert_array_equal(y, np.tile(x[::2], 5)[:32])


def test_whole_rows_are_moved_by_the_accelerator() -> None:
    text = wrapped_product.warmup(np.int8, np.int8, np.int32, 40, 40, 3, 5, B=16).asm["instgem"]
    assert text.count("instgem.mvin") >= 2
