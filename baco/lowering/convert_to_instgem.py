"""convert-to-instgem: turn DIM-sized pieces on placed blocks into Gemmini instructions.

Before:
    memref.copy (16x32 of %src in DRAM), (16x32 of %a, scratchpad row 0)
    linalg.matmul ins(16x16 of %a, 16x16 of %b) outs(16x16 of %c)

After:
    "instgem.config_ld"(%block_stride, %one, %dram_stride) {load_id = 0, ...}
    "instgem.mvin"(%dram, %local, %cols, %rows)
    "instgem.preload"(%b, %b_cols, %b_rows, %c, %c_cols, %c_rows)
    "instgem.compute_preloaded"(%a, %a_cols, %a_rows, %garbage, %bias_cols, %bias_rows)

The code keeps to what every Gemmini does alike (GEMMINI_ISA.md section 9, "safe practice"): weight-stationary unless a kernel asks
otherwise, results only in the accumulator unless the array requantises them, every preload with its compute, moves within the hardware's
limits. Left operands use load configuration 0, right operands 1, everything else 2, so that their strides need no reconfiguration in a
loop. Pointers become i64 addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from baco import isa
from baco.dialects.mlir import DYNAMIC, arith, func, ir, llvm, memref
from baco.dialects.pooling import Pooling
from baco.hardware import GemminiConfig
from baco.lowering.block_loads import nested
from baco.lowering.blocks_to_linalg import IN_ARRAY, MAX_POOL, OUTPUT_STATIONARY, REQUANTISE, pooling_of
from baco.lowering.emit import Emitter
from baco.lowering.errors import CompilationError, SourceLocation, UnsupportedOperation
from baco.lowering.passes import get_hardware, kernel_of, location_of, operations, register
from baco.lowering.place_in_memories import ACCUMULATOR, IN_THE_ARRAY, LAYOUT, MEMORY, ON_THE_WAY_OUT, ROW, TILES, block_shape, slot_rows
from baco.lowering.rebuild import Handler, Rebuilder, argument_names, constant, new_function, retire
from baco.lowering.tile_to_dim import ENDS_SUM, HOST, OVERWRITE, STARTS_SUM, VIEWS, WEIGHTS_IN_ARRAY, is_on_chip, root, transposes

IDENTITY = isa.float_bits(1.0)


@dataclass(frozen=True)
class Requantised:
    """How a block leaves the accumulator: scale as f32 value (None is 1.0), and whether negative values become 0. Or how sums leave the
    array for the scratchpad: shifted to the right."""

    scale: ir.Value | None = None
    relu: bool = False
    shift: int = 0


@dataclass(frozen=True)
class OnChip:
    """A view of a placed block: rows and columns are offsets into the block, which starts at `start` and has `shape`."""

    memory: str
    start: ir.Value | int
    shape: tuple[int, int]
    tiled: bool
    load_id: int
    row: ir.Value | int = 0
    column: ir.Value | int = 0
    leaving: Requantised | None = None
    pooling: Pooling | None = None
    slot_rows: int = 0
    """Rows from one copy of the block to the next, where it has several."""

    def block_stride(self, dim: int) -> int:
        """Rows from a DIM-wide column block to the next."""
        return dim if self.tiled else self.shape[0]

    def copy_rows(self, dim: int) -> int:
        """Rows that one copy of the block takes."""
        return self.shape[0] * -(-self.shape[1] // dim)


@dataclass(frozen=True)
class InDram:
    """A view of an argument: byte address of its first element, and the byte stride between rows."""

    address: ir.Value
    row_stride: ir.Value | int
    element_bytes: int


@register("convert-to-instgem")
def run(module: ir.Module) -> None:
    """Rewrite the module's kernel."""
    old = kernel_of(module)
    i64 = ir.IntegerType.get_signless(64)
    types = [i64 if isinstance(t, ir.UnrankedMemRefType) else t for t in old.type.inputs]
    new = new_function(old, types, argument_names(old))
    rebuilder = _Converter(old, get_hardware(module))
    with ir.InsertionPoint(new.entry_block), old.location:
        for before, after in zip(old.arguments, new.arguments, strict=True):
            rebuilder.argument(before, after)
        Emitter(rebuilder.config).config_ex()
        rebuilder.block(old.entry_block.operations)
    retire(old, new)


class _Converter(Rebuilder):
    """`views` says where each buffer is for the accelerator; `values` holds what the host core uses, buffers only where it needs them."""

    def __init__(self, kernel: func.FuncOp, config: GemminiConfig) -> None:
        super().__init__(_HANDLERS)
        self.config = config
        self.shared = read_and_written(kernel)
        products = [op for op in operations(kernel.entry_block) if op.operation.name == "linalg.matmul"]
        self.modes = any(any(transposes(op)) or OUTPUT_STATIONARY in op.operation.attributes for op in products)
        """Whether some products transpose an operand or keep their sums in the array, so that each must say which."""
        self.views: dict[ir.Value, OnChip | InDram | None] = {}
        self.made_from: dict[ir.Value, ir.Value] = {}
        """By requantised block, the accumulator block that it is a view of."""

    def argument(self, before: ir.Value, after: ir.Value) -> None:
        """An argument of the kernel: a buffer is its address now, and a memref as well if the host core works on it."""
        if isinstance(before.type, ir.UnrankedMemRefType):
            self.views[before] = InDram(after, 0, before.type.element_type.width // 8)
            if _used_by_host(before):
                self.values[before] = buffer_at(after, before.type.element_type)
        else:
            self.values[before] = after


def _used_by_host(buffer: ir.Value) -> bool:
    """Whether an operation of the host core takes a buffer, or a view of it."""
    for use in buffer.uses:
        if use.owner.name in VIEWS and _used_by_host(use.owner.results[0]):
            return True
        if HOST in use.owner.attributes or use.owner.name in ("memref.load", "memref.store"):
            return True
    return False


def buffer_at(address: ir.Value, element: ir.Type) -> ir.Value:
    """A memref of what lies at an address, to be given its shape by a reinterpret_cast."""
    pointer = llvm.IntToPtrOp(ir.Type.parse("!llvm.ptr"), address).result
    struct = ir.Type.parse("!llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>")
    i64 = ir.IntegerType.get_signless(64)
    descriptor = llvm.UndefOp(struct).result
    for position, value in (
        ([0], pointer),
        ([1], pointer),
        ([2], constant(0, i64)),
        ([3, 0], constant(1, i64)),
        ([4, 0], constant(1, i64)),
    ):
        descriptor = llvm.InsertValueOp(descriptor, value, position).result
    return ir.Operation.create(
        "builtin.unrealized_conversion_cast", results=[ir.MemRefType.get([DYNAMIC], element)], operands=[descriptor]
    ).result


def read_and_written(kernel: func.FuncOp) -> set[ir.Value]:
    """Arguments that the kernel both loads from and stores to. The hardware does not order such accesses: a fence must."""
    copies = [op.operation.operands for op in operations(kernel.entry_block) if op.operation.name == "memref.copy"]
    read = {root(source) for source, _ in copies if not is_on_chip(source)}
    written = {root(destination) for _, destination in copies if not is_on_chip(destination)}
    return read & written


def _alloc(r: _Converter, op: ir.OpView) -> None:
    if MEMORY not in op.operation.attributes:
        raise CompilationError("this block has no place in a memory; run place-in-memories before this.", location_of(op))
    memory = ir.StringAttr(op.operation.attributes[MEMORY]).value
    if memory == ON_THE_WAY_OUT:
        r.views[op.result] = None
    elif memory == IN_THE_ARRAY:
        use = next(use.owner for use in op.result.uses if IN_ARRAY in use.owner.attributes)
        leaving = Requantised(relu=_has_relu(use), shift=ir.IntegerAttr(use.attributes[IN_ARRAY]).value)
        r.views[op.result] = replace(_placed(r, use.operands[1].owner.opview), leaving=leaving)
    else:
        r.views[op.result] = _placed(r, op)


def _placed(r: _Converter, op: ir.OpView) -> OnChip:
    """The whole of a block that has rows."""
    memory = ir.StringAttr(op.operation.attributes[MEMORY]).value
    row = ir.IntegerAttr(op.operation.attributes[ROW]).value
    tiled = LAYOUT in op.operation.attributes and ir.StringAttr(op.operation.attributes[LAYOUT]).value == TILES
    load_id = 2 if memory == ACCUMULATOR else _load_id(op.result)
    return OnChip(memory, row, block_shape(op), tiled, load_id, slot_rows=slot_rows(op, r.config.dim))


def _has_relu(requantise: ir.Operation) -> bool:
    return ir.StringAttr(ir.DictAttr(requantise.attributes[REQUANTISE])["activation"]).value == "relu"


def _view(r: _Converter, op: ir.OpView, buffer: ir.Value, kind: type[OnChip | InDram] | None = None) -> OnChip | InDram:
    """Where a buffer is that an operation takes.

    Raises:
        CompilationError: if that is unknown, or not the `kind` of place that the operation needs.
    """
    view = r.views.get(buffer)
    if view is None or (kind and not isinstance(view, kind)):
        where = {OnChip: " in a memory of the accelerator", InDram: " in DRAM"}.get(kind, "")
        reason = f"{op.operation.name} takes a buffer that has no place{where}; run split-host-work and place-in-memories before this."
        raise CompilationError(reason, location_of(op))
    return view


def _load_id(block: ir.Value) -> int:
    """1 for a block that is a right operand, 0 for any other, seen through its subviews."""
    for use in block.uses:
        name = use.owner.name
        if name == "linalg.matmul" and use.operand_number == 1:
            return 1
        if name == "memref.subview" and _load_id(use.owner.results[0]):
            return 1
    return 0


def _get_global(r: _Converter, op: ir.OpView) -> None:
    """A buffer of the program's own."""
    r.clone(op)
    type_ = ir.MemRefType(op.result.type)
    index = memref.ExtractAlignedPointerAsIndexOp(r[op.result]).result
    size = type_.element_type.width // 8
    r.views[op.result] = InDram(arith.IndexCastOp(ir.IntegerType.get_signless(64), index).result, _row_elements(type_) * size, size)


def _row_elements(type_: ir.MemRefType) -> int:
    strides = type_.get_strides_and_offset()[0]
    return strides[0] if strides else 1


def _reinterpret_cast(r: _Converter, op: ir.OpView) -> None:
    if _used_by_host(op.result):
        r.clone(op)
    type_ = ir.MemRefType(op.result.type)
    size = type_.element_type.width // 8
    e = Emitter(r.config)
    dynamic = [e.i64(r[v]) for v in list(op.operation.operands)[1:]]
    static_offset = next(iter(ir.DenseI64ArrayAttr(op.operation.attributes["static_offsets"])))
    offset = dynamic.pop(0) if static_offset == DYNAMIC else static_offset
    strides = [dynamic.pop(0) if s == DYNAMIC else s for s in ir.DenseI64ArrayAttr(op.operation.attributes["static_strides"])]
    base = _view(r, op, op.operation.operands[0], InDram)
    r.views[op.result] = InDram(e.add(base.address, e.mul(offset, size)), e.mul(strides[0] if strides else 1, size), size)


def _subview(r: _Converter, op: ir.OpView) -> None:
    if _used_by_host(op.result):
        r.clone(op)
    if len(ir.MemRefType(op.result.type).shape) != 2:
        return
    source = _view(r, op, op.operation.operands[0])
    e = Emitter(r.config)
    operands = list(op.operation.operands)[1:]
    offsets = [r[operands.pop(0)] if o == DYNAMIC else o for o in ir.DenseI64ArrayAttr(op.operation.attributes["static_offsets"])]
    *slots, rows, cols = (o if isinstance(o, int) else e.i64(o) for o in offsets)
    if slots:
        source = _view(r, op, op.operation.operands[0], OnChip)
    for slot in slots:
        source = replace(source, start=e.add(source.start, e.mul(slot, source.slot_rows)))
    if isinstance(source, InDram):
        moved = e.add(e.mul(rows, source.row_stride), e.mul(cols, source.element_bytes))
        r.views[op.result] = replace(source, address=e.add(source.address, moved))
    else:
        r.views[op.result] = replace(source, row=e.add(source.row, rows), column=e.add(source.column, cols))


def _address(r: _Converter, op: ir.OpView) -> None:
    """Where the array begins that a view looks into, as a number."""
    buffer = root(op.operation.operands[0])
    r.values[op.result] = arith.IndexCastOp(ir.IndexType.get(), _view(r, op, buffer, InDram).address).result


def _sizes(r: _Converter, view: ir.Value) -> list[ir.Value | int]:
    """Rows and columns of a view: numbers, or the values its subview was made with."""
    shape = list(ir.MemRefType(view.type).shape)
    if DYNAMIC not in shape:
        return shape
    e = Emitter(r.config)
    if isinstance(view.owner, ir.Block) or view.owner.name != "memref.subview":
        raise CompilationError("a part of a buffer whose size is known at run time is a memref.subview.", SourceLocation.of(view.location))
    operands = list(view.owner.operands)
    dynamic = operands[len(operands) - shape.count(DYNAMIC) :]
    return [e.i64(r[dynamic.pop(0)]) if s == DYNAMIC else s for s in shape]


def _local(e: Emitter, view: OnChip, config: GemminiConfig, flags: int = 0) -> ir.Value | int:
    """The local address of a view. Its column offset is a multiple of DIM, and so is its row offset in a block of tiles."""
    if view.tiled:
        inside = e.add(e.mul(view.row, -(-view.shape[1] // config.dim)), view.column)
    else:
        inside = e.add(view.row, e.mul(e.div(view.column, config.dim), view.shape[0]))
    row = e.add(view.start, inside)
    return e.add(row, flags | (isa.ACCUMULATOR_BIT if view.memory == ACCUMULATOR else 0))


def _fill(r: _Converter, op: ir.OpView) -> None:
    """Zeros come from an mvin whose DRAM address is 0: the DMA writes zeros and reads nothing."""
    destination = op.operation.operands[1]
    view, e = _view(r, op, destination, OnChip), Emitter(r.config)
    rows, cols = _sizes(r, destination)
    e.config_ld(load_id=2, dram_stride=0, block_stride=view.block_stride(r.config.dim))
    e.mvin(2, 0, _local(e, view, r.config), cols, rows)


def _copy(r: _Converter, op: ir.OpView) -> None:
    source, destination = op.operation.operands
    from_ = _view(r, op, source)
    if isinstance(from_, InDram):
        _mvin(r, from_, _view(r, op, destination, OnChip), *_sizes(r, source), wait=root(source) in r.shared)
    else:
        _mvout(r, from_, _view(r, op, destination, InDram), *_sizes(r, source))


def _mvin(r: _Converter, source: InDram, to: OnChip, rows: ir.Value | int, cols: ir.Value | int, *, wait: bool) -> None:
    e = Emitter(r.config)
    if wait:
        e.fence()
    e.config_ld(load_id=to.load_id, dram_stride=source.row_stride, block_stride=to.block_stride(r.config.dim))
    e.mvin(to.load_id, source.address, _local(e, to, r.config), cols, rows)


def _mvout(r: _Converter, source: OnChip, to: InDram, rows: ir.Value | int, cols: ir.Value | int) -> None:
    e = Emitter(r.config)
    leaving = source.leaving or Requantised()
    scale = IDENTITY if leaving.scale is None else e.float_bits(leaving.scale)
    e.config_st(dram_stride=to.row_stride, acc_scale=scale, activation=int(leaving.relu), pooling=source.pooling)
    if source.pooling:
        _pooling_mvout(r, source, to, cols)
        return
    raw = source.memory == ACCUMULATOR and source.leaving is None
    e.mvout(to.address, _local(e, source, r.config, e.full_width_bit() if raw else 0), cols, rows)


def _pooling_mvout(r: _Converter, source: OnChip, to: InDram, cols: ir.Value | int) -> None:
    """One store of a whole image; its configuration says how many pixels, so that its rows are 0 as in the vendor's library."""
    e, tracked = Emitter(r.config), _is_tracked(source, r.config)
    if not tracked:
        e.fence()
    e.mvout(to.address, _local(e, source, r.config), cols, 0)
    if not tracked:
        e.fence()


def _is_tracked(image: OnChip, config: GemminiConfig) -> bool:
    """Whether the hardware orders a pooling store with others that touch its image: it takes the store to read from its first row to the
    end of that row's accumulator bank, and the banks to be two (GEMMINI_ISA.md section 7.6)."""
    if image.memory != ACCUMULATOR or config.accumulator_banks != 2 or not isinstance(image.start, int):
        return False
    (pixels, channels), bank = image.shape, config.accumulator_bank_rows
    firsts = range(image.start, image.start + pixels * -(-channels // config.dim), pixels)
    return all(first // bank == (first + pixels - 1) // bank for first in firsts)


def _matmul(r: _Converter, op: ir.OpView) -> None:
    a, b, c = op.operation.operands
    swap_a, swap_b = transposes(op)
    (m, n), k = ir.MemRefType(c.type).shape, ir.MemRefType(a.type).shape[0 if swap_a else 1]
    e = Emitter(r.config)
    for block in (a, b, c):
        _view(r, op, block, OnChip)
    if OUTPUT_STATIONARY in op.operation.attributes:
        _output_stationary(r, op, (m, n, k))
        return
    if r.modes:
        e.config_ex(transpose_a=swap_a, transpose_b=swap_b)
    reuse = WEIGHTS_IN_ARRAY in op.operation.attributes
    accumulate = 0 if OVERWRITE in op.operation.attributes else isa.ACCUMULATE_BIT
    weights = e.nothing if reuse else (_local(e, r.views[b], r.config), n, k)
    e.preload(weights, (_local(e, r.views[c], r.config, accumulate), n, m))
    e.compute((_local(e, r.views[a], r.config), k, m), preloaded=not reuse)


def _output_stationary(r: _Converter, op: ir.OpView, sizes: tuple[int, int, int]) -> None:
    """One step of a sum that stays in the array: preloading nothing clears the sums before the first step and keeps them before the
    others, and only the last step names a result, as hardware lets sums out only when the array changes hands (section 7.8)."""
    a, b, c = op.operation.operands
    (m, n, k), marks, e = sizes, op.operation.attributes, Emitter(r.config)
    swap_a, swap_b = transposes(op)
    leaving = r.views[c].leaving or Requantised()
    if STARTS_SUM in marks:
        e.config_ex(transpose_a=swap_a, transpose_b=swap_b, output_stationary=True, shift=leaving.shift, relu=leaving.relu)
    accumulate = 0 if OVERWRITE in marks else isa.ACCUMULATE_BIT
    e.preload(e.nothing, (_local(e, r.views[c], r.config, accumulate), n, m) if ENDS_SUM in marks else e.nothing)
    left, right = ((_local(e, r.views[v], r.config), *size) for v, size in ((a, (k, m)), (b, (n, k))))
    e.compute(left, right, preloaded=STARTS_SUM in marks)


def _generic(r: _Converter, op: ir.OpView) -> None:
    """A requantisation or pooling costs nothing: the store path does it. Its destination becomes a view of its source that says how."""
    if len(op.operation.operands) != 2 or not (MAX_POOL in op.operation.attributes or REQUANTISE in op.operation.attributes):
        raise CompilationError(
            "this is neither a requantisation nor marked as the host's; run split-host-work before this.", location_of(op)
        )
    source, destination = op.operation.operands
    view = _view(r, op, source, OnChip)
    if IN_ARRAY in op.operation.attributes:
        return  # the sums have left the array like this
    _check_untouched(op, r.made_from.get(root(source), root(source)), destination)
    if MAX_POOL in op.operation.attributes:
        r.views[destination] = replace(view, pooling=pooling_of(op.operation.attributes[MAX_POOL]))
        return
    r.made_from[destination] = root(source)
    scale = next((o.operands[1] for o in op.regions[0].blocks[0].operations if o.operation.name == "arith.mulf"), None)
    scale = scale and r.values.get(scale, scale)
    r.views[destination] = replace(view, leaving=Requantised(scale, _has_relu(op.operation)))


def _check_untouched(op: ir.OpView, accumulator: ir.Value, result: ir.Value) -> None:
    """The accumulator must still hold the requantised block when it is stored: nothing may write it in between."""
    after = list(op.operation.block.operations)
    after = after[[o.operation for o in after].index(op.operation) + 1 :]
    written = False
    for later in after:
        written |= any(root(target) == accumulator for target in _writes(later))
        if written and any(root(v) == result for v in _operands(later)):
            how = "pooling" if MAX_POOL in op.operation.attributes else "requantisation"
            reason = f"the block is changed between its {how} and the store of the result; store it first."
            raise UnsupportedOperation(reason, location_of(op))


def _operands(op: ir.OpView) -> Iterator[ir.Value]:
    """Every buffer that an operation, or one inside it, takes."""
    return (v for o in nested(op.operation) for v in o.operands if isinstance(v.type, ir.MemRefType))


def _writes(op: ir.OpView) -> Iterator[ir.Value]:
    """The buffers that an operation, or one inside it, writes: destinations come last."""
    writers = ("memref.copy", "linalg.fill", "linalg.matmul", "linalg.generic")
    return (o.operands[len(o.operands) - 1] for o in nested(op.operation) if o.name in writers)


def _unless_host(handler: Handler) -> Handler:
    """Operations of the host core are copied as they are."""
    return lambda r, op: r.clone(op) if HOST in op.operation.attributes else handler(r, op)


_HANDLERS = {
    "memref.get_global": _get_global,
    "memref.alloc": _alloc,
    "memref.reinterpret_cast": _reinterpret_cast,
    "memref.subview": _subview,
    "memref.extract_aligned_pointer_as_index": _address,
    "memref.copy": _copy,
    "linalg.fill": _unless_host(_fill),
    "linalg.matmul": _unless_host(_matmul),
    "linalg.generic": _unless_host(_generic),
}
