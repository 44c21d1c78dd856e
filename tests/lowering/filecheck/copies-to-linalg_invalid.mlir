// RUN: baco-opt %s -p copies-to-linalg --verify-diagnostics

func.func @k(%a: memref<*xi8>, %b: memref<*xi8>) {
  // expected-error @+1 {{memref.copy is not on buffers of a known rank; run one-shot-bufferize before this.}}
  memref.copy %a, %b : memref<*xi8> to memref<*xi8>
  return
}
