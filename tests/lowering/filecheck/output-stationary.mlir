// RUN: baco-opt %s -p tile-to-dim,place-in-memories,convert-to-instgem,canonicalize,cse | filecheck %s

// 40 = 16 + 16 + 8 deep: the sums start from zeros at the first piece, stay at the second and leave at the last, which overwrites.
// CHECK-LABEL: func.func @k
// CHECK-DAG: %[[NONE:.*]] = arith.constant 4294967295 : i64
// CHECK-DAG: %[[C:.*]] = arith.constant 2147483648 : i64
// CHECK: "instgem.config_ex"{{.*}} dataflow = 0
// CHECK: "instgem.preload"(%[[NONE]], {{.*}}, {{.*}}, %[[NONE]]
// CHECK-NEXT: "instgem.compute_preloaded"
// CHECK-NEXT: "instgem.preload"(%[[NONE]], {{.*}}, {{.*}}, %[[NONE]]
// CHECK-NEXT: "instgem.compute_accumulated"
// CHECK-NEXT: "instgem.preload"(%[[NONE]], {{.*}}, {{.*}}, %[[C]]
// CHECK-NEXT: "instgem.compute_accumulated"
func.func @k() {
  %a = memref.alloc() : memref<16x40xi8>
  %b = memref.alloc() : memref<40x16xi8>
  %c = memref.alloc() : memref<16x16xi32>
  linalg.matmul {baco.output_stationary, baco.overwrite} ins(%a, %b : memref<16x40xi8>, memref<40x16xi8>) outs(%c : memref<16x16xi32>)
  return
}
