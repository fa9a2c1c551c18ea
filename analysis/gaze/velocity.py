"""Eye velocity by Savitzky–Golay differentiation, and the noise level it rides on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import savgol_filter

from duchenne.analysis.gaze.signal import interpolate_nan, runs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

DETECTION_WINDOW_S = 0.020
"""Filter length for detection: twice the shortest saccade (Nyström & Holmqvist 2010)."""
PEAK_WINDOW_S = 0.011
"""Shorter filter for peak velocity, which the detection filter would flatten."""
_ORDER = 2
_RAYLEIGH_MEDIAN = 1.17741
"""Median of the length of a 2-D Gaussian vector of unit standard deviation per axis."""


def window_samples(window_s: float, rate_hz: float) -> int:
    """Return the odd number of samples nearest to a window, at least 3."""
    return max(3, 2 * int(window_s * rate_hz / 2) + 1)


def speed_deg_s(
    x_deg: ArrayLike, y_deg: ArrayLike, rate_hz: float, window_s: float = DETECTION_WINDOW_S
) -> Floats:
    """Return the speed of the eye, by a Savitzky–Golay filter of order 2 on each axis.

    Parameters
    ----------
    x_deg, y_deg : array_like, shape (n,)
        Degrees, evenly sampled; NaN where lost.
    rate_hz : float
        Sampling rate.
    window_s : float
        Length of the filter, rounded to an odd number of samples, at least 3.

    Returns
    -------
    ndarray, shape (n,)
        Degrees per second, ≥ 0; NaN where lost. For the filter, loss shorter than it is bridged
        linearly; across longer loss each side is held, so that a shift of gaze meanwhile is no speed.

    References
    ----------
    Savitzky & Golay 1964; Nyström & Holmqvist 2010, Behavior Research Methods 42(1), 188–204.
    """
    x = np.asarray(x_deg, dtype=np.float64)
    y = np.asarray(y_deg, dtype=np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    length = window_samples(window_s, rate_hz)
    speed: Floats = np.full(x.shape, np.nan)
    if np.count_nonzero(known) < 2 or x.size < length:
        return speed
    vx, vy = (
        savgol_filter(
            _filled(axis, known, length), length, _ORDER, deriv=1, delta=1 / rate_hz, mode="nearest"
        )
        for axis in (x, y)
    )
    speed[known] = np.hypot(vx, vy)[known]
    return speed


def _filled(values: Floats, known: NDArray[np.bool_], length: int) -> Floats:
    filled = interpolate_nan(values, known)
    starts, stops = runs(~known)
    inside = (stops - starts >= length) & (starts > 0) & (stops < values.size)
    for start, stop in zip(starts[inside].tolist(), stops[inside].tolist(), strict=True):
        middle = (start + stop) // 2
        filled[start:middle] = values[start - 1]
        filled[middle:stop] = values[stop]
    return filled


def noise_speed(
    speed: Floats, rate_hz: float, *, block_s: float = 1.0, n_blocks: int = 5
) -> Floats:
    """Return the local noise of the speed: the standard deviation per axis of a resting eye.

    Medians over blocks are little touched by saccades, which take about a tenth of the time; a
    running median over blocks follows slow changes of the noise, as when the head moves.

    Parameters
    ----------
    speed : ndarray, shape (n,)
        Degrees per second; NaN where lost.
    rate_hz : float
        Sampling rate.
    block_s : float
        Length of one block.
    n_blocks : int
        Blocks in the running median, odd.

    Returns
    -------
    ndarray, shape (n,)
        Degrees per second; NaN only when the whole recording is lost.
    """
    n = speed.size
    size = max(8, round(block_s * rate_hz))
    count = -(-n // size)
    padded = np.full(count * size, np.nan)
    padded[:n] = speed
    blocks = padded.reshape(count, size)
    enough = np.count_nonzero(np.isfinite(blocks), axis=1) >= max(4, size // 10)
    if not enough.any():
        finite = speed[np.isfinite(speed)]
        level = float(np.median(finite)) / _RAYLEIGH_MEDIAN if finite.size else np.nan
        return np.full(n, level)
    medians = np.full(count, np.nan)
    medians[enough] = np.nanmedian(blocks[enough], axis=1)
    medians = interpolate_nan(medians, enough)
    half = n_blocks // 2
    spread = (
        np.pad(medians, half, mode="reflect")
        if count > half
        else np.pad(medians, half, mode="edge")
    )
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(spread, n_blocks), axis=1)
    return np.repeat(smooth, size)[:n] / _RAYLEIGH_MEDIAN
