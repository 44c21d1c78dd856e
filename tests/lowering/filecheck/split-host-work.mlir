// RUN: baco-opt %s -p split-host-work --verify-diagnostics | filecheck %s

// CHECK-LABEL: func.func @k
// CHECK: linalg.matmul
// CHECK: memref.copy
// CHECK: "instgem.fence"
// CHECK: linalg.generic {{.*}} {baco.host}
#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @k(%o: memref<16x16xi32> {baco.name = "o"}) {
  %z = arith.constant 0 : i8
  %z32 = arith.constant 0 : i32
  %a = memref.alloc() : memref<16x16xi8>
  linalg.fill ins(%z : i8) outs(%a : memref<16x16xi8>)
  %c = memref.alloc() : memref<16x16xi32>
  linalg.fill ins(%z32 : i32) outs(%c : memref<16x16xi32>)
  linalg.matmul ins(%a, %a : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
  %d = memref.alloc() : memref<16x16xi32>
  // expected-remark @+1 {{runs on the host core}}
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
    ins(%c : memref<16x16xi32>) outs(%d : memref<16x16xi32>) {
  ^bb0(%x: i32, %y: i32):
    // expected-remark @+1 {{runs on the host core}}
    %s = arith.muli %x, %x : i32
    linalg.yield %s : i32
  }
  memref.copy %d, %o : memref<16x16xi32> to memref<16x16xi32>
  return
}
