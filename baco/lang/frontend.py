"""From a kernel's Python AST to a module in the baco dialect: statements, variables and control flow, with types checked on the way.

Expressions are read by :mod:`baco.lang.expressions`. Loops and branches on compile-time values are unrolled or chosen here; those on
run-time values become `scf` operations that carry the variables they change.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from baco.dialects import baco as dialect
from baco.dialects.mlir import context, func, ir, scf
from baco.lang import functions, language, semantic
from baco.lang.errors import (
    CompilationError,
    KernelTypeError,
    SemanticError,
    SourceLocation,
    UnsupportedLanguageConstruct,
)
from baco.lang.expressions import BINARY, ExpressionReader
from baco.lang.language import static_range
from baco.lang.returns import as_branches
from baco.lang.source import KernelSource, Signature, namespace_of
from baco.lang.types import (
    BY_NAME,
    Block,
    BlockPointer,
    KernelFacts,
    Pointer,
    PointerBlock,
    Product,
    Scalar,
    describe,
)
from baco.lowering.choices import LOOP_STAGES
from baco.lowering.pipeline_loads import MAX_STAGES

RESERVED = ("baco_main", "baco_arguments", "_start", "tohost", "fromhost")
"""Symbols of the bare-metal program around a kernel."""

_MOST_UNROLLED = 1 << 16
"""Turns of one ``bl.static_range``; each is written out, so that more would compile for minutes."""


def read_kernel(source: KernelSource, namespace: Mapping[str, Any], signature: Signature) -> tuple[ir.Module, KernelFacts]:
    """The module of a kernel specialised for a signature, and what reading it showed about its parameters.

    Raises:
        CompilationError: with the line and column of whatever is wrong.
    """
    with context():
        reader = _Reader(source, namespace, signature)
        token = semantic.FACTS.set(reader.facts)
        try:
            with reader.at(source.tree):
                module = ir.Module.create()
                reader.function(module)
        finally:
            semantic.FACTS.reset(token)
        _verify(module)
    return module, reader.facts


def _verify(module: ir.Module) -> None:
    try:
        module.operation.verify()
    except ir.MLIRError as error:
        first = error.error_diagnostics[0]
        raise CompilationError(first.message, SourceLocation.of(first.location)) from None


class _Reader(ExpressionReader):
    """Walks the statements of one kernel."""

    def __init__(self, source: KernelSource, namespace: Mapping[str, Any], signature: Signature, calls: int = 0) -> None:
        super().__init__(source, namespace, dict(signature.constants), calls)
        self.signature = signature
        self.returned: tuple[Any] | None = None
        self.branches = 0
        """How many run-time loops and branches are around the current statement."""

    def device_function(self, function: Any, bound: dict[str, Any]) -> object:
        """Read a device function's statements in place of a call of it, and give what it returns."""
        reader = _Reader(function.source, namespace_of(function.function), Signature((), ()), self.calls + 1)
        reader.facts = self.facts
        reader.variables = bound
        reader.statements(as_branches(reader.source.tree.body))
        return reader.returned[0] if reader.returned else None

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
            self.statements(as_branches(tree.body))
            func.ReturnOp([])

    @staticmethod
    def _parameter_type(kind: str, dtype: str) -> ir.Type:
        element = semantic.mlir_type(BY_NAME[dtype])
        return dialect.Pointer.get(element) if kind == "pointer" else element

    # Statements ------------------------------------------------------------------------------------------------------------------

    def statements(self, body: Iterable[ast.stmt]) -> None:
        for statement in body:
            if self.returned is not None:
                return
            handler = getattr(self, f"_do_{type(statement).__name__}", None)
            if handler is None:
                raise self.unsupported(statement)
            with self.at(statement):
                handler(statement)

    def _do_Pass(self, _: ast.Pass) -> None:
        pass

    def _do_Return(self, node: ast.Return) -> None:
        if self.branches:
            raise self.unsupported(node, "a return inside a run-time loop or branch")
        value = self.expression(node.value) if node.value else None
        if value is not None and not self.calls:
            raise self.unsupported(node, "returning a value from a kernel")
        self.returned = (value,)

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
        self.assign(node.target, semantic.binary(BINARY[type(node.op)], left, self.expression(node.value)))

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
        if isinstance(condition, Block):
            raise self.unsupported(node, "`if` on a block", "use bl.where.")
        if not isinstance(condition, Scalar):
            self.statements(node.body if condition else node.orelse)
            return
        before = dict(self.variables)
        # Both branches are read first, into a branch without results, because only then is it known which variables they change.
        draft = scf.IfOp(semantic.cast(condition, BY_NAME["int1"]).value, has_else=True)
        ends = []
        for block, body in ((draft.then_block, node.body), (draft.else_block, node.orelse)):
            self.variables = dict(before)
            with ir.InsertionPoint(block):
                self._in_branch(body)
                names = [n for n in dict.fromkeys(_assigned([*node.body, *node.orelse])) if n in self.variables]
                ends.append({n: self.variables[n] for n in names})
        self.variables = before
        self._merge(node, draft, *ends)

    def _merge(self, node: ast.If, draft: scf.IfOp, then: dict[str, Any], otherwise: dict[str, Any]) -> None:
        """Replace a branch without results by one that gives the variables both ways assign."""
        both = [n for n in then if n in otherwise and not _same_constant(then[n], otherwise[n])]
        carried = []
        for block, ends in ((draft.then_block, then), (draft.else_block, otherwise)):
            with ir.InsertionPoint(block):
                carried.append({n: _carried(ends[n]) for n in both})
        for name in both:
            if carried[0][name] is None or carried[1][name] is None or not _same_type(carried[0][name], carried[1][name]):
                raise KernelTypeError(
                    f"{name!r} is a {describe(then[name])} where the condition holds but a {describe(otherwise[name])} where it does not.",
                    self.source.place(node),
                )
        final = scf.IfOp(draft.operation.operands[0], [v.type for n in both for v in _flat(carried[0][n])], has_else=True)
        for old, new, ends in zip((draft.then_block, draft.else_block), (final.then_block, final.else_block), carried, strict=True):
            for op in list(old.operations):
                new.append(op)
            with ir.InsertionPoint(new):
                scf.YieldOp([v for n in both for v in _flat(ends[n])])
        draft.operation.erase()
        self.variables |= {n: value for n, value in then.items() if n in otherwise and n not in both}
        self._bind({n: carried[0][n] for n in both}, final.results)

    def _in_branch(self, body: Iterable[ast.stmt]) -> None:
        """Statements that a run-time condition or loop is around."""
        self.branches += 1
        self.statements(body)
        self.branches -= 1

    def _do_While(self, node: ast.While) -> None:
        if node.orelse:
            raise self.unsupported(node, "this form of while loop")
        values = self._loop_variables(node.body)
        initial = [v for value in values.values() for v in _flat(value)]
        types = [v.type for v in initial]
        loop = scf.WhileOp(types, initial)
        outer = dict(self.variables)
        for region in loop.regions:
            region.blocks.append(*types, arg_locs=[ir.Location.current] * len(types))
        self._bind(values, loop.regions[0].blocks[0].arguments)
        with ir.InsertionPoint(loop.regions[0].blocks[0]):
            condition = self.expression(node.test)
            if not isinstance(condition, (Scalar, bool, int)):
                raise SemanticError(f"the condition of a while loop must be a number, not a {describe(condition)}.")
            truth = semantic.cast(condition, BY_NAME["int1"])
            scf.ConditionOp(truth.value, list(loop.regions[0].blocks[0].arguments))
        self._bind(values, loop.regions[1].blocks[0].arguments)
        with ir.InsertionPoint(loop.regions[1].blocks[0]):
            self._in_branch(node.body)
            scf.YieldOp(self._yielded(values, outer, node))
        self.variables = outer
        self._bind(values, loop.results)

    def _loop_variables(self, body: Iterable[ast.stmt], *bound: str) -> dict[str, Any]:
        """The variables a loop carries around: those that its body changes and that exist before, as run-time values."""
        names = [n for n in dict.fromkeys(_assigned(body)) if n in self.variables and n not in bound]
        before = {name: _carried(self.variables[name]) for name in names}
        return {n: v for n, v in before.items() if v is not None}

    def _bind(self, values: Mapping[str, Any], now: Iterable[ir.Value]) -> None:
        left = iter(now)
        for name, value in values.items():
            self.variables[name] = _with_values(value, left)

    def _do_Assert(self, node: ast.Assert) -> None:
        condition, message = self.expression(node.test), self.expression(node.msg) if node.msg else ""
        if isinstance(condition, (Scalar, Block)):
            functions.device_assert(condition, message)
        else:
            semantic.static_assert(condition, message)

    def _do_For(self, node: ast.For) -> None:
        if node.orelse or not isinstance(node.target, ast.Name):
            raise self.unsupported(node, "this form of for loop")
        if (unrolled := self._static_range(node.iter)) is not None:
            for value in unrolled:
                self.variables[node.target.id] = value
                self.statements(node.body)
            return
        (start, stop, step), stages = self._range(node.iter)
        values = self._loop_variables(node.body, node.target.id)
        initial = [v for value in values.values() for v in _flat(value)]
        loop = scf.ForOp(start.value, stop.value, step.value, initial)
        if stages is not None:
            loop.attributes[LOOP_STAGES] = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), max(stages, 1))
        outer = dict(self.variables)
        with ir.InsertionPoint(loop.body):
            self.variables[node.target.id] = Scalar(start.dtype, loop.induction_variable)
            self._bind(values, loop.inner_iter_args)
            self._in_branch(node.body)
            scf.YieldOp(self._yielded(values, outer, node))
        # Names first bound inside a loop end with it: a loop may run no times at all.
        self.variables = outer
        self._bind(values, loop.results)

    def _static_range(self, node: ast.expr) -> range | None:
        """The numbers of ``bl.static_range(...)``, or None for any other loop."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, (ast.Name, ast.Attribute)):
            return None
        if isinstance(node.func, ast.Name) and node.func.id == "range" and "range" not in {*self.variables, *self.namespace}:
            return None
        if self.expression(node.func) is not static_range:
            return None
        bounds = [self.expression(a) for a in node.args]
        if node.keywords or not 1 <= len(bounds) <= 3 or not all(isinstance(b, int) for b in bounds):
            raise SemanticError("bl.static_range takes one to three compile-time integers.")
        if len(bounds) == 3 and bounds[2] == 0:
            raise SemanticError("the step of bl.static_range must not be 0.")
        values = static_range(*bounds).values
        # Not len(), which stops at 2**63 - 1.
        turns = max(0, (values.stop - values.start + values.step - (1 if values.step > 0 else -1)) // values.step)
        if turns > _MOST_UNROLLED:
            raise SemanticError(f"bl.static_range would unroll {turns} turns; at most {_MOST_UNROLLED} are. Use range, which makes a loop.")
        return values

    def _range(self, node: ast.expr) -> tuple[tuple[Scalar, Scalar, Scalar], int | None]:
        """The bounds of ``range(...)`` or ``bl.range(...)``, and the stages it asks for."""
        if not isinstance(node, ast.Call) or not self._is_range(node):
            raise self.unsupported(node, "a loop over anything but range(stop), range(start, stop) or range(start, stop, step)")
        given = {k.arg: self.expression(k.value) for k in node.keywords}
        try:
            bound = inspect.signature(language.range).bind(*map(self.expression, node.args), **given).arguments
        except TypeError as error:
            raise SemanticError(f"range: {error}.") from None
        stages = bound.pop("num_stages", None)
        first, last, step = (bound.pop(n, None) for n in ("arg1", "arg2", "step"))
        if useless := [n for n, value in bound.items() if value not in (None, False)]:
            raise SemanticError(f"{useless[0]} is about a GPU's loops; leave it out (bl.static_range unrolls).")
        if stages is not None and (isinstance(stages, bool) or not isinstance(stages, int) or not 0 <= stages <= MAX_STAGES):
            raise SemanticError(f"num_stages of a loop must be a compile-time number from 0 to {MAX_STAGES}, not {describe(stages)}.")
        bounds = (0, first, step) if last is None else (first, last, step)
        bounds = (*bounds[:2], 1 if step is None else step)
        if isinstance(bounds[2], int) and bounds[2] < 1:
            raise SemanticError(f"the step of range must be at least 1, but is {bounds[2]}.")
        return tuple(semantic.integer(b, f"the {n} of range") for b, n in zip(bounds, ("start", "stop", "step"), strict=True)), stages

    def _is_range(self, node: ast.Call) -> bool:
        """Whether a loop runs over Python's range or over bl.range, which alone takes keywords."""
        if isinstance(node.func, ast.Name) and node.func.id == "range" and "range" not in {*self.variables, *self.namespace}:
            return not node.keywords and len(node.args) <= 3
        return isinstance(node.func, (ast.Name, ast.Attribute)) and self.expression(node.func) is language.range

    def _yielded(self, values: Mapping[str, Any], before: Mapping[str, Any], node: ast.For | ast.While) -> list[ir.Value]:
        """What the body of a loop gives the next iteration; `values` are those carried, `before` is what all names were."""
        flat = []
        loop_variable = node.target.id if isinstance(node, ast.For) else None
        for name in dict.fromkeys(_assigned(node.body)):
            if name not in before or name == loop_variable:
                continue
            now = self.variables[name]
            after = _carried(now) if name in values else None
            if name not in values and _same_constant(before[name], now):
                continue
            if after is None or not _same_type(values[name], after):
                first = values.get(name, before[name])
                raise KernelTypeError(
                    f"{name!r} is a {describe(first)} before the loop but a {describe(now)} at the end of its body; "
                    "a variable keeps its type around a loop.",
                    self.source.place(node),
                )
            flat += _flat(after)
        return flat


def _carried(value: Any) -> Any:
    """A value that control flow changes, as run-time values; None for one that can only be a compile-time value."""
    if isinstance(value, Product):
        return semantic.as_block(value)
    if isinstance(value, (bool, int, float)):
        return semantic.materialise(value)
    if isinstance(value, tuple):
        parts = tuple(_carried(part) for part in value)
        return None if any(part is None for part in parts) else parts
    return value if isinstance(value, (Scalar, Block, BlockPointer, PointerBlock, Pointer)) else None


def _flat(value: Any) -> list[ir.Value]:
    """The run-time values of a carried value: its own, or those of a tuple's parts."""
    return [v for part in value for v in _flat(part)] if isinstance(value, tuple) else [value.value]


def _with_values(like: Any, values: Iterator[ir.Value]) -> Any:
    """A value of the same type, held elsewhere. What it was as a function of the arguments is lost."""
    if isinstance(like, tuple):
        return tuple(_with_values(part, values) for part in like)
    value = next(values)
    if isinstance(like, Scalar):
        return Scalar(like.dtype, value)
    if isinstance(like, Block):
        return Block(like.dtype, like.shape, value)
    if isinstance(like, Pointer):
        return Pointer(like.dtype, value, like.name, moved=True)
    return type(like)(like.dtype, like.shape, value, like.name)


def _same_type(a: Any, b: Any) -> bool:
    """Whether two carried values can be the same variable."""
    if isinstance(a, tuple) or isinstance(b, tuple):
        tuples = isinstance(a, tuple) and isinstance(b, tuple)
        return tuples and len(a) == len(b) and all(map(_same_type, a, b))
    return type(a) is type(b) and a.dtype is b.dtype and getattr(a, "shape", None) == getattr(b, "shape", None)


def _same_constant(a: Any, b: Any) -> bool:
    """Whether two values of a variable are one and the same, known at compile time."""
    return a is b or (isinstance(a, (str, bool, int, float)) and type(a) is type(b) and a == b)


def _assigned(body: Iterable[ast.stmt]) -> Iterator[str]:
    """The names that statements assign, in order."""
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.id
