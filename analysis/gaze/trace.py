"""Events on a trace of eye speed: one saccade, its oscillation, fixations that are too short.

Detectors that tell movement by its speed share these steps; each brings thresholds of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.signal import fill_runs, runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Labels = NDArray[np.int8]


@dataclass(frozen=True)
class Trace:
    """Speed with the thresholds that hold at each sample.

    Parameters
    ----------
    speed : ndarray, shape (n,)
        Degrees per second; 0 where lost.
    valid : ndarray of bool, shape (n,)
        False where lost.
    peak, edge : ndarray, shape (n,)
        Degrees per second: what the peak of a saccade is above, and where it begins and ends.
    rate_hz : float
        Samples per second.
    """

    speed: Floats
    valid: NDArray[np.bool_]
    peak: Floats
    edge: Floats
    rate_hz: float

    def samples(self, duration_s: float) -> int:
        """Return how many samples a duration in seconds has, at least 1."""
        return max(1, round(duration_s * self.rate_hz))


@dataclass(frozen=True)
class Oscillation:
    """What counts as the oscillation after a saccade.

    Parameters
    ----------
    max_s, min_s : float
        It is looked for within ``max_s`` after the saccade, and lasts at least ``min_s``.
    rest_s : float
        Slower than the edge for longer than this, and it is over.
    own_share : float
        What is faster than this share of the saccade's peak, and above the peak threshold, is a
        saccade of its own.
    """

    max_s: float
    min_s: float
    rest_s: float
    own_share: float


def one_saccade(
    trace: Trace, first: int, last: int, *, edge_share: float, trough: float
) -> tuple[int, int, float]:
    """Return onset, offset (exclusive) and peak speed of the saccade that leads a moving run.

    Parameters
    ----------
    trace : Trace
    first, last : int
        The run of samples faster than the edge; ``last`` is exclusive.
    edge_share : float
        It begins and ends at this share of its peak, where that is above the edge.
    trough : float
        The first trough below this share of its peak ends it: what rises again is oscillation.
    """
    piece = trace.speed[first:last]
    summit = int(np.argmax(piece))
    top = float(piece[summit])
    level = max(float(trace.edge[first]), edge_share * top)
    slow = np.flatnonzero(piece[:summit] < level)
    onset = int(slow[-1]) + 1 if slow.size else 0
    after = piece[summit:]
    slow = np.flatnonzero(after < level)
    end = int(slow[0]) if slow.size else after.size
    deep = after[: max(end - 1, 0)] < trough * top
    rises = np.flatnonzero((np.diff(after[:end]) > 0) & deep)
    if rises.size:
        end = int(rises[0]) + 1
    return first + onset, first + summit + max(1, end), top


def mark_oscillation(
    labels: Labels, trace: Trace, offset: int, top: float, wanted: Oscillation
) -> int:
    """Write the oscillation that follows a saccade, if any; return where the next search begins.

    Parameters
    ----------
    labels : ndarray of int8, shape (n,)
        Changed in place.
    trace : Trace
    offset : int
        End of the saccade, exclusive.
    top : float
        Its peak speed, degrees per second.
    wanted : Oscillation
    """
    reach = min(trace.speed.size, offset + trace.samples(wanted.max_s))
    if offset >= reach:
        return offset
    piece = trace.speed[offset:reach]
    moving = piece > trace.edge[offset:reach]
    own = np.flatnonzero(piece > np.maximum(trace.peak[offset:reach], wanted.own_share * top))
    if own.size:
        moving[own[0] :] = False
    end = 0
    for start, stop in zip(*(edges.tolist() for edges in runs(moving)), strict=True):
        if start - end > trace.samples(wanted.rest_s):
            break
        end = stop
    if end < max(2, trace.samples(wanted.min_s)):
        return offset
    labels[offset : offset + end] = Label.PSO
    return offset + end


def drop_short_fixations(
    labels: Labels, trace: Trace, *, least_s: float, least_cut_s: float
) -> None:
    """Take away the label of fixations that are too short.

    Parameters
    ----------
    labels : ndarray of int8, shape (n,)
        Changed in place.
    trace : Trace
    least_s, least_cut_s : float
        Shortest fixation, and shortest one beside lost samples, of which the blanking took a part.
    """
    starts, stops = runs(labels == Label.FIXATION)
    seen = np.concatenate(([True], trace.valid, [True]))
    cut = ~(seen[starts] & seen[stops + 1])
    shortest = np.where(cut, trace.samples(least_cut_s), trace.samples(least_s))
    short = stops - starts < shortest
    labels[fill_runs(starts[short], stops[short], labels.size)] = Label.NONE
