"""A quantised ResNet-50 with random weights: its steps, its numbers, and what it computes, in NumPy.

Activations are int8, height x width x channels; weights int8, R x S x C x K; biases int32. A convolution requantises its sums with one
scale; a residual addition scales both sides, which are rounded and clamped before they are added, as the accelerator loads them. Scales
are chosen while the reference runs, so that every tensor spreads over int8; all arithmetic is that of the accelerator to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baco.search.realise import reference_sums, requantised
from baco.workload import Problem
from baco.workloads.resnet50 import BLOCKS, CLASSES, WIDTHS, layers

POOL_SIZE, POOL_STRIDE, POOL_PADDING = 3, 2, 1
SPREAD = 45.0
"""The standard deviation that scales aim at."""


@dataclass(frozen=True)
class Convolution:
    """`output` = requantised(`input` * weights + bias), then the network's max pooling if `pool`. A fully connected layer is one too."""

    problem: Problem
    input: str
    output: str
    relu: bool = True
    pool: bool = False


@dataclass(frozen=True)
class Addition:
    """`output` = relu(`left` * its scale + `right` * its scale)."""

    left: str
    right: str
    output: str


@dataclass(frozen=True)
class Average:
    """`output` = the mean of `input` over its pixels."""

    input: str
    output: str


Step = Convolution | Addition | Average
Shape = tuple[int, int, int]


def steps(size: int = 224, blocks: Sequence[int] = BLOCKS, widths: Sequence[int] = WIDTHS, classes: int = CLASSES) -> list[Step]:
    """The network's steps in order, from tensor "image" to "logits"; smaller networks of the same shape with other arguments."""
    return list(_steps({p.name: p for p in layers(size, blocks, widths, classes)}, blocks))


def _steps(problems: dict[str, Problem], blocks: Sequence[int]) -> Iterator[Step]:
    yield Convolution(problems["conv1"], "image", "conv1", pool=True)
    before = "conv1"
    for name in (f"layer{stage}.{block}" for stage, count in enumerate(blocks, start=1) for block in range(count)):
        yield Convolution(problems[f"{name}.conv1"], before, f"{name}.conv1")
        yield Convolution(problems[f"{name}.conv2"], f"{name}.conv1", f"{name}.conv2")
        yield Convolution(problems[f"{name}.conv3"], f"{name}.conv2", f"{name}.conv3", relu=False)
        shortcut = before
        if f"{name}.downsample" in problems:
            shortcut = f"{name}.downsample"
            yield Convolution(problems[shortcut], before, shortcut, relu=False)
        yield Addition(f"{name}.conv3", shortcut, name)
        before = name
    yield Average(before, "average")
    yield Convolution(problems["fc"], "average", "logits", relu=False)


def pooled(size: int) -> int:
    """Rows (or columns) after the max pooling."""
    return (size + 2 * POOL_PADDING - POOL_SIZE) // POOL_STRIDE + 1


def output_shape(step: Step, shapes: dict[str, Shape]) -> Shape:
    """The shape of what a step makes, from the shapes of the tensors before."""
    if isinstance(step, Addition):
        return shapes[step.left]
    if isinstance(step, Average):
        return (1, 1, shapes[step.input][2])
    p = step.problem
    return (pooled(p.P), pooled(p.Q), p.K) if step.pool else (p.P, p.Q, p.K)


@dataclass(frozen=True)
class Network:
    """Steps with their numbers. `scales` has one number for a convolution and two for an addition, by the output's name."""

    steps: tuple[Step, ...]
    image: NDArray[np.int8]
    weights: dict[str, NDArray[np.int8]]
    biases: dict[str, NDArray[np.int32]]
    scales: dict[str, tuple[float, ...]]
    tensors: dict[str, NDArray[np.int8]]
    """What every step makes, by the reference."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the convolutions."""
        return sum(step.problem.macs for step in self.steps if isinstance(step, Convolution))


def make(steps: Sequence[Step], *, biased: bool = True, seed: int = 0) -> Network:
    """Random numbers for these steps, and the reference's results. Without `biased` all biases are zero."""
    random = np.random.default_rng(seed)
    size = 2 * steps[0].problem.P
    image = random.integers(-128, 128, (size, size, 3), np.int8)
    network = Network(tuple(steps), image, {}, {}, {}, {"image": image})
    for step in steps:
        if isinstance(step, Convolution):
            _convolve(network, step, random, biased)
        elif isinstance(step, Addition):
            _add(network, step)
        else:
            pixels = network.tensors[step.input].astype(np.int32).reshape(-1, network.tensors[step.input].shape[2])
            mean = requantised(pixels.sum(0, dtype=np.int32), 1 / len(pixels), relu=False)
            network.scales[step.output] = (1 / len(pixels),)
            network.weights["ones"] = np.ones(len(pixels), np.int8)  # a mean is a product with ones
            network.tensors[step.output] = mean.reshape(1, 1, -1)
    return network


def _convolve(network: Network, step: Convolution, random: np.random.Generator, biased: bool) -> None:
    p, name = step.problem, step.problem.name
    weights = random.normal(0, 30, (p.R, p.S, p.C, p.K)).round().clip(-128, 127).astype(np.int8)
    sums = reference_sums(p, with_border(network.tensors[step.input], p)[None], weights)
    spread = float(sums.std())
    bias = random.normal(0, spread / 4 if biased else 0, p.K).round().astype(np.int32)
    scale = float(np.float32(SPREAD / spread))
    result = requantised(sums[0] + bias, scale, step.relu)
    network.weights[name], network.biases[name], network.scales[step.output] = weights, bias, (scale,)
    network.tensors[step.output] = _max_pool(result) if step.pool else result


def with_border(image: NDArray[np.int8], p: Problem) -> NDArray[np.int8]:
    """The part of an image that a convolution reads, with its zero border."""
    result = np.zeros((p.input_height, p.input_width, p.C), np.int8)
    top, left = p.padding
    inside = image[: p.input_height - top, : p.input_width - left]
    result[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    return result


def _max_pool(image: NDArray[np.int8]) -> NDArray[np.int8]:
    rows, columns = pooled(image.shape[0]), pooled(image.shape[1])
    bordered = np.pad(image, ((POOL_PADDING, POOL_STRIDE), (POOL_PADDING, POOL_STRIDE), (0, 0)))
    windows = [
        bordered[r : r + POOL_STRIDE * rows : POOL_STRIDE, c : c + POOL_STRIDE * columns : POOL_STRIDE][:rows, :columns]
        for r in range(POOL_SIZE)
        for c in range(POOL_SIZE)
    ]
    return np.maximum.reduce(windows)


def _add(network: Network, step: Addition) -> None:
    sides = [network.tensors[step.left], network.tensors[step.right]]
    scales = tuple(float(np.float32(0.7 * SPREAD / max(float(side.std()), 1.0))) for side in sides)
    left, right = (requantised(side.astype(np.int32), scale, relu=False) for side, scale in zip(sides, scales, strict=True))
    network.scales[step.output] = scales
    network.tensors[step.output] = np.clip(left.astype(np.int32) + right, 0, 127).astype(np.int8)
