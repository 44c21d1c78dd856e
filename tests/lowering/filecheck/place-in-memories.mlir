// RUN: baco-opt %s -p place-in-memories | filecheck %s

// A block takes its rows for each DIM-wide column block: A's 24 columns are two of them.
// CHECK: module attributes {baco.rows = {accumulator = 40 : i64, scratchpad = 104 : i64}}
// CHECK: memref.alloc() {baco.memory = "scratchpad", baco.row = 0 : i64} : memref<40x24xi8>
// CHECK: memref.alloc() {baco.memory = "scratchpad", baco.row = 80 : i64} : memref<24x16xi8>
// CHECK: memref.alloc() {baco.memory = "accumulator", baco.row = 0 : i64} : memref<40x16xi32>
func.func @matmul() {
  %a = memref.alloc() : memref<40x24xi8>
  %b = memref.alloc() : memref<24x16xi8>
  %c = memref.alloc() : memref<40x16xi32>
  linalg.matmul ins(%a, %b : memref<40x24xi8>, memref<24x16xi8>) outs(%c : memref<40x16xi32>)
  return
}
