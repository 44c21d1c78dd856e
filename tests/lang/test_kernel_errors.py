"""Every refusal says what is wrong, points at the line with a caret, and says what would fix it."""

import numpy as np
import pytest
from kernels import example

import baco
import baco.language as bl
from baco.hardware import GemminiConfig
from baco.lang.errors import (
    CompilationError,
    CompileTimeAssertionFailure,
    KernelTypeError,
    LaunchError,
    OutOfResources,
    OutsideKernel,
    ShapeMismatch,
    UnsupportedLanguageConstruct,
)
from baco.lowering.errors import UnsupportedOperation

matmul = example("01_matmul")
X = np.zeros((32, 32), np.int8)
Y = np.zeros((32, 32), np.int32)


def refused(kernel, error: type[CompilationError], *arguments, marked: str, **meta) -> str:
    """The message of a kernel's refusal; the caret must stand under `marked`, in the line where it is."""
    with pytest.raises(error) as caught:
        kernel.warmup(*arguments, **meta)
    message = str(caught.value)
    source, caret = message.splitlines()[-2:]
    assert __file__ in message
    assert source[caret.index("^") :].startswith(marked), message
    return message


@baco.jit
def stops(x):
    breakpoint()  # noqa: T100


def test_breakpoints_are_for_the_interpreter() -> None:
    assert "BACO_INTERPRET=1" in refused(stops, KernelTypeError, X, marked="breakpoint()")


@baco.jit
def shapes_differ(x, y):
    a = bl.load(bl.make_block_ptr(x, (32, 32), (32, 1), (0, 0), (16, 32), (1, 0)))
    b = bl.load(bl.make_block_ptr(x, (32, 32), (32, 1), (0, 0), (16, 32), (1, 0)))
    bl.store(bl.make_block_ptr(y, (32, 32), (32, 1), (0, 0), (16, 32), (1, 0)), bl.dot(a, b))


def test_block_shapes_that_do_not_meet() -> None:
    assert "32 columns do not meet 16 rows" in refused(shapes_differ, KernelTypeError, X, Y, marked="bl.dot(a, b)")


@baco.jit
def stores_int32_as_int8(x, y):
    a = bl.load(bl.make_block_ptr(x, (32, 32), (32, 1), (0, 0), (32, 32), (1, 0)))
    bl.store(bl.make_block_ptr(y, (32, 32), (32, 1), (0, 0), (32, 32), (1, 0)), bl.dot(a, a))


def test_element_types_that_differ() -> None:
    assert "requantise" in refused(stores_int32_as_int8, KernelTypeError, X, X.copy(), marked="bl.store(")


@baco.jit
def forgets_advance(x):
    p = bl.make_block_ptr(x, (32, 32), (32, 1), (0, 0), (16, 16), (1, 0))
    bl.advance(p, (0, 16))


def test_advance_must_be_used() -> None:
    assert "does not have any side effects" in refused(forgets_advance, KernelTypeError, X, marked="bl.advance(p")


@baco.jit
def changes_type(x, n):
    v = 1
    for _ in range(n):
        v = bl.zeros((16, 16), dtype=bl.int32)  # noqa: F841


def test_loop_variables_keep_their_type() -> None:
    message = refused(changes_type, KernelTypeError, X, 5, marked="for _ in")
    assert "'v' is a int64 before the loop but a 16x16 block of int32" in message


@baco.jit
def returns_early(x, n):
    for i in range(n):
        if i > 3:
            return


@baco.jit
def breaks(x, n):
    for _ in range(n):
        break


@baco.jit
def unknown_name(x):
    y = undefined_thing  # noqa: F821, F841


@baco.jit
def wrong_order(x):
    bl.load(bl.make_block_ptr(x, (32, 32), (1, 32), (0, 0), (16, 16), (1, 0)))


@baco.jit
def gpu_only(x):
    bl.load(bl.make_block_ptr(x, (32, 32), (32, 1), (0, 0), (16, 16), (1, 0)), cache_modifier=".ca")


@baco.jit
def wrong_arguments(x):
    bl.zeros((16, 16))


@baco.jit
def asserts(x, B: bl.constexpr):
    bl.static_assert(B % 16 == 0, "B must be a multiple of 16")


@pytest.mark.parametrize(
    ("kernel", "error", "arguments", "marked", "text"),
    [
        (returns_early, UnsupportedLanguageConstruct, (X, 5), "return", "run-time loop or branch"),
        (breaks, UnsupportedLanguageConstruct, (X, 5), "break", "runs to its end"),
        (unknown_name, KernelTypeError, (X,), "undefined_thing", "not defined"),
        (wrong_order, KernelTypeError, (X,), "bl.make_block_ptr", "strides[1]=32 but strides[0]=1"),
        (gpu_only, KernelTypeError, (X,), "bl.load(", "no caches"),
        (wrong_arguments, KernelTypeError, (X,), "bl.zeros(", "dtype"),
    ],
)
def test_refusals_name_line_and_remedy(kernel, error, arguments, marked, text) -> None:
    assert text in refused(kernel, error, *arguments, marked=marked)


def test_static_assert() -> None:
    assert "B must be a multiple of 16" in refused(asserts, CompileTimeAssertionFailure, X, B=20, marked="bl.static_assert")
    asserts.warmup(X, B=32)


def test_a_block_that_does_not_fit_says_which_would() -> None:
    config = GemminiConfig(scratchpad_bytes=16384)  # 1024 rows
    arguments = (X, X, Y, 32, 32, 32, 32, 1, 32, 1, 32, 1, 1.0)
    with pytest.raises(OutOfResources) as caught:
        matmul.matmul.warmup(*arguments, BLOCK_M=256, BLOCK_N=16, BLOCK_K=64, hardware=config)
    error = caught.value
    assert (error.required, error.limit, error.name) == (1024 + 64, 1024, "scratchpad")
    assert "256x64" in str(error) and "240x64" in str(error)
    matmul.matmul.warmup(*arguments, BLOCK_M=240, BLOCK_N=16, BLOCK_K=64, hardware=config)
    with pytest.raises(OutOfResources, match=r"accumulator rows required: 2048, rows there: 1024"):
        matmul.matmul.warmup(*arguments, BLOCK_M=512, BLOCK_N=64, BLOCK_K=16)


@baco.jit
def changed_before_stored(x, y, z, n, B: bl.constexpr):
    a = bl.load(bl.make_block_ptr(x, (n, n), (n, 1), (0, 0), (B, B), (1, 0)))
    acc = bl.zeros((B, B), dtype=bl.int32)
    acc += bl.dot(a, a)
    early = bl.gemmini.requantise(acc, 0.1)
    acc += bl.dot(a, a)
    bl.store(bl.make_block_ptr(y, (n, n), (n, 1), (0, 0), (B, B), (1, 0)), early)
    bl.store(bl.make_block_ptr(z, (n, n), (n, 1), (0, 0), (B, B), (1, 0)), acc)


def test_a_requantised_block_must_be_stored_before_it_changes() -> None:
    assert "store it first" in refused(changed_before_stored, UnsupportedOperation, X, X, Y, 16, B=16, marked="bl.gemmini.requantise")


def test_arrays_smaller_than_the_kernel_says() -> None:
    a, b, c = (np.zeros((64, 64), t) for t in (np.int8, np.int8, np.int32))
    with pytest.raises(ShapeMismatch, match=r"'b' has 4096 elements.*needs 8192 \(shape 128 x 64, strides 64, 1\)"):
        matmul.matmul[(1, 1)](
            np.zeros((64, 128), np.int8), b, c, 64, 64, 128, 128, 1, 64, 1, 64, 1, 1.0, BLOCK_M=64, BLOCK_N=64, BLOCK_K=64
        )
    assert not a.any() and not c.any()


def test_launch_errors() -> None:
    with pytest.raises(LaunchError, match="missing a required argument: 'c'"):
        matmul.matmul[(1, 1)](X, X)
    with pytest.raises(LaunchError, match="one to three positive integers"):
        asserts[(0,)](X, B=16)
    with pytest.raises(LaunchError, match=r"needs a launch grid: asserts\[grid\]"):
        asserts(X, B=16)
    with pytest.raises(LaunchError, match="elements of float64"):
        asserts[(1,)](np.zeros(3), B=16)
    with pytest.raises(OutsideKernel, match=r"inside a @baco.jit kernel"):
        bl.program_id(0)


@baco.jit
def changes_a_constant(x, n):
    name = "first"
    for _ in range(n):
        name = "other"
    bl.store(x, 1 if name == "other" else 0)


@baco.jit
def grows_a_tuple(x, n):
    pair = (1, 2)
    for i in range(n):
        pair = (*pair, i)
    bl.store(x, pair[0])


@baco.jit
def chooses_a_constant(x, n):
    name = "first"
    if n > 3:
        name = "other"
    bl.store(x, 1 if name == "other" else 0)


def test_what_cannot_change_at_run_time() -> None:
    message = refused(changes_a_constant, KernelTypeError, X, 3, marked="for _")
    assert "'name' is a compile-time str 'first' before the loop but a compile-time str 'other' at the end" in message
    message = refused(grows_a_tuple, KernelTypeError, X, 3, marked="for i")
    assert "'pair' is a tuple (int64, int64) before the loop but a tuple (int64, int64, int64) at the end" in message
    assert "'name' is a compile-time str 'other' where the condition" in refused(chooses_a_constant, KernelTypeError, X, 3, marked="if n")


def test_a_machine_is_no_name() -> None:
    with pytest.raises(LaunchError, match=r"hardware must be a baco.GemminiConfig, but is str; baco.hardware.preset\(name\)"):
        stops.warmup(X, hardware="gemmini-default")


@baco.jit
def exponential(x, y):
    i = bl.arange(0, 8)
    bl.store(y + i, bl.exp(bl.load(x + i).to(bl.float32)))


def test_remarks_and_short_texts_of_compiled_kernels() -> None:
    compiled = exponential.warmup(X, np.zeros(8, np.float32))
    assert any(__file__ in remark and "runs on the host core" in remark for remark in compiled.remarks)
    assert len(repr(compiled)) < 4000
