"""Kernels on the generator's presets, in strict mode: what the compiler emits is clean; what a machine cannot do is refused early."""

import numpy as np
import pytest
from kernels import example, requantised

from baco import knobs
from baco.hardware import PRESETS
from baco.lowering.errors import UnsupportedOperation

matmul = example("01_matmul").matmul
M, N, K = 96, 112, 80


def launch(preset: str, dtype: type, instructions: str, num_stages: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    a, b, c = rng.integers(-128, 128, (M, K), np.int8), rng.integers(-128, 128, (K, N), np.int8), np.zeros((M, N), dtype)
    blocks = {"BLOCK_M": 32, "BLOCK_N": 32, "BLOCK_K": 32}
    with knobs.strict.scope(True):
        matmul[3, 4](
            a, b, c, M, N, K, K, 1, N, 1, N, 1, 0.001, **blocks, hardware=PRESETS[preset], instructions=instructions, num_stages=num_stages
        )
    return c, a.astype(np.int32) @ b.astype(np.int32)


@pytest.mark.parametrize("instructions", ["primitive", "loops"])
@pytest.mark.parametrize("preset", PRESETS)
def test_what_is_compiled_is_clean(preset: str, instructions: str) -> None:
    c, sums = launch(preset, np.int8, instructions, num_stages=2)
    np.testing.assert_array_equal(c, requantised(sums, 0.001, relu=True))


@pytest.mark.parametrize("instructions", ["primitive", "loops"])
def test_wide_results_where_the_hardware_stores_them(instructions: str) -> None:
    c, sums = launch("gemmini-weight-stationary", np.int32, instructions)
    np.testing.assert_array_equal(c, sums)
    with pytest.raises(UnsupportedOperation, match="this hardware stores int8 only") as caught:
        launch("gemmini-lean", np.int32, instructions)
    assert caught.value.location is not None
