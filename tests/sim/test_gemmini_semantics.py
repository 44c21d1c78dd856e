"""The native core against the independent reference: the same random legal streams leave the same bits everywhere."""

import numpy as np
import pytest
from command_streams import BASE, DRAM_BYTES, small_config, streams, with_scale_values
from gemmini_reference import Reference, rounding_shift, s8
from hypothesis import given, settings
from hypothesis import strategies as st

from baco.isa import encode, float_bits, local_address
from baco.sim.accelerator import Accelerator


def start(dim: int, seed: int) -> tuple[Accelerator, Reference]:
    rng = np.random.default_rng(seed)
    machine = Accelerator(small_config(dim), rng.integers(0, 256, DRAM_BYTES, dtype=np.uint8), BASE, strict=False)
    machine.scratchpad[:] = rng.integers(-128, 128, machine.scratchpad.shape)
    shift = rng.integers(0, 30, machine.accumulator.shape)
    machine.accumulator[:] = rng.integers(-(1 << 31), 1 << 31, machine.accumulator.shape) >> shift
    return machine, Reference(dim, machine.scratchpad.copy(), machine.accumulator.copy(), machine.dram.copy(), BASE)


@pytest.mark.parametrize("dim", [2, 4, 8, 16, 32, 64])
def test_random_streams_leave_the_same_memories(dim: int) -> None:
    @settings(max_examples=40 if dim <= 8 else 20 if dim <= 32 else 5, database=None)
    @given(streams(small_config(dim)), st.integers(0, 1000))
    def check(stream: list, seed: int) -> None:
        machine, reference = start(dim, seed)
        for name, fields in stream:
            machine.execute(encode(name, **fields))
            reference.execute(name, with_scale_values(fields))
        np.testing.assert_array_equal(machine.scratchpad, reference.scratchpad)
        np.testing.assert_array_equal(machine.accumulator, reference.accumulator)
        np.testing.assert_array_equal(machine.dram, reference.dram)

    check()


def test_scaling_rounds_twice_in_single_precision() -> None:
    """Accumulator values whose exact product is just beside a tie, so that any wider or fused arithmetic gives another result."""
    rng = np.random.default_rng(3)
    machine, _ = start(16, 0)
    differ_from_exact = 0
    for scale in rng.uniform(3e-8, 3e-7, 20).astype(np.float32):
        ties = rng.integers(-130, 130, (16, 16)) + 0.5
        values = np.clip(np.rint(ties / np.float64(scale)) + rng.integers(-3, 4, ties.shape), -(2**31), 2**31 - 1).astype(np.int32)
        machine.accumulator[:16] = values
        machine.execute(encode("config_st", dram_stride=16, acc_scale=float_bits(float(scale))))
        machine.execute(encode("mvout", dram=BASE, local=local_address(0, accumulator=True), local_rows=16, local_cols=16))
        stored = machine.dram[:256].view(np.int8).reshape(16, 16)
        np.testing.assert_array_equal(stored, s8(values, float(scale)))
        exact = np.clip(np.rint(values.astype(np.float64) * np.float64(scale)), -128, 127)
        differ_from_exact += int((exact != stored).sum())
    assert differ_from_exact > 100


def test_the_reference_rounds_half_to_even() -> None:
    assert s8(np.array([1, 3, 5, -1, -3]), 0.5).tolist() == [0, 2, 2, 0, -2]
    assert [rounding_shift(x, 1) for x in (1, 3, 5, -1, -3)] == [0, 2, 2, 0, -2]
    assert s8(np.array([1, -1]), float("nan")).tolist() == [-128, -128]
    assert s8(np.array([1, 1]), 1e30).tolist() == [-128, -128]
    assert s8(np.array([1000]), 1.0).tolist() == [127]


@pytest.mark.parametrize(("commands", "activation"), [((2, 4, 0), 2), ((1, 2, 3, 4, 0), 2), ((5, 7, 0), 4), ((5, 5, 6, 7, 0), 4)])
@pytest.mark.parametrize("columns", [3, 4, 10, 32])
def test_statistics_of_rows_of_many_blocks(commands: tuple[int, ...], activation: int, columns: int) -> None:
    """Only the last block of a row ends a mean, a deviation or a sum."""
    for seed in range(5):
        machine, reference = start(4, seed)
        machine.accumulator[:] = np.random.default_rng(seed).integers(-900, 900, machine.accumulator.shape)
        reference.accumulator[:] = machine.accumulator
        scale = float_bits(30.0 if activation == 2 else 1.0)
        steps = [("config_st", {"activation": activation & 3, "dram_stride": 64, "acc_scale": scale})]
        norm = {"stats_slot": 2, "activation_msb": activation >> 2, "set_stats_slot_only": 0, "qb": 500, "qc": 200_000}
        steps += [
            ("config_norm", {**norm, "constant_id": 0, "constant": 277}),
            ("config_norm", {**norm, "constant_id": 1, "constant": 236}),
        ]
        for command in commands:
            local = local_address(0, accumulator=True) | command << 26
            steps.append(("mvout", {"dram": BASE, "local": local, "local_rows": 1, "local_cols": columns}))
        for name, fields in steps:
            machine.execute(encode(name, **fields))
            reference.execute(name, with_scale_values(fields))
        np.testing.assert_array_equal(machine.dram, reference.dram)
        assert len(set(machine.dram[:columns])) > 1
