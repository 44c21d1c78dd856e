"""One encoder block of BERT-base as matrix products, from its definition (Devlin et al. 2019, section 3).

Hidden size 768, 12 heads of 64, feed-forward size 3072; a sequence of 128 tokens, batch 1.
"""

from __future__ import annotations

from dataclasses import replace

from baco.workload import Problem
from baco.workloads.network import Network, merge

TOKENS, HIDDEN, HEADS, FEED_FORWARD = 128, 768, 12, 3072


def bert() -> Network:
    """The products of one block: four projections, scores and values of every head, and the two of the feed-forward network."""
    head = HIDDEN // HEADS
    products = {
        "projection": (4, Problem.gemm(TOKENS, HIDDEN, HIDDEN)),
        "scores": (HEADS, Problem.gemm(TOKENS, TOKENS, head)),
        "values": (HEADS, Problem.gemm(TOKENS, head, TOKENS)),
        "expand": (1, Problem.gemm(TOKENS, FEED_FORWARD, HIDDEN)),
        "contract": (1, Problem.gemm(TOKENS, HIDDEN, FEED_FORWARD)),
    }
    problems = [replace(problem, name=name) for name, (count, problem) in products.items() for _ in range(count)]
    return merge("bert", problems, "BERT-base (Devlin et al. 2019), one encoder block, 128 tokens")
