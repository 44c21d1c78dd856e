// RUN: baco-opt %s -p overwrite-first-product | filecheck %s

// CHECK-LABEL: func.func @k
// CHECK-NOT: linalg.fill
// CHECK: linalg.matmul {baco.overwrite}
func.func @k(%a: memref<16x16xi8> {baco.name = "a"}) {
  %z32 = arith.constant 0 : i32
  %c = memref.alloc() : memref<16x16xi32>
  linalg.fill ins(%z32 : i32) outs(%c : memref<16x16xi32>)
  linalg.matmul ins(%a, %a : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
  return
}
