"""What the face did while one stimulus was shown, in one row of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.emotion import EXPRESSIONS, NEUTRAL, NONE, NOT_ASSESSABLE
from duchenne.analysis.face.smoothing import median_step_s, smooth

if TYPE_CHECKING:
    import pandas as pd

    from duchenne.analysis.face.frames import BoolArray, FloatArray

BASELINE_S = 1.0
# What is compared or shared out needs at least this part of the frames that were to be expected.
MIN_MEASURED_FRACTION = 0.5
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
        ``face_usable_fraction`` (0 to 1: usable frames, divided by the frames that the median step
        between frames lets expect, so that lost frames count as not usable); for every Action Unit
        ``AUxx_mean``, ``AUxx_peak`` (95th percentile of the intensity smoothed over 0.2 s) and
        ``AUxx_change_mean`` (mean minus the mean of the last second before onset, whatever was shown
        then; NaN unless half of the frames expected in that second are usable);
        ``expr_prototype_top`` (the prototype that matches most usable frames, at least a tenth of
        them; else the most frequent of ``neutral``, ``none`` and ``not_assessable``; None without
        usable frames), ``expr_valence_mean``, ``expr_arousal_mean``; ``speaking_fraction`` (NaN unless
        speech is judged in half of the expected frames) and ``n_microexpression_candidates`` (NaN:
        not measured).
    """
    times_s = table["time"].to_numpy(np.float64)
    step_s = median_step_s(times_s)
    window = (times_s >= onset_s) & (times_s < offset_s)
    before = (times_s >= onset_s - BASELINE_S) & (times_s < onset_s)
    n_window = _expected(window, offset_s - onset_s, step_s)
    is_usable = table["usable"].to_numpy(np.bool_)
    speaking = table["speaking"].to_numpy(np.float64)[window]
    row: dict[str, Any] = {
        "face_usable_fraction": _share(is_usable[window], n_window),
        "speaking_fraction": _mean(speaking)
        if _share(np.isfinite(speaking), n_window) >= MIN_MEASURED_FRACTION
        else np.nan,
    }
    n_before = _expected(before, BASELINE_S, step_s)
    has_baseline = _share(is_usable[before], n_before) >= MIN_MEASURED_FRACTION
    for column in table.columns:
        name = str(column)
        if not (name.startswith("AU") and name.endswith("_r")):
            continue
        au, values = name[:-2], table[name].to_numpy(np.float64)
        mean = _mean(values[window])
        row[f"{au}_mean"] = mean
        row[f"{au}_peak"] = _peak(smooth(times_s[window], values[window], step_s))
        row[f"{au}_change_mean"] = mean - _mean(values[before]) if has_baseline else np.nan
    row["expr_prototype_top"] = _top(table["expr_prototype"][window & is_usable])
    row["expr_valence_mean"] = _mean(table["expr_valence"].to_numpy(np.float64)[window])
    row["expr_arousal_mean"] = _mean(table["expr_arousal"].to_numpy(np.float64)[window])
    row["n_microexpression_candidates"] = np.nan
    return row


def _expected(frames: BoolArray, duration_s: float, step_s: float) -> int:
    """Return how many frames belong into a time, at least those that arrived.

    A regular series has the whole part of duration / step in it, or one more.
    """
    regular = int(duration_s / step_s + 1e-6) if step_s > 0 else 0
    return max(int(frames.sum()), regular)


def _share(true: BoolArray, n_expected: int) -> float:
    return float(true.sum()) / n_expected if n_expected else 0.0


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _peak(smoothed: FloatArray) -> float:
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
    rest = {name: int(counts.get(name, 0)) for name in (NEUTRAL, NONE, NOT_ASSESSABLE)}
    return max(rest, key=lambda name: rest[name]) if any(rest.values()) else None
