"""The stage verifier: what it accepts, and what it refuses with which words."""

import pytest
from ir_checks import after

from baco.hardware import GemminiConfig
from baco.lowering.verify_stage import BrokenInvariant

FLAGS = "{load_id = 0 : i64, pixel_repeats = 1 : i64, shrink = 0 : i64} : (i64, i64, i64) -> ()"
CONFIG_EX = (
    '"instgem.config_ex"(%one, %one, %zero, %zero, %one) {activation = 0 : i64, dataflow = 1 : i64, set_only_strides = 0 : i64, '
    "transpose_a = 0 : i64, transpose_b = 0 : i64} : (i64, i64, i64, i64, i64) -> ()"
)
CONFIG_LD = f'"instgem.config_ld"(%n, %one, %n) {FLAGS}'
MVIN = '"instgem.mvin"(%x, %zero, %n, %n) : (i64, i64, i64, i64) -> ()'
PRELOAD = '"instgem.preload"(%zero, %n, %n, %acc, %n, %n) : (i64, i64, i64, i64, i64, i64) -> ()'
COMPUTE = '"instgem.compute_preloaded"(%zero, %n, %n, %garbage, %n, %n) : (i64, i64, i64, i64, i64, i64) -> ()'


def kernel(*lines: str) -> str:
    body = "\n  ".join(lines)
    return f"""
func.func @k(%x: i64, %b: i1, %m: index) {{
  %zero = arith.constant 0 : i64
  %one = arith.constant 1 : i64
  %n = arith.constant 16 : i64
  %far = arith.constant 16380 : i64
  %acc = arith.constant 2147483648 : i64
  %garbage = arith.constant 4294967295 : i64
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  {body}
  return
}}
"""


@pytest.mark.parametrize(
    "lines",
    [
        (CONFIG_LD, MVIN, CONFIG_EX, PRELOAD, COMPUTE),
        (CONFIG_LD, "scf.for %i = %c0 to %m step %c1 {", MVIN, "}"),
        ("scf.if %b {", CONFIG_LD, "} else {", CONFIG_LD, "}", MVIN),
        # An iteration reads what the one before has written.
        (CONFIG_LD, CONFIG_EX, "scf.for %i = %c0 to %m step %c1 {", PRELOAD, COMPUTE, MVIN, "}"),
    ],
    ids=["in order", "loop", "both branches", "next iteration"],
)
def test_accepted(lines: tuple[str, ...]) -> None:
    after(kernel(*lines), "verify-stage")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((MVIN,), "mvin runs before config_ld 0 on some path to it"),
        (("scf.if %b {", CONFIG_LD, "}", MVIN), "mvin runs before config_ld 0 on some path to it"),
        (("scf.for %i = %c0 to %m step %c1 {", CONFIG_LD, "}", MVIN), "mvin runs before config_ld 0 on some path to it"),
        ((CONFIG_LD, MVIN, PRELOAD, COMPUTE), "preload runs before config_ex on some path to it"),
        ((CONFIG_LD, MVIN, CONFIG_EX, PRELOAD, PRELOAD), "a preload has no compute before the next"),
        ((CONFIG_LD, MVIN, CONFIG_EX, PRELOAD), "a preload has no compute after it"),
        ((CONFIG_LD, MVIN, CONFIG_EX, COMPUTE), "a compute has no preload of its own"),
        ((CONFIG_LD, MVIN, CONFIG_EX, PRELOAD, "scf.if %b {", COMPUTE, "}"), "a preload has its compute on one branch only"),
        ((CONFIG_LD, MVIN, CONFIG_EX, PRELOAD, "scf.for %i = %c0 to %m step %c1 {", COMPUTE, "}"), "on two sides of a loop"),
        ((CONFIG_LD, MVIN.replace("%zero", "%far")), "mvin takes scratchpad rows up to 16395, but the scratchpad has rows 0 to 16383"),
        ((CONFIG_EX, PRELOAD, COMPUTE), "preload reads scratchpad row 0 as bd, which nothing has written"),
    ],
    ids=[
        "no configuration",
        "on one path",
        "in a loop that may not run",
        "execute",
        "two preloads",
        "no compute",
        "no preload",
        "one branch",
        "around a loop",
        "rows",
        "unwritten",
    ],
)
def test_refused(lines: tuple[str, ...], reason: str) -> None:
    with pytest.raises(BrokenInvariant, match=reason):
        after(kernel(*lines), "verify-stage")


def test_rows_of_tiles_in_loops_are_followed() -> None:
    body = """scf.for %i = %c0 to %size step %c16 {
    %r = arith.index_cast %i : index to i64
    "instgem.mvin"(%x, %r, %n, %n) : (i64, i64, i64, i64) -> ()
  }"""
    sizes = "%size = arith.constant {} : index\n  %c16 = arith.constant 16 : index"
    small = GemminiConfig(scratchpad_bytes=64 * 16)
    after(kernel(sizes.format(64), CONFIG_LD, body), "verify-stage", config=small)
    with pytest.raises(BrokenInvariant, match="scratchpad rows up to 79"):
        after(kernel(sizes.format(80), CONFIG_LD, body), "verify-stage", config=small)


BLOCKS = """
func.func @k() {{
  %a = memref.alloc() {{baco.memory = "scratchpad", baco.row = 0 : i64}} : memref<32x16xi8>
  %b = memref.alloc() {{{place}}} : memref<32x16xi8>
  return
}}
"""


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("", "a block has no place in a memory"),
        ('baco.memory = "scratchpad", baco.row = 31 : i64', "rows 31 to 62, of which another has 0 to 31"),
        ('baco.memory = "scratchpad", baco.row = 16370 : i64', "rows 16370 to 16401, but the scratchpad has rows 0 to 16383"),
    ],
    ids=["unplaced", "overlap", "beyond"],
)
def test_places(place: str, reason: str) -> None:
    with pytest.raises(BrokenInvariant, match=reason):
        after(BLOCKS.format(place=place), "verify-stage")
    after(BLOCKS.format(place='baco.memory = "scratchpad", baco.row = 32 : i64'), "verify-stage")


RING = """
func.func @k(%n: index, %x: memref<16x16xi8>) {{
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %ring = memref.alloc() {{baco.memory = "scratchpad", baco.row = 0 : i64, baco.slots = 2 : i64}} : memref<2x16x16xi8>
  %sum = memref.alloc() {{baco.memory = "accumulator", baco.row = 0 : i64}} : memref<16x16xi32>
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%use = %c0, %fill = %c1) -> (index, index) {{
    %more = arith.cmpi slt, %i, %n : index
    scf.if %more {{
      %to = memref.subview %ring[%fill, 0, 0] [1, 16, 16] [1, 1, 1] : memref<2x16x16xi8> to memref<16x16xi8, strided<[16, 1], offset: ?>>
      memref.copy %x, %to : memref<16x16xi8> to memref<16x16xi8, strided<[16, 1], offset: ?>>
    }}
    %a = memref.subview %ring[%use, 0, 0] [1, 16, 16] [1, 1, 1] : memref<2x16x16xi8> to memref<16x16xi8, strided<[16, 1], offset: ?>>
    linalg.matmul ins(%a, %a : memref<16x16xi8, strided<[16, 1], offset: ?>>, memref<16x16xi8, strided<[16, 1], offset: ?>>)
      outs(%sum : memref<16x16xi32>)
    scf.yield {after} : index, index
  }}
  return
}}
"""


def test_slots_in_flight_differ() -> None:
    after(RING.format(after="%fill, %use"), "verify-stage")
    with pytest.raises(BrokenInvariant, match="fills the slot that its own iteration uses"):
        after(RING.format(after="%fill, %fill"), "verify-stage")
    with pytest.raises(BrokenInvariant, match="an iteration uses the slot that the one before it used"):
        after(RING.format(after="%use, %fill"), "verify-stage")
    with pytest.raises(BrokenInvariant, match="a block has 2 slots, of which this is none"):
        after(
            RING.format(after="%fill, %use").replace("%fill = %c1)", "%fill = %two)").replace("%ring =", NEXT + "%ring ="), "verify-stage"
        )


NEXT = "%two = arith.constant 2 : index\n  "


def test_slots_in_flight_differ_through_a_nest() -> None:
    """The inner loop goes on where it ended; the fault shows only if its first slots are found outside."""
    inner = RING.replace("iter_args(%use = %c0, %fill = %c1)", "iter_args(%use = %u, %fill = %f)")
    head, tail = inner.split("  %r:2 = scf.for")
    nest = f"{head}  %q:2 = scf.for %o = %c0 to %n step %c1 iter_args(%u = %c0, %f = %c1) -> (index, index) {{{{\n  %r:2 = scf.for{tail}"
    nest = nest.replace("  return", "  scf.yield %r#0, %r#1 : index, index\n  }}\n  return")
    after(nest.format(after="%fill, %use"), "verify-stage")
    with pytest.raises(BrokenInvariant, match="fills the slot that its own iteration uses"):
        after(nest.format(after="%fill, %fill"), "verify-stage")
