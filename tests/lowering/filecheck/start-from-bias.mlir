// RUN: baco-opt %s -p start-from-bias | filecheck %s

// CHECK-LABEL: func.func @linear
// CHECK: %[[B:.*]] = linalg.broadcast
// CHECK: %[[S:.*]] = linalg.matmul ins({{.*}}) outs(%[[B]] : tensor<64x32xi32>)
// CHECK-NOT: linalg.add
// CHECK: return %[[S]]
func.func @linear(%x: tensor<64x16xi8>, %w: tensor<16x32xi8>, %bias: tensor<32xi32>) -> tensor<64x32xi32> {
  %c0 = arith.constant 0 : i32
  %e = tensor.empty() : tensor<64x32xi32>
  %z = linalg.fill ins(%c0 : i32) outs(%e : tensor<64x32xi32>) -> tensor<64x32xi32>
  %p = linalg.matmul ins(%x, %w : tensor<64x16xi8>, tensor<16x32xi8>) outs(%z : tensor<64x32xi32>) -> tensor<64x32xi32>
  %broadcasted = linalg.broadcast ins(%bias : tensor<32xi32>) outs(%e : tensor<64x32xi32>) dimensions = [0]
  %s = linalg.add ins(%p, %broadcasted : tensor<64x32xi32>, tensor<64x32xi32>) outs(%e : tensor<64x32xi32>) -> tensor<64x32xi32>
  return %s : tensor<64x32xi32>
}
