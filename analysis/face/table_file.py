"""The table of ``duchenne au`` as a file: rounded, in one of two column styles, with its codebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.codebooks import AU_FRAME, au_columns
from duchenne.analysis.face.openface import OPENFACE_COLUMNS, openface_table
from duchenne.analysis.tables import Column, replacing, write_codebook, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

STYLES = ("tidy", "openface")
SEPARATORS = {".csv": ",", ".tsv": "\t"}
DECIMALS = 4
_TIMES = frozenset({"time", "timestamp"})


def write_au_table(table: pd.DataFrame, path: Path, style: str) -> None:
    """Write a table of frames and, beside it, its codebook.

    Parameters
    ----------
    table : pandas.DataFrame
        Of :func:`duchenne.analysis.face.process.analyse_face`; a column ``input`` becomes the first.
    path : Path
        Ends with ``.csv`` or ``.tsv``.
    style : {"tidy", "openface"}

    Raises
    ------
    DuchenneError
        When the file cannot be written.
    """
    columns = [str(c) for c in table.columns if c != "input"]
    table = table[(["input"] if "input" in table else []) + columns]
    if style == "openface":
        table = openface_table(table)
    table = _rounded(table)
    codebook = _codebook([str(c) for c in table.columns], style)
    if path.suffix.lower() == ".tsv":
        write_table(table, path, codebook)
        return
    kinds = {name: column.kind or "number" for name, column in codebook.items()}
    for name, kind in kinds.items():
        if kind == "integer":
            table[name] = table[name].astype("Int64")
        elif kind == "boolean":
            table[name] = table[name].map({True: "true", False: "false"})
    write_codebook(codebook, path.with_suffix(".json"), kinds)
    with replacing(path) as aside:
        table.to_csv(aside, sep=",", index=False, na_rep="n/a", lineterminator="\n")


def join_tables(parts: Sequence[Path], out: Path) -> None:
    """Write tables of the same columns as one, line by line, with the codebook of the first.

    Raises
    ------
    DuchenneError
        When the file cannot be written.
    """
    with replacing(out) as aside, aside.open("wb") as joined:
        for i, part in enumerate(parts):
            with part.open("rb") as lines:
                head = next(lines)
                if i == 0:
                    joined.write(head)
                for line in lines:
                    joined.write(line)
    with replacing(out.with_suffix(".json")) as book:
        book.write_bytes(parts[0].with_suffix(".json").read_bytes())


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    table = table.copy()
    for name in table.columns:
        if name in _TIMES:
            table[name] = table[name].round(6)
        elif table[name].dtype == np.float64:
            table[name] = table[name].round(DECIMALS) + 0.0
    return table


def _codebook(names: Sequence[str], style: str) -> dict[str, Column]:
    book: dict[str, Column] = dict(AU_FRAME)
    book["input"] = Column("Name of the file that the row is about.", kind="string")
    book["time"] = Column("Time of the frame from the start of the video.", "s", kind="number")
    if style == "openface":
        book |= OPENFACE_COLUMNS
    book |= au_columns(names)
    return {name: book[name] for name in names}
