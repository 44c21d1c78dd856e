// RUN: baco-opt %s -p place-in-memories --split-input-file --verify-diagnostics

module attributes {baco.hardware = {dim = 16 : i64, scratchpad_bytes = 1024 : i64, accumulator_bytes = 65536 : i64}} {
  func.func @matmul() {
    // expected-error @+1 {{scratchpad rows required: 104, rows there: 64}}
    %a = memref.alloc() : memref<40x24xi8>
    %b = memref.alloc() : memref<24x16xi8>
    %c = memref.alloc() : memref<40x16xi32>
    linalg.matmul ins(%a, %b : memref<40x24xi8>, memref<24x16xi8>) outs(%c : memref<40x16xi32>)
    return
  }
}

// -----

// expected-error @unknown {{a kernel module holds exactly one function, not 2.}}
module {
  func.func @one() { return }
  func.func @two() { return }
}
