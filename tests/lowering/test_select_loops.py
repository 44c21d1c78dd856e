"""Products by loop_ws: what becomes one, what does not and why, and that results and words moved stay the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_checks import after, filecheck

import baco
import baco.language as bl
from baco import isa
from baco.hardware import GemminiConfig
from baco.lang.errors import LaunchError
from baco.lowering.disassemble import rocc_functs
from baco.lowering.errors import CompilationError, UnsupportedOperation
from baco.lowering.select_loops import set_instructions
from baco.sim import ProgramError, spike

CLEAN = "canonicalize,cse"


@baco.jit
def product(
    a,
    b,
    bias,
    c,
    M,
    N,
    K,
    scale,
    BM: bl.constexpr,
    BN: bl.constexpr,
    BK: bl.constexpr,
    BIAS: bl.constexpr,
    RELU: bl.constexpr,
):
    row = bl.program_id(0) * BM
    col = bl.program_id(1) * BN
    a_ptr = bl.make_block_ptr(a, (M, K), (K, 1), (row, 0), (BM, BK), (1, 0))
    b_ptr = bl.make_block_ptr(b, (K, N), (N, 1), (0, col), (BK, BN), (1, 0))
    if BIAS == 0:
        acc = bl.zeros((BM, BN), dtype=bl.int32)
    elif BIAS == 1:
        acc = bl.load(bl.make_block_ptr(bias, (M, N), (0, 1), (row, col), (BM, BN), (1, 0)), boundary_check=(0, 1))
    else:
        acc = bl.load(bl.make_block_ptr(bias, (M, N), (N, 1), (row, col), (BM, BN), (1, 0)), boundary_check=(0, 1))
    for _ in range(0, K, BK):
        acc += bl.dot(bl.load(a_ptr, boundary_check=(0, 1)), bl.load(b_ptr, boundary_check=(0, 1)))
        a_ptr = bl.advance(a_ptr, (0, BK))
        b_ptr = bl.advance(b_ptr, (BK, 0))
    c_ptr = bl.make_block_ptr(c, (M, N), (N, 1), (row, col), (BM, BN), (1, 0))
    result = acc if c.dtype == bl.int32 else bl.gemmini.requantise(acc, scale, relu=RELU)
    bl.store(c_ptr, result, boundary_check=(0, 1))


@baco.jit
def masked(a, b, c, M, N, K, BM: bl.constexpr, BN: bl.constexpr, BK: bl.constexpr):
    m = bl.program_id(0) * BM + bl.arange(0, BM)
    n = bl.program_id(1) * BN + bl.arange(0, BN)
    acc = bl.zeros((BM, BN), dtype=bl.int32)
    for start in range(0, K, BK):
        k = start + bl.arange(0, BK)
        left = bl.load(a + m[:, None] * K + k[None, :], mask=(m[:, None] < M) & (k[None, :] < K))
        right = bl.load(b + k[:, None] * N + n[None, :], mask=(k[:, None] < K) & (n[None, :] < N))
        acc += bl.dot(left, right)
    bl.store(c + m[:, None] * N + n[None, :], acc, mask=(m[:, None] < M) & (n[None, :] < N))


@baco.jit
def once(a, b, c, BM: bl.constexpr, BN: bl.constexpr, BK: bl.constexpr):
    left = bl.load(bl.make_block_ptr(a, (BM, BK), (BK, 1), (0, 0), (BM, BK), (1, 0)))
    right = bl.load(bl.make_block_ptr(b, (BK, BN), (BN, 1), (0, 0), (BK, BN), (1, 0)))
    bl.store(bl.make_block_ptr(c, (BM, BN), (BN, 1), (0, 0), (BM, BN), (1, 0)), bl.dot(left, right))


@baco.jit
def transposed(a, b, c, M, N, K, LEFT: bl.constexpr, BM: bl.constexpr, BN: bl.constexpr, BK: bl.constexpr):
    row = bl.program_id(0) * BM
    col = bl.program_id(1) * BN
    acc = bl.zeros((BM, BN), dtype=bl.int32)
    for k in range(0, K, BK):
        if LEFT:
            x = bl.trans(bl.load(bl.make_block_ptr(a, (K, M), (M, 1), (k, row), (BK, BM), (1, 0)), boundary_check=(0, 1)))
            y = bl.load(bl.make_block_ptr(b, (K, N), (N, 1), (k, col), (BK, BN), (1, 0)), boundary_check=(0, 1))
        else:
            x = bl.load(bl.make_block_ptr(a, (M, K), (K, 1), (row, k), (BM, BK), (1, 0)), boundary_check=(0, 1))
            y = bl.trans(bl.load(bl.make_block_ptr(b, (N, K), (K, 1), (col, k), (BN, BK), (1, 0)), boundary_check=(0, 1)))
        acc = bl.dot(x, y, acc)
    bl.store(bl.make_block_ptr(c, (M, N), (N, 1), (row, col), (BM, BN), (1, 0)), acc, boundary_check=(0, 1))


def arguments(m: int, n: int, k: int, bias: int = 0, wide: bool = True):
    rng = np.random.default_rng([m, n, k])
    a, b = rng.integers(-128, 128, (m, k), np.int8), rng.integers(-128, 128, (k, n), np.int8)
    d = rng.integers(-90000, 90000, ((1,), (n,), (m, n))[bias], np.int32)
    return a, b, d, np.full((m, n), 99, np.int32 if wide else np.int8)


def launch(a, b, d, c, block, bias=0, relu=False, scale=0.003, **options):
    (m, k), n = a.shape, b.shape[1]
    grid = (baco.cdiv(m, block[0]), baco.cdiv(n, block[1]))
    return product[grid](a, b, d, c, m, n, k, scale, *block, bias, relu, **options)


def expected(a, b, d, c, bias=0, relu=False, scale=0.003) -> np.ndarray:
    acc = a.astype(np.int32) @ b.astype(np.int32) + (d if bias else 0)
    if c.dtype == np.int32:
        return acc
    return np.clip(np.rint(acc.astype(np.float32) * np.float32(scale)), 0 if relu else -128, 127).astype(np.int8)


# Results ------------------------------------------------------------------------------------------------------------------------------


@settings(max_examples=12)
@given(
    sizes=st.tuples(st.integers(1, 70), st.integers(1, 70), st.integers(0, 5), st.integers(0, 9)),
    block=st.sampled_from([(16, 16, 16), (32, 16, 48), (24, 40, 16), (8, 64, 32)]),
    dim=st.sampled_from([4, 8, 16]),
    bias=st.integers(0, 2),
    wide=st.booleans(),
    relu=st.booleans(),
)
def test_loops_and_primitives_give_the_same(sizes, block, dim: int, bias: int, wide: bool, relu: bool) -> None:
    m, n, tiles, rest = sizes
    k = max(tiles * dim + (rest if rest > 5 else 0), 2)
    config = GemminiConfig(dim=dim)
    a, b, d, c = arguments(m, n, k, bias, wide)
    result = launch(a, b, d, c, block, bias, relu, hardware=config, instructions="loops")
    np.testing.assert_array_equal(c, expected(a, b, d, c, bias, relu))
    steps = baco.cdiv(m, block[0]) * baco.cdiv(n, block[1]) * baco.cdiv(k, block[2])
    ran = result.counters.instructions
    assert ran.get("loop_ws", 0) == (0 if k % dim else steps)
    assert ("preload" in ran) == (k % dim != 0)
    plain = np.full_like(c, 98)
    launch(a, b, d, plain, block, bias, relu, hardware=config)
    np.testing.assert_array_equal(c, plain)


@pytest.mark.parametrize(("m", "n", "k"), [(40, 33, 64), (32, 32, 16), (7, 50, 40)])
def test_masked_pointers(m: int, n: int, k: int) -> None:
    a, b, _, c = arguments(m, n, k)
    grid = (baco.cdiv(m, 32), baco.cdiv(n, 32))
    result = masked[grid](a, b, c, m, n, k, 32, 32, 32, instructions="loops")
    np.testing.assert_array_equal(c, expected(a, b, 0, c))
    assert ("loop_ws" in result.counters.instructions) == (k % 16 == 0)


@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize(("m", "n", "k"), [(40, 33, 64), (50, 70, 32), (20, 20, 24)])
@pytest.mark.parametrize("dim", [4, 16])
def test_transposed_operands(m: int, n: int, k: int, dim: int, left: bool) -> None:
    a, b, _, c = arguments(m, n, k)
    stored = (np.ascontiguousarray(a.T), b) if left else (a, np.ascontiguousarray(b.T))
    grid = (baco.cdiv(m, 32), baco.cdiv(n, 24))
    result = transposed[grid](*stored, c, m, n, k, left, 32, 24, 32, instructions="loops", hardware=GemminiConfig(dim=dim))
    np.testing.assert_array_equal(c, expected(a, b, 0, c))
    assert ("loop_ws" in result.counters.instructions) == (k % dim == 0)


def test_a_product_without_a_loop() -> None:
    a, b, _, c = arguments(48, 32, 64)
    result = once[1,](a, b, c, 48, 32, 64, instructions="loops")
    np.testing.assert_array_equal(c, expected(a, b, 0, c))
    assert result.counters.instructions["loop_ws"] == 1 and "preload" not in result.counters.instructions


def test_an_empty_sum_is_zero() -> None:
    a, b, d, c = np.zeros((16, 16), np.int8), np.zeros((16, 16), np.int8), np.zeros(1, np.int32), np.full((16, 16), 99, np.int32)
    product[1,](a, b, d, c, 16, 16, 0, 1.0, 16, 16, 16, 0, False, instructions="loops")
    assert (c == 0).all()


# Counters -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [0, 1, 2])
@pytest.mark.parametrize("wide", [True, False])
def test_whole_tiles_move_the_same_words(bias: int, wide: bool) -> None:
    counted = []
    for instructions in ("primitive", "loops"):
        a, b, d, c = arguments(96, 64, 128, bias, wide)
        counted.append(launch(a, b, d, c, (32, 64, 64), bias, instructions=instructions, keep_resident=False).counters)
    plain, loops = counted
    assert loops.traffic == plain.traffic
    assert (loops.dram_bytes_read, loops.dram_bytes_written) == (plain.dram_bytes_read, plain.dram_bytes_written)
    computes = sum(plain.instructions[name] for name in ("compute_preloaded", "compute_accumulated"))
    assert sum(loops.unrolled[name] for name in ("compute_preloaded", "compute_accumulated")) == computes
    assert 8 * sum(loops.instructions.values()) < sum(plain.instructions.values())
    assert 3 * loops.host_instructions < plain.host_instructions


def test_only_declared_instructions() -> None:
    special = product.warmup(np.int8, np.int8, np.int32, np.int8, 64, 64, 64, 1.0, 64, 64, 64, 1, True, instructions="loops")
    names = {i.funct7: i.name for i in isa.INSTRUCTIONS if not i.name.startswith("config_")} | {0: "config"}
    found = {names[f] for f in rocc_functs(special.asm["elf"])}
    loop = {"loop_ws", *(f"loop_ws_config_{x}" for x in ("bounds", "addrs_ab", "addrs_dc", "strides_ab", "strides_dc"))}
    primitive = {"mvin", "mvin2", "mvin3", "mvout", "preload", "compute_preloaded", "compute_accumulated"}
    assert found == {"config", "flush", *loop, *primitive}
    special = once.warmup(np.int8, np.int8, np.int32, 64, 64, 64, instructions="loops")
    assert {names[f] for f in rocc_functs(special.asm["elf"])} == {"config", "flush", *loop}
    assert '"instgem.preload"' not in special.asm["instgem"]


# Choices ------------------------------------------------------------------------------------------------------------------------------


def test_auto_decides_by_cost_and_says_why() -> None:
    def remarks(block, **options):
        types = (np.int8, np.int8, np.int32, np.int8)
        return product.warmup(*types, 64, 64, 64, 1.0, *block, 0, True, instructions="auto", **options).compiled.remarks

    (chosen,) = remarks((64, 64, 64))
    assert "this product becomes loop_ws, but primitive instructions where its depth is no multiple of DIM" in chosen
    (plain,) = remarks((16, 16, 16))
    assert "stays in primitive instructions: its blocks take 4 instructions, and a loop 6" in plain
    (ahead,) = remarks((64, 64, 64), num_stages=2)
    assert "stays in primitive instructions: its loads run ahead (num_stages=2)" in ahead
    (large,) = remarks((128, 128, 64))
    assert "its blocks take 1024 rows of the accumulator, and a loop has 512" in large
    (ragged,) = remarks((64, 64, 24))
    assert "the depth of its blocks, 24, is no multiple of 16 (DIM)" in ragged


def test_a_request_that_cannot_be_met_is_an_error() -> None:
    a, b, d, c = arguments(16, 16, 16)
    with pytest.raises(UnsupportedOperation, match=r"loop_ws cannot do this product: its blocks take 1024 rows") as error:
        launch(a, b, d, c, (128, 128, 16), instructions="loops")
    assert "acc += bl.dot" in str(error.value)
    a, b, d, c = arguments(16, 16, 1)  # a number that is 1 is known when the kernel is compiled
    with pytest.raises(UnsupportedOperation, match="it is empty, or its depth is no multiple of DIM"):
        launch(a, b, d, c, (16, 16, 16), instructions="loops")
    with pytest.raises(LaunchError, match="instructions must be one of primitive, loops, auto, but is 'fast'"):
        launch(a, b, d, c, (16, 16, 16), instructions="fast")
    with pytest.raises(CompilationError, match="instructions is one of primitive, loops, auto, not 'fast'"):
        set_instructions(None, "fast")


# The pass alone -----------------------------------------------------------------------------------------------------------------------

SUM = """
module attributes {{baco.instructions = "{instructions}"{more}}} {{
func.func @k(%x: memref<*xi8>, %y: memref<*xi8>, %d: memref<*xi32>, %z: memref<*xi32>, %n: i64, %s: index) {{
  %zero = arith.constant 0 : i32
  %c0 = arith.constant 0 : i64
  %c32 = arith.constant 32 : i64
  %depth = arith.constant {depth} : i64
  %c = memref.alloc() : memref<16x16xi32>
  {start}
  scf.for %i = %c0 to %depth step %c32 : i64 {{
    %at = arith.index_cast %i : i64 to index
    %xs = memref.reinterpret_cast %x to offset: [%at], sizes: [16, 32], strides: [%s, 1]
      : memref<*xi8> to memref<16x32xi8, strided<[?, 1], offset: ?>>
    %a = memref.alloc() : memref<16x32xi8>
    memref.copy %xs, %a : memref<16x32xi8, strided<[?, 1], offset: ?>> to memref<16x32xi8>
    %row = arith.muli %at, %s : index
    %ys = memref.reinterpret_cast %y to offset: [%row], sizes: [32, 16], strides: [%s, 1]
      : memref<*xi8> to memref<32x16xi8, strided<[?, 1], offset: ?>>
    %b = memref.alloc() : memref<32x16xi8>
    memref.copy %ys, %b : memref<32x16xi8, strided<[?, 1], offset: ?>> to memref<32x16xi8>
    linalg.matmul ins(%a, %b : memref<16x32xi8>, memref<32x16xi8>) outs(%c : memref<16x16xi32>)
    {inside}
  }}
  {between}
  %zs = memref.reinterpret_cast %z to offset: [%s], sizes: [16, 16], strides: [16, 1]
    : memref<*xi32> to memref<16x16xi32, strided<[16, 1], offset: ?>>
  memref.copy %c, %zs : memref<16x16xi32> to memref<16x16xi32, strided<[16, 1], offset: ?>>
  {after}
  return
}}
}}
"""
FILL = "linalg.fill ins(%zero : i32) outs(%c : memref<16x16xi32>)"
BIAS = """%ds = memref.reinterpret_cast %d to offset: [0], sizes: [16, 16], strides: [0, 1]
    : memref<*xi32> to memref<16x16xi32, strided<[0, 1]>>
  memref.copy %ds, %c : memref<16x16xi32, strided<[0, 1]>> to memref<16x16xi32>"""


def source(start: str = FILL, depth: int = 128, instructions: str = "loops", **parts: str) -> str:
    parts = dict.fromkeys(("inside", "between", "after", "more"), "") | parts
    return SUM.format(start=start, depth=depth, instructions=instructions, **parts)


def test_a_sum_becomes_loops() -> None:
    filecheck(
        after(source(), "select-loops", CLEAN),
        """
        CHECK-NOT: memref.alloc
        CHECK: scf.for %[[I:.*]] = %[[FROM:.*]] to %[[TO:.*]] step %[[BY:.*]]  : i64 {
        CHECK-DAG: %[[FIRST:.*]] = arith.cmpi eq, %[[I]], %[[FROM]]
        CHECK-DAG: %[[NEXT:.*]] = arith.addi %[[I]], %[[BY]]
        CHECK-DAG: %[[LAST:.*]] = arith.cmpi sge, %[[NEXT]], %[[TO]]
        CHECK: "instgem.config_ld"{{.*}} {load_id = 0
        CHECK: "instgem.config_ld"{{.*}} {load_id = 1
        CHECK-NOT: load_id = 2
        CHECK: "instgem.config_st"
        CHECK: "instgem.loop_ws_config_bounds"(%c0_i64, %c0_i64, %c0_i64, %c1_i64, %c1_i64, %c2_i64)
        CHECK: "instgem.loop_ws_config_addrs_ab"
        CHECK: %[[C:.*]] = arith.select %[[LAST]], %{{.*}}, %c0_i64
        CHECK: "instgem.loop_ws_config_addrs_dc"(%c0_i64, %[[C]])
        CHECK: "instgem.loop_ws_config_strides_ab"
        CHECK: "instgem.loop_ws_config_strides_dc"(%c0_i64, %c16_i64)
        CHECK: scf.if %[[FIRST]] {
        CHECK-NEXT: "instgem.loop_ws"({{.*}}) {{.*}}ex_accumulate = 0 : i64, full_c = 1
        CHECK-NEXT: } else {
        CHECK-NEXT: "instgem.loop_ws"({{.*}}) {{.*}}ex_accumulate = 1 : i64, full_c = 1
        CHECK-NOT: linalg
        CHECK: return
        """,
    )


def test_a_bias_is_accumulated_to() -> None:
    filecheck(
        after(source(BIAS), "select-loops", CLEAN),
        """
        CHECK: scf.for
        CHECK: "instgem.config_ld"(%c16_i64, %{{.*}}, %c0_i64) {load_id = 2 : i64, {{.*}}shrink = 0
        CHECK: %[[D:.*]] = arith.select
        CHECK: %[[C:.*]] = arith.select
        CHECK: "instgem.loop_ws_config_addrs_dc"(%[[D]], %[[C]])
        CHECK: "instgem.loop_ws"({{.*}}) {{.*}}ex_accumulate = 1
        CHECK-NOT: "instgem.loop_ws"
        """,
    )


def test_a_run_time_depth_leaves_a_way_without_loops() -> None:
    text = source().replace("%depth = arith.constant 128 : i64", "").replace("to %depth", "to %n")
    filecheck(
        after(text, "select-loops", CLEAN),
        """
        CHECK: %[[RUNS:.*]] = arith.cmpi
        CHECK: scf.if %[[RUNS]] {
        CHECK:   "instgem.loop_ws"
        CHECK: } else {
        CHECK:   linalg.fill
        CHECK:   scf.for
        CHECK:     linalg.matmul
        CHECK:   memref.copy
        CHECK: }
        CHECK-NEXT: return
        """,
    )


def test_rows_of_a_loop_are_recorded() -> None:
    text = after(source(), "select-loops", CLEAN, "choose-layouts", "tile-to-dim", "place-in-memories")
    assert "baco.rows = {accumulator = 32 : i64, scratchpad = 128 : i64}" in text


def test_without_a_request_nothing_changes() -> None:
    text = source(instructions="primitive")
    assert after(text, "select-loops") == after(text)


OTHER = "%o = memref.alloc() : memref<16x16xi32>"
USE = "linalg.fill ins(%zero : i32) outs(%o : memref<16x16xi32>)"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"depth": 0}, "it is empty, or its depth is no multiple of DIM"),
        ({"start": "linalg.fill ins(%one : i32) outs(%c : memref<16x16xi32>)", "ones": True}, "something else than one load"),
        ({"start": ""}, "its sum does not start from zeros or loaded values here"),
        ({"inside": FILL}, "other work stands between its loads and the store of its result"),
        ({"inside": '"instgem.fence"() : () -> ()'}, "other work stands between its loads and the store of its result"),
        ({"between": '"instgem.fence"() : () -> ()'}, "other work stands between its loads and the store of its result"),
        ({"after": "memref.copy %c, %zs : memref<16x16xi32> to memref<16x16xi32, strided<[16, 1], offset: ?>>"}, "other than by one store"),
        ({"start": f"{OTHER} {USE} {FILL}", "after": USE}, "the block of line 9 stays on the chip meanwhile"),
        (
            {"after": "memref.copy %zs, %o : memref<16x16xi32, strided<[16, 1], offset: ?>> to memref<16x16xi32>", "start": FILL + OTHER},
            "the kernel also loads from an array that it stores to",
        ),
    ],
)
def test_refusals(changes: dict, reason: str) -> None:
    ones = changes.pop("ones", False)
    text = source(**changes)
    if ones:
        text = text.replace("%zero = arith.constant 0 : i32", "%zero = arith.constant 0 : i32 %one = arith.constant 1 : i32")
    with pytest.raises(UnsupportedOperation, match=reason):
        after(text, "select-loops")
    remark = after(text.replace('"loops"', '"auto"'), "select-loops")
    assert reason in remark and "instgem.loop_ws" not in remark


def test_what_is_dead_meanwhile_is_no_obstacle() -> None:
    """Another block whose last use comes before the sum, or whose first comes after it."""
    text = source(start=f"{OTHER} {USE} {FILL}", after=f"%p = memref.alloc() : memref<16x16xi32> {USE.replace('%o', '%p')}")
    assert "instgem.loop_ws" in after(text, "select-loops")


def test_loads_do_not_run_ahead_over_loops() -> None:
    text = after(source(more=", baco.num_stages = 2 : i64"), "select-loops", CLEAN, "pipeline-loads")
    assert "instgem.loop_ws" in text and "baco.slots" not in text


# The reference simulator -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [4, 16])
@pytest.mark.parametrize("bias", [0, 1, 2])
def test_on_spike(dim: int, bias: int) -> None:
    try:
        spike.find(dim)
    except ProgramError:
        pytest.skip(f"no Spike for DIM {dim}")
    for k, wide in ((96, True), (80, False)):
        a, b, d, c = arguments(37, 50, k, bias, wide)
        launch(a, b, d, c, (32, 32, 32), bias, True, instructions="loops", backend="spike", hardware=GemminiConfig(dim=dim))
        np.testing.assert_array_equal(c, expected(a, b, d, c, bias, True))
