// RUN: baco-opt %s -p hoist-configs | filecheck %s

// What does not change leaves the loop, what repeats is dropped, what changes stays.
// CHECK-LABEL: func.func @loop
// CHECK: "instgem.config_ld"({{.*}}) {load_id = 0
// CHECK-NEXT: scf.for
// CHECK-NEXT: "instgem.mvin"
// CHECK-NEXT: "instgem.config_ld"({{.*}}) {load_id = 1
// CHECK-NEXT: "instgem.mvin2"
// CHECK-NEXT: "instgem.config_ld"({{.*}}) {load_id = 1
// CHECK-NEXT: "instgem.mvin2"
func.func @loop(%r: i64, %one: i64, %s: i64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  scf.for %i = %c0 to %c9 step %c1 {
    "instgem.config_ld"(%r, %one, %s) {load_id = 0 : i64, pixel_repeats = 1 : i64, shrink = 0 : i64} : (i64, i64, i64) -> ()
    "instgem.mvin"(%s, %s, %s, %s) : (i64, i64, i64, i64) -> ()
    "instgem.config_ld"(%r, %one, %s) {load_id = 0 : i64, pixel_repeats = 1 : i64, shrink = 0 : i64} : (i64, i64, i64) -> ()
    "instgem.config_ld"(%r, %one, %s) {load_id = 1 : i64, pixel_repeats = 1 : i64, shrink = 0 : i64} : (i64, i64, i64) -> ()
    "instgem.mvin2"(%s, %s, %s, %s) : (i64, i64, i64, i64) -> ()
    "instgem.config_ld"(%r, %one, %r) {load_id = 1 : i64, pixel_repeats = 1 : i64, shrink = 0 : i64} : (i64, i64, i64) -> ()
    "instgem.mvin2"(%s, %s, %s, %s) : (i64, i64, i64, i64) -> ()
  }
  return
}
