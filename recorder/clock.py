"""One clock: from the stamps of many senders to the recorder's LSL clock.

Stamps are never changed in the file. What is here maps them with the clock offsets measured while recording;
:mod:`duchenne.recorder.derivation` makes the ``times`` of a stream of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.recorder.drift import bending_line, evaluate

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = [
    "ClockSettings",
    "OffsetSegment",
    "correct",
    "fit_offsets",
]

SLOW_PROBE_FACTOR = 5.0
SLOW_PROBE_S = 0.001
"""Probes that took up to a millisecond are never called slow."""
MAX_SLEW = 500e-6
"""Operating systems slew a clock by no more than this (500 ppm; Mills, RFC 5905)."""
MIN_STEP_S = 0.005
ASSUMED_SIGMA_S = 50e-6
"""Error of a probe whose round trip is not known."""
MATCH = 0.25
"""A jump of the stamps is the step of the clock if it differs from it by less than this share."""


@dataclass(frozen=True)
class ClockSettings:
    """How times are derived from stamps.

    Attributes
    ----------
    use_offsets : bool
        Correct the sender's clock at all.
    smooth : bool or None
        Dejitter regular streams; None: those whose source drops no samples.
    step_s : float
        Two consecutive offsets that differ by more than this are a step of the sender's clock, seconds;
        smaller steps count too where the round trips of the probes leave no other explanation.
    knot_s : float
        A drift may change at each multiple of this, seconds.
    bend_ppm : float
        How much it may change from one to the next (standard deviation), parts per million.
    drift_ppm : float
        Drift that crystal clocks have before anything was measured (standard deviation), ppm.
    """

    use_offsets: bool = True
    smooth: bool | None = None
    step_s: float = 0.1
    knot_s: float = 120.0
    bend_ppm: float = 0.3
    drift_ppm: float = 100.0


DEFAULT = ClockSettings()


@dataclass(frozen=True, eq=False)
class OffsetSegment:
    """Offset of a sender's clock over one stretch without steps.

    Attributes
    ----------
    first_s, last_s : float
        First and last measurement, on the recorder's clock.
    n : int
        Number of measurements that were relied on.
    reference_s : float
        Sender time at which the offset is `offset_s`: the middle of the stretch.
    offset_s : float
        Added to the sender's time it gives the recorder's.
    drift : float
        Mean change of the offset, seconds per second (1e-6 = 1 ppm).
    residual_s : float
        Median absolute residual of the measurements; NaN with fewer than two.
    knots_s, values_s : ndarray, shape (k,)
        The offset at some sender times; straight in between and beyond.
    """

    first_s: float
    last_s: float
    n: int
    reference_s: float
    offset_s: float
    drift: float
    residual_s: float
    knots_s: Floats
    values_s: Floats

    def at(self, sender_s: Floats) -> Floats:
        """Return the offset at some times of the sender, shape (n,), seconds."""
        return evaluate(sender_s, self.knots_s, self.values_s)


def fit_offsets(
    measurements: Floats, settings: ClockSettings = DEFAULT
) -> tuple[OffsetSegment, ...]:
    """Fit the offset of a sender's clock, robustly, between steps of that clock.

    Parameters
    ----------
    measurements : ndarray, shape (m, 2) or (m, 3)
        Collection time on the recorder's clock, offset, and optionally the round-trip time, in seconds.
        Rows with non-finite time or offset are ignored, and so are repeated measurements and those whose
        round trip took more than five times as long as usual.
    settings : ClockSettings

    Returns
    -------
    tuple of OffsetSegment
        In order of time; one with offset 0 where nothing was measured.

    Notes
    -----
    An offset is off by at most half of its round trip. So the slower a probe, the less it counts, and a
    change that exceeds half of both round trips and what a clock may slew is a step. A single
    measurement that differs from both its neighbours is no step.
    """
    table = _trusted(np.array(measurements, dtype=np.float64), settings)
    if not table.size or not settings.use_offsets:
        zero = np.zeros(1)
        return (OffsetSegment(-np.inf, np.inf, 0, 0.0, 0.0, 0.0, float("nan"), zero, zero),)
    starts = np.flatnonzero(_steps(table, settings)) + 1
    return tuple(_fit_segment(piece, settings) for piece in np.split(table, starts))


def _round_trips(table: Floats) -> Floats:
    unknown = np.full(len(table), np.nan)
    return np.asarray(np.maximum(table[:, 2], 0) if table.shape[1] > 2 else unknown)


def _steps(table: Floats, settings: ClockSettings, lag: int = 1) -> npt.NDArray[np.bool_]:
    """Return whether the clock stepped between each measurement and the one `lag` after it."""
    change = np.abs(table[lag:, 1] - table[:-lag, 1])
    round_trip = _round_trips(table)
    slewed = MAX_SLEW * (table[lag:, 0] - table[:-lag, 0])
    bound = np.maximum((round_trip[lag:] + round_trip[:-lag]) / 2 + slewed, MIN_STEP_S)
    smallest = np.where(np.isfinite(bound), np.minimum(bound, settings.step_s), settings.step_s)
    return np.asarray(change > np.maximum(smallest, slewed))


def _trusted(table: Floats, settings: ClockSettings) -> Floats:
    """Return the measurements that can be relied on, in order of time."""
    if not table.size:
        return table
    finite = np.isfinite(table[:, 0]) & np.isfinite(table[:, 1])
    table = np.asarray(table[finite])
    table = np.asarray(table[np.unique(table[:, 0], return_index=True)[1]])
    round_trip = _round_trips(table)
    if np.isfinite(round_trip).any():
        bound = max(SLOW_PROBE_FACTOR * float(np.nanmedian(round_trip)), SLOW_PROBE_S)
        table = np.asarray(table[~(round_trip > bound)])
    if len(table) < 3:
        return table
    jumps = _steps(table, settings)
    returns = ~_steps(table, settings, lag=2)
    alone = np.concatenate([[False], jumps[:-1] & jumps[1:] & returns, [False]])
    return np.asarray(table[~alone])


def _fit_segment(table: Floats, settings: ClockSettings) -> OffsetSegment:
    time_s, offset_s = table[:, 0], table[:, 1]
    sender_s = time_s - offset_s
    knots, values = bending_line(
        sender_s,
        offset_s,
        _sigma(_round_trips(table)),
        knot_s=settings.knot_s,
        bend_ppm=settings.bend_ppm,
        slope_ppm=settings.drift_ppm,
    )
    residual = np.abs(offset_s - evaluate(sender_s, knots, values))
    middle = float(knots[0] + knots[-1]) / 2
    drift = float((values[-1] - values[0]) / (knots[-1] - knots[0])) if len(knots) > 1 else 0.0
    return OffsetSegment(
        first_s=float(time_s[0]),
        last_s=float(time_s[-1]),
        n=len(table),
        reference_s=middle,
        offset_s=float(evaluate(np.array([middle]), knots, values)[0]),
        drift=drift,
        residual_s=float(np.median(residual)) if len(residual) > 1 else float("nan"),
        knots_s=knots,
        values_s=values,
    )


def _sigma(round_trip_s: Floats) -> Floats:
    """Return the expected error of each probe: what it took longer than the fastest may be on one way."""
    if not np.isfinite(round_trip_s).any():
        return np.full(len(round_trip_s), ASSUMED_SIGMA_S)
    known = np.where(np.isfinite(round_trip_s), round_trip_s, np.nanmax(round_trip_s))
    fastest = float(np.percentile(known, 5))
    base = max(fastest / 8, 5e-6)
    return np.asarray(base + np.maximum(known - fastest, 0) / 2)


def correct(
    timestamps: Floats,
    segments: tuple[OffsetSegment, ...],
    received: Floats | None = None,
) -> Floats:
    """Map sender stamps to the recorder's clock.

    Parameters
    ----------
    timestamps : ndarray, shape (n,)
        Seconds on the sender's clock.
    segments : tuple of OffsetSegment
        From :func:`fit_offsets`.
    received : ndarray, shape (k, 2), optional
        Index of the first sample of each chunk and when the chunk was received, on the recorder's clock.
        Places samples around a step of the sender's clock; without it, the jump of the stamps does.

    Returns
    -------
    ndarray, shape (n,)
        Seconds on the recorder's clock; NaN where the stamp is.
    """
    stamps = np.asarray(timestamps, dtype=np.float64)
    return mapped(stamps, segments, segment_of_each(stamps, segments, received))


def mapped(
    stamps: Floats, segments: tuple[OffsetSegment, ...], which: npt.NDArray[np.intp]
) -> Floats:
    """Map stamps with the segment that each belongs to."""
    if len(segments) == 1:
        return np.asarray(stamps + segments[0].at(stamps))
    times = np.full(len(stamps), np.nan)
    for number, segment in enumerate(segments):
        own = which == number
        times[own] = stamps[own] + segment.at(stamps[own])
    return times


def segment_of_each(
    stamps: Floats, segments: tuple[OffsetSegment, ...], received: Floats | None
) -> npt.NDArray[np.intp]:
    """Return which segment each sample belongs to, shape (n,); arguments as for :func:`correct`."""
    which = np.zeros(len(stamps), dtype=np.intp)
    if len(segments) == 1 or not len(stamps):
        return which
    if received is None or not len(received) or not (received[:, 1] > 0).all():  # 0: unknown
        return _by_order(stamps, segments)
    first = received[:, 0].astype(np.intp)
    stop = np.append(first[1:], len(stamps))
    chunk = _by_arrival(stamps, segments, stop - 1, received[:, 1])
    for number, begin, end in zip(chunk.tolist(), first.tolist(), stop.tolist(), strict=True):
        which[begin:end] = number
    for turn in np.flatnonzero(np.diff(chunk)).tolist():
        old, new = segments[chunk[turn]], segments[chunk[turn + 1]]
        low, high = int(first[turn]), int(stop[turn + 1])
        at = _jump(stamps[max(low - 1, 0) : high], old, new)
        if at is not None:
            split = max(low - 1, 0) + at
            which[low:split] = chunk[turn]
            which[split:high] = chunk[turn + 1]
    return which


def _by_arrival(
    stamps: Floats,
    segments: tuple[OffsetSegment, ...],
    last: npt.NDArray[np.intp],
    arrived: Floats,
) -> npt.NDArray[np.intp]:
    """Return the segment of each chunk: by arrival; near a step and around a single probe by the offset."""
    firsts = np.array([segment.first_s for segment in segments])
    lasts = np.array([segment.last_s for segment in segments])
    chunk = np.clip(np.searchsorted(firsts, arrived, side="right") - 1, 0, len(segments) - 1)
    sender = stamps[np.clip(last, 0, len(stamps) - 1)]
    apparent = arrived - sender
    offsets = np.array([segment.at(sender) for segment in segments])
    distance = np.abs(apparent - offsets)
    here = np.arange(len(chunk))
    alone = np.array([segment.n == 1 for segment in segments])
    best = chunk.copy()
    for shift in (-1, 1):
        other = np.clip(chunk + shift, 0, len(segments) - 1)
        open_to_it = (arrived > lasts[chunk]) if shift > 0 else alone[chunk]
        nearer = distance[other, here] < distance[best, here]
        best = np.where(open_to_it & nearer, other, best)
    return np.asarray(best, dtype=np.intp)


def _jump(stamps: Floats, old: OffsetSegment, new: OffsetSegment) -> int | None:
    """Return the index of the first sample after the step of the clock, None where the stamps show none."""
    steps = np.diff(stamps)
    if not len(steps):
        return None
    expected = old.at(stamps[:-1]) - new.at(stamps[1:])
    with np.errstate(invalid="ignore"):
        error = np.where(np.isfinite(steps), np.abs(steps - expected), np.inf)
    at = int(np.argmin(error))
    return at + 1 if error[at] < MATCH * abs(expected[at]) else None


def _by_order(stamps: Floats, segments: tuple[OffsetSegment, ...]) -> npt.NDArray[np.intp]:
    """Divide samples by the jumps of their stamps, else in the middle between two measurements."""
    which = np.zeros(len(stamps), dtype=np.intp)
    begin = 0
    for number in range(1, len(segments)):
        old, new = segments[number - 1], segments[number]
        times = stamps[begin:] + old.at(stamps[begin:])
        margin = max(60.0, 2 * (new.first_s - old.last_s))
        possible = times > old.last_s - margin
        split = begin + (int(np.argmax(possible)) if possible.any() else len(times))
        at = _jump(stamps[max(split - 1, 0) :], old, new)
        if at is None:
            late = times > (old.last_s + new.first_s) / 2
            at = int(np.argmax(late)) if late.any() else len(times)
            split = begin + at
        else:
            split = max(split - 1, 0) + at
        which[split:] = number
        begin = split
    return which
