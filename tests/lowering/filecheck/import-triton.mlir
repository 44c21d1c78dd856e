// RUN: baco-opt %s -p import-triton --allow-unregistered-dialect | filecheck %s

// A Triton kernel in generic form, as its compiler prints it where its dialect is unknown; one number is stored as a block of one.
// CHECK-LABEL: func.func @store_index
// CHECK-SAME: %[[P:[^:]*]]: !baco.ptr<i32>
// CHECK: %[[I:.*]] = "baco.program_id"() {axis = 0 : i64} : () -> i64
// CHECK: %[[N:.*]] = arith.trunci %[[I]] : i64 to i32
// CHECK: %[[V:.*]] = tensor.splat %[[N]] : tensor<1xi32>
// CHECK: %[[Q:.*]] = "baco.add_pointer"(%[[P]], %{{.*}})
// CHECK: "baco.scatter"(%[[Q]], %[[V]], %{{.*}})
// CHECK-NOT: tt.
"builtin.module"() ({
  "tt.func"() <{function_type = (!tt.ptr<i32>) -> (), sym_name = "store_index"}> ({
  ^bb0(%p: !tt.ptr<i32>):
    %i = "tt.get_program_id"() <{axis = 0 : i32}> : () -> i32
    "tt.store"(%p, %i) : (!tt.ptr<i32>, i32) -> ()
    "tt.return"() : () -> ()
  }) : () -> ()
}) : () -> ()
