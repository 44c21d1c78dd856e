// RUN: baco-opt %s -p tile-products --split-input-file --verify-diagnostics | filecheck %s

func.func @tensors(%a: tensor<16x16xi8>, %c: tensor<16x16xi32>) -> tensor<16x16xi32> {
  // expected-error @+1 {{linalg.matmul is not on buffers of a known rank; run one-shot-bufferize before this.}}
  %d = linalg.matmul ins(%a, %a : tensor<16x16xi8>, tensor<16x16xi8>) outs(%c : tensor<16x16xi32>) -> tensor<16x16xi32>
  return %d : tensor<16x16xi32>
}

// -----

// A product of other numbers is left to the host core.
// CHECK-LABEL: func.func @floats
// CHECK-NEXT: linalg.matmul ins(%{{.*}} : memref<80x80xf32>, memref<80x80xf32>)
// CHECK-NEXT: return
func.func @floats(%a: memref<80x80xf32>, %c: memref<80x80xf32>) {
  linalg.matmul ins(%a, %a : memref<80x80xf32>, memref<80x80xf32>) outs(%c : memref<80x80xf32>)
  return
}
