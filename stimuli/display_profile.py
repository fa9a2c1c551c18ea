"""From pixel values to light: relative luminance by sRGB, cd/m² by a monitor's own measurements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.stimuli.errors import UsageError
from duchenne.stimuli.luminance import BLUE, GREEN, RED, linearised

if TYPE_CHECKING:
    import numpy.typing as npt

WEIGHTS = (RED, GREEN, BLUE)


@dataclass(frozen=True)
class Monitor:
    """A screen as measured with a photometer.

    Attributes
    ----------
    gamma : float
        Exponent of light over pixel value.
    peak_cd_m2, black_cd_m2 : float
        Luminance of white and of black, in cd/m².
    """

    gamma: float
    peak_cd_m2: float
    black_cd_m2: float = 0.0

    def __post_init__(self) -> None:
        if not 1.0 <= self.gamma <= 4.0:
            raise UsageError(f"--monitor-gamma {self.gamma:g} is not from 1 to 4")
        if not 0.0 <= self.black_cd_m2 < self.peak_cd_m2 <= 20_000:
            raise UsageError(
                f"--black-cd-m2 {self.black_cd_m2:g} must be from 0 to below --peak-cd-m2 "
                f"{self.peak_cd_m2:g}"
            )

    def cd_m2(self, rgb: npt.NDArray[np.uint8]) -> float:
        """Return the mean luminance of a picture on this screen, in cd/m²."""
        level = (np.arange(256) / 255.0) ** self.gamma
        share: float = sum(
            weight * float(np.bincount(rgb[..., c].ravel(), minlength=256) @ level)
            for c, weight in enumerate(WEIGHTS)
        ) / (rgb.shape[0] * rgb.shape[1])
        return self.black_cd_m2 + (self.peak_cd_m2 - self.black_cd_m2) * share


_TABLE = linearised(np.arange(256, dtype=np.uint8)).astype(np.float32)


def luminance_map(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the relative luminance of every pixel.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (height, width, 3)
        sRGB pixels.

    Returns
    -------
    ndarray of float32, shape (height, width)
        0 (black) to 1 (white).
    """
    found = np.take(_TABLE * np.float32(RED), rgb[..., 0])
    found += np.take(_TABLE * np.float32(GREEN), rgb[..., 1])
    found += np.take(_TABLE * np.float32(BLUE), rgb[..., 2])
    return found


def encoded(linear: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Return the nearest sRGB pixel values of linear intensities from 0 to 1, of any shape."""
    edges = (_TABLE[1:] + _TABLE[:-1]) / 2.0
    low = np.clip(linear, 0.0, 1.0)
    return np.asarray(np.searchsorted(edges, low), dtype=np.uint8)
