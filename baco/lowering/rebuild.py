"""Rewriting a function whose types change: build a new one operation by operation, mapping old values to new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from baco.dialects.mlir import arith, func, ir, scf

Handler = Callable[["Rebuilder", ir.OpView], None]


class Rebuilder:
    """Copies operations to the current insertion point; `handlers` (by operation name) say what to do with the special ones.

    `values` maps each old value to what stands for it now: a value, or any object that only handlers understand.
    """

    def __init__(self, handlers: dict[str, Handler]) -> None:
        self.handlers = handlers
        self.values: dict[ir.Value, Any] = {}

    def __getitem__(self, old: ir.Value) -> Any:
        return self.values[old]

    def block(self, operations: Iterable[ir.OpView]) -> None:
        """Rebuild operations in order."""
        for op in operations:
            handler = self.handlers.get(op.operation.name)
            with op.location:
                if handler:
                    handler(self, op)
                elif op.operation.name in _STRUCTURED:
                    self.structured(op)
                else:
                    self.clone(op)

    def structured(self, op: ir.OpView) -> None:
        """Rebuild a loop or a branch with what is inside it."""
        _STRUCTURED[op.operation.name](self, op)

    def clone(self, op: ir.OpView) -> None:
        """Copy an operation with its operands, and the outer values its regions use, replaced."""
        new = op.operation.clone(ip=ir.InsertionPoint.current)
        self._replace_operands(new)
        for old_result, new_result in zip(op.operation.results, new.results, strict=True):
            self.values[old_result] = new_result

    def _replace_operands(self, op: ir.Operation) -> None:
        for i, operand in enumerate(op.operands):
            if operand in self.values:
                op.operands[i] = self.values[operand]
        for region in op.regions:
            for block in region:
                for inner in block.operations:
                    self._replace_operands(inner.operation)


def _rebuild_for(rebuilder: Rebuilder, op: ir.OpView) -> None:
    """A loop whose carried values keep their types. Loops with carried pointers need a handler of their own."""
    new = scf.ForOp(
        rebuilder[op.operands[0]], rebuilder[op.operands[1]], rebuilder[op.operands[2]], [rebuilder[v] for v in list(op.operands)[3:]]
    )
    old_body = op.regions[0].blocks[0]
    for old, argument in zip(old_body.arguments, new.body.arguments, strict=True):
        rebuilder.values[old] = argument
    with ir.InsertionPoint(new.body):
        rebuilder.block(old_body.operations)
    for old, result in zip(op.results, new.results, strict=True):
        rebuilder.values[old] = result


def _rebuild_if(rebuilder: Rebuilder, op: ir.OpView) -> None:
    has_else = len(op.regions[1].blocks) > 0
    new = scf.IfOp(rebuilder[op.operands[0]], [r.type for r in op.results], has_else=has_else)
    for old_region, new_region in zip(op.regions, new.regions, strict=True):
        if len(old_region.blocks):
            with ir.InsertionPoint(new_region.blocks[0]):
                rebuilder.block(old_region.blocks[0].operations)
    for old, result in zip(op.results, new.results, strict=True):
        rebuilder.values[old] = result


def _rebuild_while(rebuilder: Rebuilder, op: ir.OpView) -> None:
    new = scf.WhileOp([r.type for r in op.results], [rebuilder[v] for v in op.operands])
    for old_region, new_region in zip(op.regions, new.regions, strict=True):
        old_block = old_region.blocks[0]
        types = [a.type for a in old_block.arguments]
        block = new_region.blocks.append(*types, arg_locs=[op.location] * len(types))
        rebuilder.values.update(zip(old_block.arguments, block.arguments, strict=True))
        with ir.InsertionPoint(block):
            rebuilder.block(old_block.operations)
    for old, result in zip(op.results, new.results, strict=True):
        rebuilder.values[old] = result


_STRUCTURED = {"scf.for": _rebuild_for, "scf.if": _rebuild_if, "scf.while": _rebuild_while}


def new_function(old: func.FuncOp, types: list[ir.Type], names: list[str]) -> func.FuncOp:
    """An empty function with the old one's name and place, arguments of these types, and their names as attributes."""
    with ir.InsertionPoint(old), old.location:
        new = func.FuncOp(old.name.value, (types, []))
    new.arg_attrs = [ir.DictAttr.get({"baco.name": ir.StringAttr.get(name)}) for name in names]
    new.add_entry_block([old.location] * len(types))
    return new


def argument_names(function: func.FuncOp) -> list[str]:
    """The names of a function's arguments, as :func:`new_function` recorded them."""
    return [ir.StringAttr(ir.DictAttr(a)["baco.name"]).value for a in function.arg_attrs]


def constant(value: int, type_: ir.Type | None = None) -> ir.Value:
    """An integer constant; an index unless another type is given."""
    return arith.ConstantOp(type_ or ir.IndexType.get(), value).result


def known(value: ir.Value) -> int | None:
    """The number an integer value is known to have at compile time."""
    owner = value.owner
    if isinstance(owner, ir.Block):
        return None
    name = owner.name
    if name == "arith.constant":
        return ir.IntegerAttr(owner.attributes["value"]).value
    return known(owner.operands[0]) if name in ("arith.index_cast", "arith.extsi", "arith.trunci") else None
