"""How far a curve of an Action Unit may be off: the bands around the lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.geometry.reliability import shipped_card
from duchenne.analysis.face.smoothing import SMOOTHING_S, local_fit, median_step_s

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_BACKEND_WITH_CARD = "geometry"
_PRESENT = 2.0
"""Intensity from which the error of a present Action Unit is taken in full."""
_CENTRE_VARIANCE = 2.25
"""Variance of the middle of a parabola fitted to n frames, times n over that of a frame (9/4)."""
_MAD_TO_SD = 1.4826
_Z95 = 1.96


def band_said(backend: str) -> str:
    """Return what the bands around Action Units are, in a sentence."""
    if backend == _BACKEND_WITH_CARD:
        return (
            "Bands: the mean absolute error of the measurement on rendered test faces (smaller where an "
            "Action Unit is absent), joined with the frame noise of this recording; not an error against "
            "human FACS coding."
        )
    return "Bands: 95 % confidence from the frame noise of this recording; errors of the model come on top."


def au_half_width(
    au: str, times_s: Floats, values: Floats, smoothed: Floats, backend: str
) -> Floats:
    """Return half the width of the band around a smoothed intensity.

    Parameters
    ----------
    au : str
        Such as ``AU12``.
    times_s, values, smoothed : ndarray, shape (n,)
        Frame times, intensities as measured (0 to 5), and the smoothed curve. NaN: not measured.
    backend : str
        What measured it. The shipped model's error is known from its card.

    Returns
    -------
    ndarray, shape (n,)
        Root of the summed squares of the model's mean absolute error (between that of the absent and, from
        intensity 2 on, that of the present Action Unit) and 1.96 standard errors of the parabola
        fitted to the frames of a fifth of a second.
    """
    return np.asarray(np.hypot(_noise(times_s, values), _model_error(au, smoothed, backend)))


def _noise(times_s: Floats, values: Floats) -> float:
    """Return 1.96 standard errors of the smoothed curve, from the frames' scatter around it."""
    scatter = values - local_fit(times_s, values).value
    scatter = scatter[np.isfinite(scatter) & (values > 0)]
    step_s = median_step_s(times_s)
    if scatter.size < 5 or not np.isfinite(step_s) or step_s <= 0:
        return 0.0
    sd = _MAD_TO_SD * float(np.median(np.abs(scatter - np.median(scatter))))
    n = max(SMOOTHING_S / step_s, 1.0)
    return _Z95 * sd * float(np.sqrt(min(_CENTRE_VARIANCE / n, 1.0)))


def _model_error(au: str, smoothed: Floats, backend: str) -> Floats:
    row = shipped_card()["reliability"].get(au, {}) if backend == _BACKEND_WITH_CARD else {}
    if "mae_present" not in row:
        return np.zeros_like(smoothed)
    share = np.clip(smoothed / _PRESENT, 0, 1)
    absent, present = float(row["mae_absent"]), float(row["mae_present"])
    return np.asarray(absent + share * (present - absent))
