"""choose-layouts: decide how each block's rows lie in its memory.

Before:
    %a = memref.alloc() : memref<64x32xi8>
    %b = memref.alloc() : memref<20x32xi8>

After (DIM = 16):
    %a = memref.alloc() {baco.layout = "tiles"} : memref<64x32xi8>
    %b = memref.alloc() {baco.layout = "columns"} : memref<20x32xi8>

A row of private memory holds DIM elements, so a block of R x C elements is made of DIM-wide column blocks. In the layout "columns" a
column block's R rows lie together and the column blocks one after the other: any row can be where a move starts, and no row is wasted. In
the layout "tiles" the DIM x DIM tiles lie row-major: column blocks are DIM rows apart, which is the only distance that a store knows
(GEMMINI_ISA.md section 7.6), so that a store moves up to 64 columns at a time, not DIM. Blocks whose rows fill whole tiles, and that
nothing cuts at other rows or pools, take "tiles"; others "columns". A requantised block on its way out has the layout of its accumulator
block.
"""

from __future__ import annotations

from collections.abc import Iterator

from baco.dialects.mlir import DYNAMIC, ir
from baco.lowering.blocks_to_linalg import MAX_POOL, REQUANTISE
from baco.lowering.passes import get_hardware, kernel_of, register
from baco.lowering.place_in_memories import COLUMNS, LAYOUT, ON_THE_WAY_OUT, TILES, allocations, memory_of
from baco.lowering.tile_to_dim import root


@register("choose-layouts")
def run(module: ir.Module) -> None:
    """Mark the allocations of the module's kernel."""
    dim = get_hardware(module).dim
    blocks = list(allocations(kernel_of(module)))
    leaving = [op for op in blocks if memory_of(op) == ON_THE_WAY_OUT]
    for op in blocks:
        if op not in leaving:
            op.operation.attributes[LAYOUT] = ir.StringAttr.get(_layout(op, dim))
    for op in leaving:
        source = next(use.owner.operands[0] for use in op.result.uses if use.operand_number == 1 and _leaves(use.owner))
        attributes = root(source).owner.attributes
        op.operation.attributes[LAYOUT] = attributes[LAYOUT] if LAYOUT in attributes else ir.StringAttr.get(COLUMNS)


def _layout(op: ir.OpView, dim: int) -> str:
    shape = ir.MemRefType(op.result.type).shape
    whole = len(shape) == 2 and shape[0] % dim == 0
    return TILES if whole and all(start % dim == 0 for start in _starts(op.result)) else COLUMNS


def _starts(block: ir.Value) -> Iterator[int]:
    """The rows at which views of a block start; one that a run-time value decides counts as 1, which no tile starts at."""
    for use in block.uses:
        if use.owner.name == "memref.subview":
            first = next(iter(ir.DenseI64ArrayAttr(use.owner.attributes["static_offsets"])))
            yield 1 if first == DYNAMIC else first
            yield from _starts(use.owner.results[0])
        elif REQUANTISE in use.owner.attributes and use.operand_number == 0:
            yield from _starts(use.owner.operands[1])
        elif MAX_POOL in use.owner.attributes and use.operand_number == 0:
            yield 1  # the pixels of an image lie in rows one after the other


def _leaves(op: ir.Operation) -> bool:
    return REQUANTISE in op.attributes or MAX_POOL in op.attributes
