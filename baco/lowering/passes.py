"""The registry of passes, how pipelines run them, and what every pass shares: the hardware attribute and source locations.

A pass is one module with a function ``run(module) -> None`` under a name; upstream MLIR passes are named by their own pipeline text.
The target machine travels with the program as the module attribute ``baco.hardware``, so that each pass can be used alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from baco.dialects.mlir import PassManager, context, func, ir
from baco.hardware import GemminiConfig
from baco.lowering.errors import CompilationError, PassFailure, SourceLocation, UnknownPass
from baco.lowering.pass_report import reported

Pass = Callable[[ir.Module], None]
HARDWARE = "baco.hardware"

_PASSES: dict[str, Pass] = {}


def register(name: str) -> Callable[[Pass], Pass]:
    """Register a pass under the name that pipelines use."""

    def add(run: Pass) -> Pass:
        _PASSES[name] = run
        return run

    return add


def registered() -> tuple[str, ...]:
    """The names of BACO's own passes."""
    return tuple(sorted(_PASSES))


def find(name: str) -> Pass | None:
    """BACO's pass of a name, None if it has none."""
    return _PASSES.get(name)


def check_passes(names: Iterable[str]) -> None:
    """Refuse what :func:`run_passes` could not find, before anything runs.

    Raises:
        UnknownPass: for a name that is neither BACO's nor MLIR's, or options that a pass does not have.
    """
    with context():
        for name in names:
            if name not in _PASSES:
                _manager(name)


def run_passes(module: ir.Module, names: Iterable[str]) -> None:
    """Run passes in order, verifying the module after each.

    Raises:
        UnknownPass: for a name that is neither BACO's nor MLIR's.
        CompilationError: if a pass refuses the program.
    """
    for name in names:
        run = _PASSES.get(name)
        with module.context, ir.Location.unknown(), reported(module, name):
            if run is None:
                _run_upstream(module, name)
            else:
                run(module)
                _verify(module, name)


def _manager(pipeline: str) -> PassManager:
    try:
        return PassManager.parse(f"builtin.module({pipeline})")
    except ValueError as error:
        reason = str(error).splitlines()[0]
        unknown = re.search(r"error: ('.*') does not refer to a registered pass", reason)
        if unknown:
            raise UnknownPass(f"there is no pass {unknown[1]}; BACO's own are {', '.join(registered())}.") from None
        reason = reason.rpartition(": error: ")[2].rpartition("Parser>: ")[2] or "an option has a value that it cannot take"
        raise UnknownPass(f"pass {pipeline!r}: {reason}.") from None


def _run_upstream(module: ir.Module, pipeline: str) -> None:
    manager = _manager(pipeline)
    try:
        manager.run(module.operation)
    except ir.MLIRError as error:
        raise _failure(pipeline, error) from None


def _verify(module: ir.Module, name: str) -> None:
    try:
        module.operation.verify()
    except ir.MLIRError as error:
        raise _failure(name, error) from None


def _failure(name: str, error: ir.MLIRError) -> PassFailure:
    diagnostics = [(d.message, SourceLocation.of(d.location)) for d in error.error_diagnostics]
    if not diagnostics:
        return PassFailure(f"{name}: {error}")
    return PassFailure(f"{name}: {diagnostics[0][0]}", diagnostics[0][1], others=diagnostics[1:])


def location_of(op: ir.Operation) -> SourceLocation | None:
    """The line of the person's program an operation came from."""
    return SourceLocation.of(op.location)


def kernel_of(module: ir.Module) -> func.FuncOp:
    """The one kernel function of a module.

    Raises:
        CompilationError: if there is not exactly one function.
    """
    functions = [op for op in module.body.operations if op.operation.name == "func.func" and not op.is_external]
    if len(functions) != 1:
        raise CompilationError(f"a kernel module holds exactly one function, not {len(functions)}.")
    return functions[0]


def operations_named(module: ir.Module, *names: str) -> list[ir.Operation]:
    """Every operation of a module that has one of these names, in order; they may be replaced or erased one by one."""
    found: list[ir.Operation] = []

    def collect(op: ir.Operation) -> ir.WalkResult:
        if op.name in names:
            found.append(op)
        return ir.WalkResult.ADVANCE

    module.operation.walk(collect)
    return found


def operations(block: ir.Block) -> Iterator[ir.OpView]:
    """Every operation of a block and of the blocks inside it, in program order, but not what is inside a linalg operation."""
    for op in block.operations:
        yield op
        if not op.operation.name.startswith("linalg."):
            for region in op.operation.regions:
                for inner in region:
                    yield from operations(inner)


def check_buffers(ops: Iterable[ir.OpView]) -> None:
    """Refuse operations on anything but buffers of a known rank.

    Raises:
        CompilationError: at the first.
    """
    for op in ops:
        if any(isinstance(v.type, ir.ShapedType) and not isinstance(v.type, ir.MemRefType) for v in op.operation.operands):
            reason = f"{op.operation.name} is not on buffers of a known rank; run one-shot-bufferize before this."
            raise CompilationError(reason, location_of(op))


def set_hardware(module: ir.Module, config: GemminiConfig) -> None:
    """Record the target machine on the module: its size, and any other field that is not the default."""
    default = GemminiConfig()
    always = {"dim", "scratchpad_bytes", "accumulator_bytes"}
    fields = {k: v for k, v in config.to_dict().items() if k in always or v != getattr(default, k)}
    with module.context:
        module.operation.attributes[HARDWARE] = ir.DictAttr.get({k: _attribute(v) for k, v in fields.items()})


def _attribute(value: int | str | bool) -> ir.Attribute:
    if isinstance(value, bool):
        return ir.BoolAttr.get(value)
    if isinstance(value, int):
        return ir.IntegerAttr.get(ir.IntegerType.get_signless(64), value)
    return ir.StringAttr.get(value)


def get_hardware(module: ir.Module) -> GemminiConfig:
    """The target machine of a module; Gemmini's default where the module names none."""
    if HARDWARE not in module.operation.attributes:
        return GemminiConfig()
    fields = ir.DictAttr(module.operation.attributes[HARDWARE])
    return GemminiConfig.from_dict({named.name: named.attr.value for named in fields})
