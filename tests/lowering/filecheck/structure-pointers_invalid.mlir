// RUN: baco-opt %s -p structure-pointers --split-input-file --verify-diagnostics

// A pointer made anew in a loop is not a pointer that moves.
func.func @k(%a: !baco.ptr<i8> {baco.name = "a"}, %m: i64 {baco.name = "m"}) {
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  %p = "baco.make_block_ptr"(%a, %m, %m, %m, %c1, %c0, %c0) {order = array<i64: 1, 0>, operandSegmentSizes = array<i32: 1, 2, 2, 2>}
     : (!baco.ptr<i8>, i64, i64, i64, i64, i64, i64) -> !baco.block_ptr<tensor<16x32xi8>>
  %q = scf.for %i = %c0 to %m step %c1 iter_args(%x = %p) -> (!baco.block_ptr<tensor<16x32xi8>>) : i64 {
    %z = "baco.make_block_ptr"(%a, %m, %i, %m, %c1, %c0, %c0) {order = array<i64: 1, 0>, operandSegmentSizes = array<i32: 1, 2, 2, 2>}
       : (!baco.ptr<i8>, i64, i64, i64, i64, i64, i64) -> !baco.block_ptr<tensor<16x32xi8>>
    // expected-error @+1 {{may only be advanced}}
    scf.yield %z : !baco.block_ptr<tensor<16x32xi8>>
  }
  return
}

// -----

// expected-error @+1 {{every argument of a kernel has its name}}
func.func @k(%a: !baco.ptr<i8>) {
  return
}

// -----

// expected-error @+1 {{a kernel is one block with loops and branches in it}}
func.func @k(%a: i64 {baco.name = "a"}) {
  cf.br ^next
^next:
  return
}

// -----

func.func @k(%p: !baco.block_ptr<tensor<4x4xi8>>) {
  // expected-error @+1 {{baco.load: boundary_check [2, 0] must be 2 flags}}
  %t = "baco.load"(%p) {boundary_check = array<i64: 2, 0>} : (!baco.block_ptr<tensor<4x4xi8>>) -> tensor<4x4xi8>
  return
}

// -----

func.func @k(%p: !baco.ptr<i8>, %i: i64) {
  // expected-error @+1 {{baco.make_block_ptr: attribute operandSegmentSizes is missing}}
  %t = "baco.make_block_ptr"(%p, %i, %i, %i) {order = array<i64: 0>} : (!baco.ptr<i8>, i64, i64, i64) -> !baco.block_ptr<tensor<4xi8>>
  return
}

// -----

func.func @k(%a: tensor<32x16xi8> {baco.name = "a"}) {
  // expected-error @+1 {{baco.max_pool: size is 1 to 3 on Gemmini, not 4}}
  %m = "baco.max_pool"(%a) {image = array<i64: 4, 8>, padding = array<i64: 0, 0>, size = 4 : i64, stride = 2 : i64}
     : (tensor<32x16xi8>) -> tensor<8x16xi8>
  return
}

// -----

func.func @k(%a: tensor<32x16xi8> {baco.name = "a"}) {
  // expected-error @+1 {{baco.max_pool: gives 8 pixels of 16 channels}}
  %m = "baco.max_pool"(%a) {image = array<i64: 4, 8>, padding = array<i64: 0, 0>, size = 2 : i64, stride = 2 : i64}
     : (tensor<32x16xi8>) -> tensor<32x16xi8>
  return
}

// -----

func.func @k(%a: tensor<16x16xi8> {baco.name = "a"}, %c: tensor<16x16xi32> {baco.name = "c"}) {
  // expected-error @+1 {{dataflow is one of weight_stationary, output_stationary, not sideways}}
  %d = "baco.dot"(%a, %a, %c) {dataflow = "sideways"} : (tensor<16x16xi8>, tensor<16x16xi8>, tensor<16x16xi32>) -> tensor<16x16xi32>
  return
}
