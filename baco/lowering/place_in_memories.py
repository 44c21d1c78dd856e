"""place-in-memories: give every block its rows of the scratchpad or the accumulator.

Before:
    %a = memref.alloc() : memref<64x32xi8>
    %c = memref.alloc() : memref<64x64xi32>

After:
    %a = memref.alloc() {baco.memory = "scratchpad", baco.row = 0 : i64} : memref<64x32xi8>
    %c = memref.alloc() {baco.memory = "accumulator", baco.row = 0 : i64} : memref<64x64xi32>

A block of R x C elements takes R rows for each DIM-wide column block (:mod:`baco.lowering.choose_layouts` says in which order), and as
often as it has slots (:mod:`baco.lowering.pipeline_loads`, :mod:`baco.lowering.keep_resident`). int32 blocks live in the accumulator;
int8 blocks in the scratchpad, except the result of a requantisation, which exists only on the way out
(``baco.memory = "on-the-way-out"``), unless it leaves the array for the scratchpad: then its sums exist in the array alone
(``baco.memory = "in-the-array"``). Blocks that do not fit are refused. The rows that the kernel needs altogether are recorded on the
module as ``baco.rows``; those that only keep blocks resident are not needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from baco.dialects.mlir import func, ir
from baco.hardware import GemminiConfig
from baco.lowering.blocks_to_linalg import IN_ARRAY, MAX_POOL, REQUANTISE
from baco.lowering.errors import OutOfResources, UnsupportedOperation
from baco.lowering.passes import get_hardware, kernel_of, location_of, operations, register

MEMORY, ROW, LAYOUT, ROWS = "baco.memory", "baco.row", "baco.layout", "baco.rows"
LOOP_ROWS = "baco.loop_rows"
"""Module attribute: the rows of each memory that a loop instruction needs, which chooses them itself."""
TILES, COLUMNS = "tiles", "columns"
"""The layouts of a block; see :mod:`baco.lowering.choose_layouts`."""
SLOTS = "baco.slots"
"""Marks an allocation of several copies of a block, its first dimension."""
SLOT_ROWS = "baco.slot_rows"
"""Rows from one slot to the next, where slots overlap because the program itself sees to it that those in use do not."""
POOL = "baco.pool"
"""The rows that all allocations with this attribute share, in each memory."""
KEPT = "baco.kept"
"""Marks an allocation of blocks that are loaded once and used often; see :mod:`baco.lowering.keep_resident`."""
KEPT_ROWS = "baco.kept_rows"
"""Module attribute: how many rows of each memory hold blocks only because there is room for them."""
SCRATCHPAD, ACCUMULATOR = "scratchpad", "accumulator"
NO_ROWS = ON_THE_WAY_OUT, IN_THE_ARRAY = "on-the-way-out", "in-the-array"
"""Blocks that exist only while they leave the accumulator, and those that never leave the array as they are."""


@dataclass(frozen=True)
class Block:
    """An allocation: its operation, the shape of one copy in elements, and the rows that all copies take."""

    op: ir.OpView
    shape: tuple[int, int]
    rows: int


@register("place-in-memories")
def run(module: ir.Module) -> None:
    """Place the blocks of the module's kernel.

    Raises:
        OutOfResources: if the blocks of one memory need more rows than it has.
    """
    config = get_hardware(module)
    blocks: dict[str, list[Block]] = {SCRATCHPAD: [], ACCUMULATOR: []}
    for op in allocations(kernel_of(module)):
        memory = memory_of(op)
        op.operation.attributes[MEMORY] = ir.StringAttr.get(memory)
        if memory in blocks:
            pool = next((b for b in blocks[memory] if POOL in op.operation.attributes and POOL in b.op.operation.attributes), None)
            row = sum(b.rows for b in (blocks[memory][: blocks[memory].index(pool)] if pool else blocks[memory]))
            op.operation.attributes[ROW] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), row)
            if not pool:
                blocks[memory].append(Block(op, block_shape(op), rows_of(op, config.dim)))
    _check(blocks[SCRATCHPAD], config.scratchpad_rows, SCRATCHPAD, config)
    _check(blocks[ACCUMULATOR], config.accumulator_rows, ACCUMULATOR, config)
    by_loops, kept = (_rows_on(module, name) for name in (LOOP_ROWS, KEPT_ROWS))
    needed = {memory: sum(b.rows for b in placed) - kept.get(memory, 0) for memory, placed in blocks.items()}
    set_rows(module, {memory: max(rows, by_loops.get(memory, 0)) for memory, rows in needed.items()})


def _rows_on(module: ir.Module, name: str) -> dict[str, int]:
    """The rows of each memory that an attribute of a module tells."""
    attributes = module.operation.attributes
    return {n.name: ir.IntegerAttr(n.attr).value for n in ir.DictAttr(attributes[name])} if name in attributes else {}


def set_rows(module: ir.Module, rows: dict[str, int], name: str = ROWS) -> None:
    """Record on the module how many rows of each memory its program needs, counted from row 0."""
    i64 = ir.IntegerType.get_signless(64)
    module.operation.attributes[name] = ir.DictAttr.get({memory: ir.IntegerAttr.get(i64, n) for memory, n in rows.items()})


def block_shape(op: ir.OpView) -> tuple[int, int]:
    """Rows and columns of the block that an allocation holds, once or in several slots.

    Raises:
        UnsupportedOperation: if it is no block of two dimensions.
    """
    shape = list(ir.MemRefType(op.result.type).shape)
    if SLOTS in op.operation.attributes:
        del shape[0]
    if len(shape) != 2:
        raise UnsupportedOperation(f"a block on the accelerator has two dimensions, not {len(shape)}.", location_of(op))
    return shape[0], shape[1]


def rows_of(op: ir.OpView, dim: int) -> int:
    """Rows of DIM elements that an allocation takes, all its slots together; of a member of a pool, those of the pool."""
    if POOL in op.operation.attributes:
        return ir.IntegerAttr(op.operation.attributes[POOL]).value
    slots = ir.IntegerAttr(op.operation.attributes[SLOTS]).value if SLOTS in op.operation.attributes else 1
    return slots * slot_rows(op, dim)


def slot_rows(op: ir.OpView, dim: int) -> int:
    """Rows from one slot of an allocation to the next: those of one copy of its block, unless it says otherwise."""
    if SLOT_ROWS in op.operation.attributes:
        return ir.IntegerAttr(op.operation.attributes[SLOT_ROWS]).value
    rows, cols = block_shape(op)
    return rows * -(-cols // dim)


def rows_taken(blocks: Iterable[ir.OpView], dim: int) -> dict[str, int]:
    """Rows of the scratchpad and of the accumulator that allocations take together; a pool's count once."""
    taken, pools = dict.fromkeys((SCRATCHPAD, ACCUMULATOR), 0), set()
    for op in blocks:
        memory = memory_of(op)
        if memory in taken and memory not in pools:
            taken[memory] += rows_of(op, dim)
        if POOL in op.operation.attributes:
            pools.add(memory)
    return taken


def allocations(kernel: func.FuncOp) -> Iterator[ir.OpView]:
    """The blocks a kernel allocates, in program order."""
    return (op for op in operations(kernel.entry_block) if op.operation.name == "memref.alloc")


def memory_of(op: ir.OpView) -> str:
    """Where a block lives."""
    if ir.MemRefType(op.result.type).element_type.width == 32:
        return IN_THE_ARRAY if any(IN_ARRAY in use.owner.attributes for use in op.result.uses) else ACCUMULATOR
    made_by = (use.owner.attributes for use in op.result.uses if use.operand_number == 1)
    leaves = any((REQUANTISE in how and IN_ARRAY not in how) or MAX_POOL in how for how in made_by)
    return ON_THE_WAY_OUT if leaves else SCRATCHPAD


def _check(blocks: list[Block], limit: int, memory: str, config: GemminiConfig) -> None:
    required = sum(b.rows for b in blocks)
    if required <= limit:
        return
    largest = max(blocks, key=lambda b: b.rows)
    size = "x".join(str(s) for s in largest.shape)
    advice = f"The largest block, {size}, takes {largest.rows}; {_largest_fit(largest, limit - required + largest.rows, config.dim)}"
    raise OutOfResources(required, limit, memory, advice, location_of(largest.op))


def _largest_fit(block: Block, room: int, dim: int) -> str:
    """The largest block like this one that fits into `room` rows: fewer rows first, then fewer columns."""
    cols = block.shape[1]
    fitting = room // -(-cols // dim)
    if fitting >= dim:
        return f"the largest that would fit beside the others is {fitting // dim * dim}x{cols}."
    if room >= dim:
        return f"the largest that would fit beside the others is {dim}x{room // dim * dim}."
    return f"the others leave only {max(room, 0)} rows, so make them smaller too."
