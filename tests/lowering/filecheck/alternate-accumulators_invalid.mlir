// RUN: baco-opt %s -p alternate-accumulators --split-input-file --verify-diagnostics | filecheck %s

// CHECK-NOT: baco.slots
module attributes {baco.num_stages = 2 : i64} {
func.func @host(%y: memref<16x16xi32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = memref.alloc() : memref<16x16xi8>
  scf.for %i = %c0 to %n step %c1 {
    // expected-remark @+1 {{this block of results is stored before the next one is begun: the host core works in the same loop}}
    %c = memref.alloc() : memref<16x16xi32>
    linalg.matmul ins(%a, %a : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
    memref.copy %c, %y : memref<16x16xi32> to memref<16x16xi32>
    "instgem.fence"() : () -> ()
  }
  return
}
}

// -----

// CHECK-NOT: baco.slots
module attributes {baco.num_stages = 4 : i64, baco.hardware = {accumulator_bytes = 4096 : i64}} {
func.func @small(%y: memref<48x16xi32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = memref.alloc() : memref<48x16xi8>
  %b = memref.alloc() : memref<16x16xi8>
  scf.for %i = %c0 to %n step %c1 {
    // expected-remark @+1 {{accumulator rows required: 96, rows there: 64}}
    %c = memref.alloc() : memref<48x16xi32>
    linalg.matmul ins(%a, %b : memref<48x16xi8>, memref<16x16xi8>) outs(%c : memref<48x16xi32>)
    memref.copy %c, %y : memref<48x16xi32> to memref<48x16xi32>
  }
  return
}
}
