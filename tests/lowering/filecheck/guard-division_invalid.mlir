// RUN: baco-opt %s -p guard-division --verify-diagnostics

func.func @k(%a: vector<4xi32>, %b: vector<4xi32>) -> vector<4xi32> {
  // expected-error @+1 {{arith.divsi divides vector<4xi32>, and only numbers are guarded; run convert-elementwise-to-linalg and convert-linalg-to-loops before this.}}
  %q = arith.divsi %a, %b : vector<4xi32>
  return %q : vector<4xi32>
}
