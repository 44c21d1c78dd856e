// RUN: baco-opt %s -p select-loops,canonicalize,cse | filecheck %s

// CHECK-NOT: memref.alloc
// CHECK: scf.for %[[I:.*]] = %[[FROM:.*]] to %[[TO:.*]] step %[[BY:.*]]  : i64 {
// CHECK: "instgem.config_ld"{{.*}} {load_id = 0
// CHECK: "instgem.config_ld"{{.*}} {load_id = 1
// CHECK: "instgem.config_st"
// CHECK: "instgem.loop_ws_config_bounds"(%c0_i64, %c0_i64, %c0_i64, %c1_i64, %c1_i64, %c2_i64)
// CHECK: "instgem.loop_ws"({{.*}}) {{.*}}ex_accumulate = 0 : i64, full_c = 1
// CHECK: "instgem.loop_ws"({{.*}}) {{.*}}ex_accumulate = 1 : i64, full_c = 1
// CHECK-NOT: linalg
module attributes {baco.instructions = "loops"} {
func.func @k(%x: memref<*xi8>, %y: memref<*xi8>, %d: memref<*xi32>, %z: memref<*xi32>, %n: i64, %s: index) {
  %zero = arith.constant 0 : i32
  %c0 = arith.constant 0 : i64
  %c32 = arith.constant 32 : i64
  %depth = arith.constant 128 : i64
  %c = memref.alloc() : memref<16x16xi32>
  linalg.fill ins(%zero : i32) outs(%c : memref<16x16xi32>)
  scf.for %i = %c0 to %depth step %c32 : i64 {
    %at = arith.index_cast %i : i64 to index
    %xs = memref.reinterpret_cast %x to offset: [%at], sizes: [16, 32], strides: [%s, 1]
      : memref<*xi8> to memref<16x32xi8, strided<[?, 1], offset: ?>>
    %a = memref.alloc() : memref<16x32xi8>
    memref.copy %xs, %a : memref<16x32xi8, strided<[?, 1], offset: ?>> to memref<16x32xi8>
    %row = arith.muli %at, %s : index
    %ys = memref.reinterpret_cast %y to offset: [%row], sizes: [32, 16], strides: [%s, 1]
      : memref<*xi8> to memref<32x16xi8, strided<[?, 1], offset: ?>>
    %b = memref.alloc() : memref<32x16xi8>
    memref.copy %ys, %b : memref<32x16xi8, strided<[?, 1], offset: ?>> to memref<32x16xi8>
    linalg.matmul ins(%a, %b : memref<16x32xi8>, memref<32x16xi8>) outs(%c : memref<16x16xi32>)
    
  }
  
  %zs = memref.reinterpret_cast %z to offset: [%s], sizes: [16, 16], strides: [16, 1]
    : memref<*xi32> to memref<16x16xi32, strided<[16, 1], offset: ?>>
  memref.copy %c, %zs : memref<16x16xi32> to memref<16x16xi32, strided<[16, 1], offset: ?>>
  
  return
}
}
