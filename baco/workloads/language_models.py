"""GPT-2 (124 M parameters) and Llama-2 7B, once reading a prompt (prefill) and once writing a token (decode).

Prefill computes the logits of the last token only, as servers do. Decode is one step with the keys and values of `TOKENS` tokens at hand:
its projections are matrix-vector products, and scores and values look at all of them. Causal masks are not made use of.
"""

from __future__ import annotations

from dataclasses import dataclass

from baco.workload import Problem
from baco.workloads.layers import attention, feed_forward
from baco.workloads.network import Network, merge

TOKENS = 512
"""The prompt, and the context of the step: the longest sequence of the BACO dissertation, section 6.6.2."""


@dataclass(frozen=True)
class Decoder:
    """The sizes of a decoder-only transformer."""

    name: str
    source: str
    blocks: int
    hidden: int
    heads: int
    feed_forward: int
    vocabulary: int
    gated: bool
    fused: bool

    def network(self, phase: str, tokens: int, context: int) -> Network:
        """All products for `tokens` new tokens that look at `context` tokens."""
        block = [
            *attention(tokens, self.hidden, self.heads, context=context, fused=self.fused),
            *feed_forward(tokens, self.hidden, self.feed_forward, gated=self.gated),
        ]
        logits = Problem.gemm(1, self.vocabulary, self.hidden, name="logits")
        what = f"a prompt of {tokens} tokens" if phase == "prefill" else f"one token that looks at {context}"
        return merge(f"{self.name}-{phase}", [*block * self.blocks, logits], f"{self.source}; {what}, batch 1")


GPT2 = Decoder(
    "gpt2",
    "GPT-2 (Radford et al. 2019, table 2, the smallest)",
    blocks=12,
    hidden=768,
    heads=12,
    feed_forward=3072,
    vocabulary=50257,
    gated=False,
    fused=True,
)
LLAMA2_7B = Decoder(
    "llama2-7b",
    "Llama-2 7B (Touvron et al. 2023)",
    blocks=32,
    hidden=4096,
    heads=32,
    feed_forward=11008,
    vocabulary=32000,
    gated=True,
    fused=False,
)


def gpt2_prefill() -> Network:
    """GPT-2 reading a prompt."""
    return GPT2.network("prefill", TOKENS, TOKENS)


def gpt2_decode() -> Network:
    """GPT-2 writing one token."""
    return GPT2.network("decode", 1, TOKENS)


def llama2_7b_prefill() -> Network:
    """Llama-2 7B reading a prompt."""
    return LLAMA2_7B.network("prefill", TOKENS, TOKENS)


def llama2_7b_decode() -> Network:
    """Llama-2 7B writing one token."""
    return LLAMA2_7B.network("decode", 1, TOKENS)
