"""What is computed (`Problem`) and in which tiles and order (`Mapping`): the objects the search scores and the compiler lowers.

A problem is the seven-dimensional loop nest of a convolution (PERFMODEL.md, "Notation"): R, S filter height and width; P, Q output
height and width; C input channels; K output channels; N batch. A matrix product (M x C) x (C x K) has P = M and R = S = Q = N = 1.

Memory levels: 0 registers (weights), 1 accumulator (outputs), 2 scratchpad (weights and inputs), 3 DRAM (everything).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

from baco.errors import BacoError
from baco.hardware import GemminiConfig

DIMENSIONS = ("R", "S", "P", "Q", "C", "K", "N")
LEVELS = ("registers", "accumulator", "scratchpad", "dram")
REGISTERS, ACCUMULATOR, SCRATCHPAD, DRAM = range(4)

WEIGHT_DIMENSIONS = frozenset("RSCK")
INPUT_DIMENSIONS = frozenset("RSPQCN")
OUTPUT_DIMENSIONS = frozenset("PQKN")
REDUCTION_DIMENSIONS = frozenset("RSC")
TENSOR_DIMENSIONS = {"weights": WEIGHT_DIMENSIONS, "inputs": INPUT_DIMENSIONS, "outputs": OUTPUT_DIMENSIONS}

REGISTER_LOOPS = frozenset("PQN")
"""Loops allowed at level 0: those over which the weights stay in the array."""


class InvalidProblem(BacoError):
    """A problem whose dimensions make no sense."""


class InvalidMapping(BacoError):
    """A mapping that breaks a rule. Attributes: `violations`, one sentence a broken rule."""

    def __init__(self, violations: Iterable[str]) -> None:
        self.violations = tuple(violations)
        super().__init__("invalid mapping: " + " ".join(self.violations))


def window(outputs: int, taps: int, stride: int, dilation: int) -> int:
    """Input rows (or columns) that a program loads for `outputs` consecutive output rows and `taps` filter rows.

    Where the stride jumps over the filter's extent, the rows in between are never read and a program does not load them.
    """
    extent = (taps - 1) * dilation + 1
    return (outputs - 1) * min(stride, extent) + extent


@dataclass(frozen=True)
class Problem:
    """One layer. Sizes in elements; `stride`, `padding`, `dilation` are (height, width).

    Raises:
        InvalidProblem: on construction, naming the field.
    """

    R: int = 1
    S: int = 1
    P: int = 1
    Q: int = 1
    C: int = 1
    K: int = 1
    N: int = 1
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for d in DIMENSIONS:
            value = getattr(self, d)
            if not isinstance(value, int) or value < 1:
                raise InvalidProblem(f"problem.{d}: must be a whole number of at least 1, but is {value!r}.")
        for name, least in (("stride", 1), ("padding", 0), ("dilation", 1)):
            pair = getattr(self, name)
            if len(pair) != 2 or any(not isinstance(v, int) or v < least for v in pair):
                raise InvalidProblem(f"problem.{name}: must be two whole numbers (height, width) of at least {least}, but is {pair!r}.")

    @classmethod
    def gemm(cls, m: int, n: int, k: int, name: str = "") -> Problem:
        """The product of an (m x k) and a (k x n) matrix; a matrix-vector product has m = 1."""
        return cls(P=m, K=n, C=k, name=name)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Dimension name to size."""
        return {d: getattr(self, d) for d in DIMENSIONS}

    @property
    def macs(self) -> int:
        return math.prod(self.sizes.values())

    def to_dict(self) -> dict[str, object]:
        """Sizes, stride, padding and dilation, for JSON; without the name."""
        return self.sizes | {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}

    @property
    def pixel_steps(self) -> tuple[int, int]:
        """The strides as far as reading goes: with a single tap the pixels between two outputs are never read, and count as not there."""
        return 1 if self.R == 1 else self.stride[0], 1 if self.S == 1 else self.stride[1]

    @property
    def input_height(self) -> int:
        """Rows of the input including its zero border."""
        return (self.P - 1) * self.stride[0] + (self.R - 1) * self.dilation[0] + 1

    @property
    def input_width(self) -> int:
        """Columns of the input including its zero border."""
        return (self.Q - 1) * self.stride[1] + (self.S - 1) * self.dilation[1] + 1

    def tile_words(self, tensor: str, tile: dict[str, int]) -> int:
        """Elements of `tensor` ('weights', 'inputs' or 'outputs') that a tile of these sizes touches and a program would hold."""
        if tensor != "inputs":
            return math.prod(tile[d] for d in TENSOR_DIMENSIONS[tensor])
        rows = window(tile["P"], tile["R"], self.stride[0], self.dilation[0])
        cols = window(tile["Q"], tile["S"], self.stride[1], self.dilation[1])
        return tile["N"] * tile["C"] * rows * cols


Factors = tuple[int, int, int, int, int, int, int]


@dataclass(frozen=True)
class Loop:
    """One temporal loop of a mapping's nest: `trips` iterations over dimension `dim` at memory `level`."""

    level: int
    dim: str
    trips: int


@dataclass(frozen=True)
class Mapping:
    """Tile factors and loop order at each level, and the two spatial factors.

    `temporal[l]` holds the trip counts at level l in the order of :data:`DIMENSIONS`; `orders[l]` the loop order at level l,
    outermost first, a permutation of the dimensions (those with one trip do not matter). `spatial_c` input channels lie across the
    rows of the array, `spatial_k` output channels across its columns.

    For each dimension the product of its factors is its size, or larger: then its last tiles, at every level, end where the dimension
    ends ("ragged"). Nothing is padded; a loop makes only the iterations that have something to do.
    """

    temporal: tuple[Factors, Factors, Factors, Factors]
    orders: tuple[str, str, str, str] = ("RSPQCKN",) * 4
    spatial_c: int = 1
    spatial_k: int = 1

    def factor(self, level: int, dim: str) -> int:
        """Temporal trip count of `dim` at `level`."""
        return self.temporal[level][DIMENSIONS.index(dim)]

    def loops(self, *levels: int) -> list[Loop]:
        """The temporal loops of the given levels with more than one trip, outermost first."""
        return [Loop(level, d, self.factor(level, d)) for level in levels for d in self.orders[level] if self.factor(level, d) > 1]

    def tile(self, level: int) -> dict[str, int]:
        """Sizes of a whole tile that level `level` works on: everything temporal at levels 0 to `level`, and everything spatial."""
        sizes = {d: math.prod(self.factor(inner, d) for inner in range(level + 1)) for d in DIMENSIONS}
        sizes["C"] *= self.spatial_c
        sizes["K"] *= self.spatial_k
        return sizes

    def held(self, problem: Problem) -> dict[str, int]:
        """Sizes of the largest tile on chip: the first, which ends with the dimension where that is smaller than a whole tile."""
        return {d: min(size, problem.sizes[d]) for d, size in self.tile(SCRATCHPAD).items()}

    def tiles(self, level: int, problem: Problem) -> dict[str, int]:
        """How many tiles of `level` each dimension has, the last perhaps smaller than the others."""
        return {d: -(-problem.sizes[d] // size) for d, size in self.tile(level).items()}

    def ragged(self, problem: Problem) -> tuple[str, ...]:
        """The dimensions with a last tile, at some level, that is smaller than the others."""
        return tuple(d for d, size in self.tile(DRAM).items() if size != problem.sizes[d])

    # What each memory must hold -----------------------------------------------------------------------------------------------

    def accumulator_rows(self, problem: Problem) -> int:
        """Rows of DIM int32 words that the output tile takes: one a pixel and block of `spatial_k` channels."""
        t = self.held(problem)
        return t["N"] * t["P"] * t["Q"] * -(-t["K"] // self.spatial_k)

    def weight_rows(self, problem: Problem) -> int:
        """Scratchpad rows of the weight tile: one an input channel, filter tap and block of `spatial_k` output channels."""
        t = self.held(problem)
        return t["R"] * t["S"] * t["C"] * -(-t["K"] // self.spatial_k)

    def input_rows(self, problem: Problem) -> int:
        """Scratchpad rows of the input tile: one an input pixel and block of `spatial_c` channels."""
        t = self.held(problem)
        return problem.tile_words("inputs", t | {"C": 1}) * -(-t["C"] // self.spatial_c)

    # Validity -----------------------------------------------------------------------------------------------------------------

    def violations(self, problem: Problem, config: GemminiConfig | None = None, buffers: int = 1) -> list[str]:
        """One sentence for each rule this mapping breaks for `problem`, and on `config` when one is given.

        `buffers` is how many copies of each on-chip tile must fit: 2 when loads overlap compute.
        """
        broken = [
            f"orders[{level}] must be a permutation of {''.join(DIMENSIONS)}, but is {o!r}."
            for level, o in enumerate(self.orders)
            if sorted(o) != sorted(DIMENSIONS)
        ]
        if any(f < 1 for factors in self.temporal for f in factors) or self.spatial_c < 1 or self.spatial_k < 1:
            return [*broken, "every factor must be at least 1."]
        whole = self.tile(DRAM)
        broken += [
            f"the factors of {d} multiply to {whole[d]}, but the problem has {d}={size}."
            for d, size in problem.sizes.items()
            if whole[d] < size or self._idle(d, size)
        ]
        broken += [
            f"level 0 (registers) may loop only over P, Q, N, where the weights stay put, but has {d}={self.factor(REGISTERS, d)}."
            for d in DIMENSIONS
            if d not in REGISTER_LOOPS and self.factor(REGISTERS, d) > 1
        ]
        broken += [
            f"level 2 (scratchpad) has no temporal loops, but has {d}={self.factor(SCRATCHPAD, d)}."
            for d in DIMENSIONS
            if self.factor(SCRATCHPAD, d) > 1
        ]
        return broken if config is None or broken else self._capacity_violations(problem, config, buffers)

    def _idle(self, dim: str, size: int) -> bool:
        """Whether a loop over `dim` has an iteration, or the array a row or column, that never has anything to do."""
        inner = {"C": self.spatial_c, "K": self.spatial_k}.get(dim, 1)
        if inner > size:
            return True
        for level in range(len(LEVELS)):
            if (self.factor(level, dim) - 1) * inner >= size:
                return True
            inner *= self.factor(level, dim)
        return False

    def _capacity_violations(self, problem: Problem, config: GemminiConfig, buffers: int) -> list[str]:
        broken = [
            f"spatial {d}={s} is larger than the array's side, DIM={config.dim}."
            for d, s in (("C", self.spatial_c), ("K", self.spatial_k))
            if s > config.dim
        ]
        copies = f" in {buffers} copies" if buffers > 1 else ""
        need = buffers * self.accumulator_rows(problem)
        if need > config.accumulator_rows:
            broken.append(f"the output tile{copies} needs {need} accumulator rows, but there are {config.accumulator_rows}.")
        need = buffers * (self.weight_rows(problem) + self.input_rows(problem))
        if need > config.scratchpad_rows:
            broken.append(f"the weight and input tiles{copies} need {need} scratchpad rows, but there are {config.scratchpad_rows}.")
        return broken

    def check(self, problem: Problem, config: GemminiConfig | None = None, buffers: int = 1) -> None:
        """Raises :class:`InvalidMapping` naming every rule that :meth:`violations` finds broken."""
        if broken := self.violations(problem, config, buffers):
            raise InvalidMapping(broken)

    # Text and JSON --------------------------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        """Outermost level first, as mapping tools write it: ``L3[WIO] K8 Q28 - L2[WI] N1 K4X - L1[O] P7 C3X - L0[W] P16``."""
        spatial = {SCRATCHPAD: ("K", self.spatial_k), ACCUMULATOR: ("C", self.spatial_c)}
        parts = []
        for level, holds in ((DRAM, "WIO"), (SCRATCHPAD, "WI"), (ACCUMULATOR, "O"), (REGISTERS, "W")):
            words = [f"{loop.dim}{loop.trips}" for loop in self.loops(level)] or ["N1"]
            if level in spatial:
                words.append("{}{}X".format(*spatial[level]))
            parts.append(f"L{level}[{holds}] {' '.join(words)}")
        return " - ".join(parts)

    @classmethod
    def parse(cls, text: str) -> Mapping:
        """The mapping that :meth:`__str__` wrote.

        Raises:
            InvalidMapping: if the text is not of that form.
        """
        factors = [dict.fromkeys(DIMENSIONS, 1) for _ in LEVELS]
        orders = ["".join(DIMENSIONS)] * len(LEVELS)
        spatial = {"C": 1, "K": 1}
        for part in text.split(" - "):
            match = re.fullmatch(r"L([0-3])\[[WIO]+\]((?: [RSPQCKN]\d+X?)*)", part.strip())
            if not match:
                raise InvalidMapping([f"cannot read {part.strip()!r}; a level looks like 'L3[WIO] K8 Q28'."])
            level, seen = int(match[1]), ""
            for dim, trips, across in re.findall(r"([RSPQCKN])(\d+)(X?)", match[2]):
                if across and dim not in spatial:
                    raise InvalidMapping([f"only C and K may be spatial, but {dim}{trips}X is."])
                if across:
                    spatial[dim] *= int(trips)
                else:
                    factors[level][dim] *= int(trips)
                    seen += dim if dim not in seen else ""
            orders[level] = "".join(d for d in DIMENSIONS if d not in seen) + seen
        return cls(tuple(tuple(f.values()) for f in factors), tuple(orders), spatial["C"], spatial["K"])

    def to_dict(self) -> dict[str, object]:
        return {
            "temporal": [list(f) for f in self.temporal],
            "orders": list(self.orders),
            "spatial_c": self.spatial_c,
            "spatial_k": self.spatial_k,
        }

    @classmethod
    def from_dict(cls, fields: dict[str, object]) -> Mapping:
        """The mapping that :meth:`to_dict` wrote.

        Raises:
            InvalidMapping: if a field is missing or has the wrong shape.
        """
        try:
            temporal = tuple(tuple(int(f) for f in level) for level in fields["temporal"])
            orders = tuple(str(o) for o in fields["orders"])
            spatial_c, spatial_k = int(fields["spatial_c"]), int(fields["spatial_k"])
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidMapping([f"cannot read the stored mapping: {error!r}."]) from error
        if len(temporal) != 4 or any(len(level) != 7 for level in temporal) or len(orders) != 4:
            raise InvalidMapping(["a stored mapping has four levels of seven factors and four loop orders."])
        return cls(temporal, orders, spatial_c, spatial_k)
