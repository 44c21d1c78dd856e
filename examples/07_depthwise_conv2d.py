"""Depthwise convolution: each channel by itself, on an array that mixes channels.

A product adds up over channels, which a depthwise convolution must not do. A diagonal matrix does not mix either: pixels times diag(w[tap])
scales each channel by its own weight, and the accumulator adds up the taps. Of a DIM x DIM tile only the diagonal is useful, but the
multiplications cost no more time than those of any tile, and pixels come by the DMA as rows of channels; there is no other
way for them to meet their weights on the accelerator. Channels are taken BLOCK_C at a time, and no more than DIM of them is best. With
instructions="auto" a block is one loop_conv_ws on the diagonals: that instruction's own depthwise form takes one channel at a time, which
uses one column of the array where this uses DIM.

The diagonals come from a kernel of their own, which only compares, chooses and stores: all of that runs on the RISC-V host core, once for
a filter. The convolution itself runs nothing there.

Run it: python examples/07_depthwise_conv2d.py
"""

import numpy as np

import baco
import baco.language as bl


@baco.jit
def diagonals(w, d, C, BLOCK_C: bl.constexpr):
    i = bl.arange(0, BLOCK_C)
    c = bl.program_id(0) * BLOCK_C + i
    weights = bl.load(w + bl.program_id(1) * C + c, mask=c < C)
    tile = bl.program_id(1) * bl.num_programs(0) + bl.program_id(0)
    d_ptrs = d + tile * BLOCK_C * BLOCK_C + i[:, None] * BLOCK_C + i[None, :]
    bl.store(d_ptrs, bl.where(i[:, None] == i[None, :], weights[None, :], bl.zeros((BLOCK_C, BLOCK_C), bl.int8)))


@baco.jit
def depthwise_conv2d(
    x,
    d,
    y,
    H,
    W,
    OH,
    OW,
    C,
    scale,
    KH: bl.constexpr,
    KW: bl.constexpr,
    STRIDE: bl.constexpr,
    PADDING: bl.constexpr,
    BLOCK_W: bl.constexpr,
    BLOCK_C: bl.constexpr,
):
    out = bl.program_id(0) * BLOCK_W + bl.arange(0, BLOCK_W)
    c = bl.program_id(1) * BLOCK_C + bl.arange(0, BLOCK_C)
    image, row = bl.program_id(2) // OH, bl.program_id(2) % OH
    i = bl.arange(0, BLOCK_C)
    acc = bl.zeros((BLOCK_W, BLOCK_C), dtype=bl.int32)
    for kh in range(KH):
        h = row * STRIDE + kh - PADDING
        if h >= 0 and h < H:
            for kw in range(KW):
                place = out * STRIDE + (kw - PADDING)
                x_ptrs = x + (image * H + h) * W * C + place[:, None] * C + c[None, :]
                inside = (place >= 0) & (place < W)
                pixels = bl.load(x_ptrs, mask=inside[:, None] & (c[None, :] < C))
                tile = (kh * KW + kw) * bl.num_programs(1) + bl.program_id(1)
                acc += bl.dot(pixels, bl.load(d + tile * BLOCK_C * BLOCK_C + i[:, None] * BLOCK_C + i[None, :]))
    y_ptrs = y + bl.program_id(2) * OW * C + out[:, None] * C + c[None, :]
    bl.store(y_ptrs, bl.gemmini.requantise(acc, scale), mask=(out[:, None] < OW) & (c[None, :] < C))


def launch(x, w, y, scale, stride=1, padding=0, block=(64, 16), **options):
    """y[..., c] = the convolution of x[..., c] with w[..., c], times scale, rounded and clamped: (N, OH, OW, C) from (KH, KW, C)."""
    (n, h, width, c), (kh, kw, _), (_, oh, ow, _) = x.shape, w.shape, y.shape
    groups, size = baco.cdiv(c, block[1]), min(block[0], ow)
    d = np.zeros((kh * kw, groups, block[1], block[1]), np.int8)
    diagonals[groups, kh * kw](w, d, c, BLOCK_C=block[1], **options)
    meta = {"KH": kh, "KW": kw, "STRIDE": stride, "PADDING": padding, "BLOCK_W": size, "BLOCK_C": block[1]}
    grid = (baco.cdiv(ow, size), groups, n * oh)
    return depthwise_conv2d[grid](x, d, y, h, width, oh, ow, c, scale, **meta, **options)


def reference(x, w, scale, stride=1, padding=0):
    """What NumPy says."""
    (_, h, width, _), (kh, kw, _) = x.shape, w.shape
    oh, ow = (h + 2 * padding - kh) // stride + 1, (width + 2 * padding - kw) // stride + 1
    padded = np.pad(x.astype(np.int32), ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    acc = 0
    for i, j in np.ndindex(kh, kw):
        seen = padded[:, i:, j:][:, : (oh - 1) * stride + 1 : stride, : (ow - 1) * stride + 1 : stride]
        acc = acc + seen * w[i, j].astype(np.int32)
    return np.clip(np.rint(acc.astype(np.float32) * np.float32(scale)), -128, 127).astype(np.int8)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x, w = rng.integers(-128, 128, (1, 56, 56, 64), dtype=np.int8), rng.integers(-128, 128, (3, 3, 64), dtype=np.int8)
    y = np.zeros((1, 28, 28, 64), np.int8)
    result = launch(x, w, y, 0.01, stride=2, padding=1)
    assert (y == reference(x, w, 0.01, stride=2, padding=1)).all()
    print(f"56x56x64 by 3x3, stride 2, is right; {result.counters.traffic.macs} multiply-accumulates for {y.size * 9} useful ones.")
