"""GAPED, the Geneva Affective Picture Database.

Source of the format: the folder ``GAPED`` as distributed: one folder of BMP pictures for each
content (``A`` animal mistreatment, ``H`` human rights violations, ``N`` neutral, ``P`` positive,
``Sn`` snakes, ``Sp`` spiders; ``A001.bmp``) with tables of the same letter (``A.txt`` or
``GAPED_A.txt``): picture, valence, arousal and the two ratings of moral acceptability, each with
its standard deviation in a column of its own or not at all. Scales run from 0 to 100.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from duchenne.stimuli.databases.base import Database, Entry, Source, importer
from duchenne.stimuli.databases.tables import numbers, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.stimuli.databases.tables import Row

LEVELS = {
    "A": "animal mistreatment",
    "H": "human rights violations",
    "N": "neutral objects and scenes",
    "P": "positive: babies, animals, landscapes",
    "Sn": "snakes",
    "Sp": "spiders",
}
GAPED = Database(
    name="gaped",
    title="Geneva Affective Picture Database (GAPED)",
    citation="Dan-Glauser, E. S., & Scherer, K. R. (2011). The Geneva affective picture "
    "database (GAPED). Behavior "
    "Research Methods, 43, 468–477. doi 10.3758/s13428-011-0064-1",
    licence="GAPED terms of use",
    redistributable=False,
    terms="for research; pictures come from the internet and must not be published",
    norm_min=0.0,
    norm_max=100.0,
    norm_files=("GAPED*.txt", "GAPED*.csv", "[AHNP].txt|S[np].txt"),
    norms="valence and arousal from 0 to 100, and the acceptability with regard to moral and "
    "legal norms",
    levels=LEVELS,
)
KEYS = ("Picture", "File", "File name", "Name", "Id", "Image")
_EXTRA = {
    "valence_sd": ("valence_sd", "sd valence", "valence (SD)"),
    "arousal_sd": ("arousal_sd", "sd arousal", "arousal (SD)"),
    "internal_norms_mean": ("internal norms", "internal_norms", "int norms", "moral"),
    "external_norms_mean": ("external norms", "external_norms", "ext norms", "legal"),
}


@importer(GAPED)
def read(source: Source) -> Sequence[Entry]:
    """Read every table of the folder."""
    entries: list[Entry] = []
    for path in source.norms:
        table = read_table(path, [*KEYS, *source.columns.values()])
        key = table.require("file", source.names("file", *KEYS))
        table.require("valence", source.names("valence", "valence", "valence_mean", "mean valence"))
        for row in table.rows:
            name = row.text(key)
            if name is not None:
                entries.append(_entry(name, row, source))
    return entries


def _entry(name: str, row: Row, source: Source) -> Entry:
    letters = re.match(r"[A-Za-z]*", name.rpartition("/")[2])
    content = {k.casefold(): k for k in LEVELS}.get(letters[0].casefold() if letters else "")
    return Entry(
        keys=(name,),
        where=row.where,
        valence=row.number(*source.names("valence", "valence", "valence_mean", "mean valence")),
        arousal=row.number(*source.names("arousal", "arousal", "arousal_mean", "mean arousal")),
        category=content,
        description=LEVELS[content] if content else None,
        numbers=numbers(row, _EXTRA),
        texts={"content": content} if content else {},
    )
