"""Gaze in BIDS: one recording per eye, and the events found in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.export.bids_files import write_json, write_tsv_gz
from duchenne.analysis.stages import gaze_stream
from duchenne.analysis.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.export.bids_files import BidsName
    from duchenne.analysis.paths import AnalysisPaths
    from duchenne.recorder.recorded_stream import Stream
    from duchenne.recorder.recording import Recording

EYES = ("left", "right")
ROWS_AT_ONCE = 100_000
EVENT_LEVELS = {
    "fixation": "The gaze rests, as found by Duchenne's detector.",
    "saccade": "The gaze jumps, as found by Duchenne's detector.",
    "blink": "The eye is closed, as found by Duchenne's detector.",
    "message": "A marker of the experiment.",
}
TIMESTAMP = {
    "LongName": "Time of the sample",
    "Description": "Time on the recorder's clock, from the marker session_start; as for the events.",
    "Units": "s",
    "Origin": "session_start",
}


def write_gaze(
    recording: Recording, paths: AnalysisPaths, folder: Path, name: BidsName
) -> list[str]:
    """Write the recordings of both eyes; return what could not be, one sentence each."""
    stream = gaze_stream(recording)
    if stream is None:
        return []
    n_filled = sum(other.n > 0 for other in recording.of_type("Gaze"))
    notes = [
        f"{name.stem}: of {n_filled} gaze streams the one that was analyzed is exported, {stream.key}."
    ] * (n_filled > 1)
    written = 0
    for eye in EYES:
        if not _recorded(stream, eye):
            continue
        written += 1
        stem = folder / f"{name.stem}_recording-eye{written}"
        columns, sidecar = _sidecar(recording, stream, eye)
        write_json({"TaskName": name.task} | sidecar, stem.with_name(f"{stem.name}_physio.json"))
        write_tsv_gz(
            _samples(recording, stream, eye, columns),
            stem.with_name(f"{stem.name}_physio.tsv.gz"),
        )
        events = gaze_events(recording, paths, eye)
        if len(events):
            write_tsv_gz([events], stem.with_name(f"{stem.name}_physioevents.tsv.gz"))
            write_json(_events_sidecar(name), stem.with_name(f"{stem.name}_physioevents.json"))
    if not written:
        notes.append(
            f"{name.stem}: the gaze stream has no positions of an eye that could be exported."
        )
    return notes


def gaze_events(recording: Recording, paths: AnalysisPaths, eye: str) -> pd.DataFrame:
    """Return fixations, saccades and blinks of an eye, and the markers, in order of time.

    Columns: ``onset`` and ``duration`` (s), ``trial_type``, ``message`` (the marker and its trial).
    """
    parts = []
    for path, kind in (
        (paths.fixations, "fixation"),
        (paths.saccades, "saccade"),
        (paths.blinks, "blink"),
    ):
        if not path.is_file():
            continue
        found = read_table(path)
        if "eye" in found.columns:
            found = found[found["eye"].isin([eye, "both", "cyclopean"])]
        parts.append(found[["onset", "duration"]].assign(trial_type=kind, message=None))
    markers = recording.events
    if len(markers):
        trials = ["" if pd.isna(trial) else f" trial {trial}" for trial in markers["trial"]]
        told = [f"{event}{trial}" for event, trial in zip(markers["event"], trials, strict=True)]
        parts.append(
            pd.DataFrame(
                {
                    "onset": markers["time_s"].to_numpy(),
                    "duration": 0.0,
                    "trial_type": "message",
                    "message": told,
                }
            )
        )
    if not parts:
        return pd.DataFrame(columns=["onset", "duration", "trial_type", "message"])
    together = pd.concat([part.astype(object) for part in parts], ignore_index=True)
    together = together[pd.to_numeric(together["onset"]).notna()]
    together[["onset", "duration"]] = together[["onset", "duration"]].astype(float).round(6)
    return together.sort_values("onset", kind="stable", ignore_index=True)


def measured_rate_hz(times_s: np.ndarray[Any, Any]) -> float:
    """Return the sampling rate of times in seconds: one over their median step; NaN for less than two."""
    steps = np.diff(times_s[np.isfinite(times_s)])
    steps = steps[steps > 0]
    return round(float(1 / np.median(steps)), 4) if len(steps) else float("nan")


def _recorded(stream: Stream, eye: str) -> bool:
    labels = {channel.label for channel in stream.info.channels}
    if not {f"{eye}_x", f"{eye}_y"} <= labels:
        return False
    return any(
        bool(np.isfinite(stream.column(f"{eye}_x", at, at + ROWS_AT_ONCE)).any())
        for at in range(0, stream.n, ROWS_AT_ONCE)
    )


def _sidecar(recording: Recording, stream: Stream, eye: str) -> tuple[list[str], dict[str, Any]]:
    channels = {channel.label: channel for channel in stream.info.channels}
    times = stream.times_s
    finite = times[np.isfinite(times)]
    unit = "pixel" if _in_pixels(recording, stream, eye) else "normalized"
    columns = ["timestamp", "x_coordinate", "y_coordinate"]
    what = "0 to 1 across the screen" if unit == "normalized" else "pixels of the screen"
    sidecar: dict[str, Any] = {
        "PhysioType": "eyetrack",
        "SamplingFrequency": measured_rate_hz(times),
        "StartTime": round(float(finite[0]), 6) if len(finite) else 0.0,
        "Columns": columns,
        "timestamp": TIMESTAMP,
        "RecordedEye": eye,
        "SampleCoordinateSystem": "gaze-on-screen",
        "Manufacturer": stream.info.described("acquisition/manufacturer"),
        "ManufacturersModelName": stream.info.described("acquisition/model"),
        "DeviceSerialNumber": None,
        **_calibration(recording, eye),
    }
    for axis, edge in (("x", "left"), ("y", "top")):
        sidecar[f"{axis}_coordinate"] = {
            "LongName": f"Gaze position ({axis})",
            "Description": f"Where the {eye} eye looks on the screen, from its {edge} edge, in {what}; "
            "n/a: the tracker lost the eye.",
            "Units": unit,
        }
    pupil = channels.get(f"{eye}_pupil")
    if pupil is not None and bool(np.isfinite(stream.column(pupil.label)).any()):
        columns.append("pupil_size")
        sidecar["pupil_size"] = {
            "LongName": "Pupil size",
            "Description": f"Pupil {_words(pupil.type)} of the {eye} eye, as the tracker gives it.",
            "Units": pupil.unit or "arbitrary",
        }
    return columns, sidecar


def _samples(
    recording: Recording, stream: Stream, eye: str, columns: list[str]
) -> Iterator[pd.DataFrame]:
    screen = recording.screen or {}
    scale = (1.0, 1.0)
    if _in_pixels(recording, stream, eye) and _unit(stream, eye) in {"normalized", ""}:
        scale = (float(screen["width_px"]), float(screen["height_px"]))
    labels = {channel.label for channel in stream.info.channels}
    times = stream.times_s
    for at in range(0, stream.n, ROWS_AT_ONCE):
        rows = (at, at + ROWS_AT_ONCE)
        x = np.asarray(stream.column(f"{eye}_x", *rows), dtype=np.float64) * scale[0]
        y = np.asarray(stream.column(f"{eye}_y", *rows), dtype=np.float64) * scale[1]
        if f"{eye}_valid" in labels:
            # As in the analysis: NaN says nothing.
            lost = np.asarray(stream.column(f"{eye}_valid", *rows), dtype=np.float64) <= 0.5
            x, y = np.where(lost, np.nan, x), np.where(lost, np.nan, y)
        part = {
            "timestamp": np.round(times[at : at + ROWS_AT_ONCE], 6),
            "x_coordinate": np.round(x, 4),
            "y_coordinate": np.round(y, 4),
        }
        if "pupil_size" in columns:
            pupil = np.asarray(stream.column(f"{eye}_pupil", *rows), dtype=np.float64)
            part["pupil_size"] = np.round(pupil, 6)
        frame = pd.DataFrame(part)
        yield frame[np.isfinite(frame["timestamp"])]


def _words(kind: str) -> str:
    return kind.lower() or "size"


def _unit(stream: Stream, eye: str) -> str:
    units = {channel.label: channel.unit for channel in stream.info.channels}
    return units[f"{eye}_x"]


def _in_pixels(recording: Recording, stream: Stream, eye: str) -> bool:
    unit = _unit(stream, eye)
    return unit in {"px", "pixel", "pixels"} or bool(
        unit in {"normalized", ""} and (recording.screen or {}).get("width_px")
    )


def _calibration(recording: Recording, eye: str) -> dict[str, Any]:
    ends = [
        fields
        for event, fields in zip(recording.events["event"], recording.events["fields"], strict=True)
        if event == "calibration_end"
    ]
    done = [fields for fields in ends if fields.get("calibrated")]
    found: dict[str, Any] = {"CalibrationCount": len(done) or len(recording.calibrations)}
    told = [fields for fields in ends if _is_number(fields.get(f"accuracy_deg_{eye}"))]
    if not told:
        return found
    last = told[-1]
    found["AverageCalibrationError"] = float(last[f"accuracy_deg_{eye}"])
    targets = last.get("targets")
    errors = [
        float(target[f"error_{eye}_deg"])
        for target in (targets if isinstance(targets, list) else [])
        if isinstance(target, dict) and _is_number(target.get(f"error_{eye}_deg"))
    ]
    if errors:
        found["MaximalCalibrationError"] = max(errors)
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _events_sidecar(name: BidsName) -> dict[str, Any]:
    return {
        "Columns": ["onset", "duration", "trial_type", "message"],
        "Description": "What the eye did, as found by Duchenne's detectors, and the experiment's markers.",
        "OnsetSource": "timestamp",
        "TaskName": name.task,
        "onset": {"Description": "Onset, on the clock of the column timestamp.", "Units": "s"},
        "duration": {"Description": "Duration; 0 for a message.", "Units": "s"},
        "trial_type": {"Description": "Kind of event.", "Levels": EVENT_LEVELS},
        "message": {"Description": "The marker, and the trial that it belongs to."},
    }
