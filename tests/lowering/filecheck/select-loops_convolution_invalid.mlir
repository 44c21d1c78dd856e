// RUN: baco-opt %s -p select-loops --split-input-file --verify-diagnostics

// The filter runs backwards through its weights.
#id = affine_map<(d0, d1) -> (d0, d1)>
module attributes {baco.instructions = "loops"} {
  func.func @convolution(%x: memref<*xi8>, %w: memref<*xi8>, %y: memref<*xi8>, %length: i64) {
    %zero = arith.constant 0 : i32
    %z8 = arith.constant 0 : i8
    %c0 = arith.constant 0 : i64
    %c1 = arith.constant 1 : i64
    %c3 = arith.constant 3 : i64
    %c8 = arith.constant 8 : i64
    %c16 = arith.constant 16 : i64
    %c256 = arith.constant 256 : i64
    %acc = memref.alloc() : memref<8x16xi32>
    linalg.fill ins(%zero : i32) outs(%acc : memref<8x16xi32>)
    scf.for %tap = %c0 to %c3 step %c1 : i64 {
      %place = arith.subi %tap, %c1 : i64
      %before = arith.subi %c0, %place : i64
      %first = arith.maxsi %before, %c0 : i64
      %there = arith.subi %length, %place : i64
      %some = arith.maxsi %there, %c0 : i64
      %end = arith.minsi %some, %c8 : i64
      %count = arith.subi %end, %first : i64
      %rows = arith.maxsi %count, %c0 : i64
      %lead = arith.index_cast %first : i64 to index
      %n = arith.index_cast %rows : i64 to index
      %at = arith.muli %place, %c16 : i64
      %offset = arith.index_cast %at : i64 to index
      %far = memref.reinterpret_cast %x to offset: [%offset], sizes: [8, 16], strides: [16, 1] : memref<*xi8> to memref<8x16xi8, strided<[16, 1], offset: ?>>
      %a = memref.alloc() : memref<8x16xi8>
      linalg.fill ins(%z8 : i8) outs(%a : memref<8x16xi8>)
      %from = memref.subview %far[%lead, 0] [%n, 16] [1, 1] : memref<8x16xi8, strided<[16, 1], offset: ?>> to memref<?x16xi8, strided<[16, 1], offset: ?>>
      %to = memref.subview %a[%lead, 0] [%n, 16] [1, 1] : memref<8x16xi8> to memref<?x16xi8, strided<[16, 1], offset: ?>>
      // expected-error @+1 {{loop_conv_ws cannot do this product: its filter runs backwards through its weights}}
      memref.copy %from, %to : memref<?x16xi8, strided<[16, 1], offset: ?>> to memref<?x16xi8, strided<[16, 1], offset: ?>>
      %wat0 = arith.subi %c3, %tap : i64
      %wat = arith.muli %wat0, %c256 : i64
      %woff = arith.index_cast %wat : i64 to index
      %taps = memref.reinterpret_cast %w to offset: [%woff], sizes: [16, 16], strides: [16, 1] : memref<*xi8> to memref<16x16xi8, strided<[16, 1], offset: ?>>
      %b = memref.alloc() : memref<16x16xi8>
      memref.copy %taps, %b : memref<16x16xi8, strided<[16, 1], offset: ?>> to memref<16x16xi8>
      linalg.matmul ins(%a, %b : memref<8x16xi8>, memref<16x16xi8>) outs(%acc : memref<8x16xi32>)
    }
    %out = memref.alloc() : memref<8x16xi8>
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%acc : memref<8x16xi32>) outs(%out : memref<8x16xi8>) attrs = {baco.requantise = {activation = "relu"}} {
    ^bb0(%in: i32, %o: i8):
      %t = arith.trunci %in : i32 to i8
      linalg.yield %t : i8
    }
    %dst = memref.reinterpret_cast %y to offset: [0], sizes: [8, 16], strides: [16, 1] : memref<*xi8> to memref<8x16xi8, strided<[16, 1]>>
    memref.copy %out, %dst : memref<8x16xi8> to memref<8x16xi8, strided<[16, 1]>>
    return
  }
}

// -----

// The pixels move by one, the borders by two.
#id = affine_map<(d0, d1) -> (d0, d1)>
module attributes {baco.instructions = "loops"} {
  func.func @convolution(%x: memref<*xi8>, %w: memref<*xi8>, %y: memref<*xi8>, %length: i64) {
    %zero = arith.constant 0 : i32
    %z8 = arith.constant 0 : i8
    %c0 = arith.constant 0 : i64
    %c1 = arith.constant 1 : i64
    %c3 = arith.constant 3 : i64
    %c8 = arith.constant 8 : i64
    %c16 = arith.constant 16 : i64
    %c256 = arith.constant 256 : i64
    %acc = memref.alloc() : memref<8x16xi32>
    linalg.fill ins(%zero : i32) outs(%acc : memref<8x16xi32>)
    scf.for %tap = %c0 to %c3 step %c1 : i64 {
      %place = arith.subi %tap, %c1 : i64
      %twice = arith.addi %place, %tap : i64
      %before = arith.subi %c0, %twice : i64
      %first = arith.maxsi %before, %c0 : i64
      %there = arith.subi %length, %place : i64
      %some = arith.maxsi %there, %c0 : i64
      %end = arith.minsi %some, %c8 : i64
      %count = arith.subi %end, %first : i64
      %rows = arith.maxsi %count, %c0 : i64
      %lead = arith.index_cast %first : i64 to index
      %n = arith.index_cast %rows : i64 to index
      %at = arith.muli %place, %c16 : i64
      %offset = arith.index_cast %at : i64 to index
      %far = memref.reinterpret_cast %x to offset: [%offset], sizes: [8, 16], strides: [16, 1] : memref<*xi8> to memref<8x16xi8, strided<[16, 1], offset: ?>>
      %a = memref.alloc() : memref<8x16xi8>
      linalg.fill ins(%z8 : i8) outs(%a : memref<8x16xi8>)
      %from = memref.subview %far[%lead, 0] [%n, 16] [1, 1] : memref<8x16xi8, strided<[16, 1], offset: ?>> to memref<?x16xi8, strided<[16, 1], offset: ?>>
      %to = memref.subview %a[%lead, 0] [%n, 16] [1, 1] : memref<8x16xi8> to memref<?x16xi8, strided<[16, 1], offset: ?>>
      // expected-error @+1 {{loop_conv_ws cannot do this product: its addresses or borders do not move by fixed steps}}
      memref.copy %from, %to : memref<?x16xi8, strided<[16, 1], offset: ?>> to memref<?x16xi8, strided<[16, 1], offset: ?>>
      %wat = arith.muli %tap, %c256 : i64
      %woff = arith.index_cast %wat : i64 to index
      %taps = memref.reinterpret_cast %w to offset: [%woff], sizes: [16, 16], strides: [16, 1] : memref<*xi8> to memref<16x16xi8, strided<[16, 1], offset: ?>>
      %b = memref.alloc() : memref<16x16xi8>
      memref.copy %taps, %b : memref<16x16xi8, strided<[16, 1], offset: ?>> to memref<16x16xi8>
      linalg.matmul ins(%a, %b : memref<8x16xi8>, memref<16x16xi8>) outs(%acc : memref<8x16xi32>)
    }
    %out = memref.alloc() : memref<8x16xi8>
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%acc : memref<8x16xi32>) outs(%out : memref<8x16xi8>) attrs = {baco.requantise = {activation = "relu"}} {
    ^bb0(%in: i32, %o: i8):
      %t = arith.trunci %in : i32 to i8
      linalg.yield %t : i8
    }
    %dst = memref.reinterpret_cast %y to offset: [0], sizes: [8, 16], strides: [16, 1] : memref<*xi8> to memref<8x16xi8, strided<[16, 1]>>
    memref.copy %out, %dst : memref<8x16xi8> to memref<8x16xi8, strided<[16, 1]>>
    return
  }
}

// -----

// The sums start from values of their own for each pixel.
#id = affine_map<(d0, d1) -> (d0, d1)>
module attributes {baco.instructions = "loops"} {
  func.func @convolution(%x: memref<*xi8>, %w: memref<*xi8>, %y: memref<*xi8>, %d: memref<*xi32>, %length: i64) {
    %zero = arith.constant 0 : i32
    %z8 = arith.constant 0 : i8
    %c0 = arith.constant 0 : i64
    %c1 = arith.constant 1 : i64
    %c3 = arith.constant 3 : i64
    %c8 = arith.constant 8 : i64
    %c16 = arith.constant 16 : i64
    %c256 = arith.constant 256 : i64
    %acc = memref.alloc() : memref<8x16xi32>
    %start = memref.reinterpret_cast %d to offset: [0], sizes: [8, 16], strides: [16, 1] : memref<*xi32> to memref<8x16xi32, strided<[16, 1]>>
    memref.copy %start, %acc : memref<8x16xi32, strided<[16, 1]>> to memref<8x16xi32>
    scf.for %tap = %c0 to %c3 step %c1 : i64 {
      %place = arith.subi %tap, %c1 : i64
      %before = arith.subi %c0, %place : i64
      %first = arith.maxsi %before, %c0 : i64
      %there = arith.subi %length, %place : i64
      %some = arith.maxsi %there, %c0 : i64
      %end = arith.minsi %some, %c8 : i64
      %count = arith.subi %end, %first : i64
      %rows = arith.maxsi %count, %c0 : i64
      %lead = arith.index_cast %first : i64 to index
      %n = arith.index_cast %rows : i64 to index
      %at = arith.muli %place, %c16 : i64
      %offset = arith.index_cast %at : i64 to index
      %far = memref.reinterpret_cast %x to offset: [%offset], sizes: [8, 16], strides: [16, 1] : memref<*xi8> to memref<8x16xi8, strided<[16, 1], offset: ?>>
      %a = memref.alloc() : memref<8x16xi8>
      linalg.fill ins(%z8 : i8) outs(%a : memref<8x16xi8>)
      %from = memref.subview %far[%lead, 0] [%n, 16] [1, 1] : memref<8x16xi8, strided<[16, 1], offset: ?>> to memref<?x16xi8, strided<[16, 1], offset: ?>>
      %to = memref.subview %a[%lead, 0] [%n, 16] [1, 1] : memref<8x16xi8> to memref<?x16xi8, strided<[16, 1], offset: ?>>
      // expected-error @+1 {{loop_conv_ws cannot do this product: its sums start from other values than one bias for each channel}}
      memref.copy %from, %to : memref<?x16xi8, strided<[16, 1], offset: ?>> to memref<?x16xi8, strided<[16, 1], offset: ?>>
      %wat = arith.muli %tap, %c256 : i64
      %woff = arith.index_cast %wat : i64 to index
      %taps = memref.reinterpret_cast %w to offset: [%woff], sizes: [16, 16], strides: [16, 1] : memref<*xi8> to memref<16x16xi8, strided<[16, 1], offset: ?>>
      %b = memref.alloc() : memref<16x16xi8>
      memref.copy %taps, %b : memref<16x16xi8, strided<[16, 1], offset: ?>> to memref<16x16xi8>
      linalg.matmul ins(%a, %b : memref<8x16xi8>, memref<16x16xi8>) outs(%acc : memref<8x16xi32>)
    }
    %out = memref.alloc() : memref<8x16xi8>
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%acc : memref<8x16xi32>) outs(%out : memref<8x16xi8>) attrs = {baco.requantise = {activation = "relu"}} {
    ^bb0(%in: i32, %o: i8):
      %t = arith.trunci %in : i32 to i8
      linalg.yield %t : i8
    }
    %dst = memref.reinterpret_cast %y to offset: [0], sizes: [8, 16], strides: [16, 1] : memref<*xi8> to memref<8x16xi8, strided<[16, 1]>>
    memref.copy %out, %dst : memref<8x16xi8> to memref<8x16xi8, strided<[16, 1]>>
    return
  }
}

// -----

// The number of positions of the filter is known only at run time.
#id = affine_map<(d0, d1) -> (d0, d1)>
module attributes {baco.instructions = "loops"} {
  func.func @convolution(%x: memref<*xi8>, %w: memref<*xi8>, %y: memref<*xi8>, %length: i64) {
    %zero = arith.constant 0 : i32
    %z8 = arith.constant 0 : i8
    %c0 = arith.constant 0 : i64
    %c1 = arith.constant 1 : i64
    %c3 = arith.constant 3 : i64
    %c8 = arith.constant 8 : i64
    %c16 = arith.constant 16 : i64
    %c256 = arith.constant 256 : i64
    %acc = memref.alloc() : memref<8x16xi32>
    linalg.fill ins(%zero : i32) outs(%acc : memref<8x16xi32>)
    scf.for %tap = %c0 to %length step %c1 : i64 {
      %place = arith.subi %tap, %c1 : i64
      %before = arith.subi %c0, %place : i64
      %first = arith.maxsi %before, %c0 : i64
      %there = arith.subi %length, %place : i64
      %some = arith.maxsi %there, %c0 : i64
      %end = arith.minsi %some, %c8 : i64
      %count = arith.subi %end, %first : i64
      %rows = arith.maxsi %count, %c0 : i64
      %lead = arith.index_cast %first : i64 to index
      %n = arith.index_cast %rows : i64 to index
      %at = arith.muli %place, %c16 : i64
      %offset = arith.index_cast %at : i64 to index
      %far = memref.reinterpret_cast %x to offset: [%offset], sizes: [8, 16], strides: [16, 1] : memref<*xi8> to memref<8x16xi8, strided<[16, 1], offset: ?>>
      %a = memref.alloc() : memref<8x16xi8>
      linalg.fill ins(%z8 : i8) outs(%a : memref<8x16xi8>)
      %from = memref.subview %far[%lead, 0] [%n, 16] [1, 1] : memref<8x16xi8, strided<[16, 1], offset: ?>> to memref<?x16xi8, strided<[16, 1], offset: ?>>
      %to = memref.subview %a[%lead, 0] [%n, 16] [1, 1] : memref<8x16xi8> to memref<?x16xi8, strided<[16, 1], offset: ?>>
      // expected-error @+1 {{loop_conv_ws cannot do this product: a loop of its sum runs neither over its filter, from 0 to a number, nor over its channels}}
      memref.copy %from, %to : memref<?x16xi8, strided<[16, 1], offset: ?>> to memref<?x16xi8, strided<[16, 1], offset: ?>>
      %wat = arith.muli %tap, %c256 : i64
      %woff = arith.index_cast %wat : i64 to index
      %taps = memref.reinterpret_cast %w to offset: [%woff], sizes: [16, 16], strides: [16, 1] : memref<*xi8> to memref<16x16xi8, strided<[16, 1], offset: ?>>
      %b = memref.alloc() : memref<16x16xi8>
      memref.copy %taps, %b : memref<16x16xi8, strided<[16, 1], offset: ?>> to memref<16x16xi8>
      linalg.matmul ins(%a, %b : memref<8x16xi8>, memref<16x16xi8>) outs(%acc : memref<8x16xi32>)
    }
    %out = memref.alloc() : memref<8x16xi8>
    linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%acc : memref<8x16xi32>) outs(%out : memref<8x16xi8>) attrs = {baco.requantise = {activation = "relu"}} {
    ^bb0(%in: i32, %o: i8):
      %t = arith.trunci %in : i32 to i8
      linalg.yield %t : i8
    }
    %dst = memref.reinterpret_cast %y to offset: [0], sizes: [8, 16], strides: [16, 1] : memref<*xi8> to memref<8x16xi8, strided<[16, 1]>>
    memref.copy %out, %dst : memref<8x16xi8> to memref<8x16xi8, strided<[16, 1]>>
    return
  }
}
