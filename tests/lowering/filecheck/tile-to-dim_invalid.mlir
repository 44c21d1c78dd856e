// RUN: baco-opt %s -p tile-to-dim --split-input-file --verify-diagnostics

// expected-error @unknown {{a kernel module holds exactly one function, not 2.}}
module {
  func.func @one() { return }
  func.func @two() { return }
}

// -----

func.func @tensors(%a: tensor<16x16xi8>, %c: tensor<16x16xi32>) {
  // expected-error @+1 {{linalg.matmul is not on two-dimensional buffers}}
  %d = linalg.matmul ins(%a, %a : tensor<16x16xi8>, tensor<16x16xi8>) outs(%c : tensor<16x16xi32>) -> tensor<16x16xi32>
  return
}
