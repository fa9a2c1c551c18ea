"""One row per stimulus presentation: condition, norms, ratings, gaze, face, and whether to use it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.analysis.affect.columns import affect_measures
from duchenne.analysis.codebooks import CATEGORIES, IDENTITY, PROTOTYPES, SECONDS, au_columns
from duchenne.analysis.crossmodal.codebook import FEATURES as CROSSMODAL
from duchenne.analysis.exclusions import ExclusionRules
from duchenne.analysis.face import dynamics_codebook
from duchenne.analysis.gaze.codebook import FEATURES as GAZE_FEATURES
from duchenne.analysis.gaze.pupil_features import PUPIL_FEATURES
from duchenne.analysis.presentations import other_rating_columns
from duchenne.analysis.summary_measures import (
    AFFECT_MEASURES,
    EXPRESSION_FRACTIONS,
    GAZE_ERRORS,
    OPENFACE_AUS,
    PUPIL_ERRORS,
    all_au_columns,
    more_au_columns,
    typed_column,
)
from duchenne.analysis.tables import Column
from duchenne.analysis.values import number, records

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NORMS = ("norm_valence", "norm_arousal", "norm_valence_scaled", "norm_arousal_scaled")

__all__ = ["OPENFACE_AUS", "ExclusionRules", "measured_aus", "summarise", "summary_codebook"]


def summarise(
    presentations: pd.DataFrame,
    stimuli: pd.DataFrame,
    *,
    gaze: Sequence[Mapping[str, Any]] = (),
    face: Sequence[Mapping[str, Any]] = (),
    pupil_unit: str | None = None,
    pupil_measure: str | None = None,
    rules: ExclusionRules | None = None,
    withdrawn: str | None = None,
    protocol_hash: str | None = None,
) -> pd.DataFrame:
    """Join what is known of each presentation into one row.

    Parameters
    ----------
    presentations : pandas.DataFrame
        As `duchenne.analysis.align.presentations` returns it.
    stimuli : pandas.DataFrame
        Manifest rows by ``id``, with ``valence``, ``arousal``, ``norm_min``, ``norm_max``.
    gaze, face : sequence of mapping
        Features of each presentation, in its order; empty where the stream was not recorded.
    pupil_unit, pupil_measure : str, optional
        As the device gives them.
    rules : ExclusionRules, optional
        When to flag a row; the defaults where absent.
    withdrawn : str, optional
        Why the participant does not want the data used: all rows are flagged.
    protocol_hash : str, optional
        Of the protocol that was run.

    Returns
    -------
    pandas.DataFrame
        One row per presentation with the columns that `summary_codebook` describes; what was not
        measured is missing.
    """
    rules = rules or ExclusionRules()
    norms = _norms_by_id(stimuli)
    rows = []
    for i, shown in enumerate(records(presentations)):
        row = _about(shown) | norms.get(str(shown["stimulus_id"]), {})
        row |= {"pupil_unit": pupil_unit, "pupil_measure": pupil_measure}
        row["protocol_hash"] = protocol_hash
        row |= gaze[i] if gaze else {}
        row |= face[i] if face else {}
        reasons = rules.reasons(row | {"withdrawn": withdrawn})
        row["excluded"] = bool(reasons)
        row["exclusion_reason"] = "; ".join(reasons) or None
        rows.append(row)
    ratings = other_rating_columns(records(presentations))
    affect = dict.fromkeys(name for row in face for name in row)
    book = summary_codebook(rules, aus=_aus_of(face), ratings=ratings, affect=affect)
    return pd.DataFrame({name: typed_column(rows, name, column) for name, column in book.items()})


def summary_codebook(
    rules: ExclusionRules | None = None,
    *,
    aus: Iterable[str] = (),
    ratings: Mapping[str, str] | None = None,
    affect: Iterable[str] = (),
) -> dict[str, Column]:
    """Return the columns of the summary in order, with their meaning.

    Parameters
    ----------
    rules : ExclusionRules, optional
        Rules whose thresholds the codebook states.
    aus : iterable of str
        Action Units that were measured, such as ``AU12``; the seventeen of OpenFace where absent.
    ratings : mapping of str to str, optional
        Further rating columns with their types, see `other_rating_columns`.
    affect : iterable of str
        Names of columns, of which those are described that an affect model gave.
    """
    rules = rules or ExclusionRules()
    units = list(aus) or [f"AU{unit:02d}" for unit in OPENFACE_AUS]
    return (
        _CONDITION
        | _RATINGS
        | _NORMS
        | _GAZE
        | _FACE_QUALITY
        | au_columns(all_au_columns(units, more=False))
        | _EXPRESSION
        | _exclusion(rules)
        | _MORE
        | au_columns(more_au_columns(units))
        | EXPRESSION_FRACTIONS
        | AFFECT_MEASURES
        | affect_measures(affect)
        | PUPIL_ERRORS
        | GAZE_ERRORS
        | CROSSMODAL
        | _PROTOCOL
        | {name: _other_rating(name, kind) for name, kind in (ratings or {}).items()}
    )


def _other_rating(name: str, kind: str) -> Column:
    scale = name.removeprefix("rating_")
    if name.endswith("_rt_s"):
        asked = scale.removesuffix("_rt_s")
        return _number(f"Response time of the protocol's rating '{asked}'.", "s")
    what = f"Answer to the protocol's rating '{scale}'"
    if kind == "object":
        return _label(f"{what}, as it was chosen or typed; n/a: not asked or not answered.")
    return _number(
        f"{what}, on its own scale; of a rating with several values, the one that the name ends in; n/a: "
        "not asked or not answered."
    )


def _about(shown: Mapping[str, Any]) -> dict[str, Any]:
    row = dict(shown)
    row["onset"] = row.pop("onset_s")
    row["duration"] = row.pop("duration_s")
    times = np.array([number(row.get(f"rating_{scale}_rt_s")) for scale in _SCALES])
    row["rating_rt_s"] = float(np.nanmean(times)) if np.isfinite(times).any() else np.nan
    return row


def _norms_by_id(stimuli: pd.DataFrame) -> dict[str, dict[str, float]]:
    if not len(stimuli) or "id" not in stimuli.columns:
        return {}
    found = {}
    for row in records(stimuli):
        low, high = number(row.get("norm_min")), number(row.get("norm_max"))
        norms = {}
        for name in ("valence", "arousal"):
            value = number(row.get(name))
            norms[f"norm_{name}"] = value
            span = high - low
            norms[f"norm_{name}_scaled"] = 2 * (value - low) / span - 1 if span > 0 else np.nan
        found[str(row["id"])] = norms
    return found


def measured_aus(columns: Iterable[str]) -> list[str]:
    """Return the Action Units that a summary has the means of, in its order."""
    named = (re.match(r"(AU\d\d[LR]?)_mean$", str(name)) for name in columns)
    return list(dict.fromkeys(match.group(1) for match in named if match))


def _aus_of(features: Sequence[Mapping[str, Any]]) -> list[str]:
    return measured_aus(name for row in features for name in row)


def _number(description: str, unit: str | None = None, *, computed: bool = False) -> Column:
    return Column(description, unit, kind="number", derivative=computed)


def _count(description: str) -> Column:
    return Column(description, kind="integer")


def _label(description: str) -> Column:
    return Column(description, kind="string")


_SCALES = ("valence", "arousal", "dominance")
_SHOWN = "while the stimulus was shown"
_CONDITION = IDENTITY | {
    "trial": _count("Number of the trial within the run, from 1."),
    "block": _label("Block of the protocol."),
    "stimulus_id": _label("Identifier of the stimulus in its manifest."),
    "category": Column(
        "Category of the stimulus as its manifest says.", levels=CATEGORIES, kind="string"
    ),
    "onset": _number(f"Onset of the stimulus on the screen, {SECONDS}.", "s"),
    "duration": _number("Time from the onset to the offset of the stimulus.", "s"),
}
_RATINGS = {
    f"rating_{scale}": _number(
        f"Rating of {scale} given by the participant, on the protocol's scale (SAM: 1 to 9); n/a: not "
        "asked or not answered."
    )
    for scale in _SCALES
} | {"rating_rt_s": _number("Response time, mean of the scales that were answered.", "s")}
_NORMS = {
    f"norm_{scale}{suffix}": _number(
        f"Normative {scale} of the stimulus, {meaning}.", computed=bool(suffix)
    )
    for suffix, meaning in (
        ("", "on the scale of its database"),
        ("_scaled", "mapped from the ends of its scale to -1 and 1"),
    )
    for scale in ("valence", "arousal")
}
_FIRST_GAZE = (
    "gaze_valid_fraction", "n_fixations", "mean_fixation_duration_s", "n_saccades",
    "mean_saccade_amplitude_deg", "saccade_peak_velocity_deg_s", "n_blinks", "blink_rate_hz",
    "pupil_baseline", "pupil_change_mean", "pupil_change_peak", "pupil_unit", "pupil_measure",
    "gaze_entropy",
)  # fmt: skip
_GAZE = {name: GAZE_FEATURES[name] for name in _FIRST_GAZE}
_FACE_QUALITY = {
    "face_usable_fraction": _number(
        f"Share of video frames with a measurable face {_SHOWN}; frames that were to be expected at "
        "the camera's rate and are not there count as not measurable.",
        "1",
    ),
    "speaking_fraction": _number(
        f"Share of usable frames in which the mouth speaks {_SHOWN} (lips that open at least three times in "
        "the rhythm of speech; with a microphone, twice and with a voice); n/a: not judged in half of the "
        "frames to be expected.",
        "1",
    ),
}
_EXPRESSION = {
    "expr_prototype_top": Column(
        f"Prototype of facial expression matched in most usable frames {_SHOWN}, and in at least a "
        "tenth of them; where none is, the most frequent of neutral, none and not_assessable; not a "
        "felt emotion. n/a: no usable frames.",
        levels=PROTOTYPES,
        kind="string",
    ),
    "expr_valence_mean": _number(
        f"Mean valence of the expression {_SHOWN}, -1 to 1; not felt valence.", "1"
    ),
    "expr_arousal_mean": _number(f"Mean arousal of the expression {_SHOWN}, -1 to 1.", "1"),
    "n_microexpression_candidates": dynamics_codebook.N_CANDIDATES,
}
_MORE = {
    "presentation_id": _label("participant-session-run-trial: the key to the other tables."),
    "kind": Column(
        "Kind of stimulus.",
        levels={"image": "still picture", "video": "film", "audio": "sound"},
        kind="string",
    ),
    "stim_file": _label("File of the stimulus, relative to its manifest."),
    "planned_duration_s": _number("Duration that the schedule asked for.", "s"),
    "interrupted": Column(
        "The offset was not marked; the duration runs to the next onset, the abort or the end of the "
        "recording.",
        kind="boolean",
    ),
    "cut_short": Column(
        "What ended the stimulus before its time; n/a: nothing, or its sender does not say.",
        levels={
            "skip": "the operator skipped it, or it was left out after the participant's stop key",
            "abort": "the session was aborted",
        },
        kind="string",
    ),
    **{
        f"rating_{scale}_rt_s": _number(f"Response time of the {scale} rating.", "s")
        for scale in _SCALES
    },
    **{name: column for name, column in GAZE_FEATURES.items() if name not in _GAZE},
    **PUPIL_FEATURES,
    **dynamics_codebook.FEATURES,
}


_PROTOCOL = {
    "protocol_hash": _label(
        "First twelve characters of the SHA-256 of the protocol as it was run: sessions with the same were "
        "run alike; n/a: not recorded."
    )
}


def _exclusion(rules: ExclusionRules) -> dict[str, Column]:
    return {
        "excluded": Column(
            "A rule declared before the analysis (exclusions.yaml) excludes the presentation: "
            f"{rules.in_words()}. What was not recorded excludes nothing. In the tables of a study also "
            "all presentations of a participant of whom too few can be used. Rows are flagged, never "
            "deleted.",
            kind="boolean",
            derivative=True,
        ),
        "exclusion_reason": Column(
            "The rules that apply, in words; n/a where none does.", kind="string", derivative=True
        ),
    }
