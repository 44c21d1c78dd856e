// RUN: baco-opt %s -p verify-stage | filecheck %s

// CHECK-LABEL: func.func @k
func.func @k() {
  return
}
