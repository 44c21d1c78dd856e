// RUN: baco-opt %s -p overwrite-first-product --split-input-file | filecheck %s

// Something reads the zeros before a product does: they stay.
// CHECK-LABEL: func.func @read
// CHECK: linalg.fill
// CHECK-NOT: baco.overwrite
func.func @read(%a: memref<16x16xi8>, %y: memref<16x16xi32>) {
  %zero = arith.constant 0 : i32
  %c = memref.alloc() : memref<16x16xi32>
  linalg.fill ins(%zero : i32) outs(%c : memref<16x16xi32>)
  memref.copy %c, %y : memref<16x16xi32> to memref<16x16xi32>
  linalg.matmul ins(%a, %a : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
  return
}

// -----

// The product is of a part of the block, or under a condition.
// CHECK-LABEL: func.func @part
// CHECK: linalg.fill
// CHECK-NOT: baco.overwrite
func.func @part(%a: memref<16x16xi8>, %b: i1) {
  %zero = arith.constant 0 : i32
  %c = memref.alloc() : memref<32x16xi32>
  %d = memref.alloc() : memref<16x16xi32>
  linalg.fill ins(%zero : i32) outs(%c : memref<32x16xi32>)
  %v = memref.subview %c[0, 0] [16, 16] [1, 1] : memref<32x16xi32> to memref<16x16xi32, strided<[16, 1]>>
  linalg.matmul ins(%a, %a : memref<16x16xi8>, memref<16x16xi8>) outs(%v : memref<16x16xi32, strided<[16, 1]>>)
  linalg.fill ins(%zero : i32) outs(%d : memref<16x16xi32>)
  scf.if %b {
    linalg.matmul ins(%a, %a : memref<16x16xi8>, memref<16x16xi8>) outs(%d : memref<16x16xi32>)
  }
  return
}

// -----

// The block does not start from zeros.
// CHECK-LABEL: func.func @ones
// CHECK: linalg.fill
// CHECK-NOT: baco.overwrite
func.func @ones(%a: memref<16x16xi8>) {
  %one = arith.constant 1 : i32
  %c = memref.alloc() : memref<16x16xi32>
  linalg.fill ins(%one : i32) outs(%c : memref<16x16xi32>)
  linalg.matmul ins(%a, %a : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
  return
}
