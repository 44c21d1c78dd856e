"""Loops and branches around pointers: a pointer carried around a loop becomes what moves of it, carried; part of structure-pointers.

Before:
    scf.for %i = ... iter_args(%p = %start) -> (!baco.block_ptr<tensor<64x32xi8>>) { ...; scf.yield %advanced }

After:
    scf.for %i = ... iter_args(%row = %r0, %column = %c0) -> (i64, i64) { ...; scf.yield %row1, %column1 }

What a carried pointer is besides what moves must be the same all through the loop. Any object with `moving`, `moved` and `fixed` is a
pointer here. Blocks that a loop carries keep their place in memory.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from baco.dialects.mlir import bufferization, ir, linalg, scf
from baco.lowering.choices import LOOP_STAGES
from baco.lowering.errors import UnsupportedOperation
from baco.lowering.passes import location_of
from baco.lowering.rebuild import Handler, Rebuilder


def _is_pointer(value: object) -> bool:
    return hasattr(value, "moving")


def _for(r: Rebuilder, op: ir.OpView) -> None:
    """Carry what moves of each carried pointer instead of the pointer."""
    carried = [r[v] for v in list(op.operands)[3:]]
    new = scf.ForOp(r[op.operands[0]], r[op.operands[1]], r[op.operands[2]], _flat(r, carried))
    if LOOP_STAGES in op.attributes:
        new.attributes[LOOP_STAGES] = op.attributes[LOOP_STAGES]
    old_body = op.regions[0].blocks[0]
    r.values[old_body.arguments[0]] = new.body.arguments[0]
    _assign(r, old_body.arguments[1:], carried, new.body.arguments[1:])
    last = old_body.operations[len(old_body.operations) - 1]
    for template, argument, yielded in zip(carried, old_body.arguments[1:], last.operands, strict=True):
        if hasattr(template, "offsets") and hasattr(template, "strides"):
            r.signs.carry_forwards(yielded, argument, template.offsets, r[argument].offsets)
    with ir.InsertionPoint(new.body):
        r.block(list(old_body.operations)[:-1])
        _yield(r, old_body.operations[len(old_body.operations) - 1], carried, new.body.arguments[1:])
    _assign(r, op.results, carried, new.results)


def _flat(r: Rebuilder, carried: Sequence[object]) -> list[ir.Value]:
    """The values that stand for what a loop carries."""
    return list(itertools.chain.from_iterable([r.a.value(q) for q in c.moving] if _is_pointer(c) else [c] for c in carried))


def _while(r: Rebuilder, op: ir.OpView) -> None:
    """As :func:`_for`. The new condition passes on all that is carried, each in its place, and then whatever else the old one does."""
    before, after = (region.blocks[0] for region in op.regions)
    carried = [r[v] for v in op.operands]
    start = _flat(r, carried)
    *tests, last = before.operations
    # What the loop gives is known once the condition is read, so that the loop is made twice.
    draft = scf.WhileOp([], start)
    first = draft.regions[0].blocks.append(*(v.type for v in start), arg_locs=[op.location] * len(start))
    _assign(r, before.arguments, carried, first.arguments)
    with ir.InsertionPoint(first):
        r.block(tests)
        passed = [r[v] for v in list(last.operands)[1:]]
        if any(_is_pointer(p) and p.fixed() not in [c.fixed() for c in carried if _is_pointer(c)] for p in passed):
            raise UnsupportedOperation(_MADE_ANEW, location_of(last))
        flat = list(first.arguments)
        places = []
        for value in _flat(r, passed):
            if value not in flat:
                flat.append(value)
            places.append(flat.index(value))
        with last.location:
            scf.ConditionOp(r[last.operands[0]], flat)
    new = scf.WhileOp([v.type for v in flat], start)
    first.append_to(new.regions[0])
    second = new.regions[1].blocks.append(*(v.type for v in flat), arg_locs=[op.location] * len(flat))
    _assign(r, after.arguments, passed, [second.arguments[i] for i in places])
    with ir.InsertionPoint(second):
        r.block(list(after.operations)[:-1])
        _yield(r, after.operations[len(after.operations) - 1], carried, second.arguments)
    draft.operation.erase()
    _assign(r, op.results, passed, [new.results[i] for i in places])


def _assign(r: Rebuilder, old: Sequence[ir.Value], templates: list[object], flat: Sequence[ir.Value]) -> None:
    values = iter(flat)
    for o, template in zip(old, templates, strict=True):
        if _is_pointer(template):
            r.values[o] = template.moved(tuple(itertools.islice(values, len(template.moving))))
        else:
            r.values[o] = next(values)


_MADE_ANEW = "a pointer carried around a loop may only be advanced there, not made anew; make it before the loop."


def _yield(r: Rebuilder, op: ir.OpView, carried: list[object], arguments: Sequence[ir.Value]) -> None:
    flat: list[ir.Value] = []
    # A block that moves to another one's place is set aside before anything is overwritten: two blocks may change places.
    aside = {v: linalg.copy(r[v], outs=[_room(r[v])]) for v in op.operands if not _is_pointer(r[v]) and _is_other_block(r[v], arguments)}
    for value, template in zip(op.operands, carried, strict=True):
        new = r[value]
        if value in aside and new != arguments[len(flat)]:
            new = aside[value]
        if _is_pointer(template):
            if new.fixed() != template.fixed():
                raise UnsupportedOperation(_MADE_ANEW, location_of(op))
            for moving in new.moving:
                flat.append(_in_place(r.a.value(moving), arguments[len(flat)]))
        else:
            flat.append(_in_place(new, arguments[len(flat)]))
    with op.location:
        scf.YieldOp(flat)


def _is_other_block(value: ir.Value, arguments: Sequence[ir.Value]) -> bool:
    """Whether a value is one of the blocks that a loop carries."""
    return isinstance(value.type, ir.RankedTensorType) and any(value == a for a in arguments)


def _room(block: ir.Value) -> ir.Value:
    """Memory for a block like this one."""
    return bufferization.AllocTensorOp(block.type, []).result


def _in_place(value: ir.Value, argument: ir.Value) -> ir.Value:
    """A carried block's new value, in the place of the old one: a block has one place in memory all through a loop."""
    if not isinstance(value.type, ir.RankedTensorType) or _updates(value, argument):
        return value
    return linalg.copy(value, outs=[argument])


def _updates(value: ir.Value, argument: ir.Value) -> bool:
    """Whether a value is an update of the carried block: its destination, or that of what it updates, is the block."""
    if value == argument:
        return True
    owner = value.owner
    if isinstance(owner, ir.Block):
        return False
    if owner.name.startswith("linalg."):
        return _updates(owner.operands[len(owner.operands) - 1], argument)
    if owner.name == "scf.for":
        position = list(owner.results).index(value)
        return _updates(owner.operands[3 + position], argument)
    return False


def _if(r: Rebuilder, op: ir.OpView) -> None:
    if any(isinstance(r_.type, ir.DynamicType) for r_ in op.results):
        raise UnsupportedOperation("a pointer cannot be chosen by a run-time condition; choose its offsets instead.", location_of(op))
    Rebuilder.structured(r, op)


HANDLERS: dict[str, Handler] = {"scf.for": _for, "scf.if": _if, "scf.while": _while}
