"""Read plain tables of gaze samples: CSV, TSV or Parquet with any column names."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from duchenne.analysis.gaze.signal import run_ends
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
GAZE_COLUMNS = (
    "left_x", "left_y", "right_x", "right_y", "left_pupil", "right_pupil", "left_valid", "right_valid",
    "x", "y", "pupil", "valid",
)  # fmt: skip
LABEL_COLUMNS = ("participant", "recording", "stimulus")
"""Optional columns of text: who, which recording, what was on the screen."""
_COMPLETE = (("left_x", "left_y"), ("right_x", "right_y"), ("x", "y"))
_MISSING = ["n/a", "N/A", "NaN", "nan", "NA", "", ".", "-", "null", "None"]


PART_ROWS = 250_000
"""Rows that are read at a time."""
_UNIT_ROWS = 100_000


class Labels(NamedTuple):
    """A column of text: the names in it, and the number of the name in each row, −1 for none."""

    names: tuple[str, ...]
    codes: NDArray[np.int32]


@dataclass(frozen=True)
class PlainRecording:
    """The rows of one recording of a plain table.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
        Seconds, ascending.
    columns : dict of str to ndarray, each of shape (n,)
        The gaze columns that the table has, single precision; NaN where empty.
    participant, recording : str, optional
        Cells of these columns, where there are any.
    stimuli : list of (str, float, float)
        Name, onset and offset of each run of equal cells in the column ``stimulus``, seconds.
    """

    times_s: Floats
    columns: dict[str, Floats]
    participant: str | None
    recording: str | None
    stimuli: list[tuple[str, float, float]]


def parse_columns(pairs: Sequence[str]) -> dict[str, str]:
    """Turn ``["left_x=GazeLeftX", …]`` into a mapping from our names to the table's.

    Raises
    ------
    UsageError
        When an entry has no ``=`` or names no column of ours.
    """
    mapping: dict[str, str] = {}
    for pair in pairs:
        ours, sign, theirs = pair.partition("=")
        if not sign or not theirs:
            raise UsageError(f"--column {pair}: write it as NAME=COLUMN, such as left_x=GazeLeftX.")
        if ours.strip() not in {"time", *GAZE_COLUMNS, *LABEL_COLUMNS}:
            known = ", ".join((*GAZE_COLUMNS, *LABEL_COLUMNS))
            raise UsageError(f"--column {pair}: {ours.strip()} is none of time, {known}.")
        mapping[ours.strip()] = theirs.strip()
    return mapping


def read_plain_recordings(
    table: Path, mapping: Mapping[str, str], time_unit: str
) -> list[PlainRecording]:
    """Read the gaze columns of a table.

    Parameters
    ----------
    table : Path
        ``.csv``, ``.tsv``, ``.txt`` (the header tells comma, semicolon or tab) or ``.parquet``.
    mapping : Mapping of str to str
        Our column names to the table's; columns of our own names need no entry.
    time_unit : {"s", "ms", "us", "ns"}
        Unit of the time column.

    Returns
    -------
    list of PlainRecording
        One per participant and recording, in order of appearance; one in all where neither is named.

    Raises
    ------
    DuchenneError
        When the file cannot be read, has no rows, lacks columns (those found are named), holds text
        where numbers are due, or its times run backwards.
    """
    if time_unit not in TIME_UNITS:
        raise UsageError(f"--time-unit {time_unit} is none of {', '.join(TIME_UNITS)}.")
    names = {name: mapping.get(name, name) for name in ("time", *GAZE_COLUMNS, *LABEL_COLUMNS)}
    times, columns, labels = _read_columns(table, names, mapping)
    times *= TIME_UNITS[time_unit]
    lost = np.flatnonzero(~np.isfinite(times))
    if lost.size:
        raise DuchenneError(f"{table}: no time in data row {int(lost[0]) + 1}.")
    groups = _groups(labels["participant"], labels["recording"])
    found = []
    everything: list[NDArray[np.intp] | None] = [None]
    for rows in groups or everything:
        _check_times(table, times if rows is None else times[rows], time_unit, rows)
        found.append(
            PlainRecording(
                times if rows is None else times[rows],
                {n: values if rows is None else values[rows] for n, values in columns.items()},
                _first(labels["participant"], rows),
                _first(labels["recording"], rows),
                _stimulus_runs(labels["stimulus"], times, rows),
            )
        )
    return found


def _read_columns(
    table: Path, names: Mapping[str, str], mapping: Mapping[str, str]
) -> tuple[Floats, dict[str, Floats], dict[str, Labels | None]]:
    """Return times, gaze (single precision) and labels, read a part of the rows at a time."""
    header = _header(table)
    _check_columns(table, header, names, mapping)
    present = {ours: theirs for ours, theirs in names.items() if theirs in header}
    # Room for all rows that there may be; what is not needed is never touched, so it takes no memory.
    room = _most_rows(table)
    numbers: dict[str, Floats] = {
        name: np.empty(room, dtype="float64" if name == "time" else "float32")
        for name in present
        if name not in LABEL_COLUMNS
    }
    texts: dict[str, list[pd.Series[Any]]] = {name: [] for name in present if name in LABEL_COLUMNS}
    n = 0
    for part in _parts(table, sorted(set(present.values())), [names[t] for t in LABEL_COLUMNS]):
        for name, values in numbers.items():
            values[n : n + len(part)] = _numbers(table, part, names[name], n)
        for name, cells in texts.items():
            cells.append(part[names[name]].astype("category"))
        n += len(part)
        del part
    if _is_parquet(table):
        import pyarrow as pa  # noqa: PLC0415

        pa.default_memory_pool().release_unused()
    if not n:
        raise DuchenneError(f"{table} has a header but no rows: there is no gaze to analyse.")
    joined = {name: values[:n] for name, values in numbers.items()}
    labels = {name: _labels(texts[name]) if name in texts else None for name in LABEL_COLUMNS}
    return joined.pop("time"), joined, labels


def _check_columns(
    table: Path, header: Sequence[str], names: Mapping[str, str], mapping: Mapping[str, str]
) -> None:
    found = ", ".join(header[:30]) + (" …" if len(header) > 30 else "")
    absent = [theirs for ours, theirs in names.items() if ours in mapping and theirs not in header]
    if absent:
        raise DuchenneError(f"{table}: no column {', '.join(absent)}; found {found}.")
    if names["time"] not in header:
        raise DuchenneError(
            f"{table}: no column time; found {found}. Name it with --column time=COLUMN."
        )
    if not any(all(names[part] in header for part in pair) for pair in _COMPLETE):
        raise DuchenneError(
            f"{table}: no gaze columns (left_x and left_y, right_x and right_y, or x and y); found "
            f"{found}. Name them with --column left_x=COLUMN and so on."
        )


def _labels(parts: Sequence[pd.Series[Any]]) -> Labels:
    """Return the names that occur, in order of appearance, and the one of each row (−1 for none)."""
    names: dict[str, int] = {}
    codes = []
    for part in parts:
        known = [names.setdefault(str(name), len(names)) for name in part.cat.categories]
        codes.append(np.array([*known, -1], dtype=np.int32)[part.cat.codes.to_numpy()])
    return Labels(tuple(names), np.concatenate(codes))


def _groups(participant: Labels | None, recording: Labels | None) -> list[NDArray[np.intp]]:
    """Return the rows of each recording in order of appearance; none where the table is one."""
    if participant is None and recording is None:
        return []
    given = [labels for labels in (participant, recording) if labels is not None]
    key = np.zeros(given[0].codes.size, dtype=np.int64)
    for labels in given:
        key = key * (len(labels.names) + 1) + labels.codes + 1
    keys, first = np.unique(key, return_index=True)
    if keys.size == 1:
        return []
    return [np.flatnonzero(key == one) for one in keys[np.argsort(first)]]


def _first(labels: Labels | None, rows: NDArray[np.intp] | None) -> str | None:
    if labels is None:
        return None
    code = int(labels.codes[0 if rows is None else int(rows[0])])
    return labels.names[code] if code >= 0 else None


def _stimulus_runs(
    labels: Labels | None, times_s: Floats, rows: NDArray[np.intp] | None
) -> list[tuple[str, float, float]]:
    if labels is None:
        return []
    codes = labels.codes if rows is None else labels.codes[rows]
    times = times_s if rows is None else times_s[rows]
    starts = np.concatenate(([0], np.flatnonzero(codes[1:] != codes[:-1]) + 1))
    ends = run_ends(times, np.append(starts[1:], codes.size))
    return [
        (labels.names[int(codes[first])], float(times[first]), float(end))
        for first, end in zip(starts, ends, strict=True)
        if codes[first] >= 0 and end > times[first]
    ]


def _header(table: Path) -> list[str]:
    """Return the names of the columns."""
    if not table.is_file():
        raise DuchenneError(f"No table at {table}.")
    with _readable(table):
        if _is_parquet(table):
            import pyarrow.parquet as pq  # noqa: PLC0415

            return list(map(str, pq.ParquetFile(table).schema_arrow.names))
        return list(map(str, pd.read_csv(table, nrows=0, **_csv_options(table)).columns))


def _parts(table: Path, columns: Sequence[str], texts: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Yield the rows of a table some at a time, with these columns."""
    with _readable(table):
        if _is_parquet(table):
            import pyarrow.parquet as pq  # noqa: PLC0415

            file = pq.ParquetFile(table)
            for batch in file.iter_batches(PART_ROWS, columns=list(columns)):
                yield batch.to_pandas()
            return
        with pd.read_csv(
            table,
            usecols=list(columns),
            dtype=dict.fromkeys((name for name in texts if name in columns), str),
            na_values=_MISSING,
            chunksize=PART_ROWS,
            low_memory=False,
            **_csv_options(table),
        ) as reader:
            yield from reader


def _most_rows(table: Path) -> int:
    """Return a number of rows that the table does not exceed."""
    if _is_parquet(table):
        import pyarrow.parquet as pq  # noqa: PLC0415

        return int(pq.ParquetFile(table).metadata.num_rows)
    return table.stat().st_size // 2 + 1


def _is_parquet(table: Path) -> bool:
    return table.suffix.lower() in {".parquet", ".pq"}


def _csv_options(table: Path) -> dict[str, Any]:
    with table.open(encoding="utf-8-sig") as file:
        header = file.readline()
    separator = max("\t;,", key=header.count)
    return {"sep": separator, "skipinitialspace": True, "encoding": "utf-8-sig"}


@contextmanager
def _readable(table: Path) -> Iterator[None]:
    """Turn what a library says about a file that is no table into one line."""
    try:
        yield
    except DuchenneError:
        raise
    except pd.errors.EmptyDataError:
        raise DuchenneError(f"{table} is empty.") from None
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DuchenneError(
            f"{table} cannot be read as a table ({reason}); give CSV, TSV or Parquet."
        ) from error


def _numbers(table: Path, frame: pd.DataFrame, name: str, first: int) -> Floats:
    values = frame[name]
    if values.dtype == bool:
        return values.to_numpy(dtype=np.float64)
    numbers = pd.to_numeric(values, errors="coerce")
    wrong = numbers.isna() & values.notna()
    if wrong.any():
        row = int(np.flatnonzero(wrong.to_numpy())[0])
        raise DuchenneError(
            f"{table}: column {name} holds {values.iloc[row]!r} in data row {first + row + 1}, not a "
            "number."
        )
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan)


def _check_times(
    table: Path, times_s: Floats, time_unit: str, rows: NDArray[np.intp] | None
) -> None:
    back = np.flatnonzero(times_s[1:] < times_s[:-1])
    if back.size:
        here = int(back[0]) + 1
        row = here if rows is None else int(rows[here])
        raise DuchenneError(
            f"{table}: time runs backwards in data row {row + 1} (by "
            f"{times_s[here - 1] - times_s[here]:.6g} s); sort the rows, or name the column that tells "
            "the recordings apart with --column recording=COLUMN."
        )
    # The rows at the beginning, the middle and the end tell the unit.
    third = [times_s[first : first + _UNIT_ROWS] for first in (0, times_s.size // 2)]
    steps = np.concatenate([np.diff(part) for part in (*third, times_s[-_UNIT_ROWS:])])
    period = float(np.median(steps[steps > 0])) if (steps > 0).any() else float("nan")
    if period < 1 / 20_000 or period > 1.0:
        raise DuchenneError(
            f"{table}: with time in {time_unit} the samples are {period:.3g} s apart, which no eye "
            f"tracker does; give another --time-unit ({', '.join(TIME_UNITS)})."
        )
