// RUN: baco-opt %s -p hoist-loads | filecheck %s

// CHECK: %[[A:.*]] = memref.alloc() : memref<16x64xi8>
// CHECK: %[[RUNS:.*]] = arith.cmpi slt, %c0, %{{.*}} : index
// CHECK: scf.if %[[RUNS]] {
// CHECK:   memref.copy %{{.*}}, %[[A]]
// CHECK: scf.for
// CHECK-NOT: memref.copy
// CHECK: linalg.matmul ins(%[[A]],
module attributes {baco.num_stages = 1 : i64} {
func.func @k(%x: memref<*xi8>, %y: memref<*xi8>, %n: index, %to: memref<*xi32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %w = memref.alloc() : memref<64x16xi8>
  %c = memref.alloc() : memref<16x16xi32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%at = %c0) -> (index) {
    %s = memref.reinterpret_cast %x to offset: [%c64], sizes: [16, 64], strides: [64, 1]
      : memref<*xi8> to memref<16x64xi8, strided<[64, 1], offset: ?>>
    %a = memref.alloc() : memref<16x64xi8>
    memref.copy %s, %a : memref<16x64xi8, strided<[64, 1], offset: ?>> to memref<16x64xi8>
    linalg.matmul ins(%a, %w : memref<16x64xi8>, memref<64x16xi8>) outs(%c : memref<16x16xi32>)
    
    %next = arith.addi %at, %c64 : index
    scf.yield %next : index
  }
  return
}
}
