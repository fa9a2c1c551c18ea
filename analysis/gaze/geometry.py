"""Screen geometry: normalized gaze → screen pixels → degrees of visual angle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.gaze.signal import as_floats
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Rect = Sequence[float]

_FIELDS = ("width_px", "height_px", "width_cm", "height_cm", "distance_cm")
_PIXEL_MEDIAN = 2.0


@dataclass(frozen=True)
class ScreenGeometry:
    """Size and distance of the screen, all that is needed to state gaze in degrees.

    Parameters
    ----------
    width_px, height_px : float
        Resolution, pixels.
    width_cm, height_cm : float
        Size of the picture area, centimetres.
    distance_cm : float
        Eye to screen centre, centimetres; the line of sight meets the centre at a right angle.

    Raises
    ------
    DuchenneError
        When a value is missing, not finite or not positive: without it degrees cannot be had.
    """

    width_px: float
    height_px: float
    width_cm: float
    height_cm: float
    distance_cm: float

    def __post_init__(self) -> None:
        for field in _FIELDS:
            value = getattr(self, field)
            if value is None or not math.isfinite(value) or value <= 0:
                raise DuchenneError(
                    f"Screen geometry: {field} is {value}; degrees of visual angle need the screen's "
                    "size in pixels and centimetres and the viewing distance, all above zero."
                )

    @classmethod
    def from_mapping(cls, screen: Mapping[str, object] | None) -> ScreenGeometry:
        """Build the geometry from a protocol's or a recording's ``screen`` entries.

        Parameters
        ----------
        screen : Mapping or None
            Keys ``width_px height_px width_cm height_cm distance_cm``; other keys are ignored.

        Raises
        ------
        DuchenneError
            When the mapping or one of the keys is missing.
        """
        known = {} if screen is None else dict(screen)
        missing = [field for field in _FIELDS if known.get(field) is None]
        if missing:
            raise DuchenneError(
                f"No screen geometry: {', '.join(missing)} missing; gaze cannot be stated in degrees "
                "without it. Give the screen's size in pixels and centimetres and the distance."
            )
        try:
            return cls(**{field: float(str(known[field])) for field in _FIELDS})
        except ValueError:
            raise DuchenneError(f"Screen geometry is not numeric: {known}.") from None

    def to_px(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Turn normalized gaze (0–1, origin top left, y down) into screen pixels.

        Parameters
        ----------
        x, y : array_like
            Any shape; NaN stays NaN; values outside 0–1 are off the screen and kept.

        Returns
        -------
        x_px, y_px : ndarray
            Pixels, origin at the top left corner of the screen, y down.
        """
        return (
            np.asarray(x, dtype=np.float64) * self.width_px,
            np.asarray(y, dtype=np.float64) * self.height_px,
        )

    def to_normalized(
        self, x_px: ArrayLike, y_px: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Turn screen pixels (origin top left, y down) into normalized gaze, 0–1."""
        return (
            np.asarray(x_px, dtype=np.float64) / self.width_px,
            np.asarray(y_px, dtype=np.float64) / self.height_px,
        )

    def to_deg(
        self, x_px: ArrayLike, y_px: ArrayLike, distance_cm: ArrayLike | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Turn screen pixels into degrees of visual angle from the screen centre.

        The exact geometry for a flat screen, one axis at a time: ``atan(offset / distance)``, not the
        small-angle rule. In degrees **right and up are positive** (pixels have y down).

        Parameters
        ----------
        x_px, y_px : array_like
            Screen pixels, any shape; NaN stays NaN.
        distance_cm : array_like, optional
            Distance of the eye from the screen at each sample; the declared one where absent.

        Returns
        -------
        x_deg, y_deg : ndarray
            Degrees, in (−90, 90).
        """
        x_cm = (np.asarray(x_px, dtype=np.float64) / self.width_px - 0.5) * self.width_cm
        y_cm = (0.5 - np.asarray(y_px, dtype=np.float64) / self.height_px) * self.height_cm
        far_cm = np.asarray(self.distance_cm if distance_cm is None else distance_cm, np.float64)
        return (
            np.degrees(np.arctan(x_cm / far_cm)),
            np.degrees(np.arctan(y_cm / far_cm)),
        )

    def deg_to_px(
        self, x_deg: ArrayLike, y_deg: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Turn degrees from the screen centre (y up) into screen pixels; undoes :meth:`to_deg`."""
        x_cm = np.tan(np.radians(np.asarray(x_deg, dtype=np.float64))) * self.distance_cm
        y_cm = np.tan(np.radians(np.asarray(y_deg, dtype=np.float64))) * self.distance_cm
        return (
            (x_cm / self.width_cm + 0.5) * self.width_px,
            (0.5 - y_cm / self.height_cm) * self.height_px,
        )


def check_normalized(columns: Mapping[str, ArrayLike]) -> None:
    """Refuse positions that are pixels where normalized units (0–1) were promised.

    Parameters
    ----------
    columns : Mapping of str to array_like
        Position columns by name. Gaze may leave the screen, so single values beyond 0–1 pass; a
        median magnitude above 2 screens does not.

    Raises
    ------
    DuchenneError
        Naming the column and its median.
    """
    for name, values in columns.items():
        finite = as_floats(values)
        finite = np.abs(finite[np.isfinite(finite)])
        if finite.size == 0:
            continue
        median = float(np.median(finite, overwrite_input=True))
        if median > _PIXEL_MEDIAN:
            raise DuchenneError(
                f"Column {name} has a median of {median:.6g}, which looks like pixels, not normalized "
                "units (0–1 across the screen); divide by the screen size or declare the unit px."
            )


def to_stimulus(
    x_px: ArrayLike, y_px: ArrayLike, rect_px: Rect
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn screen pixels into the coordinates of a stimulus (0–1 inside it, y down).

    Parameters
    ----------
    x_px, y_px : array_like
        Screen pixels, origin top left.
    rect_px : sequence of 4 floats
        Left, top, right, bottom edge of the stimulus, screen pixels.

    Returns
    -------
    x_stim, y_stim : ndarray
        Below 0 or above 1 where gaze is beside the stimulus.

    Raises
    ------
    ValueError
        When the rectangle has no area.
    """
    left, top, right, bottom = (float(edge) for edge in rect_px)
    if right <= left or bottom <= top:
        raise ValueError(f"rect_px {list(rect_px)} has no area: it is left, top, right, bottom")
    return (
        (np.asarray(x_px, dtype=np.float64) - left) / (right - left),
        (np.asarray(y_px, dtype=np.float64) - top) / (bottom - top),
    )
