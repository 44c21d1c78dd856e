"""Unmodified Triton kernels on the simulator and on the CPU path, compared with NumPy."""

import json
from pathlib import Path

import numpy as np
import pytest
from kernels import int8, product

import baco
from baco.lang.errors import CompilationError, LaunchError
from baco.lowering.errors import UnsupportedOperation

triton = pytest.importorskip("triton")
import triton_kernels as tk  # noqa: E402  (needs Triton)

BACKENDS = ["functional", "cpu"]
rng = np.random.default_rng(0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.float32])
def test_vector_add(backend, dtype) -> None:
    x, y = rng.integers(-60, 60, (2, 100)).astype(dtype)
    z = np.zeros(100, dtype)
    baco.from_triton(tk.add_kernel)[lambda meta: (triton.cdiv(100, meta["BLOCK_SIZE"]),)](x, y, z, 100, BLOCK_SIZE=32, backend=backend)
    np.testing.assert_array_equal(z, x + y)


@pytest.mark.parametrize("backend", BACKENDS)
def test_fused_softmax(backend) -> None:
    x = rng.standard_normal((5, 23)).astype(np.float32) * 4
    y = np.zeros_like(x)
    baco.from_triton(tk.softmax_kernel)[(2, 1, 1)](y, x, 23, 23, 5, 23, 32, 2, backend=backend)
    e = np.exp(x - x.max(1, keepdims=True))
    np.testing.assert_allclose(y, e / e.sum(1, keepdims=True), rtol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("m", "n", "k"), [(37, 21, 40), (64, 32, 16)])
def test_matmul_with_grouped_order(backend, m, n, k) -> None:
    a, b, c = int8(rng, m, k), int8(rng, k, n), np.zeros((m, n), np.int32)
    kernel = baco.from_triton(tk.matmul_kernel)

    def grid(meta):
        return (triton.cdiv(m, meta["BLOCK_SIZE_M"]) * triton.cdiv(n, meta["BLOCK_SIZE_N"]),)

    kernel[grid](
        a, b, c, m, n, k, *[s // x.itemsize for x in (a, b, c) for s in x.strides],
        BLOCK_SIZE_M=16, BLOCK_SIZE_N=16, BLOCK_SIZE_K=16, GROUP_SIZE_M=2, ACTIVATION="relu" if m == 64 else "", backend=backend,
    )  # fmt: skip
    expected = product(a, b)
    np.testing.assert_array_equal(c, np.maximum(expected, 0) if m == 64 else expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_matmul_through_descriptors(backend) -> None:
    torch = pytest.importorskip("torch")
    a, b, c = (torch.from_numpy(x) for x in (int8(rng, 37, 40), int8(rng, 40, 21), np.zeros((37, 21), np.int32)))
    baco.from_triton(tk.descriptor_kernel)[(3, 2)](a, b, c, 37, 21, 40, 16, 16, 16, backend=backend)
    np.testing.assert_array_equal(c.numpy(), product(a.numpy(), b.numpy()))


def test_masked_loads_run_ahead() -> None:
    """Three copies of what the loop loads and two of what it stores; the same result and the same words moved."""
    a, b, kernel, traffic = int8(rng, 37, 40), int8(rng, 40, 21), baco.from_triton(tk.masked_matmul_kernel), []
    for stages, scratchpad, accumulator in ((1, 32, 16), (3, 96, 32)):
        c = np.zeros((37, 21), np.int32)
        arguments = (a, b, c, 37, 21, 40, 16, 16, 16)
        traffic.append(kernel[(3, 2)](*arguments, num_stages=stages).counters.traffic)
        np.testing.assert_array_equal(c, product(a, b))
        needed = kernel.warmup(*arguments, num_stages=stages).requirements
        assert (needed.scratchpad_rows, needed.accumulator_rows) == (scratchpad, accumulator)
    assert traffic[0].differences(traffic[1]) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_returns_while_loops_and_carried_pointers(backend) -> None:
    x, y = rng.integers(-9, 9, 20).astype(np.int32), np.full(32, 99, np.int32)
    baco.from_triton(tk.control_kernel)[(3,)](x, y, 3, 4, BLOCK_SIZE=4, backend=backend)
    expected = np.full(32, 99, np.int32)
    for pid in range(2):
        total = sum(x[pid + 4 * k : pid + 4 * k + 4] for k in range(3))
        expected[pid * 12 : pid * 12 + 12] = np.concatenate([total * j for j in range(3)])
        expected[0] = x[0] if pid == 0 else expected[0]
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_expressions(backend) -> None:
    x, y = rng.integers(-99, 99, (8, 16)).astype(np.int32), np.zeros((16, 8), np.int32)
    baco.from_triton(tk.expressions_kernel)[(1,)](x, y, 0.75, 8, 16, backend=backend)
    z = np.clip(np.floor(x.astype(np.float32) * np.float32(0.75) + np.float32(0.5)), -100, 100).astype(np.int32).T
    z = z + x.max(1)[None, :] - x.min(0)[:, None]
    np.testing.assert_array_equal(y, np.where(z > 20, z % 7, np.trunc(z / 3).astype(np.int32)) + (x.sum() & 3))


def test_stages_and_remarks_point_at_the_triton_kernel() -> None:
    kernel = baco.from_triton(tk.softmax_kernel)
    special = kernel.warmup(np.float32, np.float32, 23, 23, 5, 23, 32, num_stages=2)
    with pytest.raises(LaunchError, match="argument 'n_cols' is missing"):
        kernel.warmup(np.float32, np.float32, 23, 23, 5, BLOCK_SIZE=32, num_stages=2)
    assert list(special.asm)[:3] == ["ttir", "baco", "linalg"]
    assert "tt.get_program_id" in special.asm["ttir"] and "tt." not in special.asm["baco"]
    assert special.compiled.remarks
    first = tk.softmax_kernel.fn.__code__.co_firstlineno
    for remark in special.compiled.remarks:
        file, line = remark.split(":")[:2]
        assert Path(file).name == "triton_kernels.py" and first < int(line) < first + 14


def test_a_second_process_compiles_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("BACO_CACHE_DIR", str(tmp_path))
    arguments = (np.int8, np.int8, np.int8, 100, 32)
    first, second = (baco.from_triton(tk.add_kernel) for _ in range(2))
    assert first.warmup(*arguments).asm == second.warmup(*arguments).asm
    assert (first.compilations, second.compilations) == (1, 0)
    assert json.loads(next((tmp_path / "kernels").glob("add_kernel-*")).read_text())["key"]["source"].startswith("triton ")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("how", ["rint", "magic", "floor"])
@pytest.mark.parametrize(("constant", "relu"), [(True, True), (False, False)])
def test_requantisation_is_done_by_the_accumulators_way_out(backend, how, constant, relu) -> None:
    a, b, c = int8(rng, 16, 16), int8(rng, 16, 16), np.zeros((16, 16), np.int8)
    kernel, scale = baco.from_triton(tk.requantised_kernel), np.float32(0.0078125)  # halves are common
    arguments = (0.5 if constant else float(scale), 16, float(scale) if constant else None, relu, how)
    kernel[(1,)](a, b, c, *arguments, backend=backend)
    sums = product(a, b) * scale
    rounded = np.floor(sums + np.float32(0.5)) if how == "floor" else np.rint(sums)
    np.testing.assert_array_equal(c, np.clip(rounded, 0 if relu else -128, 127))
    if backend == "functional":
        compiled = kernel.warmup(*[np.int8] * 3, *arguments).compiled
        on_host = any("floor" in Path(tk.__file__).read_text().splitlines()[int(r.split(":")[1]) - 1] for r in compiled.remarks)
        assert (compiled.remarks == ()) == (how != "floor") == (not on_host)


@pytest.mark.parametrize("backend", BACKENDS)
def test_reshapes_and_atomics(backend) -> None:
    x, y, count = rng.integers(0, 99, 16).astype(np.int32), np.zeros(17, np.int32), np.zeros(6, np.int32)
    baco.from_triton(tk.shapes_kernel)[(1,)](x, y, count, BLOCK=16, backend=backend)
    np.testing.assert_array_equal(y[:16], x.reshape(8, 2)[:, ::-1].ravel())
    assert y[16] == np.bitwise_xor.reduce(x)
    np.testing.assert_array_equal(count, [*np.bincount(x % 4, minlength=4), 0, 9])


def _line(kernel, text) -> int:
    return next(i for i, line in enumerate(Path(tk.__file__).read_text().splitlines(), 1) if text in line)


@pytest.mark.parametrize(
    ("kernel", "text", "reason"),
    [
        (tk.half_kernel, "tl.float16", "f16 values are not supported: Gemmini multiplies int8"),
        (tk.library_kernel, "libdevice.sinh", "__nv_sinhf is not supported: of libdevice, a library for GPUs, there are __nv_rintf"),
    ],
)
def test_what_the_machine_has_not_is_refused_at_its_line(kernel, text, reason) -> None:
    with pytest.raises(UnsupportedOperation, match=reason) as error:
        baco.from_triton(kernel).warmup(np.float32, BLOCK_SIZE=16)
    assert error.value.location.line == _line(kernel, text)


def test_what_triton_refuses_is_refused_at_its_line() -> None:
    with pytest.raises(CompilationError, match="Triton: .*16 and 32") as error:
        baco.from_triton(tk.unfit_kernel).warmup(np.int32, BLOCK_SIZE=16)
    assert error.value.location.line == _line(tk.unfit_kernel, "2 * BLOCK_SIZE")


def test_float16_arrays_other_things_and_the_interpreter_are_refused() -> None:
    with pytest.raises(LaunchError, match="argument 'x_ptr' has elements of float16"):
        baco.from_triton(tk.half_kernel).warmup(np.float16, BLOCK_SIZE=16)
    with pytest.raises(LaunchError, match=r"takes a function with @triton.jit, not a function"):
        baco.from_triton(tk.half_kernel.fn)
    with pytest.raises(LaunchError, match="TRITON_INTERPRET"):
        baco.from_triton(tk.add_kernel)[(1,)](*np.zeros((3, 16), np.int8), 16, BLOCK_SIZE=16, backend="interpreter")
