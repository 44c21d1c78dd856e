"""Max and average pooling: in the stores, on the array, and on the host core.

Gemmini's store path takes the maximum of windows of up to 3 x 3 pixels while a block leaves: `bl.gemmini.max_pool` costs nothing but the
store, and the whole block never goes out. `max_pool` loads pixels and stores maxima; `conv_max_pool` pools what a 1 x 1 convolution has
left in the accumulator. Both take a few whole rows of the image at a time, so that images may be of any height. What lies outside the image
counts as 0 there, which changes nothing after a ReLU; where pixels may be negative and there is padding, or for larger windows,
`bl.maximum` does the same on the RISC-V host core (`max_pool_on_host`), and a remark of the compiler says so.

An average is a sum, and sums are what the accumulator does: pixels times the identity, added up over the window, scaled by one over the
window's size on the way out.

Run it: python examples/09_pooling.py
"""

import numpy as np

import baco
import baco.language as bl


@baco.jit
def rows_of(x, H, W: bl.constexpr, C, row, c, ROWS: bl.constexpr, BLOCK_C: bl.constexpr):
    """Whole rows of pixels with some of their channels; those above and below the image are zeros."""
    pixels = bl.make_block_ptr(x, (H * W, C), (C, 1), (row * W, c), (ROWS * W, BLOCK_C), (1, 0))
    return bl.load(pixels, boundary_check=(0, 1))


@baco.jit
def max_pool(
    x,
    y,
    H,
    OH,
    C,
    W: bl.constexpr,
    OW: bl.constexpr,
    SIZE: bl.constexpr,
    STRIDE: bl.constexpr,
    PADDING: bl.constexpr,
    BLOCK_H: bl.constexpr,
    BLOCK_C: bl.constexpr,
):
    row, c, image = bl.program_id(0) * BLOCK_H, bl.program_id(1) * BLOCK_C, bl.program_id(2)
    rows: bl.constexpr = (BLOCK_H - 1) * STRIDE + SIZE
    pixels = rows_of(x + image * H * W * C, H, W, C, row * STRIDE - PADDING, c, rows, BLOCK_C)
    highest = bl.gemmini.max_pool(pixels, (rows, W), SIZE, STRIDE, (0, PADDING))
    out = bl.make_block_ptr(y + image * OH * OW * C, (OH * OW, C), (C, 1), (row * OW, c), (BLOCK_H * OW, BLOCK_C), (1, 0))
    bl.store(out, highest, boundary_check=(0, 1))


@baco.jit
def conv_max_pool(
    x,
    w,
    y,
    H,
    OH,
    C,
    K,
    scale,
    W: bl.constexpr,
    OW: bl.constexpr,
    SIZE: bl.constexpr,
    STRIDE: bl.constexpr,
    PADDING: bl.constexpr,
    BLOCK_H: bl.constexpr,
    BLOCK_C: bl.constexpr,
    BLOCK_K: bl.constexpr,
):
    """1 x 1 convolution, ReLU and max pooling; x has C channels, y has K."""
    row, k, image = bl.program_id(0) * BLOCK_H, bl.program_id(1) * BLOCK_K, bl.program_id(2)
    rows: bl.constexpr = (BLOCK_H - 1) * STRIDE + SIZE
    acc = bl.zeros((rows * W, BLOCK_K), dtype=bl.int32)
    for c in range(0, C, BLOCK_C):
        pixels = rows_of(x + image * H * W * C, H, W, C, row * STRIDE - PADDING, c, rows, BLOCK_C)
        weights = bl.load(bl.make_block_ptr(w, (C, K), (K, 1), (c, k), (BLOCK_C, BLOCK_K), (1, 0)), boundary_check=(0, 1))
        acc += bl.dot(pixels, weights)
    highest = bl.gemmini.max_pool(bl.gemmini.requantise(acc, scale, relu=True), (rows, W), SIZE, STRIDE, (0, PADDING))
    out = bl.make_block_ptr(y + image * OH * OW * K, (OH * OW, K), (K, 1), (row * OW, k), (BLOCK_H * OW, BLOCK_K), (1, 0))
    bl.store(out, highest, boundary_check=(0, 1))


@baco.jit
def window(H, W, OW, C, at, STRIDE: bl.constexpr, PADDING: bl.constexpr, BLOCK_W: bl.constexpr, BLOCK_C: bl.constexpr):
    """Where output pixels of a row and their channels are, and which of the input pixels at a place of the window exist."""
    out = bl.program_id(0) * BLOCK_W + bl.arange(0, BLOCK_W)
    c = bl.program_id(1) * BLOCK_C + bl.arange(0, BLOCK_C)
    place = out * STRIDE + (at - PADDING)
    inside = (place >= 0) & (place < W) & (out < OW)
    return place[:, None] * C + c[None, :], inside[:, None] & (c[None, :] < C)


@baco.jit
def max_pool_on_host(
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


def launch(kind, x, y, size, stride=1, padding=0, block=(64, 16), after_relu=False, **options):
    """y (N, OH, OW, C) = the "max" or "average" over windows of size x size pixels of x (N, H, W, C); padding counts as 0 in averages."""
    (n, h, w, c), (_, oh, ow, _) = x.shape, y.shape
    meta = {"SIZE": size, "STRIDE": stride, "PADDING": padding, "BLOCK_C": block[1]}
    if kind == "max" and size <= 3 and (after_relu or not padding):
        rows = max(1, min(oh, block[0] // ow))
        grid = (baco.cdiv(oh, rows), baco.cdiv(c, block[1]), n)
        return max_pool[grid](x, y, h, oh, c, W=w, OW=ow, BLOCK_H=rows, **meta, **options)
    meta["BLOCK_W"] = min(block[0], ow)
    grid = (baco.cdiv(ow, meta["BLOCK_W"]), baco.cdiv(c, block[1]), n * oh)
    if kind == "max":
        return max_pool_on_host[grid](x, y, h, w, oh, ow, c, **meta, **options)
    return average_pool[grid](x, np.eye(block[1], dtype=np.int8), y, h, w, oh, ow, c, **meta, **options)


def launch_conv(x, w, y, scale, size, stride=1, padding=0, block=(64, 16, 16), **options):
    """y (N, OH, OW, K) = max pooling of relu(x (N, H, W, C) times w (C, K), scaled)."""
    (n, h, width, c), (_, oh, ow, k) = x.shape, y.shape
    rows = max(1, min(oh, block[0] // ow))
    meta = {"SIZE": size, "STRIDE": stride, "PADDING": padding, "BLOCK_H": rows, "BLOCK_C": block[1], "BLOCK_K": block[2]}
    grid = (baco.cdiv(oh, rows), baco.cdiv(k, block[2]), n)
    return conv_max_pool[grid](x, w, y, h, oh, c, k, scale, W=width, OW=ow, **meta, **options)


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
    x = rng.integers(0, 128, (1, 56, 56, 64), dtype=np.int8)
    y = np.zeros((1, 28, 28, 64), np.int8)
    for kind in ("max", "average"):
        result = launch(kind, x, y, 3, stride=2, padding=1, after_relu=True)
        assert (y == reference(kind, x, 3, stride=2, padding=1)).all()
        print(f"{kind} pooling of 56x56x64 by 3x3, stride 2, is right: {result.counters.host_instructions} instructions of the host core.")

    w = rng.integers(-128, 128, (64, 32), dtype=np.int8)
    y = np.zeros((1, 28, 28, 32), np.int8)
    launch_conv(x, w, y, 0.002, 3, stride=2, padding=1)
    convolved = np.clip(np.rint((x.astype(np.int32) @ w.astype(np.int32)).astype(np.float32) * np.float32(0.002)), 0, 127).astype(np.int8)
    assert (y == reference("max", convolved, 3, stride=2, padding=1)).all()
    print("A 1x1 convolution with 32 filters, pooled on its way out, is right.")
