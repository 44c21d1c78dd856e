// RUN: baco-opt %s -p lower-instgem-to-llvm,canonicalize,cse | filecheck %s

// CHECK-LABEL: func.func @k
// CHECK-SAME: (%[[D:.*]]: i64, %[[L:.*]]: i64, %[[C:.*]]: i64, %[[R:.*]]: i64)
// CHECK: %[[CS:.*]] = arith.shli %[[C]], %c32
// CHECK: %[[RS:.*]] = arith.shli %[[R]], %c48
// CHECK: %[[LC:.*]] = arith.ori %[[L]], %[[CS]]
// CHECK: arith.ori %[[LC]], %[[RS]]
// CHECK: llvm.inline_asm has_side_effects ".insn r CUSTOM_3, 3, 2, x0, $0, $1", "r,r,~{memory}" %[[D]], %{{.*}}
// CHECK: llvm.inline_asm has_side_effects "fence rw, rw"
func.func @k(%d: i64, %l: i64, %c: i64, %r: i64) {
  "instgem.mvin"(%d, %l, %c, %r) : (i64, i64, i64, i64) -> ()
  "instgem.fence"() : () -> ()
  return
}
