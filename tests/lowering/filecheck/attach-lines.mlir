// RUN: baco-opt %s -p attach-lines --print-debuginfo | filecheck %s

// Functions with a place get a scope, and a call without a place that of its function.
// CHECK: llvm.func @kernel
// CHECK-NEXT: llvm.call @callee() : () -> () loc([[CALL:#loc[0-9]*]])
// CHECK: [[CALL]] = loc("kernel.py":5:1)
// CHECK: emissionKind = LineTablesOnly
llvm.func @callee() { llvm.return loc("kernel.py":2:1) } loc("kernel.py":1:1)
llvm.func @kernel() {
  llvm.call @callee() : () -> () loc(unknown)
  llvm.return loc("kernel.py":7:1)
} loc("kernel.py":5:1)
