"""U-Net on a 572 x 572 image, from its definition (Ronneberger et al., MICCAI 2015, figure 1): convolutions without padding.

The paper's up-convolution is an upsampling followed by a 2 x 2 convolution that halves the channels; the upsampled image gets a border so
that it keeps its size.
"""

from __future__ import annotations

from collections.abc import Iterator

from baco.workload import Problem
from baco.workloads.layers import convolution
from baco.workloads.network import Network, merge

SOURCE = "Ronneberger et al., U-Net, MICCAI 2015, figure 1; 572 x 572, one channel, batch 1"
IMAGE, FIRST, DEPTH, CLASSES = 572, 64, 4, 2


def layers() -> Iterator[Problem]:
    """Every convolution, in the order in which they run."""
    size, channels = IMAGE, 1
    for level in range(DEPTH + 1):
        for step in range(2):
            yield convolution(f"down{level}.conv{step}", size, channels, FIRST << level, kernel=3, padding=0)
            size, channels = size - 2, FIRST << level
        if level < DEPTH:
            size //= 2
    for level in reversed(range(DEPTH)):
        size, filters = 2 * size, FIRST << level
        yield Problem(R=2, S=2, P=size, Q=size, C=channels, K=filters, name=f"up{level}.upconv")
        for step in range(2):  # the first one also reads what the way down left at this level: as many channels again
            yield convolution(f"up{level}.conv{step}", size, channels if step == 0 else filters, filters, kernel=3, padding=0)
            size -= 2
        channels = filters
    yield convolution("classes", size, channels, CLASSES, kernel=1)


def unet() -> Network:
    """The layers of U-Net; no two are equal."""
    return merge("unet", layers(), SOURCE)
