// RUN: baco-opt %s -p import-triton --allow-unregistered-dialect --verify-diagnostics

"builtin.module"() ({
  "tt.func"() <{function_type = (!tt.ptr<i32>) -> (), sym_name = "k"}> ({
  ^bb0(%p: !tt.ptr<i32>):
    // expected-error @+1 {{tt.ptr_to_int is not supported}}
    %i = "tt.ptr_to_int"(%p) : (!tt.ptr<i32>) -> i64
    "tt.return"() : () -> ()
  }) : () -> ()
}) : () -> ()
