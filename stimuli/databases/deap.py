"""DEAP, music videos for emotion analysis: the list of its videos.

Source of the format: ``video_list.csv`` (also given as a spreadsheet; save it as CSV): columns
``Online_id, Experiment_id, Lastfm_tag, Artist, Title, Youtube_link, Highlight_start, Num_ratings,
VAQ_Estimate, VAQ_Online, AVG_Valence, STD_Valence, …, AVG_Arousal, …, AVG_Dominance, …``; some
copies write ``AVG_x``, ``AVG_y`` and ``AVG_z`` for the three. The videos themselves are not part of
DEAP; a lab's excerpts are found by number of the experiment (``7.mp4``, ``07.mp4``,
``exp_07.mp4``), else of the online list (``online_21.mp4``), else by title.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.stimuli.databases.base import VIDEO_SUFFIXES, Database, Entry, Source, importer
from duchenne.stimuli.databases.tables import numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.stimuli.databases.tables import Row

DEAP = Database(
    name="deap",
    title="DEAP list of music videos",
    citation="Koelstra, S., et al. (2012). DEAP: A database for emotion analysis using "
    "physiological signals. IEEE "
    "Transactions on Affective Computing, 3, 18–31. doi 10.1109/T-AFFC.2011.15",
    licence="DEAP terms of use; the videos belong to their makers",
    redistributable=False,
    terms="ratings for research under an agreement; the music videos are not part of it",
    norm_min=1.0,
    norm_max=9.0,
    norm_files=("video_list.csv", "video_list*.csv", "video_list*.txt"),
    suffixes=VIDEO_SUFFIXES,
    norms="valence, arousal and dominance of the online ratings on the Self-Assessment "
    "Manikin from 1 to 9",
)
NORMS = {"valence": "x", "arousal": "y", "dominance": "z"}


def _columns(statistic: str, norm: str) -> tuple[str, str]:
    return f"{statistic}_{norm}", f"{statistic}_{NORMS[norm]}"


@importer(DEAP)
def read(source: Source) -> Sequence[Entry]:
    """Read the online ratings; rows of videos without a file in the folder are listed by the caller."""
    table = source.table("Online_id", "Experiment_id")
    table.require("valence", source.names("valence", *_columns("AVG", "valence")))
    return [e for row in table.rows if (e := _entry(row, source)) is not None]


def _entry(row: Row, source: Source) -> Entry | None:
    experiment, online, title = row.text("Experiment_id"), row.text("Online_id"), row.text("Title")
    named = row.text(source.columns["file"]) if "file" in source.columns else None
    keys = [named] if named else []
    for number, prefixes in ((experiment, ("", "exp_", "exp")), (online, ("online_", "online"))):
        if number is not None and number.removesuffix(".0").isdigit():
            n = int(number.removesuffix(".0"))
            keys += [f"{p}{width}" for p in prefixes for width in (n, f"{n:02d}", f"{n:03d}")]
    keys += [title] if title else []
    if not keys:
        return None
    values = {norm: row.number(*source.names(norm, *_columns("AVG", norm))) for norm in NORMS}
    wanted: dict[str, tuple[str, ...]] = {f"{norm}_sd": _columns("STD", norm) for norm in NORMS}
    wanted |= {"n_ratings": ("Num_ratings",), "highlight_start_s": ("Highlight_start",)}
    artist, tag, link = row.text("Artist"), row.text("Lastfm_tag"), row.text("Youtube_link")
    texts = {"artist": artist, "title": title, "tag": tag, "link": link}
    return Entry(
        keys=tuple(keys),
        where=row.where,
        valence=values["valence"],
        arousal=values["arousal"],
        dominance=values["dominance"],
        description=" – ".join(t for t in (artist, title) if t) or None,
        numbers=numbers(row, wanted),
        texts={name: t for name, t in texts.items() if t},
    )
