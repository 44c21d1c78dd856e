"""Every refusal of the accelerator model: its kind, its reason, and that it had no effect."""

import numpy as np
import pytest

from baco.hardware import GemminiConfig
from baco.isa import ACCUMULATOR_BIT, FULL_WIDTH_BIT, GARBAGE, INSTRUCTIONS, Command, encode, float_bits, local_address
from baco.sim.accelerator import Accelerator, DramRegion
from baco.sim.errors import (
    DramAddressFault,
    IllegalInstruction,
    LocalAddressFault,
    MalformedInstruction,
    SimulationFault,
    StateFault,
    UnsupportedInstruction,
)

CONFIG = GemminiConfig(dim=4, scratchpad_bytes=256, accumulator_bytes=512)  # 64 scratchpad rows, 32 accumulator rows
BASE = 0x8000_0000
ONE = float_bits(1.0)
ACC = ACCUMULATOR_BIT

EX = ("config_ex", {"dataflow": 1, "a_stride": 1, "c_stride": 1})
OS = ("config_ex", {"dataflow": 0, "a_stride": 1, "c_stride": 1})
LD = ("config_ld", {"block_stride": 4, "scale": ONE, "dram_stride": 16})
ST = ("config_st", {"dram_stride": 16, "acc_scale": ONE})
GELU = ("config_st", {"dram_stride": 16, "acc_scale": ONE, "activation": 3})
POOL = (
    "config_st",
    {"dram_stride": 16, "pool_stride": 2, "pool_size": 2, "pool_out_dim": 2, "pool_out_rows": 2, "pool_out_cols": 2}
    | {"out_rows": 4, "out_cols": 4},
)
REPEATED = ("config_ld", LD[1] | {"pixel_repeats": 2})


def mvin(**fields: int) -> tuple:
    return ("mvin", {"dram": BASE, "local": 0, "local_rows": 4, "local_cols": 4} | fields)


def mvout(**fields: int) -> tuple:
    return ("mvout", {"dram": BASE + 512, "local": 0, "local_rows": 4, "local_cols": 4} | fields)


def preload(**fields: int) -> tuple:
    return ("preload", {"bd": 0, "bd_rows": 4, "bd_cols": 4, "c": ACC, "c_rows": 4, "c_cols": 4} | fields)


def compute(name: str = "compute_preloaded", **fields: int) -> tuple:
    return (name, {"a": 0, "a_rows": 4, "a_cols": 4, "bd": GARBAGE} | fields)


def machine(strict: bool = True) -> Accelerator:
    regions = [DramRegion(BASE, 512, False, "argument a"), DramRegion(BASE + 512, 256, True, "argument c")]
    m = Accelerator(CONFIG, np.arange(1024).astype(np.uint8), BASE, regions, strict)
    m.scratchpad[:] = 3
    m.accumulator[:] = 5
    return m


CASES = [
    # state
    ([], mvin(), StateFault, "load configuration 0 is used before a config_ld set it"),
    ([LD], ("mvin3", mvin()[1]), StateFault, "load configuration 2 is used before"),
    ([], mvout(), StateFault, "used before a config_st set it"),
    ([], preload(), StateFault, "used before a config_ex set it"),
    ([("config_ex", {"dataflow": 1, "set_only_strides": 1})], preload(), StateFault, "used before a config_ex set it"),
    ([EX], compute(), StateFault, "no preload for this compute"),
    ([EX, preload(), compute()], compute("compute_accumulated"), StateFault, "no preload for this compute"),
    ([EX, preload()], compute(a=GARBAGE), StateFault, "A is garbage but C is not"),
    ([OS, preload(c=GARBAGE)], compute(a=GARBAGE, bd=0, bd_rows=4, bd_cols=4), StateFault, "A is garbage but B is not"),
    # sizes
    ([LD], mvin(local_rows=0), MalformedInstruction, r"0 rows; 1 to 4 \(DIM\) are allowed"),
    ([LD], mvin(local_rows=5), MalformedInstruction, "5 rows; 1 to 4"),
    ([LD], mvin(local_cols=0), MalformedInstruction, "0 columns; 1 to 64"),
    ([LD], mvin(local_cols=65), MalformedInstruction, "65 columns; 1 to 64"),
    ([LD], mvin(local=ACC, local_cols=17), MalformedInstruction, "17 columns; 1 to 16"),
    ([("config_ld", LD[1] | {"block_stride": 3})], mvin(), MalformedInstruction, "block stride 3, less than the 4 rows moved"),
    ([ST], mvout(local_rows=5), MalformedInstruction, "5 rows"),
    ([ST], mvout(local_cols=65), MalformedInstruction, "65 columns"),
    ([ST], mvout(local=local_address(0, accumulator=True, full_width=True), local_cols=5), MalformedInstruction, "5 columns; 1 to 4"),
    ([EX], preload(bd_rows=5), MalformedInstruction, "B has 5 rows"),
    ([EX], preload(c_cols=0), MalformedInstruction, "C has 0 columns"),
    ([EX, preload()], compute(a_cols=5), MalformedInstruction, "A has 5 columns"),
    ([EX, preload()], compute(bd=0, bd_rows=0, bd_cols=4), MalformedInstruction, "D has 0 rows"),
    # configurations
    ([], ("config_ld", {"load_id": 3}), MalformedInstruction, "load_id is 3"),
    ([], ("config_ex", {"dataflow": 1, "transpose_a": 1, "transpose_b": 1}), MalformedInstruction, "cannot transpose both"),
    ([], ("config_ex", {"dataflow": 0, "transpose_b": 1, "set_only_strides": 1}), MalformedInstruction, "cannot transpose B"),
    ([], ("config_ex", {"dataflow": 0, "in_shift": 32}), MalformedInstruction, "in_shift is 32"),
    # private memories
    ([LD], mvin(local=61), LocalAddressFault, "scratchpad rows 61 to 64, but the scratchpad has rows 0 to 63"),
    ([LD], mvin(local=56, local_cols=9), LocalAddressFault, "rows 56 to 67"),
    ([LD], mvin(local=ACC | 29), LocalAddressFault, "accumulator rows 29 to 32, but the accumulator has rows 0 to 31"),
    ([LD], mvin(local=GARBAGE), LocalAddressFault, "garbage"),
    ([ST], mvout(local=GARBAGE), LocalAddressFault, "garbage"),
    ([ST], mvout(local=60, local_cols=5), LocalAddressFault, "rows 60 to 67"),
    ([EX], preload(bd=61), LocalAddressFault, "B takes scratchpad rows 61 to 64"),
    ([EX], preload(bd=ACC), LocalAddressFault, "B has local address 0x80000000; operands come from the scratchpad"),
    ([EX], preload(c=ACC | 29), LocalAddressFault, "C takes accumulator rows 29 to 32"),
    ([EX, preload()], compute(a=61), LocalAddressFault, "A takes scratchpad rows 61 to 64"),
    ([EX, preload()], compute(bd=62, bd_rows=4, bd_cols=4), LocalAddressFault, "D takes scratchpad rows 62 to 65"),
    (
        [EX, preload(c=ACC | 28), ("config_ex", {"dataflow": 1, "a_stride": 1, "c_stride": 2, "set_only_strides": 1})],
        compute(),
        LocalAddressFault,
        "C takes accumulator rows 28 to 34",
    ),
    # DRAM
    ([LD], mvin(dram=64), DramAddressFault, "reads DRAM at 0x40, which is in no buffer"),
    ([LD], mvin(dram=BASE + 500), DramAddressFault, "row 1 reads 4 bytes of DRAM at 0x80000204, outside argument a"),
    ([LD], mvin(dram=BASE + 462), DramAddressFault, "row 3 reads 4 bytes of DRAM at 0x800001fe, outside argument a"),
    ([("config_ld", LD[1] | {"dram_stride": (1 << 64) - 16})], mvin(), DramAddressFault, "row 1 reads 4 bytes of DRAM at 0x7ffffff0"),
    ([ST], mvout(dram=BASE), DramAddressFault, "argument a, a read-only buffer"),
    ([ST], mvout(dram=BASE + 740), DramAddressFault, "row 2 writes 4 bytes"),
    # special stores and loads
    ([], ("config_st", {"pool_stride": 2, "pool_size": 0}), MalformedInstruction, "pool_size is 0 with pool_stride 2"),
    ([], ("config_st", {"pool_size": 2}), MalformedInstruction, "pool_size is 2 with pool_stride 0"),
    ([], ("config_st", {"acc_scale": 0xFFFFFFFF}), MalformedInstruction, "acc_scale has all bits set"),
    ([POOL], mvout(local_cols=5), MalformedInstruction, r"pooling store has 5 columns; 1 to 4"),
    ([POOL], mvout(local=ACC | FULL_WIDTH_BIT), MalformedInstruction, "writes int8, not 32 bits"),
    ([("config_st", POOL[1] | {"pool_out_rows": 0})], mvout(), MalformedInstruction, "makes 0 rows of 2 pixels"),
    ([POOL], mvout(local=50), LocalAddressFault, "the pooled image takes scratchpad rows 50 to 65"),
    ([POOL], mvout(dram=BASE + 750), DramAddressFault, "row 1 writes 4 bytes"),
    ([], GELU, UnsupportedInstruction, "activation is 3; the hardware is built without"),
    ([POOL], mvout(local=ACC | 1 << 26), UnsupportedInstruction, "normalisation command 1"),
    ([ST], mvout(local=ACC | 1 << 26), UnsupportedInstruction, "normalisation command 1"),
    ([REPEATED], mvin(local=ACC, local_cols=2), MalformedInstruction, "pixel_repeats is 2, but the destination is the accumulator"),
    ([REPEATED], mvin(local_cols=3), MalformedInstruction, "3 columns, repeated for 2 pixels, are 6 columns; a scratchpad row has 4"),
    ([], ("config_norm", {}), UnsupportedInstruction, "takes config_norm for something else"),
    ([], ("mvout_spad", {}), UnsupportedInstruction, "external memory"),
    ([], ("loop_ws_config_spad_ab", {}), UnsupportedInstruction, "external scratchpad"),
]


@pytest.mark.parametrize(("before", "step", "kind", "reason"), CASES)
def test_illegal_commands_are_refused_without_effect(before: list, step: tuple, kind: type, reason: str) -> None:
    m = machine()
    for name, fields in before:
        m.execute(encode(name, **fields))
    state = [array.copy() for array in (m.scratchpad, m.accumulator, m.dram)], m.counters
    with pytest.raises(kind, match=reason) as caught:
        m.execute(encode(step[0], **step[1]))
    assert type(caught.value) is kind
    assert caught.value.disassembly.startswith(step[0])
    assert caught.value.pc is None
    for before_array, array in zip(state[0], (m.scratchpad, m.accumulator, m.dram), strict=True):
        np.testing.assert_array_equal(before_array, array)
    assert m.counters == state[1]


def test_every_instruction_is_known_and_no_other_is() -> None:
    for instruction in INSTRUCTIONS:
        try:
            machine().execute(encode(instruction.name))
        except SimulationFault as fault:
            assert not isinstance(fault, IllegalInstruction)
    for name in ("flush", "clock_gate", "loop_ws_config_spad_c", "counter"):
        machine().execute(encode(name))
    for funct7 in set(range(128)) - {instruction.funct7 for instruction in INSTRUCTIONS}:
        with pytest.raises(IllegalInstruction, match=f"funct7 {funct7} is no"):
            machine().execute(Command(funct7, 0, 0))


@pytest.mark.parametrize(
    ("before", "step", "reason"),
    [
        ([], ("config_norm", {"stats_slot": 4}), "stats_slot is 4; there are slots 0 to 3"),
        ([GELU], ("config_norm", {"activation_msb": 1}), "activation_msb is set while the store activation is 3"),
        ([EX, preload(c_rows=5)], compute(), "C has 5 rows of 4 columns; at most 4"),
        ([EX, preload(bd=61)], compute(), "B takes scratchpad rows 61 to 64"),
        ([POOL], mvout(local_cols=5), "pooling store has 5 columns"),
    ],
)
def test_what_spike_refuses_too_is_always_refused(before: list, step: tuple, reason: str) -> None:
    m = machine(strict=False)
    for name, fields in before:
        m.execute(encode(name, **fields))
    with pytest.raises(SimulationFault, match=reason) as caught:
        m.execute(encode(step[0], **step[1]))
    assert caught.value.rule is None


def test_random_bits_never_crash_the_model() -> None:
    """Commands made of noise, half of them with plausible addresses, are run or refused, and memory stays inside its bounds."""
    rng = np.random.default_rng(7)
    m = machine()
    for name, fields in (EX, LD, ST):
        m.execute(encode(name, **fields))
    refused = 0
    for _ in range(4000):
        rs1, rs2 = (int(x) for x in rng.integers(0, 1 << 63, 2))
        if rng.integers(2):
            rs1, rs2 = BASE + rs1 % 1024, int(rng.integers(6)) << 48 | int(rng.integers(70)) << 32 | rs2 % 80
        try:
            m.execute(Command(int(rng.integers(0, 22)), rs1, rs2))
        except SimulationFault:
            refused += 1
    assert 0 < refused < 4000
