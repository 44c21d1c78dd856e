"""Remarks: what the compiler decided that its user may want to know, each with the line it is about. They are no errors."""

from __future__ import annotations

from baco.dialects.mlir import ir
from baco.lowering.errors import SourceLocation

REMARKS = "baco.remarks"
"""Module attribute: one string for each remark."""


def add_remark(module: ir.Module, place: SourceLocation | None, text: str) -> None:
    """Record a remark on the module, once."""
    attributes = module.operation.attributes
    where = f"{place.file}:{place.line}:{place.column}: " if place else ""
    with module.context:
        new = ir.StringAttr.get(f"{where}{text}")
        before = list(ir.ArrayAttr(attributes[REMARKS])) if REMARKS in attributes else []
        if new not in before:
            attributes[REMARKS] = ir.ArrayAttr.get([*before, new])


def remarks(module: ir.Module) -> list[str]:
    """The remarks of a module, in the order in which they were made."""
    attributes = module.operation.attributes
    return [ir.StringAttr(a).value for a in ir.ArrayAttr(attributes[REMARKS])] if REMARKS in attributes else []
