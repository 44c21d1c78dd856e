"""Layers that several networks are made of: convolutions, depthwise convolutions and transformer blocks.

A problem has no groups. A grouped convolution is as many independent problems as it has groups, all of one shape, so it is one
:class:`Layer` whose count is the number of groups; a depthwise convolution has one channel in and one out in each. This is how the array
does it (a column adds up all its rows, so channels that must not be mixed cannot share it: the vendor's library runs depthwise channels
one after another, too) and how such layers are given to mapping tools without groups. The heads of an attention layer are the same case.
"""

from __future__ import annotations

from collections.abc import Iterator

from baco.workload import Problem
from baco.workloads.network import Layer


def convolution(
    name: str, size: int | tuple[int, int], channels: int, filters: int, kernel: int, stride: int = 1, padding: int | None = None
) -> Problem:
    """A convolution with a square filter on an input of `size` (height, width), padded so that only the stride shrinks it unless
    `padding` says otherwise."""
    border = kernel // 2 if padding is None else padding
    height, width = (size, size) if isinstance(size, int) else size
    rows, columns = ((n + 2 * border - kernel) // stride + 1 for n in (height, width))
    return Problem(R=kernel, S=kernel, P=rows, Q=columns, C=channels, K=filters, stride=(stride,) * 2, padding=(border,) * 2, name=name)


def depthwise(name: str, size: int | tuple[int, int], channels: int, kernel: int, stride: int = 1) -> Layer:
    """A depthwise convolution: `channels` problems of one channel each."""
    return Layer(convolution(name, size, 1, 1, kernel, stride), channels)


def attention(
    tokens: int, hidden: int, heads: int, *, context: int | None = None, key_heads: int | None = None, batch: int = 1, fused: bool = True
) -> Iterator[Layer]:
    """The products of one attention layer for `tokens` new tokens that look at `context` (by default the same) tokens, mask or no mask.

    `fused`: queries, keys and values come from one product. `key_heads`: fewer heads of keys and values than of queries. A step of a
    sequence with a cache of keys and values has one token and the whole sequence as its context.
    """
    context, key_heads, head = context or tokens, key_heads or heads, hidden // heads
    if fused:
        yield Layer(Problem.gemm(batch * tokens, head * (heads + 2 * key_heads), hidden, name="qkv"))
    else:
        yield Layer(Problem.gemm(batch * tokens, hidden, hidden, name="projection"))
        yield Layer(Problem.gemm(batch * tokens, head * key_heads, hidden, name="key and value projection"), 2)
    yield Layer(Problem.gemm(tokens, context, head, name="scores"), heads * batch)
    yield Layer(Problem.gemm(tokens, head, context, name="values"), heads * batch)
    yield Layer(Problem.gemm(batch * tokens, hidden, hidden, name="projection"))


def feed_forward(tokens: int, hidden: int, inner: int, *, gated: bool = False, batch: int = 1) -> Iterator[Layer]:
    """The products of a transformer's feed-forward network; `gated` (SwiGLU) has two products on the way up."""
    yield Layer(Problem.gemm(batch * tokens, inner, hidden, name="expand"), 2 if gated else 1)
    yield Layer(Problem.gemm(batch * tokens, hidden, inner, name="contract"))
