"""Operations of the `baco` dialect that make and rearrange blocks, and raw pointer blocks.

Elementwise arithmetic on blocks is MLIR's own `arith` and `math` on tensors. A pointer block holds one address for each element:

    %r = "baco.make_range"() {start = 0 : i64, end = 64 : i64} : () -> tensor<64xi64>
    %c = "baco.expand_dims"(%r) {axis = 1 : i64} : (tensor<64xi64>) -> tensor<64x1xi64>
    %b = "baco.broadcast"(%c) : (tensor<64x1xi64>) -> tensor<64x32xi64>
    %p = "baco.add_pointer"(%a, %b) : (!baco.ptr<i8>, tensor<64x32xi64>) -> !baco.ptr_block<tensor<64x32xi8>>
    %v = "baco.gather"(%p, %mask, %other) : (..., tensor<64x32xi1>, i8) -> tensor<64x32xi8>
    %s = "baco.reduce"(%v) {axis = 1 : i64, kind = "max"} : (tensor<64x32xi8>) -> tensor<64xi8>
    %m = "baco.max_pool"(%v) {image = array<i64: 8, 8>, padding = array<i64: 0, 0>, size = 2 : i64, stride = 2 : i64}
         : (tensor<64x32xi8>) -> tensor<16x32xi8>

The bindings read the field annotations of an operation class as objects, so this module does not postpone their evaluation.
"""

from typing import Any

from baco.dialects.baco import Axes, Baco, Pointer, Verified, require
from baco.dialects.mlir import ext, ir
from baco.dialects.pooling import Pooling

REDUCTIONS = ("sum", "max", "min", "xor", "or")


class PointerBlock(Baco.Type, name="ptr_block"):
    """``!baco.ptr_block<tensor<64x32xi8>>``: one address for each element of a block of that type."""

    block: ir.TypeAttr

    @property
    def block_type(self) -> ir.RankedTensorType:
        return ir.RankedTensorType(ir.TypeAttr(self.params[0]).value)


def _tensor(value: ir.Value) -> ir.RankedTensorType:
    return ir.RankedTensorType(value.type)


def _integer(op: Any, name: str) -> int:
    return ir.IntegerAttr(op.attributes[name]).value


class MakeRange(Verified, name="make_range"):
    """The integers from `start` up to but without `end`."""

    result: ext.Result[Any]
    start: ir.IntegerAttr
    end: ir.IntegerAttr

    def check(self) -> None:
        length = _integer(self, "end") - _integer(self, "start")
        require(list(_tensor(self.result).shape) == [length], self, f"gives {length} elements, not {self.result.type}")


class ExpandDims(Verified, name="expand_dims"):
    """The same elements with one more dimension of size 1, at `axis`."""

    result: ext.Result[Any]
    value: ext.Operand[Any]
    axis: ir.IntegerAttr

    def check(self) -> None:
        shape = list(_tensor(self.value).shape)
        shape.insert(_integer(self, "axis"), 1)
        require(list(_tensor(self.result).shape) == shape, self, f"gives the shape {shape}, not {self.result.type}")


class Broadcast(Verified, name="broadcast"):
    """Dimensions of size 1 repeated."""

    result: ext.Result[Any]
    value: ext.Operand[Any]

    def check(self) -> None:
        old, new = list(_tensor(self.value).shape), list(_tensor(self.result).shape)
        ok = len(old) == len(new) and all(o in (1, n) for o, n in zip(old, new, strict=True))
        require(ok, self, f"cannot repeat {self.value.type} to {self.result.type}")


class Transpose(Verified, name="trans"):
    """Dimensions permuted: dimension i of the result is dimension order[i] of the operand."""

    result: ext.Result[Any]
    value: ext.Operand[Any]
    order: Axes

    def check(self) -> None:
        order, old = list(ir.DenseI64ArrayAttr(self.attributes["order"])), list(_tensor(self.value).shape)
        ok = sorted(order) == list(range(len(old))) and list(_tensor(self.result).shape) == [old[i] for i in order]
        require(ok, self, f"order {order} does not turn {self.value.type} into {self.result.type}")


class Reduce(Verified, name="reduce"):
    """One dimension gone: what combining the elements along it leaves; `xor` and `or` of integers only."""

    result: ext.Result[Any]
    value: ext.Operand[Any]
    axis: ir.IntegerAttr
    kind: ir.StringAttr

    def check(self) -> None:
        shape = list(_tensor(self.value).shape)
        kind, is_float = ir.StringAttr(self.kind).value, isinstance(_tensor(self.value).element_type, ir.F32Type)
        require(kind in REDUCTIONS, self, f"kind is one of {', '.join(REDUCTIONS)}, not {self.kind}")
        require(not (is_float and kind in ("xor", "or")), self, f"{kind} does not apply to floats")
        axis = _integer(self, "axis")
        require(0 <= axis < len(shape), self, f"axis {axis} is not one of a rank-{len(shape)} block")
        del shape[axis]
        require(list(_tensor(self.result).shape) == shape, self, f"gives the shape {shape}, not {self.result.type}")


class MaxPool(Verified, name="max_pool"):
    """The highest pixel of each window of an image of rows x columns pixels, a pixel a row of the block; those outside count as 0."""

    result: ext.Result[Any]
    value: ext.Operand[Any]
    image: Axes
    size: ir.IntegerAttr
    stride: ir.IntegerAttr
    padding: Axes

    @property
    def pooling(self) -> Pooling:
        """Its geometry; raises ValueError if the hardware has none such."""
        image, padding = (tuple(ir.DenseI64ArrayAttr(self.attributes[name])) for name in ("image", "padding"))
        require(len(image) == 2 and len(padding) == 2, self, "image and padding have two numbers each, for rows and columns")
        return Pooling.of(image, _integer(self, "size"), _integer(self, "stride"), padding)

    def check(self) -> None:
        try:
            pooling = self.pooling
        except ValueError as error:
            raise ValueError(str(error) if str(error).startswith("baco.") else f"{self.OPERATION_NAME}: {error}") from None
        old, new = _tensor(self.value), _tensor(self.result)
        require(str(old.element_type) == str(new.element_type) == "i8" and old.rank == 2, self, f"pools an i8 block of rank 2, not {old}")
        pixels, out = pooling.rows * pooling.columns, pooling.out_rows * pooling.out_columns
        require(old.shape[0] == pixels, self, f"an image of {pooling.rows}x{pooling.columns} has {pixels} pixels, not those of {old}")
        require(list(new.shape) == [out, old.shape[1]], self, f"gives {out} pixels of {old.shape[1]} channels, not {new}")


class Print(Verified, name="print"):
    """A line on the console for a scalar, or one for each element of a block."""

    value: ext.Operand[Any]
    prefix: ir.StringAttr

    def check(self) -> None:
        element = _tensor(self.value).element_type if isinstance(self.value.type, ir.RankedTensorType) else self.value.type
        require(isinstance(element, (ir.IntegerType, ir.F32Type)), self, f"prints integers and f32, not {self.value.type}")


class AddPointer(Verified, name="add_pointer"):
    """Addresses: a pointer, or a block of them, moved by as many elements as the offsets say."""

    result: ext.Result[PointerBlock]
    pointer: ext.Operand[Pointer | PointerBlock]
    offsets: ext.Operand[Any]

    def check(self) -> None:
        shape = list(self.result.type.block_type.shape)
        require(list(_tensor(self.offsets).shape) == shape, self, f"offsets {self.offsets.type} do not have the shape {shape}")
        require(str(_tensor(self.offsets).element_type) == "i64", self, f"offsets are i64, not {self.offsets.type}")


class Gather(Verified, name="gather"):
    """The elements at the addresses where the mask is set, `other` where it is not."""

    result: ext.Result[Any]
    pointer: ext.Operand[PointerBlock]
    mask: ext.Operand[Any]
    other: ext.Operand[Any]

    def check(self) -> None:
        block = self.pointer.type.block_type
        require(self.result.type == block, self, f"a load through {self.pointer.type} gives {block}, not {self.result.type}")
        require(list(_tensor(self.mask).shape) == list(block.shape), self, f"mask {self.mask.type} does not have the shape of {block}")


class Scatter(Verified, name="scatter"):
    """Write elements to the addresses where the mask is set."""

    pointer: ext.Operand[PointerBlock]
    value: ext.Operand[Any]
    mask: ext.Operand[Any]

    def check(self) -> None:
        block = self.pointer.type.block_type
        require(self.value.type == block, self, f"a store through {self.pointer.type} takes {block}, not {self.value.type}")
        require(list(_tensor(self.mask).shape) == list(block.shape), self, f"mask {self.mask.type} does not have the shape of {block}")
