// RUN: baco-opt %s -p attach-lines --print-debuginfo | filecheck %s

// A function that comes from no file leaves the whole module without a table, and its calls as they were.
// CHECK-LABEL: llvm.func @kernel
// CHECK-NEXT: llvm.call @elsewhere() : () -> () loc([[UNKNOWN:#loc[0-9]*]])
// CHECK: [[UNKNOWN]] = loc(unknown)
// CHECK-NOT: LineTablesOnly
llvm.func @elsewhere() { llvm.return loc(unknown) } loc(unknown)
llvm.func @kernel() {
  llvm.call @elsewhere() : () -> () loc(unknown)
  llvm.return loc("kernel.py":7:1)
} loc("kernel.py":5:1)
