// RUN: baco-opt %s -p structure-pointers,canonicalize,cse --split-input-file | filecheck %s

// Block pointers become strided accesses; a pointer carried around a loop becomes its offset.
// CHECK-LABEL: func.func @carried
// CHECK-SAME: (%[[A:.*]]: memref<*xi8> {baco.name = "a"}, %[[M:.*]]: i64 {baco.name = "m"}
// CHECK: scf.for {{.*}} iter_args(%[[ROW:.*]] = %c0_i64) -> (i64)
// CHECK:   %[[SRC:.*]] = memref.reinterpret_cast %[[A]] to offset: [%{{.*}}], sizes: [16, 32], strides: [32, 1]
// CHECK:   scf.if
// CHECK:     linalg.fill
// CHECK:   memref.copy
// CHECK:   bufferization.to_tensor
// CHECK:   bufferization.materialize_in_destination {{.*}} %[[SRC]]
// CHECK:   %[[NEXT:.*]] = arith.addi %[[ROW]], %c32_i64
// CHECK:   scf.yield %[[NEXT]] : i64
func.func @carried(%a: !baco.ptr<i8> {baco.name = "a"}, %m: i64 {baco.name = "m"}) {
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  %c32 = arith.constant 32 : i64
  %p = "baco.make_block_ptr"(%a, %m, %c32, %c32, %c1, %c0, %c0)
     {order = array<i64: 1, 0>, operandSegmentSizes = array<i32: 1, 2, 2, 2>}
     : (!baco.ptr<i8>, i64, i64, i64, i64, i64, i64) -> !baco.block_ptr<tensor<16x32xi8>>
  %q = scf.for %i = %c0 to %m step %c1 iter_args(%x = %p) -> (!baco.block_ptr<tensor<16x32xi8>>) : i64 {
    %t = "baco.load"(%x) {boundary_check = array<i64: 1, 0>} : (!baco.block_ptr<tensor<16x32xi8>>) -> tensor<16x32xi8>
    "baco.store"(%x, %t) {boundary_check = array<i64: 0, 0>} : (!baco.block_ptr<tensor<16x32xi8>>, tensor<16x32xi8>) -> ()
    %y = "baco.advance"(%x, %c32, %c0) {operandSegmentSizes = array<i32: 1, 2>}
       : (!baco.block_ptr<tensor<16x32xi8>>, i64, i64) -> !baco.block_ptr<tensor<16x32xi8>>
    scf.yield %y : !baco.block_ptr<tensor<16x32xi8>>
  }
  return
}

// -----

// Program indices and grid sizes are the last six arguments.
// CHECK-LABEL: func.func @grid
// CHECK-SAME: %[[PID1:[a-z0-9]+]]: i64 {baco.name = "pid1"}
// CHECK-SAME: %[[NUM0:[a-z0-9]+]]: i64 {baco.name = "num0"}
// CHECK: arith.addi %[[PID1]], %[[NUM0]]
func.func @grid(%a: !baco.ptr<i64> {baco.name = "a"}) {
  %i = "baco.program_id"() {axis = 1 : i64} : () -> i64
  %n = "baco.num_programs"() {axis = 0 : i64} : () -> i64
  %c1 = arith.constant 1 : i64
  %c0 = arith.constant 0 : i64
  %s = arith.addi %i, %n : i64
  %p = "baco.make_block_ptr"(%a, %s, %c1, %c0) {order = array<i64: 0>, operandSegmentSizes = array<i32: 1, 1, 1, 1>}
     : (!baco.ptr<i64>, i64, i64, i64) -> !baco.block_ptr<tensor<4xi64>>
  %t = "baco.load"(%p) {boundary_check = array<i64: 0>} : (!baco.block_ptr<tensor<4xi64>>) -> tensor<4xi64>
  "baco.store"(%p, %t) {boundary_check = array<i64: 1>} : (!baco.block_ptr<tensor<4xi64>>, tensor<4xi64>) -> ()
  return
}

// -----

// A max pooling is a loop nest over output pixels and channels that says what it is. A product keeps its sums in the array if it is told to.
// CHECK-LABEL: func.func @on_gemmini
// CHECK: linalg.generic
// CHECK: baco.max_pool = {columns = 8 : i64, left = 0 : i64, out_columns = 4 : i64, out_rows = 2 : i64, rows = 4 : i64, size = 2 : i64
// CHECK: tensor.extract %[[IMAGE:[a-z0-9_]+]][
// CHECK: arith.maxsi
// CHECK: linalg.matmul
// CHECK-SAME: {baco.output_stationary}
func.func @on_gemmini(%x: !baco.ptr<i8> {baco.name = "x"}, %y: !baco.ptr<i32> {baco.name = "y"}) {
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  %c16 = arith.constant 16 : i64
  %p = "baco.make_block_ptr"(%x, %c16, %c16, %c16, %c1, %c0, %c0)
     {order = array<i64: 1, 0>, operandSegmentSizes = array<i32: 1, 2, 2, 2>}
     : (!baco.ptr<i8>, i64, i64, i64, i64, i64, i64) -> !baco.block_ptr<tensor<32x16xi8>>
  %t = "baco.load"(%p) {boundary_check = array<i64: 0, 0>} : (!baco.block_ptr<tensor<32x16xi8>>) -> tensor<32x16xi8>
  %m = "baco.max_pool"(%t) {image = array<i64: 4, 8>, padding = array<i64: 0, 0>, size = 2 : i64, stride = 2 : i64}
     : (tensor<32x16xi8>) -> tensor<8x16xi8>
  %r = "baco.make_block_ptr"(%x, %c16, %c16, %c16, %c1, %c0, %c0)
     {order = array<i64: 1, 0>, operandSegmentSizes = array<i32: 1, 2, 2, 2>}
     : (!baco.ptr<i8>, i64, i64, i64, i64, i64, i64) -> !baco.block_ptr<tensor<16x16xi8>>
  %w = "baco.load"(%r) {boundary_check = array<i64: 0, 0>} : (!baco.block_ptr<tensor<16x16xi8>>) -> tensor<16x16xi8>
  %z = "baco.zeros"() : () -> tensor<8x16xi32>
  %d = "baco.dot"(%m, %w, %z) {dataflow = "output_stationary"}
     : (tensor<8x16xi8>, tensor<16x16xi8>, tensor<8x16xi32>) -> tensor<8x16xi32>
  %q = "baco.make_block_ptr"(%y, %c16, %c16, %c16, %c1, %c0, %c0)
     {order = array<i64: 1, 0>, operandSegmentSizes = array<i32: 1, 2, 2, 2>}
     : (!baco.ptr<i32>, i64, i64, i64, i64, i64, i64) -> !baco.block_ptr<tensor<8x16xi32>>
  "baco.store"(%q, %d) {boundary_check = array<i64: 0, 0>} : (!baco.block_ptr<tensor<8x16xi32>>, tensor<8x16xi32>) -> ()
  return
}
