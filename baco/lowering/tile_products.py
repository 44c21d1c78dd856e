"""tile-products: cut products of whole matrices, and convolutions, into blocks that fit the chip.

Before (bufferised, everything in DRAM):
    linalg.matmul ins(%x, %w : memref<1000x512xi8>, memref<512x300xi8>) outs(%y : memref<1000x300xi32>)

After, for each block of %y:
    %c = memref.alloc() : memref<64x64xi32>                     // becomes rows of the accumulator
    %a, %b = memref.alloc() ...                                  // become rows of the scratchpad
    memref.copy (subview of %y), %c                              // a fill with zeros, where %y was filled with them
    scf.for %k = ... {
      memref.copy (subview of %x), %a
      memref.copy (subview of %w), %b
      linalg.matmul ins(%a, %b) outs(%c) }
    memref.copy %c, (subview of %y)

What is left over at the edges has loops of its own, so that every block has a static shape. A convolution is the same for each row of
its output, summed over the kernel's positions as well as the channels. Whole tensors become buffers in the program's own memory. Rows
that are not contiguous are first rearranged by the host core, since the DMA moves contiguous ones. Everything else is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count

from baco.dialects.mlir import DYNAMIC, arith, ir, linalg, memref, scf
from baco.hardware import GemminiConfig
from baco.lowering.passes import check_buffers, get_hardware, kernel_of, operations_named, register
from baco.lowering.pipeline_loads import get_num_stages
from baco.lowering.rebuild import constant
from baco.lowering.shared_blocks import SHARED
from baco.lowering.tile_to_dim import is_on_chip, root

Index = int | ir.Value


@register("tile-products")
def run(module: ir.Module) -> None:
    """Tile the module's int8 products, and give every whole tensor its place in memory."""
    products = operations_named(module, *_PRODUCTS)
    check_buffers(products)
    config, names = get_hardware(module), (f"tensor_{i}" for i in count())
    for op in operations_named(module, "memref.alloc"):
        replacement = _in_memory(module, op, next(names))
        op.results[0].replace_all_uses_with(replacement)
        op.erase()
    tiler = _Tiler(module, config, names)
    for op in products:
        elements = [str(ir.MemRefType(v.type).element_type) for v in op.operands]
        strides = [s for v in op.operands for s in ir.MemRefType(v.type).get_strides_and_offset()[0]]
        if elements != ["i8", "i8", "i32"] or ir.MemRefType(op.operands[2].type).get_strides_and_offset()[0][-1] != 1 or DYNAMIC in strides:
            continue
        with ir.InsertionPoint(op), op.location:
            if _PRODUCTS[op.name](tiler, op):
                op.erase()


def _in_memory(module: ir.Module, op: ir.Operation, name: str) -> ir.Value:
    """A buffer in the program's own memory, made where `op` is."""
    type_ = ir.MemRefType(op.results[0].type)
    return _global(module, type_, name, ir.InsertionPoint(op), op.location)


def _global(module: ir.Module, type_: ir.MemRefType, name: str, at: ir.InsertionPoint, location: ir.Location) -> ir.Value:
    with ir.InsertionPoint.at_block_begin(module.body), location:
        memref.GlobalOp(name, type_, sym_visibility="private", initial_value=ir.Attribute.parse("unit"), alignment=64)
    with at, location:
        return memref.GetGlobalOp(type_, name).result


def _chunks(size: int, block: int) -> Iterator[tuple[int, int, int]]:
    """(start, stop, block size): the blocks that are whole, and what is left."""
    whole = size // block * block
    if whole:
        yield 0, whole, block
    if size > whole:
        yield whole, size, size - whole


def _each(start: int, stop: int, step: int, body: Callable[[Index], None]) -> None:
    """A loop, unless there is only one turn."""
    if stop - start <= step:
        body(start)
        return
    loop = scf.ForOp(constant(start), constant(stop), constant(step))
    with ir.InsertionPoint(loop.body):
        body(loop.induction_variable)
        scf.YieldOp([])


class _Tiler:
    def __init__(self, module: ir.Module, config: GemminiConfig, names: Iterator[str]) -> None:
        self.module = module
        self.config = config
        self.names = names
        self.blocks: dict[str, ir.Value] = {}

    # Blocks ------------------------------------------------------------------------------------------------------------------------

    def block_sizes(self) -> tuple[int, int, int]:
        """Rows, columns and depth of the largest block: square ones that fill half of each memory at most, less where loads run ahead."""
        dim = self.config.dim
        side = dim
        while (2 * side) * (2 * side // dim) <= self.config.accumulator_rows // 2:
            side *= 2
        # Rows of A and of B in the scratchpad for each DIM of depth.
        depth = self.config.scratchpad_rows // max(2, get_num_stages(self.module)) // (side + dim * (side // dim)) * dim
        return side, side, max(dim, depth)

    def block(self, operand: str, shape: list[int], bits: int) -> ir.Value:
        """A block on the chip for an operand: all products take the same three, or as much of them as they need."""
        rows, columns, depth = self.block_sizes()
        largest = {"a": [rows, depth], "b": [depth, columns], "c": [rows, columns]}[operand]
        if operand not in self.blocks:
            with ir.InsertionPoint.at_block_begin(kernel_of(self.module).entry_block):
                self.blocks[operand] = _alloc(largest, ir.IntegerType.get_signless(bits))
                self.blocks[operand].owner.attributes[SHARED] = ir.UnitAttr.get()
        return self.blocks[operand] if shape == largest else _view(self.blocks[operand], 0, 0, *shape)

    def product(
        self,
        sizes: tuple[int, int, int],
        a: Callable[[Sequence[Index], Index, Index, int, int], ir.Value],
        b: Callable[[Sequence[Index], Index, Index, int, int], ir.Value],
        c: Callable[[Index, Index, int, int], ir.Value],
        sums: Sequence[int] = (),
        *,
        from_zero: bool,
    ) -> None:
        """Blocks of ``c += sum of a @ b``. The functions give views in DRAM of a block at (outer sums, row, column, rows, columns)."""
        m, n, k = sizes
        bm, bn, bk = self.block_sizes()

        def one(i: Index, j: Index, rows: int, columns: int) -> None:
            i32 = ir.IntegerType.get_signless(32)
            total = self.block("c", [rows, columns], 32)
            if from_zero:
                linalg.fill(constant(0, i32), outs=[total])
            else:
                memref.CopyOp(c(i, j, rows, columns), total)

            def around(outer: tuple[Index, ...]) -> None:
                if len(outer) < len(sums):
                    _each(0, sums[len(outer)], 1, lambda x: around((*outer, x)))
                    return
                for k0, k1, depth in _chunks(k, bk):
                    _each(k0, k1, depth, lambda x, d=depth: step(outer, x, d))

            def step(outer: tuple[Index, ...], x: Index, depth: int) -> None:
                left, right = self.block("a", [rows, depth], 8), self.block("b", [depth, columns], 8)
                memref.CopyOp(a(outer, i, x, rows, depth), left)
                memref.CopyOp(b(outer, x, j, depth, columns), right)
                _multiply(left, right, total)

            around(())
            memref.CopyOp(total, c(i, j, rows, columns))

        for i0, i1, rows in _chunks(m, bm):
            for j0, j1, columns in _chunks(n, bn):
                _each(i0, i1, rows, lambda i, r=rows, j0=j0, j1=j1, w=columns: _each(j0, j1, w, lambda j: one(i, j, r, w)))

    # Operations --------------------------------------------------------------------------------------------------------------------

    def matmul(self, op: ir.Operation) -> bool:
        """A product of two matrices, either of them transposed."""
        orders = _orders(op)
        if orders is None:
            return False
        a, b, c = (self.in_rows(v, order) for v, order in zip(op.operands, orders, strict=True))
        (m, k), (_, n) = a.type.shape, b.type.shape
        self.product(
            (m, n, k),
            lambda _, *place: _view(a, *place),
            lambda _, *place: _view(b, *place),
            lambda *place: _view(c, *place),
            from_zero=_take_zero_fill(op),
        )
        return True

    def batch_matmul(self, op: ir.Operation) -> bool:
        """One product for each element of the batch."""
        a, b, c = (self.in_rows(v, None) for v in op.operands)
        (batch, m, k), n = a.type.shape, b.type.shape[2]
        from_zero = _take_zero_fill(op)

        def one(at: Index) -> None:
            self.product(
                (m, n, k),
                lambda _, *place: _view(a, *place, at=[at]),
                lambda _, *place: _view(b, *place, at=[at]),
                lambda *place: _view(c, *place, at=[at]),
                from_zero=from_zero,
            )

        _each(0, batch, 1, one)
        return True

    def conv_nhwc(self, op: ir.Operation) -> bool:
        """For each row of the output: pixels x channels, times channels x filters, for each position of the kernel."""
        x, w, y = (self.in_rows(v, None) for v in op.operands)
        (images, _, _, channels), (r, s, _, filters), (_, height, width, _) = x.type.shape, w.type.shape, y.type.shape
        stride, dilation, from_zero = _pair(op, "strides"), _pair(op, "dilations"), _take_zero_fill(op)

        def row(image: Index, p: Index) -> None:
            def pixels(outer: Sequence[Index], q: Index, c: Index, rows: int, columns: int) -> ir.Value:
                down = _add(_times(p, stride[0]), _times(outer[0], dilation[0]))
                right = _add(_times(q, stride[1]), _times(outer[1], dilation[1]))
                return _view(x, right, c, rows, columns, at=[image, down], steps=(stride[1], 1))

            self.product(
                (width, filters, channels),
                pixels,
                lambda outer, *place: _view(w, *place, at=outer),
                lambda *place: _view(y, *place, at=[image, p]),
                (r, s),
                from_zero=from_zero,
            )

        _each(0, images, 1, lambda image: _each(0, height, 1, lambda p: row(image, p)))
        return True

    def conv_nchw(self, op: ir.Operation) -> bool:
        """For each row of the output: filters x channels, times channels x pixels, for each position of the kernel."""
        stride, dilation = _pair(op, "strides"), _pair(op, "dilations")
        if stride[1] != 1:
            return False  # every other pixel of a row: the DMA has no stride between elements
        x, w, y = (self.in_rows(v, order) for v, order in zip(op.operands, (None, (2, 3, 0, 1), None), strict=True))
        (images, channels, _, _), (r, s, filters, _), (_, _, height, width) = x.type.shape, w.type.shape, y.type.shape
        from_zero = _take_zero_fill(op)

        def row(image: Index, p: Index) -> None:
            def pixels(outer: Sequence[Index], c: Index, q: Index, rows: int, columns: int) -> ir.Value:
                down = _add(_times(p, stride[0]), _times(outer[0], dilation[0]))
                return _slice(x, [image, c, down, _add(q, _times(outer[1], dilation[1]))], [1, rows, 1, columns], (1, 3))

            self.product(
                (filters, width, channels),
                lambda outer, *place: _view(w, *place, at=outer),
                pixels,
                lambda f, q, rows, columns: _slice(y, [image, f, p, q], [1, rows, 1, columns], (1, 3)),
                (r, s),
                from_zero=from_zero,
            )

        _each(0, images, 1, lambda image: _each(0, height, 1, lambda p: row(image, p)))
        return True

    def in_rows(self, value: ir.Value, order: tuple[int, ...] | None) -> ir.Value:
        """An operand with its dimensions in another order and its last one contiguous; rearranged by the host where it is not so."""
        type_ = ir.MemRefType(value.type)
        order = order or tuple(range(type_.rank))
        if order == tuple(range(type_.rank)) and type_.get_strides_and_offset()[0][-1] == 1:
            return value
        shape = [type_.shape[d] for d in order]
        target = ir.MemRefType.get(shape, type_.element_type)
        fresh = _global(self.module, target, next(self.names), ir.InsertionPoint.current, ir.Location.current)
        maps = [ir.AffineMap.get_permutation([order.index(d) for d in range(type_.rank)]), ir.AffineMap.get_identity(type_.rank)]
        kinds = ir.ArrayAttr.get([ir.Attribute.parse("#linalg.iterator_type<parallel>")] * type_.rank)
        op = linalg.GenericOp([], [value], [fresh], ir.ArrayAttr.get([ir.AffineMapAttr.get(m) for m in maps]), kinds)
        block = op.regions[0].blocks.append(*[type_.element_type] * 2, arg_locs=[ir.Location.current] * 2)
        with ir.InsertionPoint(block):
            linalg.YieldOp([block.arguments[0]])
        return fresh


_PRODUCTS: dict[str, Callable[[_Tiler, ir.Operation], bool]] = {
    "linalg.matmul": _Tiler.matmul,
    "linalg.batch_matmul": _Tiler.batch_matmul,
    "linalg.conv_2d_nhwc_hwcf": _Tiler.conv_nhwc,
    "linalg.conv_2d_nchw_fchw": _Tiler.conv_nchw,
}


def _orders(op: ir.Operation) -> list[tuple[int, ...] | None] | None:
    """In which order each operand's dimensions make (rows, depth), (depth, columns) and (rows, columns); None if they do not."""
    if "indexing_maps" not in op.attributes:
        return [None] * 3
    maps = [ir.AffineMapAttr(m).value for m in ir.ArrayAttr(op.attributes["indexing_maps"])]
    places = [[ir.AffineDimExpr(e).position for e in m.results] for m in maps]
    if [sorted(p) for p in places] != [[0, 2], [1, 2], [0, 1]] or places[2] != [0, 1]:
        return None
    return [tuple(found.index(d) for d in wanted) for found, wanted in zip(places, ((0, 2), (2, 1), (0, 1)), strict=True)]


def _pair(op: ir.Operation, name: str) -> tuple[int, int]:
    if name not in op.attributes:
        return (1, 1)
    elements = ir.DenseIntElementsAttr(op.attributes[name])
    return (elements[0], elements[0]) if elements.is_splat else (elements[0], elements[1])


def _take_zero_fill(op: ir.Operation) -> bool:
    """Whether the product's result was just filled with zeros; if so the fill goes, as sums then start from zero on the chip."""
    result = op.operands[len(op.operands) - 1]
    before = list(op.block.operations)
    for earlier in reversed(before[: [o.operation for o in before].index(op)]):
        operands = list(earlier.operation.operands)
        if result not in operands:
            if any(len(region.blocks) for region in earlier.operation.regions) and earlier.operation.name.startswith("scf."):
                return False
            continue
        if earlier.operation.name != "linalg.fill":
            return False
        number = operands[0].owner
        if isinstance(number, ir.Block) or number.name != "arith.constant" or ir.IntegerAttr(number.attributes["value"]).value != 0:
            return False
        earlier.operation.erase()
        return True
    return False


def _alloc(shape: list[int], element: ir.Type) -> ir.Value:
    return memref.AllocOp(ir.MemRefType.get(shape, element), [], []).result


def _multiply(a: ir.Value, b: ir.Value, c: ir.Value) -> None:
    m, n, k = (ir.AffineExpr.get_dim(d) for d in range(3))
    maps = ir.ArrayAttr.get([ir.AffineMapAttr.get(ir.AffineMap.get(3, 0, e)) for e in ([m, k], [k, n], [m, n])])
    linalg.fill_builtin_region(linalg.MatmulOp([], [a, b], [c], indexing_maps=maps).operation)


def _times(index: Index, factor: int) -> Index:
    if isinstance(index, int) or factor == 0:
        return index * factor if isinstance(index, int) else 0
    return index if factor == 1 else arith.MulIOp(index, constant(factor)).result


def _add(a: Index, b: Index) -> Index:
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    if a == 0 or b == 0:
        return b if isinstance(a, int) else a
    return arith.AddIOp(*(constant(v) if isinstance(v, int) else v for v in (a, b))).result


def _view(
    value: ir.Value, row: Index, column: Index, rows: int, columns: int, *, at: Sequence[Index] = (), steps: tuple[int, int] = (1, 1)
) -> ir.Value:
    """A block of the last two dimensions, at fixed places in those before."""
    rank = len(at)
    return _slice(value, [*at, row, column], [*[1] * rank, rows, columns], (rank, rank + 1), [*[1] * rank, *steps])


def _slice(value: ir.Value, starts: list[Index], sizes: list[int], kept: tuple[int, int], steps: list[int] | None = None) -> ir.Value:
    """A strided view of a buffer that keeps two of its dimensions. Its offset is counted from the buffer's first element."""
    old = ir.MemRefType(value.type)
    steps = steps or [1] * old.rank
    strides, offset = old.get_strides_and_offset()
    for start, stride in zip(starts, strides, strict=True):
        offset = _add(offset, _times(start, stride))
    kept_sizes, kept_strides = [sizes[d] for d in kept], [strides[d] * steps[d] for d in kept]
    static = offset if isinstance(offset, int) else DYNAMIC
    type_ = ir.MemRefType.get(kept_sizes, old.element_type, ir.StridedLayoutAttr.get(static, kept_strides))
    if is_on_chip(value):
        return memref.SubViewOp(type_, value, [], [], [], starts, sizes, steps).result
    dynamic = [] if isinstance(offset, int) else [offset]
    return memref.ReinterpretCastOp(type_, root(value), dynamic, [], [], [static], kept_sizes, kept_strides).result
