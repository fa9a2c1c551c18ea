"""Smoothing of series of video frames: what events and features read, and the lines of the figures.

:func:`local_fit` fits a parabola to the frames around each frame by least squares, on their true
times: the filter of Savitzky & Golay (1964) where frames come regularly, and still right where they
do not. It keeps the time and height of onsets and peaks, which a moving mean (:func:`smooth`) blurs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from duchenne.analysis.face.frames import BoolArray, FloatArray

SMOOTHING_S = 0.2
# A step longer than this many median steps is a gap: frames were lost.
GAP_STEPS = 1.9
# A slightly irregular camera of 25 frames/s still has five of them in a fifth of a second.
_TOLERANCE = 0.05
# Frames that are fitted at a time: hours of film must not fill the memory.
_AT_ONCE = 50_000


@dataclass(frozen=True)
class Smoothing:
    """How curves are smoothed before events and features are read from them.

    Parameters
    ----------
    window_s : float
        Width of the window of the local parabola, seconds.
    bridge_s : float
        Frames that were not measured are bridged by a straight line where the measured frames on their two
        sides are at most this far apart, seconds; never beyond.
    """

    window_s: float = SMOOTHING_S
    bridge_s: float = 0.1

    def to_dict(self) -> dict[str, Any]:
        """Return what is written beside the results."""
        return {"method": "Savitzky-Golay (local parabola on frame times)", **asdict(self)}


DEFAULT_SMOOTHING = Smoothing()


class LocalFit(NamedTuple):
    """Value and slope of the parabola through the frames around each frame: (n,) float64 each."""

    value: FloatArray
    slope_per_s: FloatArray


def median_step_s(times_s: FloatArray) -> float:
    """Return the median time between consecutive frames; NaN for fewer than two."""
    steps = np.diff(times_s)
    return float(np.median(steps)) if len(steps) else np.nan


def bridged(times_s: FloatArray, values: FloatArray, bridge_s: float) -> FloatArray:
    """Return the values with short stretches of NaN filled by a straight line.

    Parameters
    ----------
    times_s, values : (n,) float64
    bridge_s : float
        Longest distance between the measured frames on both sides, seconds. Longer stretches, those at
        the ends, and those in which time goes backwards stay NaN.
    """
    known = np.flatnonzero(np.isfinite(values))
    missing = np.flatnonzero(~np.isfinite(values))
    if not len(known) or not len(missing):
        return values
    after = np.searchsorted(known, missing)
    inside = (after > 0) & (after < len(known))
    missing, after = missing[inside], after[inside]
    left, right = known[after - 1], known[after]
    span = times_s[right] - times_s[left]
    short = (span > 0) & (span <= bridge_s)
    missing, left, right = missing[short], left[short], right[short]
    share = (times_s[missing] - times_s[left]) / span[short]
    filled = values.copy()
    filled[missing] = values[left] + share * (values[right] - values[left])
    return filled


def run_numbers(
    times_s: FloatArray, known: BoolArray, step_s: float, bridge_s: float
) -> FloatArray:
    """Return the number, from 0, of the run of frames that each belongs to; NaN outside of runs.

    Parameters
    ----------
    times_s : (n,) float64
    known : (n,) bool
        Frames with a value.
    step_s : float
        Median step of the recording.
    bridge_s : float
        A run goes on over steps up to this, and over those up to 1.9 median steps.
    """
    if not len(times_s):
        return np.zeros(0)
    steps = np.diff(times_s)
    longest_s = max(GAP_STEPS * step_s, bridge_s) if np.isfinite(step_s) else bridge_s
    breaks = (steps < 0) | (steps > longest_s) | (known[1:] & ~known[:-1])
    number = np.concatenate([[0], np.cumsum(breaks)]).astype(np.float64)
    return np.where(known, number, np.nan)


def local_fit(
    times_s: FloatArray,
    values: FloatArray,
    step_s: float | None = None,
    smoothing: Smoothing = DEFAULT_SMOOTHING,
) -> LocalFit:
    """Fit a parabola to the frames around each frame, on their true times.

    Parameters
    ----------
    times_s : (n,) float64
        Times of the frames, in their order.
    values : (n,) float64
        NaN where not measured.
    step_s : float, optional
        Median step of the recording that the frames are part of; of the frames where absent.
    smoothing : Smoothing

    Returns
    -------
    LocalFit
        NaN where the frame was not measured and not bridged. The fit never reaches across a stretch
        that is not bridged, a gap (a step longer than both 1.9 median steps and ``bridge_s``), or a
        step backwards. Where fewer than four frames lie in the window, the value is the frame's own
        and the slope that of a straight line, NaN for a single frame.
    """
    if not len(values):
        return LocalFit(values, values)
    step_s = median_step_s(times_s) if step_s is None else step_s
    filled = bridged(times_s, values, smoothing.bridge_s)
    run = run_numbers(times_s, np.isfinite(filled), step_s, smoothing.bridge_s)
    half = int((smoothing.window_s / step_s - 1) / 2 + _TOLERANCE) if step_s > 0 else 0
    half = max(1, half)
    limit_s = max(smoothing.window_s / 2, step_s if step_s > 0 else 0.0) * (1 + 2 * _TOLERANCE)
    y, t, r = (
        np.lib.stride_tricks.sliding_window_view(
            np.pad(series, half, constant_values=np.nan), 2 * half + 1
        )
        for series in (filled, times_s, run)
    )
    fit = LocalFit(np.empty(len(values)), np.empty(len(values)))
    for first in range(0, len(values), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        within = r[some] == run[some, None]
        distance = np.where(within, t[some] - times_s[some, None], 0.0)
        within &= np.abs(distance) <= limit_s
        fit.value[some], fit.slope_per_s[some] = _parabola(
            np.where(within, distance, 0.0),
            np.where(within, y[some], 0.0),
            filled[some],
            within,
            limit_s,
        )
    return fit


def _parabola(
    distance: FloatArray, y: FloatArray, own: FloatArray, within: BoolArray, scale_s: float
) -> LocalFit:
    """Solve the normal equations of every window for its value and slope at distance 0."""
    x = distance / scale_s
    s0, s1, s2, s3, s4 = (np.sum(within * x**k, axis=1) for k in range(5))
    t0, t1, t2 = (np.sum(y * x**k, axis=1) for k in range(3))
    straight = s0 * s2 - s1**2
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(straight > 1e-9, (s0 * t1 - s1 * t0) / straight, np.nan)
        full = s0 * (s2 * s4 - s3**2) - s1 * (s1 * s4 - s2 * s3) + s2 * (s1 * s3 - s2**2)
        enough = (s0 >= 4) & (full > 1e-9)
        value_2 = (
            t0 * (s2 * s4 - s3**2) - s1 * (t1 * s4 - t2 * s3) + s2 * (t1 * s3 - t2 * s2)
        ) / full
        slope_2 = (
            s0 * (t1 * s4 - t2 * s3) - t0 * (s1 * s4 - s2 * s3) + s2 * (s1 * t2 - s2 * t1)
        ) / full
    measured = np.isfinite(own)
    value = np.where(enough, value_2, own)
    return LocalFit(
        np.where(measured, value, np.nan),
        np.where(measured, np.where(enough, slope_2, slope), np.nan) / scale_s,
    )


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
