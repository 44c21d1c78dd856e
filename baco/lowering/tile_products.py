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

If the whole of %y was filled with a bias before, one row of that is loaded into all rows of %c. If all that becomes of %y is that it is
requantised, each block is, on its way out, and %y is never stored.

What is left over at the edges has loops of its own, so that every block has a static shape. A convolution is the same for each row of
its output, summed over the kernel's positions as well as the channels. Whole tensors become buffers in the program's own memory. Rows
that are not contiguous are first rearranged by the host core, since the DMA moves contiguous ones. Everything else is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from baco.dialects.mlir import DYNAMIC, arith, ir, linalg, memref, scf
from baco.hardware import GemminiConfig
from baco.lowering.blocks_to_linalg import REQUANTISE, requantising
from baco.lowering.passes import check_buffers, get_hardware, kernel_of, operations_named, register
from baco.lowering.pipeline_loads import get_num_stages
from baco.lowering.rebuild import constant, known
from baco.lowering.shared_blocks import SHARED
from baco.lowering.summed_products import position, top_in, users_of
from baco.lowering.tile_to_dim import is_on_chip, root

Index = int | ir.Value
_JOINED = "baco.joined"
"""Marks a requantisation that has become part of the product before it, and goes."""


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
    requantisations = [op for op in operations_named(module, "linalg.generic") if REQUANTISE in op.attributes]
    tiler = _Tiler(module, config, names)
    for op in products:
        elements = [str(ir.MemRefType(v.type).element_type) for v in op.operands]
        strides = [s for v in op.operands for s in ir.MemRefType(v.type).get_strides_and_offset()[0]]
        if elements != ["i8", "i8", "i32"] or ir.MemRefType(op.operands[2].type).get_strides_and_offset()[0][-1] != 1 or DYNAMIC in strides:
            continue
        with ir.InsertionPoint(op), op.location:
            if _PRODUCTS[op.name](tiler, op):
                op.erase()
    for op in requantisations:
        if _JOINED in op.attributes:
            op.erase()
        else:
            del op.attributes[REQUANTISE]  # of what the accelerator did not make, the host makes it


def _in_memory(module: ir.Module, op: ir.Operation, name: str) -> ir.Value:
    """A buffer in the program's own memory for what `op` makes; whatever stands before that may take it too."""
    type_ = ir.MemRefType(op.results[0].type)
    return _global(module, type_, name, ir.InsertionPoint.at_block_begin(kernel_of(module).entry_block), op.location)


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


@dataclass(frozen=True)
class _Ends:
    """What sums start from and how they leave: `sums` is the buffer of the whole result, `bias` one row that they all start from."""

    sums: ir.Value
    from_zero: bool
    bias: ir.Value | None = None
    requantise: ir.Operation | None = None
    """What alone takes the whole result, and gives int8 in its place."""


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
        c: Callable[[ir.Value, Index, Index, int, int], ir.Value],
        sums: Sequence[int] = (),
        *,
        ends: _Ends,
    ) -> None:
        """Blocks of ``c += sum of a @ b``. The functions give views in DRAM of a block at (outer sums, row, column, rows, columns), that
        of `c` in the buffer it is given."""
        m, n, k = sizes
        bm, bn, bk = self.block_sizes()

        def one(i: Index, j: Index, rows: int, columns: int) -> None:
            i32 = ir.IntegerType.get_signless(32)
            total = self.block("c", [rows, columns], 32)
            if ends.bias is not None:
                memref.CopyOp(_repeated(ends.bias, j, rows, columns), total)
            elif ends.from_zero:
                linalg.fill(constant(0, i32), outs=[total])
            else:
                memref.CopyOp(c(ends.sums, i, j, rows, columns), total)

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
            if ends.requantise is None:
                memref.CopyOp(total, c(ends.sums, i, j, rows, columns))
            else:
                leaving = _requantised(total, ends.requantise)
                memref.CopyOp(leaving, c(ends.requantise.operands[1], i, j, rows, columns))

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
        (m, k), (_, n), ends = a.type.shape, b.type.shape, _ends(op, 1, c)
        self.product(
            (m, n, k),
            lambda _, *place: _view(a, *place),
            lambda _, *place: _view(b, *place),
            _view,
            ends=ends,
        )
        return True

    def batch_matmul(self, op: ir.Operation) -> bool:
        """One product for each element of the batch."""
        a, b, c = (self.in_rows(v, None) for v in op.operands)
        (batch, m, k), n = a.type.shape, b.type.shape[2]
        ends = _ends(op, 2, c)

        def one(at: Index) -> None:
            self.product(
                (m, n, k),
                lambda _, *place: _view(a, *place, at=[at]),
                lambda _, *place: _view(b, *place, at=[at]),
                lambda c, *place: _view(c, *place, at=[at]),
                ends=ends,
            )

        _each(0, batch, 1, one)
        return True

    def conv_nhwc(self, op: ir.Operation) -> bool:
        """For each row of the output: pixels x channels, times channels x filters, for each position of the kernel."""
        x, w, y = (self.in_rows(v, None) for v in op.operands)
        (images, _, _, channels), (r, s, _, filters), (_, height, width, _) = x.type.shape, w.type.shape, y.type.shape
        stride, dilation, ends = _pair(op, "strides"), _pair(op, "dilations"), _ends(op, 3, y)

        def row(image: Index, p: Index) -> None:
            def pixels(outer: Sequence[Index], q: Index, c: Index, rows: int, columns: int) -> ir.Value:
                down = _add(_times(p, stride[0]), _times(outer[0], dilation[0]))
                right = _add(_times(q, stride[1]), _times(outer[1], dilation[1]))
                return _view(x, right, c, rows, columns, at=[image, down], steps=(stride[1], 1))

            self.product(
                (width, filters, channels),
                pixels,
                lambda outer, *place: _view(w, *place, at=outer),
                lambda y, *place: _view(y, *place, at=[image, p]),
                (r, s),
                ends=ends,
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
        ends = _ends(op, 3, y)

        def row(image: Index, p: Index) -> None:
            def pixels(outer: Sequence[Index], c: Index, q: Index, rows: int, columns: int) -> ir.Value:
                down = _add(_times(p, stride[0]), _times(outer[0], dilation[0]))
                return _slice(x, [image, c, down, _add(q, _times(outer[1], dilation[1]))], [1, rows, 1, columns], (1, 3))

            self.product(
                (filters, width, channels),
                lambda outer, *place: _view(w, *place, at=outer),
                pixels,
                lambda y, f, q, rows, columns: _slice(y, [image, f, p, q], [1, rows, 1, columns], (1, 3)),
                (r, s),
                ends=ends,
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


def _ends(op: ir.Operation, columns: int, sums: ir.Value) -> _Ends:
    """How a product's sums start and end. What has written their start goes, as does what requantises them.

    `columns` is the dimension of the result that becomes the columns of its blocks, `sums` the result, with contiguous rows.
    """
    result = op.operands[len(op.operands) - 1]
    requantise = _only_requantised(op, result) if sums == result else None
    if requantise is not None:
        requantise.attributes[_JOINED] = ir.UnitAttr.get()
    last = _last_writer(op, result)
    if last is not None and _is_row(last, result, columns) and not _used_between(last, op, root(last.operands[0])):
        bias = last.operands[0]
        last.erase()
        return _Ends(sums, False, bias, requantise)
    from_zero = last is not None and last.name == "linalg.fill" and known(last.operands[0]) == 0
    if from_zero:
        last.erase()
    return _Ends(sums, from_zero, None, requantise)


def _is_row(broadcast: ir.Operation, result: ir.Value, columns: int) -> bool:
    """Whether an operation repeats one contiguous row in a result, along every dimension but the columns."""
    if broadcast.name != "linalg.broadcast" or broadcast.operands[1] != result:
        return False
    type_ = ir.MemRefType(broadcast.operands[0].type)
    rank = ir.MemRefType(broadcast.operands[1].type).rank
    added = list(ir.DenseI64ArrayAttr(broadcast.attributes["dimensions"]))
    return added == [d for d in range(rank) if d != columns] and type_.rank == 1 and type_.get_strides_and_offset()[0] == [1]


def _only_requantised(op: ir.Operation, result: ir.Value) -> ir.Operation | None:
    """The requantisation that is all that becomes of a product; None if there is none, or its place is in use in between."""
    after = [o.operation for o in op.block.operations]
    after = after[after.index(op) + 1 :]
    users = [user for user in users_of(root(result)) if user in after]
    if (
        isinstance(root(result).owner, ir.Block)
        or len(users) != 1
        or REQUANTISE not in users[0].attributes
        or users[0].operands[0] != result
    ):
        return None
    place = users[0].operands[1]
    strides = ir.MemRefType(place.type).get_strides_and_offset()[0]
    made_late = not isinstance(place.owner, ir.Block) and place.owner.operation in after
    if made_late or strides[-1] != 1 or DYNAMIC in strides or _used_between(op, users[0], root(place)):
        return None
    return users[0]


def _used_between(first: ir.Operation, last: ir.Operation, buffer: ir.Value) -> bool:
    """Whether anything between two operations of a block, of which the second comes later, takes a buffer or a view of it."""
    inside = list(range(position(first) + 1, position(last)))
    tops = [top_in(user, first.block) for user in users_of(buffer)]
    return any(top is not None and position(top) in inside for top in tops)


def _repeated(row: ir.Value, column: Index, rows: int, columns: int) -> ir.Value:
    """A block in DRAM all of whose rows are a part of one."""
    type_ = ir.MemRefType(row.type)
    start = _add(type_.get_strides_and_offset()[1], column)
    static = start if isinstance(start, int) else DYNAMIC
    target = ir.MemRefType.get([rows, columns], type_.element_type, ir.StridedLayoutAttr.get(static, [0, 1]))
    dynamic = [] if isinstance(start, int) else [start]
    return memref.ReinterpretCastOp(target, root(row), dynamic, [], [], [static], [rows, columns], [0, 1]).result


def _requantised(total: ir.Value, how: ir.Operation) -> ir.Value:
    """A block on its way out, made of a block of sums as a whole tensor is made by `how`."""
    result = _alloc(list(total.type.shape), ir.IntegerType.get_signless(8))
    product = next(o for o in how.regions[0].blocks[0].operations if o.operation.name == "arith.mulf")
    number = ir.FloatAttr(product.operation.operands[1].owner.attributes["value"])
    scale = arith.ConstantOp(ir.F32Type.get(), number.value).result
    maps = ir.ArrayAttr.get([ir.AffineMapAttr.get(ir.AffineMap.get_identity(2))] * 2)
    kinds = ir.ArrayAttr.get([ir.Attribute.parse("#linalg.iterator_type<parallel>")] * 2)
    op = linalg.GenericOp([], [total], [result], maps, kinds)
    op.operation.attributes[REQUANTISE] = how.attributes[REQUANTISE]
    elements = [v.type.element_type for v in (total, result)]
    block = op.regions[0].blocks.append(*elements, arg_locs=[how.location] * 2)
    relu = ir.StringAttr(ir.DictAttr(how.attributes[REQUANTISE])["activation"]).value == "relu"
    with ir.InsertionPoint(block), how.location:
        linalg.YieldOp([requantising(scale, relu=relu)(*block.arguments)])
    return result


def _last_writer(op: ir.Operation, result: ir.Value) -> ir.Operation | None:
    """The operation before a product that writes its result, if nothing else can have come between."""
    before = list(op.block.operations)
    for earlier in reversed(before[: [o.operation for o in before].index(op)]):
        if result in list(earlier.operation.operands):
            return earlier.operation
        if any(len(region.blocks) for region in earlier.operation.regions) and earlier.operation.name.startswith("scf."):
            return None
    return None


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
