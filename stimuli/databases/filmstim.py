"""FilmStim, a set of emotion-eliciting film excerpts.

Source of the format: the norm table of the paper (save it as CSV): one row for each of 64 + 6
excerpts with number, film, target emotion, self-reported arousal (1 to 7), positive and negative
affect (PANAS-like, 1 to 5) and scores of the Differential Emotions Scale. It has no valence:
positive and negative affect are kept apart, as published, and the category is the target emotion.
Files are named by number (``12.avi``, ``012 - Title.avi``) or by film.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.stimuli.databases.base import VIDEO_SUFFIXES, Database, Entry, Source, importer
from duchenne.stimuli.databases.tables import folded, numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.stimuli.databases.tables import Row

FILMSTIM = Database(
    name="filmstim",
    title="FilmStim",
    citation="Schaefer, A., Nils, F., Sanchez, X., & Philippot, P. (2010). Assessing the "
    "effectiveness of a large "
    "database of emotion-eliciting films. Cognition and Emotion, 24, 1153–1172. doi "
    "10.1080/02699930903274322",
    licence="FilmStim terms of use",
    redistributable=False,
    terms="for research; excerpts of commercial films must not be passed on",
    norm_min=1.0,
    norm_max=7.0,
    norm_files=("FilmStim*.csv", "FilmStim*.txt", "FilmStim*.tsv"),
    suffixes=VIDEO_SUFFIXES,
    norms="arousal from 1 to 7; positive and negative affect from 1 to 5; scores of the "
    "Differential Emotions Scale",
)
KEYS = ("Number", "No", "Nr", "Film number", "ID", "Code")
TITLES = ("Film", "Film name", "Title", "Name")
_DES = (
    "amusement",
    "anger",
    "sadness",
    "tenderness",
    "fear",
    "disgust",
    "contempt",
    "guilt",
    "shame",
    "joy",
)
_EXTRA = {
    "arousal_sd": ("arousal sd", "sd arousal"),
    "positive_affect": ("positive affect", "PA", "PANAS positive"),
    "negative_affect": ("negative affect", "NA", "PANAS negative"),
    **{f"des_{name}": (f"DES {name}", name) for name in _DES},
}
_TARGETS = {
    "fear": "fear",
    "anger": "anger",
    "sadness": "sadness",
    "disgust": "disgust",
    "amusement": "happiness",
    "tenderness": "happiness",
    "neutral": "neutral",
    "neutrality": "neutral",
}


@importer(FILMSTIM)
def read(source: Source) -> Sequence[Entry]:
    """Read arousal, affect and discrete emotions of every excerpt."""
    table = source.table(*KEYS, *TITLES)
    table.require("arousal", source.names("arousal", "arousal", "arousal mean", "mean arousal"))
    table.require("file", source.names("file", *KEYS, *TITLES))
    return [e for row in table.rows if (e := _entry(row, source)) is not None]


def _entry(row: Row, source: Source) -> Entry | None:
    number, title = row.text(*source.names("file", *KEYS)), row.text(*TITLES)
    keys = [key for key in (number, title) if key is not None]
    if number is not None and number.isdigit():
        keys[1:1] = [f"{int(number):02d}", f"{int(number):03d}"]
    if not keys:
        return None
    target = row.text("Target", "Target emotion", "Emotion", "Category")
    return Entry(
        keys=tuple(keys),
        where=row.where,
        arousal=row.number(*source.names("arousal", "arousal", "arousal mean", "mean arousal")),
        category=target,
        target_expression=_TARGETS.get(folded(target)) if target else None,
        description=title,
        numbers=numbers(row, _EXTRA),
        texts={"emotion": target} if target else {},
    )
