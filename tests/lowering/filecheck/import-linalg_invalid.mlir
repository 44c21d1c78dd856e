// RUN: baco-opt %s -p import-linalg --split-input-file --verify-diagnostics

// expected-error @+1 {{argument 0 is a tensor<?x8xi8>; shapes must be static, so export the model for one size.}}
func.func @f(%a: tensor<?x8xi8>) -> tensor<?x8xi8> {
  return %a : tensor<?x8xi8>
}

// -----

// expected-error @+1 {{argument 0 has elements of f16; supported are i8, i16, i32, i64, f32.}}
func.func @g(%a: tensor<4xf16>) -> tensor<4xf16> {
  return %a : tensor<4xf16>
}
