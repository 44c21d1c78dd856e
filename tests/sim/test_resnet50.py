"""A whole quantised ResNet as one program, in loop instructions and in primitive ones: NumPy's results, and Spike's memory."""

import numpy as np
import pytest
import simulator
from resnet50_loops import compile_with_loops
from resnet50_network import make, steps
from resnet50_primitive import compile_with_primitives
from resnet50_program import Inference
from spike_runs import found

from baco.hardware import GemminiConfig

DIMS = (4, 8, 16, 32)
SMALL = {"size": 32, "blocks": (1, 1), "widths": (16, 32), "classes": 40}
"""A network with every kind of step, and partial tiles of all of them."""


def check(inference: Inference) -> None:
    memory, result = inference.run()
    assert not list(inference.wrong(memory))
    assert inference.network.tensors["logits"].std() > 10
    assert result.exit_code == 0
    if found(inference.compiled.config.dim):
        np.testing.assert_array_equal(memory, inference.run("spike")[0])


@pytest.mark.parametrize("dim", DIMS)
def test_loop_instructions(dim: int) -> None:
    check(compile_with_loops(make(steps(**SMALL), seed=dim), GemminiConfig(dim=dim)))


def test_primitive_instructions() -> None:
    network = make(steps(**SMALL), biased=False)
    check(compile_with_primitives(network, GemminiConfig(), simulator.best_mappings(network.steps)))


@pytest.mark.long
@pytest.mark.parametrize("kind", simulator.PROGRAMS)
def test_resnet50(kind: str) -> None:
    check(simulator.PROGRAMS[kind]())
