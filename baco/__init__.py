"""BACO: block-level Python kernels for the Gemmini accelerator, and hardware and mappings found together.

The public names below load their modules when first used, so that ``import baco`` stays fast: PyTorch, MLIR and the emulator are
imported by the work that needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from baco import knobs, testing
    from baco.errors import BacoError
    from baco.hardware import GemminiConfig
    from baco.lang import jit, language
    from baco.lang.autotune import Config, autotune, heuristics
    from baco.lang.language import cdiv
    from baco.lang.tensor_functions import from_linalg
    from baco.lang.triton_kernels import from_triton
    from baco.search import explore
    from baco.workload import Mapping, Problem

__version__ = "0.1.0"

__all__ = [
    "BacoError",
    "Config",
    "GemminiConfig",
    "Mapping",
    "Problem",
    "__version__",
    "autotune",
    "cdiv",
    "explore",
    "from_linalg",
    "from_triton",
    "heuristics",
    "jit",
    "knobs",
    "language",
    "testing",
]

_HOMES = {
    "BacoError": "baco.errors",
    "Config": "baco.lang.autotune",
    "GemminiConfig": "baco.hardware",
    "Mapping": "baco.workload",
    "Problem": "baco.workload",
    "autotune": "baco.lang.autotune",
    "cdiv": "baco.lang.language",
    "explore": "baco.search",
    "from_linalg": "baco.lang.tensor_functions",
    "from_triton": "baco.lang.triton_kernels",
    "heuristics": "baco.lang.autotune",
    "jit": "baco.lang",
}
"""Public name to the module that defines it."""
_MODULES = {"knobs": "baco.knobs", "language": "baco.lang.language", "testing": "baco.testing"}
"""Public name to the module that it is."""


def __getattr__(name: str) -> object:
    if name in _MODULES:
        value: object = importlib.import_module(_MODULES[name])
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'baco' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
