"""One encoder block of BERT-base as matrix products, from its definition (Devlin et al. 2019, section 3).

Hidden size 768, 12 heads of 64, feed-forward size 3072; a sequence of 128 tokens, batch 1.
"""

from __future__ import annotations

from baco.workloads.layers import attention, feed_forward
from baco.workloads.network import Layer, Network, merge

TOKENS, HIDDEN, HEADS, FEED_FORWARD = 128, 768, 12, 3072


def bert() -> Network:
    """The products of one block: four projections, scores and values of every head, and the two of the feed-forward network."""
    layers = [*attention(TOKENS, HIDDEN, HEADS, fused=False), *feed_forward(TOKENS, HIDDEN, FEED_FORWARD)]
    return merge("bert", layers, "BERT-base (Devlin et al. 2019), one encoder block, 128 tokens")


DOSA_COUNTS = {"projection": 2, "scores": 1, "values": 1, "expand": 1, "contract": 1}


def bert_dosa() -> Network:
    """The same products with the counts of the DOSA study (MICRO 2023), which holds fewer projections and one head; for comparison."""
    layers = [Layer(layer.problem, DOSA_COUNTS[layer.name]) for layer in bert().layers]
    return merge("bert-dosa", layers, "BERT-base, one encoder block, 128 tokens, with the counts of the DOSA study (MICRO 2023)")
