"""Kernels that the fuzzer found the compiler to fail on."""

import numpy as np
import pytest

import baco
import baco.language as bl
from baco.lang.errors import KernelTypeError, SemanticError


@baco.jit
def requantised_constant(y, n, B: bl.constexpr):
    bl.store(bl.make_block_ptr(y, (n, n), (n, 1), (0, 0), (B, B), (1, 0)), bl.gemmini.requantise(bl.zeros((B, B), bl.int32), 0.5))


def test_a_requantised_constant_is_the_hosts() -> None:
    y = np.ones((16, 16), np.int8)
    requantised_constant[(1,)](y, 16, B=16)
    assert (y == 0).all()


@baco.jit
def offset_out_of_range(x, y, n):
    d = bl.make_tensor_descriptor(x, [n, n], [n, 1], [16, 16])
    bl.make_tensor_descriptor(y, [n, n], [n, 1], [16, 16]).store([0, -9223372036854775808], d.load([0, 9223372036854775807]))


def test_offsets_wrap_as_64_bits_do() -> None:
    offset_out_of_range.warmup(np.int8, np.int8, 16)


@baco.jit
def odd(x, n, KIND: bl.constexpr):
    if KIND == "negated module":
        -bl  # noqa: B018
    if KIND == "inverted tuple":
        ~(1, 2)  # noqa: B018
    if KIND == "range":
        bl.arange(-9223372036854775808, 4)
    if KIND == "order":
        block = bl.zeros((4, 4), bl.int8)
        bl.trans(block, block, block)
    if KIND == "turns":
        for _ in bl.static_range(0, 9223372036854775808):
            pass
    if KIND == "block":
        bl.zeros((100000, 100000), bl.int8)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("negated module", "- does not apply to a"),
        ("inverted tuple", "~ does not apply to a tuple"),
        ("range", "bl.arange gives int32, which -9223372036854775808 does not fit"),
        ("order", "bl.trans: 4x4 block of int8, 4x4 block of int8 is not an order of 2 dimensions"),
        ("turns", "bl.static_range would unroll 9223372036854775808 turns; at most 65536 are. Use range, which makes a loop."),
        ("block", "shape is 10000000000 elements; a block has at most 1048576"),
    ],
)
def test_odd_values_are_refused(kind: str, message: str) -> None:
    with pytest.raises((KernelTypeError, SemanticError), match=message):
        odd.warmup(np.int8, 4, KIND=kind)
