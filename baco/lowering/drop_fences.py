"""drop-fences: remove the fences between the host core and the accelerator, for a program that runs without an accelerator.

Before:
    memref.store %v, %m[%i]
    "instgem.fence"() : () -> ()
    %w = memref.load %m[%j]

After:
    memref.store %v, %m[%i]
    %w = memref.load %m[%j]
"""

from __future__ import annotations

from baco.dialects.mlir import ir
from baco.lowering.passes import operations_named, register


@register("drop-fences")
def run(module: ir.Module) -> None:
    """Erase every fence of the module."""
    for op in operations_named(module, "instgem.fence"):
        op.erase()
