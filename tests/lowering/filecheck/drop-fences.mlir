// RUN: baco-opt %s -p drop-fences | filecheck %s

// CHECK-LABEL: func.func @k
// CHECK-NOT: instgem.fence
// CHECK: return
func.func @k() {
  "instgem.fence"() : () -> ()
  return
}
