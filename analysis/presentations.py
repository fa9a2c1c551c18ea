"""The presentations of a session: each stimulus shown, with what is known about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.attempts import stimulus_of
from duchenne.analysis.phases import phases
from duchenne.analysis.values import (
    field,
    integer,
    markers_in_order,
    number,
    records,
    rectangle,
    text,
    typed_frame,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from duchenne.recorder.recording import Recording

RATING_SCALES = ("valence", "arousal", "dominance")

PRESENTATION_COLUMNS = {
    "participant": "object",
    "session": "object",
    "task": "object",
    "run": "object",
    "trial": "Int64",
    "block": "object",
    "presentation_id": "object",
    "stimulus_id": "object",
    "category": "object",
    "kind": "object",
    "stim_file": "object",
    "onset_s": "float64",
    "offset_s": "float64",
    "duration_s": "float64",
    "planned_duration_s": "float64",
    "interrupted": "bool",
    "rect_px": "object",
} | {f"rating_{scale}{part}": "float64" for part in ("", "_rt_s") for scale in RATING_SCALES}


@dataclass(frozen=True)
class Identity:
    """Whose session it was.

    Parameters
    ----------
    participant, session, task, run : str
        Labels as in the file name, without ``sub-``, ``ses-``, ``task-``, ``run-``.
    """

    participant: str
    session: str
    task: str
    run: str

    @classmethod
    def of(cls, recording: Recording) -> Identity:
        """Return the identity of a recording."""
        return cls(recording.participant, recording.session, recording.task, recording.run)


def presentations(recording: Recording) -> pd.DataFrame:
    """Return one row per stimulus presentation, in order of onset.

    Parameters
    ----------
    recording : Recording
        An open session.

    Returns
    -------
    pandas.DataFrame
        Columns ``participant session task run trial block presentation_id stimulus_id category kind
        stim_file onset_s offset_s duration_s planned_duration_s interrupted rect_px`` (x0, y0, x1, y1
        in screen pixels from the top left, or None) and, for valence, arousal and dominance,
        ``rating_…`` (NaN: not asked or not answered) and ``rating_…_rt_s``. A presentation that was
        attempted twice appears once, with the first complete attempt, or else the first; rectangle,
        planned duration and ratings are those of this attempt. A rating counts for its ``dimension``,
        or else for the dimension that its scale is named after; of several answers the last counts,
        an unanswered scale never.
    """
    identity = Identity.of(recording)
    table = phases(recording)
    attempts = table[table["phase"] == "stimulus"]
    used = attempts.sort_values("interrupted", kind="stable")
    used = used.drop_duplicates("presentation_id").sort_values("onset_s", kind="stable")
    onsets = onset_markers(recording.events)
    ratings = _ratings_by_onset(recording.events, records(attempts))
    rows = [
        _presentation(row, identity, onsets.get(row["onset_s"]), recording.stimuli)
        | _ratings(ratings.get(row["onset_s"], []))
        for row in records(used)
    ]
    return typed_frame(rows, PRESENTATION_COLUMNS)


def onset_markers(events: pd.DataFrame) -> dict[float, dict[str, Any]]:
    """Return the markers that begin stimulus phases, by their time in seconds."""
    return {float(m["time_s"]): m for m in reversed(_markers(events, "stimulus_onset"))}


def unplaced_ratings(events: pd.DataFrame) -> list[str]:
    """Return the names of the answered scales that no rating column of the summary is for."""
    answers = _markers(events, "rating_response")
    names = [text(field(a, "scale")) or "without a name" for a in answers if _scale_of(a) is None]
    return list(dict.fromkeys(names))


def _markers(events: pd.DataFrame, event: str) -> list[dict[str, Any]]:
    return [marker for marker in markers_in_order(events) if marker["event"] == event]


def _stimulus_row(stimuli: pd.DataFrame, row: Mapping[str, Any]) -> Mapping[str, Any]:
    if stimuli is None or not len(stimuli) or "id" not in stimuli.columns:
        return {}
    found = stimuli[stimuli["id"].astype(str) == str(row["stimulus_id"])]
    return records(found)[0] if len(found) else {}


def _presentation(
    row: Mapping[str, Any],
    identity: Identity,
    onset: Mapping[str, Any] | None,
    stimuli: pd.DataFrame,
) -> dict[str, Any]:
    stimulus = _stimulus_row(stimuli, row)
    return {
        "participant": identity.participant,
        "session": identity.session,
        "task": identity.task,
        "run": identity.run,
        "trial": integer(row["trial"]),
        "block": text(row["block"]),
        "presentation_id": row["presentation_id"],
        "stimulus_id": text(row["stimulus_id"]),
        "category": text(field(onset, "category")) or text(stimulus.get("category")),
        "kind": text(field(onset, "kind")) or text(stimulus.get("kind")),
        "stim_file": text(field(onset, "file")) or text(stimulus.get("file")),
        "onset_s": row["onset_s"],
        "offset_s": row["offset_s"],
        "duration_s": row["offset_s"] - row["onset_s"],
        "planned_duration_s": number(field(onset, "planned_duration_s")),
        "interrupted": bool(row["interrupted"]),
        "rect_px": rectangle(field(onset, "rect_px")),
    }


def _ratings_by_onset(
    events: pd.DataFrame, attempts: Sequence[Mapping[str, Any]]
) -> dict[float, list[Mapping[str, Any]]]:
    """Return the answers to each attempt, in order, by the onset of its stimulus."""
    found: dict[float, list[Mapping[str, Any]]] = {}
    for answer in _markers(events, "rating_response"):
        attempt = stimulus_of(answer, attempts)
        if attempt is not None:
            found.setdefault(attempt["onset_s"], []).append(answer)
    return found


def _ratings(answers: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    given: dict[str, float] = {}
    for answer in answers:
        scale, value = _scale_of(answer), number(field(answer, "value"))
        if scale is not None and np.isfinite(value):
            given[f"rating_{scale}"] = value
            given[f"rating_{scale}_rt_s"] = number(field(answer, "rt_s"))
    return given


def _scale_of(answer: Mapping[str, Any]) -> str | None:
    """Return which dimension an answer is for: as it says, or else as its scale is called."""
    named = text(field(answer, "dimension")) or text(field(answer, "scale"))
    return named if named in RATING_SCALES else None
