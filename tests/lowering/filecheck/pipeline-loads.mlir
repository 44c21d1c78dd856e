// RUN: baco-opt %s -p pipeline-loads,canonicalize,cse | filecheck %s

// Three places for what the loop loads; each iteration loads what the one after the next uses.
// CHECK: %[[RING:.*]] = memref.alloc() {baco.slots = 3 : i64} : memref<3x16x64xi8>
// CHECK: scf.if
// CHECK:   memref.subview %[[RING]][0, 0, 0] [1, 16, 64] [1, 1, 1]
// CHECK:   memref.copy
// CHECK: scf.if
// CHECK:   memref.subview %[[RING]][1, 0, 0] [1, 16, 64] [1, 1, 1]
// CHECK: scf.for %[[I:.*]] = %c0 to %[[N:.*]] step %c1 iter_args(%[[AT:.*]] = %c0, %[[USE:.*]] = %c0, %[[FILL:.*]] = %c2)
// CHECK:   memref.subview %[[RING]][%[[FILL]], 0, 0]
// CHECK:   %[[A:.*]] = memref.subview %[[RING]][%[[USE]], 0, 0]
// CHECK:   linalg.matmul ins(%[[A]],
module attributes {baco.num_stages = 3 : i64} {
func.func @k(%x: memref<*xi8>, %y: memref<*xi8>, %n: index, %to: memref<*xi32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %w = memref.alloc() : memref<64x16xi8>
  %c = memref.alloc() : memref<16x16xi32>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%at = %c0) -> (index) {
    %s = memref.reinterpret_cast %x to offset: [%at], sizes: [16, 64], strides: [64, 1]
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
