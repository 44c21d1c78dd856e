"""MobileNetV2 on one 224 x 224 image, from its definition (Sandler et al., CVPR 2018, table 2)."""

from __future__ import annotations

from collections.abc import Iterator

from baco.workload import Problem
from baco.workloads.layers import convolution, depthwise
from baco.workloads.network import Layer, Network, merge

SOURCE = "Sandler et al., MobileNetV2, CVPR 2018, table 2; 224 x 224, batch 1; depthwise convolutions one channel at a time"
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""(expansion t, output channels c, blocks n, stride of the first block s), as the paper's table lists them."""


def layers() -> Iterator[Problem | Layer]:
    """Every layer, in the order in which they run."""
    yield convolution("stem", 224, 3, 32, kernel=3, stride=2)
    size, channels = 112, 32
    for stage, (expansion, out, blocks, first_stride) in enumerate(STAGES, start=1):
        for block in range(blocks):
            stride, inner, name = first_stride if block == 0 else 1, expansion * channels, f"stage{stage}.{block}"
            if expansion > 1:
                yield convolution(f"{name}.expand", size, channels, inner, kernel=1)
            yield depthwise(f"{name}.depthwise", size, inner, kernel=3, stride=stride)
            size //= stride
            yield convolution(f"{name}.project", size, inner, out, kernel=1)
            channels = out
    yield convolution("last", size, channels, 1280, kernel=1)
    yield Problem.gemm(1, 1000, 1280, name="classifier")


def mobilenetv2() -> Network:
    """The distinct layers of MobileNetV2 with their counts."""
    return merge("mobilenetv2", layers(), SOURCE)
