"""Max pooling while the program is split between the host core and the accelerator; part of the pass split-host-work.

Before:
    linalg.generic {baco.max_pool = {...}} outs(%m : memref<16x32xi8>) { ... memref.load %x ... }      // %x: memref<64x32xi8>
    memref.copy (%n x 32 of %m), %y

After, on the accelerator:
    linalg.generic {baco.max_pool = {...}} ins(%x) outs(%m)        // no work: says how %m leaves
    scf.if (%n == 16) { memref.copy %m, %y }                       // becomes one pooling store for every DIM channels
    else {
      memref.copy %m, %twin                                        // a pooling store writes whole images
      memref.copy %twin, %again                                    // %again: memref<16x32xi8> in the scratchpad
      memref.copy (%n x 32 of %again), %y }

and on the host core the loop nest that the body describes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from baco.dialects.mlir import DYNAMIC, arith, ir, linalg, memref, scf
from baco.lowering.blocks_to_linalg import MAX_POOL, highest_of_window, identity, pooling_of
from baco.lowering.rebuild import constant
from baco.lowering.tile_to_dim import root


def is_pooling(op: ir.OpView | ir.Operation) -> bool:
    """Whether an operation pools."""
    return MAX_POOL in op.operation.attributes


def name_images(operations: Iterable[ir.OpView]) -> None:
    """Make the image of each pooling its operand, where its body had looked into it; the attribute alone says what is done."""
    for op in operations:
        if is_pooling(op):
            block, rank = op.operation.regions[0].blocks[0], ir.AffineMap.get_identity(2)
            image = next(o.operands[0] for o in block.operations if o.operation.name == "memref.load")
            somewhere = ir.AffineMap.get(2, 0, [ir.AffineExpr.get_constant(0), ir.AffineExpr.get_dim(1)])
            with ir.InsertionPoint(op), op.location:
                named = _generic([image], op.operation.operands[0], [somewhere, rank], lambda pixel, _: pixel)
                named.attributes[MAX_POOL] = op.operation.attributes[MAX_POOL]
            op.operation.erase()


def on_host(op: ir.OpView) -> ir.Operation:
    """The loop nest of a pooling whose image is its operand, in its place."""
    image, result = op.operation.operands
    pooling, element = pooling_of(op.operation.attributes[MAX_POOL]), ir.MemRefType(result.type).element_type

    def body(_: ir.Value) -> ir.Value:
        return highest_of_window(pooling, element, lambda place: memref.LoadOp(image, place).result)

    with ir.InsertionPoint(op), op.location:
        nest = _generic([], result, [identity(2)], body)
    op.operation.erase()
    return nest


def _generic(inputs: list[ir.Value], result: ir.Value, maps: list[ir.AffineMap], body: Callable[..., ir.Value]) -> ir.Operation:
    """A linalg.generic on buffers over the rows and columns of its result."""
    kinds = ir.ArrayAttr.get([ir.Attribute.parse("#linalg.iterator_type<parallel>")] * 2)
    op = linalg.GenericOp([], inputs, [result], ir.ArrayAttr.get([ir.AffineMapAttr.get(m) for m in maps]), kinds)
    types = [ir.MemRefType(v.type).element_type for v in (*inputs, result)]
    block = op.regions[0].blocks.append(*types, arg_locs=[ir.Location.current] * len(types))
    with ir.InsertionPoint(block):
        linalg.YieldOp([body(*block.arguments)])
    return op.operation


def store_whole_images(copy: ir.OpView, twin: Callable[[], ir.Value]) -> list[ir.Value]:
    """Store a pooled block whole, and where only a part of it is wanted, that part by way of `twin` in DRAM and of another block.

    Returns the blocks on the chip that this takes.
    """
    source, destination = copy.operation.operands
    block = root(source)
    pixels = ir.MemRefType(block.type).shape[0]
    if ir.MemRefType(source.type).shape[0] == pixels:
        return []
    with ir.InsertionPoint(block.owner), block.owner.location:
        again = memref.AllocOp(block.type, [], []).result

    def in_part() -> None:
        memref.CopyOp(block, twin())
        memref.CopyOp(twin(), again)
        memref.CopyOp(_on_another(source, again), destination)

    with ir.InsertionPoint(copy), copy.location:
        if all(_starts_first(view) for view in (source, destination)):
            count = source.owner.operands[1]
            branch = scf.IfOp(arith.CmpIOp(arith.CmpIPredicate.eq, count, constant(pixels)).result, has_else=True)
            with ir.InsertionPoint(branch.then_block):
                memref.CopyOp(_all_rows(source, pixels), _all_rows(destination, pixels))
                scf.YieldOp([])
            with ir.InsertionPoint(branch.else_block):
                in_part()
                scf.YieldOp([])
        else:
            in_part()
    copy.operation.erase()
    return [again]


def _starts_first(view: ir.Value) -> bool:
    """Whether a view is a run-time number of rows of a buffer from its first row and column on."""
    if isinstance(view.owner, ir.Block) or view.owner.name != "memref.subview":
        return False
    attributes = view.owner.attributes
    rows = next(iter(ir.DenseI64ArrayAttr(attributes["static_sizes"])))
    return rows == DYNAMIC and list(ir.DenseI64ArrayAttr(attributes["static_offsets"])) == [0, 0]


def _all_rows(view: ir.Value, rows: int) -> ir.Value:
    """The view with all the rows of its buffer."""
    source, columns = view.owner.operands[0], list(ir.DenseI64ArrayAttr(view.owner.attributes["static_sizes"]))[1]
    dynamic = list(view.owner.operands)[2:] if columns == DYNAMIC else []
    old = ir.MemRefType(view.type)
    strides, offset = old.get_strides_and_offset()
    type_ = ir.MemRefType.get([rows, columns], old.element_type, ir.StridedLayoutAttr.get(offset, strides))
    return memref.SubViewOp(type_, source, [], dynamic, [], [0, 0], [rows, columns], [1, 1]).result


def _on_another(view: ir.Value, block: ir.Value) -> ir.Value:
    """The same view of another block."""
    copy = view.owner.clone()
    copy.operands[0] = block
    return copy.results[0]
