"""Statistics of directions, which are angles: the mean of 179° and −179° is 180°, not 0°."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_HORIZONTAL_DEG = 45.0


@dataclass(frozen=True)
class Directions:
    """Where movements went.

    Parameters
    ----------
    mean_deg : float
        Circular mean, in (−180, 180]: 0 right, 90 up; NaN where directions cancel out.
    resultant : float
        Length of the mean vector: 0 (all directions alike) to 1 (one direction).
    horizontal_share : float
        Share of movements within 45° of left or right, 0 to 1.
    """

    mean_deg: float
    resultant: float
    horizontal_share: float


def direction_statistics(direction_deg: ArrayLike) -> Directions:
    """Summarise directions.

    Parameters
    ----------
    direction_deg : array_like, shape (m,)
        Degrees; NaN is left out.

    Returns
    -------
    Directions
        NaN throughout without any direction.

    References
    ----------
    Mardia & Jupp 2000, Directional Statistics, Wiley (circular mean and resultant).
    """
    direction = np.asarray(direction_deg, dtype=np.float64)
    direction = direction[np.isfinite(direction)]
    if direction.size == 0:
        return Directions(float("nan"), float("nan"), float("nan"))
    mean = complex(np.exp(1j * np.radians(direction)).mean())
    length = abs(mean)
    angle = float(np.degrees(np.angle(mean))) if length > 1e-9 else float("nan")
    across = np.abs(np.cos(np.radians(direction))) >= np.cos(np.radians(_HORIZONTAL_DEG)) - 1e-12
    return Directions(angle, min(length, 1.0), float(across.mean()))
