"""How much and how fast the head moves. Nods and shakes are not counted: there is no truth to test it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.smoothing import (
    DEFAULT_SMOOTHING,
    Smoothing,
    local_fit,
    median_step_s,
)

if TYPE_CHECKING:
    from duchenne.analysis.face.frames import FloatArray

# A range needs this many frames; it goes from the 5th to the 95th percentile.
MIN_FRAMES = 5
RANGE_PERCENTILES = (5.0, 95.0)


def head_speed_deg_s(
    times_s: FloatArray, pose_deg: FloatArray, smoothing: Smoothing = DEFAULT_SMOOTHING
) -> FloatArray:
    """Return how fast the head turns.

    Parameters
    ----------
    times_s : (n,) float64
    pose_deg : (n, 3) float64
        Pitch, yaw, roll; NaN where not measured.
    smoothing : Smoothing

    Returns
    -------
    (n,) float64
        Root of the sum of the squared speeds of pitch, yaw and roll, degrees per second, which for the
        turns that can be measured is within a few per cent of the true angular speed; NaN where
        not measured.
    """
    step_s = median_step_s(times_s)
    speeds = [local_fit(times_s, angle, step_s, smoothing).slope_per_s for angle in pose_deg.T]
    return np.asarray(np.sqrt(np.sum(np.square(speeds), axis=0)), np.float64)


def head_range_deg(pose_deg: FloatArray) -> FloatArray:
    """Return how far pitch, yaw and roll go, from the 5th to the 95th percentile: (3,) degrees."""
    known = pose_deg[np.isfinite(pose_deg).all(axis=1)]
    if len(known) < MIN_FRAMES:
        return np.full(3, np.nan)
    low, high = np.percentile(known, RANGE_PERCENTILES, axis=0)
    return np.asarray(high - low, np.float64)
