"""Pupil traces for time courses: artefacts out, blinks bridged along their slopes, eyes combined.

Every step is a pure function of arrays; :func:`clean_pupil` runs them in order. What was interpolated
stays known, so that coverage counts measured samples only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import median_filter, uniform_filter1d
from scipy.signal import butter, sosfiltfilt

from duchenne.analysis.gaze.signal import combine_eyes, fill_runs, interpolate_nan, runs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]

SPEED_MADS = 16.0
"""Dilation speed above the median by this many MADs is an artefact (Kret & Sjak-Shie 2019)."""
SPEED_MIN_PER_S = 1.5
"""But no speed below 150 % of the usual size per second, which a bright light can cause."""
TREND_MADS = 16.0
TREND_MIN = 0.05
"""So is a size that far from the trend line, if it is 5 % of the usual size or more."""
TREND_S = 0.5
TREND_PASSES = 2
ISLAND_MAX_S = 0.050
ISLAND_GAP_S = 0.040
"""Samples alone between two losses: at most 50 ms of them, 40 ms from any other."""
LOSS_MIN_S = 0.020
"""Shorter loss is bridged without looking for lids."""
SLOPE_SMOOTHING_S = 0.020
SLOPE_MADS = 4.0
SLOPE_MIN_PER_S = 0.5
"""A lid is pulling while the size runs towards the loss faster than the usual speed by this much, and
faster than half of the usual size per second."""
SLOPE_PAUSE_S = 0.015
"""A slope may level off for this long and still be the same lid."""
PAD_MIN_S, PAD_MAX_S = 0.040, 0.250
"""What is cut on either side of a loss, whatever the slope."""
MERGE_S = 0.100
"""Two losses closer than this are one: the pupil flickers at the edges of a blink."""
BRIDGE_MAX_S = 1.0
"""Gaps up to this long, slopes included, are interpolated; longer ones stay missing."""
ANCHOR_S = 0.050
"""The interpolation starts from medians over this time on either side."""
LOW_PASS_HZ = 4.0
REGRESS_MIN_S = 2.0
REGRESS_MIN_R = 0.7
"""One eye predicts the other where both were seen this long and correlate at least this much."""


@dataclass(frozen=True)
class CleanPupil:
    """One trace for both eyes, in the unit of the device.

    Parameters
    ----------
    size : ndarray, shape (n,)
        Cleaned, bridged and low-pass filtered; NaN where the gap was too long to bridge.
    measured : ndarray of bool, shape (n,)
        True where at least one eye was measured; bridged samples are not.
    eyes : str
        How the eyes became one: ``both`` (regressed on each other), ``both shifted`` (too little in
        common for a regression), ``left``, ``right`` or ``none``.
    """

    size: Floats
    measured: Bools
    eyes: str


def clean_pupil(left: ArrayLike, right: ArrayLike, rate_hz: float) -> CleanPupil:
    """Turn the raw sizes of both eyes into one trace.

    Parameters
    ----------
    left, right : array_like, shape (n,)
        Diameter or area, any unit; NaN or ≤ 0 where the eye was not seen. An eye without any sample
        is all NaN.
    rate_hz : float
        True sampling rate.

    Returns
    -------
    CleanPupil
        All NaN for an unknown rate or no pupil.

    Notes
    -----
    Order: :func:`reject_artefacts` and :func:`cut_blinks` for each eye, :func:`regress_eyes`,
    :func:`bridge`, :func:`low_pass` (zero-phase Butterworth, order 2 each way, 4 Hz).
    """
    kept = [cut_blinks(reject_artefacts(eye, rate_hz), rate_hz) for eye in (left, right)]
    together, eyes = regress_eyes(kept[0], kept[1], rate_hz)
    measured = np.isfinite(together)
    return CleanPupil(low_pass(bridge(together, rate_hz), rate_hz), measured, eyes)


def reject_artefacts(size: ArrayLike, rate_hz: float) -> Floats:
    """Remove what no pupil does: sizes ≤ 0, too fast, far from the trend, alone between losses.

    Parameters
    ----------
    size : array_like, shape (n,)
        One eye; NaN where not seen.
    rate_hz : float
        True sampling rate.

    Returns
    -------
    ndarray, shape (n,)
        NaN where removed; all NaN for an unknown rate.

    References
    ----------
    Kret & Sjak-Shie 2019, Behavior Research Methods 51, 1336–1342: dilation speed is the larger of
    the speeds to either neighbour; limits are the median plus 16 median absolute deviations; islands
    of at most 50 ms, 40 ms away from other samples, are dropped.
    """
    kept: Floats = np.array(size, dtype=np.float64)
    kept[~(np.isfinite(kept) & (np.nan_to_num(kept) > 0))] = np.nan
    if not np.isfinite(rate_hz) or not np.isfinite(kept).any():
        return np.full(kept.shape, np.nan)
    usual = float(np.nanmedian(kept))
    speed = dilation_speed(kept, rate_hz)
    kept[_outlying(speed, SPEED_MADS) & (np.nan_to_num(speed) > SPEED_MIN_PER_S * usual)] = np.nan
    for _ in range(TREND_PASSES):
        away = np.abs(kept - _trend(kept, rate_hz))
        kept[_outlying(away, TREND_MADS) & (np.nan_to_num(away) > TREND_MIN * usual)] = np.nan
    starts, stops = runs(np.isfinite(kept))
    before = np.concatenate(([np.inf], (starts[1:] - stops[:-1]).astype(np.float64)))
    after = np.concatenate((before[1:], [np.inf]))
    alone = (stops - starts <= ISLAND_MAX_S * rate_hz) & (
        np.minimum(before, after) >= max(2.0, ISLAND_GAP_S * rate_hz)
    )
    kept[fill_runs(starts[alone], stops[alone], kept.size)] = np.nan
    return kept


def dilation_speed(size: Floats, rate_hz: float) -> Floats:
    """Return the larger of the absolute speeds to the previous and next known sample, units/s.

    Parameters
    ----------
    size : ndarray, shape (n,)
        NaN where unknown; speeds are taken across what is missing, over the time that passed.
    rate_hz : float
        Sampling rate.

    Returns
    -------
    ndarray, shape (n,)
        NaN where the size is unknown or has no neighbour.
    """
    speed: Floats = np.full(size.shape, np.nan)
    known = np.flatnonzero(np.isfinite(size))
    if known.size < 2:
        return speed
    steps = np.abs(np.diff(size[known])) / np.diff(known) * rate_hz
    speed[known] = np.maximum(np.append(steps, 0.0), np.insert(steps, 0, 0.0))
    return speed


def cut_blinks(size: Floats, rate_hz: float) -> Floats:
    """Remove the slopes that lids draw before and after a loss.

    A closing lid covers the pupil from above, so the measured size falls into the loss and climbs out
    of it. From each edge of a loss the size is followed outwards as long as it runs towards the loss
    faster than this pupil usually moves; that is where the blink begins and ends. At least 40 and at
    most 250 ms are cut on either side, and losses less than 100 ms apart are one blink.

    Parameters
    ----------
    size : ndarray, shape (n,)
        One eye; NaN where lost.
    rate_hz : float
        Sampling rate.

    Returns
    -------
    ndarray, shape (n,)
        NaN in blinks and their slopes.

    References
    ----------
    After Hershman, Henik & Cohen 2018, Behavior Research Methods 50, 107–114, who follow the
    monotonic slope of the trace smoothed over 10 ms. Here the smoothing is 20 ms and the slope has
    to exceed the usual speed (median + 4 median absolute deviations), so that noise does not stop it.
    """
    known = np.isfinite(size)
    if known.all() or not known.any() or not np.isfinite(rate_hz):
        return size.copy()
    starts, stops = _losses(known, rate_hz)
    speed = _smoothed_speed(size, known, rate_hz)
    usual = np.abs(speed[known])
    middle = float(np.median(usual))
    limit = middle + SLOPE_MADS * float(np.median(np.abs(usual - middle)))
    limit = max(limit, SLOPE_MIN_PER_S * float(np.median(size[known])))
    furthest, nearest = round(PAD_MAX_S * rate_hz), max(1, round(PAD_MIN_S * rate_hz))
    pause = max(1, round(SLOPE_PAUSE_S * rate_hz))
    first = [
        a - max(nearest, _slope_length(-speed[max(0, a - furthest) : a][::-1], limit, pause))
        for a in starts
    ]
    last = [b + max(nearest, _slope_length(speed[b : b + furthest], limit, pause)) for b in stops]
    cut = size.copy()
    cut[fill_runs(np.array(first, dtype=int), np.array(last, dtype=int), size.size)] = np.nan
    return cut


def regress_eyes(left: Floats, right: Floats, rate_hz: float) -> tuple[Floats, str]:
    """Combine the eyes, predicting one from the other where one is missing.

    Parameters
    ----------
    left, right : ndarray, shape (n,)
        NaN where that eye is missing.
    rate_hz : float
        Sampling rate.

    Returns
    -------
    combined : ndarray, shape (n,)
        Mean of both; NaN where both are missing.
    eyes : str
        See :class:`CleanPupil`.

    Notes
    -----
    Ordinary least squares of each eye on the other over the samples with both. With less than 2 s of
    these, or a correlation below 0.7, the one eye is moved by half the eyes' median difference.
    """
    has_left, has_right = np.isfinite(left), np.isfinite(right)
    if not has_left.any() or not has_right.any():
        name = "left" if has_left.any() else "right" if has_right.any() else "none"
        return np.where(has_left, left, right), name
    both = has_left & has_right
    shifted = combine_eyes(left, right)
    if np.count_nonzero(both) < max(3.0, REGRESS_MIN_S * rate_hz):
        return shifted, "both shifted"
    one, other = left[both], right[both]
    spread = float(np.std(one) * np.std(other))
    covariance = float(np.mean((one - one.mean()) * (other - other.mean())))
    if spread <= 0 or covariance / spread < REGRESS_MIN_R:
        return shifted, "both shifted"
    combined = shifted.copy()
    only_left, only_right = has_left & ~has_right, has_right & ~has_left
    guess = other.mean() + covariance / float(np.var(one)) * (left[only_left] - one.mean())
    combined[only_left] = (left[only_left] + guess) / 2
    guess = one.mean() + covariance / float(np.var(other)) * (right[only_right] - other.mean())
    combined[only_right] = (right[only_right] + guess) / 2
    return combined, "both"


def bridge(size: Floats, rate_hz: float) -> Floats:
    """Interpolate gaps of at most 1 s with a monotone cubic between medians over 50 ms.

    Parameters
    ----------
    size : ndarray, shape (n,)
        NaN where missing.
    rate_hz : float
        Sampling rate.

    Returns
    -------
    ndarray, shape (n,)
        Longer gaps, and those at an end of the recording, stay NaN.

    Notes
    -----
    Four knots, two on either side (Mathôt 2013), through which the piecewise cubic of Fritsch &
    Carlson (1980) runs without overshoot.
    """
    filled: Floats = size.copy()
    known = np.isfinite(size)
    if known.all() or not known.any() or not np.isfinite(rate_hz):
        return filled
    starts, stops = runs(~known)
    inside = (starts > 0) & (stops < size.size) & (stops - starts <= BRIDGE_MAX_S * rate_hz)
    reach = max(1, round(ANCHOR_S * rate_hz))
    for start, stop in zip(starts[inside].tolist(), stops[inside].tolist(), strict=True):
        at: list[float] = []
        level: list[float] = []
        windows = (start - 2 * reach, start - reach, stop, stop + reach)
        for first, last in ((window, window + reach) for window in windows):
            index = np.arange(max(0, first), min(size.size, last))
            index = index[known[index]]
            if index.size:
                at.append(float(index.mean()))
                level.append(float(np.median(size[index])))
        filled[start:stop] = PchipInterpolator(at, level)(np.arange(start, stop))
    return filled


def low_pass(size: Floats, rate_hz: float, cutoff_hz: float = LOW_PASS_HZ) -> Floats:
    """Filter without delay: a Butterworth low-pass of order 2, run forwards and backwards.

    Parameters
    ----------
    size : ndarray, shape (n,)
        NaN stays NaN; what is missing is bridged linearly for the filter alone.
    rate_hz : float
        Sampling rate; below about twice the cut-off nothing is filtered.
    cutoff_hz : float
        Half-power frequency of one pass.

    Returns
    -------
    ndarray, shape (n,)
    """
    known = np.isfinite(size)
    n_known = int(np.count_nonzero(known))
    if n_known < 2 or not rate_hz > 2.2 * cutoff_hz:
        return size.copy()
    sections = butter(2, cutoff_hz, fs=rate_hz, output="sos")
    padding = min(size.size - 1, round(rate_hz / cutoff_hz))
    smooth = sosfiltfilt(sections, interpolate_nan(size, known), padlen=padding)
    return np.where(known, smooth, np.nan)


def _outlying(values: Floats, n_mads: float) -> Bools:
    known = values[np.isfinite(values)]
    if known.size == 0:
        return np.zeros(values.shape, dtype=bool)
    median = float(np.median(known))
    spread = float(np.median(np.abs(known - median)))
    if spread <= 0:
        return np.zeros(values.shape, dtype=bool)
    high: Bools = np.nan_to_num(values, nan=-np.inf) > median + n_mads * spread
    return high


def _trend(size: Floats, rate_hz: float) -> Floats:
    """Return the running median over 0.5 s, at 50 Hz or so."""
    step = max(1, int(rate_hz // 50))
    filled = interpolate_nan(size, np.isfinite(size))
    coarse = median_filter(filled[::step], size=max(3, round(TREND_S * rate_hz / step)))
    coarse = uniform_filter1d(coarse, 3)
    return np.asarray(np.interp(np.arange(size.size), np.arange(0, size.size, step), coarse))


def _losses(known: Bools, rate_hz: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return starts and stops of the losses worth a blink, merged where close together."""
    starts, stops = runs(~known)
    long = stops - starts >= max(1, round(LOSS_MIN_S * rate_hz))
    starts, stops = starts[long], stops[long]
    apart = starts[1:] - stops[:-1] > MERGE_S * rate_hz
    return (
        starts[np.concatenate(([True], apart))] if starts.size else starts,
        stops[np.concatenate((apart, [True]))] if stops.size else stops,
    )


def _smoothed_speed(size: Floats, known: Bools, rate_hz: float) -> Floats:
    """Return the speed of the trace smoothed over 20 ms, never across a loss; units/s."""
    width = max(1, round(SLOPE_SMOOTHING_S * rate_hz))
    total = uniform_filter1d(np.where(known, size, 0.0), width, mode="constant")
    count = uniform_filter1d(known.astype(np.float64), width, mode="constant")
    smooth = np.where(known, total / np.maximum(count, 0.5 / width), np.nan)
    if size.size < 2:
        return np.zeros(size.shape)
    return np.asarray(np.nan_to_num(np.gradient(smooth) * rate_hz))


def _slope_length(rising: Floats, limit: float, pause: int) -> int:
    """Return for how many samples from the loss outwards the trace runs towards it."""
    steep = np.flatnonzero(rising > limit)
    if steep.size == 0 or steep[0] > pause:
        return 0
    broken = np.flatnonzero(np.diff(steep) > pause)
    return int(steep[broken[0] if broken.size else -1]) + 1
