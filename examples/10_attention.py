"""Int8 attention: two products on the array, and a softmax between them on the host core, in one kernel.

An exponential is beyond the accelerator. The kernel simply says `bl.exp`: the compiler puts what needs float32 on the RISC-V host core,
moves the scores out to it and the probabilities back, and puts the fences between them. Scores leave the accumulator as int32; they are
scaled, shifted by their row's maximum and exponentiated in float32, and divided by their sum; as int8, probability 1 is 127. The value
product then runs on the array again, and is requantised on its way out.

Keys lie in memory like queries, as (tokens, head_dim), and the product wants them transposed: `bl.dot(q, bl.trans(k))` lets the array turn
them as they go in, so that nothing is moved for it.

Run it: python examples/10_attention.py
"""

import numpy as np

import baco
import baco.language as bl


@baco.jit
def attention(
    q,
    k,
    v,
    y,
    TOKENS,
    D,
    score_scale,
    out_scale,
    BLOCK_M: bl.constexpr,
    BLOCK_T: bl.constexpr,
    BLOCK_D: bl.constexpr,
):
    row = bl.program_id(0) * BLOCK_M
    head = bl.program_id(1) * TOKENS * D
    q_ptr = bl.make_block_ptr(q + head, (TOKENS, D), (D, 1), (row, 0), (BLOCK_M, BLOCK_D), (1, 0))
    k_ptr = bl.make_block_ptr(k + head, (TOKENS, D), (D, 1), (0, 0), (BLOCK_T, BLOCK_D), (1, 0))
    v_ptr = bl.make_block_ptr(v + head, (TOKENS, D), (D, 1), (0, 0), (BLOCK_T, BLOCK_D), (1, 0))
    scores = bl.dot(bl.load(q_ptr, boundary_check=(0, 1)), bl.trans(bl.load(k_ptr, boundary_check=(0, 1))))
    logits = bl.where(bl.arange(0, BLOCK_T)[None, :] < TOKENS, bl.cast(scores, bl.float32) * score_scale, -1e30)
    weights = bl.exp(logits - bl.max(logits, axis=1, keep_dims=True))
    shares = weights * (127.0 / bl.sum(weights, axis=1, keep_dims=True))
    probabilities = bl.floor(shares + 0.5).to(bl.int8)
    result = bl.dot(probabilities, bl.load(v_ptr, boundary_check=(0, 1)))
    y_ptr = bl.make_block_ptr(y + head, (TOKENS, D), (D, 1), (row, 0), (BLOCK_M, BLOCK_D), (1, 0))
    bl.store(y_ptr, bl.gemmini.requantise(result, out_scale), boundary_check=(0, 1))


def launch(q, k, v, y, scale, block=32, **options):
    """y = softmax(q @ k.T * scale / sqrt(D)) @ v for int8 tensors of (heads, tokens, D)."""
    heads, tokens, d = q.shape
    meta = {"BLOCK_M": min(block, tokens), "BLOCK_T": tokens, "BLOCK_D": d}
    grid = (baco.cdiv(tokens, meta["BLOCK_M"]), heads)
    return attention[grid](q, k, v, y, tokens, d, scale / np.sqrt(d), 1 / 127, **meta, **options)


def reference(q, k, v, scale):
    """What NumPy says of attention in real numbers, between -128 and 127."""
    logits = q.astype(np.int64) @ k.astype(np.int64).swapaxes(1, 2) * scale / np.sqrt(q.shape[2])
    weights = np.exp(logits - logits.max(2, keepdims=True))
    return weights / weights.sum(2, keepdims=True) @ v


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    q, k, v = rng.integers(-128, 128, (3, 12, 128, 64), dtype=np.int8)
    y = np.zeros_like(q)
    result = launch(q, k, v, y, 0.001)
    far = np.abs(y - reference(q, k, v, 0.001)).max()
    assert far < 32
    print(f"12 heads of 128x64 differ by at most {far:.1f} of 255 steps from attention in real numbers.")
