"""Smooth pursuit: how much of it there is, how fast, and how well it follows a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.gaze.signal import pieces

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

MIN_TARGET_SPEED_DEG_S = 1.0
GAIN_WINDOW_S = 0.1
MIN_GAIN_SAMPLES = 10


def pursuit_gain(
    times_s: ArrayLike,
    x_deg: ArrayLike,
    y_deg: ArrayLike,
    pursuing: ArrayLike,
    target: tuple[ArrayLike, ArrayLike, ArrayLike],
) -> float:
    """Return the gain of pursuit: eye velocity along the target's motion ÷ target speed.

    Parameters
    ----------
    times_s, x_deg, y_deg : array_like, shape (n,)
        Gaze; NaN where lost.
    pursuing : array_like of bool, shape (n,)
        Samples labelled pursuit.
    target : tuple of array_like, each of shape (m,)
        Seconds, and the target's place in degrees.

    Returns
    -------
    float
        Median over the pursuit samples during which the target moves at 1 °/s or more; 1 is perfect.
        NaN for fewer than 10 such samples. Velocities are slopes over 100 ms within one stretch of
        pursuit, so that saccades do not count.

    References
    ----------
    Barnes 2008, Brain and Cognition 68, 309–326 (gain of pursuit).
    """
    times = np.asarray(times_s, dtype=np.float64)
    at, tx, ty = (np.asarray(values, dtype=np.float64) for values in target)
    eye = _velocity(times, x_deg, y_deg, pursuing)
    moving = np.array([np.interp(times, at, place, np.nan, np.nan) for place in (tx, ty)])
    goal = _velocity(times, moving[0], moving[1], pursuing)
    with np.errstate(invalid="ignore"):
        speed2 = (goal**2).sum(axis=0)
        gain = (eye * goal).sum(axis=0) / speed2
        use = np.isfinite(gain) & (speed2 >= MIN_TARGET_SPEED_DEG_S**2)
    if np.count_nonzero(use) < MIN_GAIN_SAMPLES:
        return float("nan")
    return float(np.median(gain[use]))


def pursuit_speed_deg_s(
    times_s: ArrayLike, x_deg: ArrayLike, y_deg: ArrayLike, pursuing: ArrayLike
) -> float:
    """Return the median speed of the eye in pursuit, degrees per second; NaN without pursuit."""
    times = np.asarray(times_s, dtype=np.float64)
    x, y, within = np.asarray(x_deg), np.asarray(y_deg), np.asarray(pursuing, dtype=bool)
    if not within.any() or times.size < 3:
        return float("nan")
    half = _half_window(times)
    speeds = []
    for part in pieces(times.size):
        near = slice(max(0, part.start - half), min(times.size, part.stop + half))
        velocity = _velocity(times[near], x[near], y[near], within[near], half)
        speed = np.hypot(*velocity[:, part.start - near.start : part.stop - near.start])
        speeds.append(speed[np.isfinite(speed)])
    known = np.concatenate(speeds)
    return float(np.median(known)) if known.size else float("nan")


def _half_window(times: Floats) -> int:
    return max(1, round(GAIN_WINDOW_S / 2 / float(np.median(np.diff(times)))))


def _velocity(
    times: Floats,
    x_deg: ArrayLike,
    y_deg: ArrayLike,
    pursuing: ArrayLike,
    half: int | None = None,
) -> Floats:
    """Return the velocity of both axes over 100 ms; NaN unless pursuit lasts through it."""
    velocity: Floats = np.full((2, times.size), np.nan)
    if times.size < 3:
        return velocity
    within = np.asarray(pursuing, dtype=bool)
    half = half or _half_window(times)
    if times.size <= 2 * half:
        return velocity
    count = np.concatenate(([0], np.cumsum(within)))
    whole = count[2 * half + 1 :] - count[: -2 * half - 1] == 2 * half + 1
    span = times[2 * half :] - times[: -2 * half]
    for axis, values in enumerate((x_deg, y_deg)):
        place = np.asarray(values, dtype=np.float64)
        slope = (place[2 * half :] - place[: -2 * half]) / span
        velocity[axis, half:-half] = np.where(whole, slope, np.nan)
    return velocity
