"""Loads that run ahead, layouts, and first products that overwrite: each pass alone, and programs that still compute the same."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_checks import after, filecheck

import baco
import baco.language as bl
from baco.hardware import GemminiConfig
from baco.lowering.errors import CompilationError
from baco.lowering.pipeline_loads import set_num_stages

sys.path.append(str(Path(__file__).parents[1] / "lang"))

from kernels import example, int8, product

matmul = example("01_matmul")

LOOP = """
module attributes {{baco.num_stages = {stages} : i64}} {{
func.func @k(%x: memref<*xi8>, %y: memref<*xi8>, %n: index, %to: memref<*xi32>) {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %w = memref.alloc() : memref<64x16xi8>
  %c = memref.alloc() : memref<16x16xi32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%at = %c0) -> (index) {{
    %s = memref.reinterpret_cast %x to offset: [%at], sizes: [16, 64], strides: [64, 1]
      : memref<*xi8> to memref<16x64xi8, strided<[64, 1], offset: ?>>
    %a = memref.alloc() : memref<16x64xi8>
    memref.copy %s, %a : memref<16x64xi8, strided<[64, 1], offset: ?>> to memref<16x64xi8>
    linalg.matmul ins(%a, %w : memref<16x64xi8>, memref<64x16xi8>) outs(%c : memref<16x16xi32>)
    {extra}
    %next = {next}
    scf.yield %next : index
  }}
  return
}}
}}
"""
NEXT = "arith.addi %at, %c64 : index"


def loop(stages: int = 3, extra: str = "", next: str = NEXT) -> str:
    return LOOP.format(stages=stages, extra=extra, next=next)


def test_loads_run_ahead() -> None:
    filecheck(
        after(loop(), "pipeline-loads", "canonicalize,cse"),
        """
        CHECK: %[[RING:.*]] = memref.alloc() {baco.slots = 3 : i64} : memref<3x16x64xi8>
        CHECK: %[[FIRST:.*]] = arith.cmpi sgt, %[[N:.*]], %c0 : index
        CHECK: scf.if %[[FIRST]] {
        CHECK:   memref.subview %[[RING]][0, 0, 0] [1, 16, 64] [1, 1, 1]
        CHECK:   memref.reinterpret_cast %{{.*}} to offset: [0]
        CHECK:   memref.copy
        CHECK: %[[SECOND:.*]] = arith.cmpi sgt, %[[N]], %c1
        CHECK: scf.if %[[SECOND]] {
        CHECK:   memref.subview %[[RING]][1, 0, 0] [1, 16, 64] [1, 1, 1]
        CHECK:   memref.reinterpret_cast %{{.*}} to offset: [64]
        CHECK: scf.for %[[I:.*]] = %c0 to %[[N]] step %c1 iter_args(%[[AT:.*]] = %c0, %[[USE:.*]] = %c0, %[[FILL:.*]] = %c2)
        CHECK:   %[[AHEAD:.*]] = arith.addi %[[I]], %c2
        CHECK:   %[[FAR:.*]] = arith.addi %[[AT]], %c128
        CHECK:   %[[THERE:.*]] = arith.cmpi slt, %[[AHEAD]], %[[N]]
        CHECK:   scf.if %[[THERE]] {
        CHECK:     %[[TO:.*]] = memref.subview %[[RING]][%[[FILL]], 0, 0]
        CHECK:     %[[FROM:.*]] = memref.reinterpret_cast %{{.*}} to offset: [%[[FAR]]]
        CHECK:     memref.copy %[[FROM]], %[[TO]]
        CHECK:   %[[A:.*]] = memref.subview %[[RING]][%[[USE]], 0, 0]
        CHECK:   linalg.matmul ins(%[[A]],
        CHECK:   scf.yield %{{.*}}, %{{.*}}, %[[USE]]
        """,
    )


def test_one_stage_changes_nothing() -> None:
    assert after(loop(1), "pipeline-loads") == after(loop(1))


STORE = """%t = memref.reinterpret_cast %x to offset: [%at], sizes: [16, 64], strides: [64, 1]
      : memref<*xi8> to memref<16x64xi8, strided<[64, 1], offset: ?>>
    memref.copy %a, %t : memref<16x64xi8> to memref<16x64xi8, strided<[64, 1], offset: ?>>"""


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (loop(extra=STORE), "the loop stores to the array it loads from"),
        (loop(extra='"instgem.fence"() : () -> ()'), "the host core works in the same loop"),
        (loop(next="arith.muli %at, %c64 : index"), "does not advance by a fixed step"),
    ],
    ids=["store", "host work", "address"],
)
def test_a_load_that_must_wait_stays_and_says_why(source: str, reason: str) -> None:
    text = after(source, "pipeline-loads")
    assert "baco.slots" not in text
    assert "this load does not run ahead: " in text and reason in text


def test_an_address_from_memory_is_not_known_ahead() -> None:
    source = loop().replace("[%at], sizes", "[%far], sizes").replace("%s = ", "%far = memref.dim %w, %i : memref<64x16xi8>\n    %s = ")
    assert "its address or size comes from memref.dim" in after(source, "pipeline-loads")


def test_copies_that_do_not_fit_are_fewer() -> None:
    """Beside the 64 rows of %w, 128 rows hold one copy of the 64 rows of %a; 256 hold three."""
    small = GemminiConfig(scratchpad_bytes=128 * 16, scratchpad_banks=1)
    text = after(loop(4), "pipeline-loads", config=small)
    assert "baco.slots" not in text
    assert "are not buffered more than once: scratchpad rows required: 320, rows there: 128" in text
    text = after(loop(4), "pipeline-loads", config=GemminiConfig(scratchpad_bytes=256 * 16, scratchpad_banks=1))
    assert "baco.slots = 3" in text and "run 2 instead of 3 iterations ahead" in text


NEST = """
module attributes {{baco.num_stages = 2 : i64}} {{
func.func @k(%x: memref<*xi8>, %y: memref<*xi8>, %n: index, %b: i1) {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c = memref.alloc() : memref<16x16xi32>
  scf.for %i = %c0 to %n step %c1 {{
    %s = memref.reinterpret_cast %x to offset: [%i], sizes: [16, 16], strides: [16, 1]
      : memref<*xi8> to memref<16x16xi8, strided<[16, 1], offset: ?>>
    %a = memref.alloc() : memref<16x16xi8>
    memref.copy %s, %a : memref<16x16xi8, strided<[16, 1], offset: ?>> to memref<16x16xi8>
    {before}
    scf.for %j = %c0 to {upper} step %c1 {{
      %t = memref.reinterpret_cast %y to offset: [%j], sizes: [16, 16], strides: [16, 1]
        : memref<*xi8> to memref<16x16xi8, strided<[16, 1], offset: ?>>
      %b1 = memref.alloc() : memref<16x16xi8>
      memref.copy %t, %b1 : memref<16x16xi8, strided<[16, 1], offset: ?>> to memref<16x16xi8>
      linalg.matmul ins(%a, %b1 : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
    }}
    {after}
  }}
  return
}}
}}
"""


def nest(upper: str = "%n", before: str = "", after: str = "") -> str:
    return NEST.format(upper=upper, before=before, after=after)


def test_levels_of_a_nest_are_one_pipeline() -> None:
    """The inner loop's first load comes before the outer loop; its last iterations load what the next one of the outer loop begins with."""
    filecheck(
        after(nest(), "pipeline-loads", "canonicalize,cse"),
        """
        CHECK: %[[INNER:.*]] = memref.alloc() {baco.slots = 2 : i64}
        CHECK: memref.subview %[[INNER]][0, 0, 0]
        CHECK: %[[OUTER:.*]] = memref.alloc() {baco.slots = 2 : i64}
        CHECK: memref.subview %[[OUTER]][0, 0, 0]
        CHECK: scf.for %[[I:.*]] = %c0 to %[[N:.*]] step %c1 iter_args(%[[U:.*]] = %c0, %[[F:.*]] = %c1, %[[OU:.*]] = %c0, %[[OF:.*]] = %c1)
        CHECK:   %[[NEXTI:.*]] = arith.addi %[[I]], %c1
        CHECK:   scf.if
        CHECK:     memref.subview %[[OUTER]][%[[OF]], 0, 0]
        CHECK:   %[[A:.*]] = memref.subview %[[OUTER]][%[[OU]], 0, 0]
        CHECK:   %[[LEFT:.*]]:2 = scf.for %[[J:.*]] = %c0 to %[[N]] step %c1 iter_args(%[[USE:.*]] = %[[U]], %[[FILL:.*]] = %[[F]])
        CHECK:     %[[NEXTJ:.*]] = arith.addi %[[J]], %c1
        CHECK:     %[[OVER:.*]] = arith.cmpi sge, %[[NEXTJ]], %[[N]]
        CHECK:     %[[ATJ:.*]] = arith.select %[[OVER]], %c0, %[[NEXTJ]]
        CHECK:     %[[ATI:.*]] = arith.select %[[OVER]], %[[NEXTI]], %[[I]]
        CHECK:     %[[MORE:.*]] = arith.cmpi slt, %[[ATI]], %[[N]]
        CHECK:     scf.if %[[MORE]] {
        CHECK:       %[[TO:.*]] = memref.subview %[[INNER]][%[[FILL]], 0, 0]
        CHECK:       %[[FROM:.*]] = memref.reinterpret_cast %{{.*}} to offset: [%[[ATJ]]]
        CHECK:       memref.copy %[[FROM]], %[[TO]]
        CHECK:     %[[B:.*]] = memref.subview %[[INNER]][%[[USE]], 0, 0]
        CHECK:     linalg.matmul ins(%[[A]], %[[B]]
        CHECK:   scf.yield %[[LEFT]]#0, %[[LEFT]]#1,
        """,
    )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (nest(after='"instgem.fence"() : () -> ()'), "the host core works in the same loop"),
        (nest(upper="%i"), "the bounds of the loop are not the same in every iteration around it"),
        (
            nest(before="scf.if %b {").replace("outs(%c : memref<16x16xi32>)\n    }", "outs(%c : memref<16x16xi32>)\n    } }"),
            "an scf.if around it decides at run time whether it is reached again",
        ),
    ],
    ids=["host work", "triangle", "condition"],
)
def test_an_inner_pipeline_that_must_drain_says_why(source: str, reason: str) -> None:
    text = after(source, "pipeline-loads")
    assert "baco.slots = 2" in text
    assert "the loads of this loop start afresh whenever it is reached: " in text and reason in text


def test_num_stages_is_limited() -> None:
    with pytest.raises(CompilationError, match="num_stages is 1 to 4, not 5"):
        set_num_stages(None, 5)


@settings(max_examples=12)
@given(
    sizes=st.tuples(*[st.integers(1, 80)] * 3),
    block=st.sampled_from([(16, 16, 16), (32, 16, 48), (24, 40, 8)]),
    stages=st.integers(2, 4),
    dim=st.sampled_from([4, 16]),
    wide=st.booleans(),
)
def test_stages_change_the_order_only(sizes, block, stages: int, dim: int, wide: bool) -> None:
    m, n, k = sizes
    rng = np.random.default_rng(m * n * k)
    a, b = int8(rng, m, k), int8(rng, k, n)
    runs = []
    for s in (1, stages):
        c = np.zeros((m, n), np.int32 if wide else np.int8)
        result = matmul.launch(a, b, c, block=block, num_stages=s, hardware=GemminiConfig(dim=dim))
        if wide:
            np.testing.assert_array_equal(c, product(a, b))
        runs.append((c, result.counters.traffic))
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    assert runs[0][1].differences(runs[1][1]) == []


@baco.jit
def tiles(a, b, c, M, N, K, BM: bl.constexpr, BN: bl.constexpr, BK: bl.constexpr, EVERY: bl.constexpr):
    for i in range(0, M, BM):
        for j in range(0, N, BN):
            left = bl.make_block_ptr(a, (M, K), (K, 1), (i, 0), (BM, BK), (1, 0))
            right = bl.make_block_ptr(b, (K, N), (N, 1), (0, j), (BK, BN), (1, 0))
            total = bl.zeros((BM, BN), dtype=bl.int32)
            for k in range(0, K, BK):
                if k % EVERY == 0:
                    total += bl.dot(bl.load(left, boundary_check=(0, 1)), bl.load(right, boundary_check=(0, 1)))
                left = bl.advance(left, (0, BK))
                right = bl.advance(right, (BK, 0))
            bl.store(bl.make_block_ptr(c, (M, N), (N, 1), (i, j), (BM, BN), (1, 0)), total, boundary_check=(0, 1))


@settings(max_examples=8)
@given(
    sizes=st.tuples(st.integers(0, 40), st.integers(0, 70), st.integers(0, 60)),
    block=st.sampled_from([(16, 16, 16), (8, 32, 24), (40, 4, 60)]),
    stages=st.integers(2, 4),
    dim=st.sampled_from([2, 4, 16]),
    every=st.sampled_from([1, 48]),
)
def test_loops_of_any_length_are_one_pipeline(sizes, block, stages: int, dim: int, every: int) -> None:
    """Empty, short and long loops, loads under a condition: sums are NumPy's, counts those of no pipeline and of the analysis."""
    m, n, k = sizes
    rng = np.random.default_rng(m * n * k)
    a, b = int8(rng, max(m, 1), max(k, 1)), int8(rng, max(k, 1), max(n, 1))
    used = [i for i in range(k) if i // block[2] * block[2] % every == 0]
    runs = []
    for s in (1, stages):
        c = np.zeros((max(m, 1), max(n, 1)), np.int32)
        options = dict(zip(("BM", "BN", "BK"), block, strict=True), EVERY=every, num_stages=s, hardware=GemminiConfig(dim=dim))
        counters = tiles[(1,)](a, b, c, m, n, k, **options).counters
        np.testing.assert_array_equal(c[:m, :n], a[:m, used].astype(np.int32) @ b[used, :n])
        special = tiles.warmup(a, b, c, m, n, k, **options)
        assert special.traffic(1, M=m, N=n, K=k).differences(counters.traffic) == []
        runs.append(counters.traffic)
    assert runs[0].differences(runs[1]) == []


# Loads that do not change -------------------------------------------------------------------------------------------------------------


def test_a_load_of_the_same_block_in_every_iteration_happens_once() -> None:
    filecheck(
        after(loop(1).replace("[%at], sizes", "[%c64], sizes"), "hoist-loads"),
        """
        CHECK: %[[A:.*]] = memref.alloc() : memref<16x64xi8>
        CHECK: %[[RUNS:.*]] = arith.cmpi slt, %c0, %{{.*}} : index
        CHECK: scf.if %[[RUNS]] {
        CHECK:   %[[FROM:.*]] = memref.reinterpret_cast
        CHECK:   memref.copy %[[FROM]], %[[A]]
        CHECK: scf.for
        CHECK-NOT: memref.copy
        CHECK: linalg.matmul ins(%[[A]],
        """,
    )


@pytest.mark.parametrize(
    "source",
    [
        loop(1),
        loop(1, extra=STORE).replace("[%at], sizes", "[%c64], sizes"),
        loop(1, extra="%z = arith.constant 0 : i8  linalg.fill ins(%z : i8) outs(%a : memref<16x64xi8>)").replace(
            "[%at], sizes", "[%c64], sizes"
        ),
    ],
    ids=["another block", "the array is stored to", "the block is changed"],
)
def test_other_loads_stay(source: str) -> None:
    assert after(source, "hoist-loads") == after(source)


@baco.jit
def by_one_block(a, b, c, M, K, B: bl.constexpr):
    left = bl.make_block_ptr(a, (B, K), (K, 1), (0, 0), (B, B), (1, 0))
    for i in range(0, M, B):
        rows = bl.load(bl.make_block_ptr(b, (M, B), (B, 1), (i, 0), (B, B), (1, 0)), boundary_check=(0,))
        product = bl.dot(rows, bl.load(left))
        bl.store(bl.make_block_ptr(c, (M, B), (B, 1), (i, 0), (B, B), (1, 0)), product, boundary_check=(0,))


@pytest.mark.parametrize("stages", [1, 3])
def test_a_block_that_every_iteration_needs_is_loaded_once(stages: int) -> None:
    rng = np.random.default_rng(0)
    a, b, c = int8(rng, 16, 32), int8(rng, 70, 16), np.zeros((70, 16), np.int32)
    counters = by_one_block[(1,)](a, b, c, 70, 32, B=16, num_stages=stages).counters
    np.testing.assert_array_equal(c, product(b, a[:, :16]))
    assert counters.traffic.reads["dram", "weights"] == 16 * 16
    assert counters.traffic.reads["dram", "inputs"] == 70 * 16


# First products ----------------------------------------------------------------------------------------------------------------------

SUM = """
func.func @k(%a: memref<16x16xi8>, %n: index) {{
  %c0_i32 = arith.constant 0 : i32
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c = memref.alloc() : memref<16x16xi32>
  linalg.fill ins(%c0_i32 : i32) outs(%c : memref<16x16xi32>)
  {before}
  scf.for %i = %c0 to {to} step %c1 {{
    linalg.matmul ins(%a, %a : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
  }}
  return
}}
"""


def test_the_first_product_overwrites() -> None:
    filecheck(
        after(SUM.format(before="%c4 = arith.constant 4 : index", to="%c4"), "overwrite-first-product"),
        """
        CHECK-NOT: linalg.fill
        CHECK: scf.for %[[I:.*]] = %[[FROM:.*]] to
        CHECK:   %[[FIRST:.*]] = arith.cmpi eq, %[[I]], %[[FROM]]
        CHECK:   scf.if %[[FIRST]] {
        CHECK:     linalg.matmul {baco.overwrite}
        CHECK:   } else {
        CHECK-NEXT: linalg.matmul ins
        """,
    )


def test_zeros_stay_for_a_loop_that_may_not_run() -> None:
    filecheck(
        after(SUM.format(before="", to="%n"), "overwrite-first-product"),
        """
        CHECK: %[[EMPTY:.*]] = arith.cmpi sle, %{{.*}}, %c0
        CHECK: scf.if %[[EMPTY]] {
        CHECK-NEXT: linalg.fill
        CHECK: scf.for
        CHECK: linalg.matmul {baco.overwrite}
        """,
    )


@pytest.mark.parametrize(
    "before",
    [
        "%z = memref.alloc() : memref<16x16xi32>  memref.copy %c, %z : memref<16x16xi32> to memref<16x16xi32>",
        "%b = arith.cmpi slt, %c0, %n : index  scf.if %b { "
        "linalg.matmul ins(%a, %a : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>) }",
    ],
    ids=["read first", "under a condition"],
)
def test_zeros_stay_where_something_else_may_see_them(before: str) -> None:
    text = after(SUM.format(before=before, to="%n"), "overwrite-first-product")
    assert "linalg.fill" in text and "baco.overwrite" not in text


# Layouts -----------------------------------------------------------------------------------------------------------------------------


def test_layouts() -> None:
    source = """
func.func @k(%n: index) {
  %a = memref.alloc() : memref<32x64xi8>
  %b = memref.alloc() : memref<20x64xi8>
  %c = memref.alloc() : memref<32x64xi8>
  %v = memref.subview %c[%n, 0] [8, 64] [1, 1] : memref<32x64xi8> to memref<8x64xi8, strided<[64, 1], offset: ?>>
  return
}
"""
    filecheck(
        after(source, "choose-layouts"),
        """
        CHECK: memref.alloc() {baco.layout = "tiles"} : memref<32x64xi8>
        CHECK: memref.alloc() {baco.layout = "columns"} : memref<20x64xi8>
        CHECK: memref.alloc() {baco.layout = "columns"} : memref<32x64xi8>
        """,
    )


def test_stores_are_as_wide_as_the_hardware_takes() -> None:
    a, b, c = np.ones((64, 64), np.int8), np.ones((64, 64), np.int8), np.zeros((64, 64), np.int8)
    counters = matmul.launch(a, b, c, block=(64, 64, 64)).counters
    assert counters.instructions["mvout"] == 4 and "mvin3" not in counters.instructions
    assert (c == 64).all()
