"""The passes that bring programs of other front ends in, each alone, checked with FileCheck."""

import pytest
from ir_checks import filecheck

from baco.dialects.mlir import context, ir
from baco.hardware import GemminiConfig
from baco.lowering.errors import CompilationError, UnsupportedOperation
from baco.lowering.import_linalg import parse_tensors
from baco.lowering.import_triton import parse_ttir, stored_arguments
from baco.lowering.passes import run_passes, set_hardware
from baco.lowering.tools.common import ToolFailure
from baco.lowering.tools.opt import opt

COPY = """
"builtin.module"() ({
  "tt.func"() <{function_type = (!tt.ptr<i8>, !tt.ptr<i8>, i32) -> (), sym_name = "copy"}> ({
  ^bb0(%x: !tt.ptr<i8> loc("x"("k.py":1:1)), %y: !tt.ptr<i8> loc("y"("k.py":1:1)), %n: i32 loc("n"("k.py":1:1))):
    %r = "tt.make_range"() <{end = 32 : i32, start = 0 : i32}> : () -> tensor<32xi32>
    %s = "tt.splat"(%n) : (i32) -> tensor<32xi32>
    %mask = "arith.cmpi"(%r, %s) <{predicate = 2 : i64}> : (tensor<32xi32>, tensor<32xi32>) -> tensor<32xi1>
    %xs = "tt.splat"(%x) : (!tt.ptr<i8>) -> tensor<32x!tt.ptr<i8>>
    %p = "tt.addptr"(%xs, %r) : (tensor<32x!tt.ptr<i8>>, tensor<32xi32>) -> tensor<32x!tt.ptr<i8>>
    %v = "tt.load"(%p, %mask) <{operandSegmentSizes = array<i32: 1, 1, 0>}> : (tensor<32x!tt.ptr<i8>>, tensor<32xi1>) -> tensor<32xi8>
    %ys = "tt.splat"(%y) : (!tt.ptr<i8>) -> tensor<32x!tt.ptr<i8>>
    %q = "tt.addptr"(%ys, %r) : (tensor<32x!tt.ptr<i8>>, tensor<32xi32>) -> tensor<32x!tt.ptr<i8>>
    "tt.store"(%q, %v, %mask) : (tensor<32x!tt.ptr<i8>>, tensor<32xi8>, tensor<32xi1>) -> () loc("k.py":7:5)
    "tt.return"() : () -> ()
  }) : () -> ()
}) : () -> ()
"""


def test_import_triton() -> None:
    module = parse_ttir(COPY)
    run_passes(module, ["import-triton"])
    assert stored_arguments(module) == {"y"}
    filecheck(
        str(module),
        """
        CHECK: func.func @copy(%[[X:.*]]: !baco.ptr<i8> {baco.name = "x"}, %[[Y:.*]]: !baco.ptr<i8> {baco.name = "y"}, %[[N:.*]]: i32
        CHECK: %[[R:.*]] = "baco.make_range"() {end = 32 : i64, start = 0 : i64} : () -> tensor<32xi32>
        CHECK: %[[S:.*]] = tensor.splat %[[N]] : tensor<32xi32>
        CHECK: %[[MASK:.*]] = arith.cmpi slt, %[[R]], %[[S]] : tensor<32xi32>
        CHECK: %[[O:.*]] = arith.extsi %[[R]] : tensor<32xi32> to tensor<32xi64>
        CHECK: %[[P:.*]] = "baco.add_pointer"(%[[X]], %{{.*}}) : (!baco.ptr<i8>, tensor<32xi64>) -> !baco.ptr_block<tensor<32xi8>>
        CHECK: %[[V:.*]] = "baco.gather"(%[[P]], %[[MASK]], %{{.*}})
        CHECK: "baco.scatter"(%{{.*}}, %[[V]], %[[MASK]])
        CHECK: return
        """,
    )


def test_import_triton_refuses_what_it_does_not_know_at_its_place() -> None:
    module = parse_ttir(COPY.replace('"tt.store"', '"tt.ptr_to_int"'))
    with pytest.raises(UnsupportedOperation, match=r"k.py:7:5: tt.ptr_to_int is not supported"):
        run_passes(module, ["import-triton"])
    with pytest.raises(CompilationError, match="not Triton IR in generic form"):
        parse_ttir("module { tt.func @x() }")
    with pytest.raises(CompilationError, match="exactly one function after inlining, not 0"):
        run_passes(parse_ttir("module {}"), ["import-triton"])


MATMUL = """
func.func @f(%x: tensor<40x24xi8>, %w: tensor<24x16xi8>) -> tensor<40x16xi32> {
  %c0 = arith.constant 0 : i32
  %e = tensor.empty() : tensor<40x16xi32>
  %z = linalg.fill ins(%c0 : i32) outs(%e : tensor<40x16xi32>) -> tensor<40x16xi32>
  %r = linalg.matmul ins(%x, %w : tensor<40x24xi8>, tensor<24x16xi8>) outs(%z : tensor<40x16xi32>) -> tensor<40x16xi32>
  return %r : tensor<40x16xi32>
}
"""


def test_import_linalg() -> None:
    module = parse_tensors(MATMUL)
    run_passes(module, ["import-linalg"])
    filecheck(
        str(module),
        """
        CHECK: func.func @f(%[[X:.*]]: memref<*xi8> {baco.name = "in0"}, %[[W:.*]]: memref<*xi8> {baco.name = "in1"}
        CHECK-SAME: %[[Y:.*]]: memref<*xi32> {baco.name = "out0"}
        CHECK: %[[XV:.*]] = memref.reinterpret_cast %[[X]] to offset: [0], sizes: [40, 24], strides: [24, 1]
        CHECK: %[[YV:.*]] = memref.reinterpret_cast %[[Y]] to offset: [0], sizes: [40, 16], strides: [16, 1]
        CHECK: %[[XT:.*]] = bufferization.to_tensor %[[XV]] restrict
        CHECK: %[[R:.*]] = linalg.matmul ins(%[[XT]], %{{.*}})
        CHECK: bufferization.materialize_in_destination %[[R]] in restrict writable %[[YV]]
        """,
    )


def test_tile_products() -> None:
    module = parse_tensors(MATMUL)
    set_hardware(module, GemminiConfig(dim=8, scratchpad_bytes=2048, accumulator_bytes=2048))
    run_passes(module, [*pipeline("tensors-to-linalg"), "canonicalize,cse"])
    filecheck(
        str(module),
        """
        CHECK: %[[C:.*]] = memref.alloc() {baco.shared} : memref<16x16xi32>
        CHECK: scf.for %{{.*}} = %c0 to %c32 step %c16 {
        CHECK:   linalg.fill ins(%c0_i32 : i32) outs(%[[C]]
        CHECK:   memref.copy
        CHECK:   linalg.matmul
        CHECK:   memref.copy %[[C]]
        CHECK: }
        CHECK: %[[EDGE:.*]] = memref.subview %[[C]]{{.*}}[0, 0] [8, 16] [1, 1]
        CHECK: linalg.fill ins(%c0_i32 : i32) outs(%[[EDGE]]
        """,
    )


def test_products_of_other_types_are_left_whole() -> None:
    module = parse_tensors(MATMUL.replace("i8", "i32"))
    run_passes(module, pipeline("tensors-to-linalg"))
    assert str(module).count("linalg.matmul") == 1 and "memref.alloc" not in str(module)


def pipeline(name: str) -> tuple[str, ...]:
    from baco.lowering.pipelines import PIPELINES

    return PIPELINES[name]


def test_the_context_stays_strict_after_an_import() -> None:
    parse_ttir(COPY)
    with pytest.raises(ir.MLIRError, match="unregistered"), context():
        ir.Module.parse('"tt.x"() : () -> ()')


def test_baco_opt_imports_triton_ir(tmp_path, capsys) -> None:
    path = tmp_path / "copy.mlir"
    path.write_text(COPY)
    assert opt([str(path), "-p", "import-triton", "--allow-unregistered-dialect"]) == 0
    assert "baco.gather" in capsys.readouterr().out
    with pytest.raises(ToolFailure, match="unregistered"):
        opt([str(path), "-p", "import-triton"])
