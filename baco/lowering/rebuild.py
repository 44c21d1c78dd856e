"""Rewriting a function whose types change: build a new one operation by operation, mapping old values to new ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from baco.dialects.mlir import arith, func, ir, scf
from baco.lowering.errors import CompilationError, SourceLocation

Handler = Callable[["Rebuilder", ir.OpView], None]


class Rebuilder:
    """Copies operations to the current insertion point; `handlers` (by operation name) say what to do with the special ones.

    `values` maps each old value to what stands for it now: a value, or any object that only handlers understand.
    """

    def __init__(self, handlers: dict[str, Handler]) -> None:
        self.handlers = handlers
        self.values: dict[ir.Value, Any] = {}

    def __getitem__(self, old: ir.Value) -> Any:
        """What stands for an old value.

        Raises:
            CompilationError: if the operation that made it has no counterpart.
        """
        if old not in self.values:
            place = None if isinstance(old.owner, ir.Block) else SourceLocation.of(old.owner.location)
            raise CompilationError("this pass has no counterpart for a value that is made here and used later.", place)
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


def retire(old: func.FuncOp, new: func.FuncOp) -> None:
    """Erase the old function, unless something in the new one still uses a value of it: MLIR would free that value all the same.

    Raises:
        CompilationError: at the operation that uses it.
    """
    if len(old.body.blocks) != 1:
        raise CompilationError("a kernel is one block with loops and branches in it, not several blocks.", SourceLocation.of(old.location))
    gone = set(_values(old.entry_block))
    for op in _inside(new.entry_block):
        if any(value in gone for value in op.operands):
            raise CompilationError(f"{op.name} uses a value that this pass has no counterpart for.", SourceLocation.of(op.location))
    old.erase()


def _inside(block: ir.Block) -> Iterator[ir.Operation]:
    """The operations of a block and of the blocks inside it."""
    for op in block.operations:
        yield op.operation
        for region in op.operation.regions:
            for inner in region:
                yield from _inside(inner)


def _values(block: ir.Block) -> Iterator[ir.Value]:
    """The values that a block and the blocks inside it define."""
    yield from block.arguments
    for op in _inside(block):
        yield from op.results
        for region in op.regions:
            for inner in region:
                yield from inner.arguments


def argument_names(function: func.FuncOp) -> list[str]:
    """The names of a function's arguments, as :func:`new_function` recorded them.

    Raises:
        CompilationError: if one has none.
    """
    there = function.arg_attrs if "arg_attrs" in function.attributes or not function.type.inputs else [ir.DictAttr.get({})]
    names = [{n.name: n.attr for n in ir.DictAttr(attributes)}.get("baco.name") for attributes in there]
    if not all(isinstance(name, ir.StringAttr) for name in names):
        raise CompilationError('every argument of a kernel has its name, as {baco.name = "x"}.', SourceLocation.of(function.location))
    return [name.value for name in names]


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
