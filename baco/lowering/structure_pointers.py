"""structure-pointers: turn pointers into strided memory accesses, and block operations into linalg on tensors.

Before:
    %p = "baco.make_block_ptr"(%a, %m, %k, %k, %c1, %i, %c0) {order = array<i64: 1, 0>} : ... -> !baco.block_ptr<tensor<64x32xi8>>
    %t = "baco.load"(%p) {boundary_check = array<i64: 1, 0>} : (!baco.block_ptr<tensor<64x32xi8>>) -> tensor<64x32xi8>

After:
    %src = memref.reinterpret_cast %a to offset: [%off], sizes: [64, 32], strides: [%k, 1] : memref<*xi8> to memref<64x32xi8, strided<...>>
    %buf = memref.alloc() : memref<64x32xi8>
    scf.if %partial { linalg.fill ins(%c0_i8) outs(%buf) }
    memref.copy (subview of %src), (subview of %buf)        // only what lies inside the parent tensor
    %t = bufferization.to_tensor %buf restrict writable

A pointer carried around a loop becomes its offsets carried around the loop (the dissertation's section 6.3.4): the rest of it does
not change. Raw pointer blocks take the same way where :mod:`baco.lowering.pointer_analysis` finds them regular, and element by element
where it does not. Program indices and grid sizes become six more arguments, after the kernel's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from baco.dialects.baco import Pointer
from baco.dialects.mlir import DYNAMIC, arith, bufferization, func, ir, linalg, memref, scf, tensor
from baco.lowering import blocks_to_linalg, element_loops, pointer_loops
from baco.lowering.device_print import lower_print
from baco.lowering.element_loops import as_block, copied, each_element, offset_block
from baco.lowering.emit import Arithmetic, Quantity
from baco.lowering.passes import get_hardware, kernel_of, register
from baco.lowering.pointer_analysis import Affine, Bounds, PointerAnalysis
from baco.lowering.rebuild import Rebuilder, argument_names, constant, new_function, retire
from baco.lowering.signs import Signs

GRID_ARGUMENTS = ("pid0", "pid1", "pid2", "num0", "num1", "num2")


@dataclass(frozen=True)
class BasePointer:
    """A pointer into an argument: the buffer, and how many elements further on it points."""

    buffer: ir.Value
    offset: Quantity = 0

    @property
    def moving(self) -> tuple[Quantity, ...]:
        """What a loop carries."""
        return (self.offset,)

    def moved(self, values: tuple[ir.Value, ...]) -> BasePointer:
        return replace(self, offset=values[0])

    def fixed(self) -> tuple[object, ...]:
        return (self.buffer,)


@dataclass(frozen=True)
class StructuredPointer:
    """A block pointer taken apart: base, and sizes, strides and offsets in elements, one a dimension."""

    base: BasePointer
    shape: tuple[Quantity, ...]
    strides: tuple[Quantity, ...]
    offsets: tuple[Quantity, ...]
    block: ir.RankedTensorType

    @property
    def moving(self) -> tuple[Quantity, ...]:
        """What a loop carries."""
        return self.offsets

    def moved(self, values: tuple[ir.Value, ...]) -> StructuredPointer:
        return replace(self, offsets=values)

    def fixed(self) -> tuple[object, ...]:
        return (self.base, self.shape, self.strides)


@dataclass(frozen=True)
class RawPointer:
    """A block of addresses: a buffer, and element offsets that are regular, or else a tensor of them."""

    base: ir.Value
    block: ir.RankedTensorType
    regular: Affine | None
    offsets: ir.Value | None = None

    @property
    def moving(self) -> tuple[Quantity, ...]:
        return (self.regular.offset,) if self.regular else (self.offsets,)

    def moved(self, values: tuple[ir.Value, ...]) -> RawPointer:
        return replace(self, regular=replace(self.regular, offset=values[0])) if self.regular else replace(self, offsets=values[0])

    def fixed(self) -> tuple[object, ...]:
        return (self.base, self.regular and (self.regular.strides, self.regular.wraps))


@register("structure-pointers")
def run(module: ir.Module) -> None:
    """Rewrite the module's kernel."""
    old = kernel_of(module)
    i64 = ir.IntegerType.get_signless(64)
    space = ir.Attribute.parse("0")
    types = [_buffer_type(t, space) for t in old.type.inputs] + [i64] * len(GRID_ARGUMENTS)
    new = new_function(old, types, [*argument_names(old), *GRID_ARGUMENTS])
    rebuilder = Rebuilder(_HANDLERS)
    rebuilder.module = module
    rebuilder.grid = new.arguments[len(old.arguments) :]
    # Presets without the output-stationary dataflow are built without the transposer.
    rebuilder.has_transposer = not get_hardware(module).weight_stationary_only
    rebuilder.a = Arithmetic()
    rebuilder.signs = Signs(rebuilder.grid)
    rebuilder.analysis = PointerAnalysis(rebuilder.__getitem__)
    for before, after in zip(old.arguments, new.arguments, strict=False):
        rebuilder.values[before] = BasePointer(after) if isinstance(before.type, Pointer) else after
    with ir.InsertionPoint(new.entry_block):
        rebuilder.block(old.entry_block.operations)
    retire(old, new)


def _buffer_type(type_: ir.Type, space: ir.Attribute) -> ir.Type:
    return ir.UnrankedMemRefType.get(type_.element_type, space) if isinstance(type_, Pointer) else type_


# Making and moving pointers ----------------------------------------------------------------------------------------------------------


def _make_block_ptr(r: Rebuilder, op: ir.OpView) -> None:
    parts = [tuple(r.a.i64(r[v]) for v in values) for values in (op.shape, op.strides, op.offsets)]
    r.values[op.result] = StructuredPointer(r[op.base], *parts, op.result.type.block_type)


def _offset_pointer(r: Rebuilder, op: ir.OpView) -> None:
    before = r[op.pointer]
    r.values[op.result] = replace(before, offset=r.a.add(before.offset, r.a.i64(r[op.offset])))


def _advance(r: Rebuilder, op: ir.OpView) -> None:
    pointer = r[op.pointer]
    moved = tuple(r.a.add(o, r.a.i64(r[d])) for o, d in zip(pointer.offsets, op.offsets, strict=True))
    r.values[op.result] = replace(pointer, offsets=moved)


def _add_pointer(r: Rebuilder, op: ir.OpView) -> None:
    before, block = r[op.pointer], op.result.type.block_type
    step = r.analysis.affine(op.offsets)
    if isinstance(before, BasePointer):
        start = Affine(before.offset, (), ())
        steps = None if step else _moved_by(r, r[op.offsets], before.offset)
        r.values[op.result] = RawPointer(before.buffer, block, step and r.analysis.add(step, start), steps)
    elif before.regular and step and (total := r.analysis.add(before.regular, step)):
        r.values[op.result] = replace(before, regular=total)
    else:
        total = arith.AddIOp(offset_block(r, before), r[op.offsets]).result
        r.values[op.result] = RawPointer(before.base, block, None, total)


def _moved_by(r: Rebuilder, offsets: ir.Value, distance: Quantity) -> ir.Value:
    if distance == 0:
        return offsets
    return arith.AddIOp(offsets, tensor.SplatOp(offsets.type, r.a.value(distance), []).result).result


# Loading and storing -----------------------------------------------------------------------------------------------------------------


def _view(r: Rebuilder, base: ir.Value, offset: Quantity, strides: Sequence[Quantity], block: ir.RankedTensorType) -> ir.Value:
    """The block in DRAM at an offset, as a strided memref."""
    static = [s if isinstance(s, int) else DYNAMIC for s in strides]
    dynamic = [r.a.index(s) for s in strides if not isinstance(s, int)]
    type_ = ir.MemRefType.get(list(block.shape), block.element_type, ir.StridedLayoutAttr.get(DYNAMIC, static))
    return memref.ReinterpretCastOp(type_, base, [r.a.index(offset)], [], dynamic, [DYNAMIC], list(block.shape), static).result


def _block_view(r: Rebuilder, pointer: StructuredPointer) -> ir.Value:
    offset = pointer.base.offset
    for o, s in zip(pointer.offsets, pointer.strides, strict=True):
        offset = r.a.add(offset, r.a.mul(o, s))
    return _view(r, pointer.base.buffer, offset, pointer.strides, pointer.block)


def _inside(r: Rebuilder, pointer: StructuredPointer, checked: list[int]) -> Bounds:
    """Which part of the block lies inside the parent tensor, where a check was asked for."""
    low, high = [], []
    for axis, size in enumerate(pointer.block.shape):
        offset = pointer.offsets[axis]
        left = r.a.sub(pointer.shape[axis], offset) if checked[axis] else size
        before = checked[axis] and not r.signs.never_negative(offset)
        outside = r.a.min(r.a.max(r.a.sub(0, offset), 0), size) if before else 0
        # A block that is known to lie wholly in front begins nowhere; MLIR wants even an empty part to begin inside its block.
        low.append(0 if outside == size else outside)
        high.append(0 if outside == size else r.a.min(r.a.max(left, 0), size))
    return Bounds(tuple(low), tuple(high))


@dataclass(frozen=True)
class Part:
    """The part of a block between bounds, as subview operands."""

    starts: tuple[Quantity, ...]
    sizes: tuple[Quantity, ...]

    def is_whole(self, shape: Sequence[int]) -> bool:
        return self.sizes == tuple(shape)

    def operands(self, r: Rebuilder) -> tuple[list[ir.Value], list[ir.Value], list[int], list[int]]:
        """Run-time starts and sizes, then both as MLIR lists where the run-time ones are marked."""
        static = [[q if isinstance(q, int) else DYNAMIC for q in qs] for qs in (self.starts, self.sizes)]
        runtime = [[r.a.index(q) for q in qs if not isinstance(q, int)] for qs in (self.starts, self.sizes)]
        return runtime[0], runtime[1], static[0], static[1]


def _part(r: Rebuilder, bounds: Bounds) -> Part:
    sizes = tuple(h if low == 0 else r.a.max(r.a.sub(h, low), 0) for low, h in zip(bounds.low, bounds.high, strict=True))
    return Part(bounds.low, sizes)


def _subview(r: Rebuilder, source: ir.Value, part: Part) -> ir.Value:
    old = ir.MemRefType(source.type)
    if part.is_whole(old.shape):
        return source
    starts, sizes, static_starts, static_sizes = part.operands(r)
    strides, offset = old.get_strides_and_offset()
    for start, stride in zip(static_starts, strides, strict=True):
        if start != 0:
            offset = DYNAMIC if DYNAMIC in (start, offset, stride) else offset + start * stride
    type_ = ir.MemRefType.get(static_sizes, old.element_type, ir.StridedLayoutAttr.get(offset, strides))
    return memref.SubViewOp(type_, source, starts, sizes, [], static_starts, static_sizes, [1] * old.rank).result


def _load_part(r: Rebuilder, view: ir.Value, block: ir.RankedTensorType, part: Part, other: ir.Value | None) -> ir.Value:
    """A block whose `part` comes from memory and whose rest is `other` (zero if not given)."""
    buffer = _filled_around(r, block, part, other)
    memref.CopyOp(_subview(r, view, part), _subview(r, buffer, part))
    return bufferization.ToTensorOp(block, buffer, restrict=True, writable=True).result


def _filled_around(r: Rebuilder, block: ir.RankedTensorType, part: Part, other: ir.Value | None) -> ir.Value:
    """A buffer for a block, filled with `other` if the part to load is not all of it."""
    buffer = memref.AllocOp(ir.MemRefType.get(list(block.shape), block.element_type), [], []).result
    partial = _is_partial(r, part, block.shape)
    if partial is not None:
        branch = scf.IfOp(partial)
        with ir.InsertionPoint(branch.then_block):
            linalg.fill(other if other is not None else _zero(block.element_type), outs=[buffer])
            scf.YieldOp([])
    return buffer


def _load_wrapped(r: Rebuilder, _: ir.OpView, pointer: RawPointer, part: Part, buffer: ir.Value) -> None:
    """A block of which one dimension starts over: loaded in as many pieces as there are starts, most often one."""
    regular, (axis,) = pointer.regular, pointer.regular.wrapping
    wrap, size = regular.wraps[axis], part.sizes[axis]
    modulus = r.a.value(wrap.modulus)
    pieces = arith.CeilDivSIOp(r.a.value(r.a.add(wrap.start, size)), modulus).result
    loop = scf.ForOp(r.a.value(0), pieces, r.a.value(1))
    with ir.InsertionPoint(loop.body):
        passed = r.a.sub(arith.MulIOp(loop.induction_variable, modulus).result, wrap.start)
        first = r.a.max(passed, 0)
        last = r.a.min(r.a.add(passed, modulus), size)
        # The view starts where the piece does along the axis, the block does not.
        view = _unwrapped_view(r, pointer, r.a.sub(first, passed))
        sizes = (*part.sizes[:axis], r.a.sub(last, first), *part.sizes[axis + 1 :])
        target = Part((*part.starts[:axis], first, *part.starts[axis + 1 :]), sizes)
        memref.CopyOp(_subview(r, view, Part(part.starts, sizes)), _subview(r, buffer, target))
        scf.YieldOp([])


def _load_unless_wrapped(r: Rebuilder, op: ir.OpView, pointer: RawPointer, part: Part, buffer: ir.Value) -> None:
    """The same in one move if the block does not reach the end of its dimension, or else element by element."""
    regular, (axis,) = pointer.regular, pointer.regular.wrapping
    wrap = regular.wraps[axis]
    end, modulus = (r.a.value(q) for q in (r.a.add(wrap.start, part.sizes[axis]), wrap.modulus))
    branch = scf.IfOp(arith.CmpIOp(arith.CmpIPredicate.sle, end, modulus).result, has_else=True)
    with ir.InsertionPoint(branch.then_block):
        memref.CopyOp(_subview(r, _unwrapped_view(r, pointer, wrap.start), part), _subview(r, buffer, part))
        scf.YieldOp([])
    with ir.InsertionPoint(branch.else_block):
        memref.CopyOp(_gathered(r, op, pointer), buffer)
        scf.YieldOp([])


def _unwrapped_view(r: Rebuilder, pointer: RawPointer, start: Quantity) -> ir.Value:
    """The block in DRAM as if it did not wrap, from a place in the dimension that does."""
    regular, (axis,) = pointer.regular, pointer.regular.wrapping
    wrap = regular.wraps[axis]
    strides = tuple(wrap.stride if d == axis else s for d, s in enumerate(regular.strides))
    return _view(r, pointer.base, r.a.add(regular.offset, r.a.mul(start, wrap.stride)), strides, pointer.block)


def _zero(element: ir.Type) -> ir.Value:
    return arith.ConstantOp(element, 0.0).result if isinstance(element, ir.F32Type) else constant(0, element)


def _is_partial(r: Rebuilder, part: Part, shape: Sequence[int]) -> ir.Value | None:
    """Whether any dimension is cut short, so that the rest of the block must be filled."""
    result = None
    for size, full in zip(part.sizes, shape, strict=True):
        if size != full:
            cut = arith.CmpIOp(arith.CmpIPredicate.slt, r.a.value(size), r.a.value(full)).result
            result = cut if result is None else arith.OrIOp(result, cut).result
    return result


def _store_part(r: Rebuilder, view: ir.Value, value: ir.Value, part: Part) -> None:
    type_ = ir.RankedTensorType(value.type)
    if not part.is_whole(type_.shape):
        starts, sizes, static_starts, static_sizes = part.operands(r)
        cut = ir.RankedTensorType.get(static_sizes, type_.element_type)
        value = tensor.ExtractSliceOp(cut, value, starts, sizes, [], static_starts, static_sizes, [1] * type_.rank).result
    bufferization.MaterializeInDestinationOp(None, value, _subview(r, view, part), restrict=True, writable=True)


def _load(r: Rebuilder, op: ir.OpView) -> None:
    pointer = r[op.pointer]
    if _is_column_major(pointer):
        # The DMA moves rows of contiguous elements, which here are the columns.
        swapped = _transposed(pointer)
        part = _part(r, _inside(r, swapped, list(op.boundary_check)[::-1]))
        loaded = _load_part(r, _block_view(r, swapped), swapped.block, part, None)
        r.values[op.result] = blocks_to_linalg.transposed(loaded)
        return
    part = _part(r, _inside(r, pointer, list(op.boundary_check)))
    r.values[op.result] = _load_part(r, _block_view(r, pointer), pointer.block, part, None)


def _is_column_major(pointer: StructuredPointer) -> bool:
    return len(pointer.strides) == 2 and pointer.strides[0] == 1 and pointer.strides[1] != 1


def _transposed(pointer: StructuredPointer) -> StructuredPointer:
    """A pointer to the same elements with the two dimensions swapped."""
    block = ir.RankedTensorType.get(list(pointer.block.shape)[::-1], pointer.block.element_type)
    return StructuredPointer(pointer.base, pointer.shape[::-1], pointer.strides[::-1], pointer.offsets[::-1], block)


def _store(r: Rebuilder, op: ir.OpView) -> None:
    pointer = r[op.pointer]
    part = _part(r, _inside(r, pointer, list(op.boundary_check)))
    _store_part(r, _block_view(r, pointer), r[op.value], part)


def _gather(r: Rebuilder, op: ir.OpView) -> None:
    pointer, bounds = r[op.pointer], r.analysis.bounds(op.mask)
    wrapping = pointer.regular.wrapping if pointer.regular else ()
    if len(wrapping) == 1 and bounds and bounds.low[wrapping[0]] == 0:
        part = _part(r, bounds)
        buffer = _filled_around(r, pointer.block, part, r[op.other])
        # A move on the chip starts at any row, but only at every DIM-th column.
        load = _load_unless_wrapped if (pointer.block.rank, wrapping[0]) == (2, 1) else _load_wrapped
        load(r, op, pointer, part, buffer)
        r.values[op.result] = bufferization.ToTensorOp(pointer.block, buffer, restrict=True, writable=True).result
        return
    if pointer.regular and bounds and not wrapping:
        view = _view(r, pointer.base, pointer.regular.offset, pointer.regular.strides, pointer.block)
        r.values[op.result] = _load_part(r, view, pointer.block, _part(r, bounds), r[op.other])
        return
    r.values[op.result] = as_block(_gathered(r, op, pointer), pointer.block)


def _gathered(r: Rebuilder, op: ir.OpView, pointer: RawPointer) -> ir.Value:
    """A buffer of the host core with the elements of a load, fetched one by one."""
    gathered = memref.AllocOp(ir.MemRefType.get(list(pointer.block.shape), pointer.block.element_type), [], []).result

    def one(place: list[ir.Value], memory: ir.Value, address: ir.Value, wanted: ir.Value) -> None:
        branch = scf.IfOp(wanted, has_else=True)
        with ir.InsertionPoint(branch.then_block):
            memref.StoreOp(memref.LoadOp(memory, [address]).result, gathered, place)
            scf.YieldOp([])
        with ir.InsertionPoint(branch.else_block):
            memref.StoreOp(r[op.other], gathered, place)
            scf.YieldOp([])

    each_element(r, pointer, op.mask, one)
    return gathered


def _scatter(r: Rebuilder, op: ir.OpView) -> None:
    pointer, bounds = r[op.pointer], r.analysis.bounds(op.mask)
    if pointer.regular and bounds and not pointer.regular.wrapping:
        view = _view(r, pointer.base, pointer.regular.offset, pointer.regular.strides, pointer.block)
        _store_part(r, view, r[op.value], _part(r, bounds))
        return
    scattered = copied(r[op.value])

    def one(place: list[ir.Value], memory: ir.Value, address: ir.Value, wanted: ir.Value) -> None:
        branch = scf.IfOp(wanted)
        with ir.InsertionPoint(branch.then_block):
            memref.StoreOp(memref.LoadOp(scattered, place).result, memory, [address])
            scf.YieldOp([])

    each_element(r, pointer, op.mask, one)


# The rest ----------------------------------------------------------------------------------------------------------------------------


def _program_id(r: Rebuilder, op: ir.OpView) -> None:
    r.values[op.result] = r.grid[ir.IntegerAttr(op.axis).value]


def _num_programs(r: Rebuilder, op: ir.OpView) -> None:
    r.values[op.result] = r.grid[3 + ir.IntegerAttr(op.axis).value]


def _return(_: Rebuilder, op: ir.OpView) -> None:
    func.ReturnOp([])


_HANDLERS = {
    **blocks_to_linalg.HANDLERS,
    **element_loops.HANDLERS,
    **pointer_loops.HANDLERS,
    "baco.print": lower_print,
    "baco.make_block_ptr": _make_block_ptr,
    "baco.offset_pointer": _offset_pointer,
    "baco.advance": _advance,
    "baco.add_pointer": _add_pointer,
    "baco.load": _load,
    "baco.store": _store,
    "baco.gather": _gather,
    "baco.scatter": _scatter,
    "baco.program_id": _program_id,
    "baco.num_programs": _num_programs,
    "func.return": _return,
}
