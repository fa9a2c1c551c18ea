"""Blinks: tracking loss of a blink's length, and the guard of blanked samples around any loss."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.gaze.signal import fill_runs, gap_starts, runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    Bools = NDArray[np.bool_]
    Ints = NDArray[np.intp]

BLINK_MIN_S = 0.050
BLINK_MAX_S = 0.500
GUARD_LOSS_S = 0.006
"""Loss at least this long (and two samples) is guarded; shorter loss is bridged."""
GUARD_BEFORE_S = 0.050
GUARD_AFTER_S = 0.080
MERGE_S = 0.020
"""Two losses closer than this are one: the pupil flickers at the edge of a blink."""


LID_CLOSED = 0.5
"""Lids closed this far cover the pupil."""
LID_UNKNOWN_S = 0.100
"""Where nothing is known of the lids for this long, a blink may have happened."""


@dataclass(frozen=True)
class Losses:
    """Runs of lost samples, as half-open index ranges.

    Parameters
    ----------
    starts, stops : ndarray of int, shape (m,)
        First lost sample, first sample after.
    is_blink : ndarray of bool, shape (m,)
        Whether the loss has the length of a blink (50–500 ms) and its two ends were seen.
    guard : ndarray of bool, shape (n,)
        Samples inside a loss, or so near to one that lids may have moved the signal.
    blink_guard : ndarray of bool, shape (n,)
        Those that belong to a blink or to a shorter loss, which for experts is one (lids that cover
        the pupil only for a moment): every guarded loss up to 500 ms whose two ends were seen.
    """

    starts: Ints
    stops: Ints
    is_blink: Bools
    guard: Bools
    blink_guard: Bools


def find_losses(valid: ArrayLike, t_s: ArrayLike, rate_hz: float) -> Losses:
    """Find the losses that blank the gaze signal, and which of them are blinks.

    Parameters
    ----------
    valid : array_like of bool, shape (n,)
        Where gaze was measured by either eye.
    t_s : array_like, shape (n,)
        Seconds, ascending.
    rate_hz : float
        True sampling rate.

    Notes
    -----
    A loss of at least 6 ms (and two samples) is blanked together with 50 ms before and 80 ms after
    it, where lids cover the pupil; expert coders set blinks 46 ms before to 85 ms after the loss in
    the recordings of Andersson et al. 2017. For counting, a blink is a loss of 50–500 ms
    (spontaneous closures last 100–400 ms: Schiffman 2001); longer is loss. A loss at an end of the
    recording or beside a gap of the stream is no blink, as its length is unknown.
    """
    seen = np.asarray(valid, dtype=bool)
    times = np.asarray(t_s, dtype=np.float64)
    n = seen.size
    starts, stops = runs(~seen)
    if starts.size == 0 or not np.isfinite(rate_hz):
        empty = np.empty(0, dtype=np.intp)
        nothing = np.zeros(n, dtype=bool)
        return Losses(empty, empty, np.empty(0, dtype=bool), ~seen, nothing)
    if starts.size > 1:
        apart = starts[1:] - stops[:-1] > max(1, round(MERGE_S * rate_hz))
        starts = starts[np.concatenate(([True], apart))]
        stops = stops[np.concatenate((apart, [True]))]
    enough = stops - starts >= max(2, round(GUARD_LOSS_S * rate_hz))
    starts, stops = starts[enough], stops[enough]
    duration_s = loss_duration_s(times, starts, stops, rate_hz)
    gaps = gap_starts(times, rate_hz)
    whole = (starts > 0) & (stops < n)
    whole &= np.searchsorted(gaps, stops - 1, side="right") == np.searchsorted(gaps, starts - 1)
    brief = whole & (duration_s <= BLINK_MAX_S)
    is_blink = brief & (duration_s >= BLINK_MIN_S)
    before, after = guard_samples(rate_hz)
    guard = fill_runs(starts - before, stops + after, n)
    blink_guard = fill_runs(starts[brief] - before, stops[brief] + after, n)
    return Losses(starts, stops, is_blink, guard, blink_guard)


def guard_samples(rate_hz: float) -> tuple[int, int]:
    """Return how many samples are blanked before and after a loss; none at an unknown rate."""
    if not np.isfinite(rate_hz):
        return 0, 0
    return round(GUARD_BEFORE_S * rate_hz), round(GUARD_AFTER_S * rate_hz)


class Lids(IntEnum):
    """What is known of the lids during a loss."""

    UNKNOWN = 0
    CLOSED = 1
    OPEN = 2


def lids_during(
    losses: Losses, t_s: ArrayLike, lid: tuple[ArrayLike, ArrayLike] | None
) -> NDArray[np.int8]:
    """Return what is known of the lids during each loss.

    Parameters
    ----------
    losses : Losses
        From :func:`find_losses`.
    t_s : array_like, shape (n,)
        Stamps of the samples in which they were found, seconds.
    lid : (times_s, closed) or None
        Seconds on the same clock, ascending, and how far the lids are closed: 0 open, 1 shut, NaN not
        known. Any rate, such as that of a face film.

    Returns
    -------
    ndarray of int8, shape (m,)
        Codes of :class:`Lids`: CLOSED where the lids are at least half closed at some time from 50 ms
        before the loss to 80 ms after it; OPEN where they are known to be open from its beginning to
        its end, without 100 ms in which they are not known; else UNKNOWN.
    """
    found = np.full(losses.starts.size, Lids.UNKNOWN, dtype=np.int8)
    if lid is None or not found.size:
        return found
    at, closed = (np.asarray(values, dtype=np.float64) for values in lid)
    known = np.isfinite(at) & np.isfinite(closed)
    at, closed = at[known], closed[known]
    times = np.asarray(t_s, dtype=np.float64)
    for row, (start, stop) in enumerate(zip(losses.starts, losses.stops, strict=True)):
        begin, end = times[start], times[min(stop, times.size - 1)]
        first, last = np.searchsorted(at, [begin - GUARD_BEFORE_S, end + GUARD_AFTER_S])
        if (closed[first:last] >= LID_CLOSED).any():
            found[row] = Lids.CLOSED
            continue
        seen = at[first:last]
        seen = np.concatenate(([begin], seen[(seen >= begin) & (seen <= end)], [end]))
        if last > first and np.diff(seen).max() < LID_UNKNOWN_S:
            found[row] = Lids.OPEN
    return found


def closed_from_openness(columns: Mapping[str, ArrayLike]) -> NDArray[np.float64] | None:
    """Return how far the lids are closed, from ``left_openness`` and ``right_openness``.

    Parameters
    ----------
    columns : Mapping of str to array_like, each of shape (n,)
        Distance between the lids (mm, or any unit in which 0 is shut); others are ignored.

    Returns
    -------
    ndarray of shape (n,), or None
        1 shut, 0 as open as usual (the 90th percentile of that eye) or more; the eye that is more
        open; NaN where neither is known. None without such columns.
    """
    eyes = []
    for name in ("left_openness", "right_openness"):
        if name not in columns:
            continue
        openness = np.asarray(columns[name], dtype=np.float64)
        known = openness[np.isfinite(openness)]
        usual = float(np.quantile(known, 0.9)) if known.size else 0.0
        if usual > 0:
            eyes.append(np.clip(1 - openness / usual, 0.0, 1.0))
    if not eyes:
        return None
    closed: NDArray[np.float64] = eyes[0] if len(eyes) == 1 else np.fmin(eyes[0], eyes[1])
    return closed


def loss_duration_s(
    t_s: NDArray[np.float64], starts: Ints, stops: Ints, rate_hz: float
) -> NDArray[np.float64]:
    """Return how long runs of samples last: from the first stamp to the stamp after the last."""
    ends = np.where(stops < t_s.size, t_s[np.minimum(stops, t_s.size - 1)], t_s[-1] + 1 / rate_hz)
    duration: NDArray[np.float64] = ends - t_s[starts]
    return duration
