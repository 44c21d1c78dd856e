// RUN: baco-opt %s -p alternate-accumulators,canonicalize,cse --split-input-file | filecheck %s

// The block that each iteration stores has two places; the loop around goes on with the one in turn.
// CHECK-LABEL: func.func @nest
// CHECK: %[[HALVES:.*]] = memref.alloc() {baco.slots = 2 : i64} : memref<2x16x16xi32>
// CHECK: scf.for {{.*}} iter_args(%[[OUTER:.*]] = %c0)
// CHECK:   %[[INNER:.*]] = scf.for {{.*}} iter_args(%[[HALF:.*]] = %[[OUTER]])
// CHECK:     %[[LAST:.*]] = arith.cmpi eq, %[[HALF]], %c1
// CHECK:     %[[NEXT:.*]] = arith.select %[[LAST]], %c0, %
// CHECK:     %[[C:.*]] = memref.subview %[[HALVES]][%[[HALF]], 0, 0] [1, 16, 16] [1, 1, 1]
// CHECK:     linalg.matmul {{.*}} outs(%[[C]]
// CHECK:     memref.copy %[[C]],
// CHECK:     scf.yield %[[NEXT]]
// CHECK:   scf.yield %[[INNER]]
module attributes {baco.num_stages = 2 : i64} {
func.func @nest(%y: memref<*xi32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = memref.alloc() : memref<16x16xi8>
  scf.for %i = %c0 to %n step %c1 {
    scf.for %j = %c0 to %n step %c1 {
      %c = memref.alloc() : memref<16x16xi32>
      linalg.matmul {baco.overwrite} ins(%a, %a : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
      %to = memref.reinterpret_cast %y to offset: [%j], sizes: [16, 16], strides: [16, 1]
        : memref<*xi32> to memref<16x16xi32, strided<[16, 1], offset: ?>>
      memref.copy %c, %to : memref<16x16xi32> to memref<16x16xi32, strided<[16, 1], offset: ?>>
    }
  }
  return
}
}

// -----

// A block that no loop makes alternates between program instances.
// CHECK-LABEL: func.func @grid
// CHECK: %[[TWO:.*]] = arith.addi %[[P0:.*]], %[[P1:.*]] : i64
// CHECK: %[[SUM:.*]] = arith.addi %[[TWO]], %{{.*}} : i64
// CHECK: %[[ODD:.*]] = arith.andi %[[SUM]], %c1_i64
// CHECK: %[[HALF:.*]] = arith.index_cast %[[ODD]]
// CHECK: memref.subview %{{.*}}[%[[HALF]], 0, 0] [1, 16, 16]
module attributes {baco.num_stages = 2 : i64} {
func.func @grid(%y: memref<16x16xi32> {baco.name = "y"}, %p0: i64 {baco.name = "pid0"}, %p1: i64 {baco.name = "pid1"},
    %p2: i64 {baco.name = "pid2"}) {
  %a = memref.alloc() : memref<16x16xi8>
  %c = memref.alloc() : memref<16x16xi32>
  linalg.matmul {baco.overwrite} ins(%a, %a : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
  memref.copy %c, %y : memref<16x16xi32> to memref<16x16xi32>
  return
}
}
