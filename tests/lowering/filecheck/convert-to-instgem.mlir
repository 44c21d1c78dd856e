// RUN: baco-opt %s -p tile-to-dim,place-in-memories,convert-to-instgem,canonicalize,cse | filecheck %s

// CHECK-LABEL: func.func @matmul
// CHECK-DAG: %[[GARBAGE:.*]] = arith.constant 4294967295 : i64
// CHECK: "instgem.config_ex"
// CHECK-SAME: dataflow = 1
// CHECK: "instgem.preload"
// CHECK-NEXT: "instgem.compute_preloaded"(%{{.*}}, %{{.*}}, %{{.*}}, %[[GARBAGE]]
func.func @matmul() {
  %a = memref.alloc() : memref<16x24xi8>
  %b = memref.alloc() : memref<24x16xi8>
  %c = memref.alloc() : memref<16x16xi32>
  linalg.matmul ins(%a, %b : memref<16x24xi8>, memref<24x16xi8>) outs(%c : memref<16x16xi32>)
  return
}
