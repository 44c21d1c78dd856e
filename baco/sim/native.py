"""Builds and loads the native core: the C files beside this one, compiled at first use with the compiler BACO carries.

The header with field extractors, instruction indices, counter places and fault kinds is generated here from the shared
descriptions, so that the C code has none of its own. The library is cached under a digest of everything that went into it.
"""

from __future__ import annotations

import ctypes
import platform
import re
import tempfile
from functools import cache
from importlib import resources
from pathlib import Path

from baco import isa, traffic
from baco.sim import host_costs
from baco.sim.errors import FAULT_KINDS
from baco.sim.rules import RULES
from baco.toolchain import atomic_write, cache_dir, digest, zig

INSTRUCTION_NAMES: tuple[str, ...] = tuple(instruction.name for instruction in isa.INSTRUCTIONS)
COUNTER_NAMES: tuple[str, ...] = (
    *INSTRUCTION_NAMES,
    "macs",
    *(f"{way}_{level}_{tensor}" for way in ("reads", "writes") for level, tensor in traffic.PLACES),
    "dram_bytes_read",
    "dram_bytes_written",
    *(f"unrolled_{name}" for name in INSTRUCTION_NAMES),
)
"""What the native counters count, in their order. The first are the instructions, at their index in `isa.INSTRUCTIONS`."""

SOURCES = (
    *("gemmini.h", "internal.h", "gemmini.c", "compute.c", "product.c", "moves.c", "pooling.c", "norm.c"),
    *("loop_ws.c", "loop_conv_ws.c", "events.c", "observe.c", "host.c"),
)
FLAGS = (
    "-std=gnu11",
    "-O3",
    "-shared",
    "-fPIC",
    "-flto",  # commands cross files: without it they take a tenth longer
    "-nostdlib",  # see gemmini.h
    "-mcpu=native",
    "-fwrapv",
    "-ffp-contract=off",  # the scaling is one multiplication, rounded: a fused one would round otherwise
    "-fno-sanitize=undefined",
)


class Region(ctypes.Structure):
    """`struct region`: a DRAM range the accelerator may touch."""

    _fields_ = (("base", ctypes.c_uint64), ("size", ctypes.c_uint64), ("writable", ctypes.c_uint32), ("name", ctypes.c_char * 60))


class Setup(ctypes.Structure):
    """`struct setup`: the machine's parameters, its memories and its view of DRAM."""

    _fields_ = (
        ("dim", ctypes.c_uint32),
        ("scratchpad_rows", ctypes.c_uint32),
        ("accumulator_rows", ctypes.c_uint32),
        ("max_block_columns", ctypes.c_uint32),
        ("max_accumulator_columns", ctypes.c_uint32),
        ("weight_stationary_only", ctypes.c_uint32),
        ("full_width_stores", ctypes.c_uint32),
        ("strict", ctypes.c_uint32),
        ("scratchpad", ctypes.c_void_p),
        ("accumulator", ctypes.c_void_p),
        ("dram", ctypes.c_void_p),
        ("dram_base", ctypes.c_uint64),
        ("dram_size", ctypes.c_uint64),
        ("regions", ctypes.POINTER(Region)),
        ("region_count", ctypes.c_uint64),
        ("observer", ctypes.c_void_p),
        ("instance", ctypes.c_void_p),
    )


class Rows(ctypes.Structure):
    """`struct rows`: private memory that a step took."""

    _fields_ = tuple((name, ctypes.c_uint32) for name in ("address", "rows", "stride", "blocks", "block_stride", "access"))


READ, WRITE = 1, 2


class Step(ctypes.Structure):
    """`struct step`: an instruction, or one that a loop stands for."""

    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("pc", "clock", "dram", "bytes", "macs")),
        ("instruction", ctypes.c_uint32),
        ("parent", ctypes.c_uint32),
        ("instance", ctypes.c_uint32 * 3),
        ("rows_count", ctypes.c_uint32),
        ("rows", Rows * 4),
    )


class Observer(ctypes.Structure):
    """`struct observer`: what takes the steps down."""

    _fields_ = (
        ("steps", ctypes.POINTER(Step)),
        *((name, ctypes.c_uint64) for name in ("capacity", "count", "watch", "watch_bytes")),
        ("last", Step),
        ("last_store", Step),
        ("stored", ctypes.c_uint64),
    )


class Fault(ctypes.Structure):
    """`struct fault`: why the last command was refused."""

    _fields_ = (
        ("kind", ctypes.c_uint32),
        ("rule", ctypes.c_uint32),
        ("has_command", ctypes.c_uint32),
        ("has_pc", ctypes.c_uint32),
        ("funct7", ctypes.c_uint32),
        ("rs1", ctypes.c_uint64),
        ("rs2", ctypes.c_uint64),
        ("pc", ctypes.c_uint64),
        ("reason", ctypes.c_char * 400),
    )


class NativeCommand(ctypes.Structure):
    """`struct command`."""

    _fields_ = (("funct7", ctypes.c_uint32), ("rs1", ctypes.c_uint64), ("rs2", ctypes.c_uint64))


class Host(ctypes.Structure):
    """`struct host`: the state of the hooks that unicorn calls."""

    _fields_ = (
        ("gemmini", ctypes.c_void_p),
        ("reg_read", ctypes.c_void_p),
        ("reg_write", ctypes.c_void_p),
        ("reg_read_batch", ctypes.c_void_p),
        ("emu_stop", ctypes.c_void_p),
        ("memory", ctypes.c_void_p),
        ("base", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("tohost", ctypes.c_void_p),
        ("instructions", ctypes.c_uint64),
        ("instruction_limit", ctypes.c_uint64),
        ("slice_end", ctypes.c_uint64),
        ("blocks", ctypes.c_uint64),
        ("reg_x0", ctypes.c_int32),
        ("reg_pc", ctypes.c_int32),
        ("stop", ctypes.c_uint32),
        ("taken", ctypes.c_void_p),
        ("taken_count", ctypes.c_uint64),
        ("device", ctypes.c_void_p),
        *((name, ctypes.c_uint64) for name in ("cycles", "queue_cycles", "fence_cycles", "resume", "value")),
    )


class Device(ctypes.Structure):
    """`struct device`: an accelerator with a clock."""

    _fields_ = (("self", ctypes.c_void_p), ("command", ctypes.c_void_p), ("fence", ctypes.c_void_p))


STOP_NONE, STOP_EXIT, STOP_SLICE, STOP_FAULT, STOP_DEVICE = range(5)


def generated_header() -> str:
    """The text of `generated.h`."""
    lines = [
        "/* Generated from baco.isa, baco.traffic and baco.sim.host_costs by baco/sim/native.py. */",
        "#pragma once",
        "#include <stdint.h>",
    ]
    for name in ("OPCODE", "GARBAGE", "ACCUMULATOR_BIT", "ACCUMULATE_BIT", "FULL_WIDTH_BIT", "ROW_MASK", "NORM_COMMAND_LOW"):
        lines.append(f"#define {name} {getattr(isa, name):#x}u")
    for instruction in isa.INSTRUCTIONS:
        prefix = instruction.name.upper()
        lines.append(f"#define FUNCT7_{prefix} {instruction.funct7}")
        lines += [f"#define {prefix}_{field.name.upper()}(c) ({_extract(field)})" for field in instruction.fields]
    lines.append(_enumeration("INSTRUCTION", (*INSTRUCTION_NAMES, "none")))
    lines.append(_enumeration("COUNTER", (*COUNTER_NAMES, "count")))
    lines.append(f"#define COUNTER_UNROLLED COUNTER_UNROLLED_{INSTRUCTION_NAMES[0].upper()}")
    lines.append(_enumeration("FAULT", ("none", *(_snake(kind.__name__) for kind in FAULT_KINDS))))
    lines += [f"#define {name} {getattr(host_costs, name)}" for name in host_costs.__all__]
    lines.append(_enumeration("RULE", ("none", *(rule.name for rule in RULES))))
    names = ", ".join(f'"{name}"' for name in INSTRUCTION_NAMES)
    lines.append(f"static const char *const instruction_names[] = {{{names}}};")
    by_funct7, by_selector = ["INSTRUCTION_NONE"] * 128, ["INSTRUCTION_NONE"] * 4
    for instruction in isa.INSTRUCTIONS:
        table, at = (by_funct7, instruction.funct7) if instruction.selector is None else (by_selector, instruction.selector)
        table[at] = f"INSTRUCTION_{instruction.name.upper()}"
    lines.append(f"static const uint8_t instruction_of_funct7[128] = {{{', '.join(by_funct7)}}};")
    lines.append(f"static const uint8_t instruction_of_selector[4] = {{{', '.join(by_selector)}}};")
    return "\n".join(lines) + "\n"


def _extract(field: isa.Field) -> str:
    register = f"(c)->rs{field.register}"
    if field.signed:
        return f"(int64_t)({register} << {64 - field.low - field.width}) >> {64 - field.width}"
    if field.width == 64:
        return register
    cast = "(uint32_t)" if field.width <= 32 else ""
    return f"{cast}({register} >> {field.low} & {(1 << field.width) - 1:#x}u{'ll' if field.width > 32 else ''})"


def _enumeration(prefix: str, names: tuple[str, ...]) -> str:
    return f"enum {{ {', '.join(f'{prefix}_{name.upper()}' for name in names)} }};"


def _snake(name: str) -> str:
    return re.sub(r"(?<=.)([A-Z])", r"_\1", name).lower()


def processor() -> str:
    """What tells processors apart that cannot run each other's code: a cache may be shared between machines."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = platform.processor()
    flags = re.search(r"^(?:flags|Features)\s*:.*$", text, re.MULTILINE)
    return f"{platform.system()} {platform.machine()} {flags.group(0) if flags else text}"


def compile_library(*more_flags: str) -> bytes:
    """The shared library, compiled now.

    Raises:
        ToolError: if it cannot be compiled.
    """
    with tempfile.TemporaryDirectory(prefix="baco-sim-") as folder:
        for file, data in _files().items():
            Path(folder, file).write_bytes(data)
        out = Path(folder, "out.so")
        sources = [str(Path(folder, file)) for file in SOURCES if file.endswith(".c")]
        zig("cc", *FLAGS, *more_flags, "-o", str(out), *sources)
        return out.read_bytes()


def _files() -> dict[str, bytes]:
    files = {name: resources.files("baco.sim").joinpath(name).read_bytes() for name in SOURCES}
    return {**files, "generated.h": generated_header().encode()}


def _build() -> Path:
    """The shared library's file, compiled if the cache does not have it; many processes may do so at once."""
    name = digest(processor(), *FLAGS, *(part for item in _files().items() for part in item))
    library = cache_dir() / "sim" / f"gemmini-{name}.so"
    if not library.exists():
        atomic_write(library, compile_library())
    return library


@cache
def load() -> ctypes.CDLL:
    """The native core, built if need be.

    Raises:
        ToolError: if it cannot be compiled.
    """
    library = ctypes.CDLL(str(_build()))
    library.gemmini_execute.argtypes = (ctypes.c_void_p, ctypes.POINTER(NativeCommand))
    library.gemmini_execute.restype = ctypes.c_bool
    for name, result in (
        ("host_setup", ctypes.POINTER(Setup)),
        ("host_fault", ctypes.POINTER(Fault)),
        ("host_counters", ctypes.POINTER(ctypes.c_uint64)),
    ):
        getattr(library, name).argtypes = (ctypes.c_void_p,)
        getattr(library, name).restype = result
    library.host_gemmini_size.restype = ctypes.c_uint64
    library.host_now.restype = ctypes.c_uint64
    return library
