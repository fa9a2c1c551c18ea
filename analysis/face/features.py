"""What the face did while one stimulus was shown, in one row of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.emotion import EXPRESSIONS, NEUTRAL, NONE

if TYPE_CHECKING:
    import pandas as pd

    from duchenne.analysis.face.frames import FloatArray

BASELINE_S = 1.0
MIN_BASELINE_FRACTION = 0.5
SMOOTHING_S = 0.2
PEAK_PERCENTILE = 95.0
# A prototype is named for a stimulus when it holds for at least this share of the usable frames.
MIN_PROTOTYPE_FRACTION = 0.1


def face_features(table: pd.DataFrame, onset_s: float, offset_s: float) -> dict[str, Any]:
    """Summarise the frames of one window of time.

    Parameters
    ----------
    table : pandas.DataFrame
        The table of :func:`duchenne.analysis.face.process.analyse_face`.
    onset_s, offset_s : float
        The window, in the seconds of the column ``time``; the end is excluded.

    Returns
    -------
    dict
        ``face_usable_fraction`` (0 to 1; NaN without frames); for every Action Unit ``AUxx_mean``,
        ``AUxx_peak`` (95th percentile of the intensity smoothed over 0.2 s) and ``AUxx_change_mean``
        (mean minus the mean of the last second before onset; NaN unless half of that second is
        usable); ``expr_prototype_top`` (the prototype that matches most usable frames, at least a
        tenth of them; else ``neutral`` or ``none``, whichever is more frequent; None without usable
        frames), ``expr_valence_mean``, ``expr_arousal_mean``; ``speaking_fraction`` and
        ``n_microexpression_candidates``, which are NaN because they are not measured.
    """
    times_s = table["time"].to_numpy(np.float64)
    window = (times_s >= onset_s) & (times_s < offset_s)
    before = (times_s >= onset_s - BASELINE_S) & (times_s < onset_s)
    is_usable = table["usable"].to_numpy(np.bool_)
    row: dict[str, Any] = {
        "face_usable_fraction": float(is_usable[window].mean()) if window.any() else np.nan,
        "speaking_fraction": _mean(table["speaking"].to_numpy(np.float64)[window]),
    }
    width = _frames_in(SMOOTHING_S, times_s)
    has_baseline = bool(before.any()) and is_usable[before].mean() >= MIN_BASELINE_FRACTION
    for column in table.columns:
        name = str(column)
        if not (name.startswith("AU") and name.endswith("_r")):
            continue
        au, values = name[:-2], table[name].to_numpy(np.float64)
        mean = _mean(values[window])
        row[f"{au}_mean"] = mean
        row[f"{au}_peak"] = _peak(values[window], width)
        row[f"{au}_change_mean"] = mean - _mean(values[before]) if has_baseline else np.nan
    row["expr_prototype_top"] = _top(table["expr_prototype"][window & is_usable])
    row["expr_valence_mean"] = _mean(table["expr_valence"].to_numpy(np.float64)[window])
    row["expr_arousal_mean"] = _mean(table["expr_arousal"].to_numpy(np.float64)[window])
    row["n_microexpression_candidates"] = np.nan
    return row


def smooth(values: FloatArray, width: int) -> FloatArray:
    """Return the centred moving mean over ``width`` frames, NaN where the frame itself is NaN.

    Parameters
    ----------
    values : (n,) float64
    width : int
        Odd number of frames; frames that are NaN or beyond the ends are left out of the mean.
    """
    if width <= 1 or not len(values):
        return values
    known = np.isfinite(values)
    kernel = np.ones(width)
    total = np.convolve(np.where(known, values, 0.0), kernel)
    count = np.convolve(known.astype(np.float64), kernel)
    half = width // 2
    means = total[half : half + len(values)] / np.maximum(count[half : half + len(values)], 1.0)
    return np.where(known, means, np.nan)


def _frames_in(seconds: float, times_s: FloatArray) -> int:
    """Return the odd number of frames nearest to a duration, at least 1."""
    steps = np.diff(times_s)
    step_s = float(np.median(steps)) if len(steps) else 0.0
    return 2 * round((seconds / step_s - 1) / 2) + 1 if 0 < step_s < seconds else 1


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _peak(values: FloatArray, width: int) -> float:
    smoothed = smooth(values, width)
    known = smoothed[np.isfinite(smoothed)]
    return float(np.percentile(known, PEAK_PERCENTILE)) if len(known) else np.nan


def _top(labels: pd.Series[Any]) -> str | None:
    if not len(labels):
        return None
    counts = labels.value_counts()
    prototypes = {name: int(counts.get(name, 0)) for name in EXPRESSIONS}
    best = max(prototypes, key=lambda name: prototypes[name])
    if prototypes[best] and prototypes[best] >= MIN_PROTOTYPE_FRACTION * len(labels):
        return best
    rest = {name: int(counts.get(name, 0)) for name in (NEUTRAL, NONE)}
    return max(rest, key=lambda name: rest[name]) if any(rest.values()) else None
