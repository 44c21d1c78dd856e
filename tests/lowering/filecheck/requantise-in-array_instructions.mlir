// RUN: baco-opt %s -p choose-layouts,tile-to-dim,place-in-memories,verify-stage,convert-to-instgem,canonicalize,cse | filecheck %s

#id = affine_map<(i, j) -> (i, j)>

// 20 = 16 + 4 deep: sums leave at the second piece for scratchpad row 0 (%h is placed first), shifted by 3 with ReLU. No store, no load.
// CHECK-LABEL: func.func @k
// CHECK-DAG: %[[NONE:.*]] = arith.constant 4294967295 : i64
// CHECK-DAG: %[[H:.*]] = arith.constant 0 : i64
// CHECK-DAG: %[[THREE:.*]] = arith.constant 3 : i64
// CHECK: "instgem.config_ex"({{.*}}, {{.*}}, %[[THREE]], {{.*}}) {activation = 1 : i64, dataflow = 0
// CHECK-NEXT: "instgem.preload"(%[[NONE]], {{.*}}, {{.*}}, %[[NONE]]
// CHECK-NEXT: "instgem.compute_preloaded"
// CHECK-NEXT: "instgem.preload"(%[[NONE]], {{.*}}, {{.*}}, %[[H]]
// CHECK-NEXT: "instgem.compute_accumulated"
// CHECK-NOT: instgem.mv
func.func @k() {
  %low = arith.constant 0.0 : f32
  %high = arith.constant 127.0 : f32
  %scale = arith.constant 0.125 : f32
  %h = memref.alloc() : memref<16x16xi8>
  %x = memref.alloc() : memref<16x20xi8>
  %w = memref.alloc() : memref<20x16xi8>
  %c = memref.alloc() : memref<16x16xi32>
  linalg.matmul {baco.output_stationary, baco.overwrite} ins(%x, %w : memref<16x20xi8>, memref<20x16xi8>) outs(%c : memref<16x16xi32>)
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%c : memref<16x16xi32>) outs(%h : memref<16x16xi8>) attrs = {baco.requantise = {activation = "relu"}, baco.in_array = 3 : i64} {
  ^bb0(%in: i32, %out: i8):
    %0 = arith.sitofp %in : i32 to f32
    %1 = arith.mulf %0, %scale : f32
    %2 = math.roundeven %1 : f32
    %3 = arith.maximumf %2, %low : f32
    %4 = arith.minimumf %3, %high : f32
    %5 = arith.fptosi %4 : f32 to i8
    linalg.yield %5 : i8
  }
  %y = memref.alloc() : memref<16x16xi32>
  linalg.matmul {baco.overwrite} ins(%h, %h : memref<16x16xi8>, memref<16x16xi8>) outs(%y : memref<16x16xi32>)
  return
}
