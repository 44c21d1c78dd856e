"""Mappings whose tiles are done by loop_ws and loop_conv_ws: right results, equal DRAM traffic, and what differs on the chip."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layer_cases import cases, convolution, factorings, tensors

from baco.hardware import GemminiConfig
from baco.lowering.errors import CompilationError, UnsupportedOperation
from baco.lowering.mapping_program import CompiledMapping, compile_mapping
from baco.perfmodel import predict
from baco.sim import ProgramError, spike
from baco.workload import DIMENSIONS, Mapping, Problem

WEIGHTS_IN_THE_ARRAY = ("registers weights writes", "scratchpad weights reads")


def requantised(x: np.ndarray, scale: float) -> np.ndarray:
    return np.clip(np.rint(x.astype(np.float32) * np.float32(scale)), 0, 127).astype(np.int8)


def run(problem: Problem, mapping: Mapping, config: GemminiConfig, backend: str = "functional") -> tuple[CompiledMapping, list[str]]:
    """Compile in loops and run; returns the program and how what was counted differs from what the mapping says."""
    layer = compile_mapping(problem, mapping, config, scale=0.01, relu=True, instructions="loops")
    inputs, weights = tensors(problem)
    outputs, result = layer.run(inputs, weights, backend=backend)
    np.testing.assert_array_equal(outputs, requantised(convolution(problem, inputs, weights), 0.01))
    if backend == "spike":
        return layer, []
    assert replace(result.counters, host_instructions=0) == layer.compiled.counters(1)
    assert not {"preload", "mvin", "mvin2", "mvout"} & set(result.counters.instructions)
    return layer, predict(problem, mapping).differences(result.counters.traffic)


@st.composite
def products(draw):
    """A product, or a 1x1 convolution, whose blocks are whole tiles of the array."""
    dim = draw(st.sampled_from([4, 8, 16]))
    rows, columns, depth = draw(st.sampled_from([1, 6, 20, 36])), draw(st.sampled_from([1, 2, 5, 6])), draw(st.sampled_from([1, 2, 4, 6]))
    image = {"P": draw(st.sampled_from([2, 4])), "Q": rows, "N": draw(st.sampled_from([1, 2]))}
    problem = Problem(K=columns * dim, C=depth * dim, **(image if draw(st.booleans()) else {"P": rows}))
    temporal = [[1] * len(DIMENSIONS) for _ in range(4)]
    for i, d in enumerate(DIMENSIONS):
        if d in "CK":
            temporal[1][i], temporal[3][i] = draw(factorings(problem.sizes[d] // dim, 2))
        else:
            temporal[0][i], temporal[1][i], temporal[3][i] = draw(factorings(problem.sizes[d], 3))
    orders = tuple("".join(draw(st.permutations(DIMENSIONS))) for _ in range(4))
    return problem, Mapping(tuple(map(tuple, temporal)), orders, dim, dim), GemminiConfig(dim=dim)


@settings(max_examples=20)
@given(products())
def test_products_move_the_same_words(case) -> None:
    try:
        layer, differences = run(*case)
    except UnsupportedOperation as error:
        assert "the pixels of its tiles are not at one distance in memory; loop_conv_ws cannot, because" in str(error)
        return
    if layer.compiled.remarks[0].endswith("loop_ws"):
        assert all(difference.startswith(WEIGHTS_IN_THE_ARRAY) for difference in differences)


@st.composite
def on_a_machine(draw):
    dim = draw(st.sampled_from([4, 8, 16, 32]))
    problem, mapping = draw(cases(dim, ragged=draw(st.booleans())))
    assume(not mapping.violations(problem, GemminiConfig(dim=dim)))
    return problem, mapping, GemminiConfig(dim=dim)


def jumps(problem: Problem, mapping: Mapping) -> bool:
    """Whether the stride goes beyond the tile's part of the filter, so that a loop may load pixels that no output reads."""
    tile = mapping.tile(2)
    extents = ((tile[f] - 1) * d + 1 for f, d in zip("RS", problem.dilation, strict=True))
    return any(tile[o] > 1 and s > extent for o, s, extent in zip("PQ", problem.stride, extents, strict=True))


def check_any(case) -> None:
    problem, mapping, config = case
    try:
        _, differences = run(problem, mapping, config)
    except UnsupportedOperation as error:
        assert "loop_ws cannot, because" in str(error) and "loop_conv_ws cannot, because" in str(error)
        return
    if not jumps(problem, mapping):
        assert not [difference for difference in differences if difference.startswith("dram")]


@settings(max_examples=20)
@given(on_a_machine())
def test_random_mappings(case) -> None:
    check_any(case)


@pytest.mark.long
@settings(max_examples=600)
@given(on_a_machine())
def test_many_random_mappings(case) -> None:
    check_any(case)


LAYERS = [
    ("loop_ws", Problem(P=56, Q=56, C=64, K=64), "L3[WIO] P28 - L2[WI] N1 K16X - L1[O] K4 C4 C16X - L0[W] Q56 P2"),
    ("loop_ws", Problem(C=2048, K=1000), "L3[WIO] K25 C32 - L2[WI] N1 K10X - L1[O] K4 C4 C16X - L0[W] N1"),
    ("loop_ws", Problem(P=8, Q=6, C=16, K=16), "L3[WIO] Q6 - L2[WI] N1 K16X - L1[O] C16X - L0[W] P8"),
    ("loop_ws", Problem.gemm(128, 128, 128), "L3[WIO] C2 K2 - L2[WI] N1 K16X - L1[O] K4 C4 C16X - L0[W] P128"),
    (
        "loop_conv_ws",
        Problem(P=28, Q=28, C=32, K=64, stride=(2, 2)),
        "L3[WIO] K2 P4 C2 - L2[WI] N1 K16X - L1[O] K2 C16X - L0[W] P7 Q28",
    ),
    (
        "loop_conv_ws",
        Problem(R=3, S=3, P=14, Q=14, C=64, K=32, padding=(1, 1)),
        "L3[WIO] K2 P2 R3 C2 - L2[WI] N1 K16X - L1[O] S3 C2 C16X - L0[W] Q14 P7",
    ),
    (
        "loop_conv_ws",
        Problem(R=7, S=7, P=28, Q=28, C=3, K=16, stride=(2, 2), padding=(3, 3)),
        "L3[WIO] P4 - L2[WI] N1 K16X - L1[O] R7 S7 C3X - L0[W] P7 Q28",
    ),
]


@pytest.mark.parametrize(("instruction", "problem", "mapping"), LAYERS, ids=lambda x: x if isinstance(x, str) and "loop" in x else "")
def test_layers_at_real_size(instruction: str, problem: Problem, mapping: str) -> None:
    layer, differences = run(problem, Mapping.parse(mapping), GemminiConfig())
    assert layer.compiled.remarks == (f"each tile of this layer becomes one {instruction}",)
    assert not [difference for difference in differences if difference.startswith("dram")]
    words = predict(problem, Mapping.parse(mapping))
    counted = layer.compiled.traffic(1)
    if instruction == "loop_ws":
        wider = () if Mapping.parse(mapping).spatial_k == 16 else ("scratchpad inputs reads",)  # the loop fills the array
        assert all(difference.startswith(WEIGHTS_IN_THE_ARRAY + wider) for difference in differences)
    else:  # every sum begins by being cleared, and is then added to
        cleared = problem.N * problem.P * problem.Q * problem.K
        assert counted.writes["accumulator", "outputs"] == words.writes["accumulator", "outputs"] + cleared
        assert counted.reads["accumulator", "outputs"] == words.reads["accumulator", "outputs"] + cleared
    assert counted.macs == words.macs


@pytest.mark.parametrize("dim", [4, 16])
@pytest.mark.parametrize(("instruction", "problem", "mapping"), LAYERS[-3:], ids=["strided", "3x3", "7x7"])
def test_on_spike(instruction: str, problem: Problem, mapping: str, dim: int) -> None:
    try:
        spike.find(dim)
    except ProgramError as error:
        pytest.skip(str(error))
    text = mapping.replace("C16X", f"C{16 // dim} C{dim}X").replace("K16X - L1[O]", f"K{dim}X - L1[O] K{16 // dim}")
    config = GemminiConfig(dim=dim)
    assert run(problem, Mapping.parse(text), config, backend="spike")[0].compiled.remarks[0].endswith(instruction)


def test_a_tile_that_stays_is_not_loaded_again() -> None:
    """The inputs stay while the output channels change: their half is named, and the next tile goes to the other."""
    layer, _ = run(
        Problem.gemm(32, 64, 32), Mapping.parse("L3[WIO] P2 K2 - L2[WI] N1 K16X - L1[O] K2 C2 C16X - L0[W] P16"), GemminiConfig()
    )
    text = layer.asm["instgem"]
    assert all(f"a_spad_id = {a} : i64" in text and f"b_spad_id = {a} : i64" in text for a in (1, 2))
    assert layer.compiled.traffic(1).reads["dram", "inputs"] == 32 * 32
    assert layer.compiled.counters(1).instructions["loop_ws"] == 4


def test_requirements_are_two_halves() -> None:
    needed = compile_mapping(Problem.gemm(20, 32, 48), whole(20, 2, 3), GemminiConfig(), instructions="loops").compiled.requirements
    assert needed.scratchpad_rows == 2 * (2 * 3 + 3 * 2) * 16
    assert needed.accumulator_rows == 2 * 2 * 2 * 16


def whole(rows: int, columns: int, depth: int) -> Mapping:
    return Mapping.parse(f"L3[WIO] N1 - L2[WI] N1 K16X - L1[O] K{columns} C{depth} C16X - L0[W] P{rows}")


def test_what_loops_cannot_do_is_refused() -> None:
    def refusal(problem: Problem, mapping: str, instructions: str = "loops") -> str:
        with pytest.raises(UnsupportedOperation) as error:
            compile_mapping(problem, Mapping.parse(mapping), GemminiConfig(), instructions=instructions)
        return str(error.value)

    large = refusal(Problem.gemm(1024, 16, 16), "L3[WIO] N1 - L2[WI] N1 K16X - L1[O] C16X - L0[W] P1024")
    assert "loop_ws cannot, because its tiles take 1024 rows of the accumulator, and a loop has 512" in large
    spilled = refusal(Problem(R=3, S=3, P=8, Q=8, C=16, K=32), "L3[WIO] R3 K2 - L2[WI] N1 K16X - L1[O] S3 C16X - L0[W] P8 Q8")
    assert "loop_ws cannot, because its tiles have 1 x 3 positions of the filter" in spilled
    assert "loop_conv_ws cannot, because its output tiles leave and return as partial sums" in spilled
    with pytest.raises(CompilationError, match="instructions is one of primitive, loops, auto, not 'fast'"):
        compile_mapping(Problem.gemm(16, 16, 16), whole(16, 1, 1), GemminiConfig(), instructions="fast")


def test_auto_takes_the_fewer_instructions_and_says_so() -> None:
    def remark(problem: Problem, mapping: str) -> str:
        (text,) = compile_mapping(problem, Mapping.parse(mapping), GemminiConfig(), instructions="auto").compiled.remarks
        return text

    assert remark(Problem.gemm(64, 64, 64), str(whole(64, 4, 4))) == "each tile of this layer becomes one loop_ws"
    small = remark(Problem.gemm(16, 16, 16), str(whole(16, 1, 1)))
    assert small == "this layer stays in primitive instructions: its tiles take 2 computing instructions, and loop_ws 6"
    skipping = remark(Problem(P=8, Q=8, C=64, K=64, stride=(3, 3)), "L3[WIO] N1 - L2[WI] N1 K16X - L1[O] K4 C4 C16X - L0[W] P8 Q8")
    assert "loop_conv_ws would load the pixels that a stride of 3 skips" in skipping
