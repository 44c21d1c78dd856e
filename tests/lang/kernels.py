"""Kernels and references that several tests share."""

import importlib.util
from pathlib import Path

import numpy as np

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str):
    """A module of examples/, by file name."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def int8(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-128, 128, shape, dtype=np.int8)


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The exact int32 matrix product."""
    return a.astype(np.int32) @ b.astype(np.int32)


def requantised(x: np.ndarray, scale: float, relu: bool) -> np.ndarray:
    """int32 to int8 as GEMMINI_ISA.md section 6 says: float32 product, half to even, clamp; ReLU."""
    y = np.clip(np.rint(x.astype(np.float32) * np.float32(scale)), -128, 127).astype(np.int8)
    return np.maximum(y, 0) if relu else y
