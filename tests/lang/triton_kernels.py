"""Triton kernels in the style of Triton's own tutorials, for the tests of the importer."""

import triton
import triton.language as tl
from triton.language.extra import libdevice


@triton.jit
def add_kernel(x_ptr, y_ptr, output_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    pid = tl.program_id(axis=0)
    offsets = pid * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask)
    y = tl.load(y_ptr + offsets, mask=mask)
    tl.store(output_ptr + offsets, x + y, mask=mask)


@triton.jit
def softmax_kernel(
    output_ptr, input_ptr, input_row_stride, output_row_stride, n_rows, n_cols, BLOCK_SIZE: tl.constexpr, num_stages: tl.constexpr
):
    row_start = tl.program_id(0)
    row_step = tl.num_programs(0)
    for row_idx in tl.range(row_start, n_rows, row_step, num_stages=num_stages):
        col_offsets = tl.arange(0, BLOCK_SIZE)
        mask = col_offsets < n_cols
        row = tl.load(input_ptr + row_idx * input_row_stride + col_offsets, mask=mask, other=-float("inf"))
        numerator = tl.exp(row - tl.max(row, axis=0))
        denominator = tl.sum(numerator, axis=0)
        tl.store(output_ptr + row_idx * output_row_stride + col_offsets, numerator / denominator, mask=mask)


@triton.jit
def relu(x):
    return tl.where(x >= 0, x, 0)


@triton.jit
def matmul_kernel(
    a_ptr, b_ptr, c_ptr, M, N, K, stride_am, stride_ak, stride_bk, stride_bn, stride_cm, stride_cn,
    BLOCK_SIZE_M: tl.constexpr, BLOCK_SIZE_N: tl.constexpr, BLOCK_SIZE_K: tl.constexpr, GROUP_SIZE_M: tl.constexpr,
    ACTIVATION: tl.constexpr,
):  # fmt: skip
    pid = tl.program_id(axis=0)
    num_pid_m = tl.cdiv(M, BLOCK_SIZE_M)
    num_pid_n = tl.cdiv(N, BLOCK_SIZE_N)
    num_pid_in_group = GROUP_SIZE_M * num_pid_n
    group_id = pid // num_pid_in_group
    first_pid_m = group_id * GROUP_SIZE_M
    group_size_m = min(num_pid_m - first_pid_m, GROUP_SIZE_M)
    pid_m = first_pid_m + ((pid % num_pid_in_group) % group_size_m)
    pid_n = (pid % num_pid_in_group) // group_size_m
    tl.assume(pid_m >= 0)

    offs_am = (pid_m * BLOCK_SIZE_M + tl.arange(0, BLOCK_SIZE_M)) % M
    offs_bn = (pid_n * BLOCK_SIZE_N + tl.arange(0, BLOCK_SIZE_N)) % N
    offs_k = tl.arange(0, BLOCK_SIZE_K)
    a_ptrs = a_ptr + (offs_am[:, None] * stride_am + offs_k[None, :] * stride_ak)
    b_ptrs = b_ptr + (offs_k[:, None] * stride_bk + offs_bn[None, :] * stride_bn)
    accumulator = tl.zeros((BLOCK_SIZE_M, BLOCK_SIZE_N), dtype=tl.int32)
    for k in range(0, tl.cdiv(K, BLOCK_SIZE_K)):  # noqa: PIE808  (as the tutorial has it)
        a = tl.load(a_ptrs, mask=offs_k[None, :] < K - k * BLOCK_SIZE_K, other=0)
        b = tl.load(b_ptrs, mask=offs_k[:, None] < K - k * BLOCK_SIZE_K, other=0)
        accumulator = tl.dot(a, b, accumulator)
        a_ptrs += BLOCK_SIZE_K * stride_ak
        b_ptrs += BLOCK_SIZE_K * stride_bk
    if ACTIVATION == "relu":
        accumulator = relu(accumulator)

    offs_cm = pid_m * BLOCK_SIZE_M + tl.arange(0, BLOCK_SIZE_M)
    offs_cn = pid_n * BLOCK_SIZE_N + tl.arange(0, BLOCK_SIZE_N)
    c_ptrs = c_ptr + stride_cm * offs_cm[:, None] + stride_cn * offs_cn[None, :]
    tl.store(c_ptrs, accumulator, mask=(offs_cm[:, None] < M) & (offs_cn[None, :] < N))


@triton.jit
def descriptor_kernel(a_ptr, b_ptr, c_ptr, M, N, K, BLOCK_SIZE_M: tl.constexpr, BLOCK_SIZE_N: tl.constexpr, BLOCK_SIZE_K: tl.constexpr):
    row, column = tl.program_id(0) * BLOCK_SIZE_M, tl.program_id(1) * BLOCK_SIZE_N
    a_desc = tl.make_tensor_descriptor(a_ptr, shape=[M, K], strides=[K, 1], block_shape=[BLOCK_SIZE_M, BLOCK_SIZE_K])
    b_desc = tl.make_tensor_descriptor(b_ptr, shape=[K, N], strides=[N, 1], block_shape=[BLOCK_SIZE_K, BLOCK_SIZE_N])
    c_desc = tl.make_tensor_descriptor(c_ptr, shape=[M, N], strides=[N, 1], block_shape=[BLOCK_SIZE_M, BLOCK_SIZE_N])
    accumulator = tl.zeros((BLOCK_SIZE_M, BLOCK_SIZE_N), dtype=tl.int32)
    for k in range(tl.cdiv(K, BLOCK_SIZE_K)):
        a = a_desc.load([row, k * BLOCK_SIZE_K])
        accumulator = tl.dot(a, b_desc.load([k * BLOCK_SIZE_K, column]), accumulator)
    c_desc.store([row, column], accumulator)


@triton.jit
def masked_matmul_kernel(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    row, column, depth = tl.program_id(0) * BM + tl.arange(0, BM), tl.program_id(1) * BN + tl.arange(0, BN), tl.arange(0, BK)
    a_ptrs = a + row[:, None] * K + depth[None, :]
    b_ptrs = b + depth[:, None] * N + column[None, :]
    accumulator = tl.zeros((BM, BN), dtype=tl.int32)
    for k in range(0, K, BK):
        left = tl.load(a_ptrs, mask=(row[:, None] < M) & (depth[None, :] < K - k), other=0)
        right = tl.load(b_ptrs, mask=(depth[:, None] < K - k) & (column[None, :] < N), other=0)
        accumulator = tl.dot(left, right, accumulator)
        a_ptrs += BK
        b_ptrs += BK * N
    tl.store(c + row[:, None] * N + column[None, :], accumulator, mask=(row[:, None] < M) & (column[None, :] < N))


@triton.jit
def control_kernel(x_ptr, y_ptr, n, stride, BLOCK_SIZE: tl.constexpr):
    pid = tl.program_id(0)
    if pid > 1:
        return
    total = tl.zeros((BLOCK_SIZE,), tl.int32)
    source, k = x_ptr + pid, 0
    while k < n:
        total += tl.load(source + tl.arange(0, BLOCK_SIZE))
        source += stride
        k += 1
    target = y_ptr + pid * n * BLOCK_SIZE
    for j in range(n):
        tl.store(target + tl.arange(0, BLOCK_SIZE), total * j)
        target += BLOCK_SIZE
    if pid == 0:
        tl.store(y_ptr, tl.load(x_ptr))


@triton.jit
def expressions_kernel(x_ptr, y_ptr, scale, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    rows, columns = tl.arange(0, BLOCK_M), tl.arange(0, BLOCK_N)
    x = tl.load(x_ptr + rows[:, None] * BLOCK_N + columns[None, :])
    rescaled = tl.clamp(tl.floor(x.to(tl.float32) * scale + 0.5), -100.0, 100.0)
    y = tl.trans(rescaled.to(tl.int32)) + tl.max(x, axis=1)[None, :] - tl.min(x, axis=0)[:, None]
    y = tl.where(y > 20, y % 7, y // 3) + (tl.sum(x) & 3)
    tl.store(y_ptr + columns[:, None] * BLOCK_M + rows[None, :], y)


@triton.jit
def half_kernel(x_ptr, BLOCK_SIZE: tl.constexpr):
    offsets = tl.arange(0, BLOCK_SIZE)
    x = tl.load(x_ptr + offsets)
    tl.store(x_ptr + offsets, (x.to(tl.float16) * 2).to(tl.float32))


@triton.jit
def library_kernel(x_ptr, BLOCK_SIZE: tl.constexpr):
    tl.store(x_ptr + tl.arange(0, BLOCK_SIZE), libdevice.sinh(tl.load(x_ptr + tl.arange(0, BLOCK_SIZE))))


@triton.jit
def requantised_kernel(a_ptr, b_ptr, c_ptr, scale, BLOCK: tl.constexpr, SCALE: tl.constexpr, RELU: tl.constexpr, HOW: tl.constexpr):
    rows, columns = tl.arange(0, BLOCK)[:, None], tl.arange(0, BLOCK)[None, :]
    acc = tl.dot(tl.load(a_ptr + rows * BLOCK + columns), tl.load(b_ptr + rows * BLOCK + columns))
    if RELU:
        acc = tl.maximum(acc, 0)
    scaled = acc.to(tl.float32) * (scale if SCALE is None else SCALE)
    if HOW == "rint":
        rounded = libdevice.rint(scaled)
    elif HOW == "magic":
        rounded = (scaled + 12582912.0) - 12582912.0
    else:
        rounded = tl.floor(scaled + 0.5)
    tl.store(c_ptr + rows * BLOCK + columns, tl.clamp(rounded, -128.0, 127.0).to(tl.int8))


@triton.jit
def shapes_kernel(x_ptr, y_ptr, count_ptr, BLOCK: tl.constexpr):
    x = tl.load(x_ptr + tl.arange(0, BLOCK))
    even, odd = tl.split(tl.reshape(x, (BLOCK // 2, 2)))
    tl.store(y_ptr + tl.arange(0, BLOCK), tl.interleave(odd, even))
    tl.store(y_ptr + BLOCK, tl.xor_sum(x))
    tl.atomic_add(count_ptr + x % 4, 1)
    tl.atomic_cas(count_ptr + 4, 0, tl.atomic_max(count_ptr + 5, 9))


@triton.jit
def unfit_kernel(x_ptr, BLOCK_SIZE: tl.constexpr):
    tl.store(x_ptr, tl.arange(0, BLOCK_SIZE) + tl.arange(0, 2 * BLOCK_SIZE))
