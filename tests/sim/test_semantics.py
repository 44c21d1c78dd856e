"""The native core against the independent reference: the same random legal streams leave the same bits everywhere."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baco.isa import encode
from baco.sim.accelerator import Accelerator

from .reference import Reference, rounding_shift, s8
from .streams import BASE, DRAM_BYTES, small_config, streams, with_scale_values


def start(dim: int, seed: int) -> tuple[Accelerator, Reference]:
    rng = np.random.default_rng(seed)
    machine = Accelerator(small_config(dim), rng.integers(0, 256, DRAM_BYTES, dtype=np.uint8), BASE)
    machine.scratchpad[:] = rng.integers(-128, 128, machine.scratchpad.shape)
    shift = rng.integers(0, 30, machine.accumulator.shape)
    machine.accumulator[:] = rng.integers(-(1 << 31), 1 << 31, machine.accumulator.shape) >> shift
    return machine, Reference(dim, machine.scratchpad.copy(), machine.accumulator.copy(), machine.dram.copy(), BASE)


@pytest.mark.parametrize("dim", [2, 4, 8, 16, 32])
def test_random_streams_leave_the_same_memories(dim: int) -> None:
    @settings(max_examples=60 if dim <= 8 else 25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
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


def test_the_reference_rounds_half_to_even() -> None:
    assert s8(np.array([1, 3, 5, -1, -3]), 0.5).tolist() == [0, 2, 2, 0, -2]
    assert [rounding_shift(x, 1) for x in (1, 3, 5, -1, -3)] == [0, 2, 2, 0, -2]
    assert s8(np.array([1, -1]), float("nan")).tolist() == [-128, -128]
    assert s8(np.array([1, 1]), 1e30).tolist() == [-128, -128]
    assert s8(np.array([1000]), 1.0).tolist() == [127]
