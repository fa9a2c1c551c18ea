"""The course of a session in BIDS: phases, ratings and markers, with the screen and HED tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duchenne.analysis.export.bids_files import write_json, write_tsv
from duchenne.analysis.export.tables_of_study import read_codebook, withhold_text
from duchenne.analysis.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from duchenne.analysis.export.base import ExportSession, Job
    from duchenne.analysis.export.bids_files import BidsName
    from duchenne.recorder.recording import Recording

HED_VERSION = "8.3.0"
HED = {
    "session_start": "Experiment-structure",
    "session_end": "Experiment-structure",
    "block_start": "Experiment-structure",
    "block_end": "Experiment-structure",
    "instruction": "Sensory-event, Visual-presentation, Instructional",
    "neutral": "Sensory-event, Visual-presentation, Instructional",
    "baseline": "Sensory-event, Visual-presentation",
    "fixation": "Sensory-event, Visual-presentation, Cue",
    "stimulus": "Sensory-event, Experimental-stimulus",
    "rating": "Sensory-event, Visual-presentation, Instructional",
    "rating_response": "Agent-action, Participant-response",
    "break": "Experiment-structure",
    "pause": "Experiment-structure",
    "calibration": "Experiment-procedure",
}
"""HED 8.3 tags of the kinds of events; others have none."""
LEFT_OUT = ("participant", "session", "task", "run")
FIRST = ("onset", "duration", "trial_type")


def write_events(
    recording: Recording,
    session: ExportSession,
    job: Job,
    *,
    folder: Path,
    name: BidsName,
    files: Mapping[str, str],
) -> None:
    """Write ``_events.tsv`` and its sidecar.

    Parameters
    ----------
    files : mapping of str to str
        The file in ``stimuli/`` of each stimulus, by its id.
    """
    frame = read_table(session.paths.events)
    book = read_codebook(session.paths.events)
    frame = withhold_text(frame, session, with_text=job.options.with_text)
    frame = job.private.clean_table(frame, book)
    if {"stim_file", "stimulus_id"} <= set(frame.columns):
        shown = (frame["trial_type"] == "stimulus") & frame["stim_file"].notna()
        frame["stim_file"] = frame["stimulus_id"].map(dict(files)).where(shown)
    rest = [column for column in frame.columns if column not in (*FIRST, *LEFT_OUT)]
    frame = frame[[*FIRST, *rest]].sort_values("onset", kind="stable")
    write_tsv(frame, folder / f"{name.stem}_events.tsv")
    sidecar: dict[str, Any] = {
        "TaskName": name.task,
        "OnsetSource": "timestamp",
        "StimulusPresentation": stimulus_presentation(recording),
    }
    for column in (*FIRST, *rest):
        entry = book[column].to_json(column, book[column].kind or "string")
        sidecar[column] = {key: entry[key] for key in _KEPT if key in entry}
    kinds = sorted({str(kind) for kind in frame["trial_type"].dropna()})
    levels = dict(book["trial_type"].levels or {})
    sidecar["trial_type"]["Levels"] = {kind: levels.get(kind) or _in_words(kind) for kind in kinds}
    sidecar["trial_type"]["HED"] = {kind: HED[kind] for kind in kinds if kind in HED}
    write_json(sidecar, folder / f"{name.stem}_events.json")


def stimulus_presentation(recording: Recording) -> dict[str, Any] | None:
    """Return the screen as BIDS describes it, lengths in metres; None where it is not known."""
    screen = recording.screen
    if not screen or not screen.get("width_px"):
        return None
    found: dict[str, Any] = {
        "ScreenOrigin": ["top", "left"],
        "ScreenResolution": [int(screen["width_px"]), int(screen["height_px"])],
        "SoftwareName": "Duchenne",
        "SoftwareVersion": str(recording.attrs.get("software_version", "")) or "n/a",
    }
    if screen.get("width_cm") and screen.get("height_cm"):
        sides = (screen["width_cm"], screen["height_cm"])
        found["ScreenSize"] = [round(float(side) / 100, 6) for side in sides]
    if screen.get("distance_cm"):
        found["ScreenDistance"] = round(float(screen["distance_cm"]) / 100, 6)
    if screen.get("refresh_hz"):
        found["ScreenRefreshRate"] = float(screen["refresh_hz"])
    return found


def screen_problems(events_sidecar: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the screen of an events sidecar, which the validator does not look at.

    Parameters
    ----------
    events_sidecar : mapping
        As read from ``_events.json``.
    """
    screen = events_sidecar.get("StimulusPresentation")
    if not isinstance(screen, dict):
        return ["there is no StimulusPresentation"]
    problems = [
        f"{name} is missing"
        for name in (
            "ScreenDistance",
            "ScreenOrigin",
            "ScreenRefreshRate",
            "ScreenResolution",
            "ScreenSize",
        )
        if name not in screen
    ]
    distance, size = screen.get("ScreenDistance", 1), screen.get("ScreenSize", [1, 1])
    if not 0.1 <= distance <= 10:
        problems.append(f"ScreenDistance {distance} is not in metres")
    if len(size) != 2 or not all(0.02 <= side <= 10 for side in size):
        problems.append(f"ScreenSize {size} is not in metres")
    return problems


_KEPT = ("LongName", "Description", "Units", "Levels")


def _in_words(kind: str) -> str:
    return f"{kind.replace('_', ' ').capitalize()}."
