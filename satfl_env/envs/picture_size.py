"""How large a rendering is: pixels, and dots per inch, on which the size of its text and lines depends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from satfl_env.arguments import as_number, checked_integer

DEFAULT_DPI, LEAST_DPI = 100.0, 72.0
# What a layout needs at least, and what a picture may have at most.
LEAST_INCHES = (4.0, 3.0)
MOST_PX = 8192


class PictureSize(NamedTuple):
    """The size of a picture.

    Attributes:
        width: Width in pixels.
        height: Height in pixels.
        dpi: Dots per inch.
    """

    width: int
    height: int
    dpi: float

    @property
    def inches(self) -> tuple[float, float]:
        """Width and height in inches."""
        # A little more, so that rounding loses no pixel.
        return (self.width + 1e-3) / self.dpi, (self.height + 1e-3) / self.dpi


def picture_size(size: Sequence[int] | None, dpi: float | None, usual: tuple[int, int]) -> PictureSize:
    """The size that is asked for.

    Args:
        size: Width and height in pixels; if None, the usual ones at `DEFAULT_DPI`, and more at more.
        dpi: Dots per inch; if None, text and lines grow with the square root of the picture's area.
        usual: Width and height of the usual picture, in pixels at `DEFAULT_DPI`.

    Raises:
        TypeError: If the size is no two whole numbers.
        ValueError: If the picture would be too large, or too small for its text.
    """
    if dpi is not None and not 0 < as_number(dpi) < np.inf:
        raise ValueError(f"render_dpi must be a positive number or None, got {dpi!r}")
    if size is None:
        dpi = DEFAULT_DPI if dpi is None else dpi
        width, height = (round(pixels * dpi / DEFAULT_DPI) for pixels in usual)
    else:
        width, height = _two_numbers(size)
        dpi = max(LEAST_DPI, DEFAULT_DPI * np.sqrt(width * height / np.prod(usual))) if dpi is None else dpi
    if max(width, height) > MOST_PX:
        raise ValueError(f"pictures have at most {MOST_PX} pixels a side, got {width} x {height}")
    inches = (width / dpi, height / dpi)
    if inches[0] < LEAST_INCHES[0] or inches[1] < LEAST_INCHES[1]:
        raise ValueError(
            f"a picture of {width} x {height} pixels at {dpi:g} dpi is {inches[0]:.3g} x {inches[1]:.3g} inches: "
            f"too small for its text, which needs {LEAST_INCHES[0]:g} x {LEAST_INCHES[1]:g}"
        )
    return PictureSize(width, height, float(dpi))


def _two_numbers(size: Any) -> tuple[int, int]:
    if isinstance(size, str) or not isinstance(size, Sequence) or len(size) != 2:
        raise TypeError(f"render_size must be a width and a height in pixels, or None, got {size!r}")
    width, height = (checked_integer("render_size", pixels, 1) for pixels in size)
    return width, height
