// RUN: baco-opt %s -p copies-to-linalg | filecheck %s

// CHECK-LABEL: func.func @k
// CHECK-NOT: memref.copy
// CHECK: linalg.{{copy|generic}}
func.func @k(%a: memref<4x4xi8, strided<[8, 1]>>, %b: memref<4x4xi8>) {
  memref.copy %a, %b : memref<4x4xi8, strided<[8, 1]>> to memref<4x4xi8>
  return
}
