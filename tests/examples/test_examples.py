"""Every tutorial of examples/ at several shapes, on the simulator, the CPU path and in the interpreter, compared with NumPy."""

import importlib.util
import inspect
import shutil
from pathlib import Path

import numpy as np
import pytest

from baco.hardware import GemminiConfig

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
DIMS = [4, 8, 16, 32]
VERILATED = pytest.mark.skipif(shutil.which("verilator") is None, reason="no verilator here")


def load(path):
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TUTORIALS = {path.stem: load(path) for path in sorted(EXAMPLES.glob("[0-9]*.py"))}


def ways(cases):
    """Each case on the simulator, on a machine of a size of its own and with a depth of buffering of its own, and both other ways; in the
    long tests on the hardware, too."""
    runs = []
    for i, case in enumerate(cases):
        name = "-".join(map(str, case)).replace(" ", "")
        dim, stages = DIMS[i % 4], 1 + (i + i // 4) % 4
        runs.append(pytest.param(case, {"hardware": GemminiConfig(dim=dim), "num_stages": stages}, id=f"{name}-dim{dim}-stages{stages}"))
        hardware = {"hardware": GemminiConfig(dim=dim), "num_stages": stages, "backend": "verilator"}
        runs.append(pytest.param(case, hardware, id=f"{name}-dim{dim}-stages{stages}-verilator", marks=[pytest.mark.long, VERILATED]))
        runs += [pytest.param(case, {"backend": backend}, id=f"{name}-{backend}") for backend in ("cpu", "interpreter")]
    return pytest.mark.parametrize(("case", "options"), runs)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def int8(rng, *shape):
    return rng.integers(-128, 128, shape, dtype=np.int8)


def product(a, b):
    return a.astype(np.int32) @ b.astype(np.int32)


@ways([(1, 1, 1), (7, 13, 5), (33, 40, 50), (16, 64, 32)])
def test_matmul(rng, case, options):
    m, k, n = case
    a, b, c = int8(rng, m, k), int8(rng, k, n), np.zeros((m, n), np.int32)
    TUTORIALS["01_matmul"].launch(a, b, c, block=(16, 32, 16), **options)
    np.testing.assert_array_equal(c, product(a, b))


@ways([(1, 1, 1, True), (20, 33, 45, False), (16, 32, 48, True), (37, 5, 9, True)])
def test_linear(rng, case, options):
    m, k, n, relu = case
    x, w, bias = int8(rng, m, k), int8(rng, k, n), rng.integers(-(2**16), 2**16, n, dtype=np.int32)
    y = np.zeros((m, n), np.int8)
    tutorial = TUTORIALS["02_linear"]
    tutorial.launch(x, w, bias, y, 0.002, relu=relu, block=(16, 32, 16), **options)
    np.testing.assert_array_equal(y, tutorial.reference(x, w, bias, 0.002, relu=relu))


@ways([(1, 1, ()), (40, 50, ()), (33, 16, (3,)), (70, 40, (20,))])
def test_gemv(rng, case, options):
    m, k, columns = case
    a, x, y = int8(rng, m, k), int8(rng, k, *columns), np.zeros((m, *columns), np.int32)
    TUTORIALS["03_gemv"].launch(a, x, y, block=(32, 16), **options)
    np.testing.assert_array_equal(y, TUTORIALS["03_gemv"].reference(a, x))


@ways([((1, 5, 6), (1, 6, 7)), ((3, 17, 20), (3, 20, 9)), ((17, 20), (4, 20, 18)), ((2, 16, 16), (16, 16))])
def test_batched_matmul(rng, case, options):
    a, b = (int8(rng, *shape) for shape in case)
    c = np.zeros((a @ b).shape, np.int32)
    TUTORIALS["04_batched_matmul"].launch(a, b, c, block=(16, 16, 16), **options)
    np.testing.assert_array_equal(c, TUTORIALS["04_batched_matmul"].reference(a, b))


# batch, length, channels, taps, filters, stride, padding, dilation
@ways(
    [(1, 9, 3, 3, 4, 1, 1, 1), (2, 40, 20, 5, 18, 2, 2, 1), (1, 23, 8, 3, 5, 3, 4, 2), (1, 8, 4, 1, 3, 1, 0, 1), (1, 3, 2, 7, 2, 1, 3, 1)]
)
def test_conv1d(rng, case, options):
    n, length, c, taps, f, *how = case
    tutorial = TUTORIALS["05_conv1d"]
    x, w = int8(rng, n, length, c), int8(rng, taps, c, f)
    y = np.zeros((n, tutorial.output_length(length, taps, *how), f), np.int8)
    tutorial.launch(x, w, y, 0.01, *how, block=(16, 16, 8), **options)
    np.testing.assert_array_equal(y, tutorial.reference(x, w, 0.01, *how))


# images, height, width, channels, (taps down, taps across), filters, stride, padding, dilation
@ways(
    [
        (1, 5, 6, 3, (3, 3), 4, 1, 1, 1),  # few channels: a filter row is one tap
        (2, 3, 9, 18, (3, 3), 20, 1, 1, 1),
        (1, 14, 3, 5, (3, 3), 4, 1, 1, 1),  # more rows than one program instance computes
        (1, 11, 8, 3, (5, 3), 6, 2, 2, 2),
        (2, 4, 5, 20, (1, 1), 9, 1, 0, 1),  # all pixels in one row
        (1, 7, 7, 17, (1, 1), 8, 2, 0, 1),
        (1, 9, 10, 2, (7, 7), 5, 2, 3, 1),
        (1, 4, 4, 16, (2, 4), 3, 1, 3, 1),
    ]
)
def test_conv2d(rng, case, options):
    n, h, width, c, taps, f, *how = case
    tutorial = TUTORIALS["06_conv2d"]
    x, w = int8(rng, n, h, width, c), int8(rng, *taps, c, f)
    oh, ow = (tutorial.output_size(size, t, *how) for size, t in zip((h, width), taps, strict=True))
    y = np.zeros((n, oh, ow, f), np.int8)
    bias = rng.integers(-30000, 30000, f, np.int32) if n == 1 else None
    result = tutorial.launch(x, w, y, 0.005, *how, bias, block=(4, 16, 8), **options)
    np.testing.assert_array_equal(y, tutorial.reference(x, w, 0.005, *how, bias))
    if "hardware" in options:
        assert result.counters.dram_bytes_written == y.nbytes


# images, height, width, channels, taps, stride, padding
@ways([(1, 5, 5, 3, 3, 1, 1), (2, 6, 7, 20, 3, 2, 1), (1, 8, 9, 8, 5, 1, 2), (1, 4, 4, 5, 2, 2, 0)])
def test_depthwise_conv2d(rng, case, options):
    n, h, width, c, taps, stride, padding = case
    x, w = int8(rng, n, h, width, c), int8(rng, taps, taps, c)
    oh, ow = ((size + 2 * padding - taps) // stride + 1 for size in (h, width))
    y = np.zeros((n, oh, ow, c), np.int8)
    tutorial = TUTORIALS["07_depthwise_conv2d"]
    tutorial.launch(x, w, y, 0.02, stride, padding, block=(4, 8), **options)
    np.testing.assert_array_equal(y, tutorial.reference(x, w, 0.02, stride, padding))


@ways([((1,), 1.0, 1.0, True), ((2, 5, 6, 20), 0.5, 0.3, True), ((40, 16), 0.9, 0.1234, False), ((3, 33), 0.01, 1.0, True)])
def test_residual_add(rng, case, options):
    shape, scale_a, scale_b, relu = case
    a, b, y = int8(rng, *shape), int8(rng, *shape), np.zeros(shape, np.int8)
    tutorial = TUTORIALS["08_residual_add"]
    tutorial.launch(a, b, y, scale_a, scale_b, relu, block=(16, 8), **options)
    np.testing.assert_array_equal(y, tutorial.reference(a, b, scale_a, scale_b, relu))
    real = np.clip(a * scale_a + b * scale_b, 0 if relu else -128, 127)
    assert np.abs(y - real).max() <= 0.5 + 128 * max(scale_a, scale_b) / 254 + 1e-3


# images, height, width, channels, window, stride, padding
@pytest.mark.parametrize("kind", ["max", "max after ReLU", "average"])
@ways([(1, 4, 4, 3, 2, 2, 0), (2, 7, 9, 20, 3, 2, 1), (1, 5, 6, 8, 3, 1, 1), (1, 7, 7, 33, 7, 1, 0)])
def test_pooling(rng, case, options, kind):
    n, h, width, c, size, stride, padding = case
    after_relu = kind == "max after ReLU"
    x = np.maximum(int8(rng, n, h, width, c), 0 if after_relu else -128)
    oh, ow = ((s + 2 * padding - size) // stride + 1 for s in (h, width))
    y = np.zeros((n, oh, ow, c), np.int8)
    tutorial, kind = TUTORIALS["09_pooling"], kind.split()[0]
    tutorial.launch(kind, x, y, size, stride, padding, block=(4, 8), after_relu=after_relu, **options)
    np.testing.assert_array_equal(y, tutorial.reference(kind, x, size, stride, padding))


@ways([(1, 4, 4, 3, 5, 2, 2, 0), (2, 7, 9, 20, 12, 3, 2, 1)])
def test_convolution_and_pooling(rng, case, options):
    n, h, width, c, k, size, stride, padding = case
    x, w = int8(rng, n, h, width, c), int8(rng, c, k)
    oh, ow = ((s + 2 * padding - size) // stride + 1 for s in (h, width))
    y = np.zeros((n, oh, ow, k), np.int8)
    tutorial = TUTORIALS["09_pooling"]
    tutorial.launch_conv(x, w, y, 0.003, size, stride, padding, block=(12, 8, 8), **options)
    convolved = np.clip(np.rint(product(x, w).astype(np.float32) * np.float32(0.003)), 0, 127).astype(np.int8)
    np.testing.assert_array_equal(y, tutorial.reference("max", convolved, size, stride, padding))


@ways([(1, 1, 4, 0.01), (2, 20, 8, 0.002), (1, 33, 16, 0.0005), (3, 16, 32, 0.0001)])
def test_attention(rng, case, options):
    heads, tokens, d, scale = case
    q, k, v = (int8(rng, heads, tokens, d) for _ in range(3))
    y = np.zeros_like(v)
    tutorial = TUTORIALS["10_attention"]
    tutorial.launch(q, k, v, y, scale, block=16, **options)
    # Each probability is off by up to half a 127th, and the result by up to half a step.
    real = tutorial.reference(q, k, v, scale)
    assert np.abs(y - real).max() <= 0.5 + 0.5 / 127 * np.abs(v.astype(int)).sum(1).max() + 0.01
    rounded = np.floor(tutorial.reference(q, k, np.eye(tokens)[None] * 127, scale) + 0.5)
    np.testing.assert_allclose(y, np.clip(np.rint(rounded @ v / 127), -128, 127), atol=2)


@ways([(1, 1, 1, 1, 1.0), (20, 17, 33, 9, 2.0**-7), (16, 32, 32, 16, 0.01), (40, 8, 20, 33, 2.0**-6)])
def test_two_matmuls(rng, case, options):
    """Hidden blocks stay on the chip where the scale is a power of two: nothing but the result is written to DRAM."""
    m, k, h, n, scale = case
    x, w1, w2, y = int8(rng, m, k), int8(rng, k, h), int8(rng, h, n), np.zeros((m, n), np.int8)
    tutorial = TUTORIALS["11_two_matmuls"]
    result = tutorial.launch(x, w1, w2, y, scale, 0.02, block=(16, 8), **options)
    np.testing.assert_array_equal(y, tutorial.reference(x, w1, w2, scale, 0.02))
    if "hardware" in options:
        assert (result.counters.dram_bytes_written == y.nbytes) == (scale != 0.01)


@pytest.mark.parametrize("name", TUTORIALS)
def test_runs_as_a_program_and_is_listed(name):
    """Figures in the page may be older than the compiler; texts and what runs where may not."""
    assert f"Run it: python examples/{name}.py\n" in TUTORIALS[name].__doc__
    texts, figures = load(ROOT / "docs" / "generate_examples.py").row(EXAMPLES / f"{name}.py")
    assert f"| {' | '.join(texts)} | " in (EXAMPLES / "README.md").read_text(), "run `make docs`"
    assert all(figures)


@pytest.mark.parametrize("name", TUTORIALS)
def test_kernels_are_short(name):
    for kernel in vars(TUTORIALS[name]).values():
        if hasattr(kernel, "function"):
            assert len(inspect.getsource(kernel.function).splitlines()) < 60
