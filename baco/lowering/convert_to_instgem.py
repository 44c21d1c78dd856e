"""convert-to-instgem: turn DIM-sized pieces on placed blocks into Gemmini instructions.

Before:
    memref.copy (16x32 of %src in DRAM), (16x32 of %a, scratchpad row 0)
    linalg.matmul ins(16x16 of %a, 16x16 of %b) outs(16x16 of %c)

After:
    "instgem.config_ld"(%block_stride, %one, %dram_stride) {load_id = 0, ...}
    "instgem.mvin"(%dram, %local, %cols, %rows)
    "instgem.preload"(%b, %b_cols, %b_rows, %c, %c_cols, %c_rows)
    "instgem.compute_preloaded"(%a, %a_cols, %a_rows, %garbage, %bias_cols, %bias_rows)

The code keeps to what every Gemmini does alike (GEMMINI_ISA.md section 9, "safe practice"): weight-stationary, results only in the
accumulator, every preload with its compute, moves within the hardware's limits. Left operands use load configuration 0, right operands
1, everything else 2, so that their strides need no reconfiguration in a loop. Pointers become i64 addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from baco import isa
from baco.dialects.mlir import DYNAMIC, func, ir
from baco.hardware import GemminiConfig
from baco.lowering.emit import Emitter
from baco.lowering.errors import UnsupportedOperation
from baco.lowering.passes import get_hardware, kernel_of, location_of, register
from baco.lowering.place_in_memories import ACCUMULATOR, MEMORY, ON_THE_WAY_OUT, ROW
from baco.lowering.rebuild import Rebuilder, argument_names, new_function
from baco.lowering.structure_pointers import REQUANTISE
from baco.lowering.tile_to_dim import WEIGHTS_IN_ARRAY, is_on_chip, root

IDENTITY = isa.float_bits(1.0)


@dataclass(frozen=True)
class Requantised:
    """How a block leaves the accumulator: scale as f32 value (None is 1.0), and whether negative values become 0."""

    scale: ir.Value | None = None
    relu: bool = False


@dataclass(frozen=True)
class OnChip:
    """A view of a placed block: rows and columns are offsets into the block."""

    memory: str
    base_row: int
    block_rows: int
    load_id: int
    row: ir.Value | int = 0
    column: ir.Value | int = 0
    leaving: Requantised | None = None


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
    rebuilder = Rebuilder(_HANDLERS)
    rebuilder.config = get_hardware(module)
    rebuilder.shared = _read_and_written(old)
    rebuilder.values.update(zip(old.arguments, new.arguments, strict=True))
    with ir.InsertionPoint(new.entry_block), old.location:
        Emitter(rebuilder.config).config_ex()
        rebuilder.block(old.entry_block.operations)
    old.erase()


def _read_and_written(kernel: func.FuncOp) -> set[ir.Value]:
    """Arguments that the kernel both loads from and stores to. The hardware does not order such accesses: a fence must."""
    copies = [op.operation.operands for op in _operations(kernel) if op.operation.name == "memref.copy"]
    read = {root(source) for source, _ in copies if not is_on_chip(source)}
    written = {root(destination) for _, destination in copies if not is_on_chip(destination)}
    return read & written


def _alloc(r: Rebuilder, op: ir.OpView) -> None:
    memory = ir.StringAttr(op.operation.attributes[MEMORY]).value
    if memory == ON_THE_WAY_OUT:
        r.values[op.result] = None
        return
    shape = ir.MemRefType(op.result.type).shape
    row = ir.IntegerAttr(op.operation.attributes[ROW]).value
    r.values[op.result] = OnChip(memory, row, shape[0], 2 if memory == ACCUMULATOR else _load_id(op.result))


def _load_id(block: ir.Value) -> int:
    """1 for a block that is a right operand, 0 for any other, seen through its subviews."""
    for use in block.uses:
        name = use.owner.name
        if name == "linalg.matmul" and use.operand_number == 1:
            return 1
        if name == "memref.subview" and _load_id(use.owner.results[0]):
            return 1
    return 0


def _reinterpret_cast(r: Rebuilder, op: ir.OpView) -> None:
    type_ = ir.MemRefType(op.result.type)
    size = type_.element_type.width // 8
    e = Emitter(r.config)
    dynamic = [e.i64(r[v]) for v in list(op.operation.operands)[1:]]
    static_offset = next(iter(ir.DenseI64ArrayAttr(op.operation.attributes["static_offsets"])))
    offset = dynamic.pop(0) if static_offset == DYNAMIC else static_offset
    strides = [dynamic.pop(0) if s == DYNAMIC else s for s in ir.DenseI64ArrayAttr(op.operation.attributes["static_strides"])]
    if strides[-1] != 1:
        raise UnsupportedOperation("Gemmini moves rows of contiguous elements: the innermost stride must be 1.", location_of(op))
    r.values[op.result] = InDram(e.add(r[op.operation.operands[0]], e.mul(offset, size)), e.mul(strides[0], size), size)


def _subview(r: Rebuilder, op: ir.OpView) -> None:
    source = r[op.operation.operands[0]]
    e = Emitter(r.config)
    operands = list(op.operation.operands)[1:]
    offsets = [r[operands.pop(0)] if o == DYNAMIC else o for o in ir.DenseI64ArrayAttr(op.operation.attributes["static_offsets"])]
    rows, cols = (o if isinstance(o, int) else e.i64(o) for o in offsets)
    if isinstance(source, InDram):
        moved = e.add(e.mul(rows, source.row_stride), e.mul(cols, source.element_bytes))
        r.values[op.result] = replace(source, address=e.add(source.address, moved))
    else:
        r.values[op.result] = replace(source, row=e.add(source.row, rows), column=e.add(source.column, cols))


def _sizes(r: Rebuilder, view: ir.Value) -> list[ir.Value | int]:
    """Rows and columns of a view: numbers, or the values its subview was made with."""
    shape = list(ir.MemRefType(view.type).shape)
    if DYNAMIC not in shape:
        return shape
    e = Emitter(r.config)
    operands = list(view.owner.operands)
    dynamic = operands[len(operands) - shape.count(DYNAMIC) :]
    return [e.i64(r[dynamic.pop(0)]) if s == DYNAMIC else s for s in shape]


def _local(e: Emitter, view: OnChip, config: GemminiConfig, flags: int = 0) -> ir.Value | int:
    """The local address of a view. Its column offset is a multiple of DIM: column blocks lie one after the other."""
    row = e.add(e.add(view.base_row, view.row), e.mul(e.div(view.column, config.dim), view.block_rows))
    return e.add(row, flags | (isa.ACCUMULATOR_BIT if view.memory == ACCUMULATOR else 0))


def _fill(r: Rebuilder, op: ir.OpView) -> None:
    """Zeros come from an mvin whose DRAM address is 0: the DMA writes zeros and reads nothing."""
    value, destination = op.operation.operands
    owner = value.owner
    if isinstance(owner, ir.Block) or owner.name != "arith.constant" or ir.IntegerAttr(owner.attributes["value"]).value != 0:
        raise UnsupportedOperation("Gemmini can fill a block only with zeros.", location_of(op))
    view, e = r[destination], Emitter(r.config)
    rows, cols = _sizes(r, destination)
    e.config_ld(load_id=2, dram_stride=0, block_stride=view.block_rows)
    e.mvin(2, 0, _local(e, view, r.config), cols, rows)


def _copy(r: Rebuilder, op: ir.OpView) -> None:
    source, destination = op.operation.operands
    from_, to = r[source], r[destination]
    if isinstance(from_, InDram) and isinstance(to, OnChip):
        _mvin(r, from_, to, *_sizes(r, source), wait=root(source) in r.shared)
    elif isinstance(from_, OnChip) and isinstance(to, InDram):
        _mvout(r, from_, to, *_sizes(r, source))
    else:
        reason = "this needs a block copied from one place on the chip to another, which Gemmini cannot do; load it again instead."
        raise UnsupportedOperation(reason, location_of(op))


def _mvin(r: Rebuilder, source: InDram, to: OnChip, rows: ir.Value | int, cols: ir.Value | int, *, wait: bool) -> None:
    e = Emitter(r.config)
    if wait:
        e.fence()
    e.config_ld(load_id=to.load_id, dram_stride=source.row_stride, block_stride=to.block_rows)
    e.mvin(to.load_id, source.address, _local(e, to, r.config), cols, rows)


def _mvout(r: Rebuilder, source: OnChip, to: InDram, rows: ir.Value | int, cols: ir.Value | int) -> None:
    e = Emitter(r.config)
    leaving = source.leaving or Requantised()
    scale = IDENTITY if leaving.scale is None else e.float_bits(leaving.scale)
    e.config_st(dram_stride=to.row_stride, acc_scale=scale, activation=int(leaving.relu))
    raw = source.memory == ACCUMULATOR and source.leaving is None
    e.mvout(to.address, _local(e, source, r.config, isa.FULL_WIDTH_BIT if raw else 0), cols, rows)


def _matmul(r: Rebuilder, op: ir.OpView) -> None:
    a, b, c = op.operation.operands
    (m, k), n = ir.MemRefType(a.type).shape, ir.MemRefType(c.type).shape[1]
    for operand, view in ((a, r[a]), (b, r[b])):
        if not isinstance(view, OnChip) or view.memory == ACCUMULATOR or view.leaving:
            shape = "x".join(str(s) for s in ir.MemRefType(root(operand).type).shape)
            reason = f"a dot takes int8 blocks loaded from memory, but its {shape} operand is on its way out; store it and load it again."
            raise UnsupportedOperation(reason, location_of(op))
    e = Emitter(r.config)
    reuse = WEIGHTS_IN_ARRAY in op.operation.attributes
    weights = (isa.GARBAGE, r.config.dim, r.config.dim) if reuse else (_local(e, r[b], r.config), n, k)
    e.preload(weights, (_local(e, r[c], r.config, isa.ACCUMULATE_BIT), n, m))
    e.compute((_local(e, r[a], r.config), k, m), preloaded=not reuse)


def _generic(r: Rebuilder, op: ir.OpView) -> None:
    """A requantisation costs nothing: the store path does it. Its destination becomes a view of the accumulator that says how."""
    if REQUANTISE not in op.operation.attributes:
        raise UnsupportedOperation("Gemmini has no instruction for this elementwise expression.", location_of(op))
    source, destination = op.operation.operands
    _check_untouched(op, root(source), destination)
    relu = ir.StringAttr(ir.DictAttr(op.operation.attributes[REQUANTISE])["activation"]).value == "relu"
    scale = next((o.operands[1] for o in op.regions[0].blocks[0].operations if o.operation.name == "arith.mulf"), None)
    scale = scale and r.values.get(scale, scale)
    r.values[destination] = replace(r[source], leaving=Requantised(scale, relu))


def _check_untouched(op: ir.OpView, accumulator: ir.Value, result: ir.Value) -> None:
    """The accumulator must still hold the requantised block when it is stored: nothing may write it in between."""
    after = list(op.operation.block.operations)
    after = after[[o.operation for o in after].index(op.operation) + 1 :]
    written = False
    for later in after:
        written |= any(root(target) == accumulator for target in _writes(later))
        if written and any(root(v) == result for v in _operands(later)):
            reason = "the accumulator block is changed between its requantisation and the store of the result; store it first."
            raise UnsupportedOperation(reason, location_of(op))


def _operations(op: ir.OpView) -> Iterator[ir.OpView]:
    """An operation and everything inside it."""
    yield op
    for region in op.operation.regions:
        for block in region:
            for inner in block.operations:
                yield from _operations(inner)


def _operands(op: ir.OpView) -> Iterator[ir.Value]:
    """Every buffer that an operation, or one inside it, takes."""
    return (v for o in _operations(op) for v in o.operation.operands if isinstance(v.type, ir.MemRefType))


def _writes(op: ir.OpView) -> Iterator[ir.Value]:
    """The buffers that an operation, or one inside it, writes: destinations come last."""
    writers = ("memref.copy", "linalg.fill", "linalg.matmul", "linalg.generic")
    return (o.operation.operands[len(o.operation.operands) - 1] for o in _operations(op) if o.operation.name in writers)


_HANDLERS = {
    "memref.alloc": _alloc,
    "memref.reinterpret_cast": _reinterpret_cast,
    "memref.subview": _subview,
    "memref.copy": _copy,
    "linalg.fill": _fill,
    "linalg.matmul": _matmul,
    "linalg.generic": _generic,
}
