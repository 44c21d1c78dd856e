// RUN: baco-opt %s -p hoist-loads --split-input-file | filecheck %s

// The loop stores to the array that it loads from: every iteration loads.
// CHECK-LABEL: func.func @stored
// CHECK: scf.for
// CHECK:   memref.copy
// CHECK:   linalg.matmul
// CHECK:   memref.copy
func.func @stored(%x: memref<16x16xi8>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c = memref.alloc() : memref<16x16xi32>
  scf.for %i = %c0 to %n step %c1 {
    %a = memref.alloc() : memref<16x16xi8>
    memref.copy %x, %a : memref<16x16xi8> to memref<16x16xi8>
    linalg.matmul ins(%a, %a : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
    memref.copy %a, %x : memref<16x16xi8> to memref<16x16xi8>
  }
  return
}

// -----

// The block is changed after it is loaded: it must be loaded again.
// CHECK-LABEL: func.func @changed
// CHECK: scf.for
// CHECK:   memref.copy
// CHECK:   linalg.matmul
func.func @changed(%x: memref<16x16xi32>, %a: memref<16x16xi8>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    %c = memref.alloc() : memref<16x16xi32>
    memref.copy %x, %c : memref<16x16xi32> to memref<16x16xi32>
    linalg.matmul ins(%a, %a : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
  }
  return
}
