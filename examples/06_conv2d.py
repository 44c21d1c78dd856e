"""2-D convolution: implicit GEMM, and how to give a narrow input more channels.

A block of output pixels of one row meets, at each tap of the filter, input pixels that lie STRIDE pixels apart: rows of channels, which the
DMA moves as they lie in memory. No im2col matrix is ever built. Padding is a mask; nothing runs on the host core. A program instance
computes several output rows, one after the other at each tap, so that they share a load of its weights: their accumulator blocks are a
tuple that the loops carry. They start from zeros or from a bias: one row of numbers for all pixels, which the DMA repeats on its way to the
accumulator.

The array multiplies DIM channels at a time, and an image has three. Pixels of one row and their channels are contiguous, though, so that
the taps of a filter row are, too: seven taps of three channels are one tap of 21. `launch` makes use of that where channels are few and
taps adjacent: the kernel sees a filter one tap wide whose `channels` overlap from one pixel to the next, because the distance between
pixels stays what it was. The input is then padded on the left and right beforehand, as a mask cannot cut through a tap. In the same way
a 1x1 filter of stride 1 sees one long row instead of many short ones. Blocks are no larger than the tensors, so that the array does not
multiply zeros for nothing.

Run it: python examples/06_conv2d.py
"""

import numpy as np

import baco
import baco.language as bl


@baco.jit
def conv2d(
    x,
    w,
    bias,
    y,
    H,
    W,
    OH,
    OW,
    C,
    F,
    stride_xn,
    stride_xh,
    stride_xw,
    scale,
    KH: bl.constexpr,
    KW: bl.constexpr,
    STRIDE: bl.constexpr,
    PADDING: bl.constexpr,
    DILATION: bl.constexpr,
    ROWS: bl.constexpr,
    BLOCK_W: bl.constexpr,
    BLOCK_F: bl.constexpr,
    BLOCK_C: bl.constexpr,
):
    out = bl.program_id(0) * BLOCK_W + bl.arange(0, BLOCK_W)
    f = bl.program_id(1) * BLOCK_F + bl.arange(0, BLOCK_F)
    bands = bl.cdiv(OH, ROWS)
    image, top = bl.program_id(2) // bands, bl.program_id(2) % bands * ROWS
    sums = ()
    for _ in bl.static_range(ROWS):
        if bias is None:
            sums = (*sums, bl.zeros((BLOCK_W, BLOCK_F), dtype=bl.int32))
        else:
            sums = (*sums, bl.load(bias + 0 * out[:, None] + f[None, :], mask=f[None, :] < F))
    for kh in range(KH):
        for kw in range(KW):
            place = out * STRIDE + (kw * DILATION - PADDING[1])
            inside = (place >= 0) & (place < W) & (out < OW)
            for start in range(0, C, BLOCK_C):
                c = start + bl.arange(0, BLOCK_C)
                w_ptrs = w + (kh * KW + kw) * C * F + c[:, None] * F + f[None, :]
                taps = bl.load(w_ptrs, mask=(c[:, None] < C) & (f[None, :] < F))
                more = ()
                for r in bl.static_range(ROWS):
                    h = (top + r) * STRIDE + kh * DILATION - PADDING[0]
                    total = sums[r]
                    if h >= 0 and h < H:
                        x_ptrs = x + image * stride_xn + h * stride_xh + place[:, None] * stride_xw + c[None, :]
                        total = bl.dot(bl.load(x_ptrs, mask=inside[:, None] & (c[None, :] < C)), taps, total)
                    more = (*more, total)
                sums = more
    for r in bl.static_range(ROWS):
        y_ptrs = y + (image * OH + top + r) * OW * F + out[:, None] * F + f[None, :]
        mask = (out[:, None] < OW) & (f[None, :] < F) & (top + r < OH)
        bl.store(y_ptrs, bl.gemmini.requantise(sums[r], scale), mask=mask)


def output_size(size, taps, stride, padding, dilation):
    """How many places a filter of `taps` fits."""
    return (size + 2 * padding - dilation * (taps - 1) - 1) // stride + 1


def launch(x, w, y, scale, stride=1, padding=0, dilation=1, bias=None, block=(64, 64, 64), pixels=128, **options):
    """y = the convolution of x (N, H, W, C) with w (KH, KW, C, F), plus bias (F), times scale, rounded and clamped: (N, OH, OW, F).

    `pixels` is how many output pixels may share a load of weights: as many rows of a block as that makes.
    """
    (n, h, width, c), (kh, kw, _, f) = x.shape, w.shape
    oh, ow = output_size(h, kh, stride, padding, dilation), output_size(width, kw, stride, padding, dilation)
    pad = (padding, padding)
    step = c
    if kw > 1 and c < 16 and dilation == 1:
        x = np.pad(x, ((0, 0), (0, 0), pad, (0, 0)))
        width, c, kw, pad = x.shape[2], kw * c, 1, (padding, 0)
    elif kh == kw == stride == 1 and padding == 0:
        h, width, oh, ow = 1, h * width, 1, oh * ow
    strides = [x.strides[0], x.strides[1] if h > 1 else 0, step]
    block = [min(largest, size) for largest, size in zip(block, (ow, f, c), strict=True)]
    meta = dict(zip(("BLOCK_W", "BLOCK_F", "BLOCK_C"), block, strict=True))
    meta |= {"KH": kh, "KW": kw, "STRIDE": stride, "PADDING": pad, "DILATION": dilation}
    bands = baco.cdiv(oh, min(8, max(1, pixels // block[0])))
    meta["ROWS"] = baco.cdiv(oh, bands)
    grid = (baco.cdiv(ow, block[0]), baco.cdiv(f, block[1]), n * baco.cdiv(oh, meta["ROWS"]))
    return conv2d[grid](x, w, bias, y, h, width, oh, ow, c, f, *strides, scale, **meta, **options)


def reference(x, w, scale, stride=1, padding=0, dilation=1, bias=None):
    """What NumPy says."""
    (_, h, width, _), (kh, kw, _, _) = x.shape, w.shape
    oh, ow = output_size(h, kh, stride, padding, dilation), output_size(width, kw, stride, padding, dilation)
    padded = np.pad(x.astype(np.int32), ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    acc = 0 if bias is None else bias
    for i, j in np.ndindex(kh, kw):
        seen = padded[:, i * dilation :, j * dilation :][:, : (oh - 1) * stride + 1 : stride, : (ow - 1) * stride + 1 : stride]
        acc = acc + seen @ w[i, j].astype(np.int32)
    return np.clip(np.rint(acc.astype(np.float32) * np.float32(scale)), -128, 127).astype(np.int8)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    for name, size, c, taps, f, stride in (("a middle layer", 28, 128, 3, 128, 1), ("the first layer", 112, 3, 7, 64, 2)):
        x, w = rng.integers(-128, 128, (1, size, size, c), dtype=np.int8), rng.integers(-128, 128, (taps, taps, c, f), dtype=np.int8)
        y = np.zeros((1, size // stride, size // stride, f), np.int8)
        result = launch(x, w, y, 0.001, stride=stride, padding=taps // 2)
        assert (y == reference(x, w, 0.001, stride=stride, padding=taps // 2)).all()
        useful, done = y.size * taps * taps * c, result.counters.traffic.macs
        print(f"{name} is right; {done / useful:.2f} multiply-accumulates on the array for each that the convolution has.")
