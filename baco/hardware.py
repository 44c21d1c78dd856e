"""One Gemmini hardware design point, its checks, and its exporters.

`GemminiConfig` is the only description of a machine in BACO: the compiler, the simulators, the RTL, the performance model and the
search all read it. It accepts exactly what the Gemmini generator elaborates (DESIGN.md, "What the Gemmini generator accepts").
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path

from baco.errors import BacoError

KIB = 1024


class InvalidHardware(BacoError):
    """A hardware configuration that the Gemmini generator would not elaborate.

    Attributes: `field` is the path of the offending field, such as ``hardware.dim``; ``hardware`` itself where no field is to blame.
    """

    def __init__(self, field: str, message: str) -> None:
        self.field = f"hardware.{field}" if field else "hardware"
        super().__init__(f"{self.field}: {message}")


@dataclass(frozen=True)
class GemminiConfig:
    """A Gemmini instance. Sizes are bytes, rows or entries as named; latencies are cycles; bandwidth is bytes per cycle.

    Raises:
        InvalidHardware: on construction, for the first rule of the generator that a field breaks.
    """

    dim: int = 16
    """Side of the square array of processing elements (DIM)."""
    scratchpad_bytes: int = 256 * KIB
    scratchpad_banks: int = 4
    accumulator_bytes: int = 64 * KIB
    accumulator_banks: int = 2
    input_type: str = "int8"
    accumulator_type: str = "int32"
    dma_bus_bits: int = 128
    dma_max_bytes: int = 64
    """Largest DMA burst; also the widest int8 row one mvin or mvout may move."""
    dma_requests_in_flight: int = 16
    load_queue_entries: int = 8
    store_queue_entries: int = 2
    execute_queue_entries: int = 8
    reservation_station_load: int = 8
    reservation_station_store: int = 4
    reservation_station_execute: int = 16
    dram_bytes_per_cycle: int = 8
    """Sustained DRAM bandwidth (Table 6.3 of the dissertation: 8 words per cycle)."""
    dram_latency: int = 40
    """Cycles from a DMA request to its first beat."""
    weight_stationary_only: bool = False
    """True for generator presets without the output-stationary dataflow (lean, chip, largeChip). They also read
    operands from the scratchpad only, write results to the accumulator only, and take no bias operand."""
    full_width_stores: bool = True
    """Whether 32-bit rows of the accumulator can be stored (acc_read_full_width); False for the same presets."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise InvalidHardware(field.name, f"must be a whole number of at least 1, but is {value!r}.")
            if field.type == "bool" and not isinstance(value, bool):
                raise InvalidHardware(field.name, f"must be true or false, but is {value!r}.")
        if self.input_type != "int8":
            raise InvalidHardware("input_type", f"must be 'int8', the only input type supported, but is {self.input_type!r}.")
        if self.accumulator_type != "int32":
            raise InvalidHardware("accumulator_type", f"must be 'int32', the only one supported, but is {self.accumulator_type!r}.")
        if self.dim < 2 or not _is_power_of_two(self.dim):
            raise InvalidHardware("dim", f"must be a power of two of at least 2, but is {self.dim}; {_near_powers(self.dim)} would do.")
        if self.dim > 128:
            raise InvalidHardware("dim", f"must be at most 128, the largest array supported, but is {self.dim}.")
        for name in ("dma_bus_bits", "dma_max_bytes", "scratchpad_banks", "accumulator_banks"):
            if not _is_power_of_two(getattr(self, name)):
                raise InvalidHardware(
                    name, f"must be a power of two, but is {getattr(self, name)}; {_near_powers(getattr(self, name))} would do."
                )
        self._check_banks("scratchpad", self.scratchpad_bytes, self.scratchpad_banks, self.dim, power_of_two=True)
        self._check_banks("accumulator", self.accumulator_bytes, self.accumulator_banks, 4 * self.dim, power_of_two=False)

    def _check_banks(self, memory: str, total: int, banks: int, row_bytes: int, *, power_of_two: bool) -> None:
        """The generator addresses a bank in blocks of DIM rows; a scratchpad bank has a power of two of them."""
        unit = banks * row_bytes * self.dim
        blocks, rest = divmod(total, unit)
        if not rest and (_is_power_of_two(blocks) or not power_of_two):
            return
        down = 1 << (blocks.bit_length() - 1) if power_of_two and blocks else blocks
        up = 2 * down if power_of_two else down + 1
        fix = f"{down * unit} or {up * unit}" if down else f"{unit}"
        rule = f"a power of two of at least DIM={self.dim} rows" if power_of_two else f"a multiple of DIM={self.dim} rows"
        raise InvalidHardware(
            f"{memory}_bytes",
            f"is {total}, but each of {banks} banks must hold {rule} of {row_bytes} bytes; {fix} would do.",
        )

    @property
    def scratchpad_rows(self) -> int:
        """Rows of DIM int8 elements in the whole scratchpad."""
        return self.scratchpad_bytes // self.dim

    @property
    def accumulator_rows(self) -> int:
        """Rows of DIM int32 elements in the whole accumulator."""
        return self.accumulator_bytes // (4 * self.dim)

    @property
    def scratchpad_bank_rows(self) -> int:
        return self.scratchpad_rows // self.scratchpad_banks

    @property
    def accumulator_bank_rows(self) -> int:
        return self.accumulator_rows // self.accumulator_banks

    @property
    def max_block_columns(self) -> int:
        """Widest int8 row one mvin or mvout moves: max(64, DIM) elements by default (GEMMINI_ISA.md section 10)."""
        return max(self.dma_max_bytes, self.dim)

    @property
    def max_accumulator_columns(self) -> int:
        """Widest int32 row one mvin moves: max(16, DIM) elements by default (GEMMINI_ISA.md section 10)."""
        return max(self.dma_max_bytes // 4, self.dim)

    def to_dict(self) -> dict[str, int | str | bool]:
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2) + "\n"

    @classmethod
    def from_dict(cls, fields: object) -> GemminiConfig:
        """The configuration a JSON object describes; fields it leaves out take their defaults.

        Raises:
            InvalidHardware: if it is not an object, has an unknown field, or breaks a rule.
        """
        if not isinstance(fields, dict):
            raise InvalidHardware("", f"must be an object of fields, but is {type(fields).__name__}.")
        known = {field.name for field in dataclasses.fields(cls)}
        for name in fields:
            if name not in known:
                raise InvalidHardware(str(name), f"is not a field of a Gemmini configuration; the fields are {', '.join(sorted(known))}.")
        return cls(**fields)

    @classmethod
    def from_json(cls, text: str) -> GemminiConfig:
        """The configuration in a JSON text, as :meth:`to_json` writes it."""
        try:
            fields = json.loads(text)
        except ValueError as error:
            raise InvalidHardware("", f"is not valid JSON: {error}.") from error
        return cls.from_dict(fields)

    @classmethod
    def from_yaml(cls, text: str) -> GemminiConfig:
        """The configuration in a YAML text of plain ``field: value`` lines."""
        fields: dict[str, object] = {}
        for number, line in enumerate(text.splitlines(), 1):
            line = re.sub(r"(^|\s)#.*", "", line).strip()
            if not line or line == "---":
                continue
            match = re.fullmatch(r"(\w+):\s+(.+)", line)
            if match is None:
                raise InvalidHardware("", f"line {number} of the YAML is {line!r}; plain lines of the form `dim: 16` are read.")
            try:
                fields[match[1]] = json.loads(match[2])
            except ValueError:
                fields[match[1]] = match[2].strip("'\"")
        return cls.from_dict(fields)

    @classmethod
    def from_params_h(cls, text: str) -> GemminiConfig:
        """The configuration in a `gemmini_params.h`, as the generator and :meth:`to_params_h` write it; what it does not say is default.

        Raises:
            InvalidHardware: if it lacks a size, or breaks a rule.
        """
        defined = dict(re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]*(.*?)[ \t]*$", text, re.MULTILINE))
        values = {}
        for name in ("DIM", "BANK_NUM", "BANK_ROWS", "ACC_ROWS", "MAX_BYTES"):
            if not defined.get(name, "").isdecimal():
                raise InvalidHardware("", f"the header does not define {name} as a number; gemmini_params.h of Gemmini's generator does.")
            values[name] = int(defined[name])
        return cls(
            dim=values["DIM"],
            scratchpad_banks=values["BANK_NUM"],
            scratchpad_bytes=values["BANK_NUM"] * values["BANK_ROWS"] * values["DIM"],
            accumulator_bytes=values["ACC_ROWS"] * values["DIM"] * 4,
            dma_max_bytes=values["MAX_BYTES"],
            full_width_stores="ACC_READ_FULL_WIDTH" in defined,
        )

    def to_params_h(self) -> str:
        """`gemmini_params.h` for C programs written against the vendor's `gemmini.h`."""
        return _PARAMS_H.format(
            dim=self.dim,
            bank_num=self.scratchpad_banks,
            bank_rows=self.scratchpad_bank_rows,
            acc_rows=self.accumulator_rows,
            max_bytes=self.dma_max_bytes,
            max_block_len=max(1, self.dma_max_bytes // self.dim),
            # Written as a number: as the expression MAX_BYTES/(DIM*4) it becomes 0 at DIM 32 and Spike's loop_conv_ws never ends.
            max_block_len_acc=max(1, self.dma_max_bytes // (4 * self.dim)),
            full_width="#define ACC_READ_FULL_WIDTH\n" if self.full_width_stores else "",
        )

    def to_chisel(self) -> str:
        """`GemminiArrayConfig` of this machine and a Chipyard configuration that holds it, as Scala.

        Goes into `generators/chipyard/src/main/scala/config/`. What it does not name is as in the generator's default configuration.
        """
        return _CHISEL.format(
            dim=self.dim,
            dataflow="WS" if self.weight_stationary_only else "BOTH",
            both=str(not self.weight_stationary_only).lower(),
            # Presets with one dataflow take no bias operand.
            no_bias=str(self.weight_stationary_only).lower(),
            scratchpad=self._capacity(self.scratchpad_bytes, self.scratchpad_rows),
            accumulator=self._capacity(self.accumulator_bytes, self.accumulator_rows),
            full_width=str(self.full_width_stores).lower(),
            config=self,
        )

    def _capacity(self, total: int, rows: int) -> str:
        """The generator counts whole KiB; smaller memories are counted in blocks of DIM rows."""
        return f"CapacityInKilobytes({total // KIB})" if total % KIB == 0 else f"CapacityInMatrices({rows // self.dim})"


def _is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


def _near_powers(value: int) -> str:
    low = 1 << max(1, value.bit_length() - 1)
    return f"{low}" if value < 2 else f"{low} or {2 * low}"


_LEAN = {"weight_stationary_only": True, "full_width_stores": False}
PRESETS: dict[str, GemminiConfig] = {
    "gemmini-default": GemminiConfig(),
    "gemmini-weight-stationary": GemminiConfig(weight_stationary_only=True),
    "gemmini-lean": GemminiConfig(**_LEAN, dma_requests_in_flight=64),
    "gemmini-chip": GemminiConfig(**_LEAN, scratchpad_bytes=64 * KIB, accumulator_bytes=32 * KIB),
    "gemmini-large-chip": GemminiConfig(**_LEAN, dim=32, scratchpad_bytes=128 * KIB, accumulator_bytes=64 * KIB),
}
"""Machines by name: the generator's presets, and its default with one dataflow only."""


def preset(name: str) -> GemminiConfig:
    """The named configuration.

    Raises:
        InvalidHardware: if there is no preset of that name.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise InvalidHardware("preset", f"there is no preset {name!r}; the presets are {', '.join(sorted(PRESETS))}.") from None


def read_hardware(name: str) -> GemminiConfig:
    """A configuration by a preset's name, or from a file: .json, .yaml, .yml, or .h for a `gemmini_params.h`.

    Raises:
        InvalidHardware: if there is no such preset, or the file cannot be read or describes no machine.
    """
    readers = {
        ".json": GemminiConfig.from_json,
        ".yaml": GemminiConfig.from_yaml,
        ".yml": GemminiConfig.from_yaml,
        ".h": GemminiConfig.from_params_h,
    }
    path = Path(name)
    if path.suffix not in readers:
        return preset(name)
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InvalidHardware("", f"{name} cannot be read: {reason}.") from None
    return readers[path.suffix](text)


_PARAMS_H = """\
#ifndef GEMMINI_PARAMS_H
#define GEMMINI_PARAMS_H

#include <stdint.h>
#include <limits.h>

#define XCUSTOM_ACC 3
#define DIM {dim}
#define ADDR_LEN 32
#define BANK_NUM {bank_num}
#define BANK_ROWS {bank_rows}
#define ACC_ROWS {acc_rows}
#define MAX_BYTES {max_bytes}
#define MAX_BLOCK_LEN {max_block_len}
#define MAX_BLOCK_LEN_ACC {max_block_len_acc}

typedef int8_t elem_t;
static const elem_t elem_t_max = 127;
static const elem_t elem_t_min = -128;
typedef int32_t acc_t;
typedef int64_t full_t;

#define HAS_MVIN_SCALE
typedef float scale_t;
typedef uint32_t scale_t_bits;
typedef int32_t scale_exp_t;
typedef uint32_t scale_sig_t;
typedef float acc_scale_t;
typedef uint32_t acc_scale_t_bits;

#define row_align(blocks) __attribute__((aligned(blocks*DIM*sizeof(elem_t))))
#define row_align_acc(blocks) __attribute__((aligned(blocks*DIM*sizeof(acc_t))))

#define MVIN_SCALE_IDENTITY 1.0
#define ACC_SCALE_IDENTITY 1.0

static inline int64_t baco_round_shift(int64_t x, int n) {{
    /* Half to even on the dropped bits, as the hardware's shifter does. */
    if (n <= 0) return x << -n;
    int64_t kept = x >> n, dropped = x - (kept << n), half = (int64_t)1 << (n - 1);
    return kept + (dropped > half || (dropped == half && (kept & 1)));
}}
static inline int32_t baco_scale_to_int8(int32_t x, float scale) {{
    /* One float32 product, rounded half to even, clamped to int8. */
    float y = (float)x * scale;
    if (!(y < 127.0f)) return 127;
    if (y <= -128.0f) return -128;
    int32_t i = (int32_t)y;
    float rest = y - (float)i;
    if (rest > 0.5f || (rest == 0.5f && (i & 1))) return i + 1;
    if (rest < -0.5f || (rest == -0.5f && (i & 1))) return i - 1;
    return i;
}}
#define ROUNDING_RIGHT_SHIFT(x, shift) baco_round_shift((x), (shift))
#define ACC_SCALE(x, scale) baco_scale_to_int8((x), (scale))
#define MVIN_SCALE(x, scale) ((elem_t)baco_scale_to_int8((x), (scale)))

#define ACC_SCALE_T_IS_FLOAT
#define ACC_SCALE_EXP_BITS 8
#define ACC_SCALE_SIG_BITS 24
#define ACC_READ_SMALL_WIDTH
{full_width}#define HAS_FIRST_LAYER_OPTIMIZATIONS

#endif // GEMMINI_PARAMS_H
"""

_CHISEL = """\
package chipyard

import gemmini.{{CapacityInKilobytes, CapacityInMatrices, Dataflow, DefaultGemminiConfig, GemminiConfigs}}
import org.chipsalliance.cde.config.Config

object BacoGemmini {{
  val config = GemminiConfigs.defaultConfig.copy(
    meshRows = {dim},
    meshColumns = {dim},
    tileRows = 1,
    tileColumns = 1,
    dataflow = Dataflow.{dataflow},
    sp_capacity = {scratchpad},
    sp_banks = {config.scratchpad_banks},
    acc_capacity = {accumulator},
    acc_banks = {config.accumulator_banks},
    ld_queue_length = {config.load_queue_entries},
    st_queue_length = {config.store_queue_entries},
    ex_queue_length = {config.execute_queue_entries},
    reservation_station_entries_ld = {config.reservation_station_load},
    reservation_station_entries_st = {config.reservation_station_store},
    reservation_station_entries_ex = {config.reservation_station_execute},
    max_in_flight_mem_reqs = {config.dma_requests_in_flight},
    dma_maxbytes = {config.dma_max_bytes},
    dma_buswidth = {config.dma_bus_bits},
    acc_read_full_width = {full_width},
    ex_read_from_acc = {both},
    ex_write_to_spad = {both},
    hardcode_d_to_garbage_addr = {no_bias},
  )
}}

class BacoGemminiRocketConfig
    extends Config(
      new DefaultGemminiConfig(BacoGemmini.config) ++
        new freechips.rocketchip.rocket.WithNHugeCores(1) ++
        new chipyard.config.WithSystemBusWidth({config.dma_bus_bits}) ++
        new chipyard.config.AbstractConfig
    )
"""
