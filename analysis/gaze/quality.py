"""How good the gaze data are: loss, precision, effective frequency, gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.gaze.labels import Label
from duchenne.analysis.gaze.signal import gap_starts

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


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
        ``longest_gap_s``, ``gaps`` (list of onset and duration); ``n_backward_stamps``. NaN where
        there is nothing to measure.

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
    gap_s = np.diff(times)[gaps]
    due = max(float(n), duration_s * rate_hz) if measured else float(n)
    valid_fraction = n_valid / due if n else float("nan")
    rms, std = fixation_precision(samples, events)
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
        "n_gaps": int(gaps.size),
        "longest_gap_s": float(gap_s.max()) if gaps.size else 0.0,
        "gaps": [
            [float(onset), float(length)] for onset, length in zip(times[gaps], gap_s, strict=True)
        ],
        "n_backward_stamps": n_backward_stamps,
    }


def fixation_precision(samples: pd.DataFrame, events: pd.DataFrame) -> tuple[float, float]:
    """Return RMS-S2S and STD in degrees, medians over fixations; NaN without fixations."""
    x, y = samples["x_deg"].to_numpy(), samples["y_deg"].to_numpy()
    fixations = events[events["label"] == Label.FIXATION]
    if fixations.empty:
        return float("nan"), float("nan")
    row = np.full(x.size, -1, dtype=np.intp)
    length = (fixations["stop"] - fixations["start"]).to_numpy()
    first = np.cumsum(length) - length
    index = np.arange(int(length.sum())) - np.repeat(first - fixations["start"].to_numpy(), length)
    row[index] = np.repeat(np.arange(length.size), length)
    row[~(np.isfinite(x) & np.isfinite(y))] = -1
    n = length.size
    step = np.diff(x) ** 2 + np.diff(y) ** 2
    same = (row[1:] == row[:-1]) & (row[1:] >= 0)
    rms = np.sqrt(_mean(step[same], row[1:][same], n))
    seen = row >= 0
    spread = np.zeros(n)
    for axis in (x, y):
        centre = _mean(axis[seen], row[seen], n)
        spread = spread + _mean((axis[seen] - centre[row[seen]]) ** 2, row[seen], n)
    return _median(rms), _median(np.sqrt(spread))


def _mean(values: Floats, rows: NDArray[np.intp], n: int) -> Floats:
    count = np.bincount(rows, minlength=n).astype(np.float64)
    count[count == 0] = np.nan
    mean: Floats = np.bincount(rows, weights=values, minlength=n) / count
    return mean


def _median(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")
