"""The pupil as the camera sees it: seen from the side a disc is an ellipse, and smaller.

Two corrections, to be reported side by side: by geometry, which needs to know where the camera is,
and by regression of size on gaze position, which needs phases in which nothing else moved the pupil.
Devices that already report true diameters need neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from duchenne.analysis.gaze.geometry import ScreenGeometry

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

CAMERA_BELOW_CM = 3.0
"""Usual place of a remote tracker: this far below the screen's lower edge, in its plane."""
EXPONENTS = {"diameter": 0.5, "area": 1.0}
MIN_SPREAD_DEG = 2.0
"""Less gaze movement than this (standard deviation) says nothing about position."""
MIN_FIT_S = 5.0
MIN_T = 2.0


@dataclass(frozen=True)
class PositionModel:
    """Pupil size as a linear function of gaze position.

    Parameters
    ----------
    x_per_deg, y_per_deg : float
        Change of size per degree to the right and up, in the unit of the trace; NaN where not fitted.
    reason : str
        Why it could not be fitted, or that nothing was found; empty where there is a slope.
    """

    x_per_deg: float = float("nan")
    y_per_deg: float = float("nan")
    reason: str = ""


def foreshortening(
    x_px: ArrayLike,
    y_px: ArrayLike,
    screen: ScreenGeometry,
    camera_cm: tuple[float, float, float] | None = None,
) -> Floats:
    """Return the cosine of the angle between the line of sight and the camera's view of the eye.

    Parameters
    ----------
    x_px, y_px : array_like, shape (n,)
        Gaze, screen pixels from the top left.
    screen : ScreenGeometry
        The eye is ``distance_cm`` in front of the screen's centre.
    camera_cm : (x, y, z), optional
        Camera from the screen's centre: to the right, up, and towards the eye. By default in the plane
        of the screen, centred, 3 cm below its lower edge.

    Returns
    -------
    ndarray, shape (n,)
        0–1; the apparent area of a flat round pupil is the true one times this. NaN where gaze is.

    References
    ----------
    Hayes & Petrov 2016, Behavior Research Methods 48, 510–527.
    """
    if camera_cm is None:
        camera_cm = (0.0, -screen.height_cm / 2 - CAMERA_BELOW_CM, 0.0)
    across = (np.asarray(x_px, dtype=np.float64) / screen.width_px - 0.5) * screen.width_cm
    up = (0.5 - np.asarray(y_px, dtype=np.float64) / screen.height_px) * screen.height_cm
    to_camera = np.array([camera_cm[0], camera_cm[1], camera_cm[2] - screen.distance_cm])
    away = -screen.distance_cm
    dot = across * to_camera[0] + up * to_camera[1] + away * to_camera[2]
    length = np.sqrt(across**2 + up**2 + away**2) * float(np.linalg.norm(to_camera))
    cosine: Floats = np.maximum(dot / length, 0.0)
    return cosine


def correct_foreshortening(
    size: Floats,
    x_px: ArrayLike,
    y_px: ArrayLike,
    screen: ScreenGeometry,
    *,
    measure: str | None = None,
    camera_cm: tuple[float, float, float] | None = None,
) -> Floats:
    """Undo the foreshortening, relative to gaze at the screen's centre.

    Parameters
    ----------
    size : ndarray, shape (n,)
        Apparent size.
    x_px, y_px, screen, camera_cm
        See :func:`foreshortening`.
    measure : str, optional
        ``"area"`` divides by the cosine, anything else by its square root (a diameter made from an
        area, as most trackers report it).

    Returns
    -------
    ndarray, shape (n,)
        As if gaze had stayed on the centre of the screen; NaN where gaze is unknown.
    """
    centre = foreshortening(screen.width_px / 2, screen.height_px / 2, screen, camera_cm)
    relative = foreshortening(x_px, y_px, screen, camera_cm) / centre
    relative = np.where(relative > 0, relative, np.nan)
    exponent = EXPONENTS.get(measure or "diameter", EXPONENTS["diameter"])
    return np.asarray(size / relative**exponent)


def fit_position(
    size: Floats, x_deg: Floats, y_deg: Floats, fit_mask: Bools, rate_hz: float
) -> PositionModel:
    """Fit size on gaze position where nothing emotional is shown.

    Parameters
    ----------
    size, x_deg, y_deg : ndarray, shape (n,)
        Trace and gaze, degrees from the screen's centre.
    fit_mask : ndarray of bool, shape (n,)
        Which samples to fit.
    rate_hz : float
        Sampling rate.

    Returns
    -------
    PositionModel
        Not fitted with less than 5 s, or where gaze moved less than 2° (standard deviation) on both
        axes; an axis that moved less than that, or whose slope is below 2 standard errors, has slope 0.
    """
    use = fit_mask & np.isfinite(size) & np.isfinite(x_deg) & np.isfinite(y_deg)
    if np.count_nonzero(use) < max(10.0, MIN_FIT_S * rate_hz):
        return PositionModel(reason="less than 5 s of gaze where nothing emotional was shown")
    axes = [axis[use] - axis[use].mean() for axis in (x_deg, y_deg)]
    moved = [float(axis.std()) >= MIN_SPREAD_DEG for axis in axes]
    if not any(moved):
        return PositionModel(reason="gaze moved less than 2° where nothing emotional was shown")
    drift = np.linspace(-1.0, 1.0, axes[0].size)
    columns = [np.ones(drift.size), drift, *(a for a, m in zip(axes, moved, strict=True) if m)]
    slopes, errors = _regression(np.stack(columns, axis=1), size[use])
    told = [
        slope if abs(slope) > MIN_T * error else 0.0
        for slope, error in zip(slopes[2:], errors[2:], strict=True)
    ]
    reason = "" if any(told) else "no effect of gaze position was found; nothing was changed"
    slope = iter(told)
    x_slope, y_slope = (next(slope) if m else 0.0 for m in moved)
    return PositionModel(x_slope, y_slope, reason)


def _regression(design: Floats, values: Floats) -> tuple[list[float], list[float]]:
    """Return slopes and standard errors, these widened for the autocorrelation of the residuals."""
    slopes = np.linalg.lstsq(design, values, rcond=None)[0]
    rest = values - design @ slopes
    left = float(rest @ rest)
    again = min(max(float(rest[1:] @ rest[:-1]) / left if left > 0 else 0.0, 0.0), 0.9999)
    n_free = max(values.size * (1 - again) / (1 + again) - design.shape[1], 1.0)
    errors = np.sqrt(np.maximum(np.diag(np.linalg.pinv(design.T @ design)), 0) * left / n_free)
    return [float(slope) for slope in slopes], [float(error) for error in errors]


def correct_position(size: Floats, x_deg: Floats, y_deg: Floats, model: PositionModel) -> Floats:
    """Return the trace as if gaze had stayed on the screen's centre; NaN where not fitted."""
    return np.asarray(size - model.x_per_deg * x_deg - model.y_per_deg * y_deg)
