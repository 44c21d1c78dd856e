"""What a configuration of a kernel costs, kept on disk: one readable JSON file for each configuration, shape and machine.

A configuration has an entry of its own, so changing the list of configurations keeps the others' costs. The key holds everything that
decides the cost: what the kernel does, element types, shapes and strides, integer arguments, the grid, the hardware, BACO's own sources.
A damaged, foreign or differently keyed file is a miss, never an error.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from baco.hardware import GemminiConfig
from baco.lang import launch
from baco.lang.cache import compiler_digest
from baco.lang.jit import JITFunction
from baco.lang.source import NoCanonicalText, canonical, fingerprint
from baco.toolchain import atomic_write, cache_dir, digest


def key_of(kernel: JITFunction, bound: Mapping[str, Any], grid: Any, options: Mapping[str, Any], hardware: GemminiConfig) -> dict | None:
    """What the cost of one configuration is kept under: `bound` are all arguments of the kernel by name.

    None if it depends on something that cannot be written down, so that it is never kept.
    """
    try:
        return {
            "kernel": kernel.__name__,
            "source": fingerprint(kernel.function),
            "compiler": compiler_digest(),
            "arguments": {name: _argument(value) for name, value in bound.items()},
            "options": {name: canonical(value) for name, value in options.items()},
            "grid": list(launch.grid_sizes(kernel.__name__, grid, bound)),
            "hardware": hardware.to_dict(),
        }
    except NoCanonicalText:
        return None


def path_of(key: Mapping[str, Any]) -> Path:
    """Where an entry lies."""
    return cache_dir() / "autotune" / f"{key['kernel']}-{digest(json.dumps(key, sort_keys=True))}.json"


def load(key: Mapping[str, Any]) -> float | str | None:
    """The cost that was kept, or the text that says why there is none; None if neither is known."""
    try:
        entry = json.loads(path_of(key).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or entry.get("key") != key:
        return None
    found = entry.get("failed", entry.get("cost"))
    return found if isinstance(found, str) or (isinstance(found, float) and math.isfinite(found)) else None


def save(key: Mapping[str, Any], found: float | str) -> None:
    """Keep a cost, or the reason why there is none. A folder that cannot be written costs the next process a run, nothing else."""
    entry = {"key": key, ("failed" if isinstance(found, str) else "cost"): found}
    with contextlib.suppress(OSError):
        atomic_write(path_of(key), json.dumps(entry, indent=2) + "\n")


def _argument(value: Any) -> Any:
    """What counts about an argument: of an array its type and shape; a float scales results, and costs the same whatever it is."""
    if launch.is_array(value):
        array = launch.as_array("", "", value)
        return {"dtype": array.dtype.name, "shape": list(array.shape), "strides": [s // array.itemsize for s in array.strides]}
    return "float" if isinstance(value, (float, np.floating)) else canonical(value)
