"""Strict mode: each rule refuses what breaks it, with its name; without it the same commands do as Spike does, checked by hand or there."""

import numpy as np
import pytest
from lax_streams import stream
from riscv_programs import assemble
from spike_runs import compare, found

from baco import isa
from baco.hardware import PRESETS, GemminiConfig
from baco.isa import ACCUMULATE_BIT, ACCUMULATOR_BIT, FULL_WIDTH_BIT, GARBAGE, Command, encode, float_bits
from baco.sim import Program, SimulationFault, run
from baco.sim.accelerator import Accelerator
from baco.sim.rules import BY_NAME

BASE = 0x8000_0000
ACC = ACCUMULATOR_BIT
ONE = float_bits(1.0)
SMALL = GemminiConfig(dim=4, scratchpad_bytes=64 * 16, accumulator_bytes=32 * 16)
LEAN = GemminiConfig(dim=4, scratchpad_bytes=64 * 16, accumulator_bytes=32 * 16, weight_stationary_only=True, full_width_stores=False)
SIZE = {"local_rows": 4, "local_cols": 4}

EX = ("config_ex", {"dataflow": 1, "a_stride": 1, "c_stride": 1})
OS = ("config_ex", {"dataflow": 0, "a_stride": 1, "c_stride": 1})
LD = ("config_ld", {"block_stride": 4, "scale": ONE, "dram_stride": 16})
ST = ("config_st", {"dram_stride": 16, "acc_scale": ONE})
MVIN = ("mvin", {"dram": BASE + 64, "local": 0, **SIZE})
MVOUT = ("mvout", {"dram": BASE + 4096, "local": ACC, **SIZE})
WEIGHTS = {"bd": 0, "bd_rows": 4, "bd_cols": 4}
C = {"c": ACC, "c_rows": 4, "c_cols": 4}
A = {"a": 4, "a_rows": 4, "a_cols": 4, "bd": GARBAGE}
PRELOAD, COMPUTE = ("preload", {**WEIGHTS, **C}), ("compute_preloaded", A)
ZEROS = ("loop_ws_config_addrs_dc", {"c": BASE + 4096})
LOOP = [
    *(EX, LD, ("config_ld", {**LD[1], "load_id": 1}), ST),
    ("loop_ws_config_bounds", {"i": 1, "j": 1, "k": 1}),
    ("loop_ws_config_addrs_ab", {"a": BASE + 64, "b": BASE + 256}),
    ZEROS,
    ("loop_ws_config_strides_ab", {"a_stride": 16, "b_stride": 16}),
    ("loop_ws_config_strides_dc", {"c_stride": 16}),
]
REPEATED = ("config_ld", {**LD[1], "pixel_repeats": 3})

# Rule, commands before, the command that breaks it.
CASES = [
    ("output_stationary_shift", [("config_ex", {**OS[1], "in_shift": 1}), LD, MVIN], PRELOAD),
    ("relu_order", [("config_st", {**ST[1], "activation": 1, "acc_scale": float_bits(-0.5)})], MVOUT),
    ("large_scale", [("config_st", {**ST[1], "acc_scale": float_bits(1e30)})], MVOUT),
    ("large_scale", [("config_ld", {**LD[1], "scale": float_bits(float("nan"))})], MVIN),
    ("normalisation", [], ("config_st", {**ST[1], "activation": 2})),
    ("normalisation", [], ("config_norm", {})),
    ("normalisation", [ST], ("mvout", {**MVOUT[1], "local": ACC | 1 << 26})),
    ("weights_overwritten", [EX, LD, MVIN, PRELOAD], ("mvin", {**MVIN[1], "local": 3, "dram": BASE + 128})),
    ("compute_without_preload", [EX, LD, MVIN, PRELOAD, COMPUTE], ("compute_accumulated", A)),
    ("output_stationary_stride", [("config_ex", {**OS[1], "c_stride": 2}), LD, MVIN], PRELOAD),
    ("rows_beyond_a", [EX, LD, MVIN, ("preload", {"bd": GARBAGE, **C})], ("compute_accumulated", {**A, "a_rows": 2})),
    ("rows_beyond_a", [EX, LD, MVIN, PRELOAD], ("compute_preloaded", {**A, "a_rows": 2})),
    ("move_size", [LD], ("mvin", {**MVIN[1], "local_rows": 3, "local_cols": 70})),
    ("move_size", [LD], ("mvin", {**MVIN[1], "local_rows": 0})),
    ("move_size", [ST], ("mvout", {**MVOUT[1], "local_rows": 7})),
    ("move_size", [ST], ("mvout", {**MVOUT[1], "local": ACC | FULL_WIDTH_BIT, "local_cols": 7})),
    ("operand_size", [EX, LD, MVIN], ("preload", {**WEIGHTS, **C, "bd_rows": 9, "bd_cols": 0})),
    ("operand_size", [EX, LD, MVIN, PRELOAD], ("compute_preloaded", {**A, "a_rows": 6, "a_cols": 9})),
    ("block_stride", [("config_ld", {**LD[1], "block_stride": 2})], ("mvin", {**MVIN[1], "local_cols": 8})),
    ("pool_size", [], ("config_st", {**ST[1], "pool_size": 2})),
    ("pool_size", [], ("config_st", {**ST[1], "pool_stride": 1})),
    ("keep_scale", [], ("config_st", {**ST[1], "acc_scale": 0xFFFFFFFF})),
    ("loop_placement", [*LOOP, ("loop_ws_config_addrs_ab", {"b": BASE + 256})], ("loop_ws", {})),
    ("loop_configuration", [*LOOP, ("config_ex", {**EX[1], "a_stride": 2})], ("loop_ws", {})),
    ("loop_configuration", [*LOOP, ("loop_ws_config_bounds", {"i": 0, "j": 1, "k": 1})], ("loop_ws", {})),
    ("loop_fields", LOOP, ("loop_ws", {"skip_ex": 1})),
    ("pixel_repeats", [REPEATED], ("mvin", {**MVIN[1], "local": ACC | ACCUMULATE_BIT | 8, "local_cols": 1})),
    ("pixel_repeats", [REPEATED], ("mvin", {**MVIN[1], "local": 128, "local_cols": 1})),
]


def machine(config: GemminiConfig, *, strict: bool) -> Accelerator:
    m = Accelerator(config, np.arange(1 << 14).astype(np.uint8), BASE, strict=strict)
    m.accumulator[:] = np.arange(m.accumulator.size).reshape(m.accumulator.shape)
    return m


def refused(m: Accelerator, name: str, step: tuple) -> None:
    with pytest.raises(SimulationFault) as caught:
        m.execute(encode(step[0], **step[1]))
    assert caught.value.rule is BY_NAME[name]
    assert str(caught.value).endswith(f"(Strict rule {name}.)")


@pytest.mark.parametrize(("name", "before", "step"), CASES)
def test_a_rule_holds_in_strict_mode_only(name: str, before: list, step: tuple) -> None:
    strict, lax = machine(SMALL, strict=True), machine(SMALL, strict=False)
    for command in before:
        strict.execute(encode(command[0], **command[1]))
        lax.execute(encode(command[0], **command[1]))
    refused(strict, name, step)
    lax.execute(encode(step[0], **step[1]))


@pytest.mark.parametrize(("name", "before", "step"), CASES)
def test_without_it_spike_does_the_same(name: str, before: list, step: tuple) -> None:
    dim = 4
    if not found(dim):
        pytest.skip(f"no Spike for DIM {dim}")
    start = [EX, LD, *(("config_ld", {**LD[1], "load_id": n}) for n in (1, 2)), ST]
    after = [EX, LD, MVIN, PRELOAD, COMPUTE, MVOUT] if step[0] == "preload" else []
    compare([*start, *before, step, *after], GemminiConfig(dim=4), 1)


def test_rules_of_presets() -> None:
    cases = [
        ("weight_stationary_only", [], OS),
        ("weight_stationary_only", [EX, LD, MVIN], ("preload", {**WEIGHTS, **C, "c": 8})),
        ("weight_stationary_only", [EX, LD, MVIN, PRELOAD], ("compute_preloaded", {**A, "bd": 0, "bd_rows": 4, "bd_cols": 4})),
        ("full_width_stores", [ST], ("mvout", {**MVOUT[1], "local": ACC | FULL_WIDTH_BIT})),
    ]
    for name, before, step in cases:
        strict, lax = machine(LEAN, strict=True), machine(LEAN, strict=False)
        for command in before:
            strict.execute(encode(command[0], **command[1]))
            lax.execute(encode(command[0], **command[1]))
        refused(strict, name, step)
        lax.execute(encode(step[0], **step[1]))
    assert {c.dim for c in PRESETS.values() if c.weight_stationary_only} == {16, 32}


@pytest.mark.parametrize(("dim", "dataflow", "fits"), [(16, 1, True), (32, 1, False), (4, 0, False)])
def test_the_mesh_carries_20_bits(dim: int, dataflow: int, fits: bool) -> None:
    """16 products of -128 by -128 and a bias fit; 32 do not, nor does a long output-stationary chain."""
    config = GemminiConfig(dim=dim)
    results = []
    for strict in (True, False):
        m = Accelerator(config, strict=strict)
        m.scratchpad[: 2 * dim] = -128
        size = {"rows": dim, "cols": dim}
        m.execute(encode("config_ex", dataflow=dataflow, a_stride=1, c_stride=1))
        a = {"a": dim, **{f"a_{k}": v for k, v in size.items()}}
        b = {"bd": 0, **{f"bd_{k}": v for k, v in size.items()}}
        c = {"c": ACC, **{f"c_{k}": v for k, v in size.items()}}
        try:
            if dataflow:
                m.execute(encode("preload", **b, **c))
                m.execute(encode("compute_preloaded", **a, bd=GARBAGE))
            else:
                for step in range(9):
                    m.execute(encode("preload", bd=GARBAGE, **(c if step == 8 else {"c": GARBAGE})))
                    m.execute(encode("compute_accumulated" if step else "compute_preloaded", **a, **b))
            results.append(int(m.accumulator[0, 0]))
        except SimulationFault as fault:
            assert fault.rule is BY_NAME["mesh_width"]
            results.append(None)
    exact = dim * 128 * 128 * (1 if dataflow else 9)
    assert results == [exact if fits else None, exact]


def test_rules_of_the_instruction_word() -> None:
    program = Program(assemble("  li a0, 0\n  li a1, 0\n  .insn r CUSTOM_3, 3, 127, x0, a0, a1\n  li a0, 3\n"))
    assert run(program, SMALL, [], strict=False).exit_code == 3
    with pytest.raises(SimulationFault, match="hang") as caught:
        run(program, SMALL, [], strict=True)
    assert caught.value.rule is BY_NAME["fence_command"]
    assert caught.value.line is not None
    # Without xs2, the second operand is all ones: a store configuration with the longest stride and a NaN for a scale.
    program = Program(assemble(f"  li a0, {ST[1]['dram_stride'] * 0 + 2}\n  .insn r CUSTOM_3, 2, 0, x0, a0, a1\n  li a0, 4\n"))
    assert run(program, SMALL, [], strict=False).exit_code == 4
    with pytest.raises(SimulationFault, match="funct3 2") as caught:
        run(program, SMALL, [], strict=True)
    assert caught.value.rule is BY_NAME["register_flags"]


def test_every_rule_is_tested() -> None:
    elsewhere = {"mesh_width", "weight_stationary_only", "full_width_stores", "fence_command", "register_flags", "loop_size"}
    assert {name for name, _, _ in CASES} | elsewhere == set(BY_NAME)


def test_bias_rows_beyond_half_a_memory() -> None:
    """loop_size: a convolution whose tile takes more than half of the accumulator, but fits the whole."""
    fields = [
        ("loop_conv_ws_config_1", {"batch_size": 1, "in_row_dim": 5, "in_channels": 1, "out_channels": 4, "out_row_dim": 5, "stride": 1}),
        ("loop_conv_ws_config_2", {"kernel_dim": 1, "pochs": 4, "batches": 1, "pool_out_col_dim": 5, "porows": 5, "pocols": 4}),
        ("loop_conv_ws_config_3", {"kchs": 1, "kcols": 1, "krows": 1, "in_col_dim": 5}),
        ("loop_conv_ws_config_4", {"kernel_dilation": 1, "orows": 5, "ocols": 4, "out_stride": 4, "weight_stride": 4, "in_stride": 1}),
        ("loop_conv_ws_config_5", {"weights": BASE + 64}),
        ("loop_conv_ws_config_6", {"bias": BASE + 128, "input": BASE + 256}),
    ]
    for strict in (True, False):
        m = machine(SMALL, strict=strict)
        for name, values in [EX, ST, *fields]:
            m.execute(encode(name, **values))
        if strict:
            refused(m, "loop_size", ("loop_conv_ws", {"no_pool": 1}))
        else:
            m.execute(encode("loop_conv_ws", no_pool=1))
            weights, image = m.dram[64:68].view(np.int8).astype(np.int32), m.dram[256:281].view(np.int8).reshape(5, 5)[:, :4]
            bias = m.dram[128:144].view(np.int32)
            expected = image.reshape(-1, 1).astype(np.int32) * weights + bias
            np.testing.assert_array_equal(m.accumulator[:20], expected)


def test_random_commands_break_only_named_rules() -> None:
    """What strict mode refuses by a rule is not refused without it, unless Spike would stop there too, for a reason without a rule."""
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(300):
        strict, lax = machine(SMALL, strict=True), machine(SMALL, strict=False)
        for name, fields in (EX, LD, ST):
            strict.execute(encode(name, **fields))
            lax.execute(encode(name, **fields))
        for _ in range(6):
            command = _random_command(rng)
            try:
                strict.execute(command)
            except SimulationFault as fault:
                seen.add(fault.rule and fault.rule.name)
                if fault.rule is None:
                    with pytest.raises(SimulationFault):
                        lax.execute(command)
                break
            lax.execute(command)
            np.testing.assert_array_equal(strict.accumulator, lax.accumulator)
    assert {"move_size", "operand_size", None} <= seen


def _random_command(rng: np.random.Generator) -> Command:
    instruction = isa.BY_NAME[rng.choice(["mvin", "mvout", "preload", "compute_preloaded", "config_ld", "config_ex"])]
    values = {}
    for f in instruction.fields:
        high = {"dram": 0, "load_id": 2, "dram_stride": 40, "in_shift": 31}.get(f.name, 6 if f.name.endswith(("rows", "cols")) else 20)
        values[f.name] = int(rng.integers(0, min(high, f.maximum) + 1))
    if "dram" in values:
        values["dram"] = BASE + 4096
    return encode(instruction.name, **values)


def _compare_lax_streams(seeds: range) -> None:
    for seed in seeds:
        config = GemminiConfig(dim=(4, 8, 16)[seed % 3])
        if not found(config.dim):
            pytest.skip(f"no Spike for DIM {config.dim}")
        compare(stream(config, np.random.default_rng(seed)), config, seed)


def test_streams_that_break_rules_do_the_same_on_spike() -> None:
    _compare_lax_streams(range(6))


@pytest.mark.long
def test_many_streams_that_break_rules_do_the_same_on_spike() -> None:
    _compare_lax_streams(range(6, 600))


def test_random_streams_break_most_rules() -> None:
    """So that the comparison above means something."""
    broken = set()
    for seed in range(60):
        machine = Accelerator(SMALL, np.zeros(1 << 15, np.uint8), BASE, strict=True)
        for name, fields in stream(SMALL, np.random.default_rng(seed)):
            try:
                machine.execute(encode(name, **fields))
            except SimulationFault as fault:
                broken.add(fault.rule and fault.rule.name)
    expected = {"block_stride", "compute_without_preload", "large_scale", "move_size", "normalisation", "operand_size", "pool_size"}
    expected |= {"output_stationary_shift", "output_stationary_stride", "relu_order", "rows_beyond_a", "weights_overwritten"}
    assert expected <= broken
