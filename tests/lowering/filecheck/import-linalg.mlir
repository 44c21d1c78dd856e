// RUN: baco-opt %s -p import-linalg | filecheck %s

// Tensors become buffers, results one more of them, and the program's indices the last arguments.
// CHECK-LABEL: func.func @f
// CHECK-SAME: %[[A:[^:]*]]: memref<*xi8> {baco.name = "in0"}
// CHECK-SAME: memref<*xi8> {baco.name = "in1"}
// CHECK-SAME: %[[C:[^:]*]]: memref<*xi32> {baco.name = "out0"}
// CHECK-SAME: i64 {baco.name = "pid0"}
// CHECK: memref.reinterpret_cast %[[A]] to offset: [0], sizes: [4, 8], strides: [8, 1]
// CHECK: %[[OUT:.*]] = memref.reinterpret_cast %[[C]] to offset: [0], sizes: [4, 4], strides: [4, 1]
// CHECK: %[[P:.*]] = linalg.matmul
// CHECK: bufferization.materialize_in_destination %[[P]] in restrict writable %[[OUT]]
func.func @f(%a: tensor<4x8xi8>, %b: tensor<8x4xi8>) -> tensor<4x4xi32> {
  %zero = arith.constant 0 : i32
  %e = tensor.empty() : tensor<4x4xi32>
  %z = linalg.fill ins(%zero : i32) outs(%e : tensor<4x4xi32>) -> tensor<4x4xi32>
  %c = linalg.matmul ins(%a, %b : tensor<4x8xi8>, tensor<8x4xi8>) outs(%z : tensor<4x4xi32>) -> tensor<4x4xi32>
  return %c : tensor<4x4xi32>
}
