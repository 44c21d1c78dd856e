"""The language beyond matrix products: each kernel on the simulator, on the CPU path and interpreted, compared with NumPy."""

import numpy as np
import pytest
from kernels import int8, product, requantised

import baco
import baco.language as bl

BACKENDS = ["functional", "cpu", "interpreter"]
rng = np.random.default_rng(0)


@baco.jit
def pointer_matmul(a, b, c, M, N, K, stride_am, stride_ak, stride_bk, stride_bn, stride_cm, stride_cn,
                   BM: bl.constexpr, BN: bl.constexpr, BK: bl.constexpr):  # fmt: skip
    offs_m = (bl.program_id(0) * BM + bl.arange(0, BM)) % M
    offs_n = bl.program_id(1) * BN + bl.arange(0, BN)
    offs_k = bl.arange(0, BK)
    a_ptrs = a + (offs_m[:, None] * stride_am + offs_k[None, :] * stride_ak)
    b_ptrs = b + (offs_k[:, None] * stride_bk + offs_n[None, :] * stride_bn)
    acc = bl.zeros((BM, BN), dtype=bl.int32)
    for k in range(bl.cdiv(K, BK)):
        left = bl.load(a_ptrs, mask=offs_k[None, :] < K - k * BK, other=0)
        right = bl.load(b_ptrs, mask=(offs_k[:, None] < K - k * BK) & (offs_n[None, :] < N), other=0)
        acc += bl.dot(left, right)
        a_ptrs += BK * stride_ak
        b_ptrs += BK * stride_bk
    rows = bl.program_id(0) * BM + bl.arange(0, BM)
    mask = (rows[:, None] < M) & (offs_n[None, :] < N)
    bl.store(c + stride_cm * rows[:, None] + stride_cn * offs_n[None, :], acc, mask=mask)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("transposed", [False, True])
def test_raw_pointers_masks_and_modulo(backend, transposed) -> None:
    m, k, n = 37, 40, 21
    a, b, c = int8(rng, m, k), int8(rng, k, n), np.zeros((m, n), np.int32)
    b = np.asfortranarray(b) if transposed else b
    strides = [s // x.itemsize for x in (a, b, c) for s in x.strides]
    pointer_matmul[(3, 2)](a, b, c, m, n, k, *strides, BM=16, BN=16, BK=16, backend=backend)
    np.testing.assert_array_equal(c, product(a, b))


@baco.jit
def add(x, y, z, n, scale, B: bl.constexpr):
    offs = bl.program_id(0) * B + bl.arange(0, B)
    mask = offs < n
    bl.store(z + offs, bl.load(x + offs, mask=mask) * scale + bl.load(y + offs, mask=mask, other=1.0), mask=mask)


@pytest.mark.parametrize("backend", BACKENDS)
def test_vectors_of_floats(backend) -> None:
    x, y = rng.standard_normal((2, 100)).astype(np.float32)
    z = np.zeros(100, np.float32)
    add[(4,)](x, y, z, 100, 0.5, B=32, backend=backend)
    np.testing.assert_allclose(z, x * np.float32(0.5) + y, rtol=1e-6)


@baco.jit
def softmax(x, y, cols, B: bl.constexpr):
    row = bl.program_id(0)
    offs = bl.arange(0, B)
    mask = offs < cols
    values = bl.load(x + row * cols + offs, mask=mask, other=-1e30)
    e = bl.exp(values - bl.max(values, axis=0))
    bl.store(y + row * cols + offs, e / bl.sum(e, axis=0), mask=mask)


@pytest.mark.parametrize("backend", BACKENDS)
def test_softmax(backend) -> None:
    x = rng.standard_normal((5, 23)).astype(np.float32) * 4
    y = np.zeros_like(x)
    softmax[(5,)](x, y, 23, B=32, backend=backend)
    e = np.exp(x - x.max(1, keepdims=True))
    np.testing.assert_allclose(y, e / e.sum(1, keepdims=True), rtol=1e-5)


@baco.jit
def elementwise(x, y, M, N, BM: bl.constexpr, BN: bl.constexpr):
    p = bl.make_block_ptr(x, (M, N), (N, 1), (0, 0), (BM, BN), (1, 0))
    v = bl.load(p, boundary_check=(0, 1)).to(bl.int32)
    rows = bl.sum(v, axis=1)[:, None]
    w = bl.where(v > 10, bl.minimum(v * 3, 100), -v) - rows // 7 + v % 5 + (v >> 1) * (v & 3)
    w = bl.maximum(w, bl.full((BM, BN), -50, bl.int32)) + bl.max(v)
    bl.store(bl.make_block_ptr(y, (M, N), (N, 1), (0, 0), (BM, BN), (1, 0)), w, boundary_check=(0, 1))


@pytest.mark.parametrize("backend", BACKENDS)
def test_integer_expressions(backend) -> None:
    x, y = int8(rng, 13, 30), np.zeros((13, 30), np.int32)
    elementwise[(1,)](x, y, 13, 30, BM=16, BN=32, backend=backend)
    v = np.zeros((16, 32), np.int32)
    v[:13, :30] = x
    w = np.where(v > 10, np.minimum(v * 3, 100), -v) - v.sum(1, keepdims=True) // 7 + v % 5 + (v >> 1) * (v & 3)
    np.testing.assert_array_equal(y, (np.maximum(w, -50) + v.max())[:13, :30])


@baco.jit
def square(v):
    return v * v


@baco.jit
def both(v, w, K: bl.constexpr):
    total = v + w
    for i in bl.static_range(K):
        total = total + i
    return total, square(v)


@baco.jit
def control(x, n, limit, B: bl.constexpr):
    if n > 5:
        step = 3
        extra = n
    else:
        step = 7
        extra = 0
    i, hits = 0, 0
    while i < limit and hits < 100:
        if i % 2 == 0 or i > 10:
            hits += 1
        i += step
    total, squared = both(hits, extra, K=4)
    bl.store(x, total)
    bl.store(x + 1, squared if limit > 3 else -1)
    bl.store(x + 2, i)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("n", "limit"), [(9, 40), (2, 40), (9, 2), (5, 0)])
def test_scalars_branches_loops_and_device_functions(backend, n, limit) -> None:
    x = np.zeros(3, np.int64)
    control[(1,)](x, n, limit, B=4, backend=backend)
    step, extra = (3, n) if n > 5 else (7, 0)
    i = hits = 0
    while i < limit and hits < 100:
        hits += i % 2 == 0 or i > 10
        i += step
    assert x.tolist() == [hits + extra + 6, hits * hits if limit > 3 else -1, i]


@baco.jit
def back_to_back(x, w1, w2, y, n, scale, B: bl.constexpr):
    a = bl.load(bl.make_block_ptr(x, (n, n), (n, 1), (0, 0), (B, B), (1, 0)))
    b = bl.load(bl.make_block_ptr(w1, (n, n), (n, 1), (0, 0), (B, B), (1, 0)))
    hidden = bl.gemmini.requantise(bl.dot(a, b), scale, relu=True)
    c = bl.load(bl.make_block_ptr(w2, (n, n), (n, 1), (0, 0), (B, B), (1, 0)))
    bl.store(bl.make_block_ptr(y, (n, n), (n, 1), (0, 0), (B, B), (1, 0)), bl.dot(hidden, bl.trans(c)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_products_back_to_back_and_a_transposed_operand(backend) -> None:
    x, w1, w2 = (int8(rng, 32, 32) for _ in range(3))
    y = np.zeros((32, 32), np.int32)
    back_to_back[(1,)](x, w1, w2, y, 32, 0.01, B=32, backend=backend)
    np.testing.assert_array_equal(y, product(requantised(product(x, w1), 0.01, relu=True), w2.T))


@baco.jit
def float_matmul(a, b, c, n, B: bl.constexpr):
    acc = bl.zeros((B, B), dtype=bl.float32)
    for k in range(0, n, B):
        left = bl.load(bl.make_block_ptr(a, (B, n), (n, 1), (0, k), (B, B), (1, 0)))
        acc += bl.dot(left, bl.load(bl.make_block_ptr(b, (n, B), (B, 1), (k, 0), (B, B), (1, 0))))
    bl.store(bl.make_block_ptr(c, (B, B), (B, 1), (0, 0), (B, B), (1, 0)), bl.sqrt(bl.abs(acc)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_float_products_run_on_the_host(backend) -> None:
    a, b = rng.standard_normal((8, 24)).astype(np.float32), rng.standard_normal((24, 8)).astype(np.float32)
    c = np.zeros((8, 8), np.float32)
    float_matmul[(1,)](a, b, c, 24, B=8, backend=backend)
    np.testing.assert_allclose(c, np.sqrt(np.abs(a @ b)), rtol=1e-3)


@baco.jit
def batched(a, b, c, n, B: bl.constexpr):
    batch = bl.program_id(0) * n * n
    left = bl.load(bl.make_block_ptr(a + batch, (n, n), (n, 1), (0, 0), (B, B), (1, 0)), boundary_check=(0, 1))
    right = bl.load(bl.make_block_ptr(b + batch, (n, n), (n, 1), (0, 0), (B, B), (1, 0)), boundary_check=(0, 1))
    bl.store(bl.make_block_ptr(c + batch, (n, n), (n, 1), (0, 0), (B, B), (1, 0)), bl.dot(left, right), boundary_check=(0, 1))


@pytest.mark.parametrize("backend", BACKENDS)
def test_batches_by_moving_the_base_pointer(backend) -> None:
    a, b = int8(rng, 3, 13, 13), int8(rng, 3, 13, 13)
    c = np.zeros((3, 13, 13), np.int32)
    batched[(3,)](a, b, c, 13, B=16, backend=backend)
    np.testing.assert_array_equal(c, product(a, b))


@baco.jit
def running_max(x, y, n, B: bl.constexpr):
    highest = bl.full((B,), -128, bl.int8)
    for i in range(n):
        row = bl.load(x + i * B + bl.arange(0, B))
        highest = bl.maximum(highest, row)
        bl.store(y + i * B + bl.arange(0, B), highest)


@pytest.mark.parametrize("backend", BACKENDS)
def test_blocks_carried_around_a_loop(backend) -> None:
    x, y = int8(rng, 6, 16), np.zeros((6, 16), np.int8)
    running_max[(1,)](x, y, 6, B=16, backend=backend)
    np.testing.assert_array_equal(y, np.maximum.accumulate(x, axis=0))


def test_remarks_name_the_lines_of_the_host() -> None:
    special = elementwise.warmup(np.int8, np.int32, 13, 30, BM=16, BN=32)
    remarks = special.compiled.remarks
    lines = {int(r.split(":")[1]) for r in remarks}
    first = elementwise.function.__code__.co_firstlineno
    assert first + 5 in lines and all(__file__ in r for r in remarks)
    # The array transposes an operand itself; the hidden block's scale is a run-time value, so it leaves the chip.
    (remark,) = back_to_back.warmup(*[np.int8] * 3, np.int32, 32, 0.5, B=32).remarks
    assert f":{back_to_back.function.__code__.co_firstlineno + 4}:" in remark and "goes out to DRAM" in remark


@baco.jit
def flags_and_tuples(y, n, limit, KEEP: bl.constexpr):
    found, where, place = False, (0, 0), KEEP
    for i in range(n):
        place = KEEP
        if i * i > limit:
            if not found:
                where = (i, i * i)
            found = True
    at, steps = (1, where), 0
    while at[0] < limit:
        at, steps = (at[0] * 3, (at[1][1], at[0])), steps + 1
    bl.store(y, 1 if found else 0)
    bl.store(y + 1, at[0] * 1000 + at[1][0] + (steps if place == "keep" else 0))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("n", "limit"), [(9, 20), (3, 20), (9, 1)])
def test_booleans_and_tuples_that_loops_and_branches_change(backend, n, limit) -> None:
    y = np.zeros(2, np.int64)
    flags_and_tuples[(1,)](y, n, limit, KEEP="keep", backend=backend)
    first = next(((i, i * i) for i in range(n) if i * i > limit), None)
    at, steps = (1, first or (0, 0)), 0
    while at[0] < limit:
        at, steps = (at[0] * 3, (at[1][1], at[0])), steps + 1
    assert y.tolist() == [first is not None, at[0] * 1000 + at[1][0] + steps]


@baco.jit
def rows_of_sums(x, w, y, n, ROWS: bl.constexpr, B: bl.constexpr):
    sums = ()
    for _ in bl.static_range(ROWS):
        sums = (*sums, bl.zeros((B, B), dtype=bl.int32))
    for k in range(0, n, B):
        right = bl.load(bl.make_block_ptr(w, (n, B), (B, 1), (k, 0), (B, B), (1, 0)))
        more = ()
        for r in bl.static_range(ROWS):
            left = bl.load(bl.make_block_ptr(x, (ROWS * B, n), (n, 1), (r * B, k), (B, B), (1, 0)))
            more = (*more, bl.dot(left, right, sums[r]))
        sums = more
    for r in bl.static_range(ROWS):
        bl.store(bl.make_block_ptr(y, (ROWS * B, B), (B, 1), (r * B, 0), (B, B), (1, 0)), sums[r])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_tuple_of_blocks_around_a_loop(backend) -> None:
    x, w, y = int8(rng, 24, 16), int8(rng, 16, 8), np.zeros((24, 8), np.int32)
    rows_of_sums[(1,)](x, w, y, 16, ROWS=3, B=8, backend=backend)
    np.testing.assert_array_equal(y, product(x, w))
    assert rows_of_sums.warmup(np.int8, np.int8, np.int32, 16, ROWS=3, B=8).compiled.remarks == ()


@baco.jit
def prints(x, n, B: bl.constexpr):
    v = bl.load(x + bl.arange(0, B))
    bl.device_print("v:", v)
    bl.device_print("n:", n, bl.sum(v.to(bl.float32)) / 4)


@pytest.mark.parametrize("backend", [*BACKENDS, "interpreter"])
def test_device_print_says_instance_and_place(backend, capsys) -> None:
    prints[(2,)](np.array([1, -128], np.int8), -77, B=2, backend=backend)
    first = ["pid (0, 0, 0) idx (0) v: 1", "pid (0, 0, 0) idx (1) v: -128"]
    rest = ["pid (0, 0, 0) idx () n: -77", "pid (0, 0, 0) idx () n: -3.175000e+01"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [*first, *rest]
    assert lines[4:] == [line.replace("(0, 0, 0)", "(1, 0, 0)") for line in [*first, *rest]]


@baco.jit
def window(x, y, top, left, n, B: bl.constexpr):
    p = bl.make_block_ptr(x, (n, n), (n, 1), (top, left), (B, B), (1, 0))
    block = bl.load(p, boundary_check=(0, 1))
    rows, cols = bl.arange(0, B)[:, None], bl.arange(0, B)[None, :]
    masked = bl.load(x + (top + rows) * n + (left + cols), mask=(cols >= -left) & (cols < n - left) & (rows >= -top) & (rows < n - top))
    out = bl.make_block_ptr(y, (B, 2 * B), (2 * B, 1), (0, 0), (B, B), (1, 0))
    identity = (rows == cols).to(bl.int8)
    bl.store(out, bl.dot(identity, block))
    bl.store(bl.advance(out, (0, B)), bl.dot(identity, masked))


@pytest.mark.parametrize("backend", [*BACKENDS, "interpreter"])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (-3, 0), (0, -5), (-7, -9), (9, -2), (-16, 3)])
def test_blocks_that_hang_over_any_edge(backend, top, left) -> None:
    x, y = int8(rng, 20, 20), np.zeros((16, 32), np.int32)
    window[(1,)](x, y, top, left, 20, B=16, backend=backend)
    padded = np.pad(x, 16)[16 + top : 32 + top, 16 + left : 32 + left]
    np.testing.assert_array_equal(y, np.hstack([padded, padded]))


@baco.jit
def fibonacci(x, y, n, B: bl.constexpr):
    a, b = bl.load(x + bl.arange(0, B)), bl.load(y + bl.arange(0, B))
    for _ in range(n):
        a, b = b, a + b
    p, q = a, b
    for _ in range(n):
        p, q = q, p
    bl.store(x + bl.arange(0, B), p)
    bl.store(y + bl.arange(0, B), q)


@pytest.mark.parametrize("backend", [*BACKENDS, "interpreter"])
@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_carried_blocks_may_change_places(backend, n) -> None:
    x, y = rng.integers(-9, 9, (2, 8), dtype=np.int32)
    a, b = x.copy(), y.copy()
    for _ in range(n):
        a, b = b, a + b
    p, q = (b, a) if n % 2 else (a, b)
    fibonacci[(1,)](x, y, n, B=8, backend=backend)
    np.testing.assert_array_equal(np.stack([x, y]), np.stack([p, q]))
