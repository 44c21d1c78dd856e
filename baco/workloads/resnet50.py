"""ResNet-50 v1.5 (He et al., CVPR 2016, table 1; strides in the 3x3 convolutions, as torchvision and MLPerf have it).

224 x 224 input, batch 1. Pooling, batch normalisation and the residual additions are not layers of the accelerator here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from baco.workload import Problem
from baco.workloads.layers import convolution
from baco.workloads.network import Network, merge

SOURCE = "He et al., Deep Residual Learning, CVPR 2016, table 1, with torchvision's v1.5 strides; 224 x 224, batch 1"
BLOCKS = (3, 4, 6, 3)
"""Bottleneck blocks of each of the four stages."""
WIDTHS = (64, 128, 256, 512)
"""Channels inside the bottlenecks of each stage."""
EXPANSION = 4
"""Channels out of a bottleneck over channels inside it."""
CLASSES = 1000


def layers(size: int = 224, blocks: Sequence[int] = BLOCKS, widths: Sequence[int] = WIDTHS, classes: int = CLASSES) -> Iterator[Problem]:
    """Every matrix or convolution layer, in the order in which they run; smaller networks of the same shape with other arguments.

    `size` is that of the square input image, of three channels. It is best divisible by 4 and by 2 for each stage after the first.
    """
    yield convolution("conv1", size, 3, widths[0], kernel=7, stride=2)
    size, channels = size // 4, widths[0]  # after the stem and the 3x3 max pooling of stride 2
    for stage, (count, width) in enumerate(zip(blocks, widths, strict=True), start=1):
        for block in range(count):
            stride = 2 if stage > 1 and block == 0 else 1
            name = f"layer{stage}.{block}"
            yield convolution(f"{name}.conv1", size, channels, width, kernel=1)
            yield convolution(f"{name}.conv2", size, width, width, kernel=3, stride=stride)
            yield convolution(f"{name}.conv3", size // stride, width, EXPANSION * width, kernel=1)
            if block == 0:
                yield convolution(f"{name}.downsample", size, channels, EXPANSION * width, kernel=1, stride=stride)
            size, channels = size // stride, EXPANSION * width
    yield Problem(C=channels, K=classes, name="fc")


def resnet50() -> Network:
    """The distinct layers of ResNet-50 with their counts."""
    return merge("resnet50", layers(), SOURCE)
