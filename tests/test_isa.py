"""The instruction table against the instruction set's description: every constant here is written by hand, not read from the table."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baco import isa
from baco.isa import INSTRUCTIONS, Command, Field, Instruction, IsaError

# funct7 (and for configurations rs1[1:0]) of every command.
CODES = {
    "config_ex": (0, 0),
    "config_ld": (0, 1),
    "config_st": (0, 2),
    "config_norm": (0, 3),
    "mvin2": (1, None),
    "mvin": (2, None),
    "mvout": (3, None),
    "compute_preloaded": (4, None),
    "compute_accumulated": (5, None),
    "preload": (6, None),
    "flush": (7, None),
    "loop_ws": (8, None),
    "loop_ws_config_bounds": (9, None),
    "loop_ws_config_addrs_ab": (10, None),
    "loop_ws_config_addrs_dc": (11, None),
    "loop_ws_config_strides_ab": (12, None),
    "loop_ws_config_strides_dc": (13, None),
    "mvin3": (14, None),
    "loop_conv_ws": (15, None),
    "loop_conv_ws_config_1": (16, None),
    "loop_conv_ws_config_2": (17, None),
    "loop_conv_ws_config_3": (18, None),
    "loop_conv_ws_config_4": (19, None),
    "loop_conv_ws_config_5": (20, None),
    "loop_conv_ws_config_6": (21, None),
    "clock_gate": (22, None),
    "mvout_spad": (23, None),
    "loop_ws_config_spad_ab": (24, None),
    "loop_ws_config_spad_c": (25, None),
    "counter": (126, None),
}

ONE = 0x3F80_0000  # 1.0f
HALF = 0x3F00_0000  # 0.5f

# name, fields, rs1, rs2.
ENCODINGS = [
    ("config_ex", {"dataflow": 1, "a_stride": 1, "acc_scale": ONE, "c_stride": 1}, 0x3F80_0000_0001_0004, 0x0001_0000_0000_0000),
    ("config_ex", {"activation": 1}, 0x8, 0),
    ("config_ex", {"activation": 3}, 0x18, 0),
    ("config_ex", {"set_only_strides": 1, "a_stride": 0xFFFF}, 0xFFFF_0080, 0),
    ("config_ex", {"transpose_a": 1}, 0x100, 0),
    ("config_ex", {"transpose_b": 1}, 0x200, 0),
    ("config_ex", {"in_shift": 31}, 0, 31),
    ("config_ex", {"relu6_shift": 5}, 0, 0x5_0000_0000),
    ("config_ld", {"dram_stride": 64}, 0x1, 64),
    ("config_ld", {"shrink": 1, "load_id": 2, "block_stride": 16, "scale": ONE, "dram_stride": 1 << 40}, 0x3F80_0000_0010_0015, 1 << 40),
    ("config_ld", {"load_id": 1, "pixel_repeats": 7}, 0x709, 0),
    ("config_st", {"dram_stride": 300, "acc_scale": HALF}, 0x2, 0x3F00_0000_0000_012C),
    ("config_st", {"activation": 1, "acc_scale": ONE}, 0x6, 0x3F80_0000_0000_0000),
    ("config_st", {"pool_stride": 2, "pool_size": 3, "pool_upper_pad": 1, "pool_left_pad": 1}, 0x5E2, 0),
    (
        "config_st",
        {"pool_out_dim": 0x11, "pool_out_rows": 0x22, "pool_out_cols": 0x33, "out_rows": 0x44, "out_cols": 0x55},
        0x5544_3322_1100_0002,
        0,
    ),
    ("config_norm", {"stats_slot": 3, "activation_msb": 1, "set_stats_slot_only": 1, "constant_id": 1}, 0x7_0303, 0),
    ("config_norm", {"constant": -1, "qb": -2, "qc": 5}, 0xFFFF_FFFF_0000_0003, 0x0000_0005_FFFF_FFFE),
    ("mvin", {"dram": 0x8000_1000, "local": 16, "local_cols": 64, "local_rows": 4}, 0x8000_1000, 0x0004_0040_0000_0010),
    ("mvin2", {"dram": 1, "local": 0x8000_0000, "local_cols": 16, "local_rows": 16}, 1, 0x0010_0010_8000_0000),
    ("mvin3", {"dram": 0, "local": 0xC000_0003, "local_cols": 1, "local_rows": 2}, 0, 0x0002_0001_C000_0003),
    ("mvout", {"dram": 0xFFFF_FFFF_FFFF_FFFF, "local": 0xA000_0000, "local_cols": 3, "local_rows": 9}, 2**64 - 1, 0x0009_0003_A000_0000),
    (
        "preload",
        {"bd": 0x20, "bd_cols": 16, "bd_rows": 15, "c": 0xC000_0001, "c_cols": 14, "c_rows": 13},
        0x000F_0010_0000_0020,
        0x000D_000E_C000_0001,
    ),
    (
        "compute_preloaded",
        {"a": 5, "a_cols": 16, "a_rows": 8, "bd": 0xFFFF_FFFF, "bd_cols": 16, "bd_rows": 16},
        0x0008_0010_0000_0005,
        0x0010_0010_FFFF_FFFF,
    ),
    (
        "compute_accumulated",
        {"a": 1, "a_cols": 2, "a_rows": 3, "bd": 4, "bd_cols": 5, "bd_rows": 6},
        0x0003_0002_0000_0001,
        0x0006_0005_0000_0004,
    ),
    ("flush", {"skip": 1}, 1, 0),
    ("loop_ws", {"ex_accumulate": 1, "full_c": 1, "low_d": 1, "activation": 5, "b_spad_id": 2, "a_spad_id": 1}, 0x6_0507, 0),
    ("loop_ws", {"transpose_a": 1, "transpose_b": 1, "residual_add": 1}, 0, 0x7),
    (
        "loop_ws",
        {"skip_ld_a": 1, "skip_ld_b": 1, "skip_ld_d": 1, "skip_ex": 1, "skip_st": 1, "advance_half": 1, "spad_only": 1, "c_spad_row": 7},
        0,
        0x7_0000_03F8,
    ),
    ("loop_ws_config_bounds", {"pad_i": 1, "pad_j": 2, "pad_k": 3, "i": 4, "j": 5, "k": 6}, 0x3_0002_0001, 0x6_0005_0004),
    ("loop_ws_config_addrs_ab", {"a": 0x10, "b": 0x20}, 0x10, 0x20),
    ("loop_ws_config_addrs_dc", {"d": 0x10, "c": 0x20}, 0x10, 0x20),
    ("loop_ws_config_strides_ab", {"a_stride": 3, "b_stride": 4}, 3, 4),
    ("loop_ws_config_strides_dc", {"d_stride": 3, "c_stride": 4}, 3, 4),
    (
        "loop_conv_ws",
        {
            "no_bias": 1,
            "trans_output_1203": 1,
            "trans_weight_0132": 1,
            "depthwise": 1,
            "max_pixels_per_row": 9,
            "b_spad_id": 1,
            "a_spad_id": 2,
            "no_pool": 1,
            "input_dilated": 1,
            "activation": 1,
        },
        0x9_0955,
        0xD,
    ),
    ("loop_conv_ws", {"wrot180": 1, "trans_weight_1203": 1, "trans_input_3120": 1, "downsample": 1}, 0x2A, 0x2),
    (
        "loop_conv_ws_config_1",
        {
            "batch_size": 1,
            "in_row_dim": 2,
            "in_channels": 3,
            "out_channels": 4,
            "out_row_dim": 5,
            "pool_out_row_dim": 6,
            "out_col_dim": 7,
            "stride": 8,
            "padding": 9,
        },
        0x0004_0003_0002_0001,
        0x0908_0007_0006_0005,
    ),
    (
        "loop_conv_ws_config_2",
        {
            "pool_padding": 1,
            "pool_stride": 2,
            "pool_size": 3,
            "pool_out_col_dim": 4,
            "kernel_dim": 5,
            "pochs": 6,
            "pocols": 7,
            "porows": 8,
            "batches": 9,
        },
        0x0005_0004_0003_0201,
        0x0009_0008_0007_0006,
    ),
    (
        "loop_conv_ws_config_3",
        {"lpad": 1, "kchs": 2, "kcols": 3, "krows": 4, "in_col_dim": 5, "plpad": 6, "dpad": 7, "upad": 8, "rpad": 9},
        0x0004_0003_0002_0001,
        0x0009_0008_0706_0005,
    ),
    (
        "loop_conv_ws_config_4",
        {
            "kernel_dilation": 1,
            "pdpad": 2,
            "pupad": 3,
            "prad": 4,
            "orows": 5,
            "ocols": 6,
            "out_stride": 7,
            "weight_stride": 8,
            "in_stride": 9,
        },
        0x0005_0004_0000_0000 | 3 << 21 | 2 << 10 | 1,
        0x0009_0008_0007_0006,
    ),
    ("loop_conv_ws_config_5", {"weights": 0x10, "output": 0x20}, 0x10, 0x20),
    ("loop_conv_ws_config_6", {"bias": 0x10, "input": 0x20}, 0x10, 0x20),
    ("clock_gate", {"enable": 1}, 1, 0),
    (
        "mvout_spad",
        {"destination": 7, "destination_stride": 2, "local": 0x8000_0000, "local_cols": 4, "local_rows": 5},
        0x2_0000_0007,
        0x0005_0004_8000_0000,
    ),
    ("loop_ws_config_spad_ab", {"a_row": 1, "b_end_row": 2}, 1, 2),
    ("loop_ws_config_spad_c", {}, 0, 0),
    (
        "counter",
        {"reset": 1, "release_snapshot": 1, "take_snapshot": 1, "reprogram": 1, "index": 7, "event": 44, "external": 1},
        0x8002_C07F,
        0,
    ),
]


def test_table_holds_exactly_the_instruction_set() -> None:
    assert {i.name: (i.funct7, i.selector) for i in INSTRUCTIONS} == CODES
    assert isa.FUNCT7S == {*range(26), 126}
    assert {i.name for i in INSTRUCTIONS if not i.on_spike} == {
        "clock_gate",
        "mvout_spad",
        "loop_ws_config_spad_ab",
        "loop_ws_config_spad_c",
    }


@pytest.mark.parametrize(("name", "values", "rs1", "rs2"), ENCODINGS)
def test_encoding(name: str, values: dict[str, int], rs1: int, rs2: int) -> None:
    command = isa.encode(name, **values)
    assert (command.funct7, f"{command.rs1:#x}", f"{command.rs2:#x}") == (CODES[name][0], f"{rs1:#x}", f"{rs2:#x}")


def test_every_field_is_in_some_hand_written_encoding() -> None:
    covered = {(name, field) for name, values, _, _ in ENCODINGS for field in values}
    assert covered == {(i.name, f.name) for i in INSTRUCTIONS for f in i.fields}


@pytest.mark.parametrize("instruction", INSTRUCTIONS, ids=lambda i: i.name)
def test_fields_lie_inside_their_register_and_apart(instruction: Instruction) -> None:
    taken = {1: set(), 2: set()}
    if instruction.selector is not None:
        taken[1] |= {0, 1}
    for f in instruction.fields:
        bits = set(range(f.low, f.low + f.width))
        assert bits <= set(range(64)), f.name
        assert not bits & taken[f.register], f.name
        taken[f.register] |= bits
    assert len(instruction.by_name) == len(instruction.fields)


def fields_with_extremes() -> list[tuple[Instruction, Field, int]]:
    return [(i, f, value) for i in INSTRUCTIONS for f in i.fields for value in {f.minimum, f.maximum, 0, 1}]


@pytest.mark.parametrize(("instruction", "field", "value"), fields_with_extremes(), ids=lambda x: getattr(x, "name", str(x)))
def test_one_field_at_its_extremes_comes_back_alone(instruction: Instruction, field: Field, value: int) -> None:
    decoded = isa.decode(isa.encode(instruction.name, **{field.name: value}))
    assert decoded.instruction is instruction
    assert decoded.values == {f.name: value if f is field else 0 for f in instruction.fields}


@given(st.data())
def test_decode_undoes_encode(data: st.DataObject) -> None:
    instruction = data.draw(st.sampled_from(INSTRUCTIONS))
    values = {
        f.name: data.draw(st.sampled_from([f.minimum, f.maximum]) | st.integers(f.minimum, f.maximum), f.name) for f in instruction.fields
    }
    command = isa.encode(instruction.name, **values)
    assert 0 <= command.rs1 < 2**64
    assert 0 <= command.rs2 < 2**64
    decoded = isa.decode(command)
    assert decoded.instruction is instruction
    assert decoded.values == values


@given(st.sampled_from(sorted(isa.FUNCT7S)), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_every_declared_command_decodes_and_prints(funct7: int, rs1: int, rs2: int) -> None:
    decoded = isa.decode(Command(funct7, rs1, rs2))
    assert isa.disassemble(Command(funct7, rs1, rs2)).startswith(decoded.instruction.name)
    assert isa.decode(isa.encode(decoded.instruction.name, **decoded.values)) == decoded


@pytest.mark.parametrize("funct7", sorted(set(range(128)) - {*range(26), 126}))
def test_undeclared_funct7_is_refused(funct7: int) -> None:
    with pytest.raises(IsaError, match=rf"^funct7 {funct7} is not a Gemmini instruction\.$"):
        isa.decode(Command(funct7, 0, 0))


@pytest.mark.parametrize(
    ("name", "rs1", "rs2", "rd", "word"),
    [
        # .insn r CUSTOM_3, 3, funct7, x0, x10, x11
        ("config_ex", 10, 11, 0, 0x00B5_307B),
        ("mvin", 10, 11, 0, 0x04B5_307B),
        ("mvout", 10, 11, 0, 0x06B5_307B),
        ("compute_preloaded", 10, 11, 0, 0x08B5_307B),
        ("preload", 10, 11, 0, 0x0CB5_307B),
        ("flush", 0, 0, 0, 0x0E00_307B),
        ("loop_conv_ws", 31, 31, 0, 0x1FFF_B07B),
        # .insn r CUSTOM_3, 7, 126, x12, x10, x11: the counter command writes its register
        ("counter", 10, 11, 12, 0xFCB5_767B),
    ],
)
def test_instruction_word(name: str, rs1: int, rs2: int, rd: int, word: int) -> None:
    assert f"{isa.instruction_word(name, rs1, rs2, rd):#010x}" == f"{word:#010x}"


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (Command(2, 0x8000_1000, 0x0004_0010_0000_0010), "mvin dram=0x80001000, local=scratchpad[16], local_cols=16, local_rows=4"),
        (Command(3, 0x40, 0x0001_0002_A000_0005), "mvout dram=0x40, local=accumulator[5] full, local_cols=2, local_rows=1"),
        (
            Command(6, 0x0010_0010_FFFF_FFFF, 0x0010_0010_C000_0003),
            "preload bd=garbage, bd_cols=16, bd_rows=16, c=accumulator[3]+=, c_cols=16, c_rows=16",
        ),
        (Command(7, 0, 0), "flush skip=0"),
        (Command(25, 0, 0), "loop_ws_config_spad_c"),
        (Command(10, 0x100, 0x200), "loop_ws_config_addrs_ab a=0x100, b=0x200"),
    ],
)
def test_disassembly(command: Command, text: str) -> None:
    assert isa.disassemble(command) == text


def test_disassembly_shows_scales_as_numbers() -> None:
    assert "acc_scale=0.5" in isa.disassemble(isa.encode("config_st", acc_scale=isa.float_bits(0.5)))


@pytest.mark.parametrize(
    ("flags", "address", "text"),
    [
        ({}, 0x0000_0007, "scratchpad[7]"),
        ({"accumulator": True}, 0x8000_0007, "accumulator[7]"),
        ({"accumulator": True, "accumulate": True}, 0xC000_0007, "accumulator[7]+="),
        ({"accumulator": True, "full_width": True}, 0xA000_0007, "accumulator[7] full"),
    ],
)
def test_local_address(flags: dict[str, bool], address: int, text: str) -> None:
    assert isa.local_address(7, **flags) == address
    assert isa.show_local_address(address) == text


def test_local_address_shows_a_normalisation_command() -> None:
    assert isa.show_local_address(0x8000_0007 | 3 << 26) == "accumulator[7] norm=3"


def test_local_addresses_are_never_garbage() -> None:
    # The largest row with every flag still differs from the marker: bits 28:26 stay clear.
    for flags in itertools.product((False, True), repeat=3):
        assert isa.local_address(isa.ROW_MASK, accumulator=flags[0], accumulate=flags[1], full_width=flags[2]) != isa.GARBAGE


@given(st.floats(width=32, allow_nan=False))
def test_float_bits_and_back(value: float) -> None:
    assert isa.bits_float(isa.float_bits(value)) == value


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: isa.encode("mvim"), r"^'mvim' is not a Gemmini instruction; the instructions are config_ex, .*counter\.$"),
        (lambda: isa.encode("flush", skpi=1), r"^flush has no field 'skpi'; its fields are skip\.$"),
        (lambda: isa.encode("mvin", local_rows=65536), r"^mvin: field local_rows takes 0 to 65535, not 65536\.$"),
        (lambda: isa.encode("config_norm", qb=1 << 31), r"^config_norm: field qb takes -2147483648 to 2147483647, not 2147483648\.$"),
        (lambda: isa.encode("config_st", acc_scale=0.5), r"^config_st: field acc_scale takes a whole number, not 0\.5; float_bits gives"),
        (lambda: isa.local_address(1 << 26), r"^a local address holds rows 0 to 67108863, not 67108864\.$"),
        (lambda: isa.local_address(-1), r"rows 0 to 67108863, not -1\.$"),
    ],
)
def test_errors_are_one_sentence(call, message: str) -> None:
    with pytest.raises(IsaError, match=message):
        call()
