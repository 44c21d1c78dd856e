"""Convolution kernels by loop_conv_ws: right results for any geometry, counts known without running, and reasons where it does not fit."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import baco
import baco.language as bl
from baco.hardware import GemminiConfig
from baco.lowering.errors import UnsupportedOperation
from baco.sim import ProgramError, spike

sys.path.append(str(Path(__file__).parents[1] / "lang"))

from kernels import example

conv2d = example("06_conv2d")
conv1d = example("05_conv1d")
depthwise = example("07_depthwise_conv2d")


class Analysed:
    """The tutorial's kernel, whose launches must count what the analysis of its program says."""

    def __getitem__(self, grid):
        def launch(*arguments, backend="functional", **options):
            result = KERNEL[grid](*arguments, backend=backend, **options)
            if backend == "functional":
                special = KERNEL.warmup(*arguments, **options)
                numbers = dict(
                    zip(("H", "W", "OH", "OW", "C", "F", "stride_xn", "stride_xh", "stride_xw", "scale"), arguments[4:], strict=True)
                )
                assert special.counters(grid, **numbers) == replace(result.counters, host_instructions=0)
            return result

        return launch


KERNEL = conv2d.conv2d
conv2d.conv2d = Analysed()


def run(image, taps, filters, stride, padding, dilation, dim=16, pixels=128, block=(64, 64, 64), biased=False, **options):
    """Launch the tutorial's kernel and compare with NumPy; returns what was counted."""
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, image, np.int8)
    w = rng.integers(-128, 128, (*taps, image[3], filters), np.int8)
    bias = rng.integers(-100000, 100000, filters, np.int32) if biased else None
    oh, ow = (conv2d.output_size(size, t, stride, padding, dilation) for size, t in zip(image[1:3], taps, strict=True))
    y = np.full((image[0], oh, ow, filters), 99, np.int8)
    result = conv2d.launch(
        x, w, y, 0.001, stride, padding, dilation, bias, block=block, pixels=pixels, hardware=GemminiConfig(dim=dim), **options
    )
    np.testing.assert_array_equal(y, conv2d.reference(x, w, 0.001, stride, padding, dilation, bias))
    return result.counters


@st.composite
def geometries(draw):
    taps = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation, stride, padding = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(0, 2))
    least = [max(1, (t - 1) * dilation + 1 - 2 * padding) for t in taps]
    image = tuple(draw(st.integers(n, n + 12)) for n in least)
    return (draw(st.integers(1, 2)), *image, draw(st.sampled_from([2, 16, 20, 40]))), taps, stride, padding, dilation, draw(st.booleans())


SMALL = [(64, 64, 64), (8, 16, 16), (5, 12, 16)]


@settings(max_examples=6, deadline=None)
@given(geometries(), st.sampled_from([2, 10, 33]), st.sampled_from([4, 16]), st.sampled_from([4, 32, 128]), st.sampled_from(SMALL))
def test_any_geometry(geometry, filters: int, dim: int, pixels: int, block) -> None:
    check(geometry, filters, dim, pixels, block)


@pytest.mark.long
@settings(max_examples=300, deadline=None)
@given(geometries(), st.sampled_from([2, 10, 33]), st.sampled_from([4, 16]), st.sampled_from([4, 32, 128]), st.sampled_from(SMALL))
def test_many_geometries(geometry, filters: int, dim: int, pixels: int, block) -> None:
    check(geometry, filters, dim, pixels, block)


def check(geometry, filters: int, dim: int, pixels: int, block) -> None:
    image, taps, stride, padding, dilation, biased = geometry
    ran = run(image, taps, filters, stride, padding, dilation, dim, pixels, block, biased, instructions="auto").instructions
    if conv2d.reference(np.ones(image, np.int8), np.ones((*taps, image[3], filters), np.int8), 1.0, stride, padding, dilation).any():
        assert bool(ran.get("loop_conv_ws")) != bool(ran.get("preload"))
    # Otherwise every output reads padding alone, and there may be nothing to multiply.


LAYERS = [
    ((1, 14, 14, 32), (3, 3), 32, 1, 1, 1),
    ((1, 14, 15, 20), (3, 3), 24, 2, 1, 1),
    ((2, 11, 9, 16), (3, 2), 16, 1, 2, 2),
    ((1, 28, 28, 3), (7, 7), 16, 2, 3, 1),
    ((1, 14, 14, 32), (1, 1), 48, 2, 0, 1),
]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_an_input_tile_is_loaded_once(layer) -> None:
    """With loops no more bytes move than with primitive instructions, and the core issues a tenth of the instructions or less."""
    biased = layer[3] == 1
    plain, loops = run(*layer, biased=biased), run(*layer, biased=biased, instructions="loops")
    assert set(loops.instructions) & {"mvin", "mvin2", "mvin3", "mvout", "preload"} == set()
    assert loops.dram_bytes_read <= plain.dram_bytes_read and loops.dram_bytes_written == plain.dram_bytes_written
    assert 3 * sum(loops.instructions.values()) < sum(plain.instructions.values())
    if layer[1] != (1, 1) and layer[0][3] > 3:
        assert 1.2 * loops.dram_bytes_read < plain.dram_bytes_read


@settings(max_examples=4, deadline=None)
@given(
    sizes=st.tuples(st.integers(4, 40), st.sampled_from([3, 16, 40]), st.sampled_from([8, 33])),
    geometry=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2)),
)
def test_one_dimension_and_counts_without_running(sizes, geometry) -> None:
    (length, channels, filters), (taps, stride, padding, dilation) = sizes, geometry
    length += (taps - 1) * dilation
    rng = np.random.default_rng(0)
    x, w = rng.integers(-128, 128, (2, length, channels), np.int8), rng.integers(-128, 128, (taps, channels, filters), np.int8)
    y = np.zeros((2, conv1d.output_length(length, taps, stride, padding, dilation), filters), np.int8)
    result = conv1d.launch(x, w, y, 0.001, stride, padding, dilation, block=(16, 16, 16), instructions="loops")
    np.testing.assert_array_equal(y, conv1d.reference(x, w, 0.001, stride, padding, dilation))
    assert result.counters.instructions["loop_conv_ws"] and "preload" not in result.counters.instructions
    constants = {"TAPS": taps, "STRIDE": stride, "PADDING": padding, "DILATION": dilation}
    blocks = {"BLOCK_L": min(16, y.shape[1]), "BLOCK_F": min(16, filters), "BLOCK_C": min(16, channels)}
    numbers = {"L": length, "OL": y.shape[1], "C": channels, "F": filters, "scale": 0.001}
    special = conv1d.conv1d.warmup(np.int8, np.int8, np.int8, **numbers, **constants, **blocks, instructions="loops")
    grid = (baco.cdiv(y.shape[1], blocks["BLOCK_L"]), baco.cdiv(filters, blocks["BLOCK_F"]), 2)
    assert special.counters(grid, **numbers) == replace(result.counters, host_instructions=0)


@pytest.mark.parametrize("case", [(1, 8, 7, 20, 3, 1, 1), (2, 9, 11, 8, 2, 3, 0)], ids=str)
def test_diagonals_of_a_depthwise_convolution(case) -> None:
    images, height, width, channels, taps, stride, padding = case
    rng = np.random.default_rng(0)
    x, w = rng.integers(-128, 128, (images, height, width, channels), np.int8), rng.integers(-128, 128, (taps, taps, channels), np.int8)
    oh, ow = ((size + 2 * padding - taps) // stride + 1 for size in (height, width))
    y = np.zeros((images, oh, ow, channels), np.int8)
    read = {}
    for choice in ("primitive", "auto"):
        counters = depthwise.launch(x, w, y, 0.02, stride, padding, instructions=choice).counters
        np.testing.assert_array_equal(y, depthwise.reference(x, w, 0.02, stride, padding))
        read[choice] = counters.dram_bytes_read
    assert counters.instructions["loop_conv_ws"] == images * oh * -(-channels // 16) and "preload" not in counters.instructions
    # What the loop skips between pixels with a stride is loaded with them.
    assert read["auto"] < read["primitive"] or stride > 1


# What does not fit --------------------------------------------------------------------------------------------------------------------


@baco.jit
def line(x, w, y, W, OW, C, F, scale, TAPS: bl.constexpr, B: bl.constexpr, KIND: bl.constexpr):
    out = bl.program_id(0) * B + bl.arange(0, B)
    c, f = bl.arange(0, 16), bl.arange(0, 16)
    acc = bl.zeros((B, 16), dtype=bl.int32)
    for tap in range(TAPS):
        place = out * (tap + 1) if KIND == "stretch" else out + tap
        pixels = bl.load(x + place[:, None] * C + c[None, :], mask=place[:, None] < W)
        acc += bl.dot(pixels, bl.load(w + (TAPS - 1 - tap if KIND == "turned" else tap) * C * F + c[:, None] * F + f[None, :]))
    if KIND == "wide":
        bl.store(y + out[:, None] * F + f[None, :], acc, mask=out[:, None] < OW)
    else:
        bl.store(y + out[:, None] * F + f[None, :], bl.gemmini.requantise(acc, scale), mask=out[:, None] < OW)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("stretch", "loop_conv_ws cannot do this product: a block is not moved from or to an array of rows in DRAM"),
        ("wide", "its sums are stored as int32, and loop_conv_ws stores int8"),
        ("turned", "its filter runs backwards through its weights"),
    ],
)
def test_what_does_not_fit_is_refused(kind: str, reason: str) -> None:
    types = (np.int8, np.int8, np.int32 if kind == "wide" else np.int8, 40, 38, 16, 16, 0.5)
    with pytest.raises(UnsupportedOperation, match=reason) as error:
        line.warmup(*types, TAPS=3, B=32, KIND=kind, instructions="loops")
    assert "bl.dot" in str(error.value) or "bl.load" in str(error.value)
    remarks = line.warmup(*types, TAPS=3, B=32, KIND=kind, instructions="auto").compiled.remarks
    assert any("stays in primitive instructions" in remark for remark in remarks)


def test_a_tile_beyond_half_of_a_memory_is_refused() -> None:
    with pytest.raises(UnsupportedOperation, match=r"its tile takes \d+ rows of the scratchpad, and a loop has 512"):
        small = GemminiConfig(scratchpad_bytes=1 << 14)
        KERNEL.warmup(
            *(np.int8, np.int8, None, np.int8, 20, 20, 18, 18, 64, 64, 9000, 1280, 64), 0.1, KH=3, KW=3, STRIDE=1, PADDING=(0, 0),
            DILATION=1, ROWS=2, BLOCK_W=18, BLOCK_F=64, BLOCK_C=64, instructions="loops", hardware=small,
        )  # fmt: skip


@pytest.mark.parametrize("dim", [4, 16])
@pytest.mark.parametrize("layer", LAYERS[:3], ids=str)
def test_on_spike(layer, dim: int) -> None:
    try:
        spike.find(dim)
    except ProgramError as error:
        pytest.skip(str(error))
    run(*layer, dim=dim, pixels=32, biased=dim == 4, block=(8, 16, 16), instructions="loops", backend="spike")
