"""What the language has on Gemmini only: pooling and ReLU in the store, and products that say how the array does them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kernels import int8, product, requantised

import baco
import baco.language as bl
from baco.hardware import GemminiConfig
from baco.lang.errors import KernelTypeError


@baco.jit
def pooled(
    a, b, y, PIXELS, OUT, C, K, scale,
    IMAGE: bl.constexpr, SIZE: bl.constexpr, STRIDE: bl.constexpr, PADDING: bl.constexpr, BLOCK_OUT: bl.constexpr,
    BLOCK_C: bl.constexpr, BLOCK_K: bl.constexpr, FUSED: bl.constexpr,
):  # fmt: skip
    """The pixels of one image, loaded or computed, pooled; OUT of them are stored."""
    c = bl.program_id(0) * BLOCK_C
    if FUSED:
        acc = bl.zeros((IMAGE[0] * IMAGE[1], BLOCK_C), dtype=bl.int32)
        for k in range(0, K, BLOCK_K):
            left = bl.make_block_ptr(a, (PIXELS, K), (K, 1), (0, k), (IMAGE[0] * IMAGE[1], BLOCK_K), (1, 0))
            right = bl.make_block_ptr(b, (K, C), (C, 1), (k, c), (BLOCK_K, BLOCK_C), (1, 0))
            acc += bl.dot(bl.load(left, boundary_check=(0, 1)), bl.load(right, boundary_check=(0, 1)))
        pixels = bl.gemmini.relu(bl.gemmini.requantise(acc, scale))
    else:
        block = bl.make_block_ptr(a, (PIXELS, C), (C, 1), (0, c), (IMAGE[0] * IMAGE[1], BLOCK_C), (1, 0))
        pixels = bl.load(block, boundary_check=(0, 1))
    out = bl.make_block_ptr(y, (OUT, C), (C, 1), (0, c), (BLOCK_OUT, BLOCK_C), (1, 0))
    bl.store(out, bl.gemmini.max_pool(pixels, IMAGE, SIZE, STRIDE, PADDING), boundary_check=(0, 1))


def highest(pixels: np.ndarray, image: tuple[int, int], size: int, stride: int, padding: tuple[int, int]) -> np.ndarray:
    """The rule of GEMMINI_ISA.md section 7.6, pixel by pixel."""
    rows, columns = ((s + 2 * p - size) // stride + 1 for s, p in zip(image, padding, strict=True))
    grid = pixels.reshape(*image, -1)
    out = np.full((rows, columns, grid.shape[2]), -128, np.int8)
    for r, c, down, right in np.ndindex(rows, columns, size, size):
        at = r * stride + down - padding[0], c * stride + right - padding[1]
        inside = 0 <= at[0] < image[0] and 0 <= at[1] < image[1]
        out[r, c] = np.maximum(out[r, c], grid[at] if inside else 0)
    return out.reshape(rows * columns, -1)


@settings(max_examples=8)
@given(
    image=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    window=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(0, 2)),
    channels=st.integers(1, 40),
    block=st.sampled_from([4, 16, 24]),
    dropped=st.sampled_from([0, 0, 1, 3]),
    dim=st.sampled_from([4, 8, 16, 32]),
    stages=st.integers(1, 3),
    fused=st.booleans(),
    banks=st.sampled_from([1, 2]),
)
def test_pooling_in_the_store(image, window, channels, block, dropped, dim, stages, fused, banks) -> None:
    size, stride, *padding = window
    assume(max(padding) < size and all(s + 2 * p >= size for s, p in zip(image, padding, strict=True)))
    rng = np.random.default_rng(channels)
    depth, count = 20, image[0] * image[1]
    a, b = (int8(rng, count, depth), int8(rng, depth, channels)) if fused else (int8(rng, count, channels), np.zeros((1, 1), np.int8))
    expected = highest(requantised(product(a, b), 0.003, True) if fused else a, image, size, stride, tuple(padding))
    stored = max(1, len(expected) - dropped)
    sizes = {"PIXELS": count, "OUT": stored, "C": channels, "K": depth, "scale": 0.003}
    meta = {"IMAGE": image, "SIZE": size, "STRIDE": stride, "PADDING": tuple(padding), "BLOCK_OUT": len(expected)}
    meta |= {"BLOCK_C": block, "BLOCK_K": 8, "FUSED": fused}
    grid, machine = (baco.cdiv(channels, block),), GemminiConfig(dim=dim, accumulator_banks=banks)
    for options in ({"hardware": machine, "num_stages": stages}, {"backend": "cpu"}, {"backend": "interpreter"}):
        y = np.full((len(expected), channels), 99, np.int8)
        result = pooled[grid](a, b, y, **sizes, **meta, **options)
        np.testing.assert_array_equal(y[:stored], expected[:stored], err_msg=str(options))
        assert (y[stored:] == 99).all()
        if "hardware" in options:
            special = pooled.warmup(np.int8, np.int8, np.int8, **sizes, **meta, grid=grid, **options)
            assert not any("host core" in remark for remark in special.compiled.remarks)
            assert special.counters(grid, **sizes) == replace(result.counters, host_instructions=0)


@baco.jit
def used_again(x, w, y, z, R: bl.constexpr, C: bl.constexpr):
    """A pooled block in a product, a pooled pooled block, and the maxima of a block that the host core made."""
    pixels = bl.load(bl.make_block_ptr(x, (R * R, C), (C, 1), (0, 0), (R * R, C), (1, 0)))
    half = bl.gemmini.max_pool(pixels, (R, R), 2)
    weights = bl.load(bl.make_block_ptr(w, (C, C), (C, 1), (0, 0), (C, C), (1, 0)))
    bl.store(bl.make_block_ptr(y, (R * R // 4, C), (C, 1), (0, 0), (R * R // 4, C), (1, 0)), bl.dot(half, weights))
    quarter = bl.gemmini.max_pool(half, (R // 2, R // 2), 2) + bl.gemmini.max_pool(-pixels, (R, R), 3)
    bl.store(bl.make_block_ptr(z, (R * R // 16, C), (C, 1), (0, 0), (R * R // 16, C), (1, 0)), quarter)


def test_a_pooled_block_can_be_used_again(rng=np.random.default_rng(0)) -> None:  # noqa: B008
    x, w = int8(rng, 64, 8) // 2, int8(rng, 8, 8)
    half = highest(x, (8, 8), 2, 2, (0, 0))
    quarter = highest(half, (4, 4), 2, 2, (0, 0)) + highest(-x, (8, 8), 3, 3, (0, 0))
    for options in ({"hardware": GemminiConfig(dim=4)}, {"backend": "cpu"}):
        y, z = np.zeros((16, 8), np.int32), np.zeros((4, 8), np.int8)
        used_again[(1,)](x, w, y, z, R=8, C=8, **options)
        np.testing.assert_array_equal(y, product(half, w))
        np.testing.assert_array_equal(z, quarter)


@pytest.mark.parametrize(
    ("image", "window", "reason"),
    [
        ((4, 4), (4, 1, 0), "size is 1 to 3 on Gemmini, not 4"),
        ((4, 4), (2, 4, 0), "stride is 1 to 3 on Gemmini, not 4"),
        ((4, 4), (2, 1, 2), "padding 2 must be less than size 2"),
        ((2, 8), (3, 1, 0), "a window of 3x3 does not fit into 2x8 pixels"),
        ((1, 256), (1, 1, 0), "image has 1 to 255 rows and columns, not 1 and 256; pool it in parts"),
        ((3, 5), (2, 1, 0), "an image of 3x5 has 15 pixels, but the block has 16 rows"),
    ],
)
def test_what_cannot_be_pooled(image, window, reason) -> None:
    @baco.jit
    def kernel(x, ROWS: bl.constexpr, IMAGE: bl.constexpr, WINDOW: bl.constexpr):
        block = bl.load(bl.make_block_ptr(x, (ROWS, 4), (4, 1), (0, 0), (ROWS, 4), (1, 0)))
        bl.gemmini.max_pool(block, IMAGE, WINDOW[0], WINDOW[1], WINDOW[2])

    rows = 16 if image == (3, 5) else image[0] * image[1]
    for options in ({}, {"backend": "interpreter"}):
        with pytest.raises(KernelTypeError, match=reason.replace("(", "[(]")):
            kernel[(1,)](np.zeros((rows, 4), np.int8), ROWS=rows, IMAGE=image, WINDOW=window, **options)


@baco.jit
def matmul(
    a, b, c, M, N, K, BM: bl.constexpr, BN: bl.constexpr, BK: bl.constexpr,
    TRANSPOSE: bl.constexpr, DATAFLOW: bl.constexpr, TWICE: bl.constexpr,
):  # fmt: skip
    row, col = bl.program_id(0) * BM, bl.program_id(1) * BN
    acc = bl.zeros((BM, BN), dtype=bl.int32)
    for k in range(0, K, BK):
        if TRANSPOSE[0]:
            x = bl.load(bl.make_block_ptr(a, (K, M), (M, 1), (k, row), (BK, BM), (1, 0)), boundary_check=(0, 1))
        else:
            x = bl.load(bl.make_block_ptr(a, (M, K), (K, 1), (row, k), (BM, BK), (1, 0)), boundary_check=(0, 1))
        if TRANSPOSE[1]:
            y = bl.load(bl.make_block_ptr(b, (N, K), (K, 1), (col, k), (BN, BK), (1, 0)), boundary_check=(0, 1))
        else:
            y = bl.load(bl.make_block_ptr(b, (K, N), (N, 1), (k, col), (BK, BN), (1, 0)), boundary_check=(0, 1))
        acc += bl.gemmini.dot(x, y, transpose_a=TRANSPOSE[0], transpose_b=TRANSPOSE[1], dataflow=DATAFLOW)
        if TWICE:
            acc = bl.gemmini.dot(x, y, acc, TRANSPOSE[0], TRANSPOSE[1])
    bl.store(bl.make_block_ptr(c, (M, N), (N, 1), (row, col), (BM, BN), (1, 0)), acc, boundary_check=(0, 1))


OUTPUT = "output_stationary"


@settings(max_examples=8)
@given(
    sizes=st.tuples(*[st.integers(1, 50)] * 3),
    block=st.sampled_from([(16, 16, 16), (32, 16, 40), (8, 12, 20), (5, 3, 16)]),
    transpose=st.tuples(st.booleans(), st.booleans()),
    dataflow=st.sampled_from([None, "weight_stationary", OUTPUT, OUTPUT]),
    twice=st.booleans(),
    dim=st.sampled_from([4, 8, 16, 32]),
    stages=st.integers(1, 3),
    only_weights=st.booleans(),
)
def test_products_that_say_how(sizes, block, transpose, dataflow, twice: bool, dim: int, stages: int, only_weights: bool) -> None:
    (m, n, k), (bm, bn, bk) = sizes, block
    rng = np.random.default_rng(m * n + k)
    a, b = int8(rng, m, k), int8(rng, k, n)
    given_ = [np.ascontiguousarray(x.T) if swapped else x for x, swapped in zip((a, b), transpose, strict=True)]
    grid, scalars = (baco.cdiv(m, bm), baco.cdiv(n, bn)), {"M": m, "N": n, "K": k}
    meta = {"BM": bm, "BN": bn, "BK": bk, "TRANSPOSE": transpose, "DATAFLOW": dataflow, "TWICE": twice}
    machine = GemminiConfig(dim=dim, weight_stationary_only=only_weights)
    for options in ({"hardware": machine, "num_stages": stages}, {"backend": "cpu"}, {"backend": "interpreter"}):
        c = np.zeros((m, n), np.int32)
        result = matmul[grid](*given_, c, **scalars, **meta, **options)
        np.testing.assert_array_equal(c, product(a, b) * (1 + twice), err_msg=str(options))
        if "hardware" in options:
            special = matmul.warmup(np.int8, np.int8, np.int32, **scalars, **meta, grid=grid, **options)
            assert special.counters(grid, **scalars) == replace(result.counters, host_instructions=0)
            sums_stay = dataflow == OUTPUT and not only_weights and transpose != (False, True)
            assert ("dataflow = 0" in special.asm["instgem"]) == sums_stay
            dropped = [remark for remark in special.compiled.remarks if "is weight-stationary" in remark]
            assert bool(dropped) == (dataflow == OUTPUT and not sums_stay)


def test_sums_that_stay_touch_the_accumulator_once() -> None:
    """The whole depth of 64 streams past: one write for each sum, where keeping weights reads and writes it for every 16."""
    a, b, counted = np.ones((16, 64), np.int8), np.ones((64, 16), np.int8), {}
    for dataflow in ("weight_stationary", OUTPUT):
        c = np.zeros((16, 16), np.int32)
        meta = {"BM": 16, "BN": 16, "BK": 64, "TRANSPOSE": (False, False), "DATAFLOW": dataflow, "TWICE": False}
        counted[dataflow] = matmul[1, 1](a, b, c, 16, 16, 64, **meta).counters.traffic
        assert (c == 64).all()
    writes, reads = (
        [t.writes["accumulator", "outputs"] for t in counted.values()],
        [t.reads["registers", "weights"] for t in counted.values()],
    )
    assert writes == [4 * 256, 256] and reads == [16 * 16 * 64, 0]


def test_the_depth_that_20_bits_hold_is_remarked_on() -> None:
    meta = {"BM": 16, "BN": 16, "TRANSPOSE": (False, False), "DATAFLOW": OUTPUT, "TWICE": False}
    sizes = {"M": 16, "N": 16, "K": 64}
    remarks = [matmul.warmup(np.int8, np.int8, np.int32, **sizes, BK=bk, **meta, grid=(1, 1)).compiled.remarks for bk in (31, 32)]
    assert [any("20 bits wrap at 2**19" in r for r in found) for found in remarks] == [False, True]


@baco.jit
def leaves_twice(a, b, y, z, M: bl.constexpr, K: bl.constexpr, C: bl.constexpr, IMAGE: bl.constexpr):
    x = bl.load(bl.make_block_ptr(a, (M, K), (K, 1), (0, 0), (M, K), (1, 0)))
    w = bl.load(bl.make_block_ptr(b, (K, C), (C, 1), (0, 0), (K, C), (1, 0)))
    acc = bl.dot(x, w, bl.zeros((M, C), bl.int32))
    bl.store(bl.make_block_ptr(y, (M, C), (C, 1), (0, 0), (M, C), (1, 0)), bl.gemmini.requantise(acc, 0.004))
    first = bl.make_block_ptr(z, (M // 2, C), (C, 1), (0, 0), (M // 4, C), (1, 0))
    bl.store(first, bl.gemmini.max_pool(bl.gemmini.requantise(acc, 0.004), IMAGE, 2))
    acc = bl.dot(x, w, acc)
    bl.store(bl.advance(first, (M // 4, 0)), bl.gemmini.max_pool(bl.gemmini.requantise(acc, 0.001), IMAGE, 2))


def test_a_sum_can_leave_more_than_once() -> None:
    rng = np.random.default_rng(1)
    a, b = int8(rng, 32, 20), int8(rng, 20, 12)
    y, z = np.zeros((32, 12), np.int8), np.zeros((16, 12), np.int8)
    result = leaves_twice[(1,)](a, b, y, z, M=32, K=20, C=12, IMAGE=(4, 8))
    sums = product(a, b)
    np.testing.assert_array_equal(y, requantised(sums, 0.004, False))
    halves = [highest(requantised(s, scale, False), (4, 8), 2, 2, (0, 0)) for s, scale in ((sums, 0.004), (2 * sums, 0.001))]
    np.testing.assert_array_equal(z, np.concatenate(halves))
    assert result.counters.instructions["mvin"] == 2
