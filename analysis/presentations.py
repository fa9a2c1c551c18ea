"""The presentations of a session: each stimulus shown, with what is known about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

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
    from collections.abc import Iterable, Mapping, Sequence

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
        marked twice appears once: the first complete one, or else the first.
    """
    identity = Identity.of(recording)
    table = phases(recording)
    stimuli = table[table["phase"] == "stimulus"].copy()
    stimuli = stimuli.sort_values("interrupted", kind="stable")
    stimuli = stimuli.drop_duplicates("presentation_id").sort_values("onset_s", kind="stable")
    onsets = _markers(recording.events, "stimulus_onset")
    ratings = _markers(recording.events, "rating_response")
    rows = [
        _presentation(row, identity, onsets, ratings, _stimulus_row(recording.stimuli, row))
        for row in records(stimuli)
    ]
    return typed_frame(rows, PRESENTATION_COLUMNS)


def _markers(events: pd.DataFrame, event: str) -> list[dict[str, Any]]:
    return [marker for marker in markers_in_order(events) if marker["event"] == event]


def _belonging(
    markers: Iterable[Mapping[str, Any]], row: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Return the markers of one presentation: by its identifier, else by its trial."""
    return [
        marker
        for marker in markers
        if text(marker["presentation_id"]) == row["presentation_id"]
        or (text(marker["presentation_id"]) is None and _same_trial(marker, row))
    ]


def _same_trial(marker: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    trial = integer(marker["trial"])
    return trial is not None and trial == integer(row["trial"])


def _stimulus_row(stimuli: pd.DataFrame, row: Mapping[str, Any]) -> Mapping[str, Any]:
    if stimuli is None or not len(stimuli) or "id" not in stimuli.columns:
        return {}
    found = stimuli[stimuli["id"].astype(str) == str(row["stimulus_id"])]
    return records(found)[0] if len(found) else {}


def _presentation(
    row: Mapping[str, Any],
    identity: Identity,
    onsets: Sequence[Mapping[str, Any]],
    ratings: Sequence[Mapping[str, Any]],
    stimulus: Mapping[str, Any],
) -> dict[str, Any]:
    onset = next(iter(_belonging(onsets, row)), None)
    planned = number(field(onset, "planned_duration_s")) if onset else np.nan
    made: dict[str, Any] = {
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
        "planned_duration_s": planned,
        "interrupted": bool(row["interrupted"]),
        "rect_px": rectangle(field(onset, "rect_px")),
    }
    for answer in _belonging(ratings, row):
        scale = field(answer, "scale")
        if scale in RATING_SCALES:
            made[f"rating_{scale}"] = number(field(answer, "value"))
            made[f"rating_{scale}_rt_s"] = number(field(answer, "rt_s"))
    return made
