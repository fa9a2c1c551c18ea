"""One row per presentation and window of time: the measures of the summary in shorter windows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.affect.columns import affect_measures
from duchenne.analysis.codebooks import CATEGORIES, IDENTITY, au_columns
from duchenne.analysis.face import dynamics_codebook
from duchenne.analysis.gaze.codebook import FEATURES as GAZE_FEATURES
from duchenne.analysis.gaze.pupil_features import PUPIL_FEATURES
from duchenne.analysis.summary_measures import (
    EXPRESSION_MEASURES,
    PUPIL_ERRORS,
    all_au_columns,
    typed_column,
)
from duchenne.analysis.tables import Column
from duchenne.analysis.values import records
from duchenne.analysis.windows_gaze import (
    GAZE_WINDOW_MEASURES,
    PUPIL_WINDOW_MEASURES,
    pupil_measures,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from duchenne.analysis.gaze.pupil_session import SessionPupil
    from duchenne.analysis.window_plan import WindowPlan
    from duchenne.analysis.windows_face import FaceSeries
    from duchenne.analysis.windows_gaze import GazeSeries

_FROM_SUMMARY = ("excluded", "exclusion_reason", "pupil_unit")
_IDENTITY = (
    "participant", "session", "task", "run", "trial", "block", "presentation_id", "stimulus_id",
    "category",
)  # fmt: skip


def window_table(
    summary: pd.DataFrame,
    plan: WindowPlan,
    *,
    gaze: GazeSeries | None = None,
    pupil: SessionPupil | None = None,
    face: FaceSeries | None = None,
) -> pd.DataFrame:
    """Measure every window of every presentation.

    Parameters
    ----------
    summary : pandas.DataFrame
        As `duchenne.analysis.summary.summarise` returns it.
    plan : WindowPlan
        Which windows.
    gaze, pupil, face : optional
        What was measured; the columns of what was not are missing values.

    Returns
    -------
    pandas.DataFrame
        The columns of `windows_codebook`, presentations in their order, windows in that of the plan.
    """
    rows = list(_rows(summary, plan, gaze, pupil, face))
    affect = rows[0] if rows and face is not None else ()
    book = windows_codebook(face.names if face is not None else (), affect)
    return pd.DataFrame({name: typed_column(rows, name, column) for name, column in book.items()})


def _rows(
    summary: pd.DataFrame,
    plan: WindowPlan,
    gaze: GazeSeries | None,
    pupil: SessionPupil | None,
    face: FaceSeries | None,
) -> Iterator[dict[str, Any]]:
    named = [name for name in (*_IDENTITY, *_FROM_SUMMARY) if name in summary.columns]
    about = records(summary[named])
    flags = summary["pupil_flag"].tolist() if "pupil_flag" in summary.columns else []
    spans = summary[["onset", "duration"]].to_numpy(np.float64)
    for i, (onset, duration) in enumerate(spans):
        if not duration > 0:
            continue
        offset = float(onset + duration)
        for name, number, start, stop in plan.spans(float(onset), offset):
            row = about[i] | {
                "window": name,
                "window_number": number,
                "window_start_s": start - onset,
                "window_stop_s": stop - onset,
                "shown_fraction": max(0.0, min(stop, offset) - max(start, onset)) / (stop - start),
            }
            if gaze is not None:
                row |= gaze.measures(start, stop)
            if pupil is not None:
                usable = bool(flags) and flags[i] == "ok"
                row |= pupil_measures(pupil, start, stop, float(onset), usable=usable)
            if face is not None:
                row |= face.measures(start, stop, float(onset), sides=False)
            yield row


def windows_codebook(aus: Iterable[str] = (), affect: Iterable[str] = ()) -> dict[str, Column]:
    """Return the columns of the table of windows in order, with their meaning.

    Parameters
    ----------
    aus : iterable of str
        Action Units that were measured; the seventeen of OpenFace where absent.
    affect : iterable of str
        Names of columns, of which those are described that an affect model gave.
    """
    whole = [au for au in all_au_columns(aus) if au[4] == "_"]
    measured: Mapping[str, Column] = (
        {name: GAZE_FEATURES[name] for name in GAZE_WINDOW_MEASURES}
        | {n: (PUPIL_FEATURES | PUPIL_ERRORS)[n] for n in PUPIL_WINDOW_MEASURES}
        | {"face_usable_fraction": _USABLE, "speaking_fraction": _SPEAKING}
        | au_columns(whole)
        | EXPRESSION_MEASURES
        | affect_measures(affect)
        | {"n_microexpression_candidates": dynamics_codebook.N_CANDIDATES}
    )
    return (
        IDENTITY
        | _PLACE
        | {name: replace(c, description=_in_window(c.description)) for name, c in measured.items()}
        | _EXCLUSION
    )


def _in_window(description: str) -> str:
    told = description
    for words in (" while the stimulus was shown", " that began while it was shown"):
        told = told.replace(words, words.replace("while the stimulus was shown", "in the window"))
    told = told.replace("that began while it was shown", "that began in the window")
    told = told.replace("from 220 ms after onset to offset", "in the window")
    return f"Of the window alone: {told}"


def _number(description: str, unit: str | None = None) -> Column:
    return Column(description, unit, kind="number")


def _label(description: str) -> Column:
    return Column(description, kind="string")


_USABLE = _number("Share of the video frames to be expected that are usable.", "1")
_SPEAKING = _number(
    "Share of usable frames in which the mouth speaks; n/a: not judged in half of the frames.", "1"
)
_PLACE = {
    "trial": Column("Number of the trial within the run, from 1.", kind="integer"),
    "block": _label("Block of the protocol."),
    "presentation_id": _label("participant-session-run-trial: the key to the other tables."),
    "stimulus_id": _label("Identifier of the stimulus in its manifest."),
    "category": Column(
        "Category of the stimulus as its manifest says.", levels=CATEGORIES, kind="string"
    ),
    "window": _label(
        "Name of the window: first_second, sliding (one after the other from the onset), or as study.yaml "
        "declares it. The whole stimulus is in the summary."
    ),
    "window_number": Column(
        "Number of the sliding window within the presentation, from 1; 1 for others.",
        kind="integer",
    ),
    "window_start_s": _number("Start of the window from the onset of the stimulus.", "s"),
    "window_stop_s": _number("End of the window (excluded) from the onset of the stimulus.", "s"),
    "shown_fraction": _number("Share of the window in which the stimulus was shown.", "1"),
}
_EXCLUSION = {
    "pupil_unit": _label("Unit of the pupil as the device gives it."),
    "excluded": Column(
        "As in the summary, of the whole presentation: see there.", kind="boolean", derivative=True
    ),
    "exclusion_reason": _label("As in the summary: the rules that apply, in words; n/a: none."),
}
