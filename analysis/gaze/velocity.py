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
    vx, vy = velocity_deg_s(x_deg, y_deg, rate_hz, window_s)
    speed: Floats = np.hypot(vx, vy)
    return speed


def velocity_deg_s(
    x_deg: ArrayLike, y_deg: ArrayLike, rate_hz: float, window_s: float = DETECTION_WINDOW_S
) -> tuple[Floats, Floats]:
    """Return the velocity of the eye on both axes; parameters and loss as in :func:`speed_deg_s`.

    Returns
    -------
    tuple of two ndarrays, each of shape (n,)
        Degrees per second; NaN where either axis is lost, and everywhere for fewer than two known
        samples or less than one filter length.
    """
    x = np.asarray(x_deg, dtype=np.float64)
    y = np.asarray(y_deg, dtype=np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    length = window_samples(window_s, rate_hz)
    velocity: Floats = np.full((2, x.size), np.nan)
    if np.count_nonzero(known) >= 2 and x.size >= length:
        for row, axis in zip(velocity, (x, y), strict=True):
            row[known] = savgol_filter(
                _filled(axis, known, length),
                length,
                _ORDER,
                deriv=1,
                delta=1 / rate_hz,
                mode="nearest",
            )[known]
    return velocity[0], velocity[1]


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


def slow_velocity(
    velocity: Floats, rate_hz: float, *, block_s: float = 0.050, n_blocks: int = 5
) -> Floats:
    """Return the slow part of a velocity: what a pursuing eye or a drifting signal does.

    Parameters
    ----------
    velocity : ndarray, shape (n,)
        One axis, degrees per second; NaN where lost.
    rate_hz : float
        Sampling rate.
    block_s, n_blocks : float, int
        The running median over ``n_blocks`` (odd) of the medians of blocks of ``block_s``: a saccade
        fills fewer than half of them. Between the middles of blocks it is linear.

    Returns
    -------
    ndarray, shape (n,)
        Degrees per second; 0 when the whole recording is lost.
    """
    size, medians = _block_medians(velocity, rate_hz, block_s)
    if medians is None:
        return np.zeros(velocity.size)
    centres = (np.arange(medians.size) + 0.5) * size - 0.5
    smooth = np.median(_windows(medians, n_blocks), axis=1)
    slow: Floats = np.interp(np.arange(velocity.size), centres, smooth)
    return slow


def burst_noise_speed(
    speed: Floats,
    rate_hz: float,
    *,
    block_s: float = 0.050,
    n_blocks: int = 7,
    quantile: float = 0.6,
) -> Floats:
    """Return the noise of the speed within fractions of a second, as in :func:`noise_speed`.

    It follows bursts, as from lashes before the pupil or a reflection that jumps between two places.

    Parameters
    ----------
    speed : ndarray, shape (n,)
        Degrees per second; NaN where lost.
    rate_hz : float
        Sampling rate.
    block_s, n_blocks, quantile : float, int, float
        The running quantile over ``n_blocks`` (odd) of the medians of blocks of ``block_s``.

    Returns
    -------
    ndarray, shape (n,)
        Degrees per second; 0 when the whole recording is lost.
    """
    size, medians = _block_medians(speed, rate_hz, block_s)
    if medians is None:
        return np.zeros(speed.size)
    rank = round(quantile * (n_blocks - 1))
    level = np.sort(_windows(medians, n_blocks), axis=1)[:, rank]
    return np.repeat(level, size)[: speed.size] / _RAYLEIGH_MEDIAN


def _block_medians(values: Floats, rate_hz: float, block_s: float) -> tuple[int, Floats | None]:
    """Return the block length in samples and each block's median, lost blocks bridged."""
    size = max(3, round(block_s * rate_hz))
    padded = np.full(-(-values.size // size) * size, np.nan)
    padded[: values.size] = values
    # Lost samples sort last, so that the middle of the known ones is at half of their number.
    blocks = np.sort(padded.reshape(-1, size), axis=1)
    count = np.count_nonzero(np.isfinite(blocks), axis=1)
    enough = count >= max(1, size // 3)
    if not enough.any():
        return size, None
    rows = np.arange(count.size)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, size - 1)
    medians = (blocks[rows, low] + blocks[rows, high]) / 2
    return size, interpolate_nan(np.where(enough, medians, np.nan), enough)


def _windows(values: Floats, length: int) -> Floats:
    padded = np.pad(values, length // 2, mode="edge")
    windows: Floats = np.lib.stride_tricks.sliding_window_view(padded, length)
    return windows
