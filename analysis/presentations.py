"""The presentations of a session: each stimulus shown, with what is known about it."""

from __future__ import annotations

import re
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
    "cut_short": "object",
    "rect_px": "object",
} | {f"rating_{scale}{part}": "float64" for part in ("", "_rt_s") for scale in RATING_SCALES}

_KNOWN = {*PRESENTATION_COLUMNS, "rating_rt_s"}


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
        stim_file onset_s offset_s duration_s planned_duration_s interrupted cut_short rect_px`` (x0,
        y0, x1, y1 in screen pixels from the top left, or None; ``cut_short`` is ``skip`` or ``abort``
        where that ended the stimulus before its time, else None) and, for valence, arousal and dominance,
        ``rating_…`` (NaN: not asked or not answered) and ``rating_…_rt_s``; then the same for every other
        scale that was answered about a stimulus, by its name. A scale with several values (an affect
        grid, emotions with intensities) has one column for each: ``rating_<scale>_<value>``. A
        presentation that was
        attempted twice appears once, with the first complete attempt (neither interrupted nor cut
        short), or else the first; rectangle,
        planned duration and ratings are those of this attempt. A rating counts for its ``dimension``,
        or else for the dimension that its scale is named after; of several answers the last counts,
        an unanswered scale never.
    """
    identity = Identity.of(recording)
    table = phases(recording)
    attempts = table[table["phase"] == "stimulus"]
    cuts = np.array(cuts_of(attempts, recording.events), dtype=object)
    attempts = attempts.assign(cut_short=cuts)
    broken = attempts["interrupted"].astype(bool) | attempts["cut_short"].notna()
    used = attempts.assign(broken=broken).sort_values("broken", kind="stable")
    used = used.drop_duplicates("presentation_id").sort_values("onset_s", kind="stable")
    onsets = onset_markers(recording.events)
    ratings = _ratings_by_onset(recording.events, records(attempts))
    stimuli = recording.stimuli
    rows = [
        _presentation(row, identity, onsets.get(row["onset_s"]), stimuli)
        | _ratings(ratings.get(row["onset_s"], []))
        for row in records(used)
    ]
    return typed_frame(rows, PRESENTATION_COLUMNS | other_rating_columns(rows))


def onset_markers(events: pd.DataFrame) -> dict[float, dict[str, Any]]:
    """Return the markers that begin stimulus phases, by their time in seconds."""
    return {float(m["time_s"]): m for m in reversed(_markers(events, "stimulus_onset"))}


def cuts_of(attempts: pd.DataFrame, events: pd.DataFrame) -> list[str | None]:
    """Return what ended each stimulus before its time, as its ``stimulus_offset`` says.

    Parameters
    ----------
    attempts : pandas.DataFrame
        Stimulus phases.
    events : pandas.DataFrame
        As ``Recording.events``.

    Returns
    -------
    list of str or None
        ``skip`` (by the operator), ``abort``; None for a stimulus that was shown to its end, or whose
        sender does not say.
    """
    ends = {float(m["time_s"]): m for m in _markers(events, "stimulus_offset")}
    return [
        None if row["interrupted"] else text(field(ends.get(row["offset_s"]), "cut_short"))
        for row in records(attempts)
    ]


def unplaced_ratings(events: pd.DataFrame) -> list[str]:
    """Return the names of the answered scales that no rating column of the summary is for."""
    answers = _markers(events, "rating_response")
    nameless = [a for a in answers if _scale_of(a) is None and not text(field(a, "scale"))]
    return ["without a name"] if nameless else []


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
        "cut_short": text(row["cut_short"]),
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


def other_rating_columns(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the rating columns beside valence, arousal and dominance, with their types.

    Parameters
    ----------
    rows : iterable of mapping
        Presentations; a column is text if any of its values is.
    """
    found: dict[str, str] = {}
    for row in rows:
        for name, value in row.items():
            if name.startswith("rating_") and name not in _KNOWN:
                is_text = isinstance(value, str) or found.get(name) == "object"
                found[name] = "object" if is_text else "float64"
    return found


def _ratings(answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for answer in answers:
        scale = _scale_of(answer) or text(field(answer, "scale"))
        if scale is None or field(answer, "form") is not None:
            continue
        values = _values(f"rating_{column_part(scale)}", field(answer, "value"), scale)
        if values:
            given |= values
            given[f"rating_{column_part(scale)}_rt_s"] = number(field(answer, "rt_s"))
    return given


def _values(name: str, value: Any, scale: str) -> dict[str, Any]:
    """Return the columns of an answer; none for no answer."""
    if isinstance(value, dict):
        return {
            f"{name}_{column_part(str(key))}": number(part)
            for key, part in value.items()
            if np.isfinite(number(part))
        }
    as_number = number(value)
    if np.isfinite(as_number) and not isinstance(value, str):
        return {name: as_number}
    words = text(value) if isinstance(value, str) else None
    # The columns of the dimensions hold numbers.
    worded = f"{name}_word" if column_part(scale) in RATING_SCALES else name
    return {} if words is None else {worded: words}


def column_part(name: str) -> str:
    """Return a name with only letters, digits and ``_``, for use in the name of a column."""
    return re.sub(r"\W+", "_", name.strip().lower()).strip("_") or "unnamed"


def _scale_of(answer: Mapping[str, Any]) -> str | None:
    """Return which dimension an answer is for: as it says, or else as its scale is called.

    None for other dimensions, and for the answers to forms.
    """
    if field(answer, "form") is not None:
        return None
    named = text(field(answer, "dimension")) or text(field(answer, "scale"))
    return named if named in RATING_SCALES else None
