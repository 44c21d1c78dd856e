// RUN: baco-opt %s -p convert-to-instgem --split-input-file --verify-diagnostics

// expected-error @unknown {{a kernel module holds exactly one function, not 2.}}
module {
  func.func @one() { return }
  func.func @two() { return }
}

// -----

// expected-error @+1 {{every argument of a kernel has its name}}
func.func @nameless(%a: i64) {
  return
}

// -----

func.func @flags(%i: i64) {
  // expected-error @+1 {{instgem.config_ld: load_id takes 0 to 3, not 4}}
  "instgem.config_ld"(%i, %i, %i) {load_id = 4 : i64, pixel_repeats = 1 : i64, shrink = 0 : i64} : (i64, i64, i64) -> ()
  return
}

// -----

func.func @operands() {
  // expected-error @+1 {{instgem.mvin: takes 4 operands, not 0}}
  "instgem.mvin"() : () -> ()
  return
}

// -----

func.func @placeless() {
  // expected-error @+1 {{this block has no place in a memory; run place-in-memories before this.}}
  %a = memref.alloc() : memref<16x16xi8>
  return
}
