"""EMDB, the Emotional Movie Database.

Source of the format: the norm table of the paper (save it as CSV): one row for each film of 40 s
without sound, by its number (``1000`` …; files ``1000.avi``), with means and standard deviations of
valence, arousal and dominance (Self-Assessment Manikin, 1 to 9) of all raters, some tables also of
men and women, and the content (horror, erotic, social negative, social positive, scenery, object
manipulation).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.stimuli.databases.base import VIDEO_SUFFIXES, Database, Entry, Source, importer
from duchenne.stimuli.databases.tables import numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.stimuli.databases.tables import Row

EMDB = Database(
    name="emdb",
    title="Emotional Movie Database (EMDB)",
    citation="Carvalho, S., Leite, J., Galdo-Álvarez, S., & Gonçalves, Ó. F. (2012). The "
    "Emotional Movie Database (EMDB): "
    "A self-report and psychophysiological study. Applied Psychophysiology and Biofeedback, "
    "37, 279–294. "
    "doi 10.1007/s10484-012-9201-6",
    licence="EMDB terms of use",
    redistributable=False,
    terms="given on request for research; excerpts of commercial films must not be passed on",
    norm_min=1.0,
    norm_max=9.0,
    norm_files=("EMDB*.csv", "EMDB*.txt", "EMDB*.tsv"),
    suffixes=VIDEO_SUFFIXES,
    norms="valence, arousal and dominance on the Self-Assessment Manikin from 1 to 9",
)
KEYS = ("Film", "Film number", "Clip", "Clip number", "Number", "ID", "Code")
NORMS = ("valence", "arousal", "dominance")


def _mean(norm: str) -> tuple[str, ...]:
    return (norm, f"{norm} mean", f"mean {norm}", f"{norm} m", f"m {norm}")


@importer(EMDB)
def read(source: Source) -> Sequence[Entry]:
    """Read the norms of every film, by sex where given."""
    table = source.table(*KEYS)
    key = table.require("file", source.names("file", *KEYS))
    for norm in ("valence", "arousal"):
        table.require(norm, source.names(norm, *_mean(norm)))
    return [_entry(name, row, source) for row in table.rows if (name := row.text(key)) is not None]


def _entry(name: str, row: Row, source: Source) -> Entry:
    wanted: dict[str, tuple[str, ...]] = {
        f"{norm}_sd": (f"{norm} sd", f"sd {norm}") for norm in NORMS
    }
    for sex, other in (("male", "men"), ("female", "women")):
        for norm in NORMS:
            wanted[f"{norm}_mean_{sex}"] = (
                f"{norm} mean {sex}",
                f"{norm} {sex}",
                f"{norm} {other}",
            )
            wanted[f"{norm}_sd_{sex}"] = (f"{norm} sd {sex}", f"{norm} sd {other}")
    content = row.text("Category", "Content", "Type")
    values = {norm: row.number(*source.names(norm, *_mean(norm))) for norm in NORMS}
    return Entry(
        keys=(name, name.removesuffix(".0")),
        where=row.where,
        valence=values["valence"],
        arousal=values["arousal"],
        dominance=values["dominance"],
        category=content,
        description=row.text("Description", "Film title", "Title") or content,
        numbers=numbers(row, wanted),
        texts={"content": content} if content else {},
    )
