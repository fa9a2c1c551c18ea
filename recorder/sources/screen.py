"""Exact geometry between visual angle and a flat screen, for the simulated eyes.

Angles are those between the line of sight to the screen's centre and the projections of the gaze
line on the horizontal and the vertical plane: x to the right, y up. A point X cm right of the
centre is seen under atan(X / distance).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

_SIZES = ("width_px", "height_px", "width_cm", "height_cm", "distance_cm")


@dataclass(frozen=True)
class RegionDeg:
    """A rectangle in degrees of visual angle; x to the right, y up, 0 at the screen's centre."""

    left: float
    right: float
    bottom: float
    top: float

    def contains(self, x_deg: float, y_deg: float) -> bool:
        """Whether a point lies in the rectangle."""
        return self.left <= x_deg <= self.right and self.bottom <= y_deg <= self.top

    def shrunk(self, fraction: float) -> RegionDeg:
        """Return the rectangle without a margin of `fraction` of its size on each side."""
        dx = fraction * (self.right - self.left)
        dy = fraction * (self.top - self.bottom)
        return RegionDeg(self.left + dx, self.right - dx, self.bottom + dy, self.top - dy)


@dataclass(frozen=True)
class Screen:
    """A flat screen seen from straight ahead of its centre.

    Attributes
    ----------
    width_px, height_px : float
        Resolution.
    width_cm, height_cm : float
        Size of the visible area.
    distance_cm : float
        Distance of the eyes from its centre.
    """

    width_px: float = 1920.0
    height_px: float = 1080.0
    width_cm: float = 53.0
    height_cm: float = 29.8
    distance_cm: float = 60.0

    @classmethod
    def from_fields(cls, values: Mapping[str, Any]) -> Screen | None:
        """Read a screen from a marker's fields; None where a size is missing or not positive."""
        try:
            sizes = {key: float(values[key]) for key in _SIZES}
        except (KeyError, TypeError, ValueError):
            return None
        return cls(**sizes) if all(size > 0 for size in sizes.values()) else None

    def to_normalized(self, x_deg: FloatArray, y_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Turn degrees into screen coordinates, 0 to 1 from the top left; NaN stays NaN."""
        x = 0.5 + np.tan(np.radians(x_deg)) * (self.distance_cm / self.width_cm)
        y = 0.5 - np.tan(np.radians(y_deg)) * (self.distance_cm / self.height_cm)
        return x, y

    def point_deg(self, x_px: float, y_px: float) -> tuple[float, float]:
        """Return the degrees of a point in pixels from the top left."""
        x_cm = (x_px / self.width_px - 0.5) * self.width_cm
        y_cm = (0.5 - y_px / self.height_px) * self.height_cm
        return (
            float(np.degrees(np.arctan2(x_cm, self.distance_cm))),
            float(np.degrees(np.arctan2(y_cm, self.distance_cm))),
        )

    def region_deg(self, rect_px: Sequence[float]) -> RegionDeg:
        """Return a rectangle ``(x0, y0, x1, y1)`` in pixels from the top left, in degrees."""
        x0, y0, x1, y1 = rect_px
        left, top = self.point_deg(min(x0, x1), min(y0, y1))
        right, bottom = self.point_deg(max(x0, x1), max(y0, y1))
        return RegionDeg(left, right, bottom, top)

    def central_region(self, width: float, height: float) -> RegionDeg:
        """Return the central part of the screen, as fractions of its width and height."""
        w, h = width * self.width_px / 2, height * self.height_px / 2
        cx, cy = self.width_px / 2, self.height_px / 2
        return self.region_deg((cx - w, cy - h, cx + w, cy + h))

    def covered_fraction(self, rect_px: Sequence[float]) -> float:
        """Return the part of the screen's area that a rectangle covers, 0 to 1."""
        x0, y0, x1, y1 = rect_px
        width = np.clip([x0, x1], 0, self.width_px)
        height = np.clip([y0, y1], 0, self.height_px)
        area = abs(width[1] - width[0]) * abs(height[1] - height[0])
        return float(area / (self.width_px * self.height_px))
