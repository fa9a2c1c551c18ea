"""The gaze signal before events: validity, both eyes into one, the true sampling rate, gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Ints = NDArray[np.intp]

GAP_PERIODS = 3.0
"""An interval longer than this many sample periods (and than GAP_MIN_S) is a gap in the stream."""
GAP_MIN_S = 0.010


def runs(mask: ArrayLike) -> tuple[Ints, Ints]:
    """Return starts and stops (exclusive) of the runs of True in a 1-D mask."""
    padded = np.concatenate(([0], np.asarray(mask, dtype=np.int8), [0]))
    change = np.diff(padded)
    return np.flatnonzero(change == 1), np.flatnonzero(change == -1)


def fill_runs(starts: ArrayLike, stops: ArrayLike, n: int) -> Bools:
    """Return a mask of length n, True inside the half-open runs (clipped to 0..n, overlaps allowed)."""
    edges = np.zeros(n + 1, dtype=np.int64)
    np.add.at(edges, np.clip(np.asarray(starts, dtype=np.intp), 0, n), 1)
    np.add.at(edges, np.clip(np.asarray(stops, dtype=np.intp), 0, n), -1)
    return np.cumsum(edges[:-1]) > 0


def sampling_rate_hz(times_s: ArrayLike) -> float:
    """Estimate the true sampling rate from the stamps; the nominal one is not believed.

    Samples per second outside gaps, so that neither jitter nor an interrupted stream biases it.

    Parameters
    ----------
    times_s : array_like, shape (n,)
        Seconds, ascending; duplicates allowed.

    Returns
    -------
    float
        Hz; NaN for fewer than two samples or no time passed.
    """
    steps = np.diff(np.asarray(times_s, dtype=np.float64))
    positive = steps[steps > 0]
    if positive.size == 0:
        return float("nan")
    usual = steps <= max(GAP_PERIODS * float(np.median(positive)), GAP_MIN_S)
    span_s = float(steps[usual].sum())
    return float(np.count_nonzero(usual)) / span_s if span_s > 0 else float("nan")


def gap_starts(times_s: ArrayLike, rate_hz: float) -> Ints:
    """Return the indices after which the stream has a gap (no samples arrived at all).

    Parameters
    ----------
    times_s : array_like, shape (n,)
        Seconds, ascending.
    rate_hz : float
        True sampling rate; a gap is an interval above 3 periods and above 10 ms.
    """
    if not np.isfinite(rate_hz):
        return np.empty(0, dtype=np.intp)
    steps = np.diff(np.asarray(times_s, dtype=np.float64))
    return np.flatnonzero(steps > max(GAP_PERIODS / rate_hz, GAP_MIN_S))


def eye_valid(
    x: ArrayLike, y: ArrayLike, flag: ArrayLike | None = None, pupil: ArrayLike | None = None
) -> Bools:
    """Return where one eye was measured.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        Position; NaN or infinite means lost.
    flag : array_like, shape (n,), optional
        The device's validity channel: above 0.5 is valid, NaN is unknown (not used there).
    pupil : array_like, shape (n,), optional
        Pupil size; 0 or less means the pupil was lost. NaN does not: some devices report pupils at a
        lower rate than positions.
    """
    valid: Bools = np.isfinite(np.asarray(x, dtype=np.float64)) & np.isfinite(
        np.asarray(y, dtype=np.float64)
    )
    if flag is not None:
        valid &= ~(np.asarray(flag, dtype=np.float64) <= 0.5)
    if pupil is not None:
        valid &= ~(np.asarray(pupil, dtype=np.float64) <= 0)
    return valid


def combine_eyes(left: ArrayLike, right: ArrayLike) -> Floats:
    """Combine both eyes' values of one quantity into one (cyclopean gaze, mean pupil).

    Where both eyes are valid the mean; where one is, that eye, moved by half of the eyes' median
    difference over the recording, so that losing one eye does not look like a movement.

    Parameters
    ----------
    left, right : array_like, shape (n,)
        NaN where the eye is not valid.

    Returns
    -------
    ndarray, shape (n,)
        NaN where neither eye is valid.
    """
    left_ = np.asarray(left, dtype=np.float64)
    right_ = np.asarray(right, dtype=np.float64)
    has_left, has_right = np.isfinite(left_), np.isfinite(right_)
    both = has_left & has_right
    shift = float(np.median(left_[both] - right_[both])) / 2 if both.any() else 0.0
    combined: Floats = np.full(left_.shape, np.nan)
    combined[both] = (left_[both] + right_[both]) / 2
    only_left, only_right = has_left & ~has_right, has_right & ~has_left
    combined[only_left] = left_[only_left] - shift
    combined[only_right] = right_[only_right] + shift
    return combined


def eye_of_samples(left_valid: ArrayLike, right_valid: ArrayLike) -> NDArray[np.int8]:
    """Return which eyes each sample rests on: 0 none, 1 left, 2 right, 3 both."""
    left = np.asarray(left_valid, dtype=np.int8)
    return (left + 2 * np.asarray(right_valid, dtype=np.int8)).astype(np.int8)


def interpolate_nan(values: Floats, known: Bools) -> Floats:
    """Return values with everything outside ``known`` bridged linearly (held at the ends)."""
    if known.all():
        return values
    index = np.arange(values.size)
    filled: Floats = np.interp(index, index[known], values[known])
    return filled
