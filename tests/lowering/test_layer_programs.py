"""Any mapping of any layer becomes a program that computes the layer and moves exactly the words that the model predicts."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layer_cases import cases, convolution, tensors

from baco.hardware import GemminiConfig
from baco.lowering.mapping_program import compile_mapping
from baco.perfmodel import predict
from baco.workload import InvalidMapping, Mapping, Problem


def requantised(x: np.ndarray, scale: float) -> np.ndarray:
    return np.clip(np.rint(x.astype(np.float32) * np.float32(scale)), 0, 127).astype(np.int8)


def check(problem: Problem, mapping: Mapping, config: GemminiConfig) -> None:
    """The outputs equal NumPy's, and every counter equals the prediction."""
    inputs, weights = tensors(problem)
    outputs, result = compile_mapping(problem, mapping, config, scale=0.01, relu=True).run(inputs, weights)
    np.testing.assert_array_equal(outputs, requantised(convolution(problem, inputs, weights), 0.01))
    assert predict(problem, mapping).differences(result.counters.traffic) == []


@st.composite
def on_a_machine(draw):
    dim = draw(st.sampled_from([4, 8, 16, 32]))
    config = GemminiConfig(dim=dim)
    problem, mapping = draw(cases(dim, ragged=draw(st.booleans())))
    assume(not mapping.violations(problem, config))
    return problem, mapping, config


@settings(max_examples=25)
@given(on_a_machine())
def test_random_mappings(case) -> None:
    check(*case)


@pytest.mark.long
@settings(max_examples=600)
@given(on_a_machine())
def test_many_random_mappings(case) -> None:
    check(*case)


@pytest.mark.parametrize(
    ("problem", "mapping"),
    [
        (Problem(P=56, Q=56, C=64, K=64), "L3[WIO] P14 - L2[WI] N1 K16X - L1[O] K4 C4 C16X - L0[W] Q56 P4"),
        (Problem(P=28, Q=28, C=256, K=512, stride=(2, 2)), "L3[WIO] K16 C4 P4 - L2[WI] N1 K16X - L1[O] K2 C4 C16X - L0[W] P7 Q28"),
        (Problem(C=2048, K=1000), "L3[WIO] K25 C8 - L2[WI] N1 K10X - L1[O] K4 C16 C16X - L0[W] N1"),
        (
            Problem(R=3, S=3, P=14, Q=14, C=64, K=32, padding=(1, 1)),
            "L3[WIO] R3 C2 K2 P2 - L2[WI] N1 K16X - L1[O] S3 C2 C16X - L0[W] Q14 P7",
        ),
    ],
    ids=["1x1", "strided 1x1, partial sums", "fully connected", "3x3, partial sums"],
)
def test_layers_at_real_size(problem: Problem, mapping: str) -> None:
    check(problem, Mapping.parse(mapping), GemminiConfig())


def test_partial_sums_wait_for_their_store() -> None:
    compiled = compile_mapping(
        Problem.gemm(8, 32, 32), Mapping.parse("L3[WIO] C2 K2 - L2[WI] N1 K16X - L1[O] C16X - L0[W] P8"), GemminiConfig()
    )
    text = compiled.asm["instgem"]
    assert text.index("instgem.fence") < text.index("instgem.mvin3")


def test_a_mapping_that_does_not_fit_is_refused() -> None:
    mapping = Mapping.parse("L3[WIO] N1 - L2[WI] N1 K32X - L1[O] C32X - L0[W] P8")
    with pytest.raises(InvalidMapping, match=r"spatial C=32 is larger than the array's side, DIM=16"):
        compile_mapping(Problem.gemm(8, 32, 32), mapping, GemminiConfig())
