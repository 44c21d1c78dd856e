"""The benchmarks that set RTL cycles beside others: how rows of FireSim's table are read and chosen, and what the figures are."""

from __future__ import annotations

import sys
from dataclasses import replace

import firesim
import numpy as np
import pytest
import resnet50_model
from scatter import scatter

from baco.sim.accelerator import Accelerator

SIZES = {"R": 3, "S": 1, "P": 8, "Q": 6, "C": 12, "K": 8, "N": 1}


def row(mapping: str, cycles: int = 10_000, number: int = 0, **sizes: int) -> firesim.Row:
    fields = {f"prob.{d}": str(size) for d, size in {**SIZES, **sizes}.items()}
    fields |= {"prob.Hstride": "1", "prob.Wstride": "1", "mapping.mapping": mapping, "target.gemmini_cycle": f"{cycles}.0"}
    return firesim.read(fields, number)


CONVOLUTION = "L3[WIO] K2 P4 C2 - L2[WI] N1 K4X - L1[O] R3 C2 Q6 C3X - L0[W] P2"
PRODUCT = "L3[WIO] C3 P4 - L2[WI] N1 K8X - L1[O] N1 C4X - L0[W] P2"


def test_a_convolution_is_read_with_its_image_turned():
    read = row(CONVOLUTION)
    assert (read.kind, read.side, read.tiles, read.cycles) == ("convolution", 4, 16, 10_000)
    assert (read.problem.R, read.problem.S, read.problem.P, read.problem.Q) == (1, 3, 6, 8)
    assert {d: size for d, size in read.tile.items() if size > 1} == {"S": 3, "P": 6, "Q": 2, "C": 6, "K": 4}
    assert read.order.endswith("KQC")


def test_a_product_keeps_its_rows():
    read = row(PRODUCT, R=1, Q=1)
    assert (read.kind, read.side, read.tiles) == ("product", 8, 2)  # two blocks of 8 of the 12 in depth
    assert (read.problem.P, read.tile["P"], read.order[-2:]) == (8, 2, "CP")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"mapping": CONVOLUTION.replace("C3X", "C32X")}, "spatial factors above 16"),
        ({"cycles": 100}, "fewer cycles"),
        ({}, "not square"),
        (
            {"P": 80, "Q": 80, "mapping": CONVOLUTION.replace("P4", "P1").replace("P2", "P80").replace("Q6", "Q80"), "cycles": 200_000},
            "half of a memory",
        ),
        ({"P": 6, "mapping": CONVOLUTION.replace("P4", "P3"), "cycles": 6_000_000}, "more than"),
        ({"P": 6, "mapping": CONVOLUTION.replace("P4", "P3")}, ""),
    ],
)
def test_rows_that_are_left_out(changed, reason):
    why = firesim.why_not(row(**{"mapping": CONVOLUTION, **changed}))
    assert reason in why if reason else why == ""


def test_rows_are_chosen_evenly_by_rank(monkeypatch):
    monkeypatch.setattr(firesim, "CHOSEN", {("convolution", 4): 3})
    rows = [row(CONVOLUTION, cycles, number) for number, cycles in enumerate((50, 10, 40, 20, 30))]
    assert [r.cycles for r in firesim.choose(rows)] == [10, 30, 50]


@pytest.mark.parametrize("read", [row(CONVOLUTION.replace("R3", "S3"), R=1, S=1, P=6), row(PRODUCT.replace("C3 P4", "P4 C3"), R=1, Q=1)])
def test_rebuilt_rows_compute_their_layers(read):
    """With sums innermost, as the rebuilt programs are right only then; on a filter of one tap, as the library wants square ones."""
    read = replace(read, tile=read.tile | {"R": 1, "S": 1})
    layer = firesim.layer_of(read, read.config)
    machine = Accelerator(read.config, layer.memory, firesim.BASE, strict=False)
    for command in layer.commands:
        machine.execute(command)
    np.testing.assert_array_equal(layer.result(), layer.expected)
    assert len(layer.commands) // firesim.LOOP_COMMANDS[read.kind] == read.tiles


def test_rank_correlation():
    assert firesim.spearman([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1)
    assert firesim.spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1)
    # Ranks 0, 1.5, 1.5, 3 and 0, 1, 2, 3, by hand: 4.5 / sqrt(4.5 * 5).
    assert firesim.spearman([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(4.5 / np.sqrt(22.5))


def test_without_the_table_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["firesim.py", "--data", "/nowhere/table.csv"])
    assert firesim.main() == 0
    assert "skipped: there is no table" in capsys.readouterr().out


def test_a_picture_stands_by_itself():
    picture = scatter([("a & b", [(10.0, 20.0, "x < y")])], "there", "here", "label")
    assert picture.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "a &amp; b" in picture
    assert picture.count("<circle") == 2  # the point and its legend


def test_the_summary_of_predicted_and_measured():
    line = {"layer": "a", "count": 2, "instructions": "loops", "status": "ok", "predicted_cycles": 100, "predicted_bound": "dram"}
    line |= {"device": 200, "whole": 300, "bytes_read": 320, "reads": 10, "cache_misses": 5}
    lines = [line, line | {"layer": "b", "count": 1, "device": 800}, line | {"layer": "c", "status": "cannot"}]
    said = resnet50_model.summary(lines)
    assert "loops: 2 layers, measured / predicted 4.00 (geometric mean), 2.00 to 8.00; mean error of the prediction 69 %" in said
    assert "the 3 layers of the network: 300 cycles predicted, 1,200 measured on the device, 900 whole" in said
    assert "each layer in its quicker form: 1,200 cycles on the device for 3 layers" in said
    assert "| a | 2 | 100 | dram | - | 200 | - | 2.00 | -; 32 | -; 1.6 |" in resnet50_model.table(lines)
