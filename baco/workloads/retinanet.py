"""The part of RetinaNet beyond its ResNet-50 backbone, for a 224 x 224 image, in the form in which accelerator studies use it.

Lin et al. (ICCV 2017, sections 3 and 4) put a feature pyramid P3 to P7 of 256 channels on the backbone's C3 to C5, and on every level two
towers of four 3 x 3 convolutions, one ending in 9 anchors x 80 classes and one in 9 anchors x 4 coordinates. The published studies
(DOSA, MICRO 2023, and those compared with it) count one convolution a tower and a 1 x 1 convolution on P6 and P7 as well; this table
follows them, so that figures can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator

from baco.workload import Problem
from baco.workloads.layers import convolution
from baco.workloads.network import Network, merge

SOURCE = "Lin et al., RetinaNet, ICCV 2017, beyond the backbone, as in the DOSA study: one convolution a tower; 224 x 224, batch 1"
WIDTH, ANCHORS, CLASSES, COORDINATES, TOWERS = 256, 9, 80, 4, 2
BACKBONE = {3: 512, 4: 1024, 5: 2048}
"""Channels of the backbone's stage that each level of the pyramid comes from."""


def layers() -> Iterator[Problem]:
    """Every convolution, level by level."""
    for level, size in zip(range(3, 8), (28, 14, 7, 4, 2), strict=True):
        if level > 5:  # P6 shrinks C5 (7 x 7), P7 shrinks P6
            yield convolution(f"p{level}", 7 if level == 6 else 4, BACKBONE[5] if level == 6 else WIDTH, WIDTH, kernel=3, stride=2)
        yield convolution(f"p{level}.lateral", size, BACKBONE.get(level, WIDTH), WIDTH, kernel=1)
        yield from [convolution(f"p{level}.tower", size, WIDTH, WIDTH, kernel=3)] * TOWERS
        yield convolution(f"p{level}.classes", size, WIDTH, ANCHORS * CLASSES, kernel=3)
        yield convolution(f"p{level}.boxes", size, WIDTH, ANCHORS * COORDINATES, kernel=3)


def retinanet() -> Network:
    """The distinct layers of the pyramid and its heads with their counts."""
    return merge("retinanet", layers(), SOURCE)
