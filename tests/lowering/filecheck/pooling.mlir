// RUN: baco-opt %s -p split-host-work --split-input-file --verify-diagnostics | filecheck %s

// A loaded block is pooled by the store of its maxima. That makes all of them: where only some are wanted, they go out and come back.
// CHECK-LABEL: func.func @k
// CHECK: %[[TWIN:.*]] = memref.get_global @host_0 : memref<8x16xi8>
// CHECK: linalg.generic {{.*}} ins(%[[IMAGE:.*]] : memref<32x16xi8>) outs(%[[MAXIMA:.*]] : memref<8x16xi8>) {{.*}}baco.max_pool
// CHECK: %[[WHOLE:.*]] = arith.cmpi eq
// CHECK: scf.if %[[WHOLE]] {
// CHECK: memref.copy {{.*}} memref<8x16xi8, {{.*}}> to memref<8x16xi8
// CHECK: } else {
// CHECK: memref.copy %[[MAXIMA]], %[[TWIN]]
// CHECK: memref.copy %[[TWIN]], %[[AGAIN:.*]] :
// CHECK: %[[PART:.*]] = memref.subview %[[AGAIN]]
// CHECK: memref.copy %[[PART]]
#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @k(%x: memref<32x16xi8> {baco.name = "x"}, %o: memref<8x16xi8> {baco.name = "o"}, %n: index {baco.name = "n"}) {
  %a = memref.alloc() : memref<32x16xi8>
  memref.copy %x, %a : memref<32x16xi8> to memref<32x16xi8>
  %m = memref.alloc() : memref<8x16xi8>
  %c0 = arith.constant 0 : index
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%m : memref<8x16xi8>) attrs = {baco.max_pool = {columns = 8 : i64, left = 0 : i64, out_columns = 4 : i64, out_rows = 2 : i64, rows = 4 : i64, size = 2 : i64, stride = 2 : i64, upper = 0 : i64}} {
  ^bb0(%y: i8):
    %s = memref.load %a[%c0, %c0] : memref<32x16xi8>
    linalg.yield %s : i8
  }
  %part = memref.subview %m[0, 0] [%n, 16] [1, 1] : memref<8x16xi8> to memref<?x16xi8, strided<[16, 1]>>
  %to = memref.subview %o[0, 0] [%n, 16] [1, 1] : memref<8x16xi8> to memref<?x16xi8, strided<[16, 1]>>
  memref.copy %part, %to : memref<?x16xi8, strided<[16, 1]>> to memref<?x16xi8, strided<[16, 1]>>
  return
}

// -----

// What the host core made is pooled there.
// CHECK-LABEL: func.func @on_host
// CHECK: linalg.generic {{.*}} {
// CHECK: memref.load
// CHECK: arith.maxsi
// CHECK-NOT: baco.max_pool
#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @on_host(%x: memref<32x16xi8, strided<[1, 32]>> {baco.name = "x"}, %o: memref<8x16xi8> {baco.name = "o"}, %n: index {baco.name = "n"}) {
  %a = memref.alloc() : memref<32x16xi8>
  memref.copy %x, %a : memref<32x16xi8, strided<[1, 32]>> to memref<32x16xi8>
  %m = memref.alloc() : memref<8x16xi8>
  %c0 = arith.constant 0 : index
  // expected-remark @+1 {{runs on the host core}}
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%m : memref<8x16xi8>) attrs = {baco.max_pool = {columns = 8 : i64, left = 0 : i64, out_columns = 4 : i64, out_rows = 2 : i64, rows = 4 : i64, size = 2 : i64, stride = 2 : i64, upper = 0 : i64}} {
  ^bb0(%y: i8):
    %s = memref.load %a[%c0, %c0] : memref<32x16xi8>
    linalg.yield %s : i8
  }
  %part = memref.subview %m[0, 0] [%n, 16] [1, 1] : memref<8x16xi8> to memref<?x16xi8, strided<[16, 1]>>
  %to = memref.subview %o[0, 0] [%n, 16] [1, 1] : memref<8x16xi8> to memref<?x16xi8, strided<[16, 1]>>
  memref.copy %part, %to : memref<?x16xi8, strided<[16, 1]>> to memref<?x16xi8, strided<[16, 1]>>
  return
}
