"""Random kernels on three executors that share no code below the language: the interpreter, the CPU path, and the simulator."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import int8

import baco
import baco.language as bl
from baco.hardware import GemminiConfig

OPERATIONS = 14


def expression(x, y, out, M, N, PROGRAM: bl.constexpr, STEPS: bl.constexpr, BM: bl.constexpr, BN: bl.constexpr):
    row, col = bl.program_id(0) * BM, bl.program_id(1) * BN
    a = bl.load(bl.make_block_ptr(x, (M, N), (N, 1), (row, col), (BM, BN), (1, 0)), boundary_check=(0, 1))
    rows, cols = row + bl.arange(0, BM), col + bl.arange(0, BN)
    inside = (rows[:, None] < M) & (cols[None, :] < N)
    b = bl.load(y + rows[:, None] * N + cols[None, :], mask=inside, other=3)
    values = (a.to(bl.int32), b.to(bl.int32))
    for i in bl.static_range(STEPS):
        op, p, q = PROGRAM[i][0], values[PROGRAM[i][1]], values[PROGRAM[i][2]]
        if op == 0:
            v = p + q
        elif op == 1:
            v = p - 2 * q
        elif op == 2:
            v = p * q
        elif op == 3:
            v = bl.minimum(p, q)
        elif op == 4:
            v = bl.where(p > q, p, q * 3)
        elif op == 5:
            v = p // 7 + q % 5
        elif op == 6:
            v = p ^ ~q
        elif op == 7:
            v = (p >> 3) & (q << 1)
        elif op == 8:
            v = bl.sum(p, axis=1)[:, None] + q
        elif op == 9:
            v = bl.max(p, axis=0)[None, :] - q
        elif op == 10:
            v = bl.dot(p.to(bl.int8), bl.trans(q.to(bl.int8)).to(bl.int8)) + 0 if BM == BN else p - q
        elif op == 11:
            v = p.to(bl.int8).to(bl.int32) + bl.abs(q)
        elif op == 12:
            v = (p * 0.5).to(bl.int32) - (q.to(bl.float32) / 3).to(bl.int8)
        else:
            v = bl.maximum(p, -q) * (rows[:, None] + cols[None, :]).to(bl.int32)
        values = (*values, v)
    bl.store(out + rows[:, None] * N + cols[None, :], values[STEPS + 1], mask=inside)


def matmul(a, b, bias, c, M, N, K, scale, stride_am, stride_ak, stride_bk, stride_bn,
           FORM: bl.constexpr, BM: bl.constexpr, BN: bl.constexpr, BK: bl.constexpr):  # fmt: skip
    row, col = bl.program_id(0) * BM, bl.program_id(1) * BN
    a_ptr = bl.make_block_ptr(a, (M, K), (stride_am, stride_ak), (row, 0), (BM, BK), (1, 0))
    b_ptr = bl.make_block_ptr(b, (K, N), (stride_bk, stride_bn), (0, col), (BK, BN), (1, 0) if FORM[0] == 0 else (0, 1))
    if FORM[1] == 1:
        acc = bl.load(bl.make_block_ptr(bias, (M, N), (0, 1), (row, col), (BM, BN), (1, 0)), boundary_check=(0, 1))
    else:
        acc = bl.zeros((BM, BN), dtype=bl.int32)
    for _ in range(0, K, BK):
        acc += bl.dot(bl.load(a_ptr, boundary_check=(0, 1)), bl.load(b_ptr, boundary_check=(0, 1)))
        a_ptr = bl.advance(a_ptr, (0, BK))
        b_ptr = bl.advance(b_ptr, (BK, 0))
    out = bl.make_block_ptr(c, (M, N), (N, 1), (row, col), (BM, BN), (1, 0))
    if FORM[2] == 0:
        bl.store(out, acc, boundary_check=(0, 1))
    elif FORM[2] == 1:
        bl.store(out, bl.gemmini.requantise(acc, scale, relu=FORM[3] == 1), boundary_check=(0, 1))
    else:
        bl.store(out, bl.maximum(acc >> 7, -100).to(bl.int8), boundary_check=(0, 1))


COMPILED = {f: baco.jit(f) for f in (expression, matmul)}
INTERPRETED = {f: baco.jit(f, interpret=True) for f in (expression, matmul)}


def three_ways(kernel, grid, arguments, output, dim, **meta) -> None:
    """Run a kernel on every executor and compare all words of the output."""
    results = []
    for run in (
        lambda *a: INTERPRETED[kernel][grid](*a, **meta),
        lambda *a: COMPILED[kernel][grid](*a, backend="cpu", **meta),
        lambda *a: COMPILED[kernel][grid](*a, hardware=GemminiConfig(dim=dim), **meta),
    ):
        copies = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
        run(*copies)
        results.append(copies[output])
    np.testing.assert_array_equal(results[0], results[1], err_msg="interpreter and CPU path differ")
    np.testing.assert_array_equal(results[0], results[2], err_msg="interpreter and simulator differ")


@st.composite
def expressions(draw):
    steps = draw(st.integers(1, 6))
    program = tuple((draw(st.integers(0, OPERATIONS - 1)), draw(st.integers(0, i + 1)), draw(st.integers(0, i + 1))) for i in range(steps))
    return program, draw(st.tuples(st.integers(1, 20), st.integers(1, 20))), draw(st.tuples(*[st.sampled_from([4, 7, 8, 16])] * 2))


def check_expression(case, dim) -> None:
    program, (m, n), (bm, bn) = case
    rng = np.random.default_rng(m * 100 + n)
    arguments = [int8(rng, m, n), int8(rng, m, n), np.zeros((m, n), np.int32), m, n]
    grid = (baco.cdiv(m, bm), baco.cdiv(n, bn))
    three_ways(expression, grid, arguments, 2, dim, PROGRAM=program, STEPS=len(program), BM=bm, BN=bn)


def check_matmul(shape, block, form, dim, scale, stages) -> None:
    (m, n, k), (bm, bn, bk) = shape, block
    rng = np.random.default_rng(m * n + k)
    a, b = int8(rng, m, k), int8(rng, k, n)
    b = np.asfortranarray(b) if form[0] else b
    bias = rng.integers(-10000, 10000, n, dtype=np.int32)
    c = np.zeros((m, n), np.int32 if form[2] == 0 else np.int8)
    strides = [s // x.itemsize for x in (a, b) for s in x.strides]
    grid = (baco.cdiv(m, bm), baco.cdiv(n, bn))
    arguments = [a, b, bias, c, m, n, k, scale, *strides]
    three_ways(matmul, grid, arguments, 3, dim, FORM=form, BM=bm, BN=bn, BK=bk, num_stages=stages)


SHAPES = st.tuples(*[st.integers(1, 50)] * 3)
BLOCKS = st.tuples(*[st.sampled_from([4, 8, 16, 24, 32])] * 3)
FORMS = st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 2), st.integers(0, 1))
DIMS = st.sampled_from([4, 8, 16, 32])
SCALES = st.floats(0, 0.125, width=32)
STAGES = st.integers(1, 4)


@settings(max_examples=8)
@given(expressions(), DIMS)
def test_expressions(case, dim) -> None:
    check_expression(case, dim)


@settings(max_examples=8)
@given(SHAPES, BLOCKS, FORMS, DIMS, SCALES, STAGES)
def test_products(shape, block, form, dim, scale, stages) -> None:
    check_matmul(shape, block, form, dim, scale, stages)


@pytest.mark.long
@settings(max_examples=1000)
@given(expressions(), DIMS)
def test_many_expressions(case, dim) -> None:
    check_expression(case, dim)


@pytest.mark.long
@settings(max_examples=1000)
@given(SHAPES, BLOCKS, FORMS, DIMS, SCALES, STAGES)
def test_many_products(shape, block, form, dim, scale, stages) -> None:
    check_matmul(shape, block, form, dim, scale, stages)
