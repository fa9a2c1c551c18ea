"""NAPS, the Nencki Affective Picture System.

Source of the format: the norm table of the paper's supplement (a spreadsheet; save it as CSV):
columns ``ID`` (as in ``Faces_001_h``, the name of the picture), ``Category`` and, for valence,
arousal and approach–avoidance, means and standard deviations (``M_Val`` or ``Valence_mean`` and the
like; ``V/H`` says upright or wide), some tables by sex (``…_men``, ``…_women``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.stimuli.databases.base import Database, Entry, Source, importer
from duchenne.stimuli.databases.tables import numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.stimuli.databases.tables import Row

NAPS = Database(
    name="naps",
    title="Nencki Affective Picture System (NAPS)",
    citation="Marchewka, A., Żurawski, Ł., Jednoróg, K., & Grabowska, A. (2014). The Nencki "
    "Affective Picture System "
    "(NAPS). Behavior Research Methods, 46, 596–610. doi 10.3758/s13428-013-0379-1",
    licence="NAPS terms of use",
    redistributable=False,
    terms="given on request for non-commercial research; ask before passing pictures on",
    norm_min=1.0,
    norm_max=9.0,
    norm_files=("NAPS*.csv", "NAPS*.txt", "NAPS*.tsv"),
    norms="valence, arousal and approach–avoidance on sliders from 1 to 9",
)
KEYS = ("ID", "File name", "Picture", "Landmark")
_WORDS = {
    "valence": ("valence", "val"),
    "arousal": ("arousal", "aro", "ar"),
    "approach": ("approach_avoidance", "approach-avoidance", "avapp", "av_ap", "appr", "app"),
}
_MEANS = ("m", "mean")
_SEXES = {"male": ("male", "men"), "female": ("female", "women")}


def _columns(word: str, statistic: Sequence[str], sex: Sequence[str] = ("",)) -> tuple[str, ...]:
    """Return the ways in which a column of a statistic may be called."""
    found = [
        name
        for w in _WORDS[word]
        for s in statistic
        for x in sex
        for name in (f"{w}{s}{x}", f"{s}{w}{x}", f"{x}{w}{s}", f"{w}{x}{s}")
    ]
    return tuple(dict.fromkeys(found))


@importer(NAPS)
def read(source: Source) -> Sequence[Entry]:
    """Read means and standard deviations, by sex where given."""
    table = source.table(*KEYS)
    key = table.require("file", source.names("file", *KEYS))
    for word in ("valence", "arousal"):
        table.require(word, source.names(word, *_columns(word, _MEANS), *_WORDS[word][:1]))
    return [_entry(name, row, source) for row in table.rows if (name := row.text(key)) is not None]


def _entry(name: str, row: Row, source: Source) -> Entry:
    wanted = {f"{word}_sd": _columns(word, ("sd",)) for word in _WORDS}
    wanted["approach_mean"] = (*_columns("approach", _MEANS), *_WORDS["approach"][:1])
    for sex, names in _SEXES.items():
        for word in _WORDS:
            plain = tuple(f"{word}{x}" for x in names)
            wanted[f"{word}_mean_{sex}"] = (*_columns(word, _MEANS, names), *plain)
            wanted[f"{word}_sd_{sex}"] = _columns(word, ("sd",), names)
    content = row.text("Category")
    return Entry(
        keys=(name,),
        where=row.where,
        valence=row.number(*source.names("valence", *_columns("valence", _MEANS), "valence")),
        arousal=row.number(*source.names("arousal", *_columns("arousal", _MEANS), "arousal")),
        category=content,
        description=row.text("Description") or content,
        numbers=numbers(row, wanted),
        texts={"content": content} if content else {},
    )
