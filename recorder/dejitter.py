"""Replace the jittered stamps of an equidistant stream by the line through them, where one explains them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.recorder.drift import bending_line, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

MIN_SAMPLES = 100
GAP_PERIODS = 2.5
MIN_GAP_S = 0.02
WINDOW_S = 0.1
MIN_WINDOW = 10
MAX_RATE_ERROR = 0.05
CALM = 0.1
"""Steps that scatter by less than this part of a period show single lost samples."""
KNOT_S = 60.0
BEND_PPM = 1.0
"""The rate of a device may change by so much from minute to minute (temperature of its crystal)."""
MAX_SHIFTS = 10_000
MAX_POINTS = 20_000
"""A longer stretch is fitted by the medians of blocks."""


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
        Indices at which the stream re-appeared or its clock stepped; no line crosses them.

    Returns
    -------
    ndarray, shape (n,)
        New array. Stretches between gaps are treated apart, and a stretch whose stamps are not
        explained by one line (lost samples without a visible gap, a changing rate, stamps that go back)
        keeps its stamps: smoothing it would move samples in time.
    """
    return dejittered(times_s, nominal_srate_hz, boundaries=boundaries)[0]


def dejittered(
    times_s: npt.NDArray[np.float64],
    nominal_srate_hz: float,
    *,
    boundaries: tuple[int, ...] = (),
) -> tuple[npt.NDArray[np.float64], int]:
    """Do as :func:`dejitter`, and return also how many samples lie on lines now."""
    times = np.array(times_s, dtype=np.float64)
    if not 0 < nominal_srate_hz < np.inf or len(times) < MIN_SAMPLES:
        return times, 0
    period = 1 / nominal_srate_hz
    steps = np.diff(times)
    gaps = np.flatnonzero(~(np.abs(steps - period) <= max(GAP_PERIODS * period, MIN_GAP_S))) + 1
    inner = np.clip(np.asarray(boundaries, dtype=np.intp), 0, len(times))
    shifts = _single_losses(times, steps, period)
    edges = np.unique(np.concatenate([[0], gaps, shifts, inner, [len(times)]]))
    n_replaced = 0
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        line = _line_through(times[start:stop], period) if stop - start >= MIN_SAMPLES else None
        if line is not None:
            times[start:stop] = line
            n_replaced += stop - start
    return times, n_replaced


def _single_losses(
    times: npt.NDArray[np.float64], steps: npt.NDArray[np.float64], period_s: float
) -> npt.NDArray[np.intp]:
    """Return where a calm stream misses a few samples: a long step that is not made up for afterwards."""
    none = np.zeros(0, dtype=np.intp)
    with np.errstate(invalid="ignore"):
        median = float(np.nanmedian(steps))
        scatter = 1.4826 * float(np.nanmedian(np.abs(steps - median)))
    if not (abs(median / period_s - 1) < CALM and scatter < CALM * period_s):
        return none
    long = np.flatnonzero(steps > 1.5 * period_s) + 1
    if not 0 < len(long) <= MAX_SHIFTS:
        return none
    found = []
    for at in long.tolist():
        before, after = times[max(0, at - MIN_WINDOW) : at], times[at : at + MIN_WINDOW]
        expected = float(np.median(before - median * np.arange(-len(before), 0)))
        shift = float(np.median(after - median * np.arange(len(after)))) - expected
        if shift > 0.5 * period_s:
            found.append(at)
    return np.asarray(found, dtype=np.intp)


def _line_through(
    times: npt.NDArray[np.float64], period_s: float
) -> npt.NDArray[np.float64] | None:
    """Return the line through equidistant stamps, None where no line explains them.

    Medians of the residuals over 0.1 s (ten samples at least) must stay within half a period, and must not
    shift by more than 0.6 periods, or within what the jitter itself lets them scatter: samples lost
    anywhere in the stretch, also near its ends, show there.
    """
    index = np.arange(len(times), dtype=np.float64)
    rate = float(times[-1] - times[0]) / (len(times) - 1)
    if not np.isfinite(rate) or abs(rate / period_s - 1) > MAX_RATE_ERROR:
        return None
    ideal = rate * index
    wobble = times - times[0] - ideal
    spread = 1.4826 * float(np.median(np.abs(np.diff(wobble)))) / np.sqrt(2)
    size = len(times) // MAX_POINTS + 1
    x, y = _blocks(ideal, size, np.mean), _blocks(wobble, size, np.median)
    sigma = np.full(len(x), max(spread, 1e-6))
    knots, values = bending_line(x, y, sigma, knot_s=KNOT_S, bend_ppm=BEND_PPM)
    line = times[0] + ideal + evaluate(ideal, knots, values)
    return line if _explains(times - line, period_s) else None


def _blocks(
    values: npt.NDArray[np.float64], size: int, average: Callable[..., Any]
) -> npt.NDArray[np.float64]:
    """Return averages of blocks; a long stream is fitted by these."""
    if size == 1:
        return values
    whole = len(values) // size * size
    return np.asarray(average(values[:whole].reshape(-1, size), axis=1))


def _explains(residual: npt.NDArray[np.float64], period_s: float) -> bool:
    size = int(max(MIN_WINDOW, min(WINDOW_S / period_s, len(residual) // MIN_WINDOW)))
    whole = len(residual) // size * size
    windows = residual[:whole].reshape(-1, size)
    medians = np.append(np.median(windows, axis=1), np.median(residual[-MIN_WINDOW:]))
    spread = float(np.median(np.std(windows, axis=1)))
    scatter = 5 * 1.25 * spread / np.sqrt(size)
    if np.abs(medians[:-1]).max() > max(period_s / 2, scatter):
        return False
    last = max(period_s / 2, 5 * 1.25 * spread / np.sqrt(MIN_WINDOW))
    if abs(medians[-1]) > last:
        return False
    shifts = np.abs(medians[2:-1] - medians[:-3])
    return not (shifts > max(0.6 * period_s, np.sqrt(2) * scatter)).any()
