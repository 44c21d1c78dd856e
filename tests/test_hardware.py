"""Hardware configurations: what the generator accepts, what each refusal says, and what the exporters write."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baco.errors import BacoError
from baco.hardware import KIB, PRESETS, GemminiConfig, InvalidHardware, preset, read_hardware
from baco.toolchain import RISCV_TARGET, zig


def test_default_is_the_generators_default() -> None:
    config = GemminiConfig()
    assert (config.dim, config.scratchpad_bytes, config.accumulator_bytes) == (16, 256 * 1024, 64 * 1024)
    assert (config.scratchpad_rows, config.scratchpad_bank_rows) == (16384, 4096)
    assert (config.accumulator_rows, config.accumulator_bank_rows) == (1024, 512)
    assert (config.max_block_columns, config.max_accumulator_columns) == (64, 16)
    assert preset("gemmini-default") == config


@pytest.mark.parametrize(
    ("dim", "bank_rows", "accumulator_rows", "columns", "accumulator_columns"),
    [(4, 16384, 4096, 64, 16), (8, 8192, 2048, 64, 16), (16, 4096, 1024, 64, 16), (32, 2048, 512, 64, 32), (128, 512, 128, 128, 128)],
)
def test_derived_sizes_at_other_dims(dim: int, bank_rows: int, accumulator_rows: int, columns: int, accumulator_columns: int) -> None:
    banks = 2 if dim < 128 else 1
    config = GemminiConfig(dim=dim, accumulator_banks=banks)
    assert (config.scratchpad_bank_rows, config.accumulator_rows) == (bank_rows, accumulator_rows)
    assert (config.max_block_columns, config.max_accumulator_columns) == (columns, accumulator_columns)


REFUSED = [
    ({"dim": 12}, "hardware.dim", "must be a power of two of at least 2, but is 12; 8 or 16 would do."),
    ({"dim": 1}, "hardware.dim", "must be a power of two of at least 2, but is 1; 2 would do."),
    ({"dim": 256}, "hardware.dim", "must be at most 128, the largest array supported, but is 256."),
    ({"dim": 0}, "hardware.dim", "must be a whole number of at least 1, but is 0."),
    ({"dim": "16"}, "hardware.dim", "must be a whole number of at least 1, but is '16'."),
    ({"dim": 16.0}, "hardware.dim", "must be a whole number of at least 1, but is 16.0."),
    ({"dim": True}, "hardware.dim", "must be a whole number of at least 1, but is True."),
    ({"weight_stationary_only": 1}, "hardware.weight_stationary_only", "must be true or false, but is 1."),
    ({"input_type": "int16"}, "hardware.input_type", "must be 'int8', the only input type supported, but is 'int16'."),
    ({"accumulator_type": "int64"}, "hardware.accumulator_type", "must be 'int32', the only one supported, but is 'int64'."),
    ({"dma_bus_bits": 100}, "hardware.dma_bus_bits", "must be a power of two, but is 100; 64 or 128 would do."),
    ({"dma_max_bytes": 48}, "hardware.dma_max_bytes", "must be a power of two, but is 48; 32 or 64 would do."),
    ({"scratchpad_banks": 3}, "hardware.scratchpad_banks", "must be a power of two, but is 3; 2 or 4 would do."),
    ({"accumulator_banks": 6}, "hardware.accumulator_banks", "must be a power of two, but is 6; 4 or 8 would do."),
    (
        {"scratchpad_bytes": 1000},
        "hardware.scratchpad_bytes",
        "is 1000, but each of 4 banks must hold a power of two of at least DIM=16 rows of 16 bytes; 1024 would do.",
    ),
    (
        {"scratchpad_bytes": 5000},
        "hardware.scratchpad_bytes",
        "is 5000, but each of 4 banks must hold a power of two of at least DIM=16 rows of 16 bytes; 4096 or 8192 would do.",
    ),
    (
        {"scratchpad_bytes": 192 * KIB},
        "hardware.scratchpad_bytes",
        "is 196608, but each of 4 banks must hold a power of two of at least DIM=16 rows of 16 bytes; 131072 or 262144 would do.",
    ),
    (
        {"accumulator_bytes": 1},
        "hardware.accumulator_bytes",
        "is 1, but each of 2 banks must hold a multiple of DIM=16 rows of 64 bytes; 2048 would do.",
    ),
    (
        {"accumulator_bytes": 3000},
        "hardware.accumulator_bytes",
        "is 3000, but each of 2 banks must hold a multiple of DIM=16 rows of 64 bytes; 2048 or 4096 would do.",
    ),
    ({"dram_latency": -1}, "hardware.dram_latency", "must be a whole number of at least 1, but is -1."),
]


@pytest.mark.parametrize(("fields", "path", "sentence"), REFUSED, ids=lambda x: str(x) if isinstance(x, dict) else "")
def test_each_broken_rule_has_one_sentence_with_the_fields_path(fields: dict[str, object], path: str, sentence: str) -> None:
    with pytest.raises(InvalidHardware) as caught:
        GemminiConfig(**fields)
    assert caught.value.field == path
    assert str(caught.value) == f"{path}: {sentence}"
    assert isinstance(caught.value, BacoError)


@pytest.mark.parametrize("fields", [fields for fields, _, message in REFUSED if "would do" in message], ids=str)
def test_every_suggestion_is_accepted(fields: dict[str, object]) -> None:
    (name, _), *_ = fields.items()
    with pytest.raises(InvalidHardware) as caught:
        GemminiConfig(**fields)
    suggestions = re.search(r"; (\d+)(?: or (\d+))? would do\.$", str(caught.value))
    for suggestion in filter(None, suggestions.groups()):
        assert getattr(GemminiConfig(**{name: int(suggestion)}), name) == int(suggestion)


def test_the_accumulator_need_not_be_a_power_of_two() -> None:
    assert GemminiConfig(accumulator_bytes=96 * KIB).accumulator_bank_rows == 768


def test_configurations_are_values() -> None:
    assert GemminiConfig() == GemminiConfig()
    assert len({GemminiConfig(), GemminiConfig(), GemminiConfig(dim=8)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        GemminiConfig().dim = 8


def configurations() -> st.SearchStrategy[GemminiConfig]:
    """Any configuration the generator accepts."""

    @st.composite
    def build(draw: st.DrawFn) -> GemminiConfig:
        dim = 2 ** draw(st.integers(1, 7))
        banks = 2 ** draw(st.integers(0, 3))
        accumulator_banks = 2 ** draw(st.integers(0, 2))
        return GemminiConfig(
            dim=dim,
            scratchpad_banks=banks,
            scratchpad_bytes=banks * dim * dim * 2 ** draw(st.integers(0, 6)),
            accumulator_banks=accumulator_banks,
            accumulator_bytes=accumulator_banks * 4 * dim * dim * draw(st.integers(1, 40)),
            dram_latency=draw(st.integers(1, 400)),
            weight_stationary_only=draw(st.booleans()),
            full_width_stores=draw(st.booleans()),
        )

    return build()


@given(configurations())
def test_what_the_generator_accepts_is_accepted_and_survives_json(config: GemminiConfig) -> None:
    assert GemminiConfig.from_json(config.to_json()) == config
    assert GemminiConfig.from_dict(config.to_dict()) == config
    assert config.scratchpad_bank_rows * config.scratchpad_banks * config.dim == config.scratchpad_bytes
    assert config.scratchpad_bank_rows % config.dim == config.accumulator_bank_rows % config.dim == 0


def test_left_out_fields_take_their_defaults() -> None:
    assert GemminiConfig.from_json('{"dim": 8}') == GemminiConfig(dim=8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"^hardware: is not valid JSON: .*\.$"),
        ("[]", r"^hardware: must be an object of fields, but is list\.$"),
        ('{"dmi": 8}', r"^hardware\.dmi: is not a field of a Gemmini configuration; the fields are .*\bdim\b.*\.$"),
        ('{"dim": 9}', r"^hardware\.dim: must be a power of two"),
    ],
)
def test_a_bad_description_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidHardware, match=message):
        GemminiConfig.from_json(text)


def test_unknown_preset() -> None:
    with pytest.raises(InvalidHardware, match=r"^hardware\.preset: there is no preset 'gemini'; the presets are .*gemmini-default"):
        preset("gemini")


def defines(config: GemminiConfig) -> dict[str, str]:
    return dict(re.findall(r"^#define (\w+) (\S+)$", config.to_params_h(), re.MULTILINE))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            GemminiConfig(),
            {"DIM": 16, "BANK_NUM": 4, "BANK_ROWS": 4096, "ACC_ROWS": 1024, "MAX_BYTES": 64, "MAX_BLOCK_LEN": 4, "MAX_BLOCK_LEN_ACC": 1},
        ),
        (GemminiConfig(dim=4), {"DIM": 4, "BANK_ROWS": 16384, "ACC_ROWS": 4096, "MAX_BLOCK_LEN": 16, "MAX_BLOCK_LEN_ACC": 4}),
        (GemminiConfig(dim=32), {"DIM": 32, "BANK_ROWS": 2048, "ACC_ROWS": 512, "MAX_BLOCK_LEN": 2, "MAX_BLOCK_LEN_ACC": 1}),
    ],
    ids=lambda x: "",
)
def test_parameters_header(config: GemminiConfig, expected: dict[str, int]) -> None:
    found = defines(config)
    assert {name: found[name] for name in expected} == {name: str(value) for name, value in expected.items()}


HEADER_CHECK = """
#include "gemmini_params.h"
_Static_assert(DIM * BANK_ROWS * BANK_NUM * sizeof(elem_t) == %d, "scratchpad");
_Static_assert(DIM * ACC_ROWS * sizeof(acc_t) == %d, "accumulator");
static elem_t tile[DIM] row_align(1);
elem_t f(acc_t x) { return ACC_SCALE(ROUNDING_RIGHT_SHIFT(x, 2), ACC_SCALE_IDENTITY) + MVIN_SCALE(tile[0], MVIN_SCALE_IDENTITY); }
"""


@pytest.mark.parametrize("config", [GemminiConfig(), GemminiConfig(dim=4), GemminiConfig(dim=32)], ids=lambda c: f"dim{c.dim}")
def test_parameters_header_compiles_to_the_same_machine(config: GemminiConfig, tmp_path: Path) -> None:
    (tmp_path / "gemmini_params.h").write_text(config.to_params_h())
    (tmp_path / "check.c").write_text(HEADER_CHECK % (config.scratchpad_bytes, config.accumulator_bytes))
    zig("cc", "-target", RISCV_TARGET, "-Wall", "-Werror", "-c", str(tmp_path / "check.c"), "-o", str(tmp_path / "check.o"))


def test_presets_are_listed_by_name() -> None:
    assert all(name == name.lower() and isinstance(config, GemminiConfig) for name, config in PRESETS.items())
    assert json.loads(PRESETS["gemmini-default"].to_json())["dim"] == 16


@pytest.mark.parametrize("config", [*PRESETS.values(), GemminiConfig(dim=4), GemminiConfig(dim=32, dma_max_bytes=32)])
def test_a_header_gives_the_machine_back(config: GemminiConfig) -> None:
    back = GemminiConfig.from_params_h(config.to_params_h())
    for field in ("dim", "scratchpad_bytes", "scratchpad_banks", "accumulator_bytes", "dma_max_bytes", "full_width_stores"):
        assert getattr(back, field) == getattr(config, field)


def test_machines_from_files(tmp_path: Path) -> None:
    lean = PRESETS["gemmini-lean"]
    texts = {"m.json": lean.to_json(), "m.yaml": "# lean\n" + "".join(f"{k}: {json.dumps(v)}\n" for k, v in lean.to_dict().items())}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        assert read_hardware(str(tmp_path / name)) == lean
    (tmp_path / "m.h").write_text(lean.to_params_h())
    assert read_hardware(str(tmp_path / "m.h")) == GemminiConfig(full_width_stores=False)
    (tmp_path / "m.yml").write_text("dim:\n  - 16\n")
    with pytest.raises(InvalidHardware, match=r"line 1 of the YAML is 'dim:'; plain lines"):
        read_hardware(str(tmp_path / "m.yml"))
    (tmp_path / "m.h").write_text("#define DIM (16)\n")
    with pytest.raises(InvalidHardware, match="the header does not define DIM as a number"):
        read_hardware(str(tmp_path / "m.h"))
    with pytest.raises(InvalidHardware, match=r"none\.json cannot be read: No such file or directory\."):
        read_hardware("none.json")


@pytest.mark.parametrize("name", PRESETS)
def test_the_chisel_configuration_says_the_same_as_the_c_header(name: str) -> None:
    config = preset(name)
    fields = dict(re.findall(r"^    (\w+) = (.*),$", config.to_chisel(), re.MULTILINE))
    header = GemminiConfig.from_params_h(config.to_params_h())
    assert int(fields["meshRows"]) == int(fields["meshColumns"]) == header.dim
    # The generator's formula for the rows of a bank: kb * 1024 * 8 / (banks * width in bits).
    rows = int(fields["sp_capacity"].removeprefix("CapacityInKilobytes(")[:-1]) * 8192 // (int(fields["sp_banks"]) * header.dim * 8)
    assert rows == header.scratchpad_bank_rows
    assert fields["dataflow"] == ("Dataflow.WS" if config.weight_stationary_only else "Dataflow.BOTH")
    assert fields["acc_read_full_width"] == str(header.full_width_stores).lower()
    assert config.to_chisel().count("{") == config.to_chisel().count("}")


def test_memories_below_a_kib_are_counted_in_blocks() -> None:
    config = GemminiConfig(dim=2, scratchpad_bytes=64, accumulator_bytes=2048, scratchpad_banks=4)
    fields = dict(re.findall(r"^    (\w+) = (.*),$", config.to_chisel(), re.MULTILINE))
    assert fields["sp_capacity"] == "CapacityInMatrices(16)" and fields["acc_capacity"] == "CapacityInKilobytes(2)"
    assert 16 * config.dim // config.scratchpad_banks == config.scratchpad_bank_rows  # the generator's formula
