"""What the analysis says a program does is what the simulator counts, and what the model predicts for a layer."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from layer_cases import cases, tensors

import baco
import baco.language as bl
from baco.hardware import GemminiConfig
from baco.lowering.intervals import CannotAnalyse
from baco.lowering.mapping_program import compile_mapping
from baco.perfmodel import predict
from baco.workload import Mapping, Problem

sys.path.append(str(Path(__file__).parents[1] / "lang"))

from kernels import example

matmul = example("01_matmul")


def arguments(m: int, n: int, k: int) -> dict[str, int | float]:
    strides = {"stride_am": k, "stride_ak": 1, "stride_bk": n, "stride_bn": 1, "stride_cm": n, "stride_cn": 1}
    return {"M": m, "N": n, "K": k, **strides, "scale": 0.01}


@settings(max_examples=15)
@given(
    sizes=st.tuples(*[st.integers(2, 90)] * 3),
    block=st.sampled_from([(16, 16, 16), (32, 16, 48), (24, 40, 8), (64, 64, 64)]),
    stages=st.integers(1, 4),
    dim=st.sampled_from([4, 16, 32]),
    dtype=st.sampled_from([np.int8, np.int32]),
    instructions=st.sampled_from(["primitive", "loops"]),
)
def test_counts_are_those_of_a_run(sizes, block, stages: int, dim: int, dtype, instructions: str) -> None:
    m, n, k = sizes
    assume(instructions == "primitive" or (block[2] % dim == 0 and block[0] * block[1] <= 512 * dim))
    config = GemminiConfig(dim=dim)
    grid = (baco.cdiv(m, block[0]), baco.cdiv(n, block[1]))
    blocks = dict(zip(("BLOCK_M", "BLOCK_N", "BLOCK_K"), block, strict=True))
    options = {"num_stages": stages, "instructions": instructions, "hardware": config}
    special = matmul.matmul.warmup(np.int8, np.int8, dtype, **arguments(m, n, k), **blocks, grid=grid, **options)
    expected = special.counters(grid, **arguments(m, n, k))
    a, b, c = np.ones((m, k), np.int8), np.ones((k, n), np.int8), np.zeros((m, n), dtype)
    counted = matmul.launch(a, b, c, scale=0.01, block=block, **options).counters
    assert counted.traffic.differences(expected.traffic) == []
    assert replace(counted, host_instructions=0) == expected
    assert special.traffic(grid, **arguments(m, n, k)).macs == counted.traffic.macs


def test_large_launches_cost_no_more() -> None:
    """Half a trillion multiply-accumulates, in the time of a thousand."""
    size = 1 << 13
    blocks = {"BLOCK_M": 64, "BLOCK_N": 64, "BLOCK_K": 64}
    special = matmul.matmul.warmup(np.int8, np.int8, np.int8, **arguments(size, size, size), **blocks)
    traffic = special.compiled.traffic((size // 64, size // 64), **arguments(size, size, size))
    assert traffic.macs == size**3
    assert traffic.writes["dram", "outputs"] == size**2


def test_requirements_are_the_least_hardware_that_compiles() -> None:
    blocks = {"BLOCK_M": 64, "BLOCK_N": 48, "BLOCK_K": 32}

    def compile_for(config: GemminiConfig):
        return matmul.matmul.warmup(np.int8, np.int8, np.int8, **arguments(64, 64, 64), **blocks, hardware=config)

    needed = compile_for(GemminiConfig()).requirements
    assert (needed.scratchpad_rows, needed.accumulator_rows) == (64 * 2 + 32 * 3, 64 * 3)
    assert needed.config == GemminiConfig(scratchpad_bytes=256 * 16, accumulator_bytes=192 * 64)
    assert compile_for(needed.config).requirements == needed


@baco.jit
def stop_when_told(x, y, n, B: bl.constexpr):
    block = bl.load(bl.make_block_ptr(x, (n, n), (n, 1), (0, 0), (B, B), (1, 0)))
    if bl.load(x) > 0:
        bl.store(bl.make_block_ptr(y, (n, n), (n, 1), (0, 0), (B, B), (1, 0)), block)


def test_what_depends_on_data_is_refused() -> None:
    special = stop_when_told.warmup(np.int8, np.int8, 16, B=16)
    with pytest.raises(CannotAnalyse, match=r"depends on more than its grid and numbers: it comes from .*"):
        special.compiled.counters(1, n=16)


def test_a_number_that_is_not_given_is_named() -> None:
    special = matmul.matmul.warmup(np.int8, np.int8, np.int8, **arguments(64, 64, 64), BLOCK_M=16, BLOCK_N=16, BLOCK_K=16)
    with pytest.raises(CannotAnalyse, match=r"the argument 'K' is not given"):
        special.compiled.counters((4, 4), M=64, N=64)


@st.composite
def layers(draw):
    dim = draw(st.sampled_from([4, 16]))
    problem, mapping = draw(cases(dim))
    assume(not mapping.violations(problem, GemminiConfig(dim=dim)))
    return problem, mapping, GemminiConfig(dim=dim)


@settings(max_examples=15, deadline=None)
@given(layers())
def test_layers_do_what_the_model_predicts(case) -> None:
    problem, mapping, config = case
    layer = compile_mapping(problem, mapping, config)
    expected = layer.compiled.counters(1)
    assert predict(problem, mapping).differences(expected.traffic) == []
    _, result = layer.run(*tensors(problem))
    assert replace(result.counters, host_instructions=0) == expected


def test_a_layer_at_real_size() -> None:
    problem = Problem(R=3, S=3, P=14, Q=14, C=256, K=256, padding=(1, 1))
    mapping = Mapping.parse("L3[WIO] R3 C8 K4 P2 - L2[WI] N1 K16X - L1[O] K4 S3 C2 C16X - L0[W] Q14 P7")
    layer = compile_mapping(problem, mapping, GemminiConfig())
    assert predict(problem, mapping).differences(layer.compiled.traffic(1)) == []
    rows = mapping.weight_rows(problem) + mapping.input_rows(problem)
    assert layer.compiled.requirements.scratchpad_rows in (rows, 2 * rows)
