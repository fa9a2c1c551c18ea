"""The table of what happened: one row per phase and one per momentary marker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.attempts import stimulus_of, stimulus_onsets
from duchenne.analysis.phases import CLOSES, OPENS
from duchenne.analysis.presentations import onset_markers
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

COLUMNS = {
    "onset": "float64",
    "duration": "float64",
    "trial_type": "object",
    "trial": "Int64",
    "block": "object",
    "stimulus_id": "object",
    "stim_file": "object",
    "category": "object",
    "scale": "object",
    "value": "float64",
    "rt_s": "float64",
    "response": "object",
    "passed": "boolean",
    "stim_left_px": "float64",
    "stim_top_px": "float64",
    "stim_right_px": "float64",
    "stim_bottom_px": "float64",
    "interrupted": "bool",
    "presentation_id": "object",
    "phase": "object",
    "t_from_onset_s": "float64",
}
EDGES = ("stim_left_px", "stim_top_px", "stim_right_px", "stim_bottom_px")
_WITHOUT_ROW = (set(OPENS) | set(CLOSES)) - {"rating_response"}


def event_table(
    events: pd.DataFrame, phases: pd.DataFrame, presentations: pd.DataFrame
) -> pd.DataFrame:
    """Return the phases and the momentary markers of a session, in order.

    Parameters
    ----------
    events : pandas.DataFrame
        As ``Recording.events``.
    phases, presentations : pandas.DataFrame
        As in `duchenne.analysis.align`.

    Returns
    -------
    pandas.DataFrame
        Columns ``onset duration trial_type trial block stimulus_id stim_file category scale value
        rt_s response passed stim_left_px stim_top_px stim_right_px stim_bottom_px interrupted
        presentation_id phase t_from_onset_s``; a momentary marker (a rating that was given, a block
        that begins, an abort, …) has the duration 0.
    """
    by_id = {row["presentation_id"]: row for row in records(presentations)}
    onsets = onset_markers(events)
    own_onsets = stimulus_onsets(phases).tolist()
    stimuli = [phase for phase in records(phases) if phase["phase"] == "stimulus"]
    rows = [
        _of_phase(phase)
        | _about_presentation(phase["onset_s"], own_s, by_id.get(phase["presentation_id"]))
        | _place_on_screen(phase, onsets)
        for phase, own_s in zip(records(phases), own_onsets, strict=True)
    ]
    rows += [
        _of_marker(marker) | _about_marker(marker, stimuli, by_id)
        for marker in markers_in_order(events)
        if marker["event"] not in _WITHOUT_ROW
    ]
    return typed_frame(sorted(rows, key=lambda row: float(row["onset"])), COLUMNS)


def _about_marker(
    marker: Mapping[str, Any],
    stimuli: Sequence[Mapping[str, Any]],
    by_id: Mapping[str | None, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return what presentation a momentary marker belongs to: ratings always do, others if they say."""
    says = text(marker["presentation_id"]) is not None or integer(marker["trial"]) is not None
    own = stimulus_of(marker, stimuli) if says or marker["event"] == "rating_response" else None
    if own is None:
        return {}
    return _about_presentation(marker["time_s"], own["onset_s"], by_id.get(own["presentation_id"]))


def _about_presentation(
    time_s: float, own_onset_s: float, shown: Mapping[str, Any] | None
) -> dict[str, Any]:
    if shown is None:
        return {}
    return {
        "presentation_id": shown["presentation_id"],
        "stimulus_id": shown["stimulus_id"],
        "stim_file": shown["stim_file"],
        "category": shown["category"],
        "t_from_onset_s": time_s - own_onset_s,
    }


def _place_on_screen(
    phase: Mapping[str, Any], onsets: Mapping[float, Mapping[str, Any]]
) -> dict[str, float]:
    if phase["phase"] != "stimulus":
        return {}
    rect = rectangle(field(onsets.get(phase["onset_s"]), "rect_px"))
    return dict(zip(EDGES, rect or [np.nan] * 4, strict=True))


def _of_phase(phase: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "onset": phase["onset_s"],
        "duration": phase["offset_s"] - phase["onset_s"],
        "trial_type": phase["phase"],
        "trial": integer(phase["trial"]),
        "block": text(phase["block"]),
        "stimulus_id": text(phase["stimulus_id"]),
        "presentation_id": text(phase["presentation_id"]),
        "phase": phase["phase"],
        "scale": text(phase["scale"]),
        "interrupted": bool(phase["interrupted"]),
    }


def _of_marker(marker: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "onset": marker["time_s"],
        "duration": 0.0,
        "trial_type": marker["event"],
        "trial": integer(marker["trial"]),
        "block": text(marker["block"]),
        "stimulus_id": text(marker["stimulus"]),
        "presentation_id": text(marker["presentation_id"]),
        "phase": text(marker["phase"]),
        "scale": text(field(marker, "scale")),
        "value": number(field(marker, "value")),
        "rt_s": number(field(marker, "rt_s")),
        "response": _response(field(marker, "value")),
        "passed": field(marker, "passed"),
        "interrupted": False,
    }


def _response(value: Any) -> str | None:
    """Return an answer that is no number as text: words as they are, several values as JSON."""
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text(value) if isinstance(value, str) else None
