"""Interpreted kernels: equal to the machine and to NumPy, refused alike, and open to `print` and `breakpoint()`."""

import inspect
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import example, int8, product, requantised

import baco
import baco.language as bl
from baco import knobs
from baco.lang.errors import CompileTimeAssertionFailure, InterpreterError, KernelTypeError, LaunchError, OutsideKernel
from baco.lang.interpreter_builtins import BUILTINS
from baco.lang.jit import JITFunction
from baco.lang.language import BUILTIN

matmul = example("01_matmul")
X = np.zeros((32, 32), np.int8)


def interpreted(kernel: JITFunction) -> JITFunction:
    return baco.jit(kernel.function, interpret=True)


@settings(max_examples=12)
@given(
    shape=st.tuples(*[st.integers(1, 40)] * 3),
    block=st.tuples(*[st.integers(1, 24)] * 3),
    scale=st.floats(0, 0.125, width=32),
    relu=st.booleans(),
    wide=st.booleans(),
)
def test_equal_to_the_machine_and_to_numpy(shape, block, scale, relu, wide) -> None:
    m, k, n = shape
    rng = np.random.default_rng(0)
    a, b = int8(rng, m, k), int8(rng, k, n)
    results = []
    for kernel in (matmul.matmul, interpreted(matmul.matmul)):
        c = np.zeros((m, n), np.int32 if wide else np.int8)
        meta = dict(zip(("BLOCK_M", "BLOCK_N", "BLOCK_K"), block, strict=True), RELU=relu)
        grid = (baco.cdiv(m, block[0]), baco.cdiv(n, block[1]))
        kernel[grid](a, b, c, m, n, k, k, 1, n, 1, n, 1, scale, **meta)
        results.append(c)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[1], product(a, b) if wide else requantised(product(a, b), scale, relu))


@baco.jit
def integer_operators(x, y, out, n, k, B: bl.constexpr):
    offs = bl.arange(0, B)
    a, b = bl.load(x + offs), bl.load(y + offs)
    results = (
        a + b,
        a * n,
        a * k + n,
        b // n,
        b % (n - 5),
        b // a.to(bl.int32),
        b % a.to(bl.int32),
        a >> 2,
        (b << 3) ^ n,
        ~a & 127,
        bl.minimum(a, n),
        bl.maximum(b, 200),
        bl.abs(a),
        a.to(bl.float32) / 3,
        (b * 1.5).to(bl.int8),
        (a * 1e9).to(bl.int32),
        bl.where(a < 0, b, a),
        (a > 3) | (b == n),
        -a,
        bl.sum(a),
        bl.max(b, axis=0) - bl.min(b) + bl.program_id(0),
    )
    for i in bl.static_range(len(results)):
        bl.store(out + i * B + offs, (bl.zeros((B,), bl.int64) + bl.cast(results[i], bl.int64)))


@settings(max_examples=10)
@given(data=st.data(), n=st.integers(-300, 300), k=st.integers(-3, 3))
def test_operators_promote_wrap_divide_and_cast_as_compiled(data, n, k) -> None:
    x = np.array(data.draw(st.lists(st.integers(-128, 127), min_size=8, max_size=8)), np.int8)
    y = np.array(data.draw(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=8, max_size=8)), np.int32)
    results = {}
    for backend in ("functional", "cpu", "interpreter"):
        out = np.zeros((21, 8), np.int64)
        integer_operators[(1,)](x, y, out, n, k, B=8, backend=backend)
        results[backend] = out
    np.testing.assert_array_equal(results["functional"], results["interpreter"])
    np.testing.assert_array_equal(results["cpu"], results["interpreter"])


@baco.jit(interpret=True)
def transposed_grid(x, y, n, B: bl.constexpr):
    source = bl.make_tensor_descriptor(x, shape=[n, n], strides=[n, 1], block_shape=[B, B])
    target = bl.make_tensor_descriptor(y, shape=[n, n], strides=[n, 1], block_shape=[B, B])
    i, j = bl.program_id(0), bl.program_id(1)
    if i < bl.num_programs(1):
        target.store([j * B, i * B], source.load([i * B, j * B]))


def test_descriptors_grid_and_python_control_flow() -> None:
    x = int8(np.random.default_rng(1), 10, 10)
    y = np.full((10, 10), 7, np.int8)
    transposed_grid[(4, 3)](x, y, 10, B=4)
    for i in range(3):
        for j in range(3):
            block = x[4 * i : 4 * i + 4, 4 * j : 4 * j + 4]
            target = y[4 * j : 4 * j + 4, 4 * i : 4 * i + 4]
            rows, columns = min(block.shape[0], target.shape[0]), min(block.shape[1], target.shape[1])
            np.testing.assert_array_equal(target[:rows, :columns], block[:rows, :columns])


def test_sums_wrap_to_int32_as_in_the_accumulator() -> None:
    @baco.jit(interpret=True)
    def overflow(x, y, B: bl.constexpr):
        start = bl.load(bl.make_block_ptr(y, (B, B), (B, 1), (0, 0), (B, B), (1, 0)))
        a = bl.load(bl.make_block_ptr(x, (B, B), (B, 1), (0, 0), (B, B), (1, 0)))
        start += bl.dot(a, a)
        bl.store(bl.make_block_ptr(y, (B, B), (B, 1), (0, 0), (B, B), (1, 0)), start)

    y = np.full((2, 2), 2**31 - 1, np.int32)
    overflow[(1,)](np.ones((2, 2), np.int8), y, B=2)
    np.testing.assert_array_equal(y, np.full((2, 2), -(2**31) + 1, np.int32))


def test_torch_tensors_and_strided_views_are_written_in_place() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    a, b = int8(rng, 8, 20)[::2, 3:15], int8(rng, 12, 6)
    out = torch.full((10, 10), 7, dtype=torch.int32)
    c = out[1:5, 2:8]
    args = (a, b, c, 4, 6, 12, a.strides[0], 1, 6, 1, 10, 1, 1.0)
    interpreted(matmul.matmul)[(1, 1)](*args, BLOCK_M=4, BLOCK_N=8, BLOCK_K=8)
    np.testing.assert_array_equal(c.numpy(), product(a, b))
    assert int((out == 7).sum()) >= 100 - 24 and (out[0] == 7).all() and (out[:, :2] == 7).all()


@baco.jit(interpret=True)
def copy(x, y, n, B: bl.constexpr, CHECK: bl.constexpr = ()):
    at = bl.program_id(0) * B
    block = bl.load(bl.make_block_ptr(x, (n, n), (n, 1), (at, 0), (B, B), (1, 0)), boundary_check=CHECK)
    bl.store(bl.make_block_ptr(y, (n, n), (n, 1), (at, 0), (B, B), (1, 0)), block, boundary_check=CHECK)


def test_leaving_a_tensor_names_array_index_size_line_and_instance() -> None:
    x, y = np.ones((10, 10), np.int8), np.zeros((10, 10), np.int8)
    with pytest.raises(InterpreterError) as caught:
        copy[(3,)](x, y, 10, B=4)
    message = str(caught.value)
    assert "index 10 of dimension 0 of the tensor on 'x', whose size there is 10; add 0 to boundary_check" in message
    assert caught.value.instance == (2, 0, 0) and __file__ in message
    source, caret = message.splitlines()[-2:]
    assert source[caret.index("^") :].startswith("bl.load(")
    copy[(3,)](x, y, 10, B=4, CHECK=(0, 1))
    assert y[:, :4].all() and not y[:, 4:].any()


def test_an_array_smaller_than_its_tensor_is_found() -> None:
    with pytest.raises(InterpreterError, match=r"reads element 10 of 'x', which has 10 elements"):
        copy[(1,)](np.zeros(10, np.int8), X, 8, B=4)


def test_a_read_only_array_is_not_written() -> None:
    y = np.zeros((8, 8), np.int8)
    y.flags.writeable = False
    with pytest.raises(InterpreterError, match=r"writes 'y', but the array is read-only"):
        copy[(1,)](np.zeros((8, 8), np.int8), y, 8, B=4)


@baco.jit(interpret=True)
def bad(x, y, WHAT: bl.constexpr):
    p = bl.make_block_ptr(x, (32, 32), (32, 1), (0, 0), (16, 32), (1, 0))
    a = bl.load(p)
    if WHAT == "dot":
        bl.dot(a, a)
    if WHAT == "store":
        bl.store(bl.make_block_ptr(y, (32, 32), (32, 1), (0, 0), (16, 32), (1, 0)), a)
    if WHAT == "assert":
        bl.static_assert(WHAT != "assert", "not this one")
    if WHAT == "python assert":
        assert WHAT == "dot", "nor this"
    if WHAT == "cache":
        bl.load(p, cache_modifier=".ca")
    if WHAT == "arguments":
        bl.zeros((16, 16))
    if WHAT == "python":
        1 // (len(WHAT) - 6)


@pytest.mark.parametrize(
    ("what", "error", "text", "marked"),
    [
        ("dot", KernelTypeError, "32 columns do not meet 16 rows", "bl.dot(a, a)"),
        ("store", KernelTypeError, "the element types differ", "bl.store("),
        ("assert", CompileTimeAssertionFailure, "static_assert failed: not this one", "bl.static_assert("),
        ("python assert", CompileTimeAssertionFailure, "nor this", ""),
        ("cache", KernelTypeError, "has no caches", "bl.load("),
        ("arguments", KernelTypeError, "bl.zeros: missing a required argument: 'dtype'", "bl.zeros("),
        ("python", InterpreterError, "ZeroDivisionError", "1 // "),
    ],
)
def test_faults_have_the_compilers_classes_and_the_line(what, error, text, marked) -> None:
    with pytest.raises(error) as caught:
        bad[(1,)](X, np.zeros((32, 32), np.int32), WHAT=what)
    message = str(caught.value)
    assert text in message and __file__ in message
    source, caret = message.splitlines()[-2:]
    assert source[caret.index("^") :].startswith(marked), message


@baco.jit(interpret=True)
def stops(x):
    block = bl.load(bl.make_block_ptr(x, (4, 4), (4, 1), (0, 0), (4, 4), (1, 0)))
    breakpoint()  # noqa: T100
    print("the kernel saw", block.dtype, block.shape)


def test_breakpoint_sees_the_kernels_variables(monkeypatch, capsys) -> None:
    seen = []
    monkeypatch.setattr(sys, "breakpointhook", lambda: seen.append(sys._getframe(1).f_locals["block"].data.sum()))
    stops[(1,)](np.ones((4, 4), np.int8))
    assert seen == [16]
    assert "the kernel saw int8 (4, 4)" in capsys.readouterr().out


def test_the_environment_decides_when_the_kernel_is_decorated(monkeypatch) -> None:
    monkeypatch.setenv("BACO_INTERPRET", "1")
    kernel = baco.jit(copy.function)
    monkeypatch.delenv("BACO_INTERPRET")
    assert kernel.interpret and not baco.jit(copy.function).interpret
    with knobs.interpret.scope(True):
        assert baco.jit(copy.function).interpret and not baco.jit(copy.function, interpret=False).interpret


def test_device_functions_run_inside_and_builtins_stay_refused_outside() -> None:
    @baco.jit
    def squared(block):
        return bl.dot(block, block)

    @baco.jit(interpret=True)
    def kernel(x, y):
        a = bl.load(bl.make_block_ptr(x, (4, 4), (4, 1), (0, 0), (4, 4), (1, 0)))
        bl.store(bl.make_block_ptr(y, (4, 4), (4, 1), (0, 0), (4, 4), (1, 0)), squared(a))

    x, y = int8(np.random.default_rng(3), 4, 4), np.zeros((4, 4), np.int32)
    kernel[(1,)](x, y)
    np.testing.assert_array_equal(y, product(x, x))
    with pytest.raises(OutsideKernel):
        bl.program_id(0)
    with pytest.raises(LaunchError, match="needs a launch grid"):
        squared(x)


def test_arguments_are_refused_as_for_a_compiled_kernel() -> None:
    with pytest.raises(LaunchError, match="elements of float64"):
        copy[(1,)](np.zeros((4, 4)), X, 4, B=4)


@baco.jit(interpret=True)
def prints_once(x, B: bl.constexpr):
    bl.static_print("block size", B)


def test_every_builtin_has_a_meaning() -> None:
    declared = [getattr(bl, name) for name in bl.__all__] + list(vars(bl.gemmini).values())
    names = {getattr(f, "__func__", f).__name__ for f in declared if hasattr(getattr(f, "__func__", f), BUILTIN)} - {"cdiv"}
    assert names <= set(BUILTINS) and "requantise" in names
    for name in names & set(vars(bl)):
        wanted, given = (inspect.signature(f).parameters for f in (getattr(bl, name), BUILTINS[name]))
        if "gpu" not in given:  # these only say why they refuse the rest
            assert [(str(p.kind), p.default) for p in wanted.values()] == [(str(p.kind), p.default) for p in given.values()], name


def test_static_print_prints_once(capsys) -> None:
    prints_once[(3,)](X, B=4)
    assert capsys.readouterr().out == "block size compile-time int 4\n"
