"""What R, JASP and jamovi need besides a CSV: the levels of its factors, and a script that sets them."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING

from duchenne.analysis.tables import Column, write_codebook

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from duchenne.analysis.tables import Codebook

LEVELS, SCRIPT = "levels.csv", "read_tables.R"
R_TYPES = {"number": "numeric", "integer": "integer", "boolean": "logical"}
LEVEL_COLUMNS = {
    "table": Column("Name of the table.", kind="string"),
    "column": Column("Name of the factor.", kind="string"),
    "order": Column("Place of the level, from 1.", kind="integer"),
    "level": Column("Value as it is in the table.", kind="string"),
    "meaning": Column("What it means; empty where its name says it.", kind="string"),
}
HEAD = """\
# Reads the tables of this folder into data frames of the same names: types and levels as in their codebooks.
# In R: source("read_tables.R", chdir = TRUE). JASP and jamovi open the CSV files as they are; levels.csv
# has the order of the levels. A value that no codebook names becomes a level after the others.
"""


def write_factors(books: Mapping[str, Codebook], folder: Path, na: str) -> None:
    """Write ``levels.csv`` and ``read_tables.R``.

    Parameters
    ----------
    books : mapping of str to codebook
        By the name of the table.
    folder : Path
    na : str
        What stands for a missing value.
    """
    with (folder / LEVELS).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["table", "column", "order", "level", "meaning"])
        for table, book in books.items():
            for column, entry in book.items():
                for order, (level, meaning) in enumerate((entry.levels or {}).items(), start=1):
                    writer.writerow([table, column, order, level, meaning])
    write_codebook(LEVEL_COLUMNS, folder / "levels.json", dict.fromkeys(LEVEL_COLUMNS, "string"))
    text = HEAD + "\n".join(_r_table(name, book, na) for name, book in books.items())
    (folder / SCRIPT).write_text(text, encoding="utf-8")


def _r_table(name: str, book: Codebook, na: str) -> str:
    types = ", ".join(
        f"{_quoted(column)} = {_quoted(R_TYPES.get(entry.kind or 'string', 'character'))}"
        for column, entry in book.items()
    )
    options = f'na.strings = {_quoted(na)}, encoding = "UTF-8", check.names = FALSE'
    file = _quoted(f"{name}.csv")
    lines = [f"{_symbol(name)} <- read.csv({file}, {options}, colClasses = c({types}))"]
    for column, entry in book.items():
        if entry.levels and (entry.kind or "string") == "string":
            levels = ", ".join(_quoted(str(level)) for level in entry.levels)
            cell = f"{_symbol(name)}[[{_quoted(column)}]]"
            lines.append(
                f"{cell} <- factor({cell}, levels = union(c({levels}), sort(unique({cell}))))"
            )
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Return a text as R writes it; its escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False)


def _symbol(name: str) -> str:
    return f"`{name}`"
