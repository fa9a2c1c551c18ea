"""The table of what happened: one row per phase and one per momentary marker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.phases import CLOSES, OPENS
from duchenne.analysis.values import (
    field,
    integer,
    markers_in_order,
    number,
    records,
    text,
    typed_frame,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    "value": "Int64",
    "rt_s": "float64",
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
        rt_s stim_left_px stim_top_px stim_right_px stim_bottom_px interrupted presentation_id phase
        t_from_onset_s``; a momentary marker (a rating that was given, a block that begins, an
        abort, …) has the duration 0.
    """
    rows = [_of_phase(phase) for phase in records(phases)]
    rows += [_of_marker(m) for m in markers_in_order(events) if m["event"] not in _WITHOUT_ROW]
    by_id = {str(row["presentation_id"]): row for row in records(presentations)}
    by_trial = {integer(row["trial"]): row for row in records(presentations)}
    for row in rows:
        shown = by_id.get(str(row["presentation_id"])) or by_trial.get(row["trial"] or -1)
        if shown is not None:
            row.update(_about_presentation(row, shown))
    return typed_frame(sorted(rows, key=lambda row: float(row["onset"])), COLUMNS)


def _about_presentation(row: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    about = {
        "presentation_id": shown["presentation_id"],
        "stimulus_id": shown["stimulus_id"],
        "stim_file": shown["stim_file"],
        "category": shown["category"],
        "t_from_onset_s": row["onset"] - shown["onset_s"],
    }
    if row["trial_type"] == "stimulus":
        about |= dict(zip(EDGES, shown["rect_px"] or [np.nan] * 4, strict=True))
    return about


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
        "value": integer(field(marker, "value")),
        "rt_s": number(field(marker, "rt_s")),
        "interrupted": False,
    }
