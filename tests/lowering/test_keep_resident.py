"""Blocks that stay on the chip while program instances use them again, and the order in which those run."""

import sys
from dataclasses import replace
from math import gcd
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import baco
import baco.language as bl
from baco.hardware import GemminiConfig
from baco.lang.errors import LaunchError

sys.path.append(str(Path(__file__).parents[1] / "lang"))

from kernels import example, int8, product

matmul = example("01_matmul")


def bytes_read(sizes: tuple, block: tuple, order: tuple, stages: int, config: GemminiConfig) -> int:
    """DRAM bytes that a product reads, counted block by block: one that stays is read once, another for each instance that uses it."""
    (m, n, k), (bm, bn, bk) = sizes, block
    across, down, deep = baco.cdiv(m, bm), baco.cdiv(n, bn), baco.cdiv(k, bk)
    rows = {"a": bm * baco.cdiv(bk, config.dim), "b": bk * baco.cdiv(bn, config.dim)}
    left = config.scratchpad_rows - stages * sum(rows.values())
    # The panel of the outer axis comes first; the other has all its panels side by side.
    first, second = ("b", "a") if order[0] == 0 else ("a", "b")
    uses, panels = {"a": down, "b": across}, {"a": across, "b": down}
    blocks = {first: deep if uses[first] > 1 else 0, second: deep * panels[second] if uses[second] > 1 else 0}
    sharing = [name for name in (first, second) if rows[name] <= left]
    unit = gcd(*(rows[name] for name in sharing)) if sharing else 1
    stays = dict.fromkeys("ab", 0)
    for name in sharing:
        stays[name] = min(blocks[name], left // unit * unit // rows[name])
        left = left // unit * unit - stays[name] * rows[name]

    def number(name: str, outer: int, depth: int) -> int:
        return depth if name == first else outer * deep + depth

    total = 0
    for depth in range(deep):
        width = min(bk, k - depth * bk)
        for i in range(across):
            times = 1 if number("a", i, depth) < stays["a"] else uses["a"]
            total += min(bm, m - i * bm) * width * times
        for j in range(down):
            times = 1 if number("b", j, depth) < stays["b"] else uses["b"]
            total += min(bn, n - j * bn) * width * times
    return total


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.tuples(*[st.integers(1, 70)] * 3),
    block=st.sampled_from([(8, 8, 8), (16, 8, 24), (12, 32, 20), (32, 16, 16)]),
    order=st.sampled_from([(0, 1), (1, 0)]),
    stages=st.integers(1, 3),
    dim=st.sampled_from([4, 16]),
    scratchpad_rows=st.sampled_from([256, 512, 4096]),
)
def test_what_stays_is_read_once(sizes, block, order, stages: int, dim: int, scratchpad_rows: int) -> None:
    m, n, k = sizes
    rng = np.random.default_rng(m * n * k)
    a, b, c = int8(rng, m, k), int8(rng, k, n), np.zeros((m, n), np.int32)
    config = GemminiConfig(dim=dim, scratchpad_bytes=scratchpad_rows * dim)
    options = {"block": block, "hardware": config, "num_stages": stages, "grid_order": order}
    counted = matmul.launch(a, b, c, **options).counters
    assert (c == product(a, b)).all()
    assert counted.dram_bytes_read == bytes_read(sizes, block, order, stages, config)
    c[...] = 0
    again = matmul.launch(a, b, c, keep_resident=False, **options).counters
    assert (c == product(a, b)).all()
    assert again.dram_bytes_read == m * k * baco.cdiv(n, block[1]) + k * n * baco.cdiv(m, block[0])
    meta = dict(zip(("BLOCK_M", "BLOCK_N", "BLOCK_K"), block, strict=True))
    strides = {"stride_am": k, "stride_ak": 1, "stride_bk": n, "stride_bn": 1, "stride_cm": n, "stride_cn": 1}
    scalars = {"M": m, "N": n, "K": k, **strides, "scale": 1.0}
    del options["block"]
    special = matmul.matmul.warmup(np.int8, np.int8, np.int32, **scalars, **meta, **options)
    assert special.counters((baco.cdiv(m, block[0]), baco.cdiv(n, block[1])), **scalars) == replace(counted, host_instructions=0)


@baco.jit
def batched(a, b, c, n, N: bl.constexpr, B: bl.constexpr):
    i, j, batch = bl.program_id(0), bl.program_id(1), bl.program_id(2)
    acc = bl.zeros((B, B), dtype=bl.int32)
    for k in range(0, N, B):
        x = bl.make_block_ptr(a + batch * n * n, (n, n), (n, 1), (i * B, k), (B, B), (1, 0))
        y = bl.make_block_ptr(b, (n, n), (n, 1), (k, j * B), (B, B), (1, 0))
        acc += bl.dot(bl.load(x), bl.load(y))
    bl.store(bl.make_block_ptr(c + batch * n * n, (n, n), (n, 1), (i * B, j * B), (B, B), (1, 0)), acc)


@pytest.mark.parametrize(
    ("order", "a_times", "b_times"),
    [((2, 1, 0), 1, 4), ((0, 1, 2), 1, 4), ((2, 0, 1), 1, 1), ((1, 0, 2), 1, 1)],
)
def test_loads_stay_over_the_innermost_axes_that_do_not_change_them(order: tuple, a_times: int, b_times: int) -> None:
    """Four batches share the right operand, which stays over neighbouring axes, but not around one that changes it."""
    rng = np.random.default_rng(0)
    a, b, c = int8(rng, 4, 64, 64), int8(rng, 64, 64), np.zeros((4, 64, 64), np.int32)
    read = batched[4, 4, 4](a, b, c, 64, 64, 16, grid_order=order).counters.dram_bytes_read
    assert (c == product(a, b)).all()
    assert read == a_times * a.nbytes + b_times * b.nbytes


@baco.jit
def rows(a, b, c, M, N, K, B: bl.constexpr, DEPTH: bl.constexpr):
    i = bl.program_id(0)
    for j in range(0, N, B):
        acc = bl.zeros((B, B), dtype=bl.int32)
        for k in range(0, DEPTH if DEPTH else K, B):
            x = bl.make_block_ptr(a, (M, K), (K, 1), (i * B, k), (B, B), (1, 0))
            y = bl.make_block_ptr(b, (K, N), (N, 1), (k, j), (B, B), (1, 0))
            acc += bl.dot(bl.load(x, boundary_check=(0, 1)), bl.load(y, boundary_check=(0, 1)))
        bl.store(bl.make_block_ptr(c, (M, N), (N, 1), (i * B, j), (B, B), (1, 0)), acc, boundary_check=(0, 1))


@pytest.mark.parametrize("stages", [1, 2])
@pytest.mark.parametrize(("depth", "known"), [(40, False), (40, True), (10, True)], ids=["unknown", "known", "one block, cut short"])
def test_loops_of_a_kernel_are_as_good_as_axes(depth: int, known: bool, stages: int) -> None:
    """Left blocks stay while the kernel goes along its columns, and all right blocks from one row of blocks to the next."""
    rng = np.random.default_rng(0)
    a, b, c = int8(rng, 40, depth), int8(rng, depth, 50), np.zeros((40, 50), np.int32)
    read = rows[3,](a, b, c, 40, 50, depth, B=16, DEPTH=depth if known else 0, num_stages=stages).counters.dram_bytes_read
    assert (c == product(a, b)).all()
    assert read == a.nbytes + b.nbytes


@baco.jit
def add_bias(x, bias, y, n, B: bl.constexpr):
    i, j = bl.program_id(0), bl.program_id(1)
    block = bl.load(bl.make_block_ptr(bias, (B, n), (n, 1), (0, j * B), (B, B), (1, 0)))
    weights = bl.load(bl.make_block_ptr(x, (n, B), (B, 1), (i * B, 0), (B, B), (1, 0)))
    bl.store(bl.make_block_ptr(y, (n, n), (n, 1), (i * B, j * B), (B, B), (1, 0)), block)
    bl.store(bl.make_block_ptr(x, (n, B), (B, 1), (i * B, 0), (B, B), (1, 0)), weights)


@pytest.mark.parametrize("stages", [1, 2])
def test_a_block_that_is_only_passed_on_is_read_once(stages: int) -> None:
    """Also where blocks of results take turns in two places; what the kernel itself writes is read each time."""
    rng = np.random.default_rng(0)
    x, bias, y = int8(rng, 64, 16), rng.integers(-99, 99, (16, 64), dtype=np.int32), np.zeros((64, 64), np.int32)
    before = x.copy()
    read = add_bias[4, 4](x, bias, y, 64, 16, num_stages=stages).counters.dram_bytes_read
    assert (y == np.tile(bias, (4, 1))).all() and (x == before).all()
    assert read == bias.nbytes + 4 * x.nbytes


# The order ------------------------------------------------------------------------------------------------------------------------------


@baco.jit
def last_one(out, N: bl.constexpr):
    number = bl.program_id(0) + 10 * bl.program_id(1) + 100 * bl.program_id(2)
    bl.store(out + bl.arange(0, N), bl.zeros((N,), dtype=bl.int32) + bl.cast(number, bl.int32))
    bl.store(out + bl.program_id(0) * N + N, bl.cast(number, bl.int32))


@pytest.mark.parametrize("backend", ["functional", "cpu", "interpreter"])
@pytest.mark.parametrize(("order", "survivor"), [((0, 1, 2), 120), ((1, 0), 120), ((2, 0, 1), 120)])
def test_instances_that_write_the_same_place_run_in_order(backend: str, order: tuple, survivor: int) -> None:
    out = np.zeros(64, np.int32)
    last_one[1, 3, 2](out, 4, grid_order=order, backend=backend)
    assert (out[:4] == survivor).all() and out[4] == survivor


@baco.jit
def in_turn(trace, count):
    at = bl.load(count)
    bl.store(trace + at, bl.program_id(0) + 10 * bl.program_id(1) + 100 * bl.program_id(2))
    bl.store(count, at + 1)


@pytest.mark.parametrize("backend", ["functional", "cpu", "interpreter"])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0), (2, 0, 1), (1, 2, 0)])
def test_the_first_axis_named_runs_innermost(backend: str, order: tuple) -> None:
    trace, count = np.zeros(12, np.int64), np.zeros(1, np.int64)
    in_turn[2, 3, 2](trace, count, grid_order=order, backend=backend)
    sizes, strides, whole = (2, 3, 2), (1, 10, 100), [*order, *(axis for axis in range(3) if axis not in order)]
    expected = [0]
    for axis in whole:
        expected = [place * strides[axis] + inner for place in range(sizes[axis]) for inner in expected]
    assert trace.tolist() == expected


@pytest.mark.parametrize("order", [(1, 1), (1,), (0, 1, 2, 3), "10", (0.0, 1.0), 1])
def test_an_order_that_is_none_is_refused(order) -> None:
    with pytest.raises(LaunchError, match=r"grid_order must be axes of the grid from the innermost on, such as \(1, 0\)"):
        in_turn[2, 3](np.zeros(12, np.int64), np.zeros(1, np.int64), grid_order=order)


def test_a_configuration_chooses_the_order() -> None:
    config = baco.Config({"B": 16}, grid_order=(1, 0), keep_resident=False)
    assert config.all_kwargs() == {"B": 16, "num_stages": 1, "grid_order": (1, 0), "keep_resident": False}
    assert config.to_source() == "baco.Config({'B': 16}, grid_order=(1, 0), keep_resident=False)"
    with pytest.raises(LaunchError, match="grid_order must be"):
        baco.Config({}, grid_order=(2, 2))
    with pytest.raises(LaunchError, match="keep_resident must be True or False, but is 'no'"):
        baco.Config({}, keep_resident="no")


def test_tuning_compares_orders() -> None:
    """A wide product: with rows innermost the long panels are read once and the few rows stay."""
    configs = [baco.Config({}, grid_order=order, keep_resident=keep) for order in ((0, 1), (1, 0)) for keep in (True, False)]
    tuned = baco.autotune(configs, key=["M", "N", "K"], cache_results=False)(baco.jit(matmul.matmul.function))
    rng = np.random.default_rng(0)
    a, b, c = int8(rng, 32, 64), int8(rng, 64, 96), np.zeros((32, 96), np.int32)
    tuned[2, 6](a, b, c, 32, 96, 64, 64, 1, 96, 1, 96, 1, 1.0, BLOCK_M=16, BLOCK_N=16, BLOCK_K=16)
    assert (c == product(a, b)).all()
    assert tuned.best_config.keep_resident and len(tuned.configs_timings) == 4
