"""The phases of a session: what was going on from when to when.

All times are seconds from ``session_start`` on the recorder's clock, after correction of the clock
offsets. A session that was aborted, lost its markers or never sent ``session_start`` is divided as far
as its markers reach: what was open is closed at the next onset, the abort or the end of the recording,
and flagged as ``interrupted``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from duchenne.analysis.attempts import with_identifiers
from duchenne.analysis.values import (
    field,
    integer,
    markers_in_order,
    text,
    typed_frame,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from duchenne.recorder.recording import Recording

OPENS = {
    "instruction_onset": "instruction",
    "baseline_onset": "baseline",
    "neutral_onset": "neutral",
    "fixation_onset": "fixation",
    "stimulus_onset": "stimulus",
    "rating_onset": "rating",
    "break_start": "break",
    "calibration_start": "calibration",
    "pause": "pause",
}
CLOSES = {
    "instruction_offset": "instruction",
    "baseline_offset": "baseline",
    "neutral_offset": "neutral",
    "fixation_offset": "fixation",
    "stimulus_offset": "stimulus",
    "rating_response": "rating",
    "break_end": "break",
    "calibration_end": "calibration",
    "resume": "pause",
}
ENDS = {"abort", "session_end"}

PHASE_COLUMNS = {
    "phase": "object",
    "onset_s": "float64",
    "offset_s": "float64",
    "trial": "Int64",
    "block": "object",
    "presentation_id": "object",
    "stimulus_id": "object",
    "scale": "object",
    "interrupted": "bool",
}


def phases(recording: Recording) -> pd.DataFrame:
    """Return the phases of a session, one row each, in order and without overlap.

    Parameters
    ----------
    recording : Recording
        An open session.

    Returns
    -------
    pandas.DataFrame
        Columns ``phase`` (instruction, baseline, neutral, fixation, stimulus, rating, break,
        calibration, pause), ``onset_s``, ``offset_s``, ``trial``, ``block``, ``presentation_id``,
        ``stimulus_id``, ``scale`` (of a rating), ``interrupted`` (the end was not marked: the
        phase was closed by the next onset, the abort, or the end of the recording) and
        ``identifier_made`` (the sender gave no ``presentation_id``; see
        `duchenne.analysis.attempts.with_identifiers`). Empty for a recording without markers.
    """
    found = phases_of_events(recording.events, end_s=recording_end_s(recording))
    prefix = f"{recording.participant}-{recording.session}-{recording.run}"
    return with_identifiers(found, prefix)


def phases_of_events(events: pd.DataFrame, *, end_s: float) -> pd.DataFrame:
    """Return the phases that a table of markers describes; see `phases`.

    Parameters
    ----------
    events : pandas.DataFrame
        As ``Recording.events``.
    end_s : float
        Time at which phases that nothing else closes are closed, seconds.
    """
    found: list[dict[str, Any]] = []
    current: dict[str, Any] | None = None

    def close(at_s: float, *, interrupted: bool) -> None:
        nonlocal current
        if current is not None:
            found.append(current | {"offset_s": at_s, "interrupted": interrupted})
            current = None

    for marker in markers_in_order(events):
        event, time_s = marker["event"], float(marker["time_s"])
        if event in OPENS:
            started = _start_of(marker, OPENS[event])
            if current is None or not _same_start(current, started):
                close(time_s, interrupted=True)
                current = started
        elif event in CLOSES:
            if current is not None and _is_end_of(current, marker, CLOSES[event]):
                close(time_s, interrupted=False)
        elif event in ENDS:
            close(time_s, interrupted=True)
    if current is not None:
        close(max(end_s, float(current["onset_s"])), interrupted=True)
    return typed_frame(found, PHASE_COLUMNS)


def recording_end_s(recording: Recording) -> float:
    """Return the time of the last sample or marker of a recording, seconds."""
    ends = [float(stream.times_s[-1]) for stream in recording.streams.values() if stream.n > 0]
    if len(recording.events):
        ends.append(float(recording.events["time_s"].max()))
    return max(ends, default=0.0)


def neutral_intervals(phases: pd.DataFrame) -> list[tuple[float, float]]:
    """Return onset and offset of each neutral-face phase that can be used, seconds.

    One whose end was not marked is none of them: nobody knows how long the face was neutral.
    """
    rows = phases[(phases["phase"] == "neutral") & ~phases["interrupted"].astype(bool)]
    spans = zip(rows["onset_s"].tolist(), rows["offset_s"].tolist(), strict=True)
    return [(onset, offset) for onset, offset in spans if offset > onset]


def _start_of(marker: Mapping[str, Any], phase: str) -> dict[str, Any]:
    return {
        "phase": phase,
        "onset_s": float(marker["time_s"]),
        "trial": integer(marker["trial"]),
        "block": text(marker["block"]),
        "presentation_id": text(marker["presentation_id"]),
        "stimulus_id": text(marker["stimulus"]),
        "scale": field(marker, "scale"),
    }


def _same_start(current: Mapping[str, Any], started: Mapping[str, Any]) -> bool:
    keys = ("phase", "trial", "presentation_id", "stimulus_id", "scale")
    return all(current[key] == started[key] for key in keys)


def _is_end_of(current: Mapping[str, Any], marker: Mapping[str, Any], phase: str) -> bool:
    if current["phase"] != phase:
        return False
    trial, scale = integer(marker["trial"]), field(marker, "scale")
    same_trial = trial is None or current["trial"] is None or trial == current["trial"]
    return same_trial and (phase != "rating" or scale is None or scale == current["scale"])
