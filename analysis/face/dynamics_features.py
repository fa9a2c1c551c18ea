"""The temporal measures of one stimulus: events of a few Action Units, blinks, head, smiles, bursts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.au_events import beginnings_s
from duchenne.analysis.face.dynamics import is_lower_face
from duchenne.analysis.face.head_movement import head_range_deg
from duchenne.analysis.face.smoothing import median_step_s

if TYPE_CHECKING:
    import pandas as pd

    from duchenne.analysis.face.dynamics import Dynamics
    from duchenne.analysis.face.frames import BoolArray, FloatArray

# Brow and smile: a table with all Action Units could not be read. The others are in au_events.tsv.
EVENT_AUS = ("AU01", "AU04", "AU06", "AU12")
EVENT_MEASURES = ("n_events", "event_rate_hz", "first_latency_s", "event_peak", "event_area")
SMILE = "AU12"
# Counts need this share of the frames that were to be expected.
MIN_MEASURED_FRACTION = 0.5


def dynamics_features(
    table: pd.DataFrame, dynamics: Dynamics, onset_s: float, offset_s: float, *, measured: bool
) -> dict[str, Any]:
    """Return the temporal features of one window of time.

    Parameters
    ----------
    table : pandas.DataFrame
        Frames: ``time usable pose_pitch_deg pose_yaw_deg pose_roll_deg AUxx_r``.
    dynamics : Dynamics
        Of the same frames.
    onset_s, offset_s : float
        The window in the seconds of ``time``; the end is excluded.
    measured : bool
        Whether half of the frames to be expected are usable; without, everything is NaN.

    Returns
    -------
    dict
        For AU01, AU04, AU06 and AU12 ``AUxx_n_events`` (events whose onset lies in the window),
        ``AUxx_event_rate_hz``, ``AUxx_first_latency_s``, ``AUxx_event_peak`` (highest),
        ``AUxx_event_area`` (sum); ``face_n_blinks face_blink_rate_hz face_blink_duration_s``;
        ``head_speed_mean_deg_s head_range_pitch_deg head_range_yaw_deg head_range_roll_deg``;
        ``smile_onset_speed_per_s smile_symmetry n_duchenne_smiles``;
        ``n_microexpression_candidates microexpression_candidate_rate_hz``. NaN where not measured: the
        events of an Action Unit ask for half of the usable frames, ``n_duchenne_smiles`` for every smile's
        cheeks and sides. Rates are per second of frames in which it was measured.
    """
    times_s = table["time"].to_numpy(np.float64)
    window = (times_s >= onset_s) & (times_s < offset_s)
    usable = window & table["usable"].to_numpy(np.bool_)
    seconds = float(usable.sum()) * median_step_s(times_s)
    row = _events(table, dynamics, (onset_s, offset_s), seconds, usable)
    row |= _blinks(dynamics, (onset_s, offset_s), seconds, usable)
    row |= _head(table, dynamics, usable)
    row |= _bursts(dynamics, (onset_s, offset_s), seconds)
    return row if measured else dict.fromkeys(row, np.nan)


def _begun(onsets: pd.Series[Any], window_s: tuple[float, float]) -> BoolArray:
    at = onsets.to_numpy(np.float64)
    return np.asarray((at >= window_s[0]) & (at < window_s[1]), np.bool_)


def _rate(n: float, seconds: float) -> float:
    return n / seconds if seconds > 0 else np.nan


def _events(
    table: pd.DataFrame,
    dynamics: Dynamics,
    window_s: tuple[float, float],
    seconds: float,
    usable: BoolArray,
) -> dict[str, Any]:
    events = dynamics.events
    inside = events[_begun(events["onset_s"], window_s)]
    row: dict[str, Any] = {}
    smiles = inside[:0]
    for au in EVENT_AUS:
        values = dict.fromkeys(EVENT_MEASURES, np.nan)
        known = np.zeros(len(table), np.bool_)
        if f"{au}_r" in table.columns:
            known = usable & np.isfinite(table[f"{au}_r"].to_numpy(np.float64))
        if known.any() and known.sum() >= MIN_MEASURED_FRACTION * usable.sum():
            own = inside[inside["au"] == au]
            if dynamics.options.leave_out_speech and is_lower_face(au):
                own = own[~own["in_speech"].astype(bool)]
                known &= dynamics.speaking != 1.0
            spent_s = seconds * float(known.sum()) / float(usable.sum())
            if spent_s > 0:
                values = _of_events(own, window_s[0], spent_s)
            smiles = own if au == SMILE else smiles
        row |= {f"{au}_{name}": value for name, value in values.items()}
    row["smile_onset_speed_per_s"] = _mean(smiles, "onset_speed_per_s")
    row["smile_symmetry"] = _mean(smiles, "symmetry")
    told = (
        "duchenne" not in dynamics.not_measured
        and np.isfinite(row[f"{SMILE}_n_events"])
        and bool(np.isfinite(smiles["duchenne"].to_numpy(np.float64)).all())
    )
    row["n_duchenne_smiles"] = float((smiles["duchenne"] == 1).sum()) if told else np.nan
    return row


def _of_events(own: pd.DataFrame, onset_s: float, seconds: float) -> dict[str, float]:
    first = own.sort_values("onset_s").head(1)
    return {
        "n_events": float(len(own)),
        "event_rate_hz": _rate(len(own), seconds),
        "first_latency_s": float(beginnings_s(first).iloc[0]) - onset_s if len(own) else np.nan,
        "event_peak": float(own["peak"].max()) if len(own) else np.nan,
        "event_area": float(own["area"].sum()),
    }


def _mean(rows: pd.DataFrame, name: str) -> float:
    if name not in rows.columns:
        return np.nan
    values = rows[name].to_numpy(np.float64)
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else np.nan


def _blinks(
    dynamics: Dynamics, window_s: tuple[float, float], seconds: float, usable: BoolArray
) -> dict[str, Any]:
    blinks = dynamics.blinks[_begun(dynamics.blinks["onset"], window_s)]
    known = np.isfinite(dynamics.eye_closure[usable])
    told = known.any() and "blinks" not in dynamics.not_measured
    return {
        "face_n_blinks": float(len(blinks)) if told else np.nan,
        "face_blink_rate_hz": _rate(len(blinks), seconds) if told else np.nan,
        "face_blink_duration_s": _mean(blinks, "duration") if told else np.nan,
    }


def _head(table: pd.DataFrame, dynamics: Dynamics, usable: BoolArray) -> dict[str, Any]:
    speed = dynamics.head_speed_deg_s[usable]
    speed = speed[np.isfinite(speed)]
    names = ("pitch", "yaw", "roll")
    pose: FloatArray = table[[f"pose_{name}_deg" for name in names]].to_numpy(np.float64)
    ranges = head_range_deg(pose[usable])
    return {
        "head_speed_mean_deg_s": float(speed.mean()) if len(speed) else np.nan,
        **{f"head_range_{name}_deg": float(r) for name, r in zip(names, ranges, strict=True)},
    }


def _bursts(dynamics: Dynamics, window_s: tuple[float, float], seconds: float) -> dict[str, Any]:
    if "microexpressions" in dynamics.not_measured:
        n = np.nan
    else:
        n = float(_begun(dynamics.microexpressions["onset"], window_s).sum())
    return {
        "n_microexpression_candidates": n,
        "microexpression_candidate_rate_hz": _rate(n, seconds),
    }
