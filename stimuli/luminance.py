"""Luminance of pictures, as the pupil meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RED, GREEN, BLUE = 0.2126, 0.7152, 0.0722
"""Share of each linear sRGB primary in relative luminance (IEC 61966-2-1)."""


def linearised(values: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Undo the sRGB transfer function.

    Parameters
    ----------
    values : array of uint8
        sRGB channel values, any shape.

    Returns
    -------
    array of float, same shape
        Linear intensities, 0 to 1.
    """
    encoded = np.arange(256) / 255.0
    table = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return np.asarray(table[values])


def relative_luminance(rgb: NDArray[np.uint8]) -> float:
    """Return the mean relative luminance of a picture.

    Parameters
    ----------
    rgb : array of uint8, shape (height, width, 3)
        sRGB pixels.

    Returns
    -------
    float
        0 (black) to 1 (white): the mean of 0.2126 R + 0.7152 G + 0.0722 B over linearised pixels.
    """
    red, green, blue = linearised(rgb).mean(axis=(0, 1))
    return float(RED * red + GREEN * green + BLUE * blue)
