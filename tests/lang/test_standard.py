"""Triton's standard functions and its names: on the simulator, on the CPU path and interpreted, compared with NumPy."""

import inspect
import math

import numpy as np
import pytest

import baco
import baco.language as bl
from baco import knobs
from baco.lang import standard
from baco.lang.refused import REFUSED

BACKENDS = ["functional", "cpu", "interpreter"]
WIDTH = bl.constexpr(4)
rng = np.random.default_rng(1)


@baco.jit
def put(y, place, value, N: bl.constexpr):
    bl.store(y + place * 64 + bl.arange(0, N), bl.ravel(value).to(bl.int32))
    return place + 1


@baco.jit
def rearranged(x, y, N: bl.constexpr):
    v = bl.load(x + bl.arange(0, N))
    w = bl.reshape(v, (WIDTH, N // WIDTH))
    place = put(y, 0, w.trans(), N)
    place = put(y, place, bl.flip(w, 0), N)
    place = put(y, place, bl.join(v, v + 1)[None, :, :], 2 * N)
    even, odd = bl.split(bl.view(v, N // 2, 2))
    place = put(y, place, bl.cat(odd, even), N)
    place = put(y, place, bl.interleave(odd, even), N)
    place = put(y, place, bl.cat(w, w.flip(), dim=1), 2 * N)
    wide, tall = bl.broadcast(bl.arange(0, 8)[None, :], bl.arange(0, 4)[:, None])
    place = put(y, place, wide * 10 + tall, 32)
    place = put(y, place, bl.squeeze(bl.unsqueeze(w, 1), 1), N)
    index = (v % 8).reshape(N // 8, 8)
    place = put(y, place, bl.gather(bl.reshape(v, N // 8, 8), index, 1), N)
    place = put(y, place, bl.gather(v, v, 0), N)


@pytest.mark.parametrize("backend", BACKENDS)
def test_blocks_in_other_shapes(backend) -> None:
    x = rng.permutation(32).astype(np.int32)
    y = np.zeros((10, 64), np.int32)
    rearranged[(1,)](x, y, N=32, backend=backend)
    w, (even, odd) = x.reshape(4, 8), x.reshape(16, 2).T
    i, j = np.mgrid[:4, :8]
    expected = [
        w.T,
        np.flip(w, 0),
        np.stack([x, x + 1], -1),
        np.r_[odd, even],
        np.stack([odd, even], -1),
        np.hstack([w, np.flip(w, 1)]),
        j * 10 + i,
        w,
        np.take_along_axis(w, w % 8, 1),
        x[x],
    ]
    for row, want in zip(y, expected, strict=True):
        np.testing.assert_array_equal(row[: want.size], want.ravel())


@baco.jit
def first_then_second(a, b):
    return a * 2 + b


@baco.jit
def larger_pair(a, i, b, j):
    left = a >= b
    return bl.where(left, a, b), bl.where(left, i, j)


@baco.jit
def affine(a1, b1, a2, b2):
    return a1 * a2, b1 * a2 + b2


@baco.jit
def reduced(x, y, N: bl.constexpr, K: bl.constexpr):
    v = bl.load(x + bl.arange(0, N * K))
    w = bl.reshape(v, N, K)
    place = put(y, 0, bl.cumsum(w, 1), N * K)
    place = put(y, place, bl.cumsum(w, axis=0, reverse=True), N * K)
    place = put(y, place, bl.cumprod(w % 3 + 1, 1), N * K)
    best, at = bl.max(w, 1, return_indices=True)
    place = put(y, place, best * 100 + at, N)
    place = put(y, place, bl.argmin(w, axis=0, keep_dims=True), K)
    place = put(y, place, bl.full((1,), bl.argmax(w, None), bl.int32), 1)
    place = put(y, place, bl.xor_sum(w, 0), K)
    place = put(y, place, w.reduce_or(1), N)
    place = put(y, place, bl.reduce(w, 0, first_then_second), K)
    _, where = bl.reduce((w, bl.broadcast_to(bl.arange(0, K)[None, :], (N, K))), 1, larger_pair)
    place = put(y, place, where, N)
    _, total = bl.associative_scan((w % 3, w), 1, affine)
    place = put(y, place, total, N * K)
    place = put(y, place, bl.sort(w), N * K)
    place = put(y, place, bl.topk(w, 3), N * 3)
    place = put(y, place, bl.histogram(v, 8, v != 5), 8)
    bl.store(y + place * 64, bl.sum(w, dtype=bl.int64).to(bl.int32))


@pytest.mark.parametrize("backend", BACKENDS)
def test_reductions_scans_and_orders(backend) -> None:
    x = rng.integers(-9, 12, (5, 7), dtype=np.int32)
    y = np.zeros((15, 64), np.int32)
    reduced[(1,)](x, y, N=5, K=7, backend=backend)
    folded = []
    for column in x.T:
        # (x0, x1), (x2, x3) are combined, then those two, then x4.
        a, b = column[0] * 2 + column[1], column[2] * 2 + column[3]
        folded.append((a * 2 + b) * 2 + column[4])
    running = np.zeros_like(x)
    for row, out in zip(x, running, strict=True):
        total = 0
        for k, value in enumerate(row):
            total = out[k] = total * (value % 3) + value
    expected = [
        np.cumsum(x, 1),
        np.cumsum(x[::-1], 0)[::-1],
        np.cumprod(x % 3 + 1, 1),
        x.max(1) * 100 + x.argmax(1),
        x.argmin(0),
        np.array([x.argmax()]),
        np.bitwise_xor.reduce(x, 0),
        np.bitwise_or.reduce(x, 1),
        np.array(folded),
        x.argmax(1),
        running,
        np.sort(x, 1),
        -np.sort(-x, 1)[:, :3],
        np.array([(x[x != 5] == b).sum() for b in range(8)]),
        np.array([x.sum()]),
    ]
    for number, (row, want) in enumerate(zip(y, expected, strict=True)):
        np.testing.assert_array_equal(row[: want.size], want.ravel(), err_msg=str(number))


@baco.jit
def of_floats(x, y, N: bl.constexpr):
    v = bl.load(x + bl.arange(0, N))
    s = y + bl.arange(0, N)
    bl.store(s, bl.erf(v))
    bl.store(s + N, bl.softmax(v.reshape(2, N // 2), 1).ravel())
    bl.store(s + 2 * N, bl.math.fma(v, v, 1.0) + bl.fdiv(v, bl.sqrt_rn(bl.abs(v))))
    bl.store(s + 3 * N, bl.clamp(bl.where(v > 0.5, v * float("nan"), v), -1, 1))
    bl.store(s + 4 * N, bl.maximum(bl.where(v > 0.5, v * float("nan"), v), 0.0, propagate_nan=bl.PropagateNan.ALL))
    bl.store(s + 5 * N, bl.cumsum(v))
    bl.store(s + 6 * N, bl.cast(bl.cast(v, bl.int32, bitcast=True), bl.float32, bitcast=True))


@pytest.mark.parametrize("backend", BACKENDS)
def test_functions_of_floats(backend) -> None:
    x = rng.standard_normal(16).astype(np.float32)
    y = np.zeros((7, 16), np.float32)
    of_floats[(1,)](x, y, N=16, backend=backend)
    powers = np.exp(x.reshape(2, 8).astype(np.float64))
    np.testing.assert_allclose(y[0], [math.erf(v) for v in x], atol=5e-7)
    np.testing.assert_allclose(y[1].reshape(2, 8), powers / powers.sum(1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(y[2], x * x + 1 + x / np.sqrt(np.abs(x)), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(y[3], np.where(x > 0.5, -1, np.clip(x, -1, 1)))
    np.testing.assert_array_equal(y[4], np.where(x > 0.5, np.nan, np.maximum(x, 0)))
    np.testing.assert_allclose(y[5], np.cumsum(x), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(y[6], x)


@baco.jit
def atomics(x, where, y, n, B: bl.constexpr):
    offs = bl.arange(0, B)
    places, values = bl.load(where + offs), bl.load(x + offs)
    before = bl.atomic_add(y + places, values, mask=offs < n)
    bl.atomic_max(y + 8 + places, values)
    bl.atomic_xchg(y + 16 + places, values, mask=places != 3)
    count = bl.atomic_add(y + 24, 1)
    bl.atomic_cas(y + 25, 2, count + 10)
    bl.atomic_xor(y + 26, 5, sem="relaxed", scope="gpu")
    bl.atomic_store(y + 27, bl.atomic_load(y + 26))
    bl.store(y + 32 + offs, before)


@pytest.mark.parametrize("backend", BACKENDS)
def test_atomics_change_an_address_named_twice_twice(backend) -> None:
    where = rng.integers(0, 8, 16).astype(np.int32)
    x, y = rng.integers(-50, 50, 16, dtype=np.int32), np.zeros(48, np.int32)
    y[25] = 2
    atomics[(2,)](x, where, y, 13, B=16, backend=backend)
    want = np.zeros(48, np.int32)
    for _ in range(2):
        for k, place in enumerate(where):
            want[32 + k] = want[place] if k < 13 else 0
            want[place] += x[k] * (k < 13)
            want[8 + place] = max(want[8 + place], x[k])
            want[16 + place] = want[16 + place] if place == 3 else x[k]
    want[24:28] = [2, 10, 0, 0]
    np.testing.assert_array_equal(y, want)


@baco.jit
def checked(x, n, limit, B: bl.constexpr):
    v = bl.load(x + bl.arange(0, B))
    bl.device_assert(v < limit, "too large", mask=bl.arange(0, B) < n)
    assert n > 2, "n is small"
    bl.store(x, n)


@pytest.mark.parametrize("backend", BACKENDS)
def test_checks_while_running(backend, capsys) -> None:
    x = np.arange(8, dtype=np.int64)
    checked[(1,)](x, 8, 4, B=8, backend=backend)  # not compiled in
    x[0] = 0
    with knobs.debug.scope(True):
        checked[(1,)](x, 4, 4, B=8, backend=backend)
        with pytest.raises(baco.lang.errors.DeviceAssertionFailure, match="too large"):
            checked[(1,)](x, 5, 4, B=8, backend=backend)
    if backend == "functional":
        with knobs.debug.scope(True), pytest.raises(baco.lang.errors.DeviceAssertionFailure) as failure:
            checked[(1,)](x, 2, 40, B=8)
        line = checked.function.__code__.co_firstlineno + 4
        assert f"{__file__}:{line}:" in str(failure.value) and "n is small" in str(failure.value) and "(0, 0, 0)" in str(failure.value)


@baco.jit
def syntax(x, y, bias, n, B: bl.constexpr):
    total = bl.zeros((B,), dtype=bl.int32)
    for i in bl.range(0, n, 2, num_stages=2):
        total += bl.load(x + i * B + bl.multiple_of(bl.arange(0, B), B))
    if bias is not None:
        total += bl.load(bias + bl.arange(0, B))
    bl.assume(n > 0)
    bl.debug_barrier()
    k = bl.to_tensor(0)
    while bl.condition(0 <= k < 3):
        k += 1
    row, column = bl.swizzle2d(bl.program_id(0), bl.program_id(1), 4, 4, 2)
    bl.store(y + (row * 4 + column) * B + bl.arange(0, B), bl.load(x + bl.arange(0, B), mask=total < 0, other=total + k))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("with_bias", [True, False])
def test_loops_hints_and_arguments_that_are_none(backend, with_bias) -> None:
    x = rng.integers(0, 9, (6, 8), dtype=np.int32)
    y, bias = np.zeros((16, 8), np.int32), np.arange(8, dtype=np.int32)
    syntax[(4, 4)](x, y, bias if with_bias else None, 6, B=8, backend=backend)
    np.testing.assert_array_equal(y, np.broadcast_to(x[::2].sum(0) + 3 + bias * with_bias, (16, 8)))


@baco.jit
def sign(v, DOUBLE: bl.constexpr):
    if v < 0:
        return -1
    elif v == 0:  # noqa: RET505
        return 0
    if DOUBLE:
        return 2
    return 1


@baco.jit
def leaves_early(a, b, c, n, B: bl.constexpr):
    pid = bl.program_id(0)
    if pid >= n:
        return
    if pid == 1:
        bl.store(c, bl.cast(sign(pid - 1, True) * 100 + sign(pid, True) * 10 + sign(-pid, False), bl.int32))
        if n == 3:
            return
    rows, columns = bl.arange(0, B)[:, None], bl.arange(0, B)[None, :]
    block = rows * B + columns
    acc = bl.zeros((B, B), dtype=bl.int32)
    for k in range(2):
        acc += bl.dot(bl.load(a + (pid * 2 + k) * B * B + block), bl.load(b + block))
    bl.store(c + 1 + pid * B * B + block, acc)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_early_returns(backend, n) -> None:
    a, b = rng.integers(-128, 128, (4, 2, 8, 8), dtype=np.int8), rng.integers(-128, 128, (8, 8), dtype=np.int8)
    c = np.full(1 + 4 * 64, 5, np.int32)
    leaves_early[(4,)](a, b, c, n, B=8, backend=backend)
    want = np.full((4, 8, 8), 5, np.int32)
    for i in (i for i in range(n) if not (i == 1 and n == 3)):
        want[i] = a[i].astype(np.int32).sum(0) @ b
    assert c[0] == (19 if n > 1 else 5)
    np.testing.assert_array_equal(c[1:].reshape(4, 8, 8), want)


@baco.jit
def staged(a, b, c, K, STAGES: bl.constexpr, B: bl.constexpr):
    left = bl.make_block_ptr(a, (B, K), (K, 1), (0, 0), (B, B), (1, 0))
    right = bl.make_block_ptr(b, (K, B), (B, 1), (0, 0), (B, B), (1, 0))
    acc = bl.zeros((B, B), dtype=bl.int32)
    for _ in bl.range(0, K, B, num_stages=STAGES):
        acc += bl.dot(bl.load(left), bl.load(right))
        left, right = left.advance((0, B)), right.advance((B, 0))
    bl.store(bl.make_block_ptr(c, (B, B), (B, 1), (0, 0), (B, B), (1, 0)), acc)


def test_a_loop_says_itself_how_deep_its_loads_are_buffered() -> None:
    arguments = (np.int8, np.int8, np.int32, 64)
    rows = {
        (own, launch): staged.warmup(*arguments, STAGES=own, B=16, num_stages=launch).compiled.requirements.scratchpad_rows
        for own, launch in ((None, 1), (2, 1), (None, 2), (1, 2))
    }
    assert rows[2, 1] == rows[None, 2] == 2 * rows[None, 1] and rows[1, 2] == rows[None, 1]


@baco.jit
def portable(a, b, c, scale, B: bl.constexpr):
    rows, columns = bl.arange(0, B)[:, None], bl.arange(0, B)[None, :]
    acc = bl.dot(bl.load(a + rows * B + columns), bl.load(b + rows * B + columns))
    rounded = (acc.to(bl.float32) * scale + 12582912.0) - 12582912.0
    bl.store(c + rows * B + columns, bl.clamp(rounded, -128, 127).to(bl.int8))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scale", [0.0078125, -0.5, 3e30, -1e38])
def test_portable_requantisation_is_the_stores(backend, scale) -> None:
    a, b = rng.integers(-128, 128, (2, 16, 16), dtype=np.int8)
    c = np.zeros((16, 16), np.int8)
    portable[(1,)](a, b, c, scale, B=16, backend=backend)
    sums = (a.astype(np.int32) @ b.astype(np.int32)).astype(np.float32)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(c, np.clip(np.rint(sums * np.float32(scale)), -128, 127))
    assert portable.warmup(np.int8, np.int8, np.int8, 0.5, B=16).compiled.remarks == ()


BAD = {
    "bl.reshape(v, 3, 5)": "has 16 elements, but shape 3 x 5 has 15",
    "bl.squeeze(v, 0)": "is 16 elements long, not 1",
    "bl.split(v)": "whose last dimension has size 2",
    "bl.join(v, bl.arange(0, 4))": "one type and shape",
    "bl.reduce(v, 0, 3)": "combines by a @baco.jit function",
    "bl.associative_scan(v, 0, int)": "combines by a @baco.jit function|must be an integer",
    "bl.atomic_add(x + bl.arange(0, 16), bl.arange(0, 8))": "which does not go through|do not meet|does not go through",
    "bl.load(x + bl.arange(0, 16), mask=bl.arange(0, 8) < 3)": "do not meet",
    "bl.reshape(v, (B // bl.program_id(0), 2))": "declare block sizes",
    "bl.frobnicate(v)": "baco.language has no 'frobnicate'",
    "bl.reduce(v, 0, narrow)": "it must keep the type",
    "bl.associative_scan((v, v), 0, narrow)": "must return 2 values|positional arguments|too many",
    "bl.topk(v, 17)": "k is 17",
    "bl.cumsum(v, axis=2)": "axis must be from -1 to 0",
    "bl.gather(v, bl.zeros((16,), bl.float32), 0)": "index must be a block of integers",
    "bl.atomic_and(f, 1)": "is for integers",
    "bl.atomic_add(3, 1)": "what a raw pointer points to",
    "bl.load_tensor_descriptor(v, [0])": "this must be a tensor descriptor",
    "bl.cast(v, bl.int8, bitcast=True)": "bitcast keeps the bits",
    "bl.minimum(v, 1, propagate_nan=3)": "propagate_nan must be",
    "bl.device_print('x', v, hex=True)": "decimal",
    "bl.static_assert(bl.program_id(0) == 0)": "use device_assert",
    "v.item()": "one element",
    "bl.rand(0, v)": "no random number generator",
    "bl.tuple": "because write",
}


@baco.jit
def narrow(a, b):
    return (a + b).to(bl.int8)


@pytest.mark.parametrize("backend", ["compiled", "interpreter"])
@pytest.mark.parametrize("expression", BAD)
def test_what_cannot_be_done_is_said_at_its_place(expression, backend, tmp_path) -> None:
    path = tmp_path / "bad.py"
    text = f"def bad(x, f, B: bl.constexpr):\n    v = bl.load(x + bl.arange(0, B))\n    w = {expression}\n"
    path.write_text(text)
    namespace = {"bl": bl, "narrow": narrow}
    exec(compile(text, str(path), "exec"), namespace)
    import linecache

    linecache.checkcache(str(path))
    kernel = baco.jit(namespace["bad"], interpret=backend == "interpreter")
    with pytest.raises(baco.BacoError, match=BAD[expression]) as error:
        kernel[(1,)](np.zeros(16, np.int32), np.zeros(16, np.float32), B=16)
    assert f"{path}:3:" in str(error.value)


def test_every_name_of_triton_works_or_is_refused_with_the_reason() -> None:
    tl = pytest.importorskip("triton.language")
    for name in (n for n in dir(tl) if not n.startswith("_")):
        assert (name in bl.__all__) != (name in REFUSED), name
        if name in REFUSED:
            with pytest.raises(AttributeError, match="because"):
                getattr(bl, name)
            continue
        theirs = getattr(tl, name)
        if isinstance(theirs, tl.dtype) or (inspect.isclass(theirs) and name not in ("range", "static_range")):
            continue
        if name in ("load", "store", "math"):  # these take boundary_check between, as Triton did while it had block pointers
            continue
        function = getattr(theirs, "fn", theirs)
        wanted = [p.name for p in inspect.signature(function).parameters.values() if not p.name.startswith("_")]
        assert [p.name for p in inspect.signature(getattr(bl, name)).parameters.values()] == wanted, name
    assert not REFUSED.keys() & set(bl.__all__)


def test_every_builtin_has_both_meanings() -> None:
    from baco.lang.interpreter_builtins import BUILTINS
    from baco.lang.interpreter_functions import Block
    from baco.lang.semantic import meaning

    for name in standard.__all__:
        if name != "PropagateNan":
            parameters = [list(inspect.signature(f).parameters) for f in (getattr(bl, name), meaning(name), BUILTINS[name])]
            assert parameters[0] == parameters[1] == parameters[2], name
    assert all(hasattr(Block, name) for name in bl.METHODS)
