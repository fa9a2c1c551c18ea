"""Any table: a lab's own CSV, with the columns named on the command line.

``--map file=COLUMN`` is needed unless the table has a column ``file``. ``valence``, ``arousal``,
``dominance``, ``category``, ``description``, ``id``, ``kind``, ``licence`` and
``target_expression`` are taken from columns of the same name unless they are mapped; ``--map
NAME=COLUMN`` with any other name adds a column of numbers or words to the manifest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.stimuli.databases.base import (
    AUDIO_SUFFIXES,
    IMAGE_SUFFIXES,
    TEXT_SUFFIXES,
    VIDEO_SUFFIXES,
    Database,
    Entry,
    Source,
    importer,
)
from duchenne.stimuli.errors import DuchenneError, UsageError
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duchenne.stimuli.databases.tables import Row

PLAIN = Database(
    name="csv",
    title="a table of your own",
    citation="",
    licence="",
    redistributable=False,
    terms="as your source says; nothing is passed on unless --redistributable is given",
    suffixes=IMAGE_SUFFIXES | VIDEO_SUFFIXES | AUDIO_SUFFIXES | TEXT_SUFFIXES,
)
NORMS = ("valence", "arousal", "dominance")
TEXTS = ("category", "description", "id", "kind", "licence", "target_expression")
SCALE = ("norm_min", "norm_max")


@importer(PLAIN)
def read(source: Source) -> Sequence[Entry]:
    """Read a table with the columns that the user named."""
    table = source.table()
    table.require("file", source.names("file", "file", "file_name", "filename"))
    for name, column in source.columns.items():
        if not table.has(column):
            raise UsageError(
                f"--map {name}={column}: {table.path} has no such column{did_you_mean(column, table.columns)}"
            )
    return [e for row in table.rows if (e := _entry(row, source)) is not None]


def _entry(row: Row, source: Source) -> Entry | None:
    file = row.text(*source.names("file", "file", "file_name", "filename"))
    if file is None:
        return None
    norms = {name: row.number(*source.names(name, name)) for name in (*NORMS, *SCALE)}
    words = {name: row.text(*source.names(name, name)) for name in TEXTS}
    numbers: dict[str, float] = {}
    texts: dict[str, str] = {}
    for name, column in source.columns.items():
        if name not in (*norms, *words, "file") and (text := row.text(column)) is not None:
            try:
                value = row.number(column)
            except DuchenneError:
                texts[name] = text
            else:
                numbers[name] = value if value is not None else float("nan")
    return Entry(
        keys=(file,),
        where=row.where,
        numbers=numbers,
        texts=texts,
        valence=norms["valence"],
        arousal=norms["arousal"],
        dominance=norms["dominance"],
        norm_min=norms["norm_min"],
        norm_max=norms["norm_max"],
        category=words["category"],
        target_expression=words["target_expression"],
        description=words["description"],
        kind=words["kind"],
        id=words["id"],
        licence=words["licence"],
    )
