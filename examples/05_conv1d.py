"""1-D convolution: one product per filter tap, and padding by masks.

At tap t, output position i meets input position i * STRIDE + t * DILATION - PADDING: a block of output positions meets rows of channels
that lie STRIDE rows apart. A block of pointers says where they are and a mask which of them exist. The compiler finds that the addresses
are regular and that the mask cuts the block to a range of rows, so that a load is still a few moves of rows: zeros are filled in by the
DMA for what lies outside, and the input is never copied to make room for padding. Nothing runs on the host core.

Run it: python examples/05_conv1d.py
"""

import numpy as np

import baco
import baco.language as bl


@baco.jit
def conv1d(
    x,
    w,
    y,
    L,
    OL,
    C,
    F,
    scale,
    TAPS: bl.constexpr,
    STRIDE: bl.constexpr,
    PADDING: bl.constexpr,
    DILATION: bl.constexpr,
    BLOCK_L: bl.constexpr,
    BLOCK_F: bl.constexpr,
    BLOCK_C: bl.constexpr,
):
    out = bl.program_id(0) * BLOCK_L + bl.arange(0, BLOCK_L)
    f = bl.program_id(1) * BLOCK_F + bl.arange(0, BLOCK_F)
    batch = bl.program_id(2)
    acc = bl.zeros((BLOCK_L, BLOCK_F), dtype=bl.int32)
    for tap in range(TAPS):
        place = out * STRIDE + (tap * DILATION - PADDING)
        inside = (place >= 0) & (place < L)
        for start in range(0, C, BLOCK_C):
            c = start + bl.arange(0, BLOCK_C)
            rows = bl.load(x + batch * L * C + place[:, None] * C + c[None, :], mask=inside[:, None] & (c[None, :] < C))
            taps = bl.load(w + tap * C * F + c[:, None] * F + f[None, :], mask=(c[:, None] < C) & (f[None, :] < F))
            acc += bl.dot(rows, taps)
    y_ptrs = y + batch * OL * F + out[:, None] * F + f[None, :]
    bl.store(y_ptrs, bl.gemmini.requantise(acc, scale), mask=(out[:, None] < OL) & (f[None, :] < F))


def output_length(length, taps, stride, padding, dilation):
    """How many places a filter of `taps` fits."""
    return (length + 2 * padding - dilation * (taps - 1) - 1) // stride + 1


def launch(x, w, y, scale, stride=1, padding=0, dilation=1, block=(64, 64, 64), **options):
    """y[n, i, f] = clamp(round(sum of x[n, i * stride + t * dilation - padding, c] * w[t, c, f], times scale)): channels come last."""
    (n, length, c), (taps, _, f) = x.shape, w.shape
    out = output_length(length, taps, stride, padding, dilation)
    block = [min(largest, size) for largest, size in zip(block, (out, f, c), strict=True)]
    meta = dict(zip(("BLOCK_L", "BLOCK_F", "BLOCK_C"), block, strict=True))
    meta |= {"TAPS": taps, "STRIDE": stride, "PADDING": padding, "DILATION": dilation}
    grid = (baco.cdiv(out, block[0]), baco.cdiv(f, block[1]), n)
    return conv1d[grid](x, w, y, length, out, c, f, scale, **meta, **options)


def reference(x, w, scale, stride=1, padding=0, dilation=1):
    """What NumPy says."""
    out = output_length(x.shape[1], len(w), stride, padding, dilation)
    padded = np.pad(x.astype(np.int32), ((0, 0), (padding, padding), (0, 0)))
    acc = sum(padded[:, t * dilation :][:, : (out - 1) * stride + 1 : stride] @ w[t].astype(np.int32) for t in range(len(w)))
    return np.clip(np.rint(acc.astype(np.float32) * np.float32(scale)), -128, 127).astype(np.int8)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    x, w = rng.integers(-128, 128, (2, 1000, 64), dtype=np.int8), rng.integers(-128, 128, (5, 64, 128), dtype=np.int8)
    y = np.zeros((2, 500, 128), np.int8)
    result = launch(x, w, y, 0.002, stride=2, padding=2)
    assert (y == reference(x, w, 0.002, stride=2, padding=2)).all()
    print(f"2x1000x64 by 5 taps, stride 2, is right; {result.counters.traffic.macs} multiply-accumulates on the array.")
