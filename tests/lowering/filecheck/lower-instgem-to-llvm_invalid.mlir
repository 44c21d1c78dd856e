// RUN: baco-opt %s -p lower-instgem-to-llvm --split-input-file --verify-diagnostics

func.func @k(%a: i64) {
  // expected-error @+1 {{instgem.config_ld}}
  "instgem.config_ld"(%a, %a, %a) {load_id = 7 : i64, pixel_repeats = 1 : i64, shrink = 0 : i64} : (i64, i64, i64) -> ()
  return
}

// -----

func.func @k(%a: i64) {
  // expected-error @+1 {{instgem.mvin}}
  "instgem.mvin"(%a, %a) : (i64, i64) -> ()
  return
}
