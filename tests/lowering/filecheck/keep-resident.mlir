// RUN: baco-opt %s --split-input-file -p keep-resident,canonicalize,cse | filecheck %s

// Axis 0 is innermost and does not change what is loaded from %y: its four blocks stay where they are while %pid0 runs. Those from %x would
// have to stay for every place on axis 0, and only a run shows how many those are, and whether axis 1 has a second place where they are used
// again: they share what is left.
// CHECK-LABEL: func.func @k
// CHECK:         %[[POOL:.*]] = memref.alloc() {baco.kept = true, baco.pool = 16320 : i64, baco.slot_rows = 16 : i64, baco.slots = 1020 : i64} : memref<1020x16x16xi8>
// CHECK:         %[[ALL:.*]] = arith.muli %{{.*}}, %c4
// CHECK:         %[[AGAIN:.*]] = arith.cmpi sgt, %{{.*}}, %c1
// CHECK:         %[[WANTED:.*]] = arith.select %[[AGAIN]], %[[ALL]], %c0
// CHECK:         %[[FIT:.*]] = arith.minsi %[[WANTED]], %c1019
// CHECK:         %[[KEPT:.*]] = memref.alloc() {baco.kept = true, baco.slots = 4 : i64} : memref<4x16x16xi8>
// CHECK:         scf.for %[[I:.*]] = %c0_i64 to %c64_i64 step %c16_i64
// CHECK:           %[[STAYS:.*]] = arith.cmpi slt, %[[NUMBER:.*]], %[[FIT]] : index
// CHECK:           %[[OWN:.*]] = arith.addi %[[NUMBER]], %c1
// CHECK:           %[[SLOT:.*]] = arith.select %[[STAYS]], %[[OWN]], %c0
// CHECK:           %[[A:.*]] = memref.subview %[[POOL]][%[[SLOT]], 0, 0]
// CHECK:           %[[FIRST1:.*]] = arith.cmpi eq, %{{.*}}, %c0_i64
// CHECK:           %[[NOROOM:.*]] = arith.cmpi sge, %[[NUMBER]], %[[FIT]]
// CHECK:           %[[LOADED:.*]] = arith.ori %[[FIRST1]], %[[NOROOM]]
// CHECK:           scf.if %[[LOADED]] {
// CHECK-NEXT:        memref.copy %{{.*}}, %[[A]]
// CHECK:           %[[B:.*]] = memref.subview %[[KEPT]][%{{.*}}, 0, 0]
// CHECK:           %[[FIRST0:.*]] = arith.cmpi eq, %{{.*}}, %c0_i64
// CHECK:           scf.if %[[FIRST0]] {
// CHECK-NEXT:        memref.copy %{{.*}}, %[[B]]
// CHECK:           linalg.matmul ins(%[[A]], %[[B]]
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
    }
    return
  }
}

// -----

// The other way round, the blocks from %x are the panel of known size.
// CHECK-LABEL: func.func @k
// CHECK:         scf.for
// CHECK:           %[[A:.*]] = memref.subview %{{.*}} : memref<4x16x16xi8> to
// CHECK:           %[[B:.*]] = memref.subview %{{.*}} : memref<1020x16x16xi8> to
// CHECK:           linalg.matmul ins(%[[A]], %[[B]]
module attributes {baco.grid_order = array<i64: 1, 0>} {
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

// -----

// Turned off.
// CHECK-LABEL: func.func @k
// CHECK-NOT:     baco.kept
// CHECK-NOT:     scf.if
// CHECK:         return
module attributes {baco.keep_resident = false} {
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

// -----

// Both panels are of a size that only a run shows: the one inside fewer loops is served first, the other gets what it leaves.
// CHECK-LABEL: func.func @k
// CHECK-SAME:    %[[N:[a-z0-9]*]]: i64 {baco.name = "n"}
// CHECK-DAG:     %[[LONG:.*]] = arith.index_cast %[[N]] : i64 to index
// CHECK-DAG:     %[[COUNT:.*]] = arith.ceildivsi %[[LONG]], %c16
// CHECK-DAG:     %[[MOST:.*]] = arith.maxsi %[[COUNT]], %c0
// CHECK:         %[[WANTED:.*]] = arith.select %{{.*}}, %[[MOST]], %c0
// CHECK:         %[[B:.*]] = arith.minsi %[[WANTED]], %c1022
// CHECK:         %[[LEFT:.*]] = arith.subi %c1022, %[[B]]
// CHECK:         arith.minsi %{{.*}}, %[[LEFT]]
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
    scf.for %i = %c0 to %n step %c16 : i64 {
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

// -----

// A loop of the kernel is as good as an axis of the grid, and one block needs no place of its own. Its address comes from outside the loop,
// but the host core works in there, so that it has not been moved out.
// CHECK-LABEL: func.func @host
// CHECK:         %[[A:.*]] = memref.alloc() {baco.kept = true} : memref<16x16xi8>
// CHECK:         scf.for %[[I:.*]] = %c0 to
// CHECK:           %[[FIRST:.*]] = arith.cmpi eq, %[[I]], %c0
// CHECK:           scf.if %[[FIRST]] {
// CHECK-NEXT:        memref.copy %{{.*}}, %[[A]]
module {
  func.func @host(%x: memref<*xi8>, %n: index) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c = memref.alloc() : memref<16x16xi32>
    scf.for %i = %c0 to %n step %c1 {
      %s = memref.reinterpret_cast %x to offset: [0], sizes: [16, 16], strides: [64, 1]
        : memref<*xi8> to memref<16x16xi8, strided<[64, 1]>>
      %a = memref.alloc() : memref<16x16xi8>
      memref.copy %s, %a : memref<16x16xi8, strided<[64, 1]>> to memref<16x16xi8>
      "instgem.fence"() : () -> ()
      linalg.matmul ins(%a, %a : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
    }
    return
  }
}
