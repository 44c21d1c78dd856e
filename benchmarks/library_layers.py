"""Layers with random data as the vendor's library runs them: commands, the memory that they work on, and the result that they should leave.

All tensors lie one after another in one piece of memory from BASE on, each at a multiple of 64 bytes, with room behind them: the hardware
reads up to DIM - 1 rows behind the second operand of a product or a sum.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baco.hardware import GemminiConfig
from baco.isa import Command
from baco.search.library_commands import Output, Schedule, addition_commands, convolution_commands, library_input_size, matmul_commands
from baco.search.library_tiling import Pool
from baco.workload import Problem

BASE = 0x8000_0000
ALIGNMENT = 64


@dataclass(frozen=True)
class LibraryLayer:
    """A layer, ready to be sent to a machine whose DRAM is `memory` (bytes, from BASE on)."""

    name: str
    commands: tuple[Command, ...]
    memory: NDArray[np.uint8]
    result_at: int
    """Where the result lies in `memory`."""
    expected: NDArray[np.int8]
    macs: int

    def result(self) -> NDArray[np.int8]:
        """What lies where the result belongs."""
        return self.memory[self.result_at : self.result_at + self.expected.size].view(np.int8).reshape(self.expected.shape)


def _laid_out(arrays: Iterable[NDArray], spare: int) -> tuple[NDArray[np.uint8], list[int]]:
    """Memory with the arrays in it, and their offsets."""
    arrays, offsets, size = list(arrays), [], 0
    for array in arrays:
        offsets.append(size)
        size = -(-(size + array.nbytes) // ALIGNMENT) * ALIGNMENT
    memory = np.zeros(size + spare, np.uint8)
    for offset, array in zip(offsets, arrays, strict=True):
        memory[offset : offset + array.nbytes] = array.reshape(-1).view(np.uint8)
    return memory, offsets


def _rounded(sums: NDArray, output: Output) -> NDArray[np.int8]:
    """Sums as the accumulator lets them out: ReLU, scaled in float32, to the nearest even whole number, clamped to int8."""
    sums = np.maximum(sums, 0) if output.relu else sums
    scaled = sums.astype(np.int32).astype(np.float32) * np.float32(output.scale)
    return np.clip(np.rint(scaled), -128, 127).astype(np.int8)


def _numbers(rng: np.random.Generator, *shape: int) -> NDArray[np.int8]:
    return rng.integers(-128, 128, shape, np.int8)


def _biases(rng: np.random.Generator, size: int) -> NDArray[np.int32]:
    return rng.integers(-20_000, 20_000, size, np.int32)


def matmul_layer(
    i: int,
    j: int,
    k: int,
    config: GemminiConfig,
    *,
    name: str = "",
    bias: bool = True,
    seed: int = 0,
    schedule: Schedule | None = None,
) -> LibraryLayer:
    """C = A times B plus a row of biases, with a scale that uses the range of int8."""
    rng, output = np.random.default_rng(seed), Output(scale=1 / (100 * float(np.sqrt(k)) + 200), relu=False)
    a, b, d = _numbers(rng, i, k), _numbers(rng, k, j), _biases(rng, j) * bias
    memory, (at_a, at_b, at_d, at_c) = _laid_out((a, b, d, np.zeros((i, j), np.int8)), config.dim * j)
    places = {"a": BASE + at_a, "b": BASE + at_b, "c": BASE + at_c, "bias": BASE + at_d if bias else None}
    commands = matmul_commands(i, j, k, config, **places, output=output, schedule=schedule)
    sums = a.astype(np.float64) @ b.astype(np.float64) + d  # exact: below 2^53
    return LibraryLayer(name or f"matmul {i}x{j}x{k}", tuple(commands), memory, at_c, _rounded(sums, output), i * j * k)


def addition_layer(
    rows: int, columns: int, config: GemminiConfig, *, scales: tuple[float, float] = (1.0, 1.0), seed: int = 0
) -> LibraryLayer:
    """C = A plus B with ReLU."""
    rng = np.random.default_rng(seed)
    a, b = _numbers(rng, rows, columns), _numbers(rng, rows, columns)
    memory, (at_a, at_b, at_c) = _laid_out((a, b, np.zeros_like(a)), config.dim * columns)
    places = {"a": BASE + at_a, "b": BASE + at_b, "c": BASE + at_c}
    commands = addition_commands(rows, columns, config, **places, scales=scales, relu=True)
    scaled = [_rounded(array.astype(np.int32), Output(scale)).astype(np.int32) for array, scale in zip((a, b), scales, strict=True)]
    return LibraryLayer(f"addition {rows}x{columns}", tuple(commands), memory, at_c, _rounded(sum(scaled), Output(relu=True)), 0)


def convolution_layer(
    problem: Problem,
    config: GemminiConfig,
    *,
    pool: Pool | None = None,
    bias: bool = True,
    name: str = "",
    seed: int = 0,
    schedule: Schedule | None = None,
) -> LibraryLayer:
    """Outputs (N, P, Q, K), pooled if there is a pool, with ReLU."""
    p, rng = problem, np.random.default_rng(seed)
    output = Output(scale=1 / (100 * float(np.sqrt(p.R * p.S * p.C)) + 200), relu=True)
    height, width = library_input_size(p)
    x, w, d = _numbers(rng, p.N, height, width, p.C), _numbers(rng, p.R, p.S, p.C, p.K), _biases(rng, p.K) * bias
    expected = _pooled(_rounded(_convolved(x, w, p) + d, output), pool)
    memory, (at_x, at_w, at_d, at_y) = _laid_out((x, w, d, np.zeros_like(expected)), 0)
    places = {"inputs": BASE + at_x, "weights": BASE + at_w, "outputs": BASE + at_y, "bias": BASE + at_d if bias else None}
    commands = convolution_commands(p, config, **places, output=output, pool=pool, schedule=schedule)
    return LibraryLayer(name or p.name, tuple(commands), memory, at_y, expected, p.macs)


def _convolved(x: NDArray[np.int8], w: NDArray[np.int8], p: Problem) -> NDArray[np.float64]:
    """The sums, exact in float64."""
    bordered = np.pad(x, ((0, 0), *((border, border + stride) for border, stride in zip(p.padding, p.stride, strict=True)), (0, 0)))
    taps = ((r, s) for r in range(p.R) for s in range(p.S))

    def under(r: int, s: int) -> NDArray[np.float64]:
        top, left = r * p.dilation[0], s * p.dilation[1]
        rows = slice(top, top + (p.P - 1) * p.stride[0] + 1, p.stride[0])
        columns = slice(left, left + (p.Q - 1) * p.stride[1] + 1, p.stride[1])
        return bordered[:, rows, columns].astype(np.float64)

    return sum(under(r, s) @ w[r, s].astype(np.float64) for r, s in taps)


def _pooled(image: NDArray[np.int8], pool: Pool | None) -> NDArray[np.int8]:
    """Max pooling whose border counts as zeros."""
    if pool is None:
        return image
    rows, columns = pool.outputs(image.shape[1]), pool.outputs(image.shape[2])
    bordered = np.pad(image, ((0, 0), (pool.padding, pool.size), (pool.padding, pool.size), (0, 0)))

    def window(r: int, c: int) -> NDArray[np.int8]:
        return bordered[:, r : r + pool.stride * rows : pool.stride, c : c + pool.stride * columns : pool.stride][:, :rows, :columns]

    return np.max([window(r, c) for r in range(pool.size) for c in range(pool.size)], axis=0)
