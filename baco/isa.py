"""The Gemmini instruction set as data: one entry an instruction, and from the table encode, decode and disassemble.

Every command is a RoCC R-type instruction on opcode custom-3; `funct7` names it and its operands travel in the two 64-bit source
registers (GEMMINI_ISA.md sections 2 to 7). The LLVM lowering, the simulators and the tests all read this table.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from baco.errors import BacoError

OPCODE = 0x7B
"""custom-3."""
FUNCT3 = 3
"""xs1 and xs2 set, xd clear: both source registers are read, nothing is written back."""
FUNCT3_COUNTER = 7
"""The counter command also writes rd."""

GARBAGE = 0xFFFF_FFFF
"""The local address that stands for "no operand" (GEMMINI_ISA.md section 4)."""
ACCUMULATOR_BIT = 1 << 31
ACCUMULATE_BIT = 1 << 30
"""On accumulator writes: add to the row instead of overwriting it."""
FULL_WIDTH_BIT = 1 << 29
"""On accumulator mvout: store raw int32 instead of scaled int8."""
NORM_COMMAND_LOW = 26
"""Lowest of three bits, on accumulator mvout: the normalisation command, 0 for a plain store."""
ROW_MASK = (1 << 26) - 1


class IsaError(BacoError):
    """A field value that cannot be encoded, or bits that are not a Gemmini instruction."""


@dataclass(frozen=True)
class Field:
    """One operand field: bits `low` to `low + width - 1` of source register `register` (1 or 2)."""

    name: str
    register: int
    low: int
    width: int
    meaning: str = ""
    signed: bool = False
    is_float: bool = False
    """The bits are an IEEE float32; values are given and returned as the raw 32-bit pattern."""

    @property
    def minimum(self) -> int:
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        return (1 << (self.width - int(self.signed))) - 1

    def insert(self, value: int) -> int:
        """`value` at this field's place in its register.

        Raises:
            IsaError: if the value does not fit.
        """
        try:
            value = operator.index(value)
        except TypeError:
            hint = "; float_bits gives the pattern of a float" if self.is_float else ""
            raise IsaError(f"field {self.name} takes a whole number, not {value!r}{hint}.") from None
        if not self.minimum <= value <= self.maximum:
            raise IsaError(f"field {self.name} takes {self.minimum} to {self.maximum}, not {value}.")
        return (value & ((1 << self.width) - 1)) << self.low

    def extract(self, register: int) -> int:
        """This field's value in the 64 bits of its register."""
        raw = register >> self.low & ((1 << self.width) - 1)
        return raw - (1 << self.width) if self.signed and raw >> (self.width - 1) else raw


@dataclass(frozen=True)
class Instruction:
    """One command of the set. `selector` is the value of rs1's two low bits that tells a config command from the others."""

    name: str
    funct7: int
    fields: tuple[Field, ...]
    meaning: str
    selector: int | None = None
    funct3: int = FUNCT3
    on_spike: bool = True
    """False where Spike's model raises an illegal instruction."""

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        return {f.name: f for f in self.fields}


@dataclass(frozen=True)
class Command:
    """A command as the core sends it: funct7 and the contents of both source registers."""

    funct7: int
    rs1: int
    rs2: int


@dataclass(frozen=True)
class Decoded:
    """A command taken apart again."""

    instruction: Instruction
    values: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = (show_field(f, self.values[f.name]) for f in self.instruction.fields)
        return " ".join([self.instruction.name, ", ".join(parts)]).rstrip()


def _local(register: int, prefix: str, meaning: str) -> tuple[Field, ...]:
    """The form that every local operand takes: address, columns, rows (GEMMINI_ISA.md section 3)."""
    return (
        Field(f"{prefix}", register, 0, 32, f"{meaning}: local address"),
        Field(f"{prefix}_cols", register, 32, 16, f"{meaning}: columns"),
        Field(f"{prefix}_rows", register, 48, 16, f"{meaning}: rows"),
    )


def _mvin(name: str, funct7: int, load_id: int) -> Instruction:
    return Instruction(
        name,
        funct7,
        (Field("dram", 1, 0, 64, "DRAM byte address; 0 writes zeros"), *_local(2, "local", "destination")),
        f"move rows from DRAM to the scratchpad or accumulator with load configuration {load_id}",
    )


def _pair(name: str, funct7: int, first: str, second: str, meaning: str) -> Instruction:
    return Instruction(name, funct7, (Field(first, 1, 0, 64), Field(second, 2, 0, 64)), meaning)


INSTRUCTIONS: tuple[Instruction, ...] = (
    Instruction(
        "config_ex",
        0,
        (
            Field("dataflow", 1, 2, 1, "0 output-stationary, 1 weight-stationary"),
            Field("activation", 1, 3, 2, "applied to results written to the scratchpad; 1 is RELU"),
            Field("set_only_strides", 1, 7, 1, "change nothing but the two strides"),
            Field("transpose_a", 1, 8, 1),
            Field("transpose_b", 1, 9, 1),
            Field("a_stride", 1, 16, 16, "rows between consecutive rows of A"),
            Field("acc_scale", 1, 32, 32, "scale of operands read from the accumulator", is_float=True),
            Field("in_shift", 2, 0, 32, "output-stationary result shift"),
            Field("relu6_shift", 2, 32, 16, "unused"),
            Field("c_stride", 2, 48, 16, "rows between consecutive rows of C"),
        ),
        "configure the execute pipeline",
        selector=0,
    ),
    Instruction(
        "config_ld",
        0,
        (
            Field("shrink", 1, 2, 1, "data for the accumulator is int8 in DRAM"),
            Field("load_id", 1, 3, 2, "which load configuration: 0 mvin, 1 mvin2, 2 mvin3"),
            Field("pixel_repeats", 1, 8, 8, "0 means 1"),
            Field("block_stride", 1, 16, 16, "rows between DIM-wide column blocks"),
            Field("scale", 1, 32, 32, "scale of int8 source data", is_float=True),
            Field("dram_stride", 2, 0, 64, "bytes between rows in DRAM"),
        ),
        "configure a load",
        selector=1,
    ),
    Instruction(
        "config_st",
        0,
        (
            Field("activation", 1, 2, 2, "0 none, 1 RELU, 2 LAYERNORM, 3 IGELU"),
            Field("pool_stride", 1, 4, 2, "0 disables pooling"),
            Field("pool_size", 1, 6, 2),
            Field("pool_upper_pad", 1, 8, 2),
            Field("pool_left_pad", 1, 10, 2),
            Field("pool_out_dim", 1, 24, 8, "pixels per output image row"),
            Field("pool_out_rows", 1, 32, 8),
            Field("pool_out_cols", 1, 40, 8),
            Field("out_rows", 1, 48, 8, "unpooled rows available"),
            Field("out_cols", 1, 56, 8, "unpooled columns available"),
            Field("dram_stride", 2, 0, 32, "bytes between rows in DRAM"),
            Field("acc_scale", 2, 32, 32, "scale of results on the way out", is_float=True),
        ),
        "configure stores",
        selector=2,
    ),
    Instruction(
        "config_norm",
        0,
        (
            Field("stats_slot", 1, 8, 8),
            Field("activation_msb", 1, 16, 1, "1 with activation 0 is SOFTMAX"),
            Field("set_stats_slot_only", 1, 17, 1),
            Field("constant_id", 1, 18, 1, "which constant follows: 0 qln2, 1 qln2_inv"),
            Field("constant", 1, 32, 32, signed=True),
            Field("qb", 2, 0, 32, signed=True),
            Field("qc", 2, 32, 32, signed=True),
        ),
        "configure normalisation",
        selector=3,
    ),
    _mvin("mvin2", 1, 1),
    _mvin("mvin", 2, 0),
    Instruction(
        "mvout",
        3,
        (Field("dram", 1, 0, 64, "DRAM byte address"), *_local(2, "local", "source")),
        "move rows from the scratchpad or accumulator to DRAM",
    ),
    Instruction(
        "compute_preloaded",
        4,
        (*_local(1, "a", "A"), *_local(2, "bd", "B (output-stationary) or D (weight-stationary)")),
        "load the array with what was preloaded, then multiply",
    ),
    Instruction(
        "compute_accumulated",
        5,
        (*_local(1, "a", "A"), *_local(2, "bd", "B (output-stationary) or D (weight-stationary)")),
        "multiply with what the array already holds",
    ),
    Instruction(
        "preload",
        6,
        (*_local(1, "bd", "D (output-stationary) or B (weight-stationary)"), *_local(2, "c", "C")),
        "name the operand to load into the array and where results go",
    ),
    Instruction("flush", 7, (Field("skip", 1, 0, 1),), "flush the TLB"),
    Instruction(
        "loop_ws",
        8,
        (
            Field("ex_accumulate", 1, 0, 1),
            Field("full_c", 1, 1, 1, "store raw int32"),
            Field("low_d", 1, 2, 1, "the bias is int8"),
            Field("activation", 1, 8, 3),
            Field("b_spad_id", 1, 16, 2),
            Field("a_spad_id", 1, 18, 2),
            Field("transpose_a", 2, 0, 1),
            Field("transpose_b", 2, 1, 1),
            Field("residual_add", 2, 2, 1),
            Field("skip_ld_a", 2, 3, 1, "RTL only"),
            Field("skip_ld_b", 2, 4, 1, "RTL only"),
            Field("skip_ld_d", 2, 5, 1, "RTL only"),
            Field("skip_ex", 2, 6, 1, "RTL only"),
            Field("skip_st", 2, 7, 1, "RTL only"),
            Field("advance_half", 2, 8, 1, "RTL only"),
            Field("spad_only", 2, 9, 1, "RTL only"),
            Field("c_spad_row", 2, 32, 32, "RTL only"),
        ),
        "run a whole tiled matrix multiplication",
    ),
    Instruction(
        "loop_ws_config_bounds",
        9,
        (
            Field("pad_i", 1, 0, 16, "elements missing in the last tile"),
            Field("pad_j", 1, 16, 16),
            Field("pad_k", 1, 32, 16),
            Field("i", 2, 0, 16, "tiles"),
            Field("j", 2, 16, 16),
            Field("k", 2, 32, 16),
        ),
        "loop_ws: bounds and padding",
    ),
    _pair("loop_ws_config_addrs_ab", 10, "a", "b", "loop_ws: A and B pointers"),
    _pair("loop_ws_config_addrs_dc", 11, "d", "c", "loop_ws: D and C pointers"),
    _pair("loop_ws_config_strides_ab", 12, "a_stride", "b_stride", "loop_ws: strides in elements"),
    _pair("loop_ws_config_strides_dc", 13, "d_stride", "c_stride", "loop_ws: strides in elements"),
    _mvin("mvin3", 14, 2),
    Instruction(
        "loop_conv_ws",
        15,
        (
            Field("no_bias", 1, 0, 1),
            Field("wrot180", 1, 1, 1),
            Field("trans_output_1203", 1, 2, 1),
            Field("trans_weight_1203", 1, 3, 1),
            Field("trans_weight_0132", 1, 4, 1),
            Field("trans_input_3120", 1, 5, 1),
            Field("depthwise", 1, 6, 1),
            Field("max_pixels_per_row", 1, 8, 8, "0 means 1"),
            Field("b_spad_id", 1, 16, 2),
            Field("a_spad_id", 1, 18, 2),
            Field("no_pool", 2, 0, 1),
            Field("downsample", 2, 1, 1),
            Field("input_dilated", 2, 2, 1),
            Field("activation", 2, 3, 2),
        ),
        "run a whole tiled convolution",
    ),
    Instruction(
        "loop_conv_ws_config_1",
        16,
        (
            Field("batch_size", 1, 0, 16),
            Field("in_row_dim", 1, 16, 16),
            Field("in_channels", 1, 32, 16),
            Field("out_channels", 1, 48, 16),
            Field("out_row_dim", 2, 0, 16),
            Field("pool_out_row_dim", 2, 16, 16),
            Field("out_col_dim", 2, 32, 16),
            Field("stride", 2, 48, 8),
            Field("padding", 2, 56, 8),
        ),
        "loop_conv_ws: sizes of the tensors",
    ),
    Instruction(
        "loop_conv_ws_config_2",
        17,
        (
            Field("pool_padding", 1, 0, 8),
            Field("pool_stride", 1, 8, 8),
            Field("pool_size", 1, 16, 16),
            Field("pool_out_col_dim", 1, 32, 16),
            Field("kernel_dim", 1, 48, 16),
            Field("pochs", 2, 0, 16),
            Field("pocols", 2, 16, 16),
            Field("porows", 2, 32, 16),
            Field("batches", 2, 48, 16),
        ),
        "loop_conv_ws: kernel, pooling and output tile",
    ),
    Instruction(
        "loop_conv_ws_config_3",
        18,
        (
            Field("lpad", 1, 0, 16),
            Field("kchs", 1, 16, 16),
            Field("kcols", 1, 32, 16),
            Field("krows", 1, 48, 16),
            Field("in_col_dim", 2, 0, 16),
            Field("plpad", 2, 16, 8),
            Field("dpad", 2, 24, 8),
            Field("upad", 2, 32, 16),
            Field("rpad", 2, 48, 16),
        ),
        "loop_conv_ws: kernel tile and padding",
    ),
    Instruction(
        "loop_conv_ws_config_4",
        19,
        (
            Field("kernel_dilation", 1, 0, 10),
            Field("pdpad", 1, 10, 11),
            Field("pupad", 1, 21, 11),
            Field("prad", 1, 32, 16),
            Field("orows", 1, 48, 16),
            Field("ocols", 2, 0, 16),
            Field("out_stride", 2, 16, 16, "channels per output pixel"),
            Field("weight_stride", 2, 32, 16),
            Field("in_stride", 2, 48, 16),
        ),
        "loop_conv_ws: dilation, pooling padding and strides",
    ),
    _pair("loop_conv_ws_config_5", 20, "weights", "output", "loop_conv_ws: weight and output pointers"),
    _pair("loop_conv_ws_config_6", 21, "bias", "input", "loop_conv_ws: bias and input pointers"),
    Instruction("clock_gate", 22, (Field("enable", 1, 0, 1),), "enable clock gating", on_spike=False),
    Instruction(
        "mvout_spad",
        23,
        (
            Field("destination", 1, 0, 32, "scratchpad row"),
            Field("destination_stride", 1, 32, 32, "rows"),
            *_local(2, "local", "source"),
        ),
        "store from private memory to an external scratchpad",
        on_spike=False,
    ),
    Instruction(
        "loop_ws_config_spad_ab",
        24,
        (Field("a_row", 1, 0, 32), Field("b_end_row", 2, 0, 32)),
        "loop_ws: scratchpad rows of A and B",
        on_spike=False,
    ),
    Instruction("loop_ws_config_spad_c", 25, (), "reserved: accepted and ignored by the RTL", on_spike=False),
    Instruction(
        "counter",
        126,
        (
            Field("reset", 1, 0, 1),
            Field("release_snapshot", 1, 1, 1),
            Field("take_snapshot", 1, 2, 1),
            Field("reprogram", 1, 3, 1),
            Field("index", 1, 4, 3),
            Field("event", 1, 12, 6),
            Field("external", 1, 31, 1),
        ),
        "read or program a performance counter",
        funct3=FUNCT3_COUNTER,
    ),
)

BY_NAME: Mapping[str, Instruction] = {i.name: i for i in INSTRUCTIONS}
_BY_CODE: Mapping[tuple[int, int | None], Instruction] = {(i.funct7, i.selector): i for i in INSTRUCTIONS}
FUNCT7S: frozenset[int] = frozenset(i.funct7 for i in INSTRUCTIONS)
"""Every funct7 that the table declares."""


def encode(name: str, /, **values: int) -> Command:
    """The command `name` with the given field values; fields left out are 0.

    Raises:
        IsaError: for an unknown instruction or field, or a value that does not fit its field.
    """
    instruction = _lookup(name)
    registers = [0, instruction.selector or 0, 0]
    for field_name, value in values.items():
        if field_name not in instruction.by_name:
            raise IsaError(f"{name} has no field {field_name!r}; its fields are {', '.join(instruction.by_name)}.")
        f = instruction.by_name[field_name]
        try:
            registers[f.register] |= f.insert(value)
        except IsaError as error:
            raise IsaError(f"{name}: {error}") from None
    return Command(instruction.funct7, registers[1], registers[2])


def decode(command: Command) -> Decoded:
    """The instruction and field values of a command. Bits outside every field are ignored, as the hardware ignores them.

    Raises:
        IsaError: if funct7 names no instruction.
    """
    selector = command.rs1 & 3 if command.funct7 == 0 else None
    instruction = _BY_CODE.get((command.funct7, selector))
    if instruction is None:
        raise IsaError(f"funct7 {command.funct7} is not a Gemmini instruction.")
    registers = (0, command.rs1, command.rs2)
    return Decoded(instruction, {f.name: f.extract(registers[f.register]) for f in instruction.fields})


def find(funct7: int, rs1: int | None) -> Instruction | None:
    """The instruction of a funct7, None if there is none. The config commands differ only in rs1, which may be unknown: None again."""
    if funct7 != 0:
        return _BY_CODE.get((funct7, None))
    return None if rs1 is None else _BY_CODE[0, rs1 & 3]


def disassemble(command: Command) -> str:
    """The command as text, such as ``mvin dram=0x80001000, local=scratchpad[16], local_cols=16, local_rows=4``."""
    return str(decode(command))


def instruction_word(name: str, rs1: int, rs2: int, rd: int = 0) -> int:
    """The 32-bit RoCC instruction that sends command `name` from source registers x`rs1` and x`rs2`."""
    instruction = _lookup(name)
    return instruction.funct7 << 25 | rs2 << 20 | rs1 << 15 | instruction.funct3 << 12 | rd << 7 | OPCODE


def local_address(row: int, *, accumulator: bool = False, accumulate: bool = False, full_width: bool = False) -> int:
    """The 32-bit local address of a private-memory row (GEMMINI_ISA.md section 4).

    Raises:
        IsaError: if the row does not fit the address.
    """
    if not 0 <= row <= ROW_MASK:
        raise IsaError(f"a local address holds rows 0 to {ROW_MASK}, not {row}.")
    return row | accumulator * ACCUMULATOR_BIT | accumulate * ACCUMULATE_BIT | full_width * FULL_WIDTH_BIT


def show_local_address(address: int) -> str:
    """A local address as text: ``garbage``, ``scratchpad[row]``, ``accumulator[row]`` with ``+=``, ``full`` and ``norm`` where set."""
    if address == GARBAGE:
        return "garbage"
    if not address & ACCUMULATOR_BIT:
        return f"scratchpad[{address & ROW_MASK}]"
    flags = "+=" * bool(address & ACCUMULATE_BIT) + " full" * bool(address & FULL_WIDTH_BIT)
    if command := address >> NORM_COMMAND_LOW & 7:
        flags += f" norm={command}"
    return f"accumulator[{address & ROW_MASK}]{flags}"


def float_bits(value: float) -> int:
    """The IEEE float32 pattern of `value`, as the scale fields take it."""
    return struct.unpack("<I", struct.pack("<f", value))[0]


def bits_float(bits: int) -> float:
    """The value of an IEEE float32 pattern."""
    return struct.unpack("<f", struct.pack("<I", bits))[0]


_LOCAL_NAMES = frozenset({"local", "a", "bd", "c"})


def show_field(f: Field, value: int) -> str:
    """A field and its value as text, such as ``local=scratchpad[16]``."""
    if f.name in _LOCAL_NAMES and f.width == 32 and f.low == 0:
        return f"{f.name}={show_local_address(value)}"
    if f.is_float:
        return f"{f.name}={bits_float(value):g}"
    if f.width == 64:
        return f"{f.name}={value:#x}"
    return f"{f.name}={value}"


def _lookup(name: str) -> Instruction:
    try:
        return BY_NAME[name]
    except KeyError:
        raise IsaError(f"{name!r} is not a Gemmini instruction; the instructions are {', '.join(BY_NAME)}.") from None
