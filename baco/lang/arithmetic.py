"""Arithmetic in kernels: type promotion, casts, operators and functions, on scalars and on blocks alike.

Operands of different types meet in the wider one, in the order int1, int8, int16, int32, int64, float32; a compile-time number takes the
other operand's type if it fits. Blocks of different shapes meet as in NumPy. Division and remainder of integers round down, as in Python.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

from baco.dialects import baco_blocks as blocks
from baco.dialects.mlir import arith, ir, math, tensor
from baco.lang.errors import SemanticError
from baco.lang.types import (
    RANKED,
    Block,
    BlockPointer,
    DType,
    Pointer,
    PointerBlock,
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

Value = Scalar | Block


def require(condition: bool, message: str) -> None:
    """Raise a SemanticError unless a condition holds."""
    if not condition:
        raise SemanticError(message)


def mlir_type(dtype: DType) -> ir.Type:
    """The MLIR type of an element type."""
    return ir.Type.parse(dtype.mlir)


def block_type(shape: Sequence[int], dtype: DType) -> ir.RankedTensorType:
    """The MLIR type of a block."""
    return ir.RankedTensorType.get(list(shape), mlir_type(dtype))


def like(value: Value, result: ir.Value, dtype: DType | None = None) -> Value:
    """A scalar or block of the same shape, held in `result`."""
    dtype = dtype or value.dtype
    return Block(dtype, value.shape, result) if isinstance(value, Block) else Scalar(dtype, result)


# Numbers as values -----------------------------------------------------------------------------------------------------------------------


def number_type(number: float) -> DType:
    """The type of a compile-time number that meets nothing else."""
    return int1 if isinstance(number, bool) else int64 if isinstance(number, int) else float32


def materialise(value: object, what: str = "this", dtype: DType | None = None) -> Scalar:
    """A run-time scalar from a scalar or a compile-time number; of `dtype` where given."""
    if isinstance(value, Scalar):
        return value if dtype is None or value.dtype is dtype else cast(value, dtype)
    require(isinstance(value, (bool, int, float)), f"{what} must be a number, not a {describe(value)}.")
    dtype = dtype or number_type(value)
    if dtype is float32:
        return Scalar(float32, arith.ConstantOp(mlir_type(float32), float(value)).result)
    require(isinstance(value, int), f"{value} is not a whole number, which {dtype} needs.")
    require(fits(value, dtype), f"{value} does not fit {dtype}.")
    return Scalar(dtype, arith.ConstantOp(mlir_type(dtype), int(value)).result, int(value) if dtype in (int1, int64) else None)


def fits(number: int, dtype: DType) -> bool:
    """Whether an integer type holds a number."""
    if dtype is int1:
        return number in (0, 1)
    return -(1 << (dtype.bits - 1)) <= number < 1 << (dtype.bits - 1)


def integer(value: object, what: str) -> Scalar:
    """A run-time 64-bit integer."""
    scalar = materialise(value, what)
    require(scalar.dtype is not float32 and scalar.dtype is not int1, f"{what} must be an integer, not {describe(value)}.")
    return cast(scalar, int64)


def as_block(value: object) -> Block:
    """A block, or the product of two as one."""
    if isinstance(value, Product):
        from baco.lang.blocks import accumulated, zeros

        return accumulated(value, zeros(value.shape, value.dtype))
    require(isinstance(value, Block), f"this must be a block, not a {describe(value)}.")
    return value


# Promotion and broadcasting --------------------------------------------------------------------------------------------------------------


def _plain(value: object, op: str) -> Value | float:
    """An operand: a scalar, a block, or a compile-time number."""
    if isinstance(value, Product):
        return as_block(value)
    if isinstance(value, (BlockPointer, PointerBlock, Pointer)):
        raise SemanticError(f"{op} does not apply to a {describe(value)}; pointers move with + and bl.advance.")
    ok = isinstance(value, (Scalar, Block, bool, int, float))
    require(ok, f"{op} does not apply to a {describe(value)}.")
    return value


def meet(left: Value | float, right: Value | float, at_least: DType | None = None) -> tuple[Value, Value, DType]:
    """Both operands in one type and, if one is a block, one shape."""
    known = [v.dtype for v in (left, right) if isinstance(v, (Scalar, Block))]
    dtype = max(known, key=RANKED.index)
    for number in (v for v in (left, right) if not isinstance(v, (Scalar, Block))):
        if isinstance(number, float):
            dtype = float32
        elif dtype is not float32 and not (isinstance(number, bool) or (dtype is not int1 and fits(number, dtype))):
            dtype = next((t for t in RANKED[RANKED.index(dtype) :] if t is not int1 and t is not float32 and fits(number, t)), int64)
    if at_least and RANKED.index(dtype) < RANKED.index(at_least):
        dtype = at_least
    a, b = (materialise(v, dtype=dtype) if not isinstance(v, (Scalar, Block)) else cast(v, dtype) for v in (left, right))
    if isinstance(a, Block) or isinstance(b, Block):
        shape = common_shape(getattr(a, "shape", ()), getattr(b, "shape", ()))
        a, b = spread(a, shape), spread(b, shape)
    return a, b, dtype


def common_shape(left: tuple[int, ...], right: tuple[int, ...]) -> tuple[int, ...]:
    """The shape in which two shapes meet, as in NumPy."""
    rank = max(len(left), len(right))
    x, y = ((1,) * (rank - len(s)) + tuple(s) for s in (left, right))
    ok = all(a == b or 1 in (a, b) for a, b in zip(x, y, strict=True))
    require(ok, f"shapes {' x '.join(map(str, left))} and {' x '.join(map(str, right))} do not meet.")
    return tuple(max(a, b) for a, b in zip(x, y, strict=True))


def spread(value: Value, shape: tuple[int, ...]) -> Block:
    """A value repeated to a block of a shape."""
    if isinstance(value, Scalar):
        return Block(value.dtype, shape, tensor.SplatOp(block_type(shape, value.dtype), value.value, []).result)
    block = value
    while len(block.shape) < len(shape):
        block = expand_dims(block, 0)
    if block.shape == shape:
        return block
    return Block(block.dtype, shape, blocks.Broadcast(block_type(shape, block.dtype), block.value).result)


def expand_dims(value: object, axis: object) -> Block:
    block = as_block(value)
    if isinstance(axis, (tuple, list)):
        for one in sorted(axis):
            block = expand_dims(block, one)
        return block
    rank = len(block.shape)
    require(
        isinstance(axis, int) and not isinstance(axis, bool) and -rank - 1 <= axis <= rank,
        f"axis must be from {-rank - 1} to {rank}, not {describe(axis)}.",
    )
    place = axis + rank + 1 if axis < 0 else axis
    shape = (*block.shape[:place], 1, *block.shape[place:])
    attribute = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), place)
    return Block(block.dtype, shape, blocks.ExpandDims(block_type(shape, block.dtype), block.value, attribute).result)


def broadcast_to(input: object, shape: object) -> Block:
    block, size = as_block(input), tuple(shape) if isinstance(shape, (tuple, list)) else shape
    require(isinstance(size, tuple) and all(isinstance(s, int) for s in size), f"shape must be compile-time integers, not {shape!r}.")
    require(common_shape(block.shape, size) == size, f"a {describe(block)} cannot be repeated to {' x '.join(map(str, size))}.")
    return spread(block, size)


# Casts -----------------------------------------------------------------------------------------------------------------------------------


def cast(input: object, dtype: object, fp_downcast_rounding: object = None, bitcast: object = False) -> Value:
    """Integers wrap, floats become integers by truncation and saturation, and anything but zero is true."""
    require(fp_downcast_rounding is None, "fp_downcast_rounding is about floats narrower than float32, which are not here; leave it out.")
    value = as_block(input) if isinstance(input, (Block, Product)) else materialise(input)
    require(isinstance(dtype, DType), f"dtype must be an element type such as bl.int32, not {describe(dtype)}.")
    if value.dtype is dtype:
        return value
    if bitcast:
        same = value.dtype.bits == dtype.bits
        require(same, f"bitcast keeps the bits, but {value.dtype} has {value.dtype.bits} of them and {dtype} {dtype.bits}.")
        return like(
            value,
            arith.BitcastOp(block_type(value.shape, dtype) if isinstance(value, Block) else mlir_type(dtype), value.value).result,
            dtype,
        )
    type_ = block_type(value.shape, dtype) if isinstance(value, Block) else mlir_type(dtype)
    if value.dtype is float32:
        return like(value, _from_float(value, dtype, type_), dtype)
    if dtype is int1:
        return like(value, arith.CmpIOp(arith.CmpIPredicate.ne, value.value, _constant(value, 0)).result, dtype)
    if dtype is float32:
        convert = arith.UIToFPOp if value.dtype is int1 else arith.SIToFPOp
    elif dtype.bits < value.dtype.bits:
        convert = arith.TruncIOp
    else:
        convert = arith.ExtUIOp if value.dtype is int1 else arith.ExtSIOp
    result = like(value, convert(type_, value.value).result, dtype)
    return Scalar(dtype, result.value, value.symbol) if isinstance(value, Scalar) and dtype is int64 else result


def _from_float(value: Value, dtype: DType, type_: ir.Type) -> ir.Value:
    if dtype is int1:
        return arith.CmpFOp(arith.CmpFPredicate.UNE, value.value, _constant(value, 0.0)).result
    # Clamped first, because MLIR leaves the conversion of values out of range undefined. The top is the last float32 below 2**(bits-1).
    top = float((1 << (dtype.bits - 1)) - (1 << max(0, dtype.bits - 25)))
    low = arith.MaxNumFOp(value.value, _constant(value, -float(1 << (dtype.bits - 1)))).result
    return arith.FPToSIOp(type_, arith.MinNumFOp(low, _constant(value, top)).result).result


def _constant(value: Value, number: float) -> ir.Value:
    """A compile-time number of a value's type and shape."""
    scalar = materialise(number, dtype=value.dtype)
    return spread(scalar, value.shape).value if isinstance(value, Block) else scalar.value


# Operators -------------------------------------------------------------------------------------------------------------------------------

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
_FLOAT = {
    "+": arith.AddFOp,
    "-": arith.SubFOp,
    "*": arith.MulFOp,
    "/": arith.DivFOp,
    "min": arith.MinNumFOp,
    "max": arith.MaxNumFOp,
    "min with NaN": arith.MinimumFOp,
    "max with NaN": arith.MaximumFOp,
}
_BITWISE = ("&", "|", "^")
_PYTHON: dict[str, Callable[..., object]] = {
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
_RUNTIME = (Scalar, Block, Product, Pointer, BlockPointer, PointerBlock)


def binary(op: str, left: object, right: object) -> object:
    """A binary operator on whatever kernel code applies it to."""
    from baco.lang.blocks import added_product, dot
    from baco.lang.pointers import move

    if op == "@":
        return dot(left, right)
    if op in "+-" and isinstance(left, (Pointer, PointerBlock)):
        return move(left, right if op == "+" else unary("-", right))
    if op == "+" and isinstance(right, (Pointer, PointerBlock)):
        return move(right, left)
    if op == "+" and (product := added_product(left, right)) is not None:
        return product
    if not isinstance(left, _RUNTIME) and not isinstance(right, _RUNTIME):
        return _python(op, left, right)
    a, b, dtype = meet(_plain(left, op), _plain(right, op), at_least=float32 if op == "/" else None)
    return _on_floats(op, a, b) if dtype is float32 else _on_integers(op, a, b)


def _python(op: str, left: object, right: object) -> object:
    try:
        return _PYTHON[op](left, right)
    except (TypeError, ValueError, ArithmeticError, KeyError) as error:
        raise SemanticError(f"{left!r} {op} {right!r}: {error}.") from None


def _on_integers(op: str, a: Value, b: Value) -> Value:
    if a.dtype is int1 and op not in _BITWISE:
        a, b = cast(a, int8), cast(b, int8)
    if op == "%":
        # Python's sign rule: the remainder has the sign of the divisor.
        rest = arith.SubIOp(a.value, arith.MulIOp(arith.FloorDivSIOp(a.value, b.value).result, b.value).result).result
    elif op in _INTEGER:
        rest = _INTEGER[op](a.value, b.value).result
    else:
        raise SemanticError(f"{op} does not apply to run-time integers.")
    if isinstance(a, Block):
        return like(a, rest)
    return Scalar(a.dtype, rest, combine(op, a.symbol, b.symbol) if a.dtype is int64 else None)


def _on_floats(op: str, a: Value, b: Value) -> Value:
    if op in _FLOAT:
        return like(a, _FLOAT[op](a.value, b.value).result)
    require(op in ("//", "%"), f"{op} does not apply to floats.")
    quotient = math.FloorOp(arith.DivFOp(a.value, b.value).result).result
    if op == "//":
        return like(a, quotient)
    return like(a, arith.SubFOp(a.value, arith.MulFOp(quotient, b.value).result).result)


_PREDICATES = {
    "<": (arith.CmpIPredicate.slt, arith.CmpFPredicate.OLT),
    "<=": (arith.CmpIPredicate.sle, arith.CmpFPredicate.OLE),
    ">": (arith.CmpIPredicate.sgt, arith.CmpFPredicate.OGT),
    ">=": (arith.CmpIPredicate.sge, arith.CmpFPredicate.OGE),
    "==": (arith.CmpIPredicate.eq, arith.CmpFPredicate.OEQ),
    "!=": (arith.CmpIPredicate.ne, arith.CmpFPredicate.UNE),
}
_COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "is": operator.is_,
    "is not": operator.is_not,
    "in": lambda a, b: a in b,
    "not in": lambda a, b: a not in b,
}


def compare(op: str, left: object, right: object) -> object:
    """A comparison of whatever kernel code compares."""
    if op in ("is", "is not") or (not isinstance(left, _RUNTIME) and not isinstance(right, _RUNTIME)):
        try:
            return _COMPARE[op](left, right)
        except TypeError as error:
            raise SemanticError(f"{error}.") from None
    require(op in _PREDICATES, f"`{op}` is for compile-time values, not for {describe(left)} and {describe(right)}.")
    a, b, dtype = meet(_plain(left, op), _plain(right, op))
    if dtype is int1 and op not in ("==", "!="):
        a, b, dtype = cast(a, int8), cast(b, int8), int8
    on_integers, on_floats = _PREDICATES[op]
    result = arith.CmpFOp(on_floats, a.value, b.value) if dtype is float32 else arith.CmpIOp(on_integers, a.value, b.value)
    return like(a, result.result, int1)


def unary(op: str, value: object) -> object:
    """``-x``, ``+x``, ``~x`` or ``not x``."""
    if not isinstance(value, _RUNTIME):
        try:
            return {"-": operator.neg, "+": operator.pos, "~": operator.invert, "not": operator.not_}[op](value)
        except TypeError:
            raise SemanticError(f"{op} does not apply to a {describe(value)}.") from None
    operand = _plain(value, op)
    if op == "+":
        return operand
    if op == "not":
        return logical_not(operand)
    if op == "-":
        return binary("-", 0.0 if operand.dtype is float32 else 0, operand)
    require(operand.dtype is not float32, "~ does not apply to floats.")
    return like(operand, arith.XOrIOp(operand.value, _constant(operand, True if operand.dtype is int1 else -1)).result)


def logical_not(value: Value) -> Value:
    """Whether a value is zero."""
    truth = cast(value, int1)
    return like(truth, arith.XOrIOp(truth.value, _constant(truth, True)).result)


def cdiv(x: object, div: object) -> object:
    return binary("cdiv", x, div)


# Functions -------------------------------------------------------------------------------------------------------------------------------


def where(condition: object, x: object, y: object) -> Value:
    truth = cast(_plain(condition, "where") if isinstance(condition, _RUNTIME) else materialise(condition), int1)
    x, y = (_plain(v, "where") for v in (x, y))
    if not isinstance(x, (Scalar, Block)) and not isinstance(y, (Scalar, Block)):
        x = materialise(x, dtype=float32 if isinstance(y, float) else None)
    a, b, dtype = meet(x, y)
    if isinstance(truth, Block) or isinstance(a, Block):
        shape = common_shape(getattr(truth, "shape", ()), getattr(a, "shape", ()))
        truth, a, b = (spread(v, shape) for v in (truth, a, b))
    return like(a, arith.SelectOp(truth.value, a.value, b.value).result, dtype)


def minimum(x: object, y: object, propagate_nan: object = "none") -> object:
    return _extreme("min", x, y, propagate_nan)


def maximum(x: object, y: object, propagate_nan: object = "none") -> object:
    return _extreme("max", x, y, propagate_nan)


def _extreme(op: str, x: object, y: object, propagate_nan: object) -> object:
    """The smaller or larger of two values; of a NaN and a number the number, unless NaNs are to be kept."""
    require(propagate_nan in ("none", "all"), f"propagate_nan must be bl.PropagateNan.NONE or ALL, not {describe(propagate_nan)}.")
    floats = any(getattr(v, "dtype", None) is float32 for v in (x, y))
    return binary(f"{op} with NaN" if propagate_nan == "all" and floats else op, x, y)


def _function(op: type, x: object) -> Value:
    value = _plain(x, op.OPERATION_NAME.removeprefix("math."))
    operand = cast(value if isinstance(value, (Scalar, Block)) else materialise(value), float32)
    return like(operand, op(operand.value).result)


def exp(x: object) -> Value:
    return _function(math.ExpOp, x)


def exp2(x: object) -> Value:
    return _function(math.Exp2Op, x)


def log(x: object) -> Value:
    return _function(math.LogOp, x)


def log2(x: object) -> Value:
    return _function(math.Log2Op, x)


def sqrt(x: object) -> Value:
    return _function(math.SqrtOp, x)


def rsqrt(x: object) -> Value:
    return binary("/", 1.0, sqrt(x))


def sin(x: object) -> Value:
    return _function(math.SinOp, x)


def cos(x: object) -> Value:
    return _function(math.CosOp, x)


def floor(x: object) -> Value:
    return _function(math.FloorOp, x)


def ceil(x: object) -> Value:
    return _function(math.CeilOp, x)


def abs(x: object) -> Value:
    value = _plain(x, "abs")
    operand = value if isinstance(value, (Scalar, Block)) else materialise(value)
    op = math.AbsFOp if operand.dtype is float32 else math.AbsIOp
    return like(operand, op(operand.value).result)


def sigmoid(x: object) -> Value:
    return binary("/", 1.0, binary("+", 1.0, exp(unary("-", x))))


def promoted_sum(dtype: DType) -> DType:
    """The type in which elements are summed: at least int32."""
    return dtype if dtype in (int32, int64, float32) else int32
