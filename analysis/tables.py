"""Tables that explain themselves: TSV with ``n/a`` for missing, and a JSON codebook beside each.

The codebook follows the sidecar files of BIDS: a JSON object keyed by column name, each entry
with ``LongName``, ``Description``, ``Units``, ``Levels`` and ``Format``. Reading uses ``Format``,
so that the participant ``"01"`` comes back as text and a missing trial number stays an integer.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MISSING = "n/a"
SIGNIFICANT_DIGITS = 7
TIME_DECIMALS = 6
SAMPLES_AT_ONCE = 500_000
ROWS_AT_ONCE = 10_000
"""Rows of a table whose texts are in memory at a time."""
"""Rows of a long table that are turned into Parquet at a time."""


@dataclass(frozen=True)
class Column:
    """What one column of a table means.

    Parameters
    ----------
    description : str
        One or more sentences: what is measured, over which window, what missing means.
    unit : str, optional
        Unit of the values, such as ``"s"``, ``"deg"``, ``"Hz"`` or ``"1"`` for a share.
    levels : mapping of str to str, optional
        For categories: each value that can appear, with its meaning.
    derivative : bool, default False
        The column is computed from other columns of the same table.
    long_name : str, optional
        The name in words, for figures and headings.
    kind : {"number", "integer", "boolean", "string"}, optional
        The type of the values; taken from the data where absent. Give it for labels such as
        ``"01"``, which are text although they look like numbers, and for columns that may be
        wholly missing.
    digits : int, optional
        Significant digits to write; seven where absent. Values in seconds are written to the
        microsecond.
    """

    description: str
    unit: str | None = None
    levels: Mapping[str, str] | None = None
    derivative: bool = False
    long_name: str | None = None
    kind: str | None = None
    digits: int | None = None

    def __post_init__(self) -> None:
        if not self.description.strip():
            raise ValueError("a column needs a description")
        if self.kind not in {None, "number", "integer", "boolean", "string"}:
            raise ValueError(f"unknown kind of column: {self.kind}")

    def of_kind(self, kind: str) -> Column:
        """Return the same column with its type declared."""
        return replace(self, kind=kind)

    def to_json(self, name: str, kind: str) -> dict[str, Any]:
        """Return the BIDS entry of this column.

        Parameters
        ----------
        name : str
            The column's name, used as the long name where none was given.
        kind : str
            The type found in the data, used where none was declared.
        """
        entry: dict[str, Any] = {
            "LongName": self.long_name or _in_words(name),
            "Description": self.description,
            "Format": self.kind or kind,
        }
        if self.unit is not None:
            entry["Units"] = self.unit
        if self.levels is not None:
            entry["Levels"] = dict(self.levels)
        if self.derivative:
            entry["Derivative"] = True
        return entry


Codebook = Mapping[str, Column]


def write_table(frame: pd.DataFrame, path: str | Path, codebook: Codebook) -> Path:
    """Write a table as TSV and its codebook as JSON beside it.

    Both files are written aside and renamed when both are complete, the codebook first: whoever sees
    the table sees its codebook, and a failed write leaves the previous files as they were.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table; the index is not written. Missing values (NaN, None, NA) and infinities become
        ``n/a``, truth values ``true``/``false``; tabs and line breaks within text become spaces,
        characters that UTF-8 cannot hold become ``?``. Nothing is quoted.
    path : path
        Ends with ``.tsv``; the codebook gets the same name with ``.json``.
    codebook : mapping of str to Column
        Meaning of each column; entries without a column in `frame` are left out of the file.

    Returns
    -------
    pathlib.Path
        The path of the table.

    Raises
    ------
    ValueError
        If a column has no entry in the codebook, or `path` does not end with ``.tsv``.
    """
    path = Path(path)
    if path.suffix != ".tsv":
        raise ValueError(f"a table's name ends with .tsv, not {path.name}")
    _refuse_undescribed(frame, path, codebook)
    kinds = {name: codebook[name].kind or _kind_of(frame[name]) for name in frame.columns}
    with replacing(path) as aside, replacing(path.with_suffix(".json")) as book:
        _write_json(_entries(codebook, kinds), book)
        with aside.open("w", encoding="utf-8", errors="replace", newline="") as file:
            file.write("\t".join(frame.columns) + "\n")
            for first in range(0, len(frame), ROWS_AT_ONCE):
                some = frame.iloc[first : first + ROWS_AT_ONCE]
                cells = [_cells(some[name], kinds[name], codebook[name]) for name in frame.columns]
                file.writelines("\t".join(row) + "\n" for row in zip(*cells, strict=True))
    return path


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table that `write_table` wrote.

    Parameters
    ----------
    path : path
        The TSV file; its codebook, where it lies beside, gives the types of the columns.

    Returns
    -------
    pandas.DataFrame
        Numbers as float64 (NaN where missing), integers as Int64, truth values as boolean, the
        rest as text, quotation marks included (missing: NaN; so is text that reads ``n/a``).

    Raises
    ------
    DuchenneError
        If the file is missing or is no table.
    """
    path = Path(path)
    if not path.is_file():
        raise DuchenneError(f"No table at {path}. Run `duchenne analyze` on the session first.")
    try:
        frame = pd.read_csv(
            path,
            sep="\t",
            dtype=str,
            na_values=[MISSING],
            keep_default_na=False,
            quoting=csv.QUOTE_NONE,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise DuchenneError(f"{path} is not a table of tab-separated columns: {error}") from error
    kinds = _declared_kinds(path.with_suffix(".json"))
    try:
        return pd.DataFrame(
            {name: _typed(frame[name], kinds.get(str(name))) for name in frame.columns}
        )
    except ValueError as error:
        raise DuchenneError(f"{path} does not agree with its codebook: {error}") from error


def write_codebook(codebook: Codebook, path: str | Path, kinds: Mapping[str, str]) -> Path:
    """Write the codebook of some columns as JSON.

    Parameters
    ----------
    codebook : mapping of str to Column
        Meaning of each column.
    path : path
        The JSON file.
    kinds : mapping of str to str
        The columns to describe, in order, with the types found in the data.
    """
    return write_json(_entries(codebook, kinds), path)


def write_parquet(
    frame: pd.DataFrame | Iterable[pd.DataFrame], path: str | Path, codebook: Codebook
) -> Path:
    """Write a long table as Parquet (zstd), with its codebook as JSON beside it.

    Parameters
    ----------
    frame : pandas.DataFrame, or iterable of these
        The table; the index is not written. Parts of a table that is too long to be held twice, each
        with the same columns, are written one after the other. Numbers in single precision stay so.
    path : path
        Ends with ``.parquet``; the codebook gets the same name with ``.json``.
    codebook : mapping of str to Column
        Meaning of each column.

    Raises
    ------
    ValueError
        If a column has no entry in the codebook, or there is no part.
    """
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    path = Path(path)
    parts = _row_parts(frame) if isinstance(frame, pd.DataFrame) else iter(frame)
    first = next(parts, None)
    if first is None:
        raise ValueError(f"{path.name}: there is no table to write")
    _refuse_undescribed(first, path, codebook)
    whole = frame if isinstance(frame, pd.DataFrame) else first
    kinds = {name: codebook[name].kind or _kind_of(whole[name]) for name in whole.columns}
    declared = {
        name: kinds[name] if whole[name].dtype == object else codebook[name].kind for name in kinds
    }

    def rows(part: pd.DataFrame) -> pa.Table:
        typed = {name: _as_kind(part[name], kind) for name, kind in declared.items()}
        return pa.Table.from_pandas(pd.DataFrame(typed), preserve_index=False)

    with replacing(path) as aside, replacing(path.with_suffix(".json")) as book:
        _write_json(_entries(codebook, kinds), book)
        table = rows(first)
        with pq.ParquetWriter(aside, table.schema, compression="zstd") as writer:
            writer.write_table(table)
            for part in parts:
                writer.write_table(rows(part).cast(table.schema))
    return path


def _row_parts(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for first in range(0, max(1, len(frame)), SAMPLES_AT_ONCE):
        yield frame.iloc[first : first + SAMPLES_AT_ONCE]


def write_json(value: object, path: str | Path) -> Path:
    """Write a value as readable JSON, aside first, then renamed."""
    path = Path(path)
    with replacing(path) as aside:
        _write_json(value, aside)
    return path


def remove_table(path: Path) -> None:
    """Remove a table with its codebook, where they are."""
    path.unlink(missing_ok=True)
    path.with_suffix(".json").unlink(missing_ok=True)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name to write to; rename it to `path` if all went well, remove it if not."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        aside.replace(path)
    except OSError as error:
        raise DuchenneError(f"{path} could not be written ({error.strerror or error}).") from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def codebook_of(frame: pd.DataFrame, *books: Codebook) -> dict[str, Column]:
    """Return the entries that a table needs, each from the first codebook that has one."""
    found: dict[str, Column] = {}
    for name in frame.columns:
        for book in books:
            if name in book:
                found[str(name)] = book[name]
                break
    return found


def _entries(codebook: Codebook, kinds: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    return {name: codebook[name].to_json(name, kind) for name, kind in kinds.items()}


def _write_json(value: object, path: Path) -> None:
    written = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    path.write_text(written, encoding="utf-8", errors="replace")


def _refuse_undescribed(frame: pd.DataFrame, path: Path, codebook: Codebook) -> None:
    undescribed = [str(name) for name in frame.columns if name not in codebook]
    if undescribed:
        raise ValueError(f"{path.name}: no codebook entry for {', '.join(undescribed)}")


def _in_words(name: str) -> str:
    return name.replace("_", " ").strip().capitalize() if name.islower() else name.replace("_", " ")


def _kind_of(values: pd.Series[Any]) -> str:
    if pd.api.types.is_bool_dtype(values):
        return "boolean"
    if pd.api.types.is_integer_dtype(values):
        return "integer"
    if pd.api.types.is_numeric_dtype(values):
        return "number"
    return _kind_of_objects(values.dropna()) if values.dtype == object else "string"


def _kind_of_objects(values: Iterable[object]) -> str:
    present = list(values)
    if present and all(isinstance(value, bool | np.bool_) for value in present):
        return "boolean"
    if present and all(isinstance(value, int | np.integer) for value in present):
        return "integer"
    if present and all(isinstance(value, int | float | np.number) for value in present):
        return "number"
    return "string"


def _cells(values: pd.Series[Any], kind: str, column: Column) -> list[str]:
    if kind == "number":
        numbers = pd.to_numeric(values, errors="raise").to_numpy(dtype=np.float64, na_value=np.nan)
        return _number_cells(numbers, column)
    if kind == "integer":
        return [MISSING if _is_missing(value) else str(int(value)) for value in values]
    if kind == "boolean":
        return [
            MISSING if _is_missing(value) else ("true" if value else "false") for value in values
        ]
    return [MISSING if _is_missing(value) else _one_line(str(value)) for value in values]


def _number_cells(values: NDArray[np.float64], column: Column) -> list[str]:
    if column.unit == "s" and column.digits is None:
        return [
            _plain(f"{value:.{TIME_DECIMALS}f}") if math.isfinite(value) else MISSING
            for value in values.tolist()
        ]
    pattern = f".{column.digits or SIGNIFICANT_DIGITS}g"
    return [
        format(value + 0.0, pattern) if math.isfinite(value) else MISSING
        for value in values.tolist()
    ]


def _plain(number: str) -> str:
    shorter = number.rstrip("0").rstrip(".")
    return "0" if shorter in {"-0", ""} else shorter


def _one_line(text: str) -> str:
    return " ".join(text.split()) if any(c in text for c in "\t\r\n") else (text or MISSING)


def _is_missing(value: object) -> bool:
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    return isinstance(value, float | np.floating) and not math.isfinite(value)


def _declared_kinds(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {name: str(entry.get("Format", "")) for name, entry in entries.items()}
    except (ValueError, AttributeError) as error:
        raise DuchenneError(f"{path} is not a codebook: {error}") from error


def _typed(values: pd.Series[Any], kind: str | None) -> pd.Series[Any]:
    if kind == "number":
        return pd.to_numeric(values).astype("float64")
    if kind == "integer":
        return pd.to_numeric(values).astype("Int64")
    if kind == "boolean":
        return values.map({"true": True, "false": False}).astype("boolean")
    if kind == "string":
        return values
    try:
        return pd.to_numeric(values)
    except (ValueError, TypeError):
        return values


def _as_kind(values: pd.Series[Any], kind: str | None) -> pd.Series[Any]:
    if kind == "number":
        return values if values.dtype == np.float32 else values.astype("float64")
    if kind == "integer":
        return values.astype("Int64")
    if kind == "boolean":
        return values.astype("boolean")
    if kind == "string":
        return values.map(_encodable, na_action="ignore").astype("string")
    return values


def _encodable(value: object) -> str:
    return str(value).encode("utf-8", errors="replace").decode("utf-8")
