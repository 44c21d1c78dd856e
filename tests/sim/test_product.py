"""The product of tiles, compiled for several processors: the same numbers as NumPy's from each."""

import ctypes
import platform
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from baco.sim import native
from baco.toolchain import zig

X86 = (["-mcpu=haswell"], ["-mcpu=x86_64"], ["-mcpu=x86_64", "-U__SSE2__"])
"""Vectors of 256 bits, of 128 bits, and what every other processor gets."""


class Product(ctypes.Structure):
    """`struct product`."""

    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("dim", "rows", "inner")),
        *(("a", ctypes.c_void_p), ("a_step", ctypes.c_size_t), ("pairs", ctypes.c_void_p)),
        *(("out", ctypes.c_void_p), ("out_step", ctypes.c_size_t), ("add", ctypes.c_bool)),
    )


@pytest.mark.parametrize("flags", [["-mcpu=native"], *(X86 if platform.machine() == "x86_64" else ())], ids=" ".join)
def test_products(flags: list[str], tmp_path: Path) -> None:
    for file in ("product.c", "internal.h", "gemmini.h"):
        (tmp_path / file).write_bytes(resources.files("baco.sim").joinpath(file).read_bytes())
    (tmp_path / "generated.h").write_text(native.generated_header())
    own = [flag for flag in native.FLAGS if not flag.startswith("-mcpu")]
    zig("cc", *own, *flags, "-o", str(tmp_path / "product.so"), str(tmp_path / "product.c"))
    library = ctypes.CDLL(str(tmp_path / "product.so"))
    rng = np.random.default_rng(0)
    for dim in (2, 4, 8, 16, 32, 128):
        for case in range(20):
            check(library, dim, case, rng)


def check(library: ctypes.CDLL, dim: int, case: int, rng: np.random.Generator) -> None:
    """One product into random rows; the last cases have the largest products."""
    rows, inner = (int(rng.integers(0, dim + 1)) for _ in range(2))
    a_step, out_step = (int(rng.integers(0, 3)) for _ in range(2))
    a = rng.integers(-128, 128, (3 * dim, dim), np.int8)
    w = rng.integers(-128, 128, (dim, dim), np.int32)
    if case > 15:
        a[:], w[:] = -128, -128
    out = rng.integers(-(2**31), 2**31, (3 * dim, dim)).astype(np.int32)
    add, expected, pairs = bool(case % 2), out.astype(np.int64), np.zeros(dim * dim // 2, np.int32)
    for i in range(rows):
        sums = a[i * a_step, :inner].astype(np.int64) @ w[:inner]
        expected[i * out_step] = sums + (expected[i * out_step] if add else 0)
    library.pair_up(dim, ctypes.c_void_p(w.ctypes.data), ctypes.c_void_p(pairs.ctypes.data))
    addresses = (a.ctypes.data, a_step * dim, pairs.ctypes.data, out.ctypes.data, out_step * dim)
    library.product(ctypes.byref(Product(dim, rows, inner, *addresses, add)))
    np.testing.assert_array_equal(out, expected.astype(np.int32))
