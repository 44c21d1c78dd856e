"""What the pass import-triton works with: Triton's types and places taken apart, blocks of pointers, and the function being built."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from baco.dialects import baco as dialect
from baco.dialects import baco_blocks as blocks
from baco.dialects import baco_shapes as shapes
from baco.dialects.mlir import arith, func, ir, scf, tensor
from baco.lowering.errors import SourceLocation, UnsupportedOperation
from baco.lowering.rebuild import Handler, Rebuilder

_LIBRARY = re.compile(r"[\\/]triton[\\/](language|tools)[\\/]")
"""Files of Triton's own, where nobody looks for the reason of an error."""
_ELEMENTS = ("i1", "i8", "i16", "i32", "i64", "f32")


def place_of(location: ir.Location) -> SourceLocation | None:
    """The innermost line of the person's own file."""
    found = [SourceLocation(f, int(line), int(column)) for f, line, column in re.findall(r'"([^"\n]*)":(\d+):(\d+)', str(location))]
    own = [p for p in found if not _LIBRARY.search(p.file)]
    return own[0] if own else None


def element_of(text: str, place: SourceLocation | None) -> ir.Type:
    """An element type that this machine computes with."""
    name = re.sub(r"^[su](i\d+)$", r"\1", text)
    if name not in _ELEMENTS:
        raise UnsupportedOperation(
            f"{name} values are not supported: Gemmini multiplies int8, and its host core computes with int32 and float32.", place
        )
    return ir.Type.parse(name)


def pointee(type_: ir.Type) -> str | None:
    """The element type's text of a pointer, or of a block of pointers."""
    match = re.fullmatch(r"(?:tensor<(?:\d+x)*)?!tt\.ptr<([^<>]*)>(?:>)?", str(type_))
    return match[1].split(",")[0] if match else None


def shape_of(type_: ir.Type) -> list[int]:
    """A block's shape; a scalar has none."""
    return list(ir.RankedTensorType(type_).shape) if isinstance(type_, ir.RankedTensorType) else []


def block_of(shape: Iterable[int], element: ir.Type) -> ir.RankedTensorType:
    """The type of a block."""
    return ir.RankedTensorType.get(list(shape), element)


def i64_attribute(value: int) -> ir.IntegerAttr:
    """A number as an attribute."""
    return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), value)


@dataclass(frozen=True)
class Pointers:
    """A block of pointers: one pointer, or one block of them, and offsets in elements (None for zeros)."""

    start: ir.Value
    element: ir.Type
    shape: tuple[int, ...]
    offsets: ir.Value | None = None


@dataclass(frozen=True)
class Descriptor:
    """A tensor descriptor taken apart."""

    base: ir.Value
    shape: tuple[ir.Value, ...]
    strides: tuple[ir.Value, ...]


@dataclass(frozen=True)
class Flattened:
    """All elements of a block in one row. A reduction of them all takes the block as it was."""

    block: ir.Value


class Importer(Rebuilder):
    """Rebuilds one `tt.func`. `kept` are the operations that stay as they are, `reasons` say why others are refused."""

    def __init__(self, old: ir.OpView, handlers: dict[str, Handler], kept: frozenset[str], reasons: dict[str, str]) -> None:
        super().__init__(handlers)
        self.old = old
        self.kept = kept
        self.reasons = reasons
        self.i64 = ir.IntegerType.get_signless(64)
        self.place: SourceLocation | None = None

    def run(self) -> None:
        """Build the new function before the old one."""
        attributes, region = self.old.operation.attributes, self.old.operation.regions[0]
        self.place = place_of(self.old.location)
        body = region.blocks[0]
        location = self._location(self.old.location)
        with ir.InsertionPoint(self.old), location:
            types = [self.type(a.type) for a in body.arguments]
            new = func.FuncOp(ir.StringAttr(attributes["sym_name"]).value, (types, []))
            names = [_argument_name(a, i) for i, a in enumerate(body.arguments)]
            new.arg_attrs = [ir.DictAttr.get({"baco.name": ir.StringAttr.get(name)}) for name in names]
            new.add_entry_block([location] * len(types))
        self.values.update(zip(body.arguments, new.arguments, strict=True))
        with ir.InsertionPoint(new.entry_block):
            self.paths(body, ())
            func.ReturnOp([])

    # Walking -------------------------------------------------------------------------------------------------------------------------

    def block(self, operations: Iterable[ir.OpView]) -> None:
        for op in operations:
            self.place = place_of(op.location) or self.place
            handler = self.handlers.get(op.operation.name)
            with self._location(op.location):
                if handler:
                    handler(self, op)
                elif op.operation.name in self.kept:
                    self.clone(op)
                else:
                    raise self.refuse(f"{op.operation.name} {self.reasons.get(op.operation.name, 'has no counterpart on Gemmini.')}")

    def paths(self, block: ir.Block, before: tuple[ir.Block, ...]) -> None:
        """A block and where it leads: a return on the way becomes a branch around the rest."""
        if block in before:
            raise self.refuse("a loop that a return leaves is not supported; compute how far it runs before it.")
        *operations, last = block.operations
        self.block(operations)
        if last.operation.name == "tt.return":
            return
        self.place = place_of(last.location) or self.place
        successors, operands = list(last.operation.successors), list(last.operation.operands)
        condition = operands.pop(0) if len(successors) == 2 else None
        for successor in successors:
            for argument in successor.arguments:
                self.values[argument] = self.value(operands.pop(0))
        with self._location(last.location):
            if condition is None:
                self.paths(successors[0], (*before, block))
                return
            branch = scf.IfOp(self.value(condition), has_else=True)
            for part, successor in zip((branch.then_block, branch.else_block), successors, strict=True):
                with ir.InsertionPoint(part):
                    self.paths(successor, (*before, block))
                    scf.YieldOp([])

    def _location(self, location: ir.Location) -> ir.Location:
        place = place_of(location) or self.place
        return ir.Location.file(place.file, place.line, place.column) if place else ir.Location.unknown()

    def refuse(self, reason: str) -> UnsupportedOperation:
        return UnsupportedOperation(reason, self.place)

    def clone(self, op: ir.OpView) -> None:
        """The same operation on new values, at the current location."""
        old = op.operation
        operands = [self.value(v) for v in old.operands]
        attributes = {name: old.attributes[name] for name in old.attributes}
        new = ir.Operation.create(old.name, [self.type(r.type) for r in old.results], operands, attributes)
        self.values.update(zip(old.results, new.results, strict=True))

    # Types and values ----------------------------------------------------------------------------------------------------------------

    def type(self, old: ir.Type) -> ir.Type:
        """What a type is called here."""
        found = pointee(old)
        if found:
            element = element_of(found, self.place)
            shape = shape_of(old)
            return blocks.PointerBlock.get(block_of(shape, element)) if shape else dialect.Pointer.get(element)
        if isinstance(old, ir.RankedTensorType):
            return block_of(old.shape, element_of(str(old.element_type), self.place))
        if str(old).startswith("!tt.tensordesc"):
            raise self.refuse("a tensor descriptor that is an argument or carried around a loop is not supported; make it in the kernel.")
        return old if isinstance(old, ir.IndexType) else element_of(str(old), self.place)

    def value(self, old: ir.Value) -> ir.Value:
        """The value that stands for an old one, made whole if it is a block of pointers."""
        new = self.values[old]
        if isinstance(new, Descriptor):
            raise self.refuse("a tensor descriptor can only be loaded and stored through.")
        if isinstance(new, Flattened):
            return shapes.Reshape(self.type(old.type), new.block).result
        return self.whole(new) if isinstance(new, Pointers) else new

    def whole(self, pointers: Pointers) -> ir.Value:
        """A block of pointers as one value."""
        type_ = blocks.PointerBlock.get(block_of(pointers.shape, pointers.element))
        offsets = pointers.offsets
        if offsets is None:
            if pointers.start.type == type_:
                return pointers.start
            offsets = self.splat(arith.ConstantOp(self.i64, 0).result, pointers.shape)
        return blocks.AddPointer(type_, pointers.start, offsets).result

    def pointers(self, old: ir.Value) -> Pointers:
        """An operand that is a block of pointers, or one pointer as a block of size 1."""
        new = self.values[old]
        if isinstance(new, Pointers):
            return new
        element = element_of(pointee(old.type), self.place)
        shape = tuple(shape_of(old.type))
        return Pointers(new, element, shape or (1,))

    def wide(self, value: ir.Value) -> ir.Value:
        """An integer or a block of integers with 64 bits."""
        shape = shape_of(value.type)
        target = block_of(shape, self.i64) if shape else self.i64
        return value if value.type == target else arith.ExtSIOp(target, value).result

    def narrow(self, value: ir.Value, target: ir.Type) -> ir.Value:
        """A 64-bit integer in the type that Triton gave it."""
        return value if value.type == target else arith.TruncIOp(target, value).result

    def splat(self, value: ir.Value, shape: Iterable[int]) -> ir.Value:
        return tensor.SplatOp(block_of(shape, value.type), value, []).result

    def filled(self, old: ir.Value) -> ir.Value:
        """A block that is about to be written or accumulated into: constants become blocks of their own."""
        number = splat_constant(old)
        if number is None:
            return self.value(old)
        type_ = self.type(old.type)
        if number in (0, 0.0):
            return dialect.Zeros(type_).result
        return self.splat(arith.ConstantOp(type_.element_type, number).result, type_.shape)


def _argument_name(argument: ir.Value, index: int) -> str:
    """The parameter's name, which Triton records as the argument's location."""
    match = re.search(r'loc\("([^"]*)"\(', str(argument.location))
    return match[1] if match else f"arg{index}"


def splat_constant(value: ir.Value) -> float | int | None:
    """The number a constant block is filled with."""
    if isinstance(value.owner, ir.Block) or value.owner.name != "arith.constant":
        return None
    elements = value.owner.attributes["value"]
    if not isinstance(elements, (ir.DenseElementsAttr, ir.DenseIntElementsAttr, ir.DenseFPElementsAttr)) or not elements.is_splat:
        return None
    number = elements.get_splat_value().value
    return int(number) if isinstance(number, bool) else number
