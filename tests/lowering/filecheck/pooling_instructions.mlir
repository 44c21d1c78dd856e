// RUN: baco-opt %s -p split-host-work,choose-layouts,tile-to-dim,place-in-memories,verify-stage,convert-to-instgem,canonicalize,cse,verify-stage | filecheck %s

// One store for all maxima of DIM channels: its rows come from the configuration. The hardware does not order it with other moves in the
// scratchpad, so fences do.
// CHECK-LABEL: func.func @k
// CHECK: "instgem.config_st"
// CHECK-SAME: out_cols = 8 : i64, out_rows = 4 : i64, pool_left_pad = 0 : i64, pool_out_cols = 4 : i64, pool_out_dim = 4 : i64,
// CHECK-SAME: pool_out_rows = 2 : i64, pool_size = 2 : i64, pool_stride = 2 : i64, pool_upper_pad = 0 : i64
// CHECK: "instgem.fence"
// CHECK-NEXT: "instgem.mvout"(%{{.*}}, %{{.*}}, %c16_i64{{.*}}, %c0_i64{{.*}})
// CHECK-NEXT: "instgem.fence"
#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @k(%x: memref<*xi8> {baco.name = "x"}, %o: memref<*xi8> {baco.name = "o"}) {
  %from = memref.reinterpret_cast %x to offset: [0], sizes: [32, 16], strides: [16, 1] : memref<*xi8> to memref<32x16xi8>
  %to = memref.reinterpret_cast %o to offset: [0], sizes: [8, 16], strides: [16, 1] : memref<*xi8> to memref<8x16xi8>
  %a = memref.alloc() : memref<32x16xi8>
  memref.copy %from, %a : memref<32x16xi8> to memref<32x16xi8>
  %m = memref.alloc() : memref<8x16xi8>
  %c0 = arith.constant 0 : index
  linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]} outs(%m : memref<8x16xi8>) attrs = {baco.max_pool = {columns = 8 : i64, left = 0 : i64, out_columns = 4 : i64, out_rows = 2 : i64, rows = 4 : i64, size = 2 : i64, stride = 2 : i64, upper = 0 : i64}} {
  ^bb0(%y: i8):
    %s = memref.load %a[%c0, %c0] : memref<32x16xi8>
    linalg.yield %s : i8
  }
  memref.copy %m, %to : memref<8x16xi8> to memref<8x16xi8>
  return
}
