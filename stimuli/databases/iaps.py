"""IAPS, the International Affective Picture System.

Source of the format: the text tables that come with the technical report (``AllSubjects_1-20.txt``,
and the same for ``Males`` and ``Females``): some lines of text, then tab-separated columns ``desc,
IAPS, valmn, valsd, aromn, arosd, dom1mn, dom1sd, dom2mn, dom2sd, set``; ``.`` where there is no
value. Pictures are named by number (``1050.jpg``, ``2055.1.jpg``). A picture that was rated in more
than one set has more than one row; the last one counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.stimuli.databases.base import Database, Entry, Source, importer
from duchenne.stimuli.databases.tables import numbers, read_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from duchenne.stimuli.databases.tables import Row

IAPS = Database(
    name="iaps",
    title="International Affective Picture System (IAPS)",
    citation="Lang, P. J., Bradley, M. M., & Cuthbert, B. N. (2008). International affective "
    "picture system (IAPS): "
    "Affective ratings of pictures and instruction manual. Technical Report A-8, University "
    "of Florida",
    licence="IAPS terms of use",
    redistributable=False,
    terms="for research by the receiving lab alone; pictures must not be published or passed on",
    norm_min=1.0,
    norm_max=9.0,
    norm_files=("AllSubjects*.txt", "*IAPS*.txt", "*IAPS*.csv"),
    norms="valence, arousal and dominance on the Self-Assessment Manikin from 1 to 9",
)
MEANS = {"valence": ("valmn",), "arousal": ("aromn",), "dominance": ("dom1mn", "dom2mn")}
SPREADS = {"valence_sd": ("valsd",), "arousal_sd": ("arosd",), "dominance_sd": ("dom1sd", "dom2sd")}
KEYS = ("IAPS", "IAPS number", "slide", "slide number", "picture")


@importer(IAPS)
def read(source: Source) -> Sequence[Entry]:
    """Read the norms of all subjects; those of males and females where their tables lie beside it."""
    sample = source.choose_sample(("all", "male", "female"), "all")
    table = source.table("IAPS", "slide", "slide number", "picture")
    key = table.require("file", source.names("file", *KEYS))
    folder = source.norms[0].parent
    sexes = {sex: _rows(folder, f"{sex.capitalize()}*.txt") for sex in ("males", "females")}
    rows = {k: row for row in table.rows if (k := row.text(key)) is not None}
    entries = []
    for number, row in rows.items():
        sexed = {sex[:-1]: found[number] for sex, found in sexes.items() if number in found}
        entries.append(_entry(number, sexed.get(sample, row), sexed, source))
    return entries


def _rows(folder: Path, pattern: str) -> dict[str, Row]:
    found = sorted(folder.glob(pattern))
    rows = read_table(found[0], ["IAPS"]).rows if found else ()
    return {k: row for row in rows if (k := row.text("IAPS")) is not None}


def _entry(number: str, row: Row, sexed: dict[str, Row], source: Source) -> Entry:
    found = numbers(row, SPREADS)
    for sex, own in sexed.items():
        found |= {f"{k}_mean_{sex}": v for k, v in numbers(own, MEANS).items()}
        found |= {f"{k}_{sex}": v for k, v in numbers(own, SPREADS).items()}
    what, group = row.text("desc", "description"), row.text("set")
    plain = number.removesuffix(".0")
    return Entry(
        keys=(number, plain),
        where=row.where,
        valence=row.number(*source.names("valence", *MEANS["valence"])),
        arousal=row.number(*source.names("arousal", *MEANS["arousal"])),
        dominance=row.number(*source.names("dominance", *MEANS["dominance"])),
        description=what,
        numbers=found,
        texts={"set": group} if group else {},
    )
