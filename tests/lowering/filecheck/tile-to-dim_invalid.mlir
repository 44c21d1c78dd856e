// RUN: baco-opt %s -p tile-to-dim --verify-diagnostics

// expected-error @unknown {{a kernel module holds exactly one function, not 2.}}
module {
  func.func @one() { return }
  func.func @two() { return }
}
