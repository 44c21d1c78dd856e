"""The only module that imports the MLIR bindings, so that another distribution of them can take their place.

The upstream bindings come from the `torch-mlir` wheel. Dialects defined in Python register their types for one context, so the
whole process shares one.
"""

from __future__ import annotations

from functools import cache

from torch_mlir import ir
from torch_mlir.dialects import arith, bufferization, ext, func, linalg, llvm, math, memref, scf, tensor
from torch_mlir.passmanager import PassManager

__all__ = [
    "PassManager",
    "arith",
    "bufferization",
    "context",
    "ext",
    "func",
    "ir",
    "linalg",
    "llvm",
    "math",
    "memref",
    "scf",
    "tensor",
    "unknown",
]

DYNAMIC = ir.ShapedType.get_dynamic_size()
"""How MLIR marks a size, offset or stride that is known only at run time."""


@cache
def context() -> ir.Context:
    """The process's MLIR context, with both of BACO's dialects loaded."""
    ctx = ir.Context()
    with ctx:
        from baco.dialects import baco, baco_blocks, baco_shapes, instgem  # noqa: F401  (two add to the baco dialect)

        baco.Baco.load()
        instgem.InstGem.load()
    return ctx


def unknown() -> ir.Location:
    """A location for operations that no source line stands behind."""
    return ir.Location.unknown(context())
