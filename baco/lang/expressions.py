"""Reading a kernel's expressions: names, operators, attributes, indices and calls.

What an operator or a builtin means is in :mod:`baco.lang.semantic`; here the tree is walked, and every error and every operation is put at
its line and column.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from baco import knobs
from baco.dialects.mlir import ir
from baco.lang import language, semantic
from baco.lang.builtins import BUILTIN
from baco.lang.errors import (
    CompileTimeAssertionFailure,
    KernelTypeError,
    SemanticError,
    UnsupportedLanguageConstruct,
)
from baco.lang.language import METHODS
from baco.lang.source import KernelSource
from baco.lang.types import (
    BY_NAME,
    Block,
    BlockPointer,
    Descriptor,
    DType,
    KernelFacts,
    Pointer,
    PointerBlock,
    Product,
    Scalar,
    constexpr,
    describe,
    int1,
)

BINARY = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.MatMult: "@",
}
_UNARY = {ast.UAdd: "+", ast.USub: "-", ast.Invert: "~", ast.Not: "not"}
_METHODS = {
    **{name: semantic.meaning(name) for name in METHODS},
    "to": semantic.cast,
    "item": semantic.item,
    "logical_and": lambda x, other: semantic.binary("&", semantic.cast(x, int1), semantic.cast(other, int1)),
    "logical_or": lambda x, other: semantic.binary("|", semantic.cast(x, int1), semantic.cast(other, int1)),
}
"""Functions that a value also has as methods."""
MOST_CALLS = 50
"""How deep device functions may call each other."""
_COMPARE = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
_PYTHON_FUNCTIONS = {"min", "max", "abs", "len", "int", "float", "bool", "str"}
_REMEDY = {
    "Try": "a kernel has no exceptions.",
    "With": "a kernel has no context managers.",
    "FunctionDef": "a kernel has no inner functions.",
    "Lambda": "a kernel has no inner functions.",
    "ListComp": "write a for loop over range.",
    "Import": "import outside the kernel.",
    "Break": "a loop runs to its end.",
    "Continue": "a loop runs to its end.",
    "Global": "a kernel has only its own variables.",
}


class ExpressionReader:
    """Walks expressions of one kernel. `variables` maps the names seen so far to their values."""

    def __init__(self, source: KernelSource, namespace: Mapping[str, Any], variables: dict[str, Any], calls: int = 0) -> None:
        self.source = source
        self.namespace = namespace
        self.variables = variables
        self.facts = KernelFacts()
        self.calls = calls
        """How many device functions are being read around this one."""

    def device_function(self, function: Any, bound: dict[str, Any]) -> object:
        """Read a device function's statements in place of a call of it, and give what it returns."""
        raise NotImplementedError

    # Places and errors -----------------------------------------------------------------------------------------------------------

    @contextmanager
    def at(self, node: ast.AST) -> Iterator[None]:
        """Operations and semantic errors inside belong to `node`."""
        place = self.source.place(node)
        try:
            with ir.Location.file(place.file, place.line, place.column):
                yield
        except semantic.StaticAssertion as error:
            raise CompileTimeAssertionFailure(str(error), place) from self._inside(error)
        except SemanticError as error:
            raise KernelTypeError(str(error), place) from self._inside(error)

    @staticmethod
    def _inside(error: Exception) -> Exception | None:
        """What an error is raised from: nothing, so that a person sees the kernel's line alone, unless they work on the compiler."""
        return error if knobs.front_end_debugging.value else None

    def unsupported(self, node: ast.AST, what: str = "", remedy: str = "") -> UnsupportedLanguageConstruct:
        """The error for syntax that kernels do not have, and what to write instead."""
        kind = type(node).__name__
        remedy = remedy or _REMEDY.get(kind, "")
        return UnsupportedLanguageConstruct(
            f"{what or f'Python {kind}'} is not part of the kernel language{'; ' + remedy if remedy else '.'}", self.source.place(node)
        )

    # Expressions ---------------------------------------------------------------------------------------------------------------------

    def expression(self, node: ast.expr) -> Any:
        """The value of an expression: run-time, or an ordinary Python value known at compile time."""
        handler = getattr(self, f"_eval_{type(node).__name__}", None)
        if handler is None:
            raise self.unsupported(node)
        with self.at(node):
            return handler(node)

    def _eval_Constant(self, node: ast.Constant) -> object:
        return node.value

    def _eval_Tuple(self, node: ast.Tuple | ast.List) -> tuple[object, ...]:
        values: list[object] = []
        for element in node.elts:
            if isinstance(element, ast.Starred):
                inner = self.expression(element.value)
                if not isinstance(inner, tuple):
                    raise SemanticError(f"* unpacks a tuple, not a {describe(inner)}.")
                values += inner
            else:
                values.append(self.expression(element))
        return tuple(values)

    _eval_List = _eval_Tuple

    def _eval_Name(self, node: ast.Name) -> object:
        if node.id in self.variables:
            return self.variables[node.id]
        if node.id in self.namespace:
            return self._outer(node.id, self.namespace[node.id])
        if node.id in _PYTHON_FUNCTIONS:
            return getattr(builtins, node.id)
        if node.id == "print":
            return language.device_print
        if node.id == "breakpoint":
            raise SemanticError("breakpoint() works in interpreted kernels: set BACO_INTERPRET=1, or write @baco.jit(interpret=True).")
        raise SemanticError(f"{node.id!r} is not defined here; names first assigned inside a loop end with it.")

    @staticmethod
    def _outer(name: str, value: object) -> object:
        """Names from around the kernel: modules, builtins, element types, and plain constants."""
        from baco.lang.jit import JITFunction

        if isinstance(value, constexpr):
            return value.value
        device = isinstance(value, JITFunction)
        allowed = (
            device
            or inspect.ismodule(value)
            or hasattr(value, BUILTIN)
            or isinstance(value, (DType, int, float, str, bool, tuple, type(None)))
        )
        if not allowed and value is not constexpr and not inspect.isclass(value):
            raise SemanticError(f"{name!r} is a {type(value).__name__} from outside the kernel; pass it as an argument.")
        return value

    def _eval_Attribute(self, node: ast.Attribute) -> object:
        owner = self.expression(node.value)
        if isinstance(owner, Descriptor) and node.attr in Descriptor.methods:
            return _Method(getattr(semantic, f"descriptor_{node.attr}"), owner)
        if isinstance(owner, BlockPointer) and node.attr == "advance":
            return _Method(semantic.advance, owner)
        if isinstance(owner, (Block, Product, Scalar)) and node.attr in _METHODS:
            return _Method(_METHODS[node.attr], owner)
        if isinstance(owner, (Block, Product)) and node.attr == "T":
            return semantic.trans(owner)
        if isinstance(owner, (Scalar, Block, Product, BlockPointer, PointerBlock, Pointer)) and node.attr in ("dtype", "shape"):
            return getattr(owner, node.attr, ())
        if inspect.ismodule(owner) or inspect.isclass(owner):
            try:
                return getattr(owner, node.attr)
            except AttributeError as error:
                mine = owner is language or "because" in str(error)
                raise SemanticError(str(error) if mine else f"{owner.__name__} has no {node.attr!r}.") from None
        raise SemanticError(f"a {describe(owner)} has no attribute {node.attr!r}.")

    def _eval_Subscript(self, node: ast.Subscript) -> object:
        owner = self.expression(node.value)
        if isinstance(owner, (Block, Product)):
            return self._with_new_axes(semantic.as_block(owner), node)
        index = self.expression(node.slice)
        if isinstance(owner, tuple) and isinstance(index, int):
            try:
                return owner[index]
            except IndexError:
                raise SemanticError(f"index {index} is outside a tuple of {len(owner)}.") from None
        raise SemanticError(f"a {describe(owner)} cannot be indexed.")

    def _with_new_axes(self, block: Block, node: ast.Subscript) -> Block:
        """``block[:, None]``: whole dimensions and new ones, nothing else."""
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        for axis, part in enumerate(parts):
            if isinstance(part, ast.Constant) and part.value is None:
                block = semantic.expand_dims(block, axis)
            elif not (isinstance(part, ast.Slice) and part.lower is part.upper is part.step is None):
                raise SemanticError("a block is indexed only with : and None, which adds a dimension; load and store whole blocks.")
        if len(parts) > len(block.shape):
            raise SemanticError(f"too many indices for a {describe(block)}.")
        return block

    def _eval_BinOp(self, node: ast.BinOp) -> object:
        return semantic.binary(BINARY[type(node.op)], self.expression(node.left), self.expression(node.right))

    def _eval_UnaryOp(self, node: ast.UnaryOp) -> object:
        return semantic.unary(_UNARY[type(node.op)], self.expression(node.operand))

    def _eval_BoolOp(self, node: ast.BoolOp) -> object:
        values = [self.expression(v) for v in node.values]
        if any(isinstance(v, (Block, Product)) for v in values):
            raise self.unsupported(node, "`and` or `or` on blocks", "use & and |.")
        if not any(isinstance(v, Scalar) for v in values):
            return all(values) if isinstance(node.op, ast.And) else any(values)
        truths = [semantic.cast(v, BY_NAME["int1"]) for v in values]
        return functools.reduce(lambda a, b: semantic.binary("&" if isinstance(node.op, ast.And) else "|", a, b), truths)

    def _eval_Compare(self, node: ast.Compare) -> object:
        values = [self.expression(v) for v in (node.left, *node.comparators)]
        ops = [_COMPARE[type(op)] for op in node.ops]
        truths = [semantic.compare(op, a, b) for op, a, b in zip(ops, values, values[1:], strict=False)]
        return functools.reduce(lambda a, b: semantic.binary("&", a, b), truths)

    def _eval_IfExp(self, node: ast.IfExp) -> object:
        condition = self.expression(node.test)
        if isinstance(condition, (Scalar, Block)):
            return semantic.where(condition, self.expression(node.body), self.expression(node.orelse))
        return self.expression(node.body if condition else node.orelse)

    def _eval_JoinedStr(self, node: ast.JoinedStr) -> str:
        parts = (v.value if isinstance(v, ast.Constant) else self.expression(v.value) for v in node.values)
        return "".join(p if isinstance(p, str) else describe(p) for p in parts)

    def _eval_Call(self, node: ast.Call) -> object:
        function = self.expression(node.func)
        arguments = [self.expression(a) for a in node.args]
        if any(k.arg is None for k in node.keywords) or any(isinstance(a, ast.Starred) for a in node.args):
            raise self.unsupported(node, "* and ** in a call")
        keywords = {k.arg: self.expression(k.value) for k in node.keywords}
        if isinstance(function, _Method):
            return _call(function.function, function.owner, *map(self._callable, arguments), **self._callables(keywords))
        if isinstance(getattr(function, "source", None), KernelSource):
            return self._device_call(function, arguments, keywords)
        name = getattr(function, BUILTIN, None)
        if name is not None:
            return _call(semantic.meaning(name), *map(self._callable, arguments), **self._callables(keywords))
        if function is constexpr and len(arguments) == 1:
            return arguments[0]
        if function in (min, max) and len(arguments) == 2 and any(isinstance(a, Scalar) for a in arguments):
            return semantic.binary(function.__name__, *arguments)
        if getattr(builtins, getattr(function, "__name__", ""), None) is function and function.__name__ in _PYTHON_FUNCTIONS:
            return self._python_call(function, arguments)
        raise SemanticError(f"{ast.unparse(node.func)} cannot be called in a kernel; the functions there are, are those of baco.language.")

    def _callable(self, value: object) -> object:
        """An argument of a builtin: another kernel function becomes one that reads it in place of the builtin's call."""
        if isinstance(getattr(value, "source", None), KernelSource):
            return lambda *arguments: self._device_call(value, list(arguments), {})
        name = getattr(value, BUILTIN, None)
        return value if name is None else lambda *arguments: _call(semantic.meaning(name), *arguments)

    def _callables(self, keywords: Mapping[str, object]) -> dict[str, object]:
        return {name: self._callable(value) for name, value in keywords.items()}

    def _device_call(self, function: Any, arguments: list[Any], keywords: dict[str, Any]) -> object:
        """The value of another kernel function: its statements are read in place of the call."""
        if self.calls >= MOST_CALLS:
            raise SemanticError(f"{function.__name__} is called {MOST_CALLS} levels deep; a kernel function cannot call itself.")
        try:
            bound = inspect.signature(function.function).bind(*arguments, **keywords)
        except TypeError as error:
            raise SemanticError(f"{function.__name__}: {error}.") from None
        bound.apply_defaults()
        return self.device_function(function, dict(bound.arguments))

    @staticmethod
    def _python_call(function: Callable[..., Any], arguments: list[Any]) -> object:
        if function is abs and len(arguments) == 1 and isinstance(arguments[0], (Scalar, Block)):
            return semantic.abs(arguments[0])
        if any(isinstance(a, (Scalar, Block, Product, Pointer, BlockPointer, PointerBlock)) for a in arguments):
            raise SemanticError(f"{function.__name__} works on compile-time values only.")
        try:
            return function(*arguments)
        except (TypeError, ValueError) as error:
            raise SemanticError(f"{error}.") from None


@dataclass(frozen=True)
class _Method:
    """A method of a kernel value."""

    function: Callable[..., Any]
    owner: Any


def _call(function: Callable[..., Any], *arguments: object, **keywords: object) -> object:
    """Call a builtin; arguments that do not fit its signature are the kernel's fault."""
    try:
        inspect.signature(function).bind(*arguments, **keywords)
    except TypeError as error:
        raise SemanticError(f"bl.{function.__name__.removeprefix('descriptor_').strip('<>')}: {error}.") from None
    return function(*arguments, **keywords)
