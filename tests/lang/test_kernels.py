"""Kernels run on the functional simulator and compared with NumPy in every element."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import example, int8, product, requantised

import baco
import baco.language as bl
from baco.hardware import GemminiConfig

matmul = example("01_matmul")
SHAPES = [(1, 1, 1), (7, 13, 5), (64, 64, 64), (100, 200, 300), (512, 512, 512)]


@pytest.mark.parametrize("dim", [4, 8, 16, 32])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_matmul_equals_numpy(shape: tuple[int, int, int], dim: int) -> None:
    m, k, n = shape
    rng = np.random.default_rng(dim)
    a, b = int8(rng, m, k), int8(rng, k, n)
    sums, bytes_ = np.zeros((m, n), np.int32), np.zeros((m, n), np.int8)
    config = GemminiConfig(dim=dim)
    matmul.launch(a, b, sums, hardware=config)
    np.testing.assert_array_equal(sums, product(a, b))
    matmul.launch(a, b, bytes_, scale=0.004, relu=True, hardware=config)
    np.testing.assert_array_equal(bytes_, requantised(product(a, b), 0.004, relu=True))


@settings(max_examples=25)
@given(
    shape=st.tuples(*[st.integers(1, 70)] * 3),
    block=st.tuples(*[st.integers(1, 48)] * 3),
    dim=st.sampled_from([2, 4, 8, 16, 32]),
    scale=st.floats(0, 0.125, width=32),
    relu=st.booleans(),
)
def test_any_shape_any_block(shape, block, dim, scale, relu) -> None:
    m, k, n = shape
    rng = np.random.default_rng(0)
    a, b, c = int8(rng, m, k), int8(rng, k, n), np.zeros((m, n), np.int8)
    matmul.launch(a, b, c, scale=scale, relu=relu, block=block, hardware=GemminiConfig(dim=dim))
    np.testing.assert_array_equal(c, requantised(product(a, b), scale, relu))


def test_runs_on_torch_tensors_and_strided_views() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    big = int8(rng, 40, 90)
    a, b = big[3:30:2, 5:45], torch.from_numpy(int8(rng, 40, 24))
    out = torch.full((20, 30), 7, dtype=torch.int32)
    c = out[2:16, 3:27]
    m, k, n = 14, 40, 24
    args = (a, b, c, m, n, k, a.strides[0], 1, b.stride(0), 1, c.stride(0), 1, 1.0)
    matmul.matmul[(1, 1)](*args, BLOCK_M=16, BLOCK_N=32, BLOCK_K=48)
    np.testing.assert_array_equal(c.numpy(), product(a, b.numpy()))
    assert (out[:2] == 7).all() and (out[16:] == 7).all() and (out[:, :3] == 7).all() and (out[:, 27:] == 7).all()


@baco.jit
def with_descriptors(a, b, c, M, N, K, BM: bl.constexpr, BN: bl.constexpr, BK: bl.constexpr):
    a_desc = bl.make_tensor_descriptor(a, shape=[M, K], strides=[K, 1], block_shape=[BM, BK])
    b_desc = bl.make_tensor_descriptor(b, shape=[K, N], strides=[N, 1], block_shape=[BK, BN])
    c_desc = bl.make_tensor_descriptor(c, shape=[M, N], strides=[N, 1], block_shape=[BM, BN])
    # One dimension of the grid, taken apart by integer arithmetic.
    columns = bl.cdiv(N, BN)
    i = (bl.program_id(0) // columns) * BM
    j = (bl.program_id(0) % columns) * BN
    acc = bl.zeros((BM, BN), dtype=bl.int32)
    for k in range(bl.cdiv(K, BK)):
        acc = bl.dot(a_desc.load([i, k * BK]), b_desc.load([k * BK, j]), acc)
    c_desc.store([i, j], acc)


def test_tensor_descriptors_and_grid_function() -> None:
    rng = np.random.default_rng(2)
    m, k, n = 37, 50, 45
    a, b, c = int8(rng, m, k), int8(rng, k, n), np.zeros((m, n), np.int32)
    seen = {}

    def grid(meta):
        seen.update(meta)
        return (baco.cdiv(m, meta["BM"]) * baco.cdiv(n, meta["BN"]),)

    with_descriptors[grid](a, b, c, m, n, k, BM=16, BN=32, BK=16)
    np.testing.assert_array_equal(c, product(a, b))
    assert seen["BM"] == 16 and seen["M"] == 37


@baco.jit
def dot_with_acc(a, b, c, n, B: bl.constexpr):
    acc = bl.zeros((B, B), dtype=bl.int32)
    acc = bl.dot(bl.load(bl.make_block_ptr(a, (n, n), (n, 1), (0, 0), (B, B), (1, 0))),
                 bl.load(bl.make_block_ptr(b, (n, n), (n, 1), (0, 0), (B, B), (1, 0))), acc)  # fmt: skip
    bl.store(bl.make_block_ptr(c, (n, n), (n, 1), (0, 0), (B, B), (1, 0)), acc)


@baco.jit
def dot_added(a, b, c, n, B: bl.constexpr):
    acc = bl.zeros((B, B), dtype=bl.int32)
    acc += bl.dot(bl.load(bl.make_block_ptr(a, (n, n), (n, 1), (0, 0), (B, B), (1, 0))),
                  bl.load(bl.make_block_ptr(b, (n, n), (n, 1), (0, 0), (B, B), (1, 0))))  # fmt: skip
    bl.store(bl.make_block_ptr(c, (n, n), (n, 1), (0, 0), (B, B), (1, 0)), acc)


def test_both_forms_of_dot_are_the_same() -> None:
    texts = [k.warmup(np.int8, np.int8, np.int32, 32, B=32).asm["baco"] for k in (dot_with_acc, dot_added)]
    assert texts[0].replace("dot_with_acc", "dot_added") == texts[1]


@baco.jit
def copy_twice(x, y, n, B: bl.constexpr):
    bl.store(
        bl.make_block_ptr(y, (n, n), (n, 1), (0, 0), (B, B), (1, 0)), bl.load(bl.make_block_ptr(x, (n, n), (n, 1), (0, 0), (B, B), (1, 0)))
    )
    # Reads what the line above stored: the hardware does not order this by itself.
    bl.store(
        bl.make_block_ptr(y, (n, n), (n, 1), (B, B), (B, B), (1, 0)), bl.load(bl.make_block_ptr(y, (n, n), (n, 1), (0, 0), (B, B), (1, 0)))
    )


def test_a_load_after_a_store_to_the_same_array_waits() -> None:
    x = int8(np.random.default_rng(3), 16, 16)
    y = np.zeros((16, 16), np.int8)
    copy_twice[(1,)](x, y, 16, B=8)
    np.testing.assert_array_equal(y[:8, :8], x[:8, :8])
    np.testing.assert_array_equal(y[8:, 8:], x[:8, :8])
    assert copy_twice.warmup(np.int8, np.int8, 16, B=8).asm["instgem"].count("instgem.fence") >= 1


def test_warmup_compiles_once_and_holds_every_stage() -> None:
    first = dot_added.warmup(np.int8, np.int8, np.int32, 16, B=16)
    assert list(first.asm) == ["baco", "linalg", "instgem", "llvm", "riscv", "elf"]
    assert first.asm["elf"][:4] == b"\x7fELF"
    assert dot_added.warmup(np.int8, np.int8, np.int32, 16, B=16) is first
    assert dot_added.warmup(np.int8, np.int8, np.int32, 16, B=16, hardware=GemminiConfig(dim=8)) is not first


def test_counters_follow_the_instructions() -> None:
    a, b, c = np.ones((32, 32), np.int8), np.ones((32, 32), np.int8), np.zeros((32, 32), np.int32)
    counters = matmul.launch(a, b, c, block=(32, 32, 32)).counters
    assert counters.traffic.macs == 32**3
    assert (
        counters.instructions["preload"] == 8 == counters.instructions["compute_preloaded"] + counters.instructions["compute_accumulated"]
    )
    assert counters.instructions["compute_preloaded"] == 4
    assert counters.traffic.reads["dram", "inputs"] == counters.traffic.reads["dram", "weights"] == 32 * 32
