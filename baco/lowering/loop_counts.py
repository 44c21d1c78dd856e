"""What a loop instruction counts, in closed form: the moves and computes that it stands for (GEMMINI_ISA.md sections 7.10 and 7.11).

Sizes come as the fields of the loop and of its configurations, by name; a pointer's field says only whether it is null (0). The keys of the
counts are those of :mod:`baco.lowering.analysis`: ("reads" or "writes", level, tensor), "macs", the bytes moved, and ("unrolled", name) for
the instructions that the loop stands for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from baco.hardware import GemminiConfig

BYTES_READ, BYTES_WRITTEN = "bytes read", "bytes written"
UNROLLED = "unrolled"
Fields = Mapping[str, int]

LOOP_WS_CONFIGS = tuple(f"loop_ws_config_{part}" for part in ("bounds", "addrs_ab", "addrs_dc", "strides_ab", "strides_dc"))
LOOP_CONV_WS_CONFIGS = tuple(f"loop_conv_ws_config_{i}" for i in range(1, 7))
POINTERS = frozenset(("a", "b", "c", "d", "weights", "output", "bias", "input"))
"""Fields that hold addresses."""
LAYERNORM, SOFTMAX = 2, 4


class NotCounted(Exception):
    """A form of a loop that is not counted: a clause that names it."""


def _blocks(size: int, block: int) -> int:
    return -(-size // block)


def loop_ws(f: Fields, config: GemminiConfig) -> Counter:
    """What one loop_ws counts; an activation that takes statistics is refused.

    Raises:
        NotCounted: for such an activation.
    """
    if f["activation"] in (LAYERNORM, SOFTMAX):
        raise NotCounted("loop_ws with a normalised store")
    i, j, k = f["i"], f["j"], f["k"]
    m, n, depth = (tiles * config.dim - f[f"pad_{axis}"] for axis, tiles in (("i", i), ("j", j), ("k", k)))
    counts: Counter = Counter()
    stored = m * n if f["c"] else 0
    counts[UNROLLED, "mvout"] = i * j if f["c"] else 0
    counts["reads", "accumulator", "outputs"] = stored
    counts["writes", "dram", "outputs"] = stored
    counts[BYTES_WRITTEN] = stored * (4 if f["full_c"] else 1)
    if f["residual_add"]:
        counts[UNROLLED, "mvin"] = counts[UNROLLED, "mvin2"] = i * j
        counts["reads", "dram", "outputs"] = counts[BYTES_READ] = counts["writes", "accumulator", "outputs"] = 2 * m * n
        counts["reads", "accumulator", "outputs"] += m * n
        return counts
    if f["d"]:
        counts[UNROLLED, "mvin3"] = i * j
        counts["reads", "dram", "outputs"] = counts["writes", "accumulator", "outputs"] = m * n
        counts[BYTES_READ] += m * n * (1 if f["low_d"] else 4)
    for pointer, load, tensor, tiles, words in (("a", "mvin", "inputs", i * k, m * depth), ("b", "mvin2", "weights", k * j, depth * n)):
        if f[pointer]:
            counts[UNROLLED, load] = tiles
            counts["reads", "dram", tensor] = counts["writes", "scratchpad", tensor] = words
            counts[BYTES_READ] += words
    counts[UNROLLED, "preload"] = i * j * k
    counts[UNROLLED, "compute_preloaded"] = j * k
    counts[UNROLLED, "compute_accumulated"] = (i - 1) * j * k
    counts["reads", "scratchpad", "weights"] = counts["writes", "registers", "weights"] = depth * n
    counts["reads", "scratchpad", "inputs"] = m * depth * j
    counts["macs"] = counts["reads", "registers", "weights"] = m * n * depth
    counts["writes", "accumulator", "outputs"] += m * n * k
    counts["reads", "accumulator", "outputs"] += m * n * (k if f["ex_accumulate"] else k - 1)
    return counts


def loop_conv_ws(f: Fields, config: GemminiConfig) -> Counter:
    """What one loop_conv_ws counts. Forms that the compiler does not write are refused: transposes, a dilated input, several pixels a row,
    and pooling.

    Raises:
        NotCounted: for such a form.
    """
    for form in ("trans_output_1203", "trans_weight_1203", "trans_weight_0132", "trans_input_3120", "input_dilated"):
        if f[form]:
            raise NotCounted(f"loop_conv_ws with {form}")
    if f["max_pixels_per_row"] > 1:
        raise NotCounted("loop_conv_ws with several pixels in a row")
    if f["output"] and not f["no_pool"]:
        raise NotCounted("loop_conv_ws with pooling")
    dim, channels, filters = config.dim, f["kchs"], f["pochs"]
    pixels, taps = f["batches"] * f["orows"] * f["ocols"], f["krows"] * f["kcols"]
    runs = f["batches"] * f["orows"] * _blocks(f["ocols"], dim)
    counts: Counter = Counter()
    if f["bias"]:
        counts[UNROLLED, "config_ld"] += 1
        counts[UNROLLED, "mvin3"] = runs * _blocks(filters, config.max_accumulator_columns)
        counts["writes", "accumulator", "outputs"] = pixels * filters
        counts["reads", "dram", "outputs"] = 0 if f["no_bias"] else pixels * filters
        counts[BYTES_READ] += 4 * counts["reads", "dram", "outputs"]
    if f["input"]:
        _input(f, config, counts)
    if f["weights"]:
        words = taps * channels * filters
        counts[UNROLLED, "config_ld"] += 1
        counts[UNROLLED, "mvin2"] = taps * _blocks(channels, dim) * _blocks(filters, config.max_block_columns)
        counts["reads", "dram", "weights"] = counts["writes", "scratchpad", "weights"] = words
        counts[BYTES_READ] += words
    tiles = taps * _blocks(channels, dim) * _blocks(filters, dim)
    counts[UNROLLED, "preload"] = tiles * runs
    counts[UNROLLED, "compute_preloaded"] = tiles
    counts[UNROLLED, "compute_accumulated"] = tiles * (runs - 1)
    counts["reads", "scratchpad", "weights"] = counts["writes", "registers", "weights"] = taps * channels * filters
    counts["reads", "scratchpad", "inputs"] = pixels * taps * channels * _blocks(filters, dim)
    counts["macs"] = counts["reads", "registers", "weights"] = pixels * taps * channels * filters
    counts["writes", "accumulator", "outputs"] += pixels * taps * filters * _blocks(channels, dim)
    counts["reads", "accumulator", "outputs"] = pixels * taps * filters * _blocks(channels, dim)
    if f["output"]:
        counts[UNROLLED, "mvout"] = runs * _blocks(filters, dim)
        counts["reads", "accumulator", "outputs"] += pixels * filters
        counts["writes", "dram", "outputs"] = counts[BYTES_WRITTEN] = pixels * filters
    return counts


def _input(f: Fields, config: GemminiConfig, counts: Counter) -> None:
    """The moves of the input tile: zeros around what lies inside the image, and every other pixel where it is halved on the way."""
    ds = f["downsample"]
    rows, columns = (
        f[outputs] * f["stride"] + (f[taps] - 1) * f["kernel_dilation"] for outputs, taps in (("orows", "krows"), ("ocols", "kcols"))
    )
    inside, width = rows - f["upad"] - f["dpad"], columns - f["lpad"] - f["rpad"]
    moves = pixels = real = 0
    for length, zeros, most in ((f["lpad"], True, config.dim), (width, False, config.dim << ds), (f["rpad"], True, config.dim)):
        whole, rest = divmod(length, most)
        moves += whole + (rest > 0)
        pixels += whole * (most >> ds) + (rest >> ds)
        real += 0 if zeros else whole * (most >> ds) + (rest >> ds)
    steps = range(-f["upad"], inside + f["dpad"], 1 << ds)
    lines = len(steps) * f["batches"]
    seen = sum(0 <= row < inside for row in steps) * f["batches"]
    counts[UNROLLED, "config_ld"] += 1
    counts[UNROLLED, "mvin"] = lines * moves * _blocks(f["kchs"], config.max_block_columns)
    counts["writes", "scratchpad", "inputs"] = lines * pixels * f["kchs"]
    counts["reads", "dram", "inputs"] = seen * real * f["kchs"]
    counts[BYTES_READ] += seen * real * f["kchs"]
