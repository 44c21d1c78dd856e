// RUN: baco-opt %s -p canonicalize,cse --mlir-print-ir-after-change 2>&1 | filecheck %s
// RUN: baco-opt %s --pass-pipeline=builtin.module(func.func(cse),canonicalize{max-iterations=2}) --mlir-print-op-generic
// RUN: baco-opt %s --canonicalize --cse -mlir-print-debuginfo

// CHECK: // -----// IR Dump After canonicalize //----- //
// CHECK-NOT: IR Dump After cse
// CHECK-LABEL: func.func @k
func.func @k(%a: i64) -> i64 {
  %c0 = arith.constant 0 : i64
  %b = arith.addi %a, %c0 : i64
  return %b : i64
}
