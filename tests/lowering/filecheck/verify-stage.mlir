// RUN: baco-opt %s -p verify-stage --split-input-file | filecheck %s

// CHECK-LABEL: func.func @k
func.func @k() {
  return
}

// -----

// Weights of 16 x 8 that are transposed on their way in are 8 rows in memory, as many as were loaded.
// CHECK-LABEL: func.func @transposed
func.func @transposed(%dram: i64 {baco.name = "dram"}) {
  %0 = arith.constant 0 : i64
  %1 = arith.constant 1 : i64
  %8 = arith.constant 8 : i64
  %16 = arith.constant 16 : i64
  %one = arith.constant 1065353216 : i64
  %none = arith.constant 4294967295 : i64
  %c = arith.constant 2147483648 : i64
  "instgem.config_ex"(%1, %one, %0, %0, %1) {activation = 0 : i64, dataflow = 1 : i64, set_only_strides = 0 : i64,
    transpose_a = 0 : i64, transpose_b = 1 : i64} : (i64, i64, i64, i64, i64) -> ()
  "instgem.config_ld"(%16, %one, %16) {load_id = 0 : i64, pixel_repeats = 1 : i64, shrink = 0 : i64} : (i64, i64, i64) -> ()
  "instgem.mvin"(%dram, %0, %16, %8) : (i64, i64, i64, i64) -> ()
  "instgem.mvin"(%dram, %16, %16, %16) : (i64, i64, i64, i64) -> ()
  "instgem.preload"(%0, %8, %16, %c, %8, %16) : (i64, i64, i64, i64, i64, i64) -> ()
  "instgem.compute_preloaded"(%16, %16, %16, %none, %16, %16) : (i64, i64, i64, i64, i64, i64) -> ()
  return
}
