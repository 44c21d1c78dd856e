"""The vendor's default schedules, run on the functional simulator and compared with NumPy; how many loops they are, and their fields."""

from __future__ import annotations

import library_program
import numpy as np
import pytest
from library_layers import BASE, LibraryLayer, addition_layer, convolution_layer, matmul_layer

from baco.hardware import GemminiConfig
from baco.isa import BY_NAME, decode
from baco.search.errors import InvalidSearch
from baco.search.library_commands import Schedule, convolution_commands
from baco.search.library_tiling import Pool, addition_tile, conv_tiles
from baco.sim.accelerator import Accelerator
from baco.workload import Problem
from baco.workloads.layers import convolution

CONFIG = GemminiConfig()
SMALL = GemminiConfig(dim=4, scratchpad_bytes=4096, accumulator_bytes=2048)
"""A machine so small that small layers have many tiles of every kind."""
POOL = Pool(3, 2, 1)


def run(layer: LibraryLayer, config: GemminiConfig) -> None:
    machine = Accelerator(config, layer.memory, BASE, strict=False)
    for command in layer.commands:
        machine.execute(command)
    np.testing.assert_array_equal(layer.result(), layer.expected)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [(16, 12, 20), (37, 45, 70), (1, 40, 96), (10, 9, 200), (50, 8, 24), (9, 60, 9)])
def test_products(sizes, bias):
    run(matmul_layer(*sizes, SMALL, bias=bias), SMALL)


@pytest.mark.parametrize("scales", [(1.0, 1.0), (0.5, 0.75)])
def test_sums(scales):
    run(addition_layer(50, 24, SMALL, scales=scales), SMALL)


@pytest.mark.parametrize(
    ("sizes", "pool"),
    # Input size, channels, filters, filter size, stride.
    [
        ((9, 8, 12, 3), None),
        ((12, 6, 10, 3, 2), None),
        ((10, 24, 20, 1, 2), None),
        ((20, 3, 8, 7, 2), POOL),
        ((11, 20, 5, 3), POOL),
        ((6, 60, 6, 5), None),
    ],
)
def test_convolutions(sizes, pool):
    run(convolution_layer(convolution("", *sizes), SMALL, pool=pool), SMALL)


def test_a_batch_of_dilated_convolutions():
    problem = Problem(R=3, S=3, P=6, Q=6, C=5, K=7, N=3, padding=(1, 1), dilation=(2, 2))
    run(convolution_layer(problem, SMALL, bias=False), SMALL)


@pytest.mark.parametrize(
    ("layer", "loops"),
    # GEMMINI_UARCH.md, sections 8.1, 8.2 and 11.1.
    [
        (lambda: matmul_layer(64, 64, 64, CONFIG), 1),
        (lambda: matmul_layer(128, 128, 128, CONFIG), 4),
        (lambda: matmul_layer(128, 768, 768, CONFIG), 20),
        (lambda: matmul_layer(128, 768, 3072, CONFIG), 80),
        (lambda: matmul_layer(1, 1000, 2048, CONFIG), 24),
        (lambda: convolution_layer(convolution("", 224, 3, 64, 7, 2), CONFIG, pool=POOL), 160),
        (lambda: convolution_layer(convolution("", 56, 128, 128, 3, 2), CONFIG), 96),
        (lambda: convolution_layer(convolution("", 7, 512, 512, 3), CONFIG), 25),
        (lambda: convolution_layer(convolution("", 56, 256, 512, 1, 2), CONFIG), 256),
        (lambda: addition_layer(3136, 256, CONFIG), 192),
    ],
)
def test_loops_are_the_librarys(layer, loops):
    runs = (BY_NAME["loop_ws"].funct7, BY_NAME["loop_conv_ws"].funct7)
    assert sum(command.funct7 in runs for command in layer().commands) == loops


def test_an_operand_of_two_tiles_is_loaded_once_and_pinned():
    commands = [decode(command) for command in matmul_layer(128, 128, 128, CONFIG).commands]
    pointers = [d.values for d in commands if d.instruction.name == "loop_ws_config_addrs_ab"]
    halves = [(d.values["a_spad_id"], d.values["b_spad_id"]) for d in commands if d.instruction.name == "loop_ws"]
    assert [(p["a"] != 0, p["b"] != 0) for p in pointers] == [(True, True), (False, True), (True, False), (False, False)]
    assert halves == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_tiles_of_pooled_convolutions_and_of_sums():
    assert tuple(conv_tiles(convolution("", 224, 3, 64, 7, 2), CONFIG, POOL).values()) == (1, 6, 17, 16, 7, 7, 3)
    assert addition_tile(3136, 256, CONFIG) == (49, 96)


def test_a_layer_that_the_library_has_not():
    with pytest.raises(InvalidSearch, match=r"same in both directions, not 3 x 1"):
        list(convolution_commands(Problem(R=3, P=8, Q=8), CONFIG, inputs=BASE, weights=BASE, outputs=BASE))


@pytest.mark.parametrize("order", ["NPQKRSC", "KQPNCSR", "QKNPSRC"])
def test_a_convolution_in_given_tiles(order):
    problem = convolution("", 9, 10, 12, 3)
    tile = {"N": 1, "P": 4, "Q": 3, "K": 8, "R": 1, "S": 3, "C": 6}
    layer = convolution_layer(problem, SMALL, schedule=Schedule(tile, order, reuse=False, first_layer=False))
    run(layer, SMALL)
    assert sum(BY_NAME["loop_conv_ws"].funct7 == c.funct7 for c in layer.commands) == 3 * 3 * 2 * 3 * 1 * 2


def test_a_product_in_given_tiles():
    tile = {"P": 7, "K": 12, "C": 5}  # blocks of 4: 2, 3 and 2
    layer = matmul_layer(30, 26, 21, SMALL, schedule=Schedule(tile, "KPC", reuse=False))
    run(layer, SMALL)
    assert sum(BY_NAME["loop_ws"].funct7 == c.funct7 for c in layer.commands) == 4 * 3 * 3


def test_a_layer_as_a_program():
    layer = convolution_layer(convolution("", 10, 6, 9, 3), SMALL)
    assert library_program.run(layer, SMALL).counters.instructions["loop_conv_ws"] > 1
    np.testing.assert_array_equal(layer.result(), layer.expected)
