"""What each builtin means: the functions that the front end calls, by the name a builtin has in :mod:`baco.lang.language`.

They are called with values of :mod:`baco.lang.types` or compile-time Python values, under the location of the call, and raise
:class:`SemanticError` with one sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from baco.dialects import baco as dialect
from baco.dialects import baco_blocks as blocks
from baco.dialects.mlir import ir
from baco.lang import functions, standard
from baco.lang.arithmetic import (
    abs,
    as_block,
    binary,
    broadcast_to,
    cast,
    cdiv,
    ceil,
    compare,
    cos,
    exp,
    exp2,
    expand_dims,
    floor,
    integer,
    log,
    log2,
    materialise,
    maximum,
    minimum,
    mlir_type,
    require,
    rsqrt,
    sigmoid,
    sin,
    sqrt,
    unary,
    where,
)
from baco.lang.blocks import arange, dot, full, gemmini_dot, max, max_pool, min, permute, relu, requantise, sum, trans, zeros, zeros_like
from baco.lang.errors import SemanticError
from baco.lang.pointers import (
    FACTS,
    advance,
    descriptor_load,
    descriptor_store,
    load,
    make_block_ptr,
    make_tensor_descriptor,
    move,
    store,
)
from baco.lang.types import Block, Product, Scalar, describe, int64

__all__ = [
    "FACTS",
    "StaticAssertion",
    "abs",
    "advance",
    "arange",
    "as_block",
    "binary",
    "broadcast_to",
    "cast",
    "cdiv",
    "ceil",
    "compare",
    "cos",
    "descriptor_load",
    "descriptor_store",
    "device_print",
    "dot",
    "exp",
    "exp2",
    "expand_dims",
    "floor",
    "full",
    "gemmini_dot",
    "integer",
    "load",
    "log",
    "log2",
    "make_block_ptr",
    "make_tensor_descriptor",
    "materialise",
    "max",
    "max_pool",
    "maximum",
    "meaning",
    "min",
    "minimum",
    "mlir_type",
    "move",
    "num_programs",
    "permute",
    "program_id",
    "range",
    "relu",
    "requantise",
    "rsqrt",
    "sigmoid",
    "sin",
    "sqrt",
    "static_assert",
    "static_print",
    "store",
    "sum",
    "trans",
    "unary",
    "where",
    "zeros",
    "zeros_like",
]


class StaticAssertion(SemanticError):
    """A static_assert that does not hold."""


def _axis(axis: object) -> ir.IntegerAttr:
    require(isinstance(axis, int) and axis in (0, 1, 2), f"axis must be 0, 1 or 2, not {describe(axis)}.")
    return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), axis)


def program_id(axis: object) -> Scalar:
    return Scalar(int64, dialect.ProgramId(_axis(axis)).result)


def num_programs(axis: object) -> Scalar:
    return Scalar(int64, dialect.NumPrograms(_axis(axis)).result)


def static_assert(cond: object, msg: object = "") -> None:
    require(not isinstance(cond, (Scalar, Block, Product)), "static_assert needs a compile-time condition; use device_assert.")
    if not cond:
        raise StaticAssertion(f"static_assert failed{f': {msg}' if msg else ''}.")


def device_print(prefix: object, *args: object, hex: object = False) -> None:
    require(isinstance(prefix, str), f"the first argument of device_print is a text, not a {describe(prefix)}.")
    require(bool(args), "device_print needs a value after its text.")
    require(not hex, "device_print writes decimal numbers; leave hex out.")
    for value in args:
        shown = as_block(value) if isinstance(value, (Block, Product)) else materialise(value)
        blocks.Print(shown.value, ir.StringAttr.get(f"{prefix} "))


def static_print(*values: object, sep: str = " ", end: str = "\n", file: Any = None, flush: bool = False) -> None:
    print(*(v if isinstance(v, str) else describe(v) for v in values), sep=sep, end=end, file=file, flush=flush)


def item(value: object) -> Scalar:
    """The one element of a block."""
    block = as_block(value)
    require(functions.ravel(block).shape == (1,), f"item is for a block of one element, not for a {describe(block)}.")
    return functions.squeeze(functions.ravel(block), 0)


def range(*arguments: object, **keywords: object) -> None:
    raise SemanticError("bl.range belongs into the head of a for loop.")


def meaning(name: str) -> Callable[..., Any]:
    """What a builtin does, by its name."""
    return getattr(functions, name) if name in standard.__all__ else globals()[name]
