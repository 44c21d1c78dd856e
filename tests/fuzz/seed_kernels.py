"""Kernels that the fuzzer mutates: between them they use every part of the language. SIGNATURES are in the form of `baco compile`."""

import baco
import baco.language as bl


@baco.jit
def matmul(a, b, c, M, N, K, scale, BM: bl.constexpr, BN: bl.constexpr, BK: bl.constexpr, RELU: bl.constexpr = True):
    row = bl.program_id(0) * BM
    col = bl.program_id(1) * BN
    a_ptr = bl.make_block_ptr(a, (M, K), (K, 1), (row, 0), (BM, BK), (1, 0))
    b_ptr = bl.make_block_ptr(b, (K, N), (N, 1), (0, col), (BK, BN), (1, 0))
    acc = bl.zeros((BM, BN), dtype=bl.int32)
    for _ in range(0, K, BK):
        acc += bl.dot(bl.load(a_ptr, boundary_check=(0, 1)), bl.load(b_ptr, boundary_check=(0, 1)))
        a_ptr = bl.advance(a_ptr, (0, BK))
        b_ptr = bl.advance(b_ptr, (BK, 0))
    c_ptr = bl.make_block_ptr(c, (M, N), (N, 1), (row, col), (BM, BN), (1, 0))
    result = acc if c.dtype == bl.int32 else bl.gemmini.requantise(acc, scale, relu=RELU)
    bl.store(c_ptr, result, boundary_check=(0, 1))


@baco.jit
def pointers(a, b, c, M, N, K, BM: bl.constexpr, BN: bl.constexpr, BK: bl.constexpr):
    offs_m = (bl.program_id(0) * BM + bl.arange(0, BM)) % M
    offs_n = bl.program_id(1) * BN + bl.arange(0, BN)
    offs_k = bl.arange(0, BK)
    a_ptrs = a + (offs_m[:, None] * K + offs_k[None, :])
    b_ptrs = b + (offs_k[:, None] * N + offs_n[None, :])
    acc = bl.zeros((BM, BN), dtype=bl.int32)
    for k in range(bl.cdiv(K, BK)):
        left = bl.load(a_ptrs, mask=offs_k[None, :] < K - k * BK, other=0)
        right = bl.load(b_ptrs, mask=(offs_k[:, None] < K - k * BK) & (offs_n[None, :] < N), other=0)
        acc += bl.dot(left, right)
        a_ptrs += BK
        b_ptrs += BK * N
    mask = (offs_m[:, None] < M) & (offs_n[None, :] < N)
    bl.store(c + N * offs_m[:, None] + offs_n[None, :], acc, mask=mask)


@baco.jit
def softmax(x, y, cols, B: bl.constexpr):
    row = bl.program_id(0)
    offs = bl.arange(0, B)
    mask = offs < cols
    values = bl.load(x + row * cols + offs, mask=mask, other=-1e30)
    e = bl.exp(values - bl.max(values, axis=0))
    bl.store(y + row * cols + offs, e / bl.sum(e, axis=0), mask=mask)


@baco.jit
def elementwise(x, y, M, N, BM: bl.constexpr, BN: bl.constexpr):
    p = bl.make_block_ptr(x, (M, N), (N, 1), (0, 0), (BM, BN), (1, 0))
    v = bl.load(p, boundary_check=(0, 1)).to(bl.int32)
    rows = bl.sum(v, axis=1)[:, None]
    w = bl.where(v > 10, bl.minimum(v * 3, 100), -v) - rows // 7 + v % 5 + (v >> 1) * (v & 3)
    w = bl.maximum(w, bl.full((BM, BN), -50, bl.int32)) + bl.max(v)
    bl.store(bl.make_block_ptr(y, (M, N), (N, 1), (0, 0), (BM, BN), (1, 0)), w, boundary_check=(0, 1))


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
    bl.static_assert(B == 4, f"B is {B}")
    bl.store(x, total)
    bl.store(x + 1, squared if limit > 3 else -1)
    bl.store(x + 2, bl.cast(i, bl.int64))


@baco.jit
def descriptors(x, w, y, n, scale, B: bl.constexpr):
    dx = bl.make_tensor_descriptor(x, shape=[n, n], strides=[n, 1], block_shape=[B, B])
    dw = bl.make_tensor_descriptor(w, [n, n], [n, 1], [B, B])
    dy = bl.make_tensor_descriptor(y, [n, n], [n, 1], [B, B])
    hidden = bl.gemmini.requantise(bl.dot(dx.load([0, 0]), dw.load([0, 0])), scale, relu=True)
    dy.store([0, 0], bl.dot(hidden, bl.trans(dw.load([B, 0]))))


SIGNATURES = {
    "matmul": ["*i8", "*i8", "*i8", "i64", "i64", "i64", "fp32", "32", "16", "48"],
    "pointers": ["*i8", "*i8", "*i32", "i64", "i64", "i64", "16", "32", "16"],
    "softmax": ["*fp32", "*fp32", "i64", "32"],
    "elementwise": ["*i8", "*i32", "i64", "i64", "16", "32"],
    "control": ["*i64", "i64", "i64", "4"],
    "descriptors": ["*i8", "*i8", "*i32", "i64", "fp32", "32"],
}
