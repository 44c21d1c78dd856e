"""The CPU path against NumPy and, word for word, against the functional simulator; it shares no pass with the accelerator path."""

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import baco
import baco.language as bl
from baco.dialects.mlir import context, ir
from baco.lowering import cpu
from baco.lowering.cpu import CpuProgram, CpuResult, compile_cpu, compile_kernel_for_cpu
from baco.lowering.errors import CompilationError, OutOfResources
from baco.lowering.passes import run_passes
from baco.sim import Parameter, ProgramError

sys.path.insert(0, str(Path(__file__).parents[1] / "lang"))
import test_kernels
from kernels import example, int8, product, requantised

matmul = example("01_matmul")


def on_both(kernel, grid, arguments, **meta) -> list[np.ndarray]:
    """Run a kernel on the CPU and on the simulator; every array must hold the same afterwards."""
    copies = [x.copy() if isinstance(x, np.ndarray) else x for x in arguments]
    kernel[grid](*arguments, **meta, backend="cpu")
    kernel[grid](*copies, **meta)
    for ours, theirs in zip(arguments, copies, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    return arguments


@settings(max_examples=12)
@given(
    shape=st.tuples(*[st.integers(1, 70)] * 3),
    block=st.tuples(*[st.integers(1, 48)] * 3),
    scale=st.floats(0, 0.125, width=32),
    relu=st.booleans(),
    dtype=st.sampled_from([np.int8, np.int32]),
)
def test_any_matmul_is_the_same_on_cpu_simulator_and_numpy(shape, block, scale, relu, dtype) -> None:
    m, k, n = shape
    rng = np.random.default_rng(0)
    a, b = int8(rng, m, k), int8(rng, k, n)
    host, simulated = np.zeros((m, n), dtype), np.zeros((m, n), dtype)
    result = matmul.launch(a, b, host, scale=scale, relu=relu, block=block, backend="cpu")
    matmul.launch(a, b, simulated, scale=scale, relu=relu, block=block)
    assert result == CpuResult(baco.cdiv(m, block[0]) * baco.cdiv(n, block[1]))
    np.testing.assert_array_equal(host, product(a, b) if dtype is np.int32 else requantised(product(a, b), scale, relu))
    np.testing.assert_array_equal(host, simulated)


@settings(max_examples=150)
@given(shape=st.tuples(*[st.integers(1, 90)] * 3), scale=st.floats(0, 2, width=32), relu=st.booleans(), seed=st.integers(0, 99))
def test_any_scale_rounds_half_to_even_and_saturates(shape, scale, relu, seed) -> None:
    m, k, n = shape
    rng = np.random.default_rng(seed)
    a, b, c = int8(rng, m, k), int8(rng, k, n), np.zeros((m, n), np.int8)
    matmul.launch(a, b, c, scale=scale, relu=relu, block=(16, 24, 32), backend="cpu")
    np.testing.assert_array_equal(c, requantised(product(a, b), scale, relu))


def test_ties_round_to_even() -> None:
    a, c = np.arange(-9, 10, dtype=np.int8).reshape(-1, 1), np.zeros((19, 2), np.int8)
    matmul.launch(a, np.ones((1, 2), np.int8), c, scale=0.5, relu=False, block=(16, 16, 16), backend="cpu")
    np.testing.assert_array_equal(c[:, 0], [-4, -4, -4, -3, -2, -2, -2, -1, 0, 0, 0, 1, 2, 2, 2, 3, 4, 4, 4])


def test_kernels_of_the_language_tests() -> None:
    rng = np.random.default_rng(1)
    m, k, n = 37, 50, 45
    a, b = int8(rng, m, k), int8(rng, k, n)
    grid = (baco.cdiv(m, 16) * baco.cdiv(n, 32),)
    c = on_both(test_kernels.with_descriptors, grid, [a, b, np.zeros((m, n), np.int32), m, n, k], BM=16, BN=32, BK=16)[2]
    np.testing.assert_array_equal(c, product(a, b))
    a, b = int8(rng, 16, 16), int8(rng, 16, 16)
    for kernel in (test_kernels.dot_with_acc, test_kernels.dot_added):
        c = on_both(kernel, 1, [a, b, np.zeros((16, 16), np.int32), 16], B=16)[2]
        np.testing.assert_array_equal(c, product(a, b))
    y = on_both(test_kernels.copy_twice, 1, [a, np.zeros((16, 16), np.int8), 16], B=8)[1]
    np.testing.assert_array_equal(y[8:, 8:], a[:8, :8])


@settings(max_examples=8)
@given(
    step=st.integers(1, 3), skip=st.integers(0, 4), shape=st.tuples(*[st.integers(2, 40)] * 3), dtype=st.sampled_from([np.int8, np.int32])
)
def test_strided_views_leave_what_lies_between(step, skip, shape, dtype) -> None:
    m, k, n = shape
    rng = np.random.default_rng(2)
    a, b = int8(rng, m * step + skip, k + skip)[skip::step][:m, skip:], int8(rng, k, n)
    results = []
    for backend in ("cpu", "functional"):
        whole = np.full((m * step + 2, n + skip + 1), 99, dtype)
        c = whole[1 : 1 + m * step : step, skip : skip + n]
        matmul.launch(a, b, c, scale=0.01, block=(16, 32, 16), backend=backend)
        results.append(whole)
    np.testing.assert_array_equal(*results)
    outside = np.ones(results[0].shape, bool)
    outside[1 : 1 + m * step : step, skip : skip + n] = False
    assert (results[0][outside] == 99).all()


def test_one_array_for_two_parameters_is_one_buffer() -> None:
    x = int8(np.random.default_rng(3), 16, 16)
    before = x.copy()
    on_both(test_kernels.copy_twice, 1, [x, np.zeros_like(x), 16], B=8)
    test_kernels.copy_twice[1](x, x, 16, B=8, backend="cpu")
    np.testing.assert_array_equal(x[8:, 8:], before[:8, :8])


@baco.jit
def malloc(x, y, n, B: bl.constexpr):
    p = bl.make_block_ptr(x, (n, n), (n, 1), (bl.program_id(0) * B, bl.program_id(1) * B), (B, B), (1, 0))
    q = bl.make_block_ptr(y, (n, n), (n, 1), (bl.program_id(1) * B, bl.program_id(0) * B), (B, B), (1, 0))
    bl.store(q, bl.load(p, boundary_check=(0, 1)), boundary_check=(0, 1))


def test_grid_axes_and_a_kernel_named_like_a_library_function() -> None:
    x, y = int8(np.random.default_rng(4), 20, 20), np.zeros((20, 20), np.int8)
    on_both(malloc, (3, 3), [x, y, 20], B=8)
    np.testing.assert_array_equal(y[8:16, :8], x[:8, 8:16])


def test_what_gemmini_refuses_still_runs() -> None:
    rng = np.random.default_rng(5)
    a, b, c = int8(rng, 300, 40), int8(rng, 40, 300), np.zeros((300, 300), np.int32)
    block = (300, 300, 40)
    with pytest.raises(OutOfResources):
        matmul.launch(a, b, c, block=block)
    matmul.launch(a, b, c, block=block, backend="cpu")
    np.testing.assert_array_equal(c, product(a, b))


def test_a_kernel_is_compiled_once() -> None:
    x, y = np.ones((8, 8), np.int8), np.zeros((8, 8), np.int8)
    malloc[1](x, y, 8, B=4, backend="cpu")
    compilations = malloc.compilations
    malloc[1](x, y, 8, B=4, backend="cpu")
    assert malloc.compilations == compilations
    programs = [s.compiled for s in malloc.specialisations.values() if isinstance(s.compiled, CpuProgram)]
    assert list(programs[0].asm) == ["linalg", "llvm"] and f"@{cpu.ENTRY}" in programs[0].asm["llvm"]


SOFTMAX = """
#row = affine_map<(d0, d1) -> (d0)>
#all = affine_map<(d0, d1) -> (d0, d1)>
func.func @softmax(%x: memref<*xf32>, %y: memref<*xf32>, %n: i64, %pid0: i64, %1: i64, %2: i64, %3: i64, %4: i64, %5: i64) {
  %row = arith.index_cast %pid0 : i64 to index
  %c8 = arith.constant 8 : index
  %at = arith.muli %row, %c8 : index
  %from = memref.reinterpret_cast %x to offset: [%at], sizes: [1, 8], strides: [8, 1]
    : memref<*xf32> to memref<1x8xf32, strided<[8, 1], offset: ?>>
  %to = memref.reinterpret_cast %y to offset: [%at], sizes: [1, 8], strides: [8, 1]
    : memref<*xf32> to memref<1x8xf32, strided<[8, 1], offset: ?>>
  %block = memref.alloc() : memref<1x8xf32>
  memref.copy %from, %block : memref<1x8xf32, strided<[8, 1], offset: ?>> to memref<1x8xf32>
  %v = bufferization.to_tensor %block restrict writable : memref<1x8xf32> to tensor<1x8xf32>
  %low = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1xf32>
  %m0 = linalg.fill ins(%low : f32) outs(%e : tensor<1xf32>) -> tensor<1xf32>
  %m = linalg.reduce { arith.maximumf } ins(%v : tensor<1x8xf32>) outs(%m0 : tensor<1xf32>) dimensions = [1]
  %b = linalg.broadcast ins(%m : tensor<1xf32>) outs(%v : tensor<1x8xf32>) dimensions = [1]
  %d = arith.subf %v, %b : tensor<1x8xf32>
  %p = math.exp %d : tensor<1x8xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%e : tensor<1xf32>) -> tensor<1xf32>
  %s = linalg.reduce { arith.addf } ins(%p : tensor<1x8xf32>) outs(%s0 : tensor<1xf32>) dimensions = [1]
  %o = tensor.empty() : tensor<1x8xf32>
  %r = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
    ins(%p, %s : tensor<1x8xf32>, tensor<1xf32>) outs(%o : tensor<1x8xf32>) {
  ^bb0(%a: f32, %c: f32, %out: f32):
    %q = arith.divf %a, %c : f32
    linalg.yield %q : f32
  } -> tensor<1x8xf32>
  bufferization.materialize_in_destination %r in restrict writable %to
    : (tensor<1x8xf32>, memref<1x8xf32, strided<[8, 1], offset: ?>>) -> ()
  return
}
"""
FLOATS = (Parameter("x", "buffer", "float32"), Parameter("y", "buffer", "float32", writable=True), Parameter("n", "scalar", "int64"))


def test_host_arithmetic_elementwise_and_reductions() -> None:
    x = np.random.default_rng(6).normal(size=(5, 8)).astype(np.float32)
    y = np.zeros_like(x)
    compile_cpu(SOFTMAX, FLOATS).run([x, y, 8], (5,))
    e = np.exp(x - x.max(1, keepdims=True))
    np.testing.assert_allclose(y, e / e.sum(1, keepdims=True), rtol=1e-6)


PERMUTE = """
func.func @permute(%x: !baco.ptr<i32> {baco.name = "x"}, %at: !baco.ptr<i64> {baco.name = "at"}, %y: !baco.ptr<i32> {baco.name = "y"},
                   %s: !baco.ptr<i32> {baco.name = "s"}, %n: i64 {baco.name = "n"}) {
  %r = "baco.make_range"() {start = 0 : i64, end = 16 : i64} : () -> tensor<16xi64>
  %nn = tensor.splat %n : tensor<16xi64>
  %mask = arith.cmpi slt, %r, %nn : tensor<16xi64>
  %pa = "baco.add_pointer"(%at, %r) : (!baco.ptr<i64>, tensor<16xi64>) -> !baco.ptr_block<tensor<16xi64>>
  %z = arith.constant 0 : i64
  %o = "baco.gather"(%pa, %mask, %z) : (!baco.ptr_block<tensor<16xi64>>, tensor<16xi1>, i64) -> tensor<16xi64>
  %px = "baco.add_pointer"(%x, %o) : (!baco.ptr<i32>, tensor<16xi64>) -> !baco.ptr_block<tensor<16xi32>>
  %m1 = arith.constant -1 : i32
  %v = "baco.gather"(%px, %mask, %m1) : (!baco.ptr_block<tensor<16xi32>>, tensor<16xi1>, i32) -> tensor<16xi32>
  %v2 = arith.addi %v, %v : tensor<16xi32>
  %py = "baco.add_pointer"(%y, %o) : (!baco.ptr<i32>, tensor<16xi64>) -> !baco.ptr_block<tensor<16xi32>>
  "baco.scatter"(%py, %v2, %mask) : (!baco.ptr_block<tensor<16xi32>>, tensor<16xi32>, tensor<16xi1>) -> ()
  %e = "baco.expand_dims"(%v) {axis = 1 : i64} : (tensor<16xi32>) -> tensor<16x1xi32>
  %b = "baco.broadcast"(%e) : (tensor<16x1xi32>) -> tensor<16x4xi32>
  %t = "baco.trans"(%b) {order = array<i64: 1, 0>} : (tensor<16x4xi32>) -> tensor<4x16xi32>
  %q = "baco.reduce"(%t) {axis = 1 : i64, kind = "max"} : (tensor<4x16xi32>) -> tensor<4xi32>
  %r4 = "baco.make_range"() {start = 0 : i64, end = 4 : i64} : () -> tensor<4xi64>
  %all = arith.constant dense<true> : tensor<4xi1>
  %ps = "baco.add_pointer"(%s, %r4) : (!baco.ptr<i32>, tensor<4xi64>) -> !baco.ptr_block<tensor<4xi32>>
  "baco.scatter"(%ps, %q, %all) : (!baco.ptr_block<tensor<4xi32>>, tensor<4xi32>, tensor<4xi1>) -> ()
  return
}
"""


def test_raw_pointers_masks_and_rearrangements() -> None:
    """y[at[i]] = 2 * x[at[i]] for the first n; s = the largest of these x, or -1."""
    kinds = {"x": "int32", "at": "int64", "y": "int32", "s": "int32"}
    parameters = (*(Parameter(n, "buffer", dtype, n in "ys") for n, dtype in kinds.items()), Parameter("n", "scalar", "int64"))
    rng = np.random.default_rng(9)
    x, at = rng.integers(-99, 99, 16).astype(np.int32), rng.permutation(16)
    with context(), ir.Location.unknown():
        program = compile_kernel_for_cpu(ir.Module.parse(PERMUTE), parameters)
    for n in (0, 1, 11, 16):
        y, s, expected = np.zeros(16, np.int32), np.zeros(4, np.int32), np.zeros(16, np.int32)
        program.run([x, at, y, s, n])
        expected[at[:n]] = 2 * x[at[:n]]
        np.testing.assert_array_equal(y, expected)
        assert (s == max([-1, *x[at[:n]]] if n < 16 else x)).all()


CARRIED = """
!block = tensor<4096xf32>
!view = memref<4096xf32, strided<[1], offset: ?>>
func.func @carried(%x: memref<*xf32>, %y: memref<*xf32>, %n: i64, %0: i64, %1: i64, %2: i64, %3: i64, %4: i64, %5: i64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c4096 = arith.constant 4096 : index
  %count = arith.index_cast %n : i64 to index
  %first = tensor.empty() : !block
  %zero = arith.constant 0.0 : f32
  %z = linalg.fill ins(%zero : f32) outs(%first : !block) -> !block
  // Every second turn carries the block just read on, the others the one before: the buffers' lifetimes are known only at run time.
  %last, %sum = scf.for %i = %c0 to %count step %c1 iter_args(%held = %z, %total = %z) -> (!block, !block) {
    %at = arith.muli %i, %c4096 : index
    %from = memref.reinterpret_cast %x to offset: [%at], sizes: [4096], strides: [1] : memref<*xf32> to !view
    %buffer = memref.alloc() : memref<4096xf32>
    memref.copy %from, %buffer : !view to memref<4096xf32>
    %v = bufferization.to_tensor %buffer restrict writable : memref<4096xf32> to !block
    %bit = arith.remsi %i, %c2 : index
    %even = arith.cmpi eq, %bit, %c0 : index
    %next = scf.if %even -> (!block) { scf.yield %v : !block } else { scf.yield %held : !block }
    %more = arith.addf %total, %next : !block
    scf.yield %next, %more : !block, !block
  }
  %to = memref.reinterpret_cast %y to offset: [%c0], sizes: [4096], strides: [1] : memref<*xf32> to !view
  bufferization.materialize_in_destination %sum in restrict writable %to : (!block, !view) -> ()
  return
}
"""


def test_blocks_carried_around_loops_are_right_and_freed() -> None:
    turns = 64
    x = np.random.default_rng(7).integers(0, 9, (turns, 4096)).astype(np.float32)
    y = np.zeros(4096, np.float32)
    program = compile_cpu(CARRIED, FLOATS)
    program.run([x, y, turns])
    np.testing.assert_array_equal(y, 2 * x[::2].sum(0))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    program.run([x, y, turns], (200,))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < turns * 200 * x[0].nbytes / 10


def test_arguments_are_checked() -> None:
    program = compile_cpu(SOFTMAX, FLOATS)
    x, y = np.zeros((1, 8), np.float32), np.zeros((1, 8), np.float32)
    for arguments, reason in (
        ([x, y], "takes 3 arguments, but 2"),
        ([x, y.astype(np.int8), 8], "argument y must be an array of float32"),
        ([x.T[::2], y, 8], "argument x must be C-contiguous"),
        ([x, y, 1.5], "argument n must be a whole number"),
    ):
        with pytest.raises(ProgramError, match=reason):
            program.run(arguments)
    with pytest.raises(ProgramError, match="each size must be a whole number"):
        program.run([x, y, 8], (0,))


@pytest.mark.parametrize("text", ["hello", "declare void @no_such()\ndefine void @baco_kernel() { call void @no_such()\n ret void }"])
def test_llvm_that_cannot_be_used(text) -> None:
    with pytest.raises(CompilationError, match="LLVM cannot compile this kernel for the host"):
        cpu._HostCode(text, ())


def test_copies_become_linalg() -> None:
    source = """
    func.func @f(%a: memref<?x8xi8, strided<[?, 1], offset: ?>>, %b: memref<?x8xi8>) {
      memref.copy %a, %b : memref<?x8xi8, strided<[?, 1], offset: ?>> to memref<?x8xi8>
      return
    }"""
    with context():
        module = ir.Module.parse(source)
    run_passes(module, ["copies-to-linalg"])
    text = str(module)
    assert "linalg.copy" in text and "memref.copy" not in text
    assert "ins(%arg0 : memref<?x8xi8, strided<[?, 1], offset: ?>>) outs(%arg1 : memref<?x8xi8>)" in text


def test_llvmlite_is_imported_only_to_run() -> None:
    check = "import sys, baco, baco.lowering.cpu; sys.exit('llvmlite' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)


DIVISIONS = ("divsi", "remsi", "divui", "remui", "floordivsi", "ceildivsi")
INTEGERS = [-(2**63), -7, -1, 0, 1, 3, 2**63 - 1]


@pytest.mark.parametrize("type_", ["i64", "index"])
def test_division_is_riscvs_and_never_traps(type_) -> None:
    lines = [
        f"""%i{i} = arith.constant {i} : index
        %r{i} = arith.{name} %a, %b : {type_}
        memref.store %r{i}, %m[%i{i}] : memref<6x{type_}>"""
        for i, name in enumerate(DIVISIONS)
    ]
    cast = "arith.index_cast" if type_ == "index" else "arith.bitcast"
    text = """
    func.func @divide(%out: memref<*xTYPE>, %x: i64, %y: i64, %0: i64, %1: i64, %2: i64, %3: i64, %4: i64, %5: i64) {
      %m = memref.reinterpret_cast %out to offset: [0], sizes: [6], strides: [1] : memref<*xTYPE> to memref<6xTYPE>
      %a = CAST %x : i64 to TYPE
      %b = CAST %y : i64 to TYPE
      BODY
      return
    }"""
    for word, by in {"TYPE": type_, "CAST": cast, "BODY": "\n".join(lines)}.items():
        text = text.replace(word, by)
    scalars = (Parameter("x", "scalar", "int64"), Parameter("y", "scalar", "int64"))
    program = compile_cpu(text, (Parameter("out", "buffer", "int64", writable=True), *scalars))
    out = np.zeros(6, np.int64)
    for x in INTEGERS:
        for y in INTEGERS:
            program.run([out, x, y])
            if y == 0:
                expected = [-1, x, -1, x]
            elif (x, y) == (-(2**63), -1):
                expected = [x, 0, 0, x]
            else:
                quotient = abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
                u, v = x % 2**64, y % 2**64
                expected = [quotient, x - quotient * y, u // v, u % v, x // y, -(-x // y)]
            np.testing.assert_array_equal(out[: len(expected)], [e - 2**64 if e >= 2**63 else e for e in expected], f"{x} by {y}")


@baco.jit
def divided(x, y, n, d, B: bl.constexpr):
    row = bl.program_id(0) // d
    p = bl.make_block_ptr(x, (n, n), (n, 1), (row, 0), (B, B), (1, 0))
    bl.store(bl.make_block_ptr(y, (n, n), (n, 1), (0, 0), (B, B), (1, 0)), bl.load(p, boundary_check=(0, 1)), boundary_check=(0, 1))


def test_a_kernel_that_divides_by_zero_does_not_end_the_process() -> None:
    divided[1](np.zeros((8, 8), np.int8), np.zeros((8, 8), np.int8), 0, 0, B=8, backend="cpu")


NUMBERS = [0.1, -0.1, 1.0, -0.0, 1e-45, 3.4028235e38, 16777215.0, 2.0**63, float("inf"), float("-inf"), float("nan"), 127.0]


def test_every_float_constant_is_read_as_it_was_written() -> None:
    """LLVM 24 prints what LLVM 22 does not read: decimals that are not exact, infinities, bit patterns."""
    bits = np.array(NUMBERS, np.float32).view(np.uint32)
    stores = "\n".join(
        f"""%i{i} = arith.constant {i} : index
        %v{i} = arith.constant {word:#010x} : f32
        memref.store %v{i}, %m[%i{i}] : memref<{len(bits)}xf32>
        %w{i} = arith.addf %v{i}, %z : f32
        %j{i} = arith.constant {len(bits) + i} : index
        memref.store %w{i}, %all[%j{i}] : memref<{2 * len(bits)}xf32>"""
        for i, word in enumerate(bits)
    )
    text = f"""
    func.func @constants(%x: memref<*xf32>, %z: f32, %0: i64, %1: i64, %2: i64, %3: i64, %4: i64, %5: i64) {{
      %m = memref.reinterpret_cast %x to offset: [0], sizes: [{len(bits)}], strides: [1] : memref<*xf32> to memref<{len(bits)}xf32>
      %all = memref.reinterpret_cast %x to offset: [0], sizes: [{2 * len(bits)}], strides: [1]
        : memref<*xf32> to memref<{2 * len(bits)}xf32>
      {stores}
      return
    }}"""
    x = np.zeros(2 * len(bits), np.float32)
    compile_cpu(text, (Parameter("x", "buffer", "float32", writable=True), Parameter("z", "scalar", "float32"))).run([x, -0.0])
    np.testing.assert_array_equal(x[: len(bits)].view(np.uint32), bits)
    np.testing.assert_array_equal(x[len(bits) :], np.array(NUMBERS, np.float32))


@baco.jit
def scaled_by_a_constant(a, b, c, n, B: bl.constexpr, SCALE: bl.constexpr):
    p = bl.make_block_ptr(a, (n, n), (n, 1), (0, 0), (B, B), (1, 0))
    q = bl.make_block_ptr(b, (n, n), (n, 1), (0, 0), (B, B), (1, 0))
    acc = bl.dot(bl.load(p, boundary_check=(0, 1)), bl.load(q, boundary_check=(0, 1)))
    bl.store(bl.make_block_ptr(c, (n, n), (n, 1), (0, 0), (B, B), (1, 0)), bl.gemmini.requantise(acc, SCALE), boundary_check=(0, 1))


def test_scale_known_at_compile_time() -> None:
    rng = np.random.default_rng(8)
    a, b = int8(rng, 13, 13), int8(rng, 13, 13)
    for scale in (0.1, 0.004, 1.0):
        c = on_both(scaled_by_a_constant, 1, [a, b, np.zeros((13, 13), np.int8), 13], B=16, SCALE=scale)[2]
        np.testing.assert_array_equal(c, requantised(product(a, b), scale, relu=False))
