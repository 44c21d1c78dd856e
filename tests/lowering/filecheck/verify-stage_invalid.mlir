// RUN: baco-opt %s -p place-in-memories,tile-to-dim,convert-to-instgem,verify-stage --verify-diagnostics

func.func @k() {
  %a = memref.alloc() : memref<16x16xi8>
  %c = memref.alloc() : memref<16x16xi32>
  // expected-error @+1 {{which nothing has written}}
  linalg.matmul ins(%a, %a : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
  return
}
