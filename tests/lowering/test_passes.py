"""Each pass alone, on IR small enough to read, checked with FileCheck."""

import pytest
from ir_checks import after, filecheck

from baco.dialects.mlir import context, ir
from baco.hardware import GemminiConfig
from baco.lowering import pipelines  # noqa: F401  (registers the passes)
from baco.lowering.errors import CompilationError, OutOfResources, PassFailure, UnknownPass, UnsupportedOperation

LOAD = """
func.func @k(%a: !baco.ptr<i8> {baco.name = "a"}, %m: i64 {baco.name = "m"}) {
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  %c32 = arith.constant 32 : i64
  %p = "baco.make_block_ptr"(%a, %m, %c32, %c32, %c1, %c0, %c0)
     {order = array<i64: 1, 0>, operandSegmentSizes = array<i32: 1, 2, 2, 2>}
     : (!baco.ptr<i8>, i64, i64, i64, i64, i64, i64) -> !baco.block_ptr<tensor<16x32xi8>>
  %q = scf.for %i = %c0 to %m step %c1 iter_args(%x = %p) -> (!baco.block_ptr<tensor<16x32xi8>>) : i64 {
    %t = "baco.load"(%x) {boundary_check = array<i64: 1, 0>} : (!baco.block_ptr<tensor<16x32xi8>>) -> tensor<16x32xi8>
    "baco.store"(%x, %t) {boundary_check = array<i64: 0, 0>} : (!baco.block_ptr<tensor<16x32xi8>>, tensor<16x32xi8>) -> ()
    %y = "baco.advance"(%x, %c32, %c0) {operandSegmentSizes = array<i32: 1, 2>}
       : (!baco.block_ptr<tensor<16x32xi8>>, i64, i64) -> !baco.block_ptr<tensor<16x32xi8>>
    scf.yield %y : !baco.block_ptr<tensor<16x32xi8>>
  }
  return
}
"""


def test_structure_pointers() -> None:
    filecheck(
        after(LOAD, "structure-pointers", "canonicalize,cse"),
        """
        CHECK: func.func @k(%[[A:.*]]: memref<*xi8> {baco.name = "a"}, %[[M:.*]]: i64 {baco.name = "m"}, %{{.*}}: i64 {baco.name = "pid0"}
        CHECK: scf.for {{.*}} iter_args(%[[ROW:.*]] = %c0_i64) -> (i64)
        CHECK:   %[[SRC:.*]] = memref.reinterpret_cast %[[A]] to offset: [%{{.*}}], sizes: [16, 32], strides: [32, 1]
        CHECK:   scf.if
        CHECK:     linalg.fill
        CHECK:   memref.copy
        CHECK:   bufferization.to_tensor
        CHECK:   bufferization.materialize_in_destination
        CHECK:   %[[NEXT:.*]] = arith.addi %[[ROW]], %c32_i64
        CHECK:   scf.yield %[[NEXT]] : i64
        """,
    )


def test_structure_pointers_refuses_a_pointer_made_anew_in_a_loop() -> None:
    source = LOAD.replace(
        "scf.yield %y",
        """%z = "baco.make_block_ptr"(%a, %m, %m, %m, %c1, %c0, %c0)
     {order = array<i64: 1, 0>, operandSegmentSizes = array<i32: 1, 2, 2, 2>}
     : (!baco.ptr<i8>, i64, i64, i64, i64, i64, i64) -> !baco.block_ptr<tensor<16x32xi8>>
    scf.yield %z""",
    )
    with pytest.raises(UnsupportedOperation, match="may only be advanced"):
        after(source, "structure-pointers")


MATMUL = """
func.func @k() {
  %a = memref.alloc() : memref<40x24xi8>
  %b = memref.alloc() : memref<24x16xi8>
  %c = memref.alloc() : memref<40x16xi32>
  linalg.matmul ins(%a, %b : memref<40x24xi8>, memref<24x16xi8>) outs(%c : memref<40x16xi32>)
  return
}
"""


def test_tile_to_dim_loads_weights_once_and_peels_ragged_ends() -> None:
    filecheck(
        after(MATMUL, "tile-to-dim", "canonicalize,cse"),
        """
        CHECK: %[[A:.*]] = memref.alloc() : memref<40x24xi8>
        CHECK: linalg.matmul ins({{.*}} : memref<16x16xi8, {{.*}}>, memref<16x16xi8, {{.*}}>)
        CHECK: linalg.matmul {baco.weights_in_array} ins({{.*}} : memref<16x16xi8, {{.*}}>, memref<16x16xi8
        CHECK: memref.subview %[[A]][32, 0] [8, 16] [1, 1]
        CHECK: linalg.matmul {baco.weights_in_array} ins({{.*}} : memref<8x16xi8, {{.*}}>, memref<16x16xi8
        CHECK: memref.subview %[[A]][0, 16] [16, 8] [1, 1]
        CHECK: linalg.matmul ins({{.*}} : memref<16x8xi8, {{.*}}>, memref<8x16xi8, {{.*}}>)
        """,
    )


def test_place_in_memories() -> None:
    filecheck(
        after(MATMUL, "place-in-memories"),
        """
        CHECK: memref.alloc() {baco.memory = "scratchpad", baco.row = 0 : i64} : memref<40x24xi8>
        CHECK: memref.alloc() {baco.memory = "scratchpad", baco.row = 80 : i64} : memref<24x16xi8>
        CHECK: memref.alloc() {baco.memory = "accumulator", baco.row = 0 : i64} : memref<40x16xi32>
        """,
    )
    with pytest.raises(OutOfResources, match="scratchpad rows required: 104, rows there: 64"):
        after(MATMUL, "place-in-memories", config=GemminiConfig(scratchpad_bytes=1024))


def test_convert_to_instgem() -> None:
    filecheck(
        after(MATMUL.replace("40", "16"), "tile-to-dim", "place-in-memories", "convert-to-instgem", "canonicalize,cse"),
        """
        CHECK-DAG: %[[GARBAGE:.*]] = arith.constant 4294967295 : i64
        CHECK-DAG: %[[C:.*]] = arith.constant 3221225472 : i64
        CHECK: "instgem.config_ex"
        CHECK-SAME: dataflow = 1
        CHECK: "instgem.preload"(%{{.*}}, %{{.*}}, %{{.*}}, %[[C]], %{{.*}}, %{{.*}})
        CHECK-NEXT: "instgem.compute_preloaded"(%{{.*}}, %{{.*}}, %{{.*}}, %[[GARBAGE]]
        """,
    )


def test_hoist_configs() -> None:
    config = '"instgem.config_ld"(%r, %one, %{}) {{load_id = {} : i64, pixel_repeats = 1 : i64, shrink = 0 : i64}} : (i64, i64, i64) -> ()'
    source = f"""
func.func @k(%r: i64, %one: i64, %s: i64) {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  scf.for %i = %c0 to %c9 step %c1 {{
    {config.format("s", 0)}
    "instgem.mvin"(%s, %s, %s, %s) : (i64, i64, i64, i64) -> ()
    {config.format("s", 0)}
    {config.format("s", 1)}
    "instgem.mvin2"(%s, %s, %s, %s) : (i64, i64, i64, i64) -> ()
    {config.format("r", 1)}
    "instgem.mvin2"(%s, %s, %s, %s) : (i64, i64, i64, i64) -> ()
  }}
  return
}}"""
    filecheck(
        after(source, "hoist-configs"),
        """
        CHECK: "instgem.config_ld"({{.*}}) {load_id = 0
        CHECK-NEXT: scf.for
        CHECK-NEXT: "instgem.mvin"
        CHECK-NEXT: "instgem.config_ld"({{.*}}) {load_id = 1
        CHECK-NEXT: "instgem.mvin2"
        CHECK-NEXT: "instgem.config_ld"({{.*}}) {load_id = 1
        CHECK-NEXT: "instgem.mvin2"
        """,
    )


def test_lower_instgem_to_llvm() -> None:
    source = """
func.func @k(%d: i64, %l: i64, %c: i64, %r: i64) {
  "instgem.mvin"(%d, %l, %c, %r) : (i64, i64, i64, i64) -> ()
  "instgem.fence"() : () -> ()
  return
}"""
    filecheck(
        after(source, "lower-instgem-to-llvm", "canonicalize,cse"),
        """
        CHECK: func.func @k(%[[D:.*]]: i64, %[[L:.*]]: i64, %[[C:.*]]: i64, %[[R:.*]]: i64)
        CHECK: %[[CS:.*]] = arith.shli %[[C]], %c32
        CHECK: %[[RS:.*]] = arith.shli %[[R]], %c48
        CHECK: %[[LC:.*]] = arith.ori %[[L]], %[[CS]]
        CHECK: arith.ori %[[LC]], %[[RS]]
        CHECK: llvm.inline_asm has_side_effects ".insn r CUSTOM_3, 3, 2, x0, $0, $1", "r,r,~{memory}" %[[D]], %{{.*}}
        CHECK: llvm.inline_asm has_side_effects "fence rw, rw"
        """,
    )


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        ('"baco.load"(%p) {boundary_check = array<i64: 2, 0>} : (!baco.block_ptr<tensor<4x4xi8>>) -> tensor<4x4xi8>', "must be 2 flags"),
        ('"baco.load"(%p) {boundary_check = array<i64: 1, 0>} : (!baco.block_ptr<tensor<4x4xi8>>) -> tensor<4x8xi8>', "not tensor<4x8xi8>"),
        ('"baco.zeros"() : () -> tensor<?x4xi8>', "static shape"),
        (
            '"instgem.config_ld"(%i, %i, %i) {load_id = 4 : i64, pixel_repeats = 1 : i64, shrink = 0 : i64} : (i64, i64, i64) -> ()',
            "load_id takes 0 to 3",
        ),
    ],
)
def test_operations_verify_themselves(operation: str, message: str) -> None:
    with context(), pytest.raises(ir.MLIRError, match=message):
        ir.Module.parse(f"func.func @k(%p: !baco.block_ptr<tensor<4x4xi8>>, %i: i64) {{ {operation} return }}")


def test_errors_of_the_pass_manager() -> None:
    with pytest.raises(UnknownPass, match="no pass 'no-such-pass'; BACO's own are add-entry"):
        after(MATMUL, "no-such-pass")
    with pytest.raises(CompilationError, match="exactly one function, not 2"):
        after(MATMUL + MATMUL.replace("@k", "@l"), "place-in-memories")
    with pytest.raises(PassFailure, match="not bufferized"):
        after(
            "func.func @k(%t: tensor<4xi8>) -> tensor<4xi8> { %u = arith.addi %t, %t : tensor<4xi8> return %u : tensor<4xi8> }",
            "one-shot-bufferize",
        )
