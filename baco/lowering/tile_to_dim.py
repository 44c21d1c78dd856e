"""tile-to-dim: cut every block operation into pieces that one instruction can do.

Before:
    linalg.matmul ins(%a, %b : memref<64x32xi8>, memref<32x64xi8>) outs(%c : memref<64x64xi32>)

After (DIM = 16):
    scf.for %n = 0 to 64 step 16 {
      scf.for %k = 0 to 32 step 16 {
        linalg.matmul ins(%a[0, %k] 16x16, %b[%k, %n] 16x16) outs(%c[0, %n] 16x16)
        scf.for %m = 16 to 64 step 16 {
          linalg.matmul {baco.weights_in_array} ins(%a[%m, %k] 16x16, %b[%k, %n] 16x16) outs(%c[%m, %n] 16x16) } } }

A tile of B is loaded into the array once and every tile of A that meets it streams past: the first product of such a run loads it, the
others are marked. Copies and fills are cut to the moves the DMA takes: DIM rows, and as many columns as one row may have
(GEMMINI_ISA.md section 10). The block stride of stores is fixed, so that int8 stores take several DIM-wide column blocks at a time only
from blocks in the layout that has it ("tiles"; see :mod:`baco.lowering.choose_layouts`); the others go one column block at a time.
Of a product marked ``baco.output_stationary`` a tile of sums stays in the array while the whole depth streams past: the depth is then
the innermost loop, and the products that start and end a sum are marked.
A product marked ``baco.overwrite`` writes its sums over what is there: its first tiles along the depth do, the others add to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from baco.dialects.mlir import DYNAMIC, arith, ir, linalg, memref, scf
from baco.hardware import GemminiConfig
from baco.lowering.blocks_to_linalg import MAX_POOL, OUTPUT_STATIONARY
from baco.lowering.errors import CompilationError
from baco.lowering.passes import get_hardware, kernel_of, location_of, operations, register
from baco.lowering.place_in_memories import LAYOUT, TILES
from baco.lowering.rebuild import constant, known

WEIGHTS_IN_ARRAY = "baco.weights_in_array"
STARTS_SUM, ENDS_SUM = "baco.starts_sum", "baco.ends_sum"
"""Mark the first and the last of the products whose sums stay in the array: it starts from zeros, and its sums leave."""
OVERWRITE = "baco.overwrite"
"""Marks a product whose sums replace the accumulator block instead of adding to it."""
HOST = "baco.host"
"""Marks an operation that runs on the host core; it is left whole."""


@register("tile-to-dim")
def run(module: ir.Module) -> None:
    """Tile the module's kernel for its hardware."""
    config = get_hardware(module)
    for op in list(operations(kernel_of(module).entry_block)):
        tile = _TILERS.get(op.operation.name)
        if tile and HOST not in op.operation.attributes:
            if not all(isinstance(v.type, ir.MemRefType) and v.type.rank == 2 for v in _blocks(op)):
                reason = f"{op.operation.name} is not on two-dimensional buffers; run one-shot-bufferize and split-host-work before this."
                raise CompilationError(reason, location_of(op))
            with ir.InsertionPoint(op), op.location:
                tile(op, config)
            op.operation.erase()


def _blocks(op: ir.OpView) -> list[ir.Value]:
    """What an operation works on: its operands but for numbers."""
    return [v for v in op.operation.operands if isinstance(v.type, ir.ShapedType)]


@dataclass(frozen=True)
class Extent:
    """A tile's place along one dimension: `start` is an index value, `size` a number or, at a ragged edge, an index value."""

    start: ir.Value
    size: int | ir.Value


def _for_tiles(total: int | ir.Value, step: int, body: Callable[[Extent], None], first: int = 0) -> None:
    """Call `body` for tiles of `step` from `first` up to `total`; a last shorter tile is peeled off when its size is known."""
    if isinstance(total, int):
        whole = total - (total - first) % step if total > first else first
        _loop(first, constant(whole) if whole > first else None, step, lambda start: body(Extent(start, step)))
        if whole < total:
            body(Extent(constant(whole), total - whole))
    else:

        def ragged(start: ir.Value) -> None:
            left = arith.SubIOp(total, start).result
            body(Extent(start, arith.MinSIOp(left, constant(step)).result))

        _loop(first, total, step, ragged)


def _loop(first: int, stop: ir.Value | None, step: int, body: Callable[[ir.Value], None]) -> None:
    if stop is None:
        return
    if known(stop) is not None and known(stop) - first == step:
        body(constant(first))
        return
    loop = scf.ForOp(constant(first), stop, constant(step))
    with ir.InsertionPoint(loop.body):
        body(loop.induction_variable)
        scf.YieldOp([])


def tile_view(source: ir.Value, rows: Extent, cols: Extent) -> ir.Value:
    """The part of a rank-2 buffer at a tile."""
    old = ir.MemRefType(source.type)
    strides, offset = old.get_strides_and_offset()
    starts = [known(e.start) for e in (rows, cols)]
    for start, stride in zip(starts, strides, strict=True):
        if start != 0:
            offset = DYNAMIC if start is None or DYNAMIC in (offset, stride) else offset + start * stride
    sizes = [e.size if isinstance(e.size, int) else DYNAMIC for e in (rows, cols)]
    type_ = ir.MemRefType.get(sizes, old.element_type, ir.StridedLayoutAttr.get(offset, strides))
    runtime_starts = [e.start for e, s in zip((rows, cols), starts, strict=True) if s is None]
    runtime_sizes = [e.size for e in (rows, cols) if not isinstance(e.size, int)]
    static_starts = [DYNAMIC if s is None else s for s in starts]
    return memref.SubViewOp(type_, source, runtime_starts, runtime_sizes, [], static_starts, sizes, [1, 1]).result


VIEWS = tuple(f"memref.{kind}" for kind in ("subview", "cast", "reinterpret_cast", "collapse_shape", "expand_shape", "transpose"))
"""Operations that look into a buffer without touching it."""


def root(value: ir.Value) -> ir.Value:
    """The buffer that a chain of subviews and casts looks into."""
    while not isinstance(value.owner, ir.Block) and value.owner.name in VIEWS:
        value = value.owner.operands[0]
    return value


def is_on_chip(value: ir.Value) -> bool:
    """Whether a buffer is a block of the kernel on the chip, rather than an argument or the host's."""
    owner = root(value).owner
    return not isinstance(owner, ir.Block) and owner.name == "memref.alloc"


def _sizes(value: ir.Value) -> list[int | ir.Value]:
    """Rows and columns of a buffer: numbers, or the values its subview was made with."""
    shape = ir.MemRefType(value.type).shape
    if DYNAMIC not in shape:
        return list(shape)
    return [s if s != DYNAMIC else memref.DimOp(value, constant(i)).result for i, s in enumerate(shape)]


def transposes(op: ir.OpView) -> tuple[bool, bool]:
    """Which operands of a product are transposed on their way into the array."""
    maps = [ir.AffineMapAttr(m).value for m in ir.ArrayAttr(op.operation.attributes["indexing_maps"])]
    inner = [ir.AffineDimExpr(m.results[1]).position for m in maps[:2]]
    return inner[0] != 2, inner[1] == 2


def _tile_matmul(op: ir.OpView, config: GemminiConfig) -> None:
    a, b, c = op.operation.operands
    swap_a, swap_b = transposes(op)
    (m, n), k = ir.MemRefType(c.type).shape, ir.MemRefType(a.type).shape[0 if swap_a else 1]
    dim, maps = config.dim, op.operation.attributes["indexing_maps"]

    def tile(rows: Extent, depth: Extent, cols: Extent, *marks: str) -> None:
        left = tile_view(a, depth, rows) if swap_a else tile_view(a, rows, depth)
        right = tile_view(b, cols, depth) if swap_b else tile_view(b, depth, cols)
        product = linalg.MatmulOp([], [left, right], [tile_view(c, rows, cols)], indexing_maps=maps)
        linalg.fill_builtin_region(product.operation)
        for mark in marks:
            product.operation.attributes[mark] = ir.UnitAttr.get()

    def run_of(depth: Extent, cols: Extent, *marks: str) -> None:
        tile(Extent(constant(0), min(dim, m)), depth, cols, *marks)
        _for_tiles(m, dim, lambda rows: tile(rows, depth, cols, WEIGHTS_IN_ARRAY, *marks), first=min(dim, m))

    overwrite = (OVERWRITE,) if OVERWRITE in op.operation.attributes else ()

    def column(cols: Extent) -> None:
        first = min(dim, k) if overwrite else 0
        if first:
            run_of(Extent(constant(0), first), cols, *overwrite)
        _for_tiles(k, dim, lambda depth: run_of(depth, cols), first=first)

    def sums(rows: Extent, cols: Extent) -> None:
        last = (k - 1) // dim * dim
        marks = (OUTPUT_STATIONARY, *overwrite)
        if last:
            tile(rows, Extent(constant(0), dim), cols, STARTS_SUM, *marks)
            _for_tiles(last, dim, lambda depth: tile(rows, depth, cols, *marks), first=dim)
        tile(rows, Extent(constant(last), k - last), cols, ENDS_SUM, *(() if last else (STARTS_SUM,)), *marks)

    if OUTPUT_STATIONARY in op.operation.attributes:
        _for_tiles(n, dim, lambda cols: _for_tiles(m, dim, lambda rows: sums(rows, cols)))
    else:
        _for_tiles(n, dim, column)


def _tile_copy(op: ir.OpView, config: GemminiConfig) -> None:
    source, destination = op.operation.operands
    loads = is_on_chip(destination) and not is_on_chip(source)
    element = ir.MemRefType(source.type).element_type
    width = config.dim
    if loads or (element.width == 8 and _is_tiled(source)):
        width = config.max_block_columns if element.width == 8 else config.max_accumulator_columns
    rows_total, cols_total = _sizes(source)
    pooled = any(MAX_POOL in use.owner.attributes and use.operand_number == 1 for use in root(source).uses)
    _for_tiles(
        rows_total,
        rows_total if pooled else config.dim,  # a pooling store makes all pixels of DIM channels
        lambda rows: _for_tiles(
            cols_total, width, lambda cols: memref.CopyOp(tile_view(source, rows, cols), tile_view(destination, rows, cols))
        ),
    )


def _is_tiled(value: ir.Value) -> bool:
    """Whether the tiles of a block lie row-major, DIM rows apart."""
    owner = root(value).owner
    return is_on_chip(value) and LAYOUT in owner.attributes and ir.StringAttr(owner.attributes[LAYOUT]).value == TILES


def _tile_fill(op: ir.OpView, config: GemminiConfig) -> None:
    value, destination = op.operation.operands
    element = ir.MemRefType(destination.type).element_type
    width = config.max_block_columns if element.width == 8 else config.max_accumulator_columns
    rows_total, cols_total = _sizes(destination)
    _for_tiles(
        rows_total,
        config.dim,
        lambda rows: _for_tiles(cols_total, width, lambda cols: linalg.fill(value, outs=[tile_view(destination, rows, cols)])),
    )


_TILERS = {"linalg.matmul": _tile_matmul, "memref.copy": _tile_copy, "linalg.fill": _tile_fill}
