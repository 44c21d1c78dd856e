// RUN: baco-opt %s -p narrow-products | filecheck %s

#id = affine_map<(i, j) -> (i, j)>

// 131072 products of -128 with itself are 2**31.
// CHECK: linalg.matmul ins(%{{.*}}, %{{.*}} : tensor<4x131072xi32>, tensor<131072x8xi32>) outs(%{{.*}} : tensor<4x8xi64>)
func.func @k(%x: tensor<4x131072xi8>, %w: tensor<131072x8xi8>) -> tensor<4x8xi64> {
  %c0 = arith.constant 0 : i64
  %ea = tensor.empty() : tensor<4x131072xi32>
  %a = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x131072xi8>) outs(%ea : tensor<4x131072xi32>) {
  ^bb0(%in: i8, %out: i32):
    %0 = arith.extsi %in : i8 to i32
    linalg.yield %0 : i32
  } -> tensor<4x131072xi32>
  %eb = tensor.empty() : tensor<131072x8xi32>
  %b = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%w : tensor<131072x8xi8>) outs(%eb : tensor<131072x8xi32>) {
  ^bb0(%in: i8, %out: i32):
    %0 = arith.extsi %in : i8 to i32
    linalg.yield %0 : i32
  } -> tensor<131072x8xi32>
  %e = tensor.empty() : tensor<4x8xi64>
  %z = linalg.fill ins(%c0 : i64) outs(%e : tensor<4x8xi64>) -> tensor<4x8xi64>
  %p = linalg.matmul ins(%a, %b : tensor<4x131072xi32>, tensor<131072x8xi32>) outs(%z : tensor<4x8xi64>) -> tensor<4x8xi64>
  return %p : tensor<4x8xi64>
}

// Buffers, not tensors.
// CHECK-LABEL: @buffers
// CHECK: linalg.matmul ins(%{{.*}}, %{{.*}} : memref<4x8xi8>, memref<8x4xi8>) outs(%{{.*}} : memref<4x4xi32>)
func.func @buffers(%x: memref<4x8xi8>, %w: memref<8x4xi8>, %y: memref<4x4xi32>) {
  linalg.matmul ins(%x, %w : memref<4x8xi8>, memref<8x4xi8>) outs(%y : memref<4x4xi32>)
  return
}
