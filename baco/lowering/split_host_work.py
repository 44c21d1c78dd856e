"""split-host-work: decide which operations run on the accelerator and which on the RISC-V host core, and move blocks between them.

Before (bufferised):
    linalg.matmul ins(%a, %b) outs(%c : memref<64x64xi32>)
    linalg.generic {exp, say} ins(%c) outs(%p : memref<64x64xf32>)

After:
    linalg.matmul ins(%a, %b) outs(%c)
    %h = memref.get_global @host_0 : memref<64x64xi32>      // %c's twin in DRAM
    memref.copy %c, %h                                       // becomes mvout
    "instgem.fence"() : () -> ()
    linalg.generic {baco.host} ins(%h) outs(%p)              // %p = memref.get_global @host_1

Gemmini multiplies, fills with zeros, moves rows of contiguous elements and requantises on the way out; everything else is the host's. A
block is at home on the chip if the accelerator computes with it, otherwise in DRAM; where the other side needs it, it is copied to a twin
of its own and back. The hardware orders none of its DRAM accesses with the host's, so a fence stands before host work on shared memory.
Every statement that goes to the host is recorded as a remark.
"""

from __future__ import annotations

import functools
from itertools import count

from baco.dialects import instgem
from baco.dialects.mlir import func, ir, linalg, memref
from baco.lowering.block_loads import nested
from baco.lowering.blocks_to_linalg import IN_ARRAY, REQUANTISE
from baco.lowering.errors import SourceLocation, UnsupportedOperation
from baco.lowering.passes import check_buffers, kernel_of, location_of, operations, register
from baco.lowering.pooled_stores import is_pooling, name_images, on_host, store_whole_images
from baco.lowering.remarks import add_remark
from baco.lowering.tile_to_dim import HOST, is_on_chip, root

_WORK = ("linalg.", "memref.copy")


@register("split-host-work")
def run(module: ir.Module) -> None:
    """Rewrite the module's kernel."""
    kernel = kernel_of(module)
    check_buffers(_work(kernel))
    name_images(_work(kernel))
    _check_blocks_stay_put(kernel)
    _forget_constants(kernel)
    _separate_results(kernel)
    _leave_before_use(kernel)
    _Splitter(module, kernel).run()


def _work(kernel: func.FuncOp) -> list[ir.OpView]:
    return [op for op in operations(kernel.entry_block) if op.operation.name.startswith(_WORK)]


def _check_blocks_stay_put(kernel: func.FuncOp) -> None:
    """Blocks have fixed places, so none may be chosen at run time."""
    for op in operations(kernel.entry_block):
        if op.operation.name in ("scf.for", "scf.if", "scf.while", "arith.select") and any(
            isinstance(r.type, ir.MemRefType) for r in op.operation.results
        ):
            reason = "which block this is depends on run-time control flow; assign it the same way on every path, or use bl.where."
            raise UnsupportedOperation(reason, location_of(op))


def _writes(op: ir.OpView) -> ir.Value:
    """The buffer an operation writes: its last operand."""
    return op.operation.operands[len(op.operation.operands) - 1]


def _is_requantise(op: ir.OpView) -> bool:
    return REQUANTISE in op.operation.attributes


def _forget_constants(kernel: func.FuncOp) -> None:
    """A requantised constant has been folded into an operation that takes nothing from the accumulator: it is the host's like any other."""
    for op in _work(kernel):
        if _is_requantise(op) and len(op.operation.operands) != 2:
            del op.operation.attributes[REQUANTISE]


def _separate_results(kernel: func.FuncOp) -> None:
    """Give each requantised or pooled block a buffer of its own where bufferisation reused one for several, one after the other."""
    for alloc in [op for op in operations(kernel.entry_block) if op.operation.name == "memref.alloc"]:
        users = {use.owner.operation for use in alloc.result.uses}
        if sum(_makes(user, alloc.result) for user in users) < 2 or any(user.block != alloc.operation.block for user in users):
            continue
        current = None
        for user in (op.operation for op in alloc.operation.block.operations if op.operation in users):
            if _makes(user, alloc.result):
                with ir.InsertionPoint(user), user.location:
                    current = memref.AllocOp(alloc.result.type, [], []).result
            for i, operand in enumerate(user.operands):
                if operand == alloc.result and current is not None:
                    user.operands[i] = current


def _makes(op: ir.Operation, block: ir.Value) -> bool:
    """Whether an operation requantises or pools into a block."""
    return (REQUANTISE in op.attributes or is_pooling(op)) and op.operands[len(op.operands) - 1] == block


def _leave_before_use(kernel: func.FuncOp) -> None:
    """A requantised block exists only on its way out. Where something else than a store needs it, it goes out and comes back."""
    for op in _work(kernel):
        if IN_ARRAY in op.operation.attributes:
            continue  # it never leaves
        if not (_is_requantise(op) or (is_pooling(op) and _comes_to_chip(root(op.operation.operands[0])))):
            continue
        result = root(op.operation.operands[1])
        others = [use.owner for use in result.uses if use.owner != op.operation]
        if result.owner.name != "memref.alloc" or all(_is_store(user) or (_is_requantise(op) and is_pooling(user)) for user in others):
            continue
        with ir.InsertionPoint(result.owner), op.location:
            fresh = memref.AllocOp(result.type, [], []).result
        with ir.InsertionPoint(op), op.location:
            op.operation.operands[1] = fresh
        with ir.InsertionPoint.after(op.operation), op.location:
            memref.CopyOp(fresh, result)


def _comes_to_chip(image: ir.Value) -> bool:
    """Whether a block is only moved, filled with zeros or requantised before it is pooled."""
    users = [use.owner for use in image.uses]
    users += [use.owner for view in users if view.name == "memref.subview" for use in view.results[0].uses]
    moved = ("memref.copy", "memref.subview")
    return all(u.name in moved or _is_requantise(u) or is_pooling(u) or _is_zero_fill(u) for u in users)


def _is_store(user: ir.Operation) -> bool:
    """Whether an operation on a block, or all on a view of it, store it to an argument or to the program's own memory."""
    if user.name == "memref.subview":
        return all(_is_store(use.owner) for use in user.results[0].uses)
    if user.name != "memref.copy":
        return False
    owner = root(user.operands[1]).owner
    return isinstance(owner, ir.Block) or owner.operation.name == "memref.get_global"


class _Splitter:
    def __init__(self, module: ir.Module, kernel: func.FuncOp) -> None:
        self.module = module
        self.kernel = kernel
        self.names = (f"host_{i}" for i in count())
        self.twins: dict[ir.Value, ir.Value] = {}
        self.remarks: dict[SourceLocation, None] = {}
        self.work = _work(kernel)
        self.at_home_on_chip = {root(v) for op in self.work if _is_product(op) for v in op.operation.operands}
        self.at_home_on_chip |= self._only_moved()
        self.touched_by_accelerator: set[ir.Value] = set()

    def run(self) -> None:
        """Split the kernel's work."""
        on_accelerator = [self._on_accelerator(op) for op in self.work]
        pooled = {root(_writes(op)) for op, ours in zip(self.work, on_accelerator, strict=True) if ours and is_pooling(op)}
        for op, ours in zip(self.work, on_accelerator, strict=True):
            if ours:
                self.touched_by_accelerator |= {root(v) for v in self._buffers(op) if not is_on_chip(v)}
        for op, ours in zip(self.work, on_accelerator, strict=True):
            with op.location:
                if not ours:
                    self._to_host(op)
                elif root(op.operation.operands[0]) in pooled and op.operation.name == "memref.copy":
                    block = root(op.operation.operands[0])
                    self.at_home_on_chip.update(store_whole_images(op, functools.partial(self._twin, block)))
                elif op.operation.name == "memref.copy" and all(root(v) in self.at_home_on_chip for v in op.operation.operands):
                    self._by_way_of_twin(op)
        for op in list(operations(self.kernel.entry_block)):
            if op.operation.name == "memref.alloc" and op.result not in self.at_home_on_chip:
                op.result.replace_all_uses_with(self._in_dram(op.result))
                op.operation.erase()
        for place in self.remarks:
            add_remark(self.module, place, "runs on the host core")

    # Where things belong ----------------------------------------------------------------------------------------------------------

    def _only_moved(self) -> set[ir.Value]:
        """Two-dimensional int8 and int32 blocks that are only filled with zeros, moved as rows, or requantised."""
        blocks = [op.result for op in operations(self.kernel.entry_block) if op.operation.name == "memref.alloc" and _fits_chip(op.result)]
        uses: dict[ir.Value, list[ir.OpView]] = {b: [] for b in blocks}
        for op in self.work:
            for v in self._buffers(op):
                if root(v) in uses:
                    uses[root(v)].append(op)
        picked = {
            root(v)
            for op in operations(self.kernel.entry_block)
            if op.operation.name in ("memref.load", "memref.store")
            for v in self._buffers(op)
        }
        moved = {
            b
            for b, users in uses.items()
            if b not in picked and all(_is_zero_fill(u) or _is_requantise(u) or is_pooling(u) or _moves_rows(u) for u in users)
        }
        # Only what is on the chip can be pooled on its way out.
        return moved - {
            root(_writes(u)) for u in self.work if is_pooling(u) and u.operation.operands[0] not in moved | self.at_home_on_chip
        }

    def _on_accelerator(self, op: ir.OpView) -> bool:
        buffers = self._buffers(op)
        at_home = [root(v) in self.at_home_on_chip for v in buffers]
        if _is_product(op):
            return True
        if _is_zero_fill(op):
            return at_home[-1]
        if _is_requantise(op) or is_pooling(op):
            return all(at_home)
        return op.operation.name == "memref.copy" and any(at_home) and (all(at_home) or _moves_rows(op))

    @staticmethod
    def _buffers(op: ir.OpView) -> list[ir.Value]:
        return [v for taker in _takers(op) for v in taker.operands if isinstance(v.type, ir.MemRefType)]

    # Moving -----------------------------------------------------------------------------------------------------------------------

    def _to_host(self, op: ir.OpView) -> None:
        """Let the host do an operation: on twins of the blocks that live on the chip, brought there and back."""
        if op.operation.name not in ("memref.copy", "linalg.fill"):
            self.remarks.update(dict.fromkeys(_places(op)))
        written = root(_writes(op))
        with ir.InsertionPoint(op):
            chips = list(dict.fromkeys(root(v) for v in self._buffers(op) if root(v) in self.at_home_on_chip))
            for block in chips:
                if not (block == written and _overwrites(op)):
                    memref.CopyOp(block, self._twin(block))
            shared = [v for v in self._buffers(op) if root(v) in self.touched_by_accelerator or root(v) in chips]
            if shared:
                instgem.Fence()
            for user in _takers(op):
                for i, operand in enumerate(user.operands):
                    if isinstance(operand.type, ir.MemRefType) and root(operand) in chips:
                        user.operands[i] = _rebased(operand, root(operand), self._twin(root(operand)))
        with ir.InsertionPoint.after(op.operation):
            if written in chips:
                memref.CopyOp(self._twin(written), written)
        if is_pooling(op):
            on_host(op).attributes[HOST] = ir.UnitAttr.get()
            return
        op.operation.attributes[HOST] = ir.UnitAttr.get()
        if op.operation.name == "memref.copy":
            self._as_linalg(op)

    def _as_linalg(self, op: ir.OpView) -> None:
        """A copy by the host as a loop nest: `memref.copy` would become a call into a runtime library."""
        source, destination = op.operation.operands
        with ir.InsertionPoint(op):
            linalg.copy(source, outs=[destination])
        copy = list(op.operation.block.operations)
        copy = copy[[o.operation for o in copy].index(op.operation) - 1]
        copy.operation.attributes[HOST] = ir.UnitAttr.get()
        op.operation.erase()

    def _by_way_of_twin(self, op: ir.OpView) -> None:
        """A copy from chip to chip goes through DRAM."""
        source, destination = op.operation.operands
        block = root(destination)
        with ir.InsertionPoint(op):
            between = _rebased(destination, block, self._twin(block))
            memref.CopyOp(source, between)
            memref.CopyOp(between, destination)
        op.operation.erase()

    def _twin(self, block: ir.Value) -> ir.Value:
        if block not in self.twins:
            self.twins[block] = self._in_dram(block)
            self.touched_by_accelerator.add(self.twins[block])
        return self.twins[block]

    def _in_dram(self, block: ir.Value) -> ir.Value:
        """A buffer of a block's type in the program's own memory."""
        name = next(self.names)
        type_ = ir.MemRefType(block.type)
        with ir.InsertionPoint.at_block_begin(self.module.body), block.owner.location:
            initial = ir.Attribute.parse("unit")
            memref.GlobalOp(name, type_, sym_visibility="private", initial_value=initial, alignment=64)
        with ir.InsertionPoint.at_block_begin(self.kernel.entry_block), block.owner.location:
            return memref.GetGlobalOp(type_, name).result


def _takers(op: ir.OpView) -> list[ir.Operation]:
    """The operations whose operands are the buffers that an operation works on: itself, and loads in its body at places of their own."""
    return [o for o in nested(op.operation) if o == op.operation or o.name == "memref.load"]


def _places(op: ir.OpView) -> list[SourceLocation]:
    """The lines of the person's program behind an operation: its own, and those of the arithmetic that was fused into it."""
    inside = [inner for region in op.operation.regions for block in region for inner in block.operations]
    places = [location_of(o) for o in (op, *inside) if o.operation.name != "linalg.yield"]
    return sorted({p for p in places if p}, key=lambda p: (p.file, p.line, p.column))


def _fits_chip(block: ir.Value) -> bool:
    type_ = ir.MemRefType(block.type)
    return type_.rank == 2 and str(type_.element_type) in ("i8", "i32")


def _is_product(op: ir.OpView) -> bool:
    if op.operation.name != "linalg.matmul":
        return False
    elements = [str(ir.MemRefType(v.type).element_type) for v in op.operation.operands]
    return elements == ["i8", "i8", "i32"]


def _is_zero_fill(op: ir.OpView) -> bool:
    if op.operation.name != "linalg.fill":
        return False
    owner = op.operation.operands[0].owner
    constant = not isinstance(owner, ir.Block) and owner.name == "arith.constant"
    return constant and isinstance(owner.attributes["value"], ir.IntegerAttr) and ir.IntegerAttr(owner.attributes["value"]).value == 0


def _moves_rows(op: ir.OpView) -> bool:
    """A copy whose rows are contiguous on both sides, and begin a row of the chip: what the DMA does."""
    if op.operation.name != "memref.copy":
        return False
    return all(_has_unit_rows(ir.MemRefType(v.type)) and _begins_a_row(v) for v in op.operation.operands)


def _begins_a_row(view: ir.Value) -> bool:
    """Whether a view of a block starts at the block's first column: local addresses name rows, so a move cannot start inside one."""
    while not isinstance(view.owner, ir.Block) and view.owner.name == "memref.subview":
        if list(ir.DenseI64ArrayAttr(view.owner.attributes["static_offsets"]))[-1] != 0 and is_on_chip(view):
            return False
        view = view.owner.operands[0]
    return True


def _has_unit_rows(type_: ir.MemRefType) -> bool:
    return type_.rank == 2 and type_.get_strides_and_offset()[0][-1] == 1


def _overwrites(op: ir.OpView) -> bool:
    """Whether an operation writes a whole block without reading it."""
    if op.operation.name == "linalg.fill":
        return True
    if op.operation.name == "linalg.generic":
        body = op.operation.regions[0].blocks[0]
        return not list(body.arguments[len(body.arguments) - 1].uses)
    return op.operation.name == "memref.copy" and root(op.operation.operands[1]) == op.operation.operands[1]


def _rebased(view: ir.Value, old: ir.Value, new: ir.Value) -> ir.Value:
    """The same view of another buffer of the same type."""
    if view == old:
        return new
    copy = view.owner.clone()
    copy.operands[0] = _rebased(view.owner.operands[0], old, new)
    return copy.results[0]
