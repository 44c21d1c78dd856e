"""The block DSL: builtins, types, the AST front end, `jit` and launch."""

from __future__ import annotations

from baco.lang.jit import jit

__all__ = ["jit"]
