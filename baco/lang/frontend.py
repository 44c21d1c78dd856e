"""From a kernel's Python AST to a module in the baco dialect: names, control flow and calls, with types checked on the way.

What an operator or a builtin means is in :mod:`baco.lang.semantic`; this module walks the tree, keeps the variables, and puts every
error and every operation at its line and column.
"""

from __future__ import annotations

import ast
import builtins
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from baco.dialects import baco as dialect
from baco.dialects.mlir import context, func, ir, scf
from baco.lang import semantic
from baco.lang.errors import (
    CompilationError,
    CompileTimeAssertionFailure,
    KernelTypeError,
    SemanticError,
    SourceLocation,
    UnsupportedLanguageConstruct,
)
from baco.lang.language import BUILTIN
from baco.lang.source import KernelSource, Signature
from baco.lang.types import BY_NAME, Block, BlockPointer, Descriptor, DType, KernelFacts, Pointer, Product, Scalar, constexpr, describe

RESERVED = ("baco_main", "baco_arguments", "_start", "tohost", "fromhost")
"""Symbols of the bare-metal program around a kernel."""

_BINARY = {
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
_COMPARE = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
_PYTHON_FUNCTIONS = {"min", "max", "abs", "len", "int", "float", "bool", "str"}
_REMEDY = {
    "If": "conditions must be compile-time; use boundary_check for edges.",
    "While": "use a for loop over range.",
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


def read_kernel(source: KernelSource, namespace: Mapping[str, Any], signature: Signature) -> tuple[ir.Module, KernelFacts]:
    """The module of a kernel specialised for a signature, and what reading it showed about its parameters.

    Raises:
        CompilationError: with the line and column of whatever is wrong.
    """
    with context() as ctx:
        reader = _Reader(source, namespace, signature)
        token = semantic.FACTS.set(reader.facts)
        try:
            with reader.at(source.tree):
                module = ir.Module.create()
                reader.function(module)
        finally:
            semantic.FACTS.reset(token)
        _verify(module, ctx)
    return module, reader.facts


def _verify(module: ir.Module, _: ir.Context) -> None:
    try:
        module.operation.verify()
    except ir.MLIRError as error:
        first = error.error_diagnostics[0]
        raise CompilationError(first.message, SourceLocation.of(first.location)) from None


class _Reader:
    """Walks one kernel. `variables` maps the names seen so far to their values."""

    def __init__(self, source: KernelSource, namespace: Mapping[str, Any], signature: Signature) -> None:
        self.source = source
        self.namespace = namespace
        self.signature = signature
        self.variables: dict[str, Any] = dict(signature.constants)
        self.facts = KernelFacts()

    # Places and errors -----------------------------------------------------------------------------------------------------------

    @contextmanager
    def at(self, node: ast.AST) -> Iterator[None]:
        """Operations and semantic errors inside belong to `node`."""
        place = self.source.place(node)
        try:
            with ir.Location.file(place.file, place.line, place.column):
                yield
        except semantic.StaticAssertion as error:
            raise CompileTimeAssertionFailure(str(error), place) from None
        except SemanticError as error:
            raise KernelTypeError(str(error), place) from None

    def unsupported(self, node: ast.AST, what: str = "") -> UnsupportedLanguageConstruct:
        kind = type(node).__name__
        remedy = _REMEDY.get(kind, "")
        return UnsupportedLanguageConstruct(
            f"{what or f'Python {kind}'} is not part of the kernel language{'; ' + remedy if remedy else '.'}", self.source.place(node)
        )

    # Function --------------------------------------------------------------------------------------------------------------------

    def function(self, module: ir.Module) -> None:
        """Build the kernel's function."""
        tree = self.source.tree
        if tree.name in RESERVED:
            raise UnsupportedLanguageConstruct(
                f"a kernel cannot be called {tree.name!r}, the name of a part of its program.", self.source.place(tree)
            )
        types = [self._parameter_type(kind, dtype) for _, kind, dtype in self.signature.runtime]
        with ir.InsertionPoint(module.body):
            function = func.FuncOp(tree.name, (types, []))
        function.arg_attrs = [ir.DictAttr.get({"baco.name": ir.StringAttr.get(name)}) for name, _, _ in self.signature.runtime]
        entry = function.add_entry_block()
        for (name, kind, dtype), value in zip(self.signature.runtime, entry.arguments, strict=True):
            type_ = BY_NAME[dtype]
            self.variables[name] = Pointer(type_, value, name) if kind == "pointer" else Scalar(type_, value, ("argument", name))
        with ir.InsertionPoint(entry):
            self.statements(tree.body)
            func.ReturnOp([])

    @staticmethod
    def _parameter_type(kind: str, dtype: str) -> ir.Type:
        element = semantic.mlir_type(BY_NAME[dtype])
        return dialect.Pointer.get(element) if kind == "pointer" else element

    # Statements ------------------------------------------------------------------------------------------------------------------

    def statements(self, body: Iterable[ast.stmt]) -> None:
        for statement in body:
            handler = getattr(self, f"_do_{type(statement).__name__}", None)
            if handler is None:
                raise self.unsupported(statement)
            with self.at(statement):
                handler(statement)

    def _do_Pass(self, _: ast.Pass) -> None:
        pass

    def _do_Return(self, node: ast.Return) -> None:
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            raise self.unsupported(node, "returning a value from a kernel")
        if node is not self.source.tree.body[-1]:
            raise self.unsupported(node, "an early return")

    def _do_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return
        value = self.expression(node.value)
        if isinstance(value, BlockPointer):
            raise SemanticError(
                "this result is not used. bl.advance does not have any side effects; assign it: ptr = bl.advance(ptr, ...)."
            )

    def _do_Assign(self, node: ast.Assign) -> None:
        value = self.expression(node.value)
        for target in node.targets:
            self.assign(target, value)

    def _do_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.assign(node.target, self.expression(node.value))

    def _do_AugAssign(self, node: ast.AugAssign) -> None:
        if not isinstance(node.target, ast.Name):
            raise self.unsupported(node.target, "assigning to anything but a name")
        left = self.expression(ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target))
        self.assign(node.target, semantic.binary(_BINARY[type(node.op)], left, self.expression(node.value)))

    def assign(self, target: ast.expr, value: object) -> None:
        """Bind a name, or the names of a tuple."""
        if isinstance(target, (ast.Tuple, ast.List)):
            if not isinstance(value, (tuple, list)) or len(value) != len(target.elts):
                raise SemanticError(f"cannot unpack a {describe(value)} into {len(target.elts)} names.")
            for inner, part in zip(target.elts, value, strict=True):
                self.assign(inner, part)
        elif isinstance(target, ast.Name):
            self.variables[target.id] = value
        else:
            raise self.unsupported(target, "assigning to anything but a name")

    def _do_If(self, node: ast.If) -> None:
        condition = self.expression(node.test)
        if isinstance(condition, (Scalar, Block)):
            raise self.unsupported(node, "`if` on a run-time value")
        self.statements(node.body if condition else node.orelse)

    def _do_Assert(self, node: ast.Assert) -> None:
        message = self.expression(node.msg) if node.msg else ""
        semantic.static_assert(self.expression(node.test), message)

    def _do_For(self, node: ast.For) -> None:
        if node.orelse or not isinstance(node.target, ast.Name):
            raise self.unsupported(node, "this form of for loop")
        start, stop, step = self._range(node.iter)
        carried = [n for n in dict.fromkeys(_assigned(node.body)) if n in self.variables and n != node.target.id]
        before = {name: self._carriable(name) for name in carried}
        values = {n: v for n, v in before.items() if v is not None}
        loop = scf.ForOp(start.value, stop.value, step.value, [v.value for v in values.values()])
        outer = dict(self.variables)
        with ir.InsertionPoint(loop.body):
            self.variables[node.target.id] = Scalar(start.dtype, loop.induction_variable)
            for (name, value), argument in zip(values.items(), loop.inner_iter_args, strict=True):
                self.variables[name] = _with_value(value, argument)
            self.statements(node.body)
            scf.YieldOp([self._yielded(name, value, node) for name, value in values.items()])
        # Names first bound inside a loop end with it: a loop may run no times at all.
        self.variables = outer
        for (name, value), result in zip(values.items(), loop.results, strict=True):
            self.variables[name] = _with_value(value, result)

    def _range(self, node: ast.expr) -> tuple[Scalar, Scalar, Scalar]:
        is_range = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and not node.keywords
        if not is_range or not 1 <= len(node.args) <= 3:
            raise self.unsupported(node, "a loop over anything but range(stop), range(start, stop) or range(start, stop, step)")
        bounds = [self.expression(a) for a in node.args]
        if len(bounds) == 1:
            bounds = [0, *bounds]
        if len(bounds) == 2:
            bounds = [*bounds, 1]
        if isinstance(bounds[2], int) and bounds[2] < 1:
            raise SemanticError(f"the step of range must be at least 1, but is {bounds[2]}.")
        return tuple(semantic.integer(b, f"the {n} of range") for b, n in zip(bounds, ("start", "stop", "step"), strict=True))

    def _carriable(self, name: str) -> Any:
        """A variable that a loop changes, as a run-time value; None for one that can only be a compile-time value."""
        value = self.variables[name]
        if isinstance(value, Product):
            return semantic.as_block(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return semantic.materialise(value)
        return value if isinstance(value, (Scalar, Block, BlockPointer)) else None

    def _yielded(self, name: str, before: Any, node: ast.For) -> ir.Value:
        after = self._carriable(name)
        same = (
            type(after) is type(before) and after.dtype is before.dtype and getattr(after, "shape", None) == getattr(before, "shape", None)
        )
        if not same:
            raise KernelTypeError(
                f"{name!r} is a {describe(before)} before the loop but a {describe(self.variables[name])} at the end of its body; "
                "a variable keeps its type around a loop.",
                self.source.place(node),
            )
        return after.value

    # Expressions -----------------------------------------------------------------------------------------------------------------

    def expression(self, node: ast.expr) -> Any:
        """The value of an expression: run-time, or an ordinary Python value known at compile time."""
        handler = getattr(self, f"_eval_{type(node).__name__}", None)
        if handler is None:
            raise self.unsupported(node)
        with self.at(node):
            return handler(node)

    def _eval_Constant(self, node: ast.Constant) -> object:
        return node.value

    def _eval_Tuple(self, node: ast.Tuple) -> tuple[object, ...]:
        return tuple(self.expression(e) for e in node.elts)

    def _eval_List(self, node: ast.List) -> tuple[object, ...]:
        return tuple(self.expression(e) for e in node.elts)

    def _eval_Name(self, node: ast.Name) -> object:
        if node.id in self.variables:
            return self.variables[node.id]
        if node.id in self.namespace:
            return self._outer(node.id, self.namespace[node.id])
        if node.id in _PYTHON_FUNCTIONS:
            return getattr(builtins, node.id)
        raise SemanticError(f"{node.id!r} is not defined here; names first assigned inside a loop end with it.")

    @staticmethod
    def _outer(name: str, value: object) -> object:
        """Names from around the kernel: modules, builtins, element types, and plain constants."""
        allowed = inspect.ismodule(value) or hasattr(value, BUILTIN) or isinstance(value, (DType, int, float, str, bool, tuple, type(None)))
        if not allowed and value is not constexpr and not inspect.isclass(value):
            raise SemanticError(f"{name!r} is a {type(value).__name__} from outside the kernel; pass it as an argument.")
        return value

    def _eval_Attribute(self, node: ast.Attribute) -> object:
        owner = self.expression(node.value)
        if isinstance(owner, Descriptor) and node.attr in Descriptor.methods:
            return _Method(getattr(semantic, f"descriptor_{node.attr}"), owner)
        if isinstance(owner, BlockPointer) and node.attr == "advance":
            return _Method(semantic.advance, owner)
        if isinstance(owner, (Block, Product, BlockPointer, Pointer)) and node.attr in ("dtype", "shape"):
            return getattr(owner, node.attr)
        if inspect.ismodule(owner) or inspect.isclass(owner):
            try:
                return getattr(owner, node.attr)
            except AttributeError:
                raise SemanticError(f"{owner.__name__} has no {node.attr!r}.") from None
        raise SemanticError(f"a {describe(owner)} has no attribute {node.attr!r}.")

    def _eval_Subscript(self, node: ast.Subscript) -> object:
        owner, index = self.expression(node.value), self.expression(node.slice)
        if isinstance(owner, tuple) and isinstance(index, int):
            try:
                return owner[index]
            except IndexError:
                raise SemanticError(f"index {index} is outside a tuple of {len(owner)}.") from None
        raise SemanticError(f"a {describe(owner)} cannot be indexed; load and store whole blocks.")

    def _eval_BinOp(self, node: ast.BinOp) -> object:
        return semantic.binary(_BINARY[type(node.op)], self.expression(node.left), self.expression(node.right))

    def _eval_UnaryOp(self, node: ast.UnaryOp) -> object:
        value = self.expression(node.operand)
        if isinstance(node.op, ast.UAdd):
            return value
        if isinstance(node.op, ast.USub):
            return semantic.binary("-", 0.0 if getattr(value, "dtype", None) is BY_NAME["float32"] else 0, value)
        if isinstance(value, Scalar):
            raise self.unsupported(node, "`not` or `~` on a run-time value")
        return (not value) if isinstance(node.op, ast.Not) else ~value

    def _eval_BoolOp(self, node: ast.BoolOp) -> object:
        values = [self.expression(v) for v in node.values]
        if any(isinstance(v, (Scalar, Block)) for v in values):
            raise self.unsupported(node, "`and` or `or` on a run-time value")
        return all(values) if isinstance(node.op, ast.And) else any(values)

    def _eval_Compare(self, node: ast.Compare) -> object:
        if len(node.ops) != 1 or type(node.ops[0]) not in _COMPARE:
            raise self.unsupported(node, "this comparison")
        return semantic.compare(_COMPARE[type(node.ops[0])], self.expression(node.left), self.expression(node.comparators[0]))

    def _eval_IfExp(self, node: ast.IfExp) -> object:
        condition = self.expression(node.test)
        if isinstance(condition, (Scalar, Block)):
            raise self.unsupported(node, "a conditional expression on a run-time value")
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
            return _call(function.function, function.owner, *arguments, **keywords)
        name = getattr(function, BUILTIN, None)
        if name is not None:
            return _call(getattr(semantic, name), *arguments, **keywords)
        if function in (min, max) and len(arguments) == 2 and any(isinstance(a, Scalar) for a in arguments):
            return semantic.binary(function.__name__, *arguments)
        if getattr(builtins, getattr(function, "__name__", ""), None) is function and function.__name__ in _PYTHON_FUNCTIONS:
            return self._python_call(function, arguments)
        raise SemanticError(f"{ast.unparse(node.func)} cannot be called in a kernel; the functions there are, are those of baco.language.")

    @staticmethod
    def _python_call(function: Callable[..., Any], arguments: list[Any]) -> object:
        if any(isinstance(a, (Scalar, Block, Product, Pointer, BlockPointer)) for a in arguments):
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
        raise SemanticError(f"bl.{function.__name__.removeprefix('descriptor_')}: {error}.") from None
    return function(*arguments, **keywords)


def _with_value(like: Any, value: ir.Value) -> Any:
    """A value of the same type, held elsewhere. What it was as a function of the arguments is lost."""
    if isinstance(like, Scalar):
        return Scalar(like.dtype, value)
    if isinstance(like, Block):
        return Block(like.dtype, like.shape, value)
    return BlockPointer(like.dtype, like.shape, value, like.name)


def _assigned(body: Iterable[ast.stmt]) -> Iterator[str]:
    """The names that statements assign, in order."""
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
