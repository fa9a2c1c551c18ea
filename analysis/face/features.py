"""What the face did while one stimulus was shown, in one row of numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.dynamics import is_lower_face
from duchenne.analysis.face.dynamics_features import dynamics_features
from duchenne.analysis.face.emotion import EXPRESSIONS, NEUTRAL, NONE, NOT_ASSESSABLE
from duchenne.analysis.face.smoothing import DEFAULT_SMOOTHING, local_fit, median_step_s

if TYPE_CHECKING:
    import pandas as pd

    from duchenne.analysis.face.dynamics import Dynamics
    from duchenne.analysis.face.frames import BoolArray, FloatArray

BASELINE_S = 1.0
# What is compared or shared out needs at least this part of the frames that were to be expected.
MIN_MEASURED_FRACTION = 0.5
PEAK_PERCENTILE = 95.0
# A prototype is named for a stimulus when it holds for at least this share of the usable frames.
MIN_PROTOTYPE_FRACTION = 0.1
# Peaks are read from frames that were measured.
_UNBRIDGED = replace(DEFAULT_SMOOTHING, bridge_s=0.0)


def face_features(
    table: pd.DataFrame,
    onset_s: float,
    offset_s: float,
    dynamics: Dynamics | None = None,
    *,
    leave_out_speech: bool = True,
) -> dict[str, Any]:
    """Summarise the frames of one window of time.

    Parameters
    ----------
    table : pandas.DataFrame
        The table of :func:`duchenne.analysis.face.process.analyse_face`.
    onset_s, offset_s : float
        The window, in the seconds of the column ``time``; the end is excluded.
    dynamics : Dynamics, optional
        What happens over time in these frames; without it, none of its features are returned but
        ``n_microexpression_candidates`` (NaN).
    leave_out_speech : bool, default True
        Leave frames in which the participant speaks out of the Action Units of the mouth.

    Returns
    -------
    dict
        ``face_usable_fraction`` (0 to 1: usable frames, divided by the frames that the median step
        between frames lets expect, so that lost frames count as not usable); for every Action Unit
        ``AUxx_mean``, ``AUxx_peak`` (95th percentile of the intensity, smoothed by local parabolas of
        0.2 s) and ``AUxx_change_mean`` (mean minus the mean of the last second before onset, whatever
        was shown then; NaN unless it was measured in half of the frames expected in that second);
        ``expr_prototype_top`` (the prototype that matches most usable frames, at least a tenth of
        them; else the most frequent of ``neutral``, ``none`` and ``not_assessable``; None without
        usable frames), ``expr_valence_mean``, ``expr_arousal_mean``; ``speaking_fraction`` (NaN unless
        speech is judged in half of the expected frames) and ``n_microexpression_candidates``; and those
        of :func:`~duchenne.analysis.face.dynamics_features.dynamics_features`.
    """
    times_s = table["time"].to_numpy(np.float64)
    step_s = median_step_s(times_s)
    window = (times_s >= onset_s) & (times_s < offset_s)
    before = (times_s >= onset_s - BASELINE_S) & (times_s < onset_s)
    n_window = _expected(window, offset_s - onset_s, step_s)
    is_usable = table["usable"].to_numpy(np.bool_)
    speaking = table["speaking"].to_numpy(np.float64)
    silent = ~(speaking == 1.0) | (not leave_out_speech)
    speaking = speaking[window]
    row: dict[str, Any] = {
        "face_usable_fraction": _share(is_usable[window], n_window),
        "speaking_fraction": _mean(speaking)
        if _share(np.isfinite(speaking), n_window) >= MIN_MEASURED_FRACTION
        else np.nan,
    }
    n_before = _expected(before, BASELINE_S, step_s)
    for column in table.columns:
        name = str(column)
        if not (name.startswith("AU") and name.endswith("_r")):
            continue
        au, values = name[:-2], table[name].to_numpy(np.float64)
        if is_lower_face(au):
            values = np.where(silent, values, np.nan)
        mean = _mean(values[window])
        row[f"{au}_mean"] = mean
        smoothed = local_fit(times_s[window], values[window], step_s, _UNBRIDGED).value
        row[f"{au}_peak"] = _peak(smoothed)
        has_baseline = _share(np.isfinite(values[before]), n_before) >= MIN_MEASURED_FRACTION
        row[f"{au}_change_mean"] = mean - _mean(values[before]) if has_baseline else np.nan
    row["expr_prototype_top"] = _top(table["expr_prototype"][window & is_usable])
    row["expr_valence_mean"] = _mean(table["expr_valence"].to_numpy(np.float64)[window])
    row["expr_arousal_mean"] = _mean(table["expr_arousal"].to_numpy(np.float64)[window])
    row["n_microexpression_candidates"] = np.nan
    if dynamics is not None:
        enough = row["face_usable_fraction"] >= MIN_MEASURED_FRACTION
        row |= dynamics_features(table, dynamics, onset_s, offset_s, measured=enough)
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
    return float(np.clip(np.percentile(known, PEAK_PERCENTILE), 0, 5)) if len(known) else np.nan


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
