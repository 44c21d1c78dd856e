"""What `bl.gemmini.max_pool` accepts, compiled or interpreted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from baco.dialects.pooling import Pooling
from baco.lang.errors import SemanticError
from baco.lang.types import DType, int8


def checked_pooling(dtype: DType, shape: Sequence[int], image: Any, size: Any, stride: Any, padding: Any) -> Pooling:
    """What pooling a block of this type and shape comes to.

    Raises:
        SemanticError: if the block is no such image, or the hardware has no such pooling.
    """
    text = f"{'x'.join(map(str, shape))} block of {dtype}"
    _require(dtype is int8, f"bl.gemmini.max_pool takes an int8 block, not a {text}; requantise it first.")
    _require(len(shape) == 2, f"bl.gemmini.max_pool takes a block of pixels by channels, not a {text}.")
    around = (padding, padding) if isinstance(padding, int) else padding
    for name, pair in (("image", image), ("padding", around)):
        ok = isinstance(pair, (tuple, list)) and len(pair) == 2 and all(map(_is_integer, pair))
        _require(ok, f"{name} must be compile-time integers for rows and columns; declare them as bl.constexpr.")
    step = size if stride is None else stride
    for name, number in (("size", size), ("stride", step)):
        _require(_is_integer(number), f"{name} must be a compile-time integer; declare it as bl.constexpr.")
    try:
        made = Pooling.of(tuple(image), size, step, tuple(around))
    except ValueError as error:
        raise SemanticError(f"bl.gemmini.max_pool: {error}") from None
    pixels = made.rows * made.columns
    _require(pixels == shape[0], f"an image of {made.rows}x{made.columns} has {pixels} pixels, but the block has {shape[0]} rows.")
    return made


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise SemanticError(message)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
