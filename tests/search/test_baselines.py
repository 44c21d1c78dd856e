"""Known machines: the library's tiles against those its own code was seen to choose, and the accounts of Eyeriss and NVDLA."""

from __future__ import annotations

import math

import pytest
from small import NETWORK

from baco.hardware import GemminiConfig
from baco.perfmodel import Constants, Machine, evaluate
from baco.search import eyeriss
from baco.search.baselines import NVDLA_LARGE, NVDLA_SMALL, best_choices, default_machine, known_machines
from baco.search.goals import RULES
from baco.search.library_tiling import conv_tiles, library_layer, matmul_tiles
from baco.search.spaces import PaperSpace
from baco.search.tilings import RAGGED, as_searched
from baco.workload import Problem
from baco.workloads import network
from baco.workloads.layers import convolution

CONFIG = GemminiConfig()


@pytest.mark.parametrize(
    ("sizes", "tile"),
    # What the C library itself chooses on the default machine, in blocks of 16 (i, j, k).
    [
        ((64, 64, 64), (4, 4, 4)),
        ((128, 128, 128), (5, 6, 8)),
        ((512, 512, 512), (5, 6, 32)),
        ((128, 768, 3072), (5, 5, 51)),
        ((3136, 64, 64), (8, 4, 4)),
        ((49, 2048, 512), (4, 8, 32)),
        ((49, 512, 2048), (4, 6, 51)),
        ((1, 1000, 2048), (1, 8, 56)),
    ],
)
def test_matmul_tiles_are_the_librarys(sizes, tile):
    assert matmul_tiles(*sizes, CONFIG) == tile


@pytest.mark.parametrize(
    ("layer", "batch", "tile"),
    # Batch, output row and column, output channels, filter row and column, input channels.
    [
        ((56, 64, 64, 3, 1), 1, (1, 22, 23, 16, 3, 3, 64)),
        ((56, 128, 128, 3, 2), 1, (1, 22, 23, 16, 3, 3, 48)),
        ((14, 256, 256, 3, 1), 1, (1, 14, 14, 32, 3, 3, 240)),
        ((7, 512, 512, 3, 1), 1, (1, 7, 7, 112, 3, 3, 119)),
        ((56, 256, 512, 1, 2), 1, (1, 22, 23, 16, 1, 1, 240)),
        ((56, 64, 64, 3, 1), 4, (4, 8, 16, 16, 3, 3, 64)),
        ((14, 256, 256, 3, 1), 4, (4, 9, 14, 16, 3, 3, 144)),
    ],
)
def test_convolution_tiles_are_the_librarys(layer, batch, tile):
    size, channels, filters, kernel, stride = layer
    p = convolution("", size, channels, filters, kernel, stride)
    problem = Problem(**p.sizes | {"N": batch}, stride=p.stride, padding=p.padding)
    assert tuple(conv_tiles(problem, CONFIG).values()) == tile


@pytest.mark.parametrize("name", ["resnet50", "bert", "mobilenetv2", "deepbench-ocr", "vit-b16"])
def test_the_default_machine_holds_what_stands_for_the_library(name):
    for layer in network(name).layers:
        problem, mapping = library_layer(layer.problem, CONFIG)
        assert mapping.violations(problem, CONFIG, buffers=2) == []
        assert problem.macs == layer.problem.macs


@pytest.mark.parametrize(
    ("problem", "words", "tiles"),
    [
        (Problem.gemm(197, 768, 3072), {"P": 80, "K": 80, "C": 816}, {"P": 3, "K": 10, "C": 4}),
        (Problem.gemm(1, 1000, 2048), {"P": 1, "K": 128, "C": 896}, {"P": 1, "K": 8, "C": 3}),
        (convolution("", 7, 512, 512, 3, 1), {"P": 7, "K": 112, "C": 112}, {"P": 1, "K": 5, "C": 5}),  # it takes 119 channels
    ],
)
def test_mappings_of_the_librarys_tiles_end_where_the_layer_ends(problem, words, tiles):
    layer, mapping = library_layer(problem, CONFIG)
    held, there = mapping.held(layer), mapping.tiles(2, layer)
    assert {d: held[d] for d in words} == words and {d: there[d] for d in tiles} == tiles


def test_a_good_mapper_beats_the_library_on_its_own_machine():
    best = default_machine(as_searched(NETWORK, RAGGED), tilings=RAGGED)
    known = {machine.label: machine for machine in known_machines(NETWORK, RULES, Constants())}
    assert set(known) == {"gemmini-default, its library's tiles", "nvdla-small", "nvdla-large", "eyeriss"}
    assert best.edp <= known["gemmini-default, its library's tiles"].edp
    for machine in known.values():
        assert machine.energy_uj > 0 and machine.cycles > 0 and machine.area_mm2 > 0


@pytest.mark.parametrize("machine", [NVDLA_SMALL, NVDLA_LARGE])
def test_nvdla_holds_its_mappings_and_is_scored_exactly(machine):
    for layer, choice in zip(NETWORK.layers, best_choices(NETWORK, machine, PaperSpace(), RULES), strict=True):
        mapping = choice.mapping(layer.problem)
        assert mapping.violations(layer.problem) == []
        assert mapping.spatial_c <= machine.side and mapping.spatial_k <= (machine.columns or machine.side)
        tile = mapping.tile(2)
        words = layer.problem.tile_words("weights", tile) + layer.problem.tile_words("inputs", tile)
        assert words <= machine.scratchpad_kib * 1024
        assert mapping.accumulator_rows(layer.problem) * 4 * (machine.columns or machine.side) <= machine.accumulator_kib * 1024
        assert evaluate(layer.problem, mapping, machine).cycles >= layer.problem.macs / machine.elements


def test_a_machine_that_is_not_square():
    assert (NVDLA_LARGE.elements, NVDLA_LARGE.accumulator_kib_per_column) == (1024, 1.0)
    assert Machine(16, 8, 4).elements == 256


@pytest.mark.parametrize("problem", [layer.problem for layer in NETWORK.layers], ids=lambda p: p.name)
def test_eyeriss_does_no_less_than_it_must(problem):
    tensors = sum(problem.tile_words(tensor, problem.sizes) for tensor in ("weights", "inputs", "outputs"))
    found = list(eyeriss.mappings(problem))
    assert found
    for moves in found:
        assert moves.cycles >= problem.macs / (eyeriss.ROWS * eyeriss.COLUMNS)
        assert moves.registers >= 4 * problem.macs
        assert moves.dram >= tensors
    assert min(moves.dram for moves in found) == tensors


def test_eyeriss_by_hand():
    # A 3x3 filter on 4 rows of 4 outputs, 2 channels, 2 filters: one pass does it all, with r = 2 sets of 3 x 4 and t = 2 filters in turn.
    problem = Problem(R=3, S=3, P=4, Q=4, C=2, K=2)
    fastest = min(eyeriss.mappings(problem), key=lambda m: (m.cycles, m.dram))
    # Four sets of 3 x 4 elements fit 12 x 14, so all 4 channel pairs run side by side: Q x S cycles.
    assert fastest.cycles == 4 * 3
    weights, inputs, outputs = 36, 2 * 6 * 6, 32
    assert fastest.dram == weights + inputs + outputs
    assert fastest.buffer == 2 * inputs + 2 * outputs  # loaded and read once; sums written once, read once on the way out
    filled = 3 * 4 * 4 * 6 + 4 * 3 * 3 * 4  # input rows of 6 to 12 elements of 4 sets, filter rows of 3 to the same
    assert fastest.registers == 4 * problem.macs + filled
    assert math.isclose(eyeriss.on_network(NETWORK, Constants()).area_mm2, (168 * 453.125 + (108 + 54.46875) * 2125) * 1e-6)
