"""The table of ``duchenne au`` as a file: rounded, in one of two column styles, with its codebook."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.affect.columns import affect_columns
from duchenne.analysis.affect.table import AFFECT_STYLE, affect_table
from duchenne.analysis.codebooks import AU_FRAME, au_columns
from duchenne.analysis.face.openface import OPENFACE_COLUMNS, openface_table
from duchenne.analysis.tables import Column, replacing, write_codebook, write_table
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from typing_extensions import Self

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
    elif style == AFFECT_STYLE:
        table = affect_table(table)
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


class TableInParts:
    """A table that is written part by part: nothing is there until `close`, and then all of it.

    Parameters
    ----------
    path : Path
        Ends with ``.csv`` or ``.tsv``.
    style : {"tidy", "openface"}

    Examples
    --------
    >>> with TableInParts(path, "tidy") as table:                             # doctest: +SKIP
    ...     for result in film.results():
    ...         table.add(result.table)
    """

    def __init__(self, path: Path, style: str) -> None:
        self._path = path
        self._style = style
        self._parts: list[Path] = []
        self._folder: TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._folder is None:
            return
        try:
            if kind is None:
                join_tables(self._parts, self._path)
        finally:
            self._folder.cleanup()

    @property
    def written(self) -> bool:
        """Whether there was anything to write."""
        return bool(self._parts)

    def add(self, table: pd.DataFrame) -> None:
        """Add rows.

        Raises
        ------
        DuchenneError
            When they cannot be written.
        """
        if self._folder is None:
            try:
                self._folder = TemporaryDirectory(prefix=".parts-", dir=self._path.parent)
            except OSError as error:
                raise DuchenneError(
                    f"{self._path} could not be written ({error.strerror or error})."
                ) from error
        part = Path(self._folder.name) / f"{len(self._parts)}{self._path.suffix.lower()}"
        write_au_table(table, part, self._style)
        self._parts.append(part)


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
    book |= au_columns(names) | affect_columns(names)
    return {name: book[name] for name in names}
