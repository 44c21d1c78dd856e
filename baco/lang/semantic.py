"""What each builtin and operator means: type checks, and the operations of the baco dialect it becomes.

Functions here are called by the front end with values of :mod:`baco.lang.types` or compile-time Python values, under the location of
the call; they raise :class:`SemanticError` with one sentence.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from contextvars import ContextVar

from baco.dialects import baco as dialect
from baco.dialects.mlir import arith, ir
from baco.lang.errors import SemanticError
from baco.lang.types import (
    BLOCK_TYPES,
    Block,
    BlockPointer,
    Descriptor,
    DType,
    Extent,
    KernelFacts,
    Pointer,
    Product,
    Scalar,
    combine,
    describe,
    float32,
    int1,
    int8,
    int32,
    int64,
)

FACTS: ContextVar[KernelFacts] = ContextVar("facts")
"""What the kernel being read has shown about its parameters."""

_GPU_ONLY = "has no meaning on Gemmini, which has no caches; leave it out."


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise SemanticError(message)


def mlir_type(dtype: DType) -> ir.Type:
    return ir.Type.parse(dtype.mlir)


def block_type(shape: Sequence[int], dtype: DType) -> ir.RankedTensorType:
    return ir.RankedTensorType.get(list(shape), mlir_type(dtype))


# Scalars -----------------------------------------------------------------------------------------------------------------------------


def materialise(value: object, what: str = "this") -> Scalar:
    """A run-time scalar from a scalar or a compile-time number."""
    if isinstance(value, Scalar):
        return value
    if isinstance(value, bool):
        return Scalar(int1, arith.ConstantOp(mlir_type(int1), int(value)).result, int(value))
    if isinstance(value, int):
        _require(-(1 << 63) <= value < 1 << 63, f"{value} does not fit a 64-bit integer.")
        return Scalar(int64, arith.ConstantOp(mlir_type(int64), value).result, value)
    if isinstance(value, float):
        return Scalar(float32, arith.ConstantOp(mlir_type(float32), value).result)
    raise SemanticError(f"{what} must be a number, not a {describe(value)}.")


def integer(value: object, what: str) -> Scalar:
    """A run-time integer."""
    scalar = materialise(value, what)
    _require(scalar.dtype is int64, f"{what} must be an integer, not {describe(value)}.")
    return scalar


_INTEGER = {
    "+": arith.AddIOp,
    "-": arith.SubIOp,
    "*": arith.MulIOp,
    "//": arith.FloorDivSIOp,
    "cdiv": arith.CeilDivSIOp,
    "min": arith.MinSIOp,
    "max": arith.MaxSIOp,
    "&": arith.AndIOp,
    "|": arith.OrIOp,
    "^": arith.XOrIOp,
    "<<": arith.ShLIOp,
    ">>": arith.ShRSIOp,
}
_FLOAT = {"+": arith.AddFOp, "-": arith.SubFOp, "*": arith.MulFOp, "/": arith.DivFOp}
_PYTHON = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<<": operator.lshift,
    ">>": operator.rshift,
    "cdiv": lambda a, b: -(-a // b),
    "min": min,
    "max": max,
}


def binary(op: str, left: object, right: object) -> object:
    """A binary operator on whatever kernel code applies it to."""
    if isinstance(left, (Block, Product)) or isinstance(right, (Block, Product)):
        return _block_binary(op, left, right)
    for value in (left, right):
        if isinstance(value, (Pointer, BlockPointer)):
            raise SemanticError(f"{op} does not apply to a {describe(value)}; move a block pointer with bl.advance.")
    if not isinstance(left, Scalar) and not isinstance(right, Scalar):
        return _python(op, left, right)
    return _scalar_binary(op, materialise(left), materialise(right))


def _python(op: str, left: object, right: object) -> object:
    try:
        return _PYTHON[op](left, right)
    except (TypeError, ValueError, ArithmeticError, KeyError) as error:
        raise SemanticError(f"{left!r} {op} {right!r}: {error}.") from None


def _scalar_binary(op: str, left: Scalar, right: Scalar) -> Scalar:
    if left.dtype is int64 and right.dtype is int64:
        if op == "%":
            # Python's sign rule: the remainder has the sign of the divisor.
            multiple = binary("*", binary("//", left, right), right)
            rest = binary("-", left, multiple)
            return Scalar(int64, rest.value, combine("%", left.symbol, right.symbol))
        if op in _INTEGER:
            return Scalar(int64, _INTEGER[op](left.value, right.value).result, combine(op, left.symbol, right.symbol))
        raise SemanticError(f"{op} does not apply to run-time integers; use // for division.")
    if left.dtype is float32 and right.dtype is float32 and op in _FLOAT:
        return Scalar(float32, _FLOAT[op](left.value, right.value).result)
    raise SemanticError(f"{op} does not apply to {describe(left)} and {describe(right)}.")


def _block_binary(op: str, left: object, right: object) -> Block:
    if op == "+":
        for product, acc in ((right, left), (left, right)):
            if isinstance(product, Product) and isinstance(acc, (Block, Product)):
                return dot(product.a, product.b, as_block(acc))
    if op == "@":
        return dot(left, right)
    raise SemanticError(f"{op} on blocks is not something Gemmini computes; blocks multiply with bl.dot and add with acc += bl.dot(a, b).")


def as_block(value: object) -> Block:
    """A block, or the product of two as one."""
    if isinstance(value, Product):
        return dot(value.a, value.b, zeros(value.shape, int32))
    _require(isinstance(value, Block), f"this must be a block, not a {describe(value)}.")
    return value


_PREDICATES = {
    "<": arith.CmpIPredicate.slt,
    "<=": arith.CmpIPredicate.sle,
    ">": arith.CmpIPredicate.sgt,
    ">=": arith.CmpIPredicate.sge,
    "==": arith.CmpIPredicate.eq,
    "!=": arith.CmpIPredicate.ne,
}
_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne}


def compare(op: str, left: object, right: object) -> object:
    """A comparison of scalars."""
    if not isinstance(left, Scalar) and not isinstance(right, Scalar):
        try:
            return _COMPARE[op](left, right)
        except TypeError as error:
            raise SemanticError(f"{error}.") from None
    a, b = integer(left, f"the left side of {op}"), integer(right, f"the right side of {op}")
    return Scalar(int1, arith.CmpIOp(_PREDICATES[op], a.value, b.value).result)


def cdiv(x: object, div: object) -> object:
    return binary("cdiv", x, div)


# Grid --------------------------------------------------------------------------------------------------------------------------------


def _axis(axis: object) -> ir.IntegerAttr:
    _require(isinstance(axis, int) and axis in (0, 1, 2), f"axis must be 0, 1 or 2, not {describe(axis)}.")
    return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), axis)


def program_id(axis: object) -> Scalar:
    return Scalar(int64, dialect.ProgramId(_axis(axis)).result)


def num_programs(axis: object) -> Scalar:
    return Scalar(int64, dialect.NumPrograms(_axis(axis)).result)


# Memory ------------------------------------------------------------------------------------------------------------------------------


def _shape(shape: object, what: str) -> tuple[int, ...]:
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else shape
    ok = isinstance(shape, tuple) and len(shape) == 2 and all(isinstance(s, int) and not isinstance(s, bool) and s > 0 for s in shape)
    _require(ok, f"{what} must be two positive compile-time integers, not {shape!r}; declare block sizes as bl.constexpr.")
    return shape


def _per_dimension(values: object, rank: int, what: str) -> tuple[Scalar, ...]:
    _require(
        isinstance(values, (tuple, list)) and len(values) == rank,
        f"{what} must be {rank} integers, one a dimension, not {_listing(values)}.",
    )
    return tuple(integer(v, f"{what}[{i}]") for i, v in enumerate(values))


def _listing(values: object) -> str:
    return f"{len(values)} values" if isinstance(values, (tuple, list)) else f"a {describe(values)}"


def _axes(axes: object, rank: int, what: str) -> list[int]:
    axes = [axes] if isinstance(axes, int) else axes
    ok = isinstance(axes, (tuple, list)) and all(isinstance(a, int) and 0 <= a < rank for a in axes) and len(set(axes)) == len(axes)
    _require(ok, f"{what} must list distinct dimensions below {rank}, not {axes!r}.")
    return list(axes)


def make_block_ptr(
    base: object, shape: object, strides: object, offsets: object, block_shape: object, order: object = (1, 0)
) -> BlockPointer:
    _require(isinstance(base, Pointer), f"base must be a pointer argument of the kernel, not a {describe(base)}.")
    _require(base.dtype in BLOCK_TYPES, f"{base.name} points to {base.dtype}; blocks on Gemmini are int8 or int32.")
    block = _shape(block_shape, "block_shape")
    rank = len(block)
    if _axes(order, rank, "order") != [1, 0]:
        raise SemanticError(
            f"order {tuple(order)} asks for column-major blocks, but Gemmini moves rows of contiguous elements; use order=(1, 0)."
        )
    sizes, steps, starts = (_per_dimension(v, rank, n) for v, n in ((shape, "shape"), (strides, "strides"), (offsets, "offsets")))
    if steps[-1].symbol != 1:
        raise SemanticError(f"strides[{rank - 1}] must be 1, because Gemmini moves rows of contiguous elements; pass a row-major array.")
    FACTS.get().extents.append(Extent(base.name, tuple(s.symbol for s in sizes), tuple(s.symbol for s in steps)))
    type_ = dialect.BlockPointer.get(block_type(block, base.dtype))
    axes = ir.DenseI64ArrayAttr.get([1, 0])
    op = dialect.MakeBlockPtr(type_, base.value, [s.value for s in sizes], [s.value for s in steps], [s.value for s in starts], axes)
    return BlockPointer(base.dtype, block, op.result, base.name)


def advance(base: object, offsets: object) -> BlockPointer:
    _require(isinstance(base, BlockPointer), f"bl.advance moves a block pointer, not a {describe(base)}.")
    moves = _per_dimension(offsets, len(base.shape), "offsets")
    op = dialect.Advance(base.value.type, base.value, [m.value for m in moves])
    return BlockPointer(base.dtype, base.shape, op.result, base.name)


def make_tensor_descriptor(base: object, shape: object, strides: object, block_shape: object) -> Descriptor:
    _require(isinstance(base, Pointer), f"base must be a pointer argument of the kernel, not a {describe(base)}.")
    block = _shape(block_shape, "block_shape")
    sizes = _per_dimension(shape, len(block), "shape")
    return Descriptor(base, sizes, _per_dimension(strides, len(block), "strides"), block)


def descriptor_load(self: Descriptor, offsets: object) -> Block:
    return load(_at(self, offsets), boundary_check=(0, 1))


def descriptor_store(self: Descriptor, offsets: object, value: object) -> None:
    store(_at(self, offsets), value, boundary_check=(0, 1))


def _at(descriptor: Descriptor, offsets: object) -> BlockPointer:
    return make_block_ptr(descriptor.base, descriptor.shape, descriptor.strides, offsets, descriptor.block_shape, (1, 0))


def load(
    pointer: object,
    mask: object = None,
    other: object = None,
    boundary_check: object = (),
    padding_option: object = "",
    cache_modifier: object = "",
    eviction_policy: object = "",
    volatile: object = False,
) -> Block:
    _require(
        isinstance(pointer, BlockPointer),
        f"bl.load reads through a block pointer, not a {describe(pointer)}; make one with bl.make_block_ptr.",
    )
    _require(mask is None and other is None, "mask and other belong to raw pointers; with a block pointer use boundary_check.")
    _require(padding_option in ("", "zero"), f"padding_option must be 'zero', not {padding_option!r}.")
    for name, value in (("cache_modifier", cache_modifier), ("eviction_policy", eviction_policy), ("volatile", volatile)):
        _require(not value, f"{name} {_GPU_ONLY}")
    op = dialect.Load(block_type(pointer.shape, pointer.dtype), pointer.value, _checked(boundary_check, pointer))
    return Block(pointer.dtype, pointer.shape, op.result)


def store(
    pointer: object,
    value: object,
    mask: object = None,
    boundary_check: object = (),
    cache_modifier: object = "",
    eviction_policy: object = "",
) -> None:
    _require(
        isinstance(pointer, BlockPointer),
        f"bl.store writes through a block pointer, not a {describe(pointer)}; make one with bl.make_block_ptr.",
    )
    _require(mask is None, "mask belongs to raw pointers; with a block pointer use boundary_check.")
    for name, given in (("cache_modifier", cache_modifier), ("eviction_policy", eviction_policy)):
        _require(not given, f"{name} {_GPU_ONLY}")
    block = as_block(value)
    _require(block.shape == pointer.shape, f"cannot store a {describe(block)} through a {describe(pointer)}: the shapes differ.")
    advice = "; turn int32 into int8 with bl.gemmini.requantise" if (block.dtype, pointer.dtype) == (int32, int8) else ""
    _require(
        block.dtype == pointer.dtype, f"cannot store a {describe(block)} through a {describe(pointer)}: the element types differ{advice}."
    )
    FACTS.get().stored.add(pointer.name)
    dialect.Store(pointer.value, block.value, _checked(boundary_check, pointer))


def _checked(boundary_check: object, pointer: BlockPointer) -> ir.DenseI64ArrayAttr:
    """The dimensions to check as one flag a dimension."""
    axes = _axes(boundary_check, len(pointer.shape), "boundary_check")
    return ir.DenseI64ArrayAttr.get([int(axis in axes) for axis in range(len(pointer.shape))])


# Blocks ------------------------------------------------------------------------------------------------------------------------------


def zeros(shape: object, dtype: object) -> Block:
    size = _shape(shape, "shape")
    _require(dtype in BLOCK_TYPES, f"blocks on Gemmini are int8 or int32, not {dtype!r}.")
    return Block(dtype, size, dialect.Zeros(block_type(size, dtype)).result)


def dot(
    input: object,
    other: object,
    acc: object = None,
    input_precision: object = None,
    allow_tf32: object = None,
    max_num_imprecise_acc: object = None,
    out_dtype: object = int32,
) -> Block | Product:
    for name, given in (("input_precision", input_precision), ("allow_tf32", allow_tf32), ("max_num_imprecise_acc", max_num_imprecise_acc)):
        _require(given is None, f"{name} is about floating point; Gemmini multiplies int8 exactly. Leave it out.")
    _require(out_dtype is int32, f"Gemmini accumulates in int32, not {out_dtype}.")
    a, b = as_block(input), as_block(other)
    for block, side in ((a, "left"), (b, "right")):
        _require(block.dtype is int8, f"bl.dot multiplies int8 blocks, but the {side} one is a {describe(block)}.")
    _require(
        a.shape[1] == b.shape[0],
        f"bl.dot: the left block is {a.shape[0]}x{a.shape[1]} and the right one {b.shape[0]}x{b.shape[1]}; "
        f"{a.shape[1]} columns do not meet {b.shape[0]} rows.",
    )
    if acc is None:
        return Product(a, b)
    total = as_block(acc)
    expected = (a.shape[0], b.shape[1])
    _require(total.dtype is int32, f"bl.dot accumulates into int32, but acc is a {describe(total)}.")
    _require(total.shape == expected, f"bl.dot gives a {expected[0]}x{expected[1]} block, but acc is a {describe(total)}.")
    return Block(int32, expected, dialect.Dot(total.value.type, a.value, b.value, total.value).result)


def requantise(value: object, scale: object = 1.0, relu: object = False) -> Block:
    block = as_block(value)
    _require(block.dtype is int32, f"bl.gemmini.requantise takes an int32 block, not a {describe(block)}.")
    _require(isinstance(relu, bool), f"relu must be True or False at compile time, not {describe(relu)}.")
    if isinstance(scale, (int, float)) and not isinstance(scale, bool):
        _require(0 <= scale < 2**31, f"scale must be from 0 up to 2**31, where all implementations of Gemmini agree, but is {scale}.")
        scale = float(scale)
    factor = materialise(scale, "scale")
    _require(factor.dtype is float32, f"scale must be a float, not {describe(scale)}.")
    op = dialect.Requantise(block_type(block.shape, int8), block.value, factor.value, ir.StringAttr.get("relu" if relu else "none"))
    return Block(int8, block.shape, op.result)


# Compile time ------------------------------------------------------------------------------------------------------------------------


class StaticAssertion(SemanticError):
    """A static_assert that does not hold."""


def static_assert(condition: object, message: object = "") -> None:
    _require(not isinstance(condition, (Scalar, Block)), "static_assert needs a compile-time condition.")
    if not condition:
        raise StaticAssertion(f"static_assert failed{f': {message}' if message else ''}.")


def static_print(*values: object) -> None:
    print(*(v if isinstance(v, str) else describe(v) for v in values))
