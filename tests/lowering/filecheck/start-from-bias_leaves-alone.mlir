// RUN: baco-opt %s -p start-from-bias | filecheck %s

// A product that does not start from zeros, and one that something else takes too.
// CHECK-COUNT-2: linalg.add
func.func @others(%x: tensor<16x16xi8>, %bias: tensor<16xi32>, %c: tensor<16x16xi32>) -> (tensor<16x16xi32>, tensor<16x16xi32>, tensor<16x16xi32>) {
  %c0 = arith.constant 0 : i32
  %e = tensor.empty() : tensor<16x16xi32>
  %z = linalg.fill ins(%c0 : i32) outs(%e : tensor<16x16xi32>) -> tensor<16x16xi32>
  %b = linalg.broadcast ins(%bias : tensor<16xi32>) outs(%e : tensor<16x16xi32>) dimensions = [0]
  %p = linalg.matmul ins(%x, %x : tensor<16x16xi8>, tensor<16x16xi8>) outs(%c : tensor<16x16xi32>) -> tensor<16x16xi32>
  %s = linalg.add ins(%p, %b : tensor<16x16xi32>, tensor<16x16xi32>) outs(%e : tensor<16x16xi32>) -> tensor<16x16xi32>
  %q = linalg.matmul ins(%x, %x : tensor<16x16xi8>, tensor<16x16xi8>) outs(%z : tensor<16x16xi32>) -> tensor<16x16xi32>
  %t = linalg.add ins(%q, %b : tensor<16x16xi32>, tensor<16x16xi32>) outs(%e : tensor<16x16xi32>) -> tensor<16x16xi32>
  return %s, %t, %q : tensor<16x16xi32>, tensor<16x16xi32>, tensor<16x16xi32>
}
