"""The gaze signal before events: validity, both eyes into one, the true sampling rate, gaps."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Ints = NDArray[np.intp]

PIECE_SAMPLES = 250_000
"""About so many samples of a long recording are worked on at a time."""
RATE_BLOCK_S = 5.0
RATE_BLOCK_INTERVALS = 50
RATE_CHANGE = 1.2
"""Blocks of a recording whose sampling rates differ by more than this factor are not one rate."""
GAP_PERIODS = 3.0
"""An interval longer than this many sample periods (and than GAP_MIN_S) is a gap in the stream."""
GAP_MIN_S = 0.010


def runs(mask: ArrayLike) -> tuple[Ints, Ints]:
    """Return starts and stops (exclusive) of the runs of True in a 1-D mask."""
    inside = np.asarray(mask, dtype=bool)
    if inside.size == 0:
        return np.empty(0, dtype=np.intp), np.empty(0, dtype=np.intp)
    change = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    edges = [[0]] * bool(inside[0]) + [change] + [[inside.size]] * bool(inside[-1])
    edge = np.concatenate(edges).astype(np.intp)
    return edge[::2], edge[1::2]


def fill_runs(starts: ArrayLike, stops: ArrayLike, n: int) -> Bools:
    """Return a mask of length n, True inside the half-open runs (clipped to 0..n, overlaps allowed)."""
    edges = np.zeros(n + 1, dtype=np.int32)
    np.add.at(edges, np.clip(np.asarray(starts, dtype=np.intp), 0, n), 1)
    np.add.at(edges, np.clip(np.asarray(stops, dtype=np.intp), 0, n), -1)
    depth = edges[:-1]
    return np.cumsum(depth, dtype=np.int32, out=depth) > 0


def pieces(n: int, size: int = PIECE_SAMPLES) -> Iterator[slice]:
    """Yield the slices of a long recording that are worked on at a time, so that memory stays small."""
    for first in range(0, n, size):
        yield slice(first, min(n, first + size))


def event_groups(starts: Ints, stops: Ints, size: int = PIECE_SAMPLES) -> Iterator[slice]:
    """Yield slices of events, each spanning about ``size`` samples or one event.

    Parameters
    ----------
    starts, stops : ndarray of int, shape (m,)
        Half-open, ascending.
    size : int
        Samples from the first start of a group to its last stop.
    """
    first = 0
    while first < starts.size:
        last = int(np.searchsorted(stops, starts[first] + size, side="right"))
        yield slice(first, max(last, first + 1))
        first = max(last, first + 1)


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
    times = np.asarray(times_s, dtype=np.float64)
    # Single precision does for the median, from which only gaps are told.
    steps = np.empty(max(times.size - 1, 0), dtype=np.float32)
    for piece in pieces(steps.size):
        steps[piece] = np.diff(times[piece.start : piece.stop + 1])
    if not (steps > 0).all():
        steps = steps[steps > 0]
    if steps.size == 0:
        return float("nan")
    longest = max(GAP_PERIODS * float(np.median(steps, overwrite_input=True)), GAP_MIN_S)
    del steps
    count, span_s = 0, 0.0
    for piece in pieces(times.size - 1):
        part = np.diff(times[piece.start : piece.stop + 1])
        part = part[part <= longest]
        count += part.size
        span_s += float(part.sum())
    return count / span_s if span_s > 0 else float("nan")


def gap_starts(times_s: ArrayLike, rate_hz: float) -> Ints:
    """Return the indices after which the stream has a gap (no samples arrived at all).

    Parameters
    ----------
    times_s : array_like, shape (n,)
        Seconds, ascending.
    rate_hz : float
        True sampling rate; a gap is an interval above 3 periods and above 10 ms. Where the rate
        changes within the recording, the periods are those of each stretch.
    """
    if not np.isfinite(rate_hz):
        return np.empty(0, dtype=np.intp)
    times = np.asarray(times_s, dtype=np.float64)
    found = []
    for segment in rate_segments(times, rate_hz):
        longest = max(GAP_PERIODS / segment.rate_hz, GAP_MIN_S)
        for piece in pieces(segment.stop - segment.start):
            first = segment.start + piece.start
            steps = np.diff(times[first : min(times.size, segment.start + piece.stop + 1)])
            found.append(np.flatnonzero(steps > longest) + first)
    return np.concatenate(found) if found else np.empty(0, dtype=np.intp)


def run_ends(times_s: ArrayLike, stops: ArrayLike) -> Floats:
    """Return when what runs of rows say ends, such as the stimulus that they name.

    Parameters
    ----------
    times_s : array_like, shape (n,)
        Seconds, ascending.
    stops : array_like of int, shape (m,)
        Index after the last row of each run, from 1.

    Returns
    -------
    ndarray, shape (m,)
        The time of the row that follows; one usual step after the last row of the run where none follows, or
        only after a gap (rows between two stimuli were left out).
    """
    times = np.asarray(times_s, dtype=np.float64)
    stop = np.asarray(stops, dtype=np.intp)
    steps = np.diff(times)
    steps = steps[steps > 0]
    step_s = float(np.median(steps)) if steps.size else 0.0
    last = times[stop - 1]
    following = times[np.minimum(stop, times.size - 1)]
    at_once = (stop < times.size) & (following - last <= max(GAP_PERIODS * step_s, GAP_MIN_S))
    return np.asarray(np.where(at_once, following, last + step_s))


class Segment(NamedTuple):
    """Samples of one sampling rate: half-open indices, Hz."""

    start: int
    stop: int
    rate_hz: float


def rate_segments(times_s: ArrayLike, rate_hz: float) -> list[Segment]:
    """Return the stretches of a recording that differ in sampling rate; one for nearly all recordings.

    Parameters
    ----------
    times_s : array_like, shape (n,)
        Seconds, ascending.
    rate_hz : float
        That of the whole recording, which stands where nothing changes.

    Notes
    -----
    The rate (of the median interval) changed where two blocks of 5 s in a row differ by more than a
    fifth from what was before. The change is put where it divides long from short intervals best.
    """
    times = np.asarray(times_s, dtype=np.float64)
    starts, medians = block_intervals(times)
    whole = [Segment(0, times.size, rate_hz)]
    if medians.size < 2 or medians.max() <= RATE_CHANGE * medians.min():
        return whole
    edges, before = [0], medians[0]
    for block in range(1, medians.size - 1):
        now, then = medians[block], medians[block + 1]
        if _differ(now, before) and not _differ(now, then):
            first = starts[block - 1]
            last = starts[block + 1]
            edges.append(first + _change(np.diff(times[first : last + 1]), before, now))
            before = now
    if len(edges) == 1:
        return whole
    edges.append(times.size)
    return [
        Segment(first, last, sampling_rate_hz(times[first:last]))
        for first, last in itertools.pairwise(edges)
    ]


def block_intervals(times_s: Floats) -> tuple[Ints, Floats]:
    """Return the first sample and the median interval of each block of 5 s (a tenth of a shorter recording).

    Blocks with fewer than 10 intervals, such as those of a gap, are left out; so are intervals of 0.
    """
    starts, medians = [], []
    first = 0
    span_s = float(times_s[-1] - times_s[0]) if times_s.size else 0.0
    shortest_s = RATE_BLOCK_INTERVALS * span_s / max(1, times_s.size)
    block_s = min(RATE_BLOCK_S, max(span_s / 10, shortest_s)) or RATE_BLOCK_S
    while first < times_s.size - 1:
        number = (times_s[first] - times_s[0]) // block_s
        edge = times_s[0] + (number + 1) * block_s
        last = max(first + 1, int(np.searchsorted(times_s, edge)))
        steps = np.diff(times_s[first : last + 1])
        steps = steps[steps > 0]
        if steps.size >= 10:
            starts.append(first)
            medians.append(float(np.median(steps)))
        first = last
    return np.array(starts, dtype=np.intp), np.array(medians)


def _differ(one: float, other: float) -> bool:
    return bool(max(one, other) > RATE_CHANGE * min(one, other))


def _change(steps: Floats, before: float, after: float) -> int:
    """Return how many of the intervals lie before a change from one usual interval to another."""
    is_later = np.abs(steps - after) < np.abs(steps - before)
    wrong = np.concatenate(([0], np.cumsum(np.where(is_later, 1, -1))))
    return int(np.argmin(wrong))


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
    valid: Bools = np.isfinite(as_floats(x)) & np.isfinite(as_floats(y))
    if flag is not None:
        valid &= ~(as_floats(flag) <= 0.5)
    if pupil is not None:
        valid &= ~(as_floats(pupil) <= 0)
    return valid


def as_floats(values: ArrayLike) -> Floats:
    """Return an array of floating point numbers: single precision stays so, the rest is float64."""
    array = np.asarray(values)
    return array if array.dtype == np.float32 else array.astype(np.float64, copy=False)


def eye_shift(left: ArrayLike, right: ArrayLike) -> float:
    """Return half of the eyes' median difference (left − right) where both are known; else 0."""
    left_, right_ = as_floats(left), as_floats(right)
    with np.errstate(invalid="ignore"):
        difference = left_ - right_
    difference = difference[np.isfinite(difference)]
    return float(np.median(difference, overwrite_input=True)) / 2 if difference.size else 0.0


def combine_eyes(left: ArrayLike, right: ArrayLike, shift: float | None = None) -> Floats:
    """Combine both eyes' values of one quantity into one (cyclopean gaze, mean pupil).

    Where both eyes are valid the mean; where one is, that eye, moved by half of the eyes' median
    difference over the recording, so that losing one eye does not look like a movement.

    Parameters
    ----------
    left, right : array_like, shape (n,)
        NaN where the eye is not valid.
    shift : float, optional
        From :func:`eye_shift`, for a part of a recording; else that of what is given.

    Returns
    -------
    ndarray, shape (n,)
        NaN where neither eye is valid; single precision where both eyes are.
    """
    left_, right_ = as_floats(left), as_floats(right)
    if shift is None:
        shift = eye_shift(left_, right_)
    has_left, has_right = np.isfinite(left_), np.isfinite(right_)
    with np.errstate(invalid="ignore"):
        combined: Floats = (left_ + right_) / 2
    only_left, only_right = has_left & ~has_right, has_right & ~has_left
    combined[only_left] = left_[only_left] - shift
    combined[only_right] = right_[only_right] + shift
    combined[~(has_left | has_right)] = np.nan
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
