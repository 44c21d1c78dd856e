"""attach-lines: lines of the person's program reach the ELF, as the line table that debuggers and the simulators read.

Before:
    llvm.func @matmul(...) { llvm.inline_asm ... }              loc("kernel.py":3:1), ... loc("kernel.py":9:5)

After:
    llvm.func @matmul(...) { llvm.inline_asm ... }              loc(fused<#scope>["kernel.py":3:1]), ... loc("kernel.py":9:5)

LLVM writes a line table only for functions that have a scope, which the upstream pass ensure-debug-info-scope-on-llvm-func adds. A call
must then have a place of its own, so one without is put at its function's. Modules whose functions come from no file stay as they are,
and get no table.
"""

from __future__ import annotations

from baco import knobs
from baco.dialects.mlir import ir
from baco.lowering.errors import SourceLocation
from baco.lowering.passes import operations_named, register, run_passes


@register("attach-lines")
def run(module: ir.Module) -> None:
    """Give every function of the module a scope, if all of them have a place and BACO_DISABLE_LINE_INFO does not say otherwise."""
    if knobs.disable_line_info.value:
        return
    functions = [f for f in operations_named(module, "llvm.func") if f.regions[0].blocks]
    if not functions or any(SourceLocation.of(f.location) is None for f in functions):
        return
    for call in operations_named(module, "llvm.call"):
        if SourceLocation.of(call.location) is None:
            call.location = _function_of(call).location
    run_passes(module, ("ensure-debug-info-scope-on-llvm-func{emission-kind=LineTablesOnly}",))


def _function_of(op: ir.Operation) -> ir.Operation:
    while op.name != "llvm.func":
        op = op.parent
    return op
