"""Finds the sums of products in a kernel that one of Gemmini's loop instructions could do, and what is known about their sizes.

What is looked for, bufferised, all of it in one block of operations and with nothing else between:

    fill of the accumulator block with zeros, or a load of int32 values into it
    scf.for { load of a, load of b, linalg.matmul ins(a, b) outs(accumulator) }          // or the same without a loop, once
    (requantise)
    copy of the block, or of its upper left part, to DRAM

Loads and the store may be cut short at the edge of a tensor, with zeros in the rest of the block: `sizes` are then run-time values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from baco import isa
from baco.dialects.mlir import DYNAMIC, ir
from baco.lowering.block_loads import nested
from baco.lowering.blocks_to_linalg import OUTPUT_STATIONARY, REQUANTISE
from baco.lowering.emit import Emitter, Quantity
from baco.lowering.errors import SourceLocation
from baco.lowering.passes import location_of
from baco.lowering.place_in_memories import allocations
from baco.lowering.rebuild import known
from baco.lowering.tile_to_dim import HOST, is_on_chip, root, transposes

_VIEWS = ("memref.subview", "memref.cast", "memref.reinterpret_cast", "memref.get_global")
_PURE = ("arith.", "index.", "affine.", *_VIEWS)


class NoLoop(Exception):
    """Why a product cannot be a loop instruction: a clause that completes a sentence, and the line it is about."""

    def __init__(self, reason: str, place: SourceLocation | None) -> None:
        super().__init__(reason)
        self.place = place


@dataclass(frozen=True)
class InDram:
    """A block's part in DRAM: the view that says where it starts, the elements between its rows, and its rows and columns."""

    view: ir.Value
    offset: Quantity
    row_stride: Quantity
    sizes: tuple[Quantity, Quantity]

    @property
    def element_bytes(self) -> int:
        return ir.MemRefType(self.view.type).element_type.width // 8


@dataclass(frozen=True)
class SummedProduct:
    """A sum of products from its first operation to the store; quantities are numbers, or index or i64 values of the kernel."""

    product: ir.OpView
    loop: ir.OpView | None
    a: InDram
    b: InDram
    initial: InDram | None
    """int32 values that the sum starts from; None for zeros."""
    requantise: ir.OpView | None
    result: InDram
    operations: list[ir.Operation]
    """What the sum consists of, outermost operations only, in program order; the views of its blocks too."""
    blocks: list[ir.Value]
    """The blocks on the chip that it uses."""

    @property
    def transposed(self) -> tuple[bool, bool]:
        """Which operands lie in DRAM, and on the chip, as their transposes."""
        return transposes(self.product)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and depth of the product."""
        a, _, c = (ir.MemRefType(v.type).shape for v in self.product.operation.operands)
        return c[0], c[1], a[0 if self.transposed[0] else 1]

    @property
    def sides(self) -> tuple[tuple[Quantity, Quantity], tuple[Quantity, Quantity]]:
        """What is loaded of each operand: rows and depth of the left one, depth and columns of the right one."""
        a, b = self.a.sizes, self.b.sizes
        swap_a, swap_b = self.transposed
        return (a[1], a[0]) if swap_a else (a[0], a[1]), (b[1], b[0]) if swap_b else (b[0], b[1])


def summed_product(product: ir.OpView) -> SummedProduct:
    """The sum that a product belongs to.

    Raises:
        NoLoop: if it is not of the form above.
    """
    return SumFinder(product).find()


def is_pure(op: ir.Operation) -> bool:
    """Whether an operation only computes numbers or views of buffers."""
    return op.name.startswith(_PURE)


class SumFinder:
    """Looks around a product for what begins its sum and where that goes."""

    def __init__(self, product: ir.OpView) -> None:
        self.product = product.operation
        self.body = product.operation.block
        parent = self.body.owner
        if OUTPUT_STATIONARY in self.product.attributes:
            raise self.refusal("its sums stay in the array, where the instruction keeps weights")
        a, b, c = product.operation.operands
        for value in (a, b, c):
            if not is_alloc(value):
                raise self.refusal("it works on parts of blocks")
        self.a, self.b, self.c = a, b, c
        self.loop = parent if parent.operation.name == "scf.for" and block_of(c) != self.body else None
        self.block = self.loop.operation.block if self.loop else self.body
        if block_of(c) != self.block:
            raise self.refusal("its sum runs through more than one loop, or through a branch")

    def refusal(self, reason: str, op: ir.Operation | None = None) -> NoLoop:
        return NoLoop(reason, location_of(op or self.product))

    def find(self) -> SummedProduct:
        for block in (self.a, self.b):
            if block_of(block) != self.body:
                raise self.refusal("one of its blocks is not loaded right before it, and the instruction loads both", block.owner.operation)
        a, loading_a = self._loaded(self.a)
        b, loading_b = self._loaded(self.b)
        if self.loop:
            self._check_only({*loading_a, *loading_b, self.product}, list(self.body.operations)[:-1])
            if any(list(r.uses) for r in self.loop.operation.results):
                raise self.refusal("a value that its loop carries is used after the loop", self.loop.operation)
        initial, starting = self.start()
        requantise, result, leaving = self.end()
        inner = [self.loop.operation] if self.loop else [*loading_a, *loading_b, self.product]
        mine = {*starting, *inner, *leaving}
        operations = [op.operation for op in self.block.operations]
        positions = [i for i, op in enumerate(operations) if op in mine]
        if len(positions) != len(mine):
            raise self.refusal("its sum is started or stored in another block of the program")
        span = operations[positions[0] : positions[-1] + 1]
        self._check_only(mine, span)
        order = [operations.index(op) for op in (starting[-1], inner[-1], leaving[-1])]
        if order != sorted(order):
            raise self.refusal("its sum is not started, summed and stored in this order")
        blocks = [self.a, self.b, self.c, *([requantise.operation.operands[1]] if requantise else [])]
        views = {view for block in blocks for view in views_of(block)}
        whole = [op for op in operations if op in mine or op in views]
        return SummedProduct(self.product.opview, self.loop, a, b, initial, requantise, result, whole, blocks)

    def _check_only(self, mine: set[ir.Operation], span: Iterable[ir.OpView | ir.Operation]) -> None:
        for op in span:
            op = op.operation
            if op not in mine and op.name != "memref.alloc" and not is_pure(op):
                raise self.refusal("other work stands between its loads and the store of its result", op)

    # The parts ------------------------------------------------------------------------------------------------------------------

    def _loaded(self, block: ir.Value) -> tuple[InDram, list[ir.Operation]]:
        """Where a block comes from, and the operations that load it."""
        users = [top_in(user, self.body) for user in users_of(block) if user != self.product]
        if any(u is None for u in users):
            raise self.refusal("one of its blocks is used elsewhere too", block.owner.operation)
        return self._from_dram(block, once(users))

    def _from_dram(self, block: ir.Value, steps: list[ir.Operation]) -> tuple[InDram, list[ir.Operation]]:
        """A block that is one copy from DRAM, in a block of zeros."""
        copies = [op for op in steps if op.name == "memref.copy" and root(op.operands[1]) == block]
        for op in steps:
            if op not in copies and not fills_with_zeros(op, block):
                raise self.refusal("something else than one load, with zeros for what lies outside, writes one of its blocks", op)
        if len(copies) != 1 or is_on_chip(copies[0].operands[0]):
            raise self.refusal("one of its blocks is not loaded from DRAM by one load", block.owner.operation)
        if any(position(op) > position(copies[0]) for op in steps):
            raise self.refusal("one of its blocks is changed after it was loaded", block.owner.operation)
        return self._in_dram(copies[0], 0), steps

    def _in_dram(self, copy: ir.Operation, side: int) -> InDram:
        """The DRAM side of a copy; both sides start at the first row and column."""
        far, near = copy.operands[side], copy.operands[1 - side]
        sizes = tuple(ir.MemRefType(far.type).shape)
        for view in (far, near):
            if not isinstance(view.owner, ir.Block) and view.owner.name == "memref.subview":
                if list(ir.DenseI64ArrayAttr(view.owner.attributes["static_offsets"])) != [0, 0]:
                    raise self.refusal("a part of a block that does not start at its first row and column is moved", copy)
                sizes = sizes_of(view.owner)
        base = far.owner.operands[0] if not isinstance(far.owner, ir.Block) and far.owner.name == "memref.subview" else far
        name = "" if isinstance(base.owner, ir.Block) else base.owner.name
        if name == "memref.get_global":
            return InDram(base, 0, ir.MemRefType(base.type).get_strides_and_offset()[0][0], sizes)
        if name != "memref.reinterpret_cast" or is_on_chip(base):
            raise self.refusal("a block is not moved from or to an array of rows in DRAM", copy)
        dynamic = list(base.owner.operands)[1:]
        offset = next(iter(ir.DenseI64ArrayAttr(base.owner.attributes["static_offsets"])))
        offset = dynamic.pop(0) if offset == DYNAMIC else offset
        strides = [dynamic.pop(0) if s == DYNAMIC else s for s in ir.DenseI64ArrayAttr(base.owner.attributes["static_strides"])]
        if len(strides) != 2 or strides[1] != 1:
            raise self.refusal("the elements of a row are not next to each other in DRAM", copy)
        return InDram(base, offset, strides[0], sizes)

    def start(self) -> tuple[InDram | None, list[ir.Operation]]:
        """What the sum starts from, and the operations that write it."""
        steps = [op for op in self._uses_of_sum() if op.name != "linalg.generic" and not _reads(op, self.c)]
        fills = [op for op in steps if op.name == "linalg.fill"]
        if len(steps) == 1 and fills and fills_with_zeros(steps[0], self.c):
            return None, steps
        if not steps:
            raise self.refusal("its sum does not start from zeros or loaded values here")
        return self._from_dram(self.c, steps)

    def end(self) -> tuple[ir.OpView | None, InDram, list[ir.Operation]]:
        """How the sum leaves: requantised or not, and where to."""
        ends = [op for op in self._uses_of_sum() if _reads(op, self.c)]
        if len(ends) != 1:
            raise self.refusal("its sum is used other than by one store")
        end = ends[0]
        if end.name == "memref.copy" and not is_on_chip(end.operands[1]):
            return None, self._in_dram(end, 1), ends
        if REQUANTISE not in end.attributes or HOST in end.attributes or end.operands[0] != self.c or not is_alloc(end.operands[1]):
            raise self.refusal("its sum is used other than by one store", end)
        stores = [op for op in once(users_of(end.operands[1])) if op != end]
        if len(stores) != 1 or stores[0].name != "memref.copy" or stores[0].block != self.block or is_on_chip(stores[0].operands[1]):
            raise self.refusal("its requantised sum is used other than by one store", end)
        return end.opview, self._in_dram(stores[0], 1), [end, stores[0]]

    def _uses_of_sum(self) -> list[ir.Operation]:
        """What uses the accumulator block beside the product, each as an operation of the block that holds the sum."""
        users = [top_in(user, self.block) for user in users_of(self.c) if user != self.product]
        if self.loop and self.loop.operation in users:
            raise self.refusal("its sum is used inside the loop too")
        return once(users)


def requantisation(e: Emitter, requantise: ir.OpView | None) -> tuple[Quantity, bool]:
    """The bits of the scale that a sum leaves with, and whether negative values become 0."""
    if requantise is None:
        return isa.float_bits(1.0), False
    op = requantise.operation
    relu = ir.StringAttr(ir.DictAttr(op.attributes[REQUANTISE])["activation"]).value == "relu"
    product = next((o for o in op.regions[0].blocks[0].operations if o.operation.name == "arith.mulf"), None)
    return isa.float_bits(1.0) if product is None else e.float_bits(product.operation.operands[1]), relu


# Uses ------------------------------------------------------------------------------------------------------------------------------


def users_of(buffer: ir.Value) -> Iterator[ir.Operation]:
    """Whatever reads or writes a buffer, through views of it too."""
    for use in buffer.uses:
        owner = use.owner.operation
        if owner.name in _VIEWS:
            yield from users_of(owner.results[0])
        else:
            yield owner


def views_of(buffer: ir.Value) -> Iterator[ir.Operation]:
    """The views of a buffer, and the views of those."""
    for use in buffer.uses:
        if use.owner.name in _VIEWS:
            yield use.owner.operation
            yield from views_of(use.owner.operation.results[0])


def top_in(op: ir.Operation, block: ir.Block) -> ir.Operation | None:
    """The operation of a block that is, or contains, another one; None if that is not inside the block."""
    while op is not None and op.name != "func.func":
        if op.block == block:
            return op
        op = op.parent
    return None


def once(operations: Iterable[ir.Operation]) -> list[ir.Operation]:
    """Operations of one block in program order, each once."""
    return sorted(dict.fromkeys(operations), key=position)


def position(op: ir.Operation) -> int:
    """Where an operation stands in its block."""
    return [o.operation for o in op.block.operations].index(op)


def block_of(value: ir.Value) -> ir.Block:
    """The block of operations that makes a value."""
    return value.owner if isinstance(value.owner, ir.Block) else value.owner.operation.block


def is_alloc(value: ir.Value) -> bool:
    """Whether a value is a whole block on the chip."""
    return not isinstance(value.owner, ir.Block) and value.owner.name == "memref.alloc"


def _reads(op: ir.Operation, block: ir.Value) -> bool:
    """Whether an operation takes a block as a source."""
    inside = [o for o in nested(op) if o.name not in _VIEWS]
    return any(root(v) == block for o in inside for v in list(o.operands)[:-1] if isinstance(v.type, ir.MemRefType))


def fills_with_zeros(op: ir.Operation, block: ir.Value) -> bool:
    """Whether an operation does nothing but fill a block with zeros, perhaps under a condition."""
    if op.name == "linalg.fill":
        return HOST not in op.attributes and root(op.operands[1]) == block and known(op.operands[0]) == 0
    inside = [inner.operation for region in op.regions for b in region for inner in b.operations]
    return op.name == "scf.if" and all(fills_with_zeros(o, block) or is_pure(o) or o.name == "scf.yield" for o in inside)


def sizes_of(view: ir.OpView) -> tuple[Quantity, ...]:
    """The sizes of a subview."""
    operands = list(view.operands)
    static = list(ir.DenseI64ArrayAttr(view.attributes["static_sizes"]))
    dynamic = operands[len(operands) - static.count(DYNAMIC) :]
    return tuple(dynamic.pop(0) if s == DYNAMIC else s for s in static)


def something_else_lives(sum_: SummedProduct, kernel: ir.OpView) -> ir.OpView | None:
    """A block of the kernel that may hold something on the chip while a sum is made, which is none of the sum's own.

    A block is made anew wherever its allocation is passed: it holds nothing where all its uses there come before, or all after.
    """
    for alloc in allocations(kernel):
        block = alloc.operation.block
        here = top_in(sum_.operations[0], block)
        if alloc.result in sum_.blocks or here is None:
            continue
        last = here if here != sum_.operations[0] else sum_.operations[-1]
        first, last = position(here), position(last)
        places = [position(top_in(user, block)) for user in users_of(alloc.result)]
        if not (all(p < first for p in places) or all(p > last for p in places)):
            return alloc
    return None
