// RUN: baco-opt %s -p guard-division | filecheck %s

// A divisor that may be zero is replaced, and the quotient is -1 as on RISC-V; a harmless one is left alone.
// CHECK-LABEL: func.func @k
// CHECK: arith.cmpi eq
// CHECK: arith.select
// CHECK: arith.divsi
// CHECK: arith.select
// CHECK: arith.divsi %{{.*}}, %c7
func.func @k(%a: i64, %b: i64) -> (i64, i64) {
  %c7 = arith.constant 7 : i64
  %q = arith.divsi %a, %b : i64
  %r = arith.divsi %a, %c7 : i64
  return %q, %r : i64, i64
}
