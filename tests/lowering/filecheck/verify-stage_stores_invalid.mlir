// RUN: baco-opt %s -p verify-stage --split-input-file --verify-diagnostics

// A pooling store has its rows from its configuration: windows of 2 x 2 over 4 x 4 pixels reach the row 15, but 8 were loaded.
func.func @pooling(%dram: i64 {baco.name = "dram"}) {
  %0 = arith.constant 0 : i64
  %8 = arith.constant 8 : i64
  %16 = arith.constant 16 : i64
  %one = arith.constant 1065353216 : i64
  "instgem.config_ld"(%16, %one, %16) {load_id = 0 : i64, pixel_repeats = 1 : i64, shrink = 0 : i64} : (i64, i64, i64) -> ()
  "instgem.mvin"(%dram, %0, %16, %8) : (i64, i64, i64, i64) -> ()
  "instgem.config_st"(%16, %one) {activation = 0 : i64, pool_stride = 2 : i64, pool_size = 2 : i64, pool_upper_pad = 0 : i64,
    pool_left_pad = 0 : i64, pool_out_dim = 2 : i64, pool_out_rows = 2 : i64, pool_out_cols = 2 : i64, out_rows = 4 : i64,
    out_cols = 4 : i64} : (i64, i64) -> ()
  // expected-error @+1 {{mvout reads scratchpad row 15 as local, which nothing has written}}
  "instgem.mvout"(%dram, %0, %16, %0) : (i64, i64, i64, i64) -> ()
  return
}
