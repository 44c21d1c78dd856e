"""What is known about a tile of a convolution, and how blocks lie in what they are views of.

Tiles are found by :mod:`baco.lowering.convolution_sums`.
"""

from __future__ import annotations

from dataclasses import dataclass

from baco.dialects.mlir import DYNAMIC, ir
from baco.lowering.block_loads import body_of
from baco.lowering.emit import Quantity
from baco.lowering.polynomials import Polynomial, Quotient
from baco.lowering.rebuild import known
from baco.lowering.summed_products import InDram


@dataclass(frozen=True)
class Border:
    """Where the image ends in one direction, counted in input rows or columns from the first that the tile reads.

    `before` rows are outside on the near side, and after `room` rows the image ends; None where the kernel does not ask. Each is rounded
    up after its division, and then multiplied by `scale`.
    """

    before: Quotient | None
    room: tuple[Quotient, ...]
    scale: int = 1


@dataclass(frozen=True)
class ConvolutionSum:
    """A tile of a convolution; addresses are in elements and hold for the first position of the filter and the first output row."""

    products: list[ir.Operation]
    channels: ir.OpView | None
    """The loop over blocks of input channels."""
    taps: tuple[int, int]
    """Rows and columns of the filter."""
    counters: tuple[ir.Value, ...]
    """Of the loops over them."""
    stride: int
    dilation: int
    pixel: Polynomial
    """Elements between neighbouring columns of the image."""
    line: Polynomial | None
    """Elements between its rows; None if the tile reads one."""
    rows: Border
    columns: Border
    always: tuple[Polynomial, ...]
    """What must not be negative for the tile to see the image at all."""
    input: InDram
    input_offset: Polynomial
    weights: InDram
    weight_offset: Polynomial
    weight_channels: Polynomial
    """Input channels that the filter has from one column to the next."""
    depth: tuple[Polynomial, ...]
    """The channels of a step are the least of the block's and these."""
    limits: tuple[Polynomial, ...]
    """Pixels that are loaded at most, apart from the image's border."""
    bias: list[InDram]
    """One row of int32 values for each output row, the same one, that all its sums start from; empty for zeros."""
    requantise: ir.OpView
    results: list[InDram]
    result_line: Polynomial
    """Elements between output rows; 0 if there is one."""
    operations: list[ir.Operation]
    blocks: list[ir.Value]
    shape: tuple[int, int, int]
    """Pixels of a row, output channels and input channels of the blocks."""

    @property
    def channel(self) -> ir.Value | None:
        """The first channel of a step."""
        return body_of(self.channels).arguments[0] if self.channels else None


@dataclass(frozen=True)
class Pixels:
    """The load of a row of pixels."""

    source: InDram
    offset: Polynomial
    lead: list[Quotient]
    end: list[Quotient]
    depth: Quantity


def known_or_same(quantity: Quantity) -> Quantity:
    """A number where one is known."""
    if isinstance(quantity, int):
        return quantity
    number = known(quantity)
    return quantity if number is None else number


def uncast(quantity: Quantity) -> Quantity:
    """A quantity before it was made an index."""
    while not isinstance(quantity, int) and not isinstance(quantity.owner, ir.Block) and quantity.owner.name == "arith.index_cast":
        quantity = quantity.owner.operands[0]
    return quantity


def window(view: ir.Value) -> tuple[tuple[Quantity, ...], tuple[Quantity, ...]]:
    """Offsets and sizes of a view in what it is a view of."""
    if isinstance(view.owner, ir.Block) or view.owner.name != "memref.subview":
        shape = tuple(ir.MemRefType(view.type).shape)
        return (0,) * len(shape), shape
    dynamic = list(view.owner.operands)[1:]
    found = []
    for name in ("static_offsets", "static_sizes"):
        found.append(tuple(dynamic.pop(0) if s == DYNAMIC else s for s in ir.DenseI64ArrayAttr(view.owner.attributes[name])))
    return found[0], found[1]


def without(polynomial: Polynomial, values: dict[ir.Value, int]) -> Polynomial:
    """A polynomial with 0 for some values."""
    for value in values:
        polynomial = polynomial.without(value)
    return polynomial


def recipe(requantise: ir.OpView) -> list[object]:
    """What a requantisation does: its flags and the outside values that it takes."""
    op = requantise.operation
    body = op.regions[0].blocks[0]
    outside = [
        v.get_name()
        for o in body.operations
        for v in o.operation.operands
        if isinstance(v.owner, ir.Block) or v.owner.operation.block != body
    ]
    return [{name: str(op.attributes[name]) for name in op.attributes}, [n for n in outside if not n.startswith("%in") and n != "%out"]]
