// RUN: baco-opt %s -p pipeline-loads --verify-diagnostics | filecheck %s

// A loop that stores to the array it loads from is left as it is, and a remark says why.
// CHECK-NOT: baco.slots
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
    // expected-remark @+1 {{this load does not run ahead: the loop stores to the array it loads from}}
    memref.copy %s, %a : memref<16x64xi8, strided<[64, 1], offset: ?>> to memref<16x64xi8>
    linalg.matmul ins(%a, %w : memref<16x64xi8>, memref<64x16xi8>) outs(%c : memref<16x16xi32>)
    %back = memref.reinterpret_cast %x to offset: [0], sizes: [16, 64], strides: [64, 1]
      : memref<*xi8> to memref<16x64xi8, strided<[64, 1]>>
    memref.copy %a, %back : memref<16x64xi8> to memref<16x64xi8, strided<[64, 1]>>
    %next = arith.addi %at, %c64 : index
    scf.yield %next : index
  }
  return
}
}
