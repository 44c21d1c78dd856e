// RUN: baco-opt %s -p recognise-requantise,canonicalize,cse --split-input-file | filecheck %s

// Limits in any order around the rounding, and a ReLU before a constant scale.
// CHECK-LABEL: func.func @whole
// CHECK-SAME: %[[X:[^:]*]]: tensor<4x4xi32>
// CHECK: %[[S:.*]] = arith.constant 2.500000e-01 : f32
// CHECK: "baco.requantise"(%[[X]], %[[S]]) {{.*}}activation = "relu"
// CHECK-NOT: arith.fptosi
func.func @whole(%x: tensor<4x4xi32>) -> tensor<4x4xi8> {
  %zero = arith.constant dense<0> : tensor<4x4xi32>
  %scale = arith.constant dense<0.25> : tensor<4x4xf32>
  %low = arith.constant dense<-128.0> : tensor<4x4xf32>
  %high = arith.constant dense<127.0> : tensor<4x4xf32>
  %p = arith.maxsi %x, %zero : tensor<4x4xi32>
  %f = arith.sitofp %p : tensor<4x4xi32> to tensor<4x4xf32>
  %s = arith.mulf %scale, %f : tensor<4x4xf32>
  %h = arith.minnumf %s, %high : tensor<4x4xf32>
  %r = math.roundeven %h : tensor<4x4xf32>
  %l = arith.maximumf %r, %low : tensor<4x4xf32>
  %q = arith.fptosi %l : tensor<4x4xf32> to tensor<4x4xi8>
  return %q : tensor<4x4xi8>
}

// -----

// A run-time scale is kept where all machines agree, and so is the sign before it: no ReLU moves past it.
// CHECK-LABEL: func.func @runtime
// CHECK: %[[P:.*]] = arith.maxsi
// CHECK: %[[L:.*]] = arith.maxnumf %{{.*}}, %{{.*}} : f32
// CHECK: %[[S:.*]] = arith.minnumf %[[L]], %{{.*}} : f32
// CHECK: "baco.requantise"(%[[P]], %[[S]]) {{.*}}activation = "none"
func.func @runtime(%x: tensor<4xi32>, %scale: f32) -> tensor<4xi8> {
  %zero = arith.constant dense<0> : tensor<4xi32>
  %magic = arith.constant dense<12582912.0> : tensor<4xf32>
  %low = arith.constant dense<-128> : tensor<4xi32>
  %high = arith.constant dense<127> : tensor<4xi32>
  %p = arith.maxsi %x, %zero : tensor<4xi32>
  %f = arith.sitofp %p : tensor<4xi32> to tensor<4xf32>
  %t = tensor.splat %scale : tensor<4xf32>
  %s = arith.mulf %f, %t : tensor<4xf32>
  %a = arith.addf %s, %magic : tensor<4xf32>
  %r = arith.subf %a, %magic : tensor<4xf32>
  %i = arith.fptosi %r : tensor<4xf32> to tensor<4xi32>
  %h = arith.minsi %i, %high : tensor<4xi32>
  %l = arith.maxsi %h, %low : tensor<4xi32>
  %q = arith.trunci %l : tensor<4xi32> to tensor<4xi8>
  return %q : tensor<4xi8>
}

// -----

// A run-time scale may be negative, and then a clamp at 0 is not the hardware's.
// CHECK-LABEL: func.func @relu_of_runtime
// CHECK-NOT: baco.requantise
func.func @relu_of_runtime(%x: tensor<4xi32>, %scale: f32) -> tensor<4xi8> {
  %low = arith.constant dense<0.0> : tensor<4xf32>
  %high = arith.constant dense<127.0> : tensor<4xf32>
  %f = arith.sitofp %x : tensor<4xi32> to tensor<4xf32>
  %t = tensor.splat %scale : tensor<4xf32>
  %s = arith.mulf %f, %t : tensor<4xf32>
  %r = math.roundeven %s : tensor<4xf32>
  %l = arith.maxnumf %r, %low : tensor<4xf32>
  %h = arith.minnumf %l, %high : tensor<4xf32>
  %q = arith.fptosi %h : tensor<4xf32> to tensor<4xi8>
  return %q : tensor<4xi8>
}

// -----

// Other limits, another rounding, and a scale beyond 2**31 stay arithmetic.
// CHECK-LABEL: func.func @others
// CHECK-NOT: baco.requantise
func.func @others(%x: tensor<4xi32>) -> (tensor<4xi8>, tensor<4xi8>, tensor<4xi8>) {
  %scale = arith.constant dense<0.25> : tensor<4xf32>
  %huge = arith.constant dense<3.0e9> : tensor<4xf32>
  %low = arith.constant dense<-127.0> : tensor<4xf32>
  %lower = arith.constant dense<-128.0> : tensor<4xf32>
  %high = arith.constant dense<127.0> : tensor<4xf32>
  %f = arith.sitofp %x : tensor<4xi32> to tensor<4xf32>
  %s = arith.mulf %f, %scale : tensor<4xf32>
  %r = math.roundeven %s : tensor<4xf32>
  %l = arith.maxnumf %r, %low : tensor<4xf32>
  %h = arith.minnumf %l, %high : tensor<4xf32>
  %q = arith.fptosi %h : tensor<4xf32> to tensor<4xi8>
  %r2 = math.floor %s : tensor<4xf32>
  %l2 = arith.maxnumf %r2, %lower : tensor<4xf32>
  %h2 = arith.minnumf %l2, %high : tensor<4xf32>
  %q2 = arith.fptosi %h2 : tensor<4xf32> to tensor<4xi8>
  %s3 = arith.mulf %f, %huge : tensor<4xf32>
  %r3 = math.roundeven %s3 : tensor<4xf32>
  %l3 = arith.maxnumf %r3, %lower : tensor<4xf32>
  %h3 = arith.minnumf %l3, %high : tensor<4xf32>
  %q3 = arith.fptosi %h3 : tensor<4xf32> to tensor<4xi8>
  return %q, %q2, %q3 : tensor<4xi8>, tensor<4xi8>, tensor<4xi8>
}
