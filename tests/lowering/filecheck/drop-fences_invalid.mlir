// RUN: baco-opt %s -p drop-fences | filecheck %s

// Nothing is refused; what is no fence stays, also where a program without an accelerator has no use for it.
// CHECK: "instgem.flush"
// CHECK-NOT: "instgem.fence"
// CHECK: call @instgem.fence
func.func private @instgem.fence()
func.func @k() {
  "instgem.flush"() {skip = 0 : i64} : () -> ()
  "instgem.fence"() : () -> ()
  func.call @instgem.fence() : () -> ()
  return
}
