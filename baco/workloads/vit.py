"""ViT-B/16 on one 224 x 224 image, from its definition (Dosovitskiy et al. 2021, table 1 and equations 1 to 4)."""

from __future__ import annotations

from baco.workload import Problem
from baco.workloads.layers import attention, convolution, feed_forward
from baco.workloads.network import Network, merge

SOURCE = "ViT-B/16 (Dosovitskiy et al., ICLR 2021), 224 x 224, batch 1: 196 patches and the class token, 12 blocks, the classifier"
IMAGE, PATCH, HIDDEN, HEADS, FEED_FORWARD, BLOCKS, CLASSES = 224, 16, 768, 12, 3072, 12, 1000
TOKENS = (IMAGE // PATCH) ** 2 + 1


def vit_b16() -> Network:
    """The patch embedding, the products of the blocks, and the classifier on the class token."""
    blocks = [*attention(TOKENS, HIDDEN, HEADS), *feed_forward(TOKENS, HIDDEN, FEED_FORWARD)] * BLOCKS
    patches = convolution("patches", IMAGE, 3, HIDDEN, PATCH, stride=PATCH, padding=0)
    return merge("vit-b16", [patches, *blocks, Problem.gemm(1, CLASSES, HIDDEN, name="classifier")], SOURCE)
