"""Smoothing of series of video frames, for the peaks in the tables and the lines in the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from duchenne.analysis.face.frames import FloatArray

SMOOTHING_S = 0.2
# A step longer than this many median steps is a gap: frames were lost.
GAP_STEPS = 1.9
# A slightly irregular camera of 25 frames/s still has five of them in a fifth of a second.
_TOLERANCE = 0.05


def median_step_s(times_s: FloatArray) -> float:
    """Return the median time between consecutive frames; NaN for fewer than two."""
    steps = np.diff(times_s)
    return float(np.median(steps)) if len(steps) else np.nan


def smooth(
    times_s: FloatArray,
    values: FloatArray,
    step_s: float | None = None,
    *,
    window_s: float = SMOOTHING_S,
) -> FloatArray:
    """Return the centred moving mean over a fifth of a second, NaN where the frame itself is NaN.

    The mean is taken over the largest odd number of frames that fits into the window (5 at 30
    frames/s). It never reaches across a gap, which is a step of more than 1.9 median steps,
    forwards or backwards.

    Parameters
    ----------
    times_s : (n,) float64
        Times of the frames, in their order.
    values : (n,) float64
        Frames that are NaN, beyond the ends or beyond a gap are left out of the mean.
    step_s : float, optional
        Median step of the recording that the frames are part of; of the frames where absent.
    window_s : float, default 0.2

    Returns
    -------
    (n,) float64
    """
    step_s = median_step_s(times_s) if step_s is None else step_s
    half = int((window_s / step_s - 1) / 2 + _TOLERANCE) if 0 < step_s < window_s else 0
    if half == 0 or not len(values):
        return values
    # Between the runs of frames lies room enough that no window reaches the next run.
    is_gap = np.abs(np.diff(times_s)) > GAP_STEPS * step_s
    place = np.arange(len(values)) + half * np.concatenate([[0], np.cumsum(is_gap)])
    spread = np.full(place[-1] + 1, np.nan)
    spread[place] = values
    known = np.isfinite(spread)
    kernel = np.ones(2 * half + 1)
    total = np.convolve(np.where(known, spread, 0.0), kernel)[half + place]
    count = np.convolve(known.astype(np.float64), kernel)[half + place]
    return np.where(np.isfinite(values), total / np.maximum(count, 1.0), np.nan)
