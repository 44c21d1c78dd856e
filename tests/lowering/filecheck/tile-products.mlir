// RUN: baco-opt %s -p tile-products,canonicalize,cse | filecheck %s

// CHECK: memref.alloc() {baco.shared} : memref<{{.*}}xi32>
// CHECK: scf.for
// CHECK:   memref.copy
// CHECK:   linalg.matmul
// CHECK: memref.copy
func.func @k(%x: memref<256x512xi8> {baco.name = "x"}, %w: memref<512x128xi8> {baco.name = "w"}, %y: memref<256x128xi32> {baco.name = "y"}) {
  %z = arith.constant 0 : i32
  linalg.fill ins(%z : i32) outs(%y : memref<256x128xi32>)
  linalg.matmul ins(%x, %w : memref<256x512xi8>, memref<512x128xi8>) outs(%y : memref<256x128xi32>)
  return
}
