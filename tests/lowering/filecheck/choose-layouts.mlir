// RUN: baco-opt %s -p choose-layouts | filecheck %s

// CHECK-LABEL: func.func @matmul
// CHECK: memref.alloc() {baco.layout = "columns"} : memref<40x24xi8>
// CHECK: memref.alloc() {baco.layout = "{{.*}}"} : memref<24x16xi8>
func.func @matmul() {
  %a = memref.alloc() : memref<40x24xi8>
  %b = memref.alloc() : memref<24x16xi8>
  %c = memref.alloc() : memref<40x16xi32>
  linalg.matmul ins(%a, %b : memref<40x24xi8>, memref<24x16xi8>) outs(%c : memref<40x16xi32>)
  return
}
