"""The geometry of Gemmini's pooling stores, which the language, the passes and the analysis share (GEMMINI_ISA.md section 7.6).

An image of `rows` x `columns` pixels lies row by row, a pixel a row of private memory. A store takes the maximum of each window of
`size` x `size` pixels, the first of which begins `upper` rows above and `left` columns left of the image, and the others `stride` further.
Pixels outside the image count as 0, whatever is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LARGEST_WINDOW = 3
"""The fields for window, stride and padding have two bits."""
LARGEST_IMAGE = 255
"""The fields for rows and columns have eight."""


@dataclass(frozen=True)
class Pooling:
    """What a pooling store makes of an image; all sizes in pixels."""

    rows: int
    columns: int
    size: int
    stride: int
    upper: int
    left: int
    out_rows: int
    out_columns: int

    @classmethod
    def of(cls, image: tuple[int, int], size: int, stride: int, padding: tuple[int, int]) -> Pooling:
        """As many windows as fit an image with `padding` above and below, and left and right.

        Raises:
            ValueError: with a sentence, if the hardware has no such pooling.
        """
        for name, value, least in (("size", size, 1), ("stride", stride, 1), ("padding", max(padding), 0), ("padding", min(padding), 0)):
            if not least <= value <= LARGEST_WINDOW:
                raise ValueError(f"{name} is {least} to {LARGEST_WINDOW} on Gemmini, not {value}.")
        if max(padding) >= size:
            raise ValueError(f"padding {max(padding)} must be less than size {size}, so that every window has a pixel of the image.")
        if not all(1 <= extent <= LARGEST_IMAGE for extent in image):
            raise ValueError(f"image has 1 to {LARGEST_IMAGE} rows and columns, not {image[0]} and {image[1]}; pool it in parts.")
        out = [(extent + 2 * pad - size) // stride + 1 for extent, pad in zip(image, padding, strict=True)]
        if min(out) < 1:
            raise ValueError(f"a window of {size}x{size} does not fit into {image[0]}x{image[1]} pixels.")
        return cls(*image, size, stride, *padding, *out)

    @classmethod
    def from_fields(cls, fields: Mapping[str, int]) -> Pooling | None:
        """What the fields of a config_st configure; None where they turn pooling off."""
        if not fields["pool_stride"]:
            return None
        around = (fields["pool_upper_pad"], fields["pool_left_pad"])
        out = (fields["pool_out_rows"], fields["pool_out_cols"])
        return cls(fields["out_rows"], fields["out_cols"], fields["pool_size"], fields["pool_stride"], *around, *out)

    def fields(self) -> dict[str, int]:
        """The fields of a config_st for it, where the rows of the result follow each other in DRAM."""
        return {
            "pool_stride": self.stride,
            "pool_size": self.size,
            "pool_upper_pad": self.upper,
            "pool_left_pad": self.left,
            "pool_out_dim": self.out_columns,
            "pool_out_rows": self.out_rows,
            "pool_out_cols": self.out_columns,
            "out_rows": self.rows,
            "out_cols": self.columns,
        }

    @property
    def pixels_read(self) -> int:
        """How many pixels all windows have in the image together; one that several windows share counts for each."""
        return self._inside(self.rows, self.out_rows, self.upper)[0] * self._inside(self.columns, self.out_columns, self.left)[0]

    @property
    def last_pixel(self) -> int | None:
        """The last pixel that a window covers; None if none does."""
        last = [self._inside(self.rows, self.out_rows, self.upper)[1], self._inside(self.columns, self.out_columns, self.left)[1]]
        return None if None in last else last[0] * self.columns + last[1]

    def _inside(self, extent: int, windows: int, pad: int) -> tuple[int, int | None]:
        """Along one dimension: how often a window covers a place of the image, and the last such place."""
        places = [p for w in range(windows) for p in range(w * self.stride - pad, w * self.stride - pad + self.size) if 0 <= p < extent]
        return len(places), max(places, default=None)
