"""The `baco` dialect: what a kernel says, before any decision about memory.

A block is an MLIR tensor of static shape. A pointer is an untyped address with an element type; a block pointer is a base pointer with
the parent tensor's shape, strides and the current offsets, all in elements, and stands for the block at those offsets. Scalars are `i64`
and `f32`. Control flow is `scf`, scalar arithmetic `arith`.

    %0 = "baco.program_id"() {axis = 0 : i64} : () -> i64
    %1 = "baco.make_block_ptr"(%a, %m, %k, %k, %c1, %o0, %o1) {order = array<i64: 1, 0>}
         : (!baco.ptr<i8>, i64, ...) -> !baco.block_ptr<tensor<64x32xi8>>
    %2 = "baco.load"(%1) {boundary_check = array<i64: 1, 1>} : (!baco.block_ptr<tensor<64x32xi8>>) -> tensor<64x32xi8>
    %3 = "baco.dot"(%2, %b, %acc) : (tensor<64x32xi8>, tensor<32x64xi8>, tensor<64x64xi32>) -> tensor<64x64xi32>
    %4 = "baco.requantise"(%3, %scale) {activation = "relu"} : (tensor<64x64xi32>, f32) -> tensor<64x64xi8>
    "baco.store"(%p, %4) {boundary_check = array<i64: 0, 0>} : (!baco.block_ptr<tensor<64x64xi8>>, tensor<64x64xi8>) -> ()

The bindings read the field annotations of an operation class as objects, so this module does not postpone their evaluation.
"""

from collections.abc import Sequence
from typing import Any

from baco.dialects.mlir import ext, ir

I64 = ir.IntegerType[64]
Axes = Any
"""A DenseI64ArrayAttr, which the bindings cannot yet name in a constraint; :func:`_axes` checks it."""

DATAFLOW = "dataflow"
"""The attribute of a product that says what stays in the array, where somebody minds."""
WEIGHT_STATIONARY, OUTPUT_STATIONARY = DATAFLOWS = ("weight_stationary", "output_stationary")

ACTIVATIONS = ("none", "relu")
"""What the store path can apply besides the scale."""


class Baco(ext.Dialect, name="baco"):
    """Block-level kernels."""


class Pointer(Baco.Type, name="ptr"):
    """``!baco.ptr<i8>``: the address of elements of one type."""

    element: ir.TypeAttr

    @property
    def element_type(self) -> ir.Type:
        return ir.TypeAttr(self.params[0]).value


class BlockPointer(Baco.Type, name="block_ptr"):
    """``!baco.block_ptr<tensor<64x32xi8>>``: a pointer to a block of that shape and element type."""

    block: ir.TypeAttr

    @property
    def block_type(self) -> ir.RankedTensorType:
        return ir.RankedTensorType(ir.TypeAttr(self.params[0]).value)


def require(condition: bool, op: Any, message: str) -> None:
    """Raise ValueError with the operation's name unless a condition holds."""
    if not condition:
        raise ValueError(f"{op.OPERATION_NAME}: {message}")


def malformed(op: Any, error: Exception) -> str:
    """What to say of an operation that is too far from its definition for its own check, which ended with `error`."""
    needed = [f.name for f in type(op)._fields if isinstance(f, ext.AttributeDef)]
    if getattr(type(op), "_ODS_OPERAND_SEGMENTS", None):
        needed.append("operandSegmentSizes")
    missing = [name for name in needed if name not in op.attributes]
    if missing:
        return f"{op.OPERATION_NAME}: attribute {missing[0]} is missing"
    if isinstance(error, ValueError):
        return f"{op.OPERATION_NAME}: {error}"
    return f"{op.OPERATION_NAME}: an operand, result or attribute is missing or of the wrong kind"


def _axes(op: Any, name: str, rank: int) -> None:
    """An attribute that lists dimensions names each at most once and none beyond the rank."""
    axes = list(ir.DenseI64ArrayAttr(op.attributes[name]))
    require(
        len(set(axes)) == len(axes) and all(0 <= a < rank for a in axes),
        op,
        f"{name} {axes} must list distinct dimensions of a rank-{rank} block",
    )


def _flags(op: Any, name: str, rank: int) -> None:
    """An attribute that holds 0 or 1 for each dimension."""
    flags = list(ir.DenseI64ArrayAttr(op.attributes[name]))
    require(len(flags) == rank and set(flags) <= {0, 1}, op, f"{name} {flags} must be {rank} flags, one a dimension")


class Verified(Baco.Operation):
    """Operations that check themselves: `check` raises ValueError, which MLIR reports at the operation's location.

    MLIR calls this before its own checks, so that an operation may lack any operand, result or attribute that `check` looks at.
    """

    @staticmethod
    def verify_invariants(op: Any) -> bool:
        try:
            op.check()
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            refused = str(error).startswith(f"{op.OPERATION_NAME}: ")
            op.location.emit_error(str(error) if refused else malformed(op, error))
            return False
        return True


class ProgramId(Baco.Operation, name="program_id"):
    """This program instance's index along a grid axis."""

    axis: ir.IntegerAttr
    result: ext.Result[I64] = ext.infer_result()


class NumPrograms(Baco.Operation, name="num_programs"):
    """How many program instances the grid has along an axis."""

    axis: ir.IntegerAttr
    result: ext.Result[I64] = ext.infer_result()


class MakeBlockPtr(Verified, name="make_block_ptr"):
    """A block pointer from a base and, for each dimension, size, stride and offset in elements."""

    result: ext.Result[BlockPointer]
    base: ext.Operand[Pointer]
    shape: Sequence[ext.Operand[I64]]
    strides: Sequence[ext.Operand[I64]]
    offsets: Sequence[ext.Operand[I64]]
    order: Axes

    def check(self) -> None:
        block = self.result.type.block_type
        for name in ("shape", "strides", "offsets"):
            count = len(getattr(self, name))
            require(count == block.rank, self, f"needs {block.rank} {name} for a rank-{block.rank} block, but has {count}")
        _axes(self, "order", block.rank)
        require(
            self.base.type.element_type == block.element_type,
            self,
            f"a pointer to {self.base.type.element_type} cannot make a block of {block.element_type}",
        )


class OffsetPointer(Verified, name="offset_pointer"):
    """A pointer moved by a number of elements."""

    result: ext.Result[Pointer]
    pointer: ext.Operand[Pointer]
    offset: ext.Operand[I64]

    def check(self) -> None:
        require(self.result.type == self.pointer.type, self, "keeps the type of its pointer")


class Advance(Verified, name="advance"):
    """The block pointer moved by a number of elements along each dimension."""

    result: ext.Result[BlockPointer]
    pointer: ext.Operand[BlockPointer]
    offsets: Sequence[ext.Operand[I64]]

    def check(self) -> None:
        rank = self.result.type.block_type.rank
        require(self.result.type == self.pointer.type, self, "keeps the type of its pointer")
        require(len(self.offsets) == rank, self, f"needs {rank} offsets for a rank-{rank} block, but has {len(self.offsets)}")


class Load(Verified, name="load"):
    """The block a pointer stands for. Elements outside the parent tensor, in the dimensions whose `boundary_check` is 1, read as zero."""

    result: ext.Result[Any]
    pointer: ext.Operand[BlockPointer]
    boundary_check: Axes

    def check(self) -> None:
        block = self.pointer.type.block_type
        require(self.result.type == block, self, f"a load through {self.pointer.type} gives {block}, not {self.result.type}")
        _flags(self, "boundary_check", block.rank)


class Store(Verified, name="store"):
    """Write a block. Elements outside the parent tensor, in the dimensions whose `boundary_check` is 1, are not written."""

    pointer: ext.Operand[BlockPointer]
    value: ext.Operand[Any]
    boundary_check: Axes

    def check(self) -> None:
        block = self.pointer.type.block_type
        require(self.value.type == block, self, f"a store through {self.pointer.type} takes {block}, not {self.value.type}")
        _flags(self, "boundary_check", block.rank)


class Zeros(Verified, name="zeros"):
    """A block of zeros."""

    result: ext.Result[Any]

    def check(self) -> None:
        require(
            isinstance(self.result.type, ir.RankedTensorType) and self.result.type.has_static_shape, self, "gives a tensor of static shape"
        )


class Dot(Verified, name="dot"):
    """``a @ b + acc``: int8 blocks with int32 sums, or float32 throughout. It may have a `dataflow`, one of :data:`DATAFLOWS`."""

    result: ext.Result[Any]
    a: ext.Operand[Any]
    b: ext.Operand[Any]
    acc: ext.Operand[Any]

    def check(self) -> None:
        a, b, acc = (ir.RankedTensorType(v.type) for v in (self.a, self.b, self.acc))
        shapes = [list(t.shape) for t in (a, b, acc)]
        ok = all(t.rank == 2 for t in (a, b, acc)) and shapes[0][1] == shapes[1][0] and shapes[2] == [shapes[0][0], shapes[1][1]]
        require(ok, self, f"shapes {shapes[0]} @ {shapes[1]} + {shapes[2]} do not agree")
        elements = tuple(str(t.element_type) for t in (a, b, acc))
        require(elements in (("i8", "i8", "i32"), ("f32", "f32", "f32")), self, "multiplies i8 blocks into an i32 block, or f32 into f32")
        require(self.result.type == acc, self, "gives the type of its accumulator")
        if DATAFLOW in self.attributes:
            hint = ir.StringAttr(self.attributes[DATAFLOW]).value
            require(hint in DATAFLOWS, self, f"dataflow is one of {', '.join(DATAFLOWS)}, not {hint}")


class Requantise(Verified, name="requantise"):
    """int32 to int8 on the way out: one float32 product, round half to even, clamp to int8, activation (GEMMINI_ISA.md section 6)."""

    result: ext.Result[Any]
    value: ext.Operand[Any]
    scale: ext.Operand[ir.F32Type]
    activation: ir.StringAttr

    def check(self) -> None:
        value, result = ir.RankedTensorType(self.value.type), ir.RankedTensorType(self.result.type)
        ok = list(value.shape) == list(result.shape) and str(value.element_type) == "i32" and str(result.element_type) == "i8"
        require(
            ir.StringAttr(self.activation).value in ACTIVATIONS,
            self,
            f"activation is one of {', '.join(ACTIVATIONS)}, not {self.activation}",
        )
        require(ok, self, f"turns an i32 block into an i8 block of the same shape, not {value} into {result}")
