"""How good the gaze data are: loss, precision, effective frequency, gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.limits import reasons_text
from duchenne.analysis.gaze.signal import (
    RATE_CHANGE,
    as_floats,
    block_intervals,
    event_groups,
    gap_starts,
    rate_segments,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

BCEA_SHARE = 0.68


def gaze_quality(
    samples: pd.DataFrame,
    events: pd.DataFrame,
    rate_hz: float,
    *,
    nominal_srate_hz: float | None = None,
    n_backward_stamps: int = 0,
) -> dict[str, Any]:
    """Measure the quality of a gaze recording.

    Parameters
    ----------
    samples : DataFrame
        Columns ``time x_deg y_deg valid``.
    events : DataFrame
        From :func:`~duchenne.analysis.gaze.tabulate.event_table`.
    rate_hz : float
        True sampling rate.
    nominal_srate_hz : float, optional
        What the device declared.
    n_backward_stamps : int
        Stamps that had to be sorted.

    Returns
    -------
    dict
        ``n_samples``; ``duration_s``; ``sampling_rate_hz`` (from the stamps); ``nominal_rate_hz``;
        ``effective_rate_hz`` (valid samples per second of the recording); ``valid_fraction`` and
        ``loss_fraction`` (of the samples that should have come, gaps counted as loss);
        ``rms_s2s_deg`` and ``std_deg`` (medians over fixations of the root mean square
        sample-to-sample distance and of the standard deviation, both axes together); ``n_gaps``,
        ``longest_gap_s``, ``gaps`` (list of onset and duration); ``n_backward_stamps``;
        ``n_duplicate_stamps``; ``bcea_deg2`` (68 %, median over fixations); ``rate_varies`` and the
        ends of the rate in 5-s blocks, ``sampling_rate_min_hz`` and ``sampling_rate_max_hz``;
        ``n_rates``, the stretches of one rate
        each in which events were found (see :func:`~duchenne.analysis.gaze.signal.rate_segments`);
        ``not_measured`` (which measures the rate cannot carry, and why, in words; None where it
        carries all). NaN where there is nothing to measure.

    References
    ----------
    Holmqvist et al. 2023, Behavior Research Methods 55, 364–416; Niehorster, Zemblys, Beelders &
    Holmqvist 2020, Behavior Research Methods 52, 2515–2534 (RMS-S2S and STD).
    """
    times = samples["time"].to_numpy()
    valid = samples["valid"].to_numpy(dtype=bool)
    n, n_valid = times.size, int(np.count_nonzero(valid))
    measured = bool(np.isfinite(rate_hz))
    duration_s = float(times[-1] - times[0]) + 1 / rate_hz if measured else 0.0
    gaps = gap_starts(times, rate_hz)
    gap_s = times[gaps + 1] - times[gaps]
    due = max(float(n), duration_s * rate_hz) if measured else float(n)
    valid_fraction = n_valid / due if n else float("nan")
    rms, std, bcea = fixation_precision(samples, events)
    slowest, fastest = rate_range_hz(times)
    return {
        "n_samples": n,
        "duration_s": duration_s,
        "sampling_rate_hz": rate_hz,
        "nominal_rate_hz": float("nan") if nominal_srate_hz is None else float(nominal_srate_hz),
        "effective_rate_hz": n_valid / duration_s if measured else float("nan"),
        "valid_fraction": valid_fraction,
        "loss_fraction": 1 - valid_fraction,
        "rms_s2s_deg": rms,
        "std_deg": std,
        "bcea_deg2": bcea,
        "n_gaps": int(gaps.size),
        "longest_gap_s": float(gap_s.max()) if gaps.size else 0.0,
        "gaps": [
            [float(onset), float(length)] for onset, length in zip(times[gaps], gap_s, strict=True)
        ],
        "n_backward_stamps": n_backward_stamps,
        "n_duplicate_stamps": int(np.count_nonzero(times[1:] == times[:-1])),
        "sampling_rate_min_hz": slowest,
        "sampling_rate_max_hz": fastest,
        "rate_varies": bool(fastest > RATE_CHANGE * slowest),
        "n_rates": len(rate_segments(times, rate_hz)),
        "not_measured": reasons_text(rate_hz),
    }


def rate_range_hz(times_s: Floats) -> tuple[float, float]:
    """Return the lowest and highest sampling rate (of the median interval) in blocks of 5 s.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
        Seconds, ascending. Blocks with fewer than 10 intervals, such as those of a gap, are left out.

    Returns
    -------
    tuple of float
        Hz; NaN without any block.
    """
    _, medians = block_intervals(times_s)
    if not medians.size:
        return float("nan"), float("nan")
    return float(1 / medians.max()), float(1 / medians.min())


def bcea_deg2(x_deg: ArrayLike, y_deg: ArrayLike, share: float = BCEA_SHARE) -> float:
    """Return the area of the ellipse that holds a share of the positions (BCEA).

    Parameters
    ----------
    x_deg, y_deg : array_like, shape (n,)
        Positions in degrees; pairs with NaN are left out.
    share : float
        Of the positions, were they normally distributed; 0 to 1.

    Returns
    -------
    float
        2 k π σₓ σᵧ √(1 − ρ²) with share = 1 − exp(−k), square degrees; NaN for fewer than 3 positions.

    References
    ----------
    Steinman 1965, Journal of the Optical Society of America 55, 1158–1165; Crossland & Rubin 2002,
    Optometry and Vision Science 79, 735–739.
    """
    x, y = as_floats(x_deg), as_floats(y_deg)
    known = np.isfinite(x) & np.isfinite(y)
    n = int(np.count_nonzero(known))
    if n < 3:
        return float("nan")
    x, y = x[known].astype(np.float64), y[known].astype(np.float64)
    x -= x.mean()
    y -= y.mean()
    determinant = max(float((x @ x) * (y @ y) - (x @ y) ** 2), 0.0) / (n - 1) ** 2
    return float(2 * np.log(1 / (1 - share)) * np.pi * np.sqrt(determinant))


def fixation_precision(samples: pd.DataFrame, events: pd.DataFrame) -> tuple[float, float, float]:
    """Return RMS-S2S and STD (degrees) and BCEA (68 %, square degrees), medians over fixations.

    NaN without fixations.
    """
    x, y = samples["x_deg"].to_numpy(), samples["y_deg"].to_numpy()
    fixations = events[events["label"] == Label.FIXATION]
    if fixations.empty:
        return float("nan"), float("nan"), float("nan")
    start, stop = (fixations[name].to_numpy(dtype=np.intp) for name in ("start", "stop"))
    parts = [_precision(x, y, start[group], stop[group]) for group in event_groups(start, stop)]
    rms, std, area = (np.concatenate(values) for values in zip(*parts, strict=True))
    return _median(rms), _median(std), _median(area)


def _precision(
    x: Floats, y: Floats, start: NDArray[np.intp], stop: NDArray[np.intp]
) -> tuple[Floats, Floats, Floats]:
    """Return RMS-S2S, STD and BCEA of each fixation; NaN where it has too few samples."""
    first, n = int(start[0]), start.size
    x, y = (axis[first : stop[-1]].astype(np.float64) for axis in (x, y))
    row = np.full(x.size, -1, dtype=np.intp)
    length = stop - start
    begun = np.cumsum(length) - length
    index = np.arange(int(length.sum())) - np.repeat(begun - (start - first), length)
    row[index] = np.repeat(np.arange(n), length)
    row[~(np.isfinite(x) & np.isfinite(y))] = -1
    step = np.diff(x) ** 2 + np.diff(y) ** 2
    same = (row[1:] == row[:-1]) & (row[1:] >= 0)
    rms = np.sqrt(_mean(step[same], row[1:][same], n))
    seen = row >= 0
    rows = row[seen]
    off_x, off_y = (axis[seen] - _mean(axis[seen], rows, n)[rows] for axis in (x, y))
    xx, yy, xy = (_mean(product, rows, n) for product in (off_x**2, off_y**2, off_x * off_y))
    count = np.bincount(rows, minlength=n)
    many = np.where(count > 2, count / np.maximum(count - 1, 1), np.nan)
    area = many * np.sqrt(np.maximum(xx * yy - xy**2, 0.0))
    scale = 2 * np.log(1 / (1 - BCEA_SHARE)) * np.pi
    return rms, np.sqrt(xx + yy), scale * area


def _mean(values: Floats, rows: NDArray[np.intp], n: int) -> Floats:
    count = np.bincount(rows, minlength=n).astype(np.float64)
    count[count == 0] = np.nan
    mean: Floats = np.bincount(rows, weights=values, minlength=n) / count
    return mean


def _median(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")
