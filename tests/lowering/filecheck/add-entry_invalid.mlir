// RUN: baco-opt %s -p add-entry --split-input-file --verify-diagnostics

// expected-error @unknown {{a kernel module holds exactly one function, not 2.}}
module {
  func.func @one() { return }
  func.func @two() { return }
}

// -----

// expected-error @+1 {{the last arguments of a kernel are the launch grid's, pid0, pid1, pid2, num0, num1, num2, which structure-pointers adds.}}
func.func @too_early(%x: i64) {
  return
}
