// RUN: baco-opt %s -p add-entry | filecheck %s

// CHECK: func.func private @k
// CHECK: llvm.mlir.global external @baco_arguments({{.*}} !llvm.array<4 x i64>
// CHECK: llvm.mlir.global external @baco_instance({{.*}} !llvm.array<3 x i64>
// CHECK: func.func @baco_main()
// CHECK: "instgem.flush"
// CHECK: scf.for
// CHECK: llvm.store
// CHECK: call @k(
// CHECK: "instgem.fence"
func.func @k(%n: i64 {baco.name = "n"}, %p0: i64 {baco.name = "pid0"}, %p1: i64 {baco.name = "pid1"}, %p2: i64 {baco.name = "pid2"},
             %n0: i64 {baco.name = "num0"}, %n1: i64 {baco.name = "num1"}, %n2: i64 {baco.name = "num2"}) {
  return
}
