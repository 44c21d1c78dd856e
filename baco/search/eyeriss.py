"""Eyeriss under the constants of the model: a row-stationary array, which no mapping of :mod:`baco.workload` describes.

Source: Chen et al., ISCA 2016 and JSSC 2017 (the mapping parameters e, p, q, r, t, m are theirs). 12 x 14 elements, each with registers for
224 weights, 12 inputs and 24 partial sums; a global buffer of 108 KiB for inputs and partial sums; weights come from DRAM past it. Words,
energies, buffer and DRAM bandwidths are the model's (8-bit inputs and weights, 32-bit sums; 2 words a cycle and row of a square array
with as many elements): what differs from Gemmini is the dataflow.

An element keeps a filter row and slides an input row under it: a set of R x e elements makes e output rows of one channel pair. A pass
uses r sets for different input channels and t for different filters, with q channels and p filters in each element, one after another:

    cycles of a pass = Q x S x q x p;      every multiply-accumulate: reads of weight, input and sum, a write of the sum, all in registers.

Two orders of passes are tried. `strips outside`: the sums of m filters for a strip of e rows stay in the buffer, and inputs loaded once
serve all of them; weights come in again for each strip. `strips inside`: the sums of a pass's filters for the whole image stay, weights
come once, inputs once for each group of filters. Where a filter is longer than the array or the registers, it is cut into equal parts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from baco.perfmodel.constants import DRAM_WORDS_PER_CYCLE, PORTS, Constants
from baco.search.choice import ABSENT, least
from baco.search.result import KnownMachine
from baco.search.tilings import divisors
from baco.workload import Problem, window
from baco.workloads import Network

ROWS, COLUMNS = 12, 14
WEIGHTS, INPUTS, SUMS = 224, 12, 24
"""Words of each kind that an element's registers hold."""
BUFFER_KIB = 108
SUM_BYTES = 4


@dataclass(frozen=True)
class Moves:
    """What one layer does: cycles of the array, and words at each level."""

    cycles: float
    registers: float
    buffer: float
    dram: float


def on_network(network: Network, constants: Constants) -> KnownMachine:
    """The network with the mappings of its layers that together have the least EDP."""
    options = [[_cost(layer.problem, m, constants) for m in mappings(layer.problem)] for layer in network.layers]
    energy, latency = (np.full((len(options), max(map(len, options))), ABSENT) for _ in range(2))
    for i, (layer, points) in enumerate(zip(network.layers, options, strict=True)):
        energy[i, : len(points)], latency[i, : len(points)] = layer.count * np.array(points).T
    best, _ = least(energy, latency)
    registers_kib = ROWS * COLUMNS * (WEIGHTS + INPUTS + SUM_BYTES * SUMS) / 1024
    area = constants.area.mm2(ROWS * COLUMNS, BUFFER_KIB + registers_kib, 0)
    hardware = f"{ROWS} x {COLUMNS}, row-stationary, buffer {BUFFER_KIB} KiB"
    return KnownMachine("eyeriss", hardware, best.energy * 1e-6, best.latency, area)


def _cost(problem: Problem, moves: Moves, constants: Constants) -> tuple[float, float]:
    """(pJ, cycles)."""
    table = constants.energy
    buffer = table.scratchpad + table.scratchpad_per_kib * BUFFER_KIB
    energy = problem.macs * table.mac + moves.registers * table.register + moves.buffer * buffer + moves.dram * table.dram
    bandwidth = PORTS * math.sqrt(ROWS * COLUMNS)
    return energy, max(moves.cycles, moves.buffer / bandwidth, moves.dram / DRAM_WORDS_PER_CYCLE)


def mappings(problem: Problem) -> Iterator[Moves]:
    """Every mapping: e, q, p, r, t out of the divisors, and for each the orders whose sums fit the buffer."""
    p = problem
    taps_r, taps_s = (max(d for d in divisors(n) if d <= most) for n, most in ((p.R, ROWS), (p.S, INPUTS)))
    for e in (d for d in divisors(p.P) if d <= COLUMNS):
        sets = (ROWS // taps_r) * (COLUMNS // e)
        for channels in (d for d in divisors(p.C) if d * taps_s <= INPUTS):
            for filters in (d for d in divisors(p.K) if d <= SUMS and d * channels * taps_s <= WEIGHTS):
                both = itertools.product(divisors(p.C // channels), divisors(p.K // filters))
                for r, t in ((r, t) for r, t in both if r * t <= sets):
                    yield from _orders(p, taps_r, taps_s, e, channels, filters, r, t)


def _orders(p: Problem, taps_r: int, taps_s: int, e: int, channels: int, filters: int, r: int, t: int) -> Iterator[Moves]:
    rows = window(e, taps_r, p.stride[0], p.dilation[0])
    width = window(p.Q, taps_s, p.stride[1], p.dilation[1])
    strips, channel_groups, filter_groups = p.N * p.P // e, p.C // (channels * r), p.K // (filters * t)
    parts = (p.R // taps_r) * (p.S // taps_s)
    passes = strips * channel_groups * filter_groups * parts
    pass_inputs, pass_sums = channels * r * rows * width, filters * t * e * p.Q
    weights, outputs = p.R * p.S * p.C * p.K, p.N * p.P * p.Q * p.K
    sums_written = passes * pass_sums
    sums_read = sums_written  # each pass but the first of a strip goes on from the sums so far, and at the end the outputs are read
    held = BUFFER_KIB * 1024 - pass_inputs
    registers = 4 * p.macs + passes * (taps_r * e * r * t * channels * width + e * taps_r * taps_s * channels * r * filters * t)
    cycles = passes * p.Q * taps_s * channels * filters
    groups = max((d for d in divisors(filter_groups) if SUM_BYTES * pass_sums * d <= held), default=0)
    if groups:  # strips outside
        inputs = passes * pass_inputs // groups
        buffer = inputs + passes * pass_inputs + sums_written + sums_read
        yield Moves(cycles, registers, buffer, inputs + weights * strips + outputs)
    if SUM_BYTES * pass_sums * strips <= held:  # strips inside
        inputs = passes * pass_inputs
        yield Moves(cycles, registers, 2 * inputs + sums_written + sums_read, inputs + weights + outputs)
