"""Angles between what is on the screen, as seen from where the participant sits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from duchenne.protocols.parts import Screen

    FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sight:
    """A flat screen seen from straight ahead of its middle.

    Attributes
    ----------
    width_px, height_px : float
        Resolution.
    width_cm, height_cm, distance_cm : float
        Size of the lit area, and distance of the eyes from its middle.
    """

    width_px: float
    height_px: float
    width_cm: float
    height_cm: float
    distance_cm: float

    @classmethod
    def of(cls, screen: Screen) -> Sight:
        """Return the geometry of a declared screen."""
        return cls(
            screen.width_px,
            screen.height_px,
            screen.width_cm,
            screen.height_cm,
            screen.distance_cm,
        )

    def deg(self, points_px: npt.ArrayLike) -> FloatArray:
        """Return points (..., 2) as degrees from the middle per axis, x to the right, y up."""
        return np.asarray(np.degrees(np.arctan(self._cm(points_px) / self.distance_cm)))

    def px(self, x_deg: float, y_deg: float) -> tuple[float, float]:
        """Return the pixel under angles from the middle, x to the right, y up."""
        x_cm, y_cm = (self.distance_cm * np.tan(np.radians(v)) for v in (x_deg, y_deg))
        return (
            float((0.5 + x_cm / self.width_cm) * self.width_px),
            float((0.5 - y_cm / self.height_cm) * self.height_px),
        )

    def size_px(self, size_deg: float) -> float:
        """Return the pixels that an angle covers in the middle of the screen."""
        half_cm = self.distance_cm * float(np.tan(np.radians(size_deg) / 2))
        return 2 * half_cm / self.width_cm * self.width_px

    def angle_deg(self, one_px: npt.ArrayLike, other_px: npt.ArrayLike) -> FloatArray:
        """Return the angle between the lines of sight to points (..., 2); NaN where a point is NaN."""
        one, other = (self._direction(points) for points in (one_px, other_px))
        across = np.linalg.norm(np.cross(one, other), axis=-1)
        return np.asarray(np.degrees(np.arctan2(across, np.sum(one * other, axis=-1))))

    def _cm(self, points_px: npt.ArrayLike) -> FloatArray:
        points = np.asarray(points_px, dtype=np.float64)
        x = (points[..., 0] / self.width_px - 0.5) * self.width_cm
        y = (0.5 - points[..., 1] / self.height_px) * self.height_cm
        return np.stack([x, y], axis=-1)

    def _direction(self, points_px: npt.ArrayLike) -> FloatArray:
        cm = self._cm(points_px)
        depth = np.full((*cm.shape[:-1], 1), self.distance_cm)
        return np.concatenate([cm, depth], axis=-1)
