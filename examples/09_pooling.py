"""Max and average pooling: one on the host core, one on the array.

An average is a sum, and sums are what the accumulator does: pixels times the identity, added up over the window, scaled by one over the
window's size on the way out. A maximum is no sum. Gemmini has a pooling unit, but only in the path of its stores, and the language does not
offer it yet: `bl.maximum` runs on the RISC-V host core, and a remark of the compiler says so (`special.compiled.remarks`). Both kernels
read the same blocks with the same masks; what lies outside is -128 for one and 0 for the other.

Run it: python examples/09_pooling.py
"""

import numpy as np

import baco
import baco.language as bl


@baco.jit
def window(H, W, OW, C, at, STRIDE: bl.constexpr, PADDING: bl.constexpr, BLOCK_W: bl.constexpr, BLOCK_C: bl.constexpr):
    """Where output pixels of a row and their channels are, and which of the input pixels at a place of the window exist."""
    out = bl.program_id(0) * BLOCK_W + bl.arange(0, BLOCK_W)
    c = bl.program_id(1) * BLOCK_C + bl.arange(0, BLOCK_C)
    place = out * STRIDE + (at - PADDING)
    inside = (place >= 0) & (place < W) & (out < OW)
    return place[:, None] * C + c[None, :], inside[:, None] & (c[None, :] < C)


@baco.jit
def max_pool(
    x, y, H, W, OH, OW, C, SIZE: bl.constexpr, STRIDE: bl.constexpr, PADDING: bl.constexpr, BLOCK_W: bl.constexpr, BLOCK_C: bl.constexpr
):
    image, row = bl.program_id(2) // OH, bl.program_id(2) % OH
    highest = bl.full((BLOCK_W, BLOCK_C), -128, bl.int8)
    for kh in range(SIZE):
        h = row * STRIDE + kh - PADDING
        for kw in range(SIZE):
            place, inside = window(H, W, OW, C, kw, STRIDE, PADDING, BLOCK_W, BLOCK_C)
            there = inside & (h >= 0) & (h < H)
            highest = bl.maximum(highest, bl.load(x + (image * H + h) * W * C + place, mask=there, other=-128))
    out, inside = window(OH, OW, OW, C, 0, 1, 0, BLOCK_W, BLOCK_C)
    bl.store(y + bl.program_id(2) * OW * C + out, highest, mask=inside)


@baco.jit
def average_pool(
    x,
    eye,
    y,
    H,
    W,
    OH,
    OW,
    C,
    SIZE: bl.constexpr,
    STRIDE: bl.constexpr,
    PADDING: bl.constexpr,
    BLOCK_W: bl.constexpr,
    BLOCK_C: bl.constexpr,
):
    image, row = bl.program_id(2) // OH, bl.program_id(2) % OH
    identity = bl.load(bl.make_block_ptr(eye, (BLOCK_C, BLOCK_C), (BLOCK_C, 1), (0, 0), (BLOCK_C, BLOCK_C), (1, 0)))
    acc = bl.zeros((BLOCK_W, BLOCK_C), dtype=bl.int32)
    for kh in range(SIZE):
        h = row * STRIDE + kh - PADDING
        if h >= 0 and h < H:
            for kw in range(SIZE):
                place, inside = window(H, W, OW, C, kw, STRIDE, PADDING, BLOCK_W, BLOCK_C)
                acc += bl.dot(bl.load(x + (image * H + h) * W * C + place, mask=inside), identity)
    out, inside = window(OH, OW, OW, C, 0, 1, 0, BLOCK_W, BLOCK_C)
    bl.store(y + bl.program_id(2) * OW * C + out, bl.gemmini.requantise(acc, 1.0 / (SIZE * SIZE)), mask=inside)


def launch(kind, x, y, size, stride=1, padding=0, block=(64, 16), **options):
    """y (N, OH, OW, C) = the "max" or "average" over windows of size x size pixels of x (N, H, W, C); padding counts as 0 in averages."""
    (n, h, w, c), (_, oh, ow, _) = x.shape, y.shape
    meta = {"SIZE": size, "STRIDE": stride, "PADDING": padding, "BLOCK_W": min(block[0], ow), "BLOCK_C": block[1]}
    grid = (baco.cdiv(ow, meta["BLOCK_W"]), baco.cdiv(c, block[1]), n * oh)
    if kind == "max":
        return max_pool[grid](x, y, h, w, oh, ow, c, **meta, **options)
    return average_pool[grid](x, np.eye(block[1], dtype=np.int8), y, h, w, oh, ow, c, **meta, **options)


def reference(kind, x, size, stride=1, padding=0):
    """What NumPy says."""
    outside = -128 if kind == "max" else 0
    padded = np.pad(x.astype(np.int32), ((0, 0), (padding, padding), (padding, padding), (0, 0)), constant_values=outside)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    if kind == "max":
        return windows.max((4, 5)).astype(np.int8)
    return np.rint(windows.sum((4, 5)).astype(np.float32) * np.float32(1 / (size * size))).astype(np.int8)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (1, 56, 56, 64), dtype=np.int8)
    y = np.zeros((1, 28, 28, 64), np.int8)
    for kind in ("max", "average"):
        result = launch(kind, x, y, 3, stride=2, padding=1)
        assert (y == reference(kind, x, 3, stride=2, padding=1)).all()
        print(f"{kind} pooling of 56x56x64 by 3x3, stride 2, is right; {result.counters.traffic.macs} multiply-accumulates on the array.")
