"""A plain folder: pictures or films, and one CSV that says what is in them.

Columns: ``file`` (below the folder), ``frame`` (number from 0, for films), ``subject``, and any of ``AU01`` …
(also ``AU1``, ``au_6``, ``AU12_L``), ``expression`` (name or number of the class), ``valence``, ``arousal``,
``dominance``; optionally ``condition``. Empty cells and ``n/a`` mean not known. Other columns are not read.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from duchenne.analysis.training.datasets.base import Picture, dataset, expression
from duchenne.analysis.training.datasets.files import (
    is_film,
    known,
    need_columns,
    read_table,
    unit,
)
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.training.datasets.base import Tell

_MEASURES = ("valence", "arousal", "dominance")


@dataset(
    "folder",
    title="a folder of pictures or films with one CSV",
    kind="mixed",
    layout="one CSV with file, frame (films), subject and AU01 …, expression, valence or arousal",
    known_from="our own",
    licence="as whoever made it says",
    citation="",
)
def read_folder(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every row of the table whose picture is there."""
    path = _table(source)
    root = path.parent
    table = read_table(path, sep=None, engine="python", dtype=str, na_values=["n/a", ""])
    columns = {str(c): name for c in table.columns if (name := _label(str(c))) is not None}
    table = table.rename(columns=columns)
    if not columns:
        raise DuchenneError(
            f"{path} has no column of labels: AU01 …, expression, valence, arousal, dominance."
        )
    table = _with_plain_headings(table, path)
    gone: set[str] = set()
    rows = table.to_dict("records")
    order = {name: i for i, name in enumerate(dict.fromkeys(row["file"] for row in rows))}
    rows.sort(key=lambda row: (order[row["file"]], _number(row.get("frame")) or 0))
    for i, row in enumerate(rows):
        film = root / str(row["file"])
        if not film.is_file():
            gone.add(str(row["file"]))
            continue
        frame = _number(row.get("frame"))
        if is_film(film) and frame is None:
            raise DuchenneError(f"{path}: {row['file']} is a film, and a row of it has no frame.")
        if pd.isna(row["subject"]):
            raise DuchenneError(f"{path}: row {i + 2} ({row['file']}) has no subject.")
        labels = known({name: _value(row, name, path) for name in columns.values()})
        if labels:
            condition = row.get("condition")
            yield Picture(
                film,
                labels,
                str(row["subject"]),
                condition if isinstance(condition, str) else "",
                frame,
            )
    if gone:
        tell(f"{len(gone)} files of {path.name} are not there, such as {min(gone)}")


def _with_plain_headings(table: Any, path: Path) -> Any:
    """Return the table with the headings that are no Action Units in lower case."""
    lower = {c: c.strip().lower() for c in map(str, table.columns) if not c.startswith("AU")}
    table = table.rename(columns=lower)
    need_columns(table, path, "file", "subject")
    return table


def _table(source: Path) -> Path:
    if source.is_file():
        return source
    tables = sorted(p for p in source.iterdir() if p.suffix.lower() in {".csv", ".tsv"})
    if len(tables) != 1:
        raise DuchenneError(
            f"{source} has {len(tables)} tables (.csv or .tsv): name the one that counts instead."
        )
    return tables[0]


def _label(heading: str) -> str | None:
    name = heading.strip().lower()
    if name == "expression" or name in _MEASURES:
        return name
    return unit(heading)


def _number(cell: Any) -> int | None:
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return None
    return int(number) if math.isfinite(number) else None


def _value(row: dict[Any, Any], name: str, path: Path) -> float:
    cell = row[name]
    if pd.isna(cell):
        return float("nan")
    if name == "expression":
        found = expression(str(cell))
        if found is not None:
            return float(found)
    try:
        return float(cell)
    except ValueError as error:
        raise DuchenneError(f"{path}: {name} is '{cell}' for {row['file']}.") from error
