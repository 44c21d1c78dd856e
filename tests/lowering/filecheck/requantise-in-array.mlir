// RUN: baco-opt %s -p requantise-in-array --split-input-file --verify-diagnostics | filecheck %s

#id = affine_map<(i, j) -> (i, j)>

// The sums of 128 products stay in the array, as asked; times 2**-9 is a shift by 9.
// CHECK-LABEL: func.func @stays
// CHECK-NOT: linalg.fill
// CHECK: linalg.matmul {baco.output_stationary, baco.overwrite}
// CHECK: linalg.generic
// CHECK-SAME: baco.in_array = 9 : i64
// CHECK-SAME: baco.requantise = {activation = "relu"}
// CHECK: linalg.matmul ins(
func.func @stays(%x: memref<64x128xi8>, %w: memref<128x64xi8>, %v: memref<64x32xi8>, %y: memref<64x32xi32>) {
  %c0 = arith.constant 0 : i32
  %low = arith.constant 0.0 : f32
  %high = arith.constant 127.0 : f32
  %scale = arith.constant 0.001953125 : f32
  %c = memref.alloc() : memref<64x64xi32>
  linalg.fill ins(%c0 : i32) outs(%c : memref<64x64xi32>)
  linalg.matmul {baco.output_stationary} ins(%x, %w : memref<64x128xi8>, memref<128x64xi8>) outs(%c : memref<64x64xi32>)
  %h = memref.alloc() : memref<64x64xi8>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%c : memref<64x64xi32>) outs(%h : memref<64x64xi8>) attrs = {baco.requantise = {activation = "relu"}} {
  ^bb0(%in: i32, %out: i8):
    %0 = arith.sitofp %in : i32 to f32
    %1 = arith.mulf %0, %scale : f32
    %2 = math.roundeven %1 : f32
    %3 = arith.maximumf %2, %low : f32
    %4 = arith.minimumf %3, %high : f32
    %5 = arith.fptosi %4 : f32 to i8
    linalg.yield %5 : i8
  }
  linalg.matmul ins(%h, %v : memref<64x64xi8>, memref<64x32xi8>) outs(%y : memref<64x32xi32>)
  return
}

// -----

#id = affine_map<(i, j) -> (i, j)>

// Two products make the sums: between them, they are in the accumulator.
// CHECK: baco.remarks = ["{{.*}}this block goes out to DRAM and comes back, to be an operand of a product: its sums are made by more than one product
// CHECK-LABEL: func.func @leaves
// CHECK: linalg.fill
// CHECK-NOT: baco.in_array
func.func @leaves(%x: memref<16x16xi8>, %w: memref<16x16xi8>, %y: memref<16x16xi32>) {
  %c0 = arith.constant 0 : i32
  %c = memref.alloc() : memref<16x16xi32>
  linalg.fill ins(%c0 : i32) outs(%c : memref<16x16xi32>)
  linalg.matmul ins(%x, %w : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
  linalg.matmul ins(%w, %x : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
  %h = memref.alloc() : memref<16x16xi8>
  // expected-remark @+1 {{its sums are made by more than one product}}
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%c : memref<16x16xi32>) outs(%h : memref<16x16xi8>) attrs = {baco.requantise = {activation = "none"}} {
  ^bb0(%in: i32, %out: i8):
    %5 = arith.trunci %in : i32 to i8
    linalg.yield %5 : i8
  }
  linalg.matmul ins(%h, %x : memref<16x16xi8>, memref<16x16xi8>) outs(%y : memref<16x16xi32>)
  return
}
