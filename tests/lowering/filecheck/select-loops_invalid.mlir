// RUN: baco-opt %s -p select-loops --split-input-file --verify-diagnostics

module attributes {baco.instructions = "loops"} {
// expected-error @+1 {{loop instructions were asked for, but the kernel has no product for them.}}
func.func @nothing() { return }
}

// -----

module attributes {baco.instructions = "loops"} {
func.func @part(%a: memref<16x16xi8>) {
  %c = memref.alloc() : memref<16x16xi32>
  // expected-error @+1 {{loop_ws cannot do this product: }}
  linalg.matmul ins(%a, %a : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
  return
}
}

// -----

module attributes {baco.instructions = "auto"} {
func.func @auto(%a: memref<16x16xi8>) {
  %c = memref.alloc() : memref<16x16xi32>
  // expected-remark @+1 {{this product stays in primitive instructions: }}
  linalg.matmul ins(%a, %a : memref<16x16xi8>, memref<16x16xi8>) outs(%c : memref<16x16xi32>)
  return
}
}
