"""Reading the norm tables of stimulus databases, however they were saved."""

from __future__ import annotations

import codecs
import csv
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.stimuli.errors import DuchenneError
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

MISSING = frozenset({"", "n/a", "na", "nan", "null", "none", "-", ".", "#n/a", "missing"})
_DELIMITERS = "\t;,"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_PREAMBLE_LINES = 60


def folded(name: str) -> str:
    """Return a column name as it is compared: small letters and digits alone."""
    return re.sub(r"[^0-9a-z]", "", name.casefold())


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes
    ----------
    where : str
        File and line.
    cells : mapping of str to str
        Cell by folded column name.
    decimal_comma : bool
        Whether ``3,5`` is a number.
    """

    where: str
    cells: Mapping[str, str]
    decimal_comma: bool = False

    def text(self, *names: str) -> str | None:
        """Return the first cell of these columns that is not missing, else None."""
        for name in names:
            cell = self.cells.get(folded(name), "").strip()
            if cell.casefold() not in MISSING:
                return cell
        return None

    def number(self, *names: str) -> float | None:
        """Return the first number in these columns, else None.

        Raises
        ------
        DuchenneError
            The cell holds something else.
        """
        cell = self.text(*names)
        if cell is None:
            return None
        try:
            value = float(cell.replace(",", ".") if self.decimal_comma else cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise DuchenneError(
                f"{self.where}: {cell!r} in the column {names[0]!r} is no number; correct it "
                "or leave it empty"
            )
        return value


@dataclass(frozen=True)
class Table:
    """A table as read; `columns` are named as in the file."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def require(self, what: str, names: Sequence[str]) -> str:
        """Return that of the column names which the table has.

        Raises
        ------
        DuchenneError
            It has none of them.
        """
        known = {folded(column): column for column in self.columns}
        for name in names:
            if folded(name) in known:
                return known[folded(name)]
        hint = did_you_mean(names[0], self.columns, most=12)
        raise DuchenneError(
            f"{self.path}:1: no column for {what} (looked for {', '.join(names)}){hint}; "
            f"name it with --map {what}=COLUMN"
        )

    def has(self, *names: str) -> bool:
        """Return whether one of these columns is there."""
        own = {folded(column) for column in self.columns}
        return any(folded(name) in own for name in names)


def read_table(path: Path, keys: Collection[str] = ()) -> Table:
    """Read a table of text, whatever its encoding, line ends and separator.

    Parameters
    ----------
    path : Path
        UTF-8 (with or without a byte order mark), UTF-16 with one, or Windows-1252; lines ended by
        LF, CRLF or CR; cells separated by tabs, semicolons or commas.
    keys : collection of str
        Column names of which the header holds one: lines above it are skipped. Empty: the first line
        that is not empty is the header.

    Raises
    ------
    DuchenneError
        The file is missing, a spreadsheet, in no known encoding, has no header or an uneven row.
    """
    lines = decoded(path).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    start, delimiter = _header(path, lines, {folded(key) for key in keys})
    reader = csv.reader(iter([line + "\n" for line in lines[start:]]), delimiter=delimiter)
    columns = [name.strip() for name in next(reader)]
    names = [folded(name) for name in columns]
    rows = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{path}:{start + reader.line_num}"
        if len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
            raise DuchenneError(
                f"{where}: {len(cells)} cells under {len(names)} columns; put quotes around "
                "cells that "
                "hold the separator"
            )
        padded = [*cells, *[""] * (len(names) - len(cells))]
        rows.append(Row(where, dict(zip(names, padded, strict=False)), delimiter != ","))
    if not rows:
        raise DuchenneError(f"{path}: no rows below the header; is this the file of the norms?")
    return Table(path, tuple(columns), tuple(rows))


def decoded(path: Path) -> str:
    """Return the text of a file, refusing what is no text in one line.

    Raises
    ------
    DuchenneError
        No such file, a spreadsheet, or bytes of no known encoding, with the line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DuchenneError(f"{path}: cannot be read ({error.strerror})") from None
    if content.startswith(_SPREADSHEETS):
        raise DuchenneError(
            f"{path}: a spreadsheet, not text; save it as CSV (UTF-8) and name that"
        )
    if content.startswith(_UTF16):
        return _decode(path, content, "utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return _decode(path, content, "cp1252")


def _decode(path: Path, content: bytes, encoding: str) -> str:
    try:
        text = content.decode(encoding)
        at = text.find("\0")
        if at < 0:
            return text
        start = len(text[:at].encode(encoding, "replace"))
    except UnicodeDecodeError as error:
        start = error.start
    line = len(re.findall(rb"\r\n|\r|\n", content[:start])) + 1
    raise DuchenneError(
        f"{path}:{line}: neither UTF-8, UTF-16 nor Windows-1252 text (byte "
        f"0x{content[start]:02x}); "
        "save the table as UTF-8"
    )


def _header(path: Path, lines: Sequence[str], keys: Collection[str]) -> tuple[int, str]:
    """Return the index of the header line and its separator."""
    for index, line in enumerate(lines[:_PREAMBLE_LINES]):
        delimiter = max(_DELIMITERS, key=line.count)
        cells = {folded(cell) for cell in next(csv.reader([line], delimiter=delimiter), [])}
        if (keys and cells & set(keys)) or (not keys and line.strip()):
            return index, delimiter
    wanted = f" with a column {' or '.join(sorted(keys))}" if keys else ""
    raise DuchenneError(
        f"{path}:1: no header line{wanted}; is this the file of the norms? Otherwise: "
        "duchenne stimuli import csv with --map"
    )


def numbers(row: Row, wanted: Mapping[str, Iterable[str]]) -> dict[str, float]:
    """Return those of the wanted numbers that a row has.

    Parameters
    ----------
    row : Row
        Of the norms.
    wanted : mapping of str to iterable of str
        Name in the manifest → columns of the table that may hold it.
    """
    found = {name: row.number(*columns) for name, columns in wanted.items()}
    return {name: value for name, value in found.items() if value is not None}
