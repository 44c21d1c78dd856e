"""Residual addition: two int8 tensors with scales of their own, added, clamped and perhaps rectified, all on the accelerator.

Gemmini adds in its accumulator only, and what gets there comes from a product: so each tensor is multiplied by a multiple of the identity,
A @ (p I) + B @ (q I) = p A + q B, exactly, and the scale of the way out does the rest. `launch` finds integers p and q below 128 and a
common scale such that p * scale and q * scale are the two scales. Where no such integers exist it takes the nearest ratio, which moves the
smaller scale by at most 1/254 of the larger one. Blocks are DIM columns wide: wider ones would meet zeros beside the diagonal.
Nothing runs on the host core; written as `a * s + b * t`, all of it would.

Run it: python examples/08_residual_add.py
"""

from fractions import Fraction

import numpy as np

import baco
import baco.language as bl


@baco.jit
def residual_add(a, b, p, q, y, M, N, scale, BLOCK_M: bl.constexpr, BLOCK_N: bl.constexpr, RELU: bl.constexpr):
    offsets = (bl.program_id(0) * BLOCK_M, bl.program_id(1) * BLOCK_N)
    a_ptr = bl.make_block_ptr(a, (M, N), (N, 1), offsets, (BLOCK_M, BLOCK_N), (1, 0))
    b_ptr = bl.make_block_ptr(b, (M, N), (N, 1), offsets, (BLOCK_M, BLOCK_N), (1, 0))
    p_ptr = bl.make_block_ptr(p, (BLOCK_N, BLOCK_N), (BLOCK_N, 1), (0, 0), (BLOCK_N, BLOCK_N), (1, 0))
    q_ptr = bl.make_block_ptr(q, (BLOCK_N, BLOCK_N), (BLOCK_N, 1), (0, 0), (BLOCK_N, BLOCK_N), (1, 0))
    acc = bl.dot(bl.load(a_ptr, boundary_check=(0, 1)), bl.load(p_ptr))
    acc = bl.dot(bl.load(b_ptr, boundary_check=(0, 1)), bl.load(q_ptr), acc)
    y_ptr = bl.make_block_ptr(y, (M, N), (N, 1), offsets, (BLOCK_M, BLOCK_N), (1, 0))
    bl.store(y_ptr, bl.gemmini.requantise(acc, scale, relu=RELU), boundary_check=(0, 1))


def integers(scale_a, scale_b):
    """Integers p and q below 128 and a scale: p * scale is the scale of a, q * scale that of b, or nearly so."""
    ratio = Fraction(min(scale_a, scale_b) / max(scale_a, scale_b)).limit_denominator(127)
    large, small = ratio.denominator, ratio.numerator
    scale = max(scale_a, scale_b) / large
    return (large, small, scale) if scale_a >= scale_b else (small, large, scale)


def launch(a, b, y, scale_a=1.0, scale_b=1.0, relu=True, block=(256, 16), **options):
    """y = clamp(round(a * scale_a + b * scale_b)) for int8 tensors of one shape and positive scales."""
    n = a.shape[-1]
    m = a.size // n
    p, q, scale = integers(scale_a, scale_b)
    eye = np.eye(block[1], dtype=np.int8)
    meta = {"BLOCK_M": min(block[0], m), "BLOCK_N": block[1], "RELU": relu}
    grid = (baco.cdiv(m, meta["BLOCK_M"]), baco.cdiv(n, block[1]))
    return residual_add[grid](a, b, eye * p, eye * q, y, m, n, scale, **meta, **options)


def reference(a, b, scale_a=1.0, scale_b=1.0, relu=True):
    """What NumPy says of the sum in the same integers."""
    p, q, scale = integers(scale_a, scale_b)
    acc = p * a.astype(np.int32) + q * b.astype(np.int32)
    return np.clip(np.rint(acc.astype(np.float32) * np.float32(scale)), 0 if relu else -128, 127).astype(np.int8)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    a, b = rng.integers(-128, 128, (2, 1, 56, 56, 64), dtype=np.int8)
    y = np.zeros_like(a)
    result = launch(a, b, y, 0.5, 0.3)
    assert (y == reference(a, b, 0.5, 0.3)).all()
    real = np.clip(a * 0.5 + b * 0.3, 0, 127)
    print(f"56x56x64 is right, no further than {np.abs(y - real).max():.3f} from the sum in real numbers.")
