"""OASIS, the Open Affective Standardized Image Set.

Source of the format: ``OASIS.csv`` as distributed with the paper: lines ended by CR alone; columns
``(none), Theme, Category, Source, Valence_mean, Valence_SD, Valence_N, Arousal_mean, Arousal_SD,
Arousal_N``; pictures in ``images/`` named by their theme (``Acorns 1.jpg``).
``OASIS_bygender*.csv`` beside it has the same means by sex.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.stimuli.databases.base import Database, Entry, Source, importer
from duchenne.stimuli.databases.tables import numbers, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.stimuli.databases.tables import Row

OASIS = Database(
    name="oasis",
    title="Open Affective Standardized Image Set (OASIS)",
    citation="Kurdi, B., Lozano, S., & Banaji, M. R. (2017). Introducing the Open Affective "
    "Standardized Image Set "
    "(OASIS). Behavior Research Methods, 49, 457–470. doi 10.3758/s13428-016-0715-3",
    licence="open access; see the source of each picture",
    redistributable=True,
    terms="published for unrestricted use; the column `source` names where each picture comes from",
    norm_min=1.0,
    norm_max=7.0,
    norm_files=("OASIS.csv", "OASIS*.csv"),
    norms="valence and arousal on scales from 1 to 7",
)
SEXES = ("men", "women")


@importer(OASIS)
def read(source: Source) -> Sequence[Entry]:
    """Read the means of all raters, and those by sex where that table lies beside it."""
    table = source.table("Theme")
    table.require("file", source.names("file", "Theme"))
    sample = source.choose_sample(("all", *SEXES), "all")
    by_sex = _by_sex(source)
    entries = []
    for row in table.rows:
        theme = row.text(*source.names("file", "Theme"))
        if theme is not None:
            entries.append(_entry(row, by_sex.get(theme.casefold(), row), theme, sample, source))
    return entries


def _by_sex(source: Source) -> dict[str, Row]:
    places = sorted(source.norms[0].parent.glob("OASIS_bygender*.csv"))
    if not places:
        return {}
    rows = read_table(places[0], ["Theme"]).rows
    return {theme.casefold(): row for row in rows if (theme := row.text("Theme")) is not None}


def _entry(row: Row, sexed: Row, theme: str, sample: str, source: Source) -> Entry:
    wanted = {
        f"{norm}_{what}": (f"{norm}_{what}",)
        for norm in ("valence", "arousal")
        for what in ("sd", "n")
    }
    spread = {
        f"{norm}_{what}_{sex}": (f"{norm}_{what}_{sex}",)
        for norm in ("valence", "arousal")
        for what in ("mean", "sd", "n")
        for sex in SEXES
    }
    category, origin = row.text("Category"), row.text("Source")
    texts = {"theme": theme} | ({"content": category} if category else {})
    suffix, taken = ("", row) if sample == "all" else (f"_{sample}", sexed)
    return Entry(
        keys=(theme,),
        where=row.where,
        valence=taken.number(*source.names("valence", f"Valence_mean{suffix}")),
        arousal=taken.number(*source.names("arousal", f"Arousal_mean{suffix}")),
        category=category,
        description=theme.rstrip("0123456789 "),
        numbers=numbers(row, wanted) | numbers(sexed, spread),
        texts=texts | ({"source": origin} if origin else {}),
    )
