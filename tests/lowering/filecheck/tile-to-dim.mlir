// RUN: baco-opt %s -p tile-to-dim,canonicalize,cse | filecheck %s

// Each tile of B is loaded into the array once; ragged ends are pieces of their own.
// CHECK-LABEL: func.func @matmul
// CHECK: %[[A:.*]] = memref.alloc() : memref<40x24xi8>
// CHECK: linalg.matmul ins({{.*}} : memref<16x16xi8, {{.*}}>, memref<16x16xi8, {{.*}}>)
// CHECK: linalg.matmul {baco.weights_in_array} ins({{.*}} : memref<16x16xi8, {{.*}}>, memref<16x16xi8
// CHECK: memref.subview %[[A]][32, 0] [8, 16] [1, 1]
// CHECK: linalg.matmul {baco.weights_in_array} ins({{.*}} : memref<8x16xi8, {{.*}}>, memref<16x16xi8
// CHECK: memref.subview %[[A]][0, 16] [16, 8] [1, 1]
// CHECK: linalg.matmul ins({{.*}} : memref<16x8xi8, {{.*}}>, memref<8x16xi8, {{.*}}>)
func.func @matmul() {
  %a = memref.alloc() : memref<40x24xi8>
  %b = memref.alloc() : memref<24x16xi8>
  %c = memref.alloc() : memref<40x16xi32>
  linalg.matmul ins(%a, %b : memref<40x24xi8>, memref<24x16xi8>) outs(%c : memref<40x16xi32>)
  return
}
