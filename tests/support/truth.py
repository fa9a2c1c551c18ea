"""Compare an analysed session with what the simulated participant says it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path

MATCH_S = 0.03
MAX_LAG_FRAMES = 15


@dataclass(frozen=True)
class Agreement:
    """How a session's tables agree with the truth.

    Attributes
    ----------
    gaze_samples_lost : int
        Samples missing between the first and the last recorded one, by device time.
    n_fixations, n_true_fixations, n_saccades, n_true_saccades : int
        Between ``session_start`` and ``session_end``.
    saccade_amplitude_error_deg : float
        Median absolute error of the matched saccades.
    matched_saccades : float
        Share of the true saccades that were found within 30 ms.
    gaze_alignment_s : float
        Largest difference between the true and the measured start of the first saccade after a
        stimulus onset, both counted from that stimulus's marker.
    frame_alignment_s : float
        Largest difference between the time of a recorded face frame and when it was exposed.
    face_lag_frames : float
        Lag of the measured blinks of the face behind the true ones, in video frames.
    au_correlation : dict of str to float
        Pearson's r with the true intensity, frame by frame, for each AU that moves.
    """

    gaze_samples_lost: int
    n_fixations: int
    n_true_fixations: int
    n_saccades: int
    n_true_saccades: int
    saccade_amplitude_error_deg: float
    matched_saccades: float
    gaze_alignment_s: float
    frame_alignment_s: float
    face_lag_frames: float
    au_correlation: dict[str, float]


def compare(session_file: Path, tables: Path) -> Agreement:
    """Compare the tables of a session (folder `tables`) with the truth beside its session file."""
    stem = session_file.name.removesuffix("_session.h5")
    with Recording.open(session_file) as recording:
        start = recording.start_lsl_s
        events = recording.events
        device = recording.streams["Gaze"].column("device_time")
        frame_times = recording.streams["FaceVideo"].lsl_times_s
    end = float(events.loc[events["event"] == "session_end", "time_s"].iloc[0])
    steps = np.diff(device)
    lost = int(np.sum(np.rint(steps / np.median(steps)) - 1))
    truth = np.load(session_file.with_name(f"{stem}_truth_gaze.npz"))
    saccades = _table(tables, stem, "saccades")
    saccades = saccades[saccades["onset"].between(0, end)]
    fixations = _table(tables, stem, "fixations")
    true = truth["saccades"]
    onset = true[:, 0] - start
    inside = (onset >= 0) & (onset <= end)
    true, onset = true[inside], onset[inside]
    found = saccades["onset"].to_numpy()
    nearest = np.abs(found[None, :] - onset[:, None]).argmin(axis=1)
    matched = np.abs(found[nearest] - onset) < MATCH_S
    error = np.abs(saccades["amplitude_deg"].to_numpy()[nearest[matched]] - true[matched, 2])
    true_fixations = truth["fixations"][:, 0] - start
    face, au = _face(session_file, stem, tables, start, frame_times)
    return Agreement(
        gaze_samples_lost=lost,
        n_fixations=int(fixations["onset"].between(0, end).sum()),
        n_true_fixations=int(((true_fixations >= 0) & (true_fixations <= end)).sum()),
        n_saccades=len(saccades),
        n_true_saccades=len(true),
        saccade_amplitude_error_deg=float(np.median(error)),
        matched_saccades=float(matched.mean()),
        gaze_alignment_s=_gaze_alignment(truth, found, start, events),
        frame_alignment_s=float(np.abs(face["error_s"]).max()),
        face_lag_frames=_lag(face["AU45"].to_numpy(), au["AU45_r"].to_numpy()),
        au_correlation=_correlations(face, au),
    )


def _table(tables: Path, stem: str, name: str) -> pd.DataFrame:
    return pd.read_csv(tables / f"{stem}_{name}.tsv", sep="\t", na_values="n/a")


def _gaze_alignment(
    truth: np.lib.npyio.NpzFile, found: np.ndarray, start: float, events: pd.DataFrame
) -> float:
    shown = events[events["event"] == "stimulus_onset"].set_index("presentation_id")["time_s"]
    errors = []
    rows = zip(
        truth["reaction_events"], truth["reaction_presentations"], truth["reactions"], strict=True
    )
    for event, presentation, (cue, reaction) in rows:
        if event == "stimulus_onset" and np.isfinite(reaction):
            true_latency = reaction - cue
            latency = found - shown[presentation]
            errors.append(np.abs(latency - true_latency).min())
    return float(max(errors))


def _face(
    session_file: Path, stem: str, tables: Path, start: float, frame_times: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return truth and measurement of the frames that were recorded, row by row."""
    face = pd.read_csv(session_file.with_name(f"{stem}_truth_face.tsv"), sep="\t", na_values="n/a")
    au = _table(tables, stem, "au")
    nearest = np.abs(face["lsl_time_s"].to_numpy()[None, :] - frame_times[:, None]).argmin(axis=1)
    face = face.iloc[nearest].reset_index(drop=True)
    face["error_s"] = face["lsl_time_s"] - frame_times
    assert len(au) == len(face)
    np.testing.assert_allclose(au["time"], frame_times - start, atol=1e-4)
    return face, au


def _lag(true: np.ndarray, measured: np.ndarray) -> float:
    true = true - true.mean()
    measured = np.nan_to_num(measured - np.nanmean(measured))
    lags = np.arange(-MAX_LAG_FRAMES, MAX_LAG_FRAMES + 1)
    agreement = [np.sum(true * np.roll(measured, -lag)) for lag in lags]
    return float(lags[int(np.argmax(agreement))])


def _correlations(face: pd.DataFrame, au: pd.DataFrame) -> dict[str, float]:
    found = {}
    for column in au.columns:
        name = column.removesuffix("_r")
        if not column.endswith("_r") or name not in face or face[name].std() == 0:
            continue
        both = np.isfinite(au[column]) & np.isfinite(face[name])
        if both.sum() > 2 and au.loc[both, column].std() > 0:
            found[name] = float(np.corrcoef(au.loc[both, column], face.loc[both, name])[0, 1])
    return found
