"""Which blocks a loop loads from DRAM, and what it takes to load them at another time: before the loop, or ahead of their iteration.

A block is loaded by a loop if it is allocated in the loop's body and the first things that happen to it are copies from an argument of
the kernel, and fills of what lies outside the tensor. Those are its steps; the pure operations of the body that they need (addresses,
sizes, views) are its slice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from baco.dialects.mlir import DYNAMIC, ir
from baco.lowering.place_in_memories import KEPT, SLOTS
from baco.lowering.rebuild import known
from baco.lowering.tile_to_dim import HOST, is_on_chip, root

_VIEWS = ("memref.subview", "memref.cast", "memref.reinterpret_cast")
_PURE = ("arith.", "index.", "affine.")


class CannotMove(Exception):
    """Why a block cannot be loaded at another time: a clause that completes a sentence."""


@dataclass(frozen=True)
class PureSlice:
    """Operations of a loop's body, in program order, with all that they need of it."""

    operations: list[ir.Operation]
    carried: frozenset[int]
    """Which of the loop's carried values they need."""
    varies: bool
    """Whether any of them depends on the iteration."""
    from_outside: list[ir.Value]
    """What they need that is there before the loop."""

    def clone(self, values: dict[ir.Value, ir.Value]) -> None:
        """Copy them to the current insertion point with operands replaced by `values`, to which their results are added."""
        for op in self.operations:
            with op.location:
                copy = op.clone(ip=ir.InsertionPoint.current).operation
            for inner in nested(copy):
                for i, operand in enumerate(inner.operands):
                    if operand in values:
                        inner.operands[i] = values[operand]
                if inner.name == "memref.subview":
                    move_freely(inner)
            values.update(zip(op.results, copy.results, strict=True))


@dataclass(frozen=True)
class BlockLoad:
    """A block, the operations of the loop's body that fill it in program order, and those with the pure ones they need."""

    alloc: ir.OpView
    steps: list[ir.Operation]
    slice: PureSlice


def joined(slices: Iterable[PureSlice]) -> PureSlice:
    """What several slices need together; their operations are left out."""
    every = list(slices)
    carried = frozenset().union(*(s.carried for s in every))
    return PureSlice([], carried, any(s.varies for s in every), [v for s in every for v in s.from_outside])


def body_of(loop: ir.OpView) -> ir.Block:
    """The block that a loop repeats."""
    return loop.operation.regions[0].blocks[0]


def nested(op: ir.Operation) -> Iterator[ir.Operation]:
    """An operation and everything inside it."""
    yield op
    for region in op.regions:
        for block in region:
            for inner in block.operations:
                yield from nested(inner.operation)


def loaded_blocks(body: ir.Block) -> Iterator[tuple[ir.OpView, list[ir.Operation]]]:
    """Every block that is allocated and loaded in a body, with its steps."""
    for op in body.operations:
        if op.operation.name == "memref.alloc" and SLOTS not in op.operation.attributes:
            steps = load_of(users(op.result), op.result, body)
            if steps:
                yield op, steps


def kept_blocks(body: ir.Block) -> Iterator[tuple[ir.OpView, list[ir.Operation]]]:
    """The allocations whose slots are kept resident (:mod:`baco.lowering.keep_resident`) and that a body loads, with its steps."""
    for op in body.operations:
        owner = op.operation.operands[0].owner if op.operation.name == "memref.subview" else None
        if owner is not None and not isinstance(owner, ir.Block) and KEPT in owner.attributes and SLOTS in owner.attributes:
            steps = load_of(users(op.result), owner.operation.results[0], body)
            if steps:
                yield owner, steps


def load_of(touching: Iterable[ir.Operation], block: ir.Value, body: ir.Block) -> list[ir.Operation]:
    """The steps that fill a block, or a part of it, before anything else in `touching` uses it; none if it is not loaded."""
    position = {op.operation: i for i, op in enumerate(body.operations)}
    steps = list(_leading_steps(sorted({_ancestor(user, body) for user in touching}, key=position.__getitem__), block))
    return steps if any(inner.name == "memref.copy" for step in steps for inner in nested(step)) else []


def users(buffer: ir.Value) -> Iterator[ir.Operation]:
    """Whatever reads or writes a buffer, through views of it too."""
    for use in buffer.uses:
        owner = use.owner.operation
        if owner.name in _VIEWS:
            yield from users(owner.results[0])
        else:
            yield owner


def _ancestor(op: ir.Operation, body: ir.Block) -> ir.Operation:
    while op.block != body:
        op = op.parent
    return op


def _leading_steps(touching: Sequence[ir.Operation], block: ir.Value) -> Iterator[ir.Operation]:
    for user in touching:
        if not _is_step(user, block):
            return
        yield user


def _is_step(op: ir.Operation, block: ir.Value) -> bool:
    """Whether an operation does nothing but fill a block from an argument, or with a constant, perhaps under a condition."""
    if HOST in op.attributes:
        return False
    if op.name == "memref.copy":
        return root(op.operands[1]) == block and isinstance(root(op.operands[0]).owner, ir.Block)
    if op.name == "linalg.fill":
        return root(op.operands[1]) == block
    if op.name == "scf.if":
        inside = [inner.operation for region in op.regions for b in region for inner in b.operations]
        return not op.results and all(_is_step(o, block) or is_pure(o) or o.name == "scf.yield" for o in inside)
    return False


def is_pure(op: ir.Operation) -> bool:
    """Whether an operation only computes: an address, a size, a view."""
    return op.name.startswith(_PURE) or op.name in _VIEWS


def block_load(loop: ir.OpView, alloc: ir.OpView, steps: list[ir.Operation]) -> BlockLoad:
    """The slice of a loaded block.

    Raises:
        CannotMove: if other things happen in the loop that the load must not overtake, or its address is not computed by pure operations.
    """
    check_order(loop, sources_of(steps))
    return BlockLoad(alloc, steps, pure_slice(loop, steps, but=alloc.result))


def sources_of(steps: list[ir.Operation]) -> set[ir.Value]:
    """The arrays that the steps of a load read."""
    return {root(o.operands[0]) for s in steps for o in nested(s) if o.name == "memref.copy"}


def pure_slice(
    loop: ir.OpView, steps: Sequence[ir.Operation], values: Sequence[ir.Value] = (), *, but: ir.Value | None = None
) -> PureSlice:
    """What `steps` and `values` need of a loop's body, but for the value `but`.

    Raises:
        CannotMove: if that is more than pure operations.
    """
    body = body_of(loop)
    needed: set[ir.Operation] = set()
    carried: set[int] = set()
    outside: dict[ir.Value, None] = {}
    varies = False
    pending: list[ir.Operation] = list(steps)

    def note(value: ir.Value) -> None:
        nonlocal varies
        owner = value.owner
        if isinstance(owner, ir.Block):
            if owner == body:
                varies = True
                carried.update({ir.BlockArgument(value).arg_number - 1} - {-1})
            elif not is_inside(owner.owner.operation, body):
                outside[value] = None
        elif but is None or value != but:
            if not is_inside(owner.operation, body):
                outside[value] = None
                return
            top = _ancestor(owner.operation, body)
            if top not in pending and top not in needed:
                pending.append(top)

    for value in values:
        note(value)
    while pending:
        op = pending.pop()
        if op in needed:
            continue
        needed.add(op)
        if op not in steps and not is_pure(op):
            raise CannotMove(f"its address or size comes from {op.name}, which is known only when the iteration is there")
        for value in (v for inner in nested(op) for v in inner.operands):
            note(value)
    ordered = [op.operation for op in body.operations if op.operation in needed]
    return PureSlice(ordered, frozenset(carried), varies, list(outside))


def is_inside(op: ir.Operation, body: ir.Block) -> bool:
    """Whether an operation stands in a block, or in one inside it."""
    while op is not None and op.name != "func.func":
        if op.block == body:
            return True
        op = op.parent
    return False


def check_order(scope: ir.OpView, sources: set[ir.Value]) -> None:
    """Nothing in a loop, or in the kernel, may change what is loaded, or wait for the accelerator.

    Two arguments are taken to be different arrays here, as everywhere: the hardware orders no load after a store either.
    """
    name = "kernel" if scope.operation.name == "func.func" else "loop"
    for op in nested(scope.operation):
        if HOST in op.attributes or op.name in ("memref.load", "memref.store", "instgem.fence", "func.call"):
            raise CannotMove(f"the host core works in the same {name}, and waits for the accelerator there")
        if op.name in ("instgem.loop_ws", "instgem.loop_conv_ws"):
            raise CannotMove(f"a loop instruction in the same {name} chooses its own rows")
        if op.name == "memref.copy" and not is_on_chip(op.operands[1]) and root(op.operands[1]) in sources:
            raise CannotMove(f"the {name} stores to the array it loads from")


def is_changed(block: ir.Value, steps: list[ir.Operation]) -> bool:
    """Whether a block is written after the steps that load it. Whatever writes has its destination last."""
    inside = {inner for step in steps for inner in nested(step)}
    return any(root(user.operands[len(user.operands) - 1]) == block for user in users(block) if user not in inside)


def surely_runs(lower: ir.Value, upper: ir.Value) -> bool:
    """Whether a loop between these bounds is known to have an iteration."""
    numbers = known(lower), known(upper)
    return None not in numbers and numbers[0] < numbers[1]


def clone_slice(load: BlockLoad, values: dict[ir.Value, ir.Value], target: ir.Value) -> None:
    """Copy a load to the current insertion point, to fill `target` (a view of the block's type) instead of the block."""
    load.slice.clone({**values, load.alloc.result: target})


def move_freely(view: ir.Operation) -> None:
    """Make the type of a view of a ring's slot say that its offset is known only at run time, and those of the views of it."""
    if is_on_chip(view.operands[0]) and ir.MemRefType(view.operands[0].type).get_strides_and_offset()[1] == DYNAMIC:
        type_ = ir.MemRefType(view.results[0].type)
        strides, _ = type_.get_strides_and_offset()
        view.results[0].set_type(ir.MemRefType.get(type_.shape, type_.element_type, ir.StridedLayoutAttr.get(DYNAMIC, strides)))
        for use in view.results[0].uses:
            if use.owner.operation.name == "memref.subview":
                move_freely(use.owner.operation)
