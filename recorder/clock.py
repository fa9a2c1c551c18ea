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
RESIDUAL_WINDOWS = 20


@dataclass(frozen=True)
class OffsetSegment:
    """Offset of a sender's clock over one stretch without steps.

    Attributes
    ----------
    start_s : float
        Sender time from which the segment holds (-inf for the first).
    reference_s : float
        Sender time at which the offset is `offset_s`.
    offset_s : float
        Added to the sender's time it gives the recorder's.
    drift : float
        Change of the offset, seconds per second (1e-6 = 1 ppm).
    residual_s : float
        Median absolute residual of the measurements; NaN with fewer than two.
    """

    start_s: float
    reference_s: float
    offset_s: float
    drift: float
    residual_s: float


def fit_offsets(measurements: npt.NDArray[np.float64]) -> tuple[OffsetSegment, ...]:
    """Fit the offset of a sender's clock, robustly, between steps of that clock.

    Parameters
    ----------
    measurements : ndarray, shape (m, 2) or (m, 3)
        Collection time on the recorder's clock, offset, and optionally the uncertainty, in seconds.
        Rows with non-finite time or offset are ignored.

    Returns
    -------
    tuple of OffsetSegment
        In order of time; one with offset 0 where nothing was measured.

    Notes
    -----
    Within a segment the offset is a Huber line over at least 60 s of measurements, else their median.
    """
    table = np.asarray(measurements, dtype=np.float64)
    table = table[np.isfinite(table[:, 0]) & np.isfinite(table[:, 1])] if table.size else table
    if not table.size:
        return (OffsetSegment(-np.inf, 0.0, 0.0, 0.0, float("nan")),)
    table = table[np.argsort(table[:, 0], kind="stable")]
    starts = np.flatnonzero(np.abs(np.diff(table[:, 1])) > CLOCK_STEP_S) + 1
    segments = []
    for index, piece in enumerate(np.split(table, starts)):
        segment = _fit_segment(piece[:, 0], piece[:, 1])
        first_sender_s = piece[0, 0] - piece[0, 1]
        start = -np.inf if index == 0 else first_sender_s
        segments.append(
            OffsetSegment(
                start, segment.reference_s, segment.offset_s, segment.drift, segment.residual_s
            )
        )
    return tuple(segments)


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
    return OffsetSegment(-np.inf, center, level, drift, spread)


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
    timestamps: npt.NDArray[np.float64], segments: tuple[OffsetSegment, ...]
) -> npt.NDArray[np.float64]:
    """Map sender stamps to the recorder's clock.

    Parameters
    ----------
    timestamps : ndarray, shape (n,)
        Seconds on the sender's clock.
    segments : tuple of OffsetSegment
        From :func:`fit_offsets`.

    Returns
    -------
    ndarray, shape (n,)
        Seconds on the recorder's clock.
    """
    stamps = np.asarray(timestamps, dtype=np.float64)
    corrected = np.empty_like(stamps)
    for segment in segments:
        here = stamps >= segment.start_s
        offset = segment.offset_s + segment.drift * (stamps[here] - segment.reference_s)
        corrected[here] = stamps[here] + offset
    nan = np.isnan(stamps)
    corrected[nan] = np.nan
    return corrected


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
    edges = np.unique(
        np.concatenate([[0], gaps, np.asarray(boundaries, dtype=np.intp), [len(times)]])
    )
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if stop - start >= MIN_DEJITTER_SAMPLES:
            times[start:stop] = _line_through(times[start:stop], period)
    return times


def _line_through(times: npt.NDArray[np.float64], period_s: float) -> npt.NDArray[np.float64]:
    index = np.arange(len(times), dtype=np.float64)
    slope, intercept = np.polyfit(index, times - times[0], 1)
    line = times[0] + intercept + slope * index
    residual = times - line
    medians = [np.median(part) for part in np.array_split(residual, RESIDUAL_WINDOWS)]
    bent = float(np.ptp(medians)) > period_s / 2
    return times if bent or abs(slope / period_s - 1) > 0.05 else line
