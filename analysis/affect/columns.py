"""Names and meanings of the columns of affect: of every frame, and of every presentation or window."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from duchenne.analysis.affect.base import QUADRANT
from duchenne.analysis.face.affect import QUADRANTS
from duchenne.analysis.tables import Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from duchenne.analysis.tables import Codebook

CLASS_TOP, ENTROPY = "expr_class", "expr_class_entropy"
DOMINANCE = "expr_dominance"
SPREADS = ("expr_valence_spread", "expr_arousal_spread", "expr_dominance_spread")
QUADRANT_LEVELS = {
    "HVHA": "valence and arousal from 0 on",
    "LVHA": "valence below 0, arousal from 0 on",
    "LVLA": "valence and arousal below 0",
    "HVLA": "valence from 0 on, arousal below 0",
    "neutral": "closer than 0.2 to the middle",
    "not_assessable": "valence or arousal is n/a",
}
_MODEL = "by the affect model that the user supplied; not what was felt"
_SHOWN = "while the stimulus was shown"
_OF_AFFECT = re.compile(r"^expr_(valence|arousal|dominance|quadrant|class|p_)")
_PROBABILITY = re.compile(r"^expr_p_(\w+?)(_mean)?$")


def probability_column(name: str) -> str:
    """Return the column of the probability of a class."""
    return f"expr_p_{name.strip().lower().replace(' ', '_')}"


def _number(description: str, unit: str | None = "1") -> Column:
    return Column(description, unit, kind="number")


_FRAME = {
    DOMINANCE: _number(f"Dominance of the expression {_MODEL}, -1 to 1."),
    QUADRANT: Column(
        f"Quadrant of the plane of valence and arousal of the expression {_MODEL}.",
        levels=QUADRANT_LEVELS,
        kind="string",
    ),
    CLASS_TOP: Column(f"Most probable class of expression {_MODEL}.", kind="string"),
    ENTROPY: _number(
        "Uncertainty of the class: entropy of the probabilities, 0 (one class is certain) to 1 (all are "
        "equally likely)."
    ),
    **{
        name: _number(
            f"Uncertainty of the {name.split('_')[1]} of the expression: half the difference between the "
            "model's answers to the picture and to its mirror image."
        )
        for name in SPREADS
    },
}
_SUMMARY = {
    f"{DOMINANCE}_mean": _number(f"Mean dominance of the expression {_SHOWN}, {_MODEL}, -1 to 1."),
    QUADRANT: Column(
        f"Quadrant of the mean valence and mean arousal of the expression {_SHOWN}, {_MODEL}.",
        levels=QUADRANT_LEVELS,
        kind="string",
    ),
    **{
        f"{QUADRANT}_{name}_fraction": _number(
            f"Share of the frames {_SHOWN} whose valence and arousal, {_MODEL}, lie in the quadrant {name} "
            f"({QUADRANT_LEVELS[name]})."
        )
        for name in (*QUADRANTS, "neutral")
    },
    CLASS_TOP: Column(
        f"Class of expression with the highest mean probability {_SHOWN}, {_MODEL}.", kind="string"
    ),
    f"{ENTROPY}_mean": _number(f"Mean entropy of the classes {_SHOWN}, 0 (certain) to 1."),
    **{
        f"{name}_mean": _number(
            f"Mean uncertainty of the {name.split('_')[1]} of the expression {_SHOWN}: half the difference "
            "between the model's answers to the picture and to its mirror image."
        )
        for name in SPREADS
    },
}


_ONE_CLASS = "happiness"
FRAME_COLUMNS = (*_FRAME, probability_column(_ONE_CLASS))
SUMMARY_COLUMNS = (*_SUMMARY, f"{probability_column(_ONE_CLASS)}_mean")
"""Columns of frames, and of presentations and windows, one class standing for all."""


def affect_columns(names: Iterable[str]) -> dict[str, Column]:
    """Return the codebook entries of those columns of frames that only an affect model gives."""
    return _described(names, _FRAME, "", "in the frame")


def affect_measures(names: Iterable[str]) -> dict[str, Column]:
    """Return the codebook entries of those columns of the summary that only an affect model gives."""
    return _described(names, _SUMMARY, "_mean", _SHOWN)


def with_affect_source(book: Codebook, report: Mapping[str, Any] | None) -> dict[str, Column]:
    """Return a codebook whose valence, arousal and classes say what they rest on in this session.

    Parameters
    ----------
    book : Codebook
        Any columns.
    report : mapping or None
        Of the affect backend (``rests_on``); None where it is not known.
    """
    said = "; ".join((report or {}).get("rests_on", ()))
    if not said:
        return dict(book)
    return {
        name: replace(column, description=f"{column.description} In this session: {said}.")
        if _OF_AFFECT.match(name)
        else column
        for name, column in book.items()
    }


def _described(
    names: Iterable[str], known: dict[str, Column], ending: str, when: str
) -> dict[str, Column]:
    found: dict[str, Column] = {}
    for name in names:
        match = _PROBABILITY.match(name)
        if name in known:
            found[name] = known[name]
        elif match and (match[2] or "") == ending:
            said = "Mean probability" if ending else "Probability"
            found[name] = _number(f"{said} of the class of expression {match[1]} {when}, {_MODEL}.")
    return found
