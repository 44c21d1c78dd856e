"""The convolutions of DeepBench's optical character recognition and face recognition workloads (Baidu Research, 2016).

DeepBench lists kernels, not networks: each is counted once. Its training sizes have batches of 16 and 8; this is its inference server set,
batch 1.
"""

from __future__ import annotations

from baco.workloads.layers import convolution
from baco.workloads.network import Network, merge

SOURCE = "DeepBench (Baidu Research), convolution kernels, inference server set, batch 1: {}"
OCR = ((480, 48, 1, 16, 1), (240, 24, 16, 32, 1), (120, 12, 32, 64, 1), (60, 6, 64, 128, 1))
FACE = ((108, 108, 3, 64, 2), (54, 54, 64, 64, 1), (27, 27, 128, 128, 1), (14, 14, 128, 256, 1), (7, 7, 256, 512, 1))
"""(width, height, channels, filters, stride) of the input; every filter is 3 x 3 with a border of 1."""


def _network(name: str, task: str, kernels: tuple[tuple[int, ...], ...]) -> Network:
    problems = [
        convolution(f"conv{i}", (height, width), channels, filters, 3, stride)
        for i, (width, height, channels, filters, stride) in enumerate(kernels, start=1)
    ]
    return merge(name, problems, SOURCE.format(task))


def deepbench_ocr() -> Network:
    """Optical character recognition."""
    return _network("deepbench-ocr", "optical character recognition", OCR)


def deepbench_face() -> Network:
    """Face recognition."""
    return _network("deepbench-face", "face recognition", FACE)
