"""Counters against tables made by hand."""

import numpy as np
import pytest

from baco.hardware import GemminiConfig
from baco.isa import GARBAGE, encode, float_bits, local_address
from baco.sim.accelerator import Accelerator
from baco.traffic import PLACES, Traffic

BASE = 0x8000_0000
ONE = float_bits(1.0)
SIZE = {"local_rows": 3, "local_cols": 5}
ACC = local_address(2, accumulator=True)
ACC_ADD = local_address(2, accumulator=True, accumulate=True)
ACC_FULL = local_address(2, accumulator=True, full_width=True)


def machine(dataflow: int = 1, strict: bool = True) -> Accelerator:
    m = Accelerator(GemminiConfig(dim=8, scratchpad_bytes=4096, accumulator_bytes=4096), np.zeros(4096, np.uint8), BASE, strict=strict)
    m.execute(encode("config_ex", dataflow=dataflow, a_stride=1, c_stride=1))
    for load_id in range(3):
        m.execute(encode("config_ld", load_id=load_id, block_stride=8, scale=ONE, dram_stride=64))
    m.execute(encode("config_st", dram_stride=64, acc_scale=ONE))
    return m


def traffic(macs: int = 0, **figures: int) -> Traffic:
    """Traffic with the named figures, such as ``reads_dram_inputs=15``, and zero elsewhere."""
    t = Traffic(macs=macs)
    for level, tensor in PLACES:
        t.reads[level, tensor] = figures.pop(f"reads_{level}_{tensor}", 0)
        t.writes[level, tensor] = figures.pop(f"writes_{level}_{tensor}", 0)
    assert not figures
    return t


def check(m: Accelerator, expected: Traffic, read: int = 0, written: int = 0) -> None:
    assert m.counters.traffic.differences(expected) == []
    assert (m.counters.dram_bytes_read, m.counters.dram_bytes_written) == (read, written)


@pytest.mark.parametrize(
    ("name", "fields", "expected", "read", "written"),
    [
        ("mvin", {"dram": BASE, "local": 0}, {"reads_dram_inputs": 15, "writes_scratchpad_inputs": 15}, 15, 0),
        ("mvin2", {"dram": BASE, "local": 0}, {"reads_dram_weights": 15, "writes_scratchpad_weights": 15}, 15, 0),
        ("mvin3", {"dram": BASE, "local": 0}, {"reads_dram_inputs": 15, "writes_scratchpad_inputs": 15}, 15, 0),
        ("mvin2", {"dram": 0, "local": 0}, {"writes_scratchpad_weights": 15}, 0, 0),
        ("mvin3", {"dram": BASE, "local": ACC}, {"reads_dram_outputs": 15, "writes_accumulator_outputs": 15}, 60, 0),
        ("mvin2", {"dram": 0, "local": ACC}, {"writes_accumulator_outputs": 15}, 0, 0),
        (
            "mvin",
            {"dram": BASE, "local": ACC_ADD},
            {"reads_dram_outputs": 15, "writes_accumulator_outputs": 15, "reads_accumulator_outputs": 15},
            60,
            0,
        ),
        ("mvout", {"dram": BASE, "local": ACC}, {"reads_accumulator_outputs": 15, "writes_dram_outputs": 15}, 0, 15),
        ("mvout", {"dram": BASE, "local": ACC_FULL}, {"reads_accumulator_outputs": 15, "writes_dram_outputs": 15}, 0, 60),
        ("mvout", {"dram": BASE, "local": 0}, {"reads_scratchpad_inputs": 15, "writes_dram_outputs": 15}, 0, 15),
    ],
)
def test_moves(name: str, fields: dict, expected: dict, read: int, written: int) -> None:
    m = machine()
    m.execute(encode(name, **fields, **SIZE))
    check(m, traffic(**expected), read, written)


def run_pair(m: Accelerator, bd: int, c: int, a: int, d: int, name: str = "compute_preloaded") -> None:
    """B or D is 5x7, A is 3x5, C is 3x6; the compute's second operand is 5x4 (and so has 4 columns)."""
    m.execute(encode("preload", bd=bd, bd_rows=5, bd_cols=7, c=c, c_rows=3, c_cols=6))
    m.execute(encode(name, a=a, a_rows=3, a_cols=5, bd=d, bd_rows=5, bd_cols=4))


def test_weight_stationary_compute() -> None:
    m = machine()
    run_pair(m, bd=0, c=ACC, a=8, d=GARBAGE)
    expected = {
        "reads_scratchpad_weights": 35,
        "writes_registers_weights": 35,
        "reads_scratchpad_inputs": 15,
        "reads_registers_weights": 90,
        "writes_accumulator_outputs": 18,
    }
    check(m, traffic(90, **expected))
    assert m.counters.instructions == {"config_ex": 1, "config_ld": 3, "config_st": 1, "preload": 1, "compute_preloaded": 1}
    run_pair(m, bd=GARBAGE, c=ACC_ADD, a=8, d=16, name="compute_accumulated")
    expected["reads_scratchpad_inputs"] += 15 + 20
    expected["reads_registers_weights"] += 90
    expected["writes_accumulator_outputs"] += 18
    expected["reads_accumulator_outputs"] = 18
    check(m, traffic(180, **expected))


def test_weight_stationary_compute_into_the_scratchpad_or_nowhere() -> None:
    m = machine()
    run_pair(m, bd=GARBAGE, c=40, a=8, d=GARBAGE)
    check(m, traffic(90, reads_scratchpad_inputs=15, reads_registers_weights=90, writes_scratchpad_inputs=18))
    m = machine()
    run_pair(m, bd=0, c=GARBAGE, a=GARBAGE, d=GARBAGE)
    check(m, traffic(reads_scratchpad_weights=35, writes_registers_weights=35))
    m = machine()
    run_pair(m, bd=GARBAGE, c=GARBAGE, a=8, d=GARBAGE)
    check(m, traffic(reads_scratchpad_inputs=15))


def test_output_stationary_compute() -> None:
    m = machine(dataflow=0)
    run_pair(m, bd=0, c=GARBAGE, a=8, d=16)
    check(m, traffic(60, reads_scratchpad_inputs=35 + 15, reads_scratchpad_weights=20))
    run_pair(m, bd=GARBAGE, c=ACC, a=8, d=GARBAGE, name="compute_accumulated")
    check(m, traffic(60, reads_scratchpad_inputs=35 + 30, reads_scratchpad_weights=20, writes_accumulator_outputs=18))


def test_a_pooling_store_reads_each_pixel_once_a_window() -> None:
    m = machine()
    image = {"pool_out_dim": 2, "pool_out_rows": 2, "pool_out_cols": 2, "out_rows": 3, "out_cols": 3}
    m.execute(encode("config_st", dram_stride=8, acc_scale=ONE, pool_stride=1, pool_size=2, **image))
    m.execute(encode("mvout", dram=BASE, local=ACC, local_cols=5))
    check(m, traffic(reads_accumulator_outputs=4 * 4 * 5, writes_dram_outputs=4 * 5), 0, 20)
    m = machine()
    m.execute(encode("config_st", dram_stride=8, acc_scale=ONE, pool_stride=2, pool_size=2, pool_upper_pad=1, pool_left_pad=1, **image))
    m.execute(encode("mvout", dram=BASE, local=3, local_cols=5))
    # 16 window places, of which 3 + 2 + 2 + 0 are in the padding.
    check(m, traffic(reads_scratchpad_inputs=9 * 5, writes_dram_outputs=4 * 5), 0, 20)


def test_a_statistics_store_writes_nothing() -> None:
    m = machine(strict=False)
    m.execute(encode("mvout", dram=0, local=ACC | 1 << 26, **SIZE))
    check(m, traffic(reads_accumulator_outputs=15))


def test_a_repeated_load_reads_once() -> None:
    m = machine()
    m.execute(encode("config_ld", block_stride=8, scale=ONE, dram_stride=64, pixel_repeats=2))
    m.execute(encode("mvin", dram=BASE, local=1, local_rows=3, local_cols=4))
    check(m, traffic(reads_dram_inputs=12, writes_scratchpad_inputs=24), 12, 0)
    # There is no row above row 0.
    m.execute(encode("mvin", dram=BASE, local=0, local_rows=3, local_cols=4))
    check(m, traffic(reads_dram_inputs=24, writes_scratchpad_inputs=24 + 20), 24, 0)
