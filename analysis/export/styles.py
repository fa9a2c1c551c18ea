"""Column names of other programs, so that scripts written for their files run on ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.analysis.face.openface import openface_table
from duchenne.analysis.stages import gaze_stream
from duchenne.analysis.tables import read_table
from duchenne.analysis.values import number, records, text
from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from duchenne.analysis.export.base import ExportSession, Job

AFFDEX = {
    "AU01": "Inner Brow Raise",
    "AU02": "Brow Raise",
    "AU04": "Brow Furrow",
    "AU05": "Eye Widen",
    "AU06": "Cheek Raise",
    "AU07": "Lid Tighten",
    "AU09": "Nose Wrinkle",
    "AU10": "Upper Lip Raise",
    "AU12": "Smile",
    "AU14": "Dimpler",
    "AU15": "Lip Corner Depressor",
    "AU17": "Chin Raise",
    "AU18": "Lip Pucker",
    "AU20": "Lip Stretch",
    "AU24": "Lip Press",
    "AU25": "Mouth Open",
    "AU26": "Jaw Drop",
    "AU28": "Lip Suck",
    "AU45": "Eye Closure",
}
"""Names that iMotions gives to what its face analysis measures, by Action Unit."""
POSE = {"Pitch": "pose_pitch_deg", "Yaw": "pose_yaw_deg", "Roll": "pose_roll_deg"}
FULL_SCALE = 20.0
"""Intensities 0 to 5 become 0 to 100."""
MS = 1000.0


def write_style(job: Job) -> None:
    """Write one CSV per session in the chosen style; nothing for ``tidy``."""
    style = job.options.style
    if style == "tidy":
        return
    make = openface_file if style == "openface" else imotions_file
    folder = job.out / style
    folder.mkdir()
    for session in job.sessions:
        frame = make(session)
        if frame is None:
            job.notes.append(f"{session.paths.stem}: nothing to write in the style of {style}.")
            continue
        na = "" if style == "imotions" else "nan"
        path = folder / f"{session.paths.stem}.csv"
        job.private.clean_table(frame, {}).to_csv(path, index=False, na_rep=na, lineterminator="\n")


def openface_file(session: ExportSession) -> pd.DataFrame | None:
    """Return a session's frames in the columns of OpenFace 2; None without a face."""
    if not session.paths.au.is_file():
        return None
    return openface_table(read_table(session.paths.au))


def imotions_file(session: ExportSession) -> pd.DataFrame | None:
    """Return a session's gaze samples and video frames in columns of iMotions; None without both.

    One row per sample or frame in order of time: ``Row Timestamp EventSource SourceStimuliName
    ET_GazeLeftx …`` and the names of its face analysis. Times are milliseconds from ``session_start``, gaze
    is in pixels, intensities run from 0 to 100. A cell is empty where the row's source does not measure the
    column.
    """
    parts = [part for part in (_gaze_rows(session), _face_rows(session)) if part is not None]
    if not parts:
        return None
    rows = pd.concat(parts, ignore_index=True).sort_values("Timestamp", kind="stable")
    rows.insert(0, "Row", np.arange(1, len(rows) + 1))
    return rows


def _gaze_rows(session: ExportSession) -> pd.DataFrame | None:
    if not session.scopes.share_signals:
        return None
    with Recording.open(session.file) as recording:
        stream = gaze_stream(recording)
        screen = recording.screen or {}
        if stream is None or not screen.get("width_px"):
            return None
        labels = {channel.label: channel.unit for channel in stream.info.channels}
        columns: dict[str, NDArray[np.float64]] = {"Timestamp": np.round(MS * stream.times_s, 3)}
        for eye in ("left", "right"):
            for axis, side in (("x", "width_px"), ("y", "height_px")):
                name = f"{eye}_{axis}"
                if name in labels:
                    is_share = labels[name] in {"normalized", ""}
                    values = np.asarray(stream.column(name), np.float64)
                    scale = float(screen[side]) if is_share else 1.0
                    columns[f"ET_Gaze{eye.title()}{axis}"] = values * scale
            for name, shown in (
                ("pupil", "Pupil"),
                ("distance", "Distance"),
                ("valid", "Validity"),
            ):
                if f"{eye}_{name}" in labels:
                    values = np.asarray(stream.column(f"{eye}_{name}"), np.float64)
                    columns[f"ET_{shown}{eye.title()}"] = values
    frame = pd.DataFrame(columns)
    frame.insert(1, "EventSource", "ET_EyeTracker")
    frame.insert(
        2, "SourceStimuliName", _stimulus_at(frame["Timestamp"] / MS, session.paths.events)
    )
    return frame


def _face_rows(session: ExportSession) -> pd.DataFrame | None:
    if not session.paths.au.is_file():
        return None
    table = read_table(session.paths.au)
    columns: dict[str, object] = {
        "Timestamp": np.round(MS * table["time"], 3),
        "EventSource": "FacialExpression",
        "SourceStimuliName": _stimulus_at(table["time"], session.paths.events),
    }
    for unit, name in AFFDEX.items():
        if f"{unit}_r" in table:
            columns[name] = FULL_SCALE * table[f"{unit}_r"]
    columns |= {name: table[column] for name, column in POSE.items() if column in table}
    if "expr_valence" in table:
        columns["Valence"] = 100 * table["expr_valence"]
    return pd.DataFrame(columns)


def _stimulus_at(times_s: pd.Series, events: Path) -> NDArray[np.object_]:
    """Return which stimulus was shown at each time; None where none was."""
    shown = np.full(len(times_s), None, dtype=object)
    if not events.is_file():
        return shown
    table = read_table(events)
    for row in records(table[table["trial_type"] == "stimulus"]):
        onset, duration = number(row["onset"]), number(row["duration"])
        inside = (times_s >= onset) & (times_s < onset + duration)
        shown[inside.to_numpy()] = text(row["stimulus_id"])
    return shown
