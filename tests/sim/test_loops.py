"""loop_ws and loop_conv_ws against what they are for, in NumPy: matrix products, residual additions and convolutions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from gemmini_reference import s8, wrap
from hypothesis import given, settings
from hypothesis import strategies as st
from loop_streams import CONV_CONFIGS, LoopGenerator

from baco.hardware import GemminiConfig
from baco.isa import ACCUMULATOR_BIT, encode, float_bits
from baco.sim.accelerator import Accelerator

BASE = 0x8000_0000
SIZE = 1 << 17


def machine(dim: int, strict: bool = True) -> Accelerator:
    return Accelerator(GemminiConfig(dim=dim), np.zeros(SIZE, np.uint8), BASE, strict=strict)


class Memory:
    """Hands out DRAM of a machine, first come first served."""

    def __init__(self, m: Accelerator) -> None:
        self.m, self.top = m, 64

    def put(self, array: np.ndarray) -> int:
        at, self.top = self.top, self.top + array.nbytes + 37
        self.m.dram[at : at + array.nbytes] = np.frombuffer(array.tobytes(), np.uint8)
        return BASE + at

    def get(self, address: int, like: np.ndarray) -> np.ndarray:
        at = address - BASE
        return np.frombuffer(self.m.dram[at : at + like.nbytes].tobytes(), like.dtype).reshape(like.shape)


def execute(m: Accelerator, name: str, **fields: int) -> None:
    m.execute(encode(name, **fields))


def requantised(x: np.ndarray, scale: float, relu: bool) -> np.ndarray:
    return np.maximum(s8(x, scale), -128 if not relu else 0)


@pytest.mark.parametrize("dim", [4, 16])
def test_loop_ws_is_a_matrix_product(dim: int) -> None:
    @settings(max_examples=40, database=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        matrix_product(dim, data.draw)

    check()


def matrix_product(dim: int, draw: Callable) -> None:
    tiles = [draw(st.integers(1, 3)) for _ in range(3)]
    pads = [draw(st.integers(0, dim - 1)) for _ in range(3)]
    (m, n, k), split = (t * dim - p for t, p in zip(tiles, pads, strict=True)), draw(st.booleans())
    ta, tb = draw(st.sampled_from([(0, 0), (1, 0), (0, 1)]))
    full, low, bias = draw(st.integers(0, 1)), draw(st.integers(0, 1)), draw(st.sampled_from(["none", "rows", "one row"]))
    relu, scale = draw(st.integers(0, 1)), draw(st.sampled_from([1.0, 0.02, 0.3]))
    extra = {name: draw(st.integers(0, 3)) for name in "abcd"}
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    a, b = rng.integers(-128, 128, (m, k), np.int8), rng.integers(-128, 128, (k, n), np.int8)
    d = rng.integers(-128, 128, (1 if bias == "one row" else m, n)).astype(np.int8 if low else np.int32) * (1 if low else 50)

    machine_ = machine(dim)
    memory = Memory(machine_)

    def padded(x: np.ndarray, name: str) -> np.ndarray:
        return np.pad(x, ((0, 0), (0, extra[name])))

    stored_a, stored_b = padded(a.T if ta else a, "a"), padded(b.T if tb else b, "b")
    stored_d, result = padded(d, "d"), np.full((m, n + extra["c"]), 77, np.int32 if full else np.int8)
    at = {name: memory.put(x) for name, x in (("a", stored_a), ("b", stored_b), ("c", result), ("d", stored_d))}
    strides = {"a": stored_a.shape[1], "b": stored_b.shape[1], "c": result.shape[1], "d": 0 if bias == "one row" else stored_d.shape[1]}
    execute(machine_, "config_ex", dataflow=1, a_stride=1, c_stride=1, transpose_a=ta, transpose_b=tb)
    for load_id, name, size in ((0, "a", 1), (1, "b", 1), (2, "d", 1 if low else 4)):
        shrink = low if name == "d" else 0
        one = float_bits(1.0)
        execute(machine_, "config_ld", load_id=load_id, shrink=shrink, block_stride=dim, scale=one, dram_stride=strides[name] * size)
    execute(machine_, "config_st", activation=relu, dram_stride=result.strides[0], acc_scale=float_bits(scale))
    execute(machine_, "loop_ws_config_strides_ab", a_stride=strides["a"], b_stride=strides["b"])
    execute(machine_, "loop_ws_config_strides_dc", d_stride=strides["d"], c_stride=strides["c"])
    # All of K at once, or its first tile and then the rest on top.
    parts = [(0, tiles[2])] if tiles[2] == 1 or not split else [(0, 1), (1, tiles[2] - 1)]
    for first, count in parts:
        last = first + count == tiles[2]
        pad_k = pads[2] if last else 0
        execute(machine_, "loop_ws_config_bounds", pad_i=pads[0], pad_j=pads[1], pad_k=pad_k, i=tiles[0], j=tiles[1], k=count)
        a_at = at["a"] + first * dim * (strides["a"] if ta else 1)
        b_at = at["b"] + first * dim * (1 if tb else strides["b"])
        execute(machine_, "loop_ws_config_addrs_ab", a=a_at, b=b_at)
        with_bias = bias != "none" and first == 0
        execute(machine_, "loop_ws_config_addrs_dc", d=at["d"] if with_bias else 0, c=at["c"] if last else 0)
        flags = {"ex_accumulate": int(with_bias or first > 0), "full_c": full, "low_d": low, "transpose_a": ta, "transpose_b": tb}
        execute(machine_, "loop_ws", **flags, activation=relu)

    sums = wrap(a.astype(np.int64) @ b.astype(np.int64) + (d.astype(np.int64) if bias != "none" else 0))
    result[:, :n] = sums if full else requantised(sums, scale, bool(relu))
    np.testing.assert_array_equal(memory.get(at["c"], result), result)
    for name, x in (("a", stored_a), ("b", stored_b), ("d", stored_d)):
        np.testing.assert_array_equal(memory.get(at[name], x), x)
    assert machine_.counters.traffic.macs == m * n * k


def test_residual_addition() -> None:
    rng = np.random.default_rng(0)
    for dim, (m, n), (scale_a, scale_b) in ((4, (11, 6), (1.0, 0.5)), (16, (20, 50), (0.25, 1.7))):
        x = machine(dim)
        memory = Memory(x)
        a, b = rng.integers(-128, 128, (2, m, n), np.int8)
        at = [memory.put(a), memory.put(b), memory.put(a)]
        for load_id, scale in enumerate((scale_a, scale_b)):
            execute(x, "config_ld", load_id=load_id, shrink=1, block_stride=dim, scale=float_bits(scale), dram_stride=n)
        execute(x, "config_st", activation=1, dram_stride=n, acc_scale=float_bits(1.0))
        execute(x, "loop_ws_config_bounds", i=-(-m // dim), j=-(-n // dim), pad_i=-m % dim, pad_j=-n % dim)
        execute(x, "loop_ws_config_addrs_ab", a=at[0], b=at[1])
        execute(x, "loop_ws_config_addrs_dc", c=at[2])
        execute(x, "loop_ws_config_strides_ab", a_stride=n, b_stride=n)
        execute(x, "loop_ws_config_strides_dc", c_stride=n)
        execute(x, "loop_ws", residual_add=1)
        expected = np.clip(s8(a, scale_a).astype(int) + s8(b, scale_b), 0, 127).astype(np.int8)
        np.testing.assert_array_equal(memory.get(at[2], a), expected)


@pytest.mark.parametrize(("activation", "name"), [(2, "layernorm"), (4, "softmax")])
def test_normalised_rows(activation: int, name: str) -> None:
    """Each row by itself: close to the real function, and the same from any tiling of the columns."""
    rng = np.random.default_rng(1)
    a, b = rng.integers(-20, 20, (10, 16), np.int8), rng.integers(-20, 20, (16, 24), np.int8)
    sums = a.astype(np.int32) @ b.astype(np.int32)
    results = []
    for dim in (4, 8):
        x = machine(dim, strict=False)
        memory = Memory(x)
        result = np.zeros((10, 24), np.int8)
        at = [memory.put(a), memory.put(b), memory.put(result)]
        execute(x, "config_ex", dataflow=1, a_stride=1, c_stride=1, activation=activation & 3)
        for load_id, pitch in enumerate((16, 24)):
            execute(x, "config_ld", load_id=load_id, block_stride=dim, scale=float_bits(1.0), dram_stride=pitch)
        execute(x, "config_st", activation=activation & 3, dram_stride=24, acc_scale=float_bits(30.0 if activation == 2 else 1.0))
        # exp(x / 400) in whole numbers: 0.3585 (x + 1.353)^2 + 0.344, x counted in ln 2 of the input's unit
        unit = 1 / 400
        ln2 = int(np.log(2) / unit)
        constants = {"qb": int(1.353 / unit), "qc": int(0.344 / (0.3585 * unit**2)), "activation_msb": int(activation == 4)}
        execute(x, "config_norm", constant_id=0, constant=ln2, **constants)
        execute(x, "config_norm", constant_id=1, constant=(1 << 16) // ln2, **constants)
        execute(x, "loop_ws_config_bounds", i=-(-10 // dim), j=24 // dim, k=16 // dim, pad_i=-10 % dim)
        execute(x, "loop_ws_config_addrs_ab", a=at[0], b=at[1])
        execute(x, "loop_ws_config_addrs_dc", c=at[2])
        execute(x, "loop_ws_config_strides_ab", a_stride=16, b_stride=24)
        execute(x, "loop_ws_config_strides_dc", c_stride=24)
        execute(x, "loop_ws", activation=activation)
        results.append(memory.get(at[2], result).copy())
        assert x.counters.unrolled["config_norm"] == 3 * 10
    np.testing.assert_array_equal(*results)
    if name == "layernorm":
        expected = 30 * (sums - sums.mean(1, keepdims=True)) / sums.std(1, keepdims=True)
        # The standard deviation is a whole number and the quotient is cut off before it is scaled.
        assert np.abs(results[0] - expected).max() <= 31
    else:
        powers = np.exp(sums * unit - (sums * unit).max(1, keepdims=True))
        assert np.abs(results[0] - 127 * powers / powers.sum(1, keepdims=True)).max() <= 3


@pytest.mark.parametrize("dim", [4, 8, 16])
def test_loop_conv_ws_is_a_convolution(dim: int) -> None:
    done: set[str] = set()

    @settings(max_examples=150, database=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        generator = LoopGenerator(data.draw, GemminiConfig(dim=dim))
        drawn = generator._convolution()
        if drawn is not None:
            done.update(name for name, value in drawn[1].items() if value)
            convolve(dim, *drawn, data.draw(st.integers(0, 99)), data.draw(st.integers(0, 1)), data.draw(st.sampled_from([0.01, 0.2])))

    check()
    assert done >= {"downsample", "input_dilated", "depthwise", "wrot180", "trans_output_1203", "trans_weight_0132", "no_pool"}


def convolve(dim: int, f: dict[str, int], flags: dict[str, int], seed: int, relu: int, scale: float) -> None:
    """One loop_conv_ws against the definition of a convolution on tensors in plain layout."""
    rng = np.random.default_rng(seed)
    batches, out_channels, in_channels = f["batches"], f["pochs"], f["kchs"]
    if flags["max_pixels_per_row"] > 1:
        return  # packing reads the pixel to the right even in the padding of another row; Spike is the judge of that
    image = rng.integers(-128, 128, (f["batch_size"], f["in_row_dim"], f["in_col_dim"], in_channels), np.int8)
    kernel = rng.integers(-128, 128, (f["kernel_dim"], f["kernel_dim"], in_channels, out_channels), np.int8)
    bias = rng.integers(-5000, 5000, out_channels).astype(np.int32)
    x = machine(dim)
    memory = Memory(x)

    def spread(tensor: np.ndarray, channels: int) -> np.ndarray:
        return np.pad(tensor, [(0, 0)] * (tensor.ndim - 1) + [(0, channels - tensor.shape[-1])])

    if flags["trans_input_3120"]:
        stored = np.pad(image, [(0, 0)] * 3 + [(0, f["in_channels"] - in_channels)]).transpose(3, 1, 2, 0)
    else:
        stored = spread(image, f["in_stride"])
    wide = np.pad(kernel, ((0, 0), (0, 0), (0, f["in_channels"] - in_channels), (0, f["out_channels"] - out_channels)))
    if flags["depthwise"]:
        weights = kernel[:, :, 0, 0]
    elif flags["trans_weight_1203"]:
        weights = wide.transpose(2, 0, 1, 3)
    elif flags["trans_weight_0132"]:
        weights = wide.transpose(0, 1, 3, 2)
    else:
        weights = spread(wide, f["weight_stride"])
    pool = not flags["no_pool"]
    rows, columns = (f["pool_out_row_dim"], f["pool_out_col_dim"]) if pool else (f["out_row_dim"], f["out_col_dim"])
    pitch = f["out_channels"] if flags["trans_output_1203"] else f["out_stride"]
    shape = (rows, columns, f["batch_size"], pitch) if flags["trans_output_1203"] else (f["batch_size"], rows, columns, pitch)
    result = np.full(shape, 55, np.int8)
    f |= {"input": memory.put(np.ascontiguousarray(stored)), "weights": memory.put(np.ascontiguousarray(weights))}
    f |= {"output": memory.put(result), "bias": memory.put(bias)}

    strides = {"a_stride": f["stride"] >> flags["downsample"], "c_stride": 1 + flags["input_dilated"]}
    execute(x, "config_ex", dataflow=1, **strides, transpose_a=flags["trans_input_3120"], transpose_b=flags["trans_weight_0132"])
    out_pitch = pitch * f["batch_size"] if flags["trans_output_1203"] else pitch
    execute(x, "config_st", activation=relu, dram_stride=out_pitch, acc_scale=float_bits(scale))
    for number, names in CONV_CONFIGS.items():
        execute(x, f"loop_conv_ws_config_{number}", **{name: f[name] for name in names if name in f})
    execute(x, "loop_conv_ws", **flags, activation=relu)

    sums = convolution(f, flags, image, kernel) + bias
    small = requantised(wrap(sums), scale, bool(relu)).reshape(batches, f["orows"], f["ocols"], out_channels)
    if pool:
        small = pooled(f, small)
    part = result.transpose(2, 0, 1, 3) if flags["trans_output_1203"] else result
    part[:batches, : small.shape[1], : small.shape[2], :out_channels] = small
    np.testing.assert_array_equal(memory.get(f["output"], result), result)


def convolution(f: dict[str, int], flags: dict[str, int], image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The sums: every output pixel, every position of the kernel."""
    dilated = flags["input_dilated"]
    sums = np.zeros((f["batches"], f["orows"], f["ocols"], f["pochs"]), np.int64)
    rows = f["orows"] * f["stride"] + f["kernel_dilation"] * (f["krows"] - 1) - f["upad"] - f["dpad"]
    columns = f["ocols"] * f["stride"] + f["kernel_dilation"] * (f["kcols"] - 1) - f["lpad"] - f["rpad"]
    for out_row, out_column, row, column in np.ndindex(f["orows"], f["ocols"], f["krows"], f["kcols"]):
        at_row = out_row * f["stride"] + row * f["kernel_dilation"] - f["upad"]
        at_column = out_column * f["stride"] + column * f["kernel_dilation"] - f["lpad"]
        if dilated and (at_row % 2 or at_column % 2):
            continue  # zeros between the pixels
        at_row, at_column = at_row >> dilated, at_column >> dilated
        if not (0 <= at_row < (rows + dilated) >> dilated and 0 <= at_column < (columns + dilated) >> dilated):
            continue  # padding
        k = kernel[f["krows"] - 1 - row, f["kcols"] - 1 - column] if flags["wrot180"] else kernel[row, column]
        sums[:, out_row, out_column] += image[: f["batches"], at_row, at_column].astype(np.int64) @ k.astype(np.int64)
    return sums


def pooled(f: dict[str, int], pixels: np.ndarray) -> np.ndarray:
    result = np.zeros((pixels.shape[0], f["porows"], f["pocols"], pixels.shape[3]), np.int8)
    size, stride = f["pool_size"], f["pool_stride"]
    span = max(f["porows"], f["pocols"]) * stride + size + 8
    ring = np.pad(pixels, ((0, 0), (f["pupad"], span), (f["plpad"], span), (0, 0)))
    for row, column in np.ndindex(f["porows"], f["pocols"]):
        window = ring[:, row * stride : row * stride + size, column * stride : column * stride + size]
        result[:, row, column] = window.max((1, 2))
    return result


def test_a_convolution_in_two_loops_keeps_its_sums() -> None:
    """The second loop brings more channels and stores; the one after starts a new tile in the other half."""
    rng = np.random.default_rng(3)
    x = machine(4)
    memory = Memory(x)
    image, kernel = rng.integers(-128, 128, (5, 8), np.int8), rng.integers(-128, 128, (8, 3), np.int8)
    at_image, at_kernel, at_out = memory.put(image), memory.put(kernel), memory.put(np.zeros((5, 3), np.int8))
    execute(x, "config_ex", dataflow=1, a_stride=1, c_stride=1)
    execute(x, "config_st", dram_stride=3, acc_scale=float_bits(0.01))
    sizes = {"batch_size": 1, "in_row_dim": 1, "in_channels": 8, "out_channels": 3, "out_row_dim": 1, "out_col_dim": 5, "stride": 1}
    for _ in range(3):
        for first in (0, 4):
            execute(x, "loop_conv_ws_config_1", **sizes)
            execute(x, "loop_conv_ws_config_2", kernel_dim=1, pochs=3, batches=1)
            execute(x, "loop_conv_ws_config_3", kchs=4, kcols=1, krows=1, in_col_dim=5)
            execute(x, "loop_conv_ws_config_4", kernel_dilation=1, orows=1, ocols=5, out_stride=3, weight_stride=3, in_stride=8)
            execute(x, "loop_conv_ws_config_5", weights=at_kernel + 3 * first, output=at_out if first else 0)
            execute(x, "loop_conv_ws_config_6", bias=0 if first else 1, input=at_image + first)
            execute(x, "loop_conv_ws", no_bias=1, no_pool=1)
        expected = s8(image.astype(np.int32) @ kernel.astype(np.int32), 0.01)
        np.testing.assert_array_equal(memory.get(at_out, expected), expected)
        x.dram[at_out - BASE :] = 0


def test_a_loop_counts_as_the_instructions_it_stands_for() -> None:
    loop, single = machine(4), machine(4)
    one = float_bits(1.0)
    for x in (loop, single):
        execute(x, "config_ex", dataflow=1, a_stride=1, c_stride=1)
        execute(x, "config_st", dram_stride=16, acc_scale=one)
        for load_id in range(3):
            execute(x, "config_ld", load_id=load_id, block_stride=4, scale=one, dram_stride=16)
    execute(loop, "loop_ws_config_bounds", i=1, j=2, k=1, pad_i=1)
    execute(loop, "loop_ws_config_addrs_ab", a=BASE, b=BASE + 64)
    execute(loop, "loop_ws_config_addrs_dc", d=BASE + 256, c=BASE + 512)
    execute(loop, "loop_ws_config_strides_ab", a_stride=16, b_stride=16)
    execute(loop, "loop_ws_config_strides_dc", d_stride=4, c_stride=16)
    execute(loop, "loop_ws", ex_accumulate=1)
    acc, half = ACCUMULATOR_BIT, loop.config.scratchpad_rows // 2
    execute(single, "mvin3", dram=BASE + 256, local=acc, local_rows=3, local_cols=4)
    execute(single, "mvin3", dram=BASE + 272, local=acc | 4, local_rows=3, local_cols=4)
    execute(single, "mvin", dram=BASE, local=0, local_rows=3, local_cols=4)
    for j in range(2):
        execute(single, "mvin2", dram=BASE + 64 + 4 * j, local=half - 8 + 4 * j, local_rows=4, local_cols=4)
        c = {"c": acc | 1 << 30 | 4 * j, "c_rows": 3, "c_cols": 4}
        execute(single, "preload", bd=half - 8 + 4 * j, bd_rows=4, bd_cols=4, **c)
        execute(single, "compute_preloaded", a=0, a_rows=3, a_cols=4, bd=0xFFFFFFFF, bd_rows=4, bd_cols=4)
        execute(single, "mvout", dram=BASE + 512 + 4 * j, local=acc | 4 * j, local_rows=3, local_cols=4)
    assert loop.counters.traffic.differences(single.counters.traffic) == []
    assert loop.counters.dram_bytes_read == single.counters.dram_bytes_read
    counted = {name: n for name, n in single.counters.instructions.items() if not name.startswith("config")}
    assert loop.counters.unrolled == counted
    assert loop.counters.instructions["loop_ws"] == 1
    assert single.counters.unrolled == {}
    np.testing.assert_array_equal(loop.dram, single.dram)
    np.testing.assert_array_equal(loop.scratchpad, single.scratchpad)
    np.testing.assert_array_equal(loop.accumulator, single.accumulator)
