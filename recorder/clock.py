"""One clock: from the stamps of many senders to the recorder's LSL clock.

Stamps are never changed in the file. What is here derives, on reading, ``times`` from the stamps and the
clock offsets measured while recording, and can be done again with other settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

CLOCK_STEP_S = 0.1
"""Two consecutive offsets that differ by more than this mark a step of the sender's clock."""
MIN_SPAN_FOR_DRIFT_S = 60.0
"""A drift is estimated from measurements over at least this span; below it the offset is constant."""
MIN_POINTS_FOR_DRIFT = 8
HUBER_C = 1.345
"""Huber's tuning constant (95 % efficiency for normal errors; Huber 1981, Robust Statistics)."""
MIN_DEJITTER_SAMPLES = 100
GAP_PERIODS = 2.5
MIN_GAP_S = 0.02
RESIDUAL_WINDOW = 10
MAX_RATE_ERROR = 0.05
SLOW_PROBE_FACTOR = 5.0
SLOW_PROBE_S = 0.001
"""Probes that took up to a millisecond are never called slow."""


@dataclass(frozen=True)
class OffsetSegment:
    """Offset of a sender's clock over one stretch without steps.

    Attributes
    ----------
    first_s, last_s : float
        First and last measurement, on the recorder's clock.
    reference_s : float
        Sender time at which the offset is `offset_s`.
    offset_s : float
        Added to the sender's time it gives the recorder's.
    drift : float
        Change of the offset, seconds per second (1e-6 = 1 ppm).
    residual_s : float
        Median absolute residual of the measurements; NaN with fewer than two.
    """

    first_s: float
    last_s: float
    reference_s: float
    offset_s: float
    drift: float
    residual_s: float


def fit_offsets(measurements: npt.NDArray[np.float64]) -> tuple[OffsetSegment, ...]:
    """Fit the offset of a sender's clock, robustly, between steps of that clock.

    Parameters
    ----------
    measurements : ndarray, shape (m, 2) or (m, 3)
        Collection time on the recorder's clock, offset, and optionally the round-trip time, in seconds.
        Rows with non-finite time or offset are ignored, and so are repeated measurements and those whose
        round trip took more than five times as long as usual.

    Returns
    -------
    tuple of OffsetSegment
        In order of time; one with offset 0 where nothing was measured.

    Notes
    -----
    Within a segment the offset is a Huber line over at least 60 s of measurements, else their median. A
    single measurement that differs from both its neighbours is no step.
    """
    table = _trusted(np.array(measurements, dtype=np.float64))
    if not table.size:
        return (OffsetSegment(-np.inf, np.inf, 0.0, 0.0, 0.0, float("nan")),)
    starts = np.flatnonzero(np.abs(np.diff(table[:, 1])) > CLOCK_STEP_S) + 1
    pieces = np.split(table, starts)
    return tuple(_fit_segment(piece[:, 0], piece[:, 1]) for piece in pieces)


def _trusted(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the measurements that can be relied on, in order of time."""
    if not table.size:
        return table
    finite = np.isfinite(table[:, 0]) & np.isfinite(table[:, 1])
    table = np.asarray(table[finite])
    table = np.asarray(table[np.unique(table[:, 0], return_index=True)[1]])
    if table.shape[1] > 2 and np.isfinite(table[:, 2]).any():
        bound = max(SLOW_PROBE_FACTOR * float(np.nanmedian(table[:, 2])), SLOW_PROBE_S)
        table = np.asarray(table[~(table[:, 2] > bound)])
    if len(table) < 3:
        return table
    jumps = np.abs(np.diff(table[:, 1])) > CLOCK_STEP_S
    returns = np.abs(table[2:, 1] - table[:-2, 1]) <= CLOCK_STEP_S
    alone = np.concatenate([[False], jumps[:-1] & jumps[1:] & returns, [False]])
    return np.asarray(table[~alone])


def _fit_segment(
    time_s: npt.NDArray[np.float64], offset_s: npt.NDArray[np.float64]
) -> OffsetSegment:
    sender_s = time_s - offset_s
    center = float(np.median(sender_s))
    level = float(np.median(offset_s))
    drift = 0.0
    if len(time_s) >= MIN_POINTS_FOR_DRIFT and np.ptp(time_s) >= MIN_SPAN_FOR_DRIFT_S:
        level, drift = _huber_line(sender_s - center, offset_s)
    residual = np.abs(offset_s - level - drift * (sender_s - center))
    spread = float(np.median(residual)) if len(residual) > 1 else float("nan")
    return OffsetSegment(float(time_s[0]), float(time_s[-1]), center, level, drift, spread)


def _huber_line(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> tuple[float, float]:
    design = np.column_stack([np.ones_like(x), x])
    weights = np.ones_like(y)
    solution = np.zeros(2)
    for _ in range(50):
        root = np.sqrt(weights)
        updated = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
        converged = np.allclose(updated, solution, rtol=0, atol=1e-12)
        solution = updated
        residual = y - design @ solution
        scale = 1.4826 * np.median(np.abs(residual - np.median(residual)))
        if converged or scale == 0:
            break
        ratio = np.abs(residual) / (HUBER_C * scale)
        weights = np.where(ratio <= 1, 1.0, 1 / np.maximum(ratio, 1))
    return float(solution[0]), float(solution[1])


def correct(
    timestamps: npt.NDArray[np.float64],
    segments: tuple[OffsetSegment, ...],
    received: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.float64]:
    """Map sender stamps to the recorder's clock.

    Parameters
    ----------
    timestamps : ndarray, shape (n,)
        Seconds on the sender's clock.
    segments : tuple of OffsetSegment
        From :func:`fit_offsets`.
    received : ndarray, shape (k, 2), optional
        Index of the first sample of each chunk and when the chunk was received, on the recorder's clock.
        Needed to place samples around a step of the sender's clock: their stamps alone cannot tell.

    Returns
    -------
    ndarray, shape (n,)
        Seconds on the recorder's clock; NaN where the stamp is.
    """
    stamps = np.asarray(timestamps, dtype=np.float64)
    which = _segment_of_each(stamps, segments, received)
    reference = np.array([segment.reference_s for segment in segments])[which]
    level = np.array([segment.offset_s for segment in segments])[which]
    drift = np.array([segment.drift for segment in segments])[which]
    return np.asarray(stamps + level + drift * (stamps - reference))


def _segment_of_each(
    stamps: npt.NDArray[np.float64],
    segments: tuple[OffsetSegment, ...],
    received: npt.NDArray[np.float64] | None,
) -> npt.NDArray[np.intp]:
    """Return which segment each sample belongs to: by arrival, and near a step by the nearer offset."""
    which = np.zeros(len(stamps), dtype=np.intp)
    if len(segments) == 1 or received is None or not len(received):
        return which
    first = received[:, 0].astype(np.intp)
    last = np.append(first[1:], len(stamps)) - 1
    arrived = received[:, 1]
    apparent = arrived - stamps[np.clip(last, 0, len(stamps) - 1)]
    chunk = np.searchsorted([segment.first_s for segment in segments], arrived, side="right") - 1
    chunk = np.clip(chunk, 0, len(segments) - 1)
    following = np.clip(chunk + 1, 0, len(segments) - 1)
    offsets = np.array([segment.offset_s for segment in segments])
    behind = arrived > np.array([segment.last_s for segment in segments])[chunk]
    nearer = np.abs(apparent - offsets[following]) < np.abs(apparent - offsets[chunk])
    chunk = np.where(behind & nearer, following, chunk)
    for number, start, stop in zip(
        chunk.tolist(), first.tolist(), (last + 1).tolist(), strict=True
    ):
        which[start:stop] = number
    return which


def dejitter(
    times_s: npt.NDArray[np.float64],
    nominal_srate_hz: float,
    *,
    boundaries: tuple[int, ...] = (),
) -> npt.NDArray[np.float64]:
    """Replace jittered stamps of an equidistant stream by the line through them.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
        Corrected times.
    nominal_srate_hz : float
        Declared rate; 0 (irregular) returns the times unchanged.
    boundaries : tuple of int
        Indices at which the stream re-appeared; no line crosses them.

    Returns
    -------
    ndarray, shape (n,)
        New array. Stretches between gaps are treated apart, and a stretch whose stamps are not
        explained by one line (lost samples without a visible gap, a changing rate, stamps that go back)
        keeps its stamps: smoothing it would move samples in time.
    """
    times = np.array(times_s, dtype=np.float64)
    if nominal_srate_hz <= 0 or len(times) < MIN_DEJITTER_SAMPLES:
        return times
    period = 1 / nominal_srate_hz
    steps = np.diff(times)
    gaps = np.flatnonzero(~(np.abs(steps - period) <= max(GAP_PERIODS * period, MIN_GAP_S))) + 1
    inner = np.clip(np.asarray(boundaries, dtype=np.intp), 0, len(times))
    edges = np.unique(np.concatenate([[0], gaps, inner, [len(times)]]))
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if stop - start >= MIN_DEJITTER_SAMPLES:
            times[start:stop] = _line_through(times[start:stop], period)
    return times


def _line_through(times: npt.NDArray[np.float64], period_s: float) -> npt.NDArray[np.float64]:
    """Return the line through equidistant stamps, or the stamps where no line explains them.

    Medians of ten residuals in a row must stay within half a period, or within what the jitter itself
    lets them scatter: samples lost anywhere in the stretch, also near its ends, show there.
    """
    index = np.arange(len(times), dtype=np.float64)
    slope, intercept = np.polyfit(index, times - times[0], 1)
    if not np.isfinite(slope) or abs(slope / period_s - 1) > MAX_RATE_ERROR:
        return times
    line = times[0] + intercept + slope * index
    residual = times - line
    whole = len(times) // RESIDUAL_WINDOW * RESIDUAL_WINDOW
    windows = residual[:whole].reshape(-1, RESIDUAL_WINDOW)
    change = np.diff(residual)
    spread = 1.4826 * float(np.median(np.abs(change - np.median(change)))) / np.sqrt(2)
    bound = max(period_s / 2, 5 * 1.25 * spread / np.sqrt(RESIDUAL_WINDOW))
    tail = abs(float(np.median(residual[-RESIDUAL_WINDOW:])))
    worst = max(float(np.abs(np.median(windows, axis=1)).max()), tail)
    return times if worst > bound else line
