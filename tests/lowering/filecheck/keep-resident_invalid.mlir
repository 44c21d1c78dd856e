// RUN: baco-opt %s --split-input-file -p keep-resident --verify-diagnostics | filecheck %s

// The kernel stores to %y: what it loads from there may be new each time. Nothing else changes.
// CHECK-LABEL: func.func @k
// CHECK:         %[[B:.*]] = memref.alloc() : memref<16x16xi8>
// CHECK-NEXT:    memref.copy %{{.*}}, %[[B]]
module {
  func.func @k(
      %x: memref<*xi8> {baco.name = "x"}, %y: memref<*xi8> {baco.name = "y"}, %n: i64 {baco.name = "n"},
      %pid0: i64 {baco.name = "pid0"}, %pid1: i64 {baco.name = "pid1"}, %pid2: i64 {baco.name = "pid2"},
      %num0: i64 {baco.name = "num0"}, %num1: i64 {baco.name = "num1"}, %num2: i64 {baco.name = "num2"}) {
    %c0 = arith.constant 0 : i64
    %c16 = arith.constant 16 : i64
    %c64 = arith.constant 64 : i64
    %c = memref.alloc() : memref<16x16xi32>
    %row = arith.muli %pid0, %c64 : i64
    %column = arith.muli %pid1, %c64 : i64
    scf.for %i = %c0 to %c64 step %c16 : i64 {
      %ax = arith.addi %row, %i : i64
      %at = arith.index_cast %ax : i64 to index
      %s = memref.reinterpret_cast %x to offset: [%at], sizes: [16, 16], strides: [64, 1]
        : memref<*xi8> to memref<16x16xi8, strided<[64, 1], offset: ?>>
      %a = memref.alloc() : memref<16x16xi8>
      memref.copy %s, %a : memref<16x16xi8, strided<[64, 1], offset: ?>> to memref<16x16xi8>
      %by = arith.addi %column, %i : i64
      %bt = arith.index_cast %by : i64 to index
      %t = memref.reinterpret_cast %y to offset: [%bt], sizes: [16, 16], strides: [64, 1]
        : memref<*xi8> to memref<16x16xi8, strided<[64, 1], offset: ?>>
      %b = memref.alloc() : memref<16x16xi8>
      memref.copy %t, %b : memref<16x16xi8, strided<[64, 1], offset: ?>> to memref<16x16xi8>
      linalg.matmul ins(%a, %b : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
      %back = memref.reinterpret_cast %y to offset: [0], sizes: [16, 16], strides: [64, 1]
        : memref<*xi8> to memref<16x16xi8, strided<[64, 1]>>
      memref.copy %a, %back : memref<16x16xi8> to memref<16x16xi8, strided<[64, 1]>>
    }
    return
  }
}

// -----

// Two blocks of 16 rows fill this scratchpad.
// CHECK-LABEL: func.func @k
// CHECK-NOT:     baco.kept
// CHECK:         return
module attributes {baco.hardware = {dim = 16 : i64, scratchpad_bytes = 512 : i64, scratchpad_banks = 2 : i64, accumulator_bytes = 65536 : i64}} {
  func.func @k(
      %x: memref<*xi8> {baco.name = "x"}, %y: memref<*xi8> {baco.name = "y"}, %n: i64 {baco.name = "n"},
      %pid0: i64 {baco.name = "pid0"}, %pid1: i64 {baco.name = "pid1"}, %pid2: i64 {baco.name = "pid2"},
      %num0: i64 {baco.name = "num0"}, %num1: i64 {baco.name = "num1"}, %num2: i64 {baco.name = "num2"}) {
    %c0 = arith.constant 0 : i64
    %c16 = arith.constant 16 : i64
    %c64 = arith.constant 64 : i64
    %c = memref.alloc() : memref<16x16xi32>
    %row = arith.muli %pid0, %c64 : i64
    %column = arith.muli %pid1, %c64 : i64
    scf.for %i = %c0 to %c64 step %c16 : i64 {
      %ax = arith.addi %row, %i : i64
      %at = arith.index_cast %ax : i64 to index
      %s = memref.reinterpret_cast %x to offset: [%at], sizes: [16, 16], strides: [64, 1]
        : memref<*xi8> to memref<16x16xi8, strided<[64, 1], offset: ?>>
      %a = memref.alloc() : memref<16x16xi8>
      // expected-remark @+1 {{this load is repeated for each use of its block: scratchpad rows required: 48, rows there: 32}}
      memref.copy %s, %a : memref<16x16xi8, strided<[64, 1], offset: ?>> to memref<16x16xi8>
      %by = arith.addi %column, %i : i64
      %bt = arith.index_cast %by : i64 to index
      %t = memref.reinterpret_cast %y to offset: [%bt], sizes: [16, 16], strides: [64, 1]
        : memref<*xi8> to memref<16x16xi8, strided<[64, 1], offset: ?>>
      %b = memref.alloc() : memref<16x16xi8>
      // expected-remark @+1 {{this load is repeated for each use of its block: scratchpad rows required: 80, rows there: 32}}
      memref.copy %t, %b : memref<16x16xi8, strided<[64, 1], offset: ?>> to memref<16x16xi8>
      linalg.matmul ins(%a, %b : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
    }
    return
  }
}

// -----

// Room for two more: of the panel of four, as many stay.
// CHECK-LABEL: func.func @k
// CHECK:         memref.alloc() {baco.kept = true, baco.pool = 64 : i64
module attributes {baco.hardware = {dim = 16 : i64, scratchpad_bytes = 1024 : i64, accumulator_bytes = 65536 : i64}} {
  func.func @k(
      %x: memref<*xi8> {baco.name = "x"}, %y: memref<*xi8> {baco.name = "y"}, %n: i64 {baco.name = "n"},
      %pid0: i64 {baco.name = "pid0"}, %pid1: i64 {baco.name = "pid1"}, %pid2: i64 {baco.name = "pid2"},
      %num0: i64 {baco.name = "num0"}, %num1: i64 {baco.name = "num1"}, %num2: i64 {baco.name = "num2"}) {
    %c0 = arith.constant 0 : i64
    %c16 = arith.constant 16 : i64
    %c64 = arith.constant 64 : i64
    %c = memref.alloc() : memref<16x16xi32>
    %row = arith.muli %pid0, %c64 : i64
    %column = arith.muli %pid1, %c64 : i64
    scf.for %i = %c0 to %c64 step %c16 : i64 {
      %ax = arith.addi %row, %i : i64
      %at = arith.index_cast %ax : i64 to index
      %s = memref.reinterpret_cast %x to offset: [%at], sizes: [16, 16], strides: [64, 1]
        : memref<*xi8> to memref<16x16xi8, strided<[64, 1], offset: ?>>
      %a = memref.alloc() : memref<16x16xi8>
      memref.copy %s, %a : memref<16x16xi8, strided<[64, 1], offset: ?>> to memref<16x16xi8>
      %by = arith.addi %column, %i : i64
      %bt = arith.index_cast %by : i64 to index
      %t = memref.reinterpret_cast %y to offset: [%bt], sizes: [16, 16], strides: [64, 1]
        : memref<*xi8> to memref<16x16xi8, strided<[64, 1], offset: ?>>
      %b = memref.alloc() : memref<16x16xi8>
      // expected-remark @+1 {{not all 4 blocks of this load stay on the chip until their last use: scratchpad rows required: 80, rows there: 64}}
      memref.copy %t, %b : memref<16x16xi8, strided<[64, 1], offset: ?>> to memref<16x16xi8>
      linalg.matmul ins(%a, %b : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
    }
    return
  }
}

// -----

module attributes {baco.grid_order = array<i64: 1, 1>} {
  // expected-error @+1 {{baco.grid_order names axes of the grid from the innermost on, each once, as in array<i64: 1, 0>; not [1, 1].}}
  func.func @k(
      %x: memref<*xi8> {baco.name = "x"}, %y: memref<*xi8> {baco.name = "y"}, %n: i64 {baco.name = "n"},
      %pid0: i64 {baco.name = "pid0"}, %pid1: i64 {baco.name = "pid1"}, %pid2: i64 {baco.name = "pid2"},
      %num0: i64 {baco.name = "num0"}, %num1: i64 {baco.name = "num1"}, %num2: i64 {baco.name = "num2"}) {
    %c0 = arith.constant 0 : i64
    %c16 = arith.constant 16 : i64
    %c64 = arith.constant 64 : i64
    %c = memref.alloc() : memref<16x16xi32>
    %row = arith.muli %pid0, %c64 : i64
    %column = arith.muli %pid1, %c64 : i64
    scf.for %i = %c0 to %c64 step %c16 : i64 {
      %ax = arith.addi %row, %i : i64
      %at = arith.index_cast %ax : i64 to index
      %s = memref.reinterpret_cast %x to offset: [%at], sizes: [16, 16], strides: [64, 1]
        : memref<*xi8> to memref<16x16xi8, strided<[64, 1], offset: ?>>
      %a = memref.alloc() : memref<16x16xi8>
      memref.copy %s, %a : memref<16x16xi8, strided<[64, 1], offset: ?>> to memref<16x16xi8>
      %by = arith.addi %column, %i : i64
      %bt = arith.index_cast %by : i64 to index
      %t = memref.reinterpret_cast %y to offset: [%bt], sizes: [16, 16], strides: [64, 1]
        : memref<*xi8> to memref<16x16xi8, strided<[64, 1], offset: ?>>
      %b = memref.alloc() : memref<16x16xi8>
      memref.copy %t, %b : memref<16x16xi8, strided<[64, 1], offset: ?>> to memref<16x16xi8>
      linalg.matmul ins(%a, %b : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
    }
    return
  }
}
