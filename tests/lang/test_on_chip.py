"""Requantised blocks between two products: in the scratchpad where the scale is a shift, compared with NumPy on every path."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import int8, product

import baco
import baco.language as bl
from baco.hardware import GemminiConfig
from baco.sim import ProgramError, spike

OUTPUT = "output_stationary"


@baco.jit
def chain(
    x, w, v, y, scale,
    M: bl.constexpr, K: bl.constexpr, H: bl.constexpr, N: bl.constexpr, STEP: bl.constexpr,
    SCALE: bl.constexpr, RELU: bl.constexpr, DATAFLOW: bl.constexpr, TRANSPOSE: bl.constexpr,
):  # fmt: skip
    sums = bl.zeros((M, H), bl.int32)
    for k in bl.static_range(0, K, STEP):
        if TRANSPOSE:
            a = bl.load(bl.make_block_ptr(x, (K, M), (M, 1), (k, 0), (STEP, M), (1, 0)))
        else:
            a = bl.load(bl.make_block_ptr(x, (M, K), (K, 1), (0, k), (M, STEP), (1, 0)))
        b = bl.load(bl.make_block_ptr(w, (K, H), (H, 1), (k, 0), (STEP, H), (1, 0)))
        sums = bl.gemmini.dot(a, b, sums, transpose_a=TRANSPOSE, dataflow=DATAFLOW)
    factor = scale if SCALE is None else SCALE
    hidden = bl.gemmini.requantise(sums, factor, relu=RELU)
    out = bl.dot(hidden, bl.load(bl.make_block_ptr(v, (H, N), (N, 1), (0, 0), (H, N), (1, 0))))
    bl.store(bl.make_block_ptr(y, (M, N), (N, 1), (0, 0), (M, N), (1, 0)), out)


def launch(sizes, scale, relu=False, dataflow=OUTPUT, transpose=False, step=None, given_=None, **options):
    """Run the chain; returns the launch's result after comparing it with NumPy."""
    m, k, h, n = sizes
    rng = np.random.default_rng(m * k + n)
    x, w, v = given_ or (int8(rng, m, k), int8(rng, k, h), int8(rng, h, n))
    y = np.zeros((m, n), np.int32)
    meta = {"STEP": step or k, "SCALE": scale, "RELU": relu, "DATAFLOW": dataflow, "TRANSPOSE": transpose}
    result = chain[(1,)](np.ascontiguousarray(x.T) if transpose else x, w, v, y, 0.25, M=m, K=k, H=h, N=n, **meta, **options)
    scaled = product(x, w).astype(np.float32) * np.float32(0.25 if scale is None else scale)
    hidden = np.clip(np.rint(scaled), 0 if relu else -128, 127).astype(np.int8)
    np.testing.assert_array_equal(y, product(hidden, v), err_msg=str(options))
    return result


def remarks(*args, **options) -> list[str]:
    """Why blocks leave the chip."""
    before = set(chain.specialisations)
    launch(*args, **options)
    new = [special for key, special in chain.specialisations.items() if key not in before]
    return [r.split("of a product: ")[1] for special in new for r in special.compiled.remarks if "goes out to DRAM" in r]


@settings(max_examples=6)
@given(
    sizes=st.tuples(*[st.integers(1, 40)] * 4),
    shift=st.sampled_from([0, 1, 2, 6, 8, 15, 17, 31]),
    relu=st.booleans(),
    transpose=st.booleans(),
    dim=st.sampled_from([4, 8, 16, 32]),
    stages=st.integers(1, 3),
)
def test_shifted_blocks_stay(sizes, shift: int, relu: bool, transpose: bool, dim: int, stages: int) -> None:
    machine = GemminiConfig(dim=dim)
    for options in ({"hardware": machine, "num_stages": stages}, {"backend": "cpu"}, {"backend": "interpreter"}):
        result = launch(sizes, 2.0**-shift, relu, transpose=transpose, **options)
        if "hardware" in options:
            m, k, h, n = sizes
            assert result.counters.dram_bytes_written == 4 * m * n
            assert result.counters.dram_bytes_read == m * k + k * h + h * n
            meta = {"STEP": k, "SCALE": 2.0**-shift, "RELU": relu, "DATAFLOW": OUTPUT, "TRANSPOSE": transpose}
            dtypes = (np.int8, np.int8, np.int8, np.int32)
            special = chain.warmup(*dtypes, 0.25, M=m, K=k, H=h, N=n, **meta, grid=(1,), **options)
            assert special.counters((1,), scale=0.25) == replace(result.counters, host_instructions=0)
            assert not any("goes out to DRAM" in r for r in special.compiled.remarks)


def test_ties_are_rounded_to_even_and_large_sums_clamped() -> None:
    """Every sum from -300 to 299, halved: from its own row of x, 1 deep but for a bias of products."""
    wanted = np.arange(-300, 300, dtype=np.int32)
    x = np.stack([wanted // 3, wanted - 2 * (wanted // 3) - wanted // 3, np.ones_like(wanted)], 1).astype(np.int8)
    w = np.array([[3], [1], [0]], np.int8)
    assert (product(x, w)[:, 0] == wanted).all()
    result = launch((600, 3, 1, 1), 0.5, given_=(x, w, np.ones((1, 1), np.int8)))
    assert result.counters.dram_bytes_written == 4 * 600


def test_short_products_change_over_by_themselves() -> None:
    """31 products of int8 always fit the array's 20 bits; of 32 the program has to ask."""
    assert remarks((20, 31, 20, 5), 2.0**-9, dataflow=None) == []
    assert remarks((20, 32, 20, 5), 2.0**-9, dataflow=None)[0].startswith("its product keeps weights in the array")


@pytest.mark.parametrize(
    ("reason", "scale", "options"),
    [
        ("only scales of 1, 1/2, 1/4", 0.3, {}),
        ("only scales of 1, 1/2, 1/4", 2.0, {}),
        ("only scales of 1, 1/2, 1/4", None, {}),
        ("its sums are made by more than one product", 0.25, {"step": 12}),
        ("this hardware writes results to the accumulator only", 0.25, {"hardware": GemminiConfig(weight_stationary_only=True)}),
    ],
)
def test_why_a_block_leaves(reason: str, scale: float | None, options: dict) -> None:
    found = remarks((16, 24, 16, 16), scale, **options)
    assert len(found) == 1 and found[0].startswith(reason)


def test_sums_that_float32_rounds_leave() -> None:
    """2**24 is exceeded only beyond 1024 products, which matters only after shifts of more than 16."""
    assert remarks((4, 1040, 4, 4), 2.0**-16) == []
    assert remarks((4, 1040, 4, 4), 2.0**-17)[0].startswith("sums of 1040 products are rounded to float32")


@pytest.mark.parametrize("dim", [4, 8, 16, 32])
def test_on_spike(dim: int) -> None:
    try:
        spike.find(dim)
    except ProgramError:
        pytest.skip(f"no Spike for DIM {dim}")
    launch((20, 37, 18, 9), 2.0**-7, True, hardware=GemminiConfig(dim=dim), backend="spike")
