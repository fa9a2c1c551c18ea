"""Read plain tables of gaze samples: CSV, TSV or Parquet with any column names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class PlainRecording:
    """The rows of one recording of a plain table.

    Parameters
    ----------
    times_s : ndarray, shape (n,)
        Seconds, ascending.
    columns : dict of str to ndarray, each of shape (n,)
        The gaze columns that the table has; NaN where empty.
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
    frame = _read(table, [names[name] for name in LABEL_COLUMNS])
    _check_columns(table, frame, names, mapping)
    times = _numbers(table, frame, names["time"]) * TIME_UNITS[time_unit]
    columns = {
        name: _numbers(table, frame, names[name]) for name in GAZE_COLUMNS if names[name] in frame
    }
    lost = np.flatnonzero(~np.isfinite(times))
    if lost.size:
        raise DuchenneError(f"{table}: no time in data row {int(lost[0]) + 1}.")
    labels = {name: _labels(frame, names[name]) for name in LABEL_COLUMNS}
    found = []
    for rows in _groups(labels["participant"], labels["recording"], times.size):
        _check_times(table, times[rows], time_unit, rows)
        found.append(
            PlainRecording(
                times[rows],
                {name: values[rows] for name, values in columns.items()},
                _first(labels["participant"], rows),
                _first(labels["recording"], rows),
                _stimulus_runs(labels["stimulus"], times, rows),
            )
        )
    return found


def _check_columns(
    table: Path, frame: pd.DataFrame, names: Mapping[str, str], mapping: Mapping[str, str]
) -> None:
    found = ", ".join(map(str, frame.columns[:30])) + (" …" if len(frame.columns) > 30 else "")
    absent = [theirs for ours, theirs in names.items() if ours in mapping and theirs not in frame]
    if absent:
        raise DuchenneError(f"{table}: no column {', '.join(absent)}; found {found}.")
    if names["time"] not in frame:
        raise DuchenneError(
            f"{table}: no column time; found {found}. Name it with --column time=COLUMN."
        )
    if not any(all(names[part] in frame for part in pair) for pair in _COMPLETE):
        raise DuchenneError(
            f"{table}: no gaze columns (left_x and left_y, right_x and right_y, or x and y); found "
            f"{found}. Name them with --column left_x=COLUMN and so on."
        )
    if frame.empty:
        raise DuchenneError(f"{table} has a header but no rows: there is no gaze to analyse.")


def _labels(frame: pd.DataFrame, name: str) -> list[str | None] | None:
    if name not in frame:
        return None
    return [None if pd.isna(value) else str(value) for value in frame[name]]


def _groups(
    participant: list[str | None] | None, recording: list[str | None] | None, n: int
) -> list[NDArray[np.intp]]:
    if participant is None and recording is None:
        return [np.arange(n)]
    nothing: list[str | None] = [None] * n
    rows: dict[tuple[str | None, str | None], list[int]] = {}
    for row, key in enumerate(zip(participant or nothing, recording or nothing, strict=True)):
        rows.setdefault(key, []).append(row)
    return [np.asarray(chosen, dtype=np.intp) for chosen in rows.values()]


def _first(labels: list[str | None] | None, rows: NDArray[np.intp]) -> str | None:
    return None if labels is None else labels[int(rows[0])]


def _stimulus_runs(
    labels: list[str | None] | None, times_s: Floats, rows: NDArray[np.intp]
) -> list[tuple[str, float, float]]:
    if labels is None:
        return []
    shown = [labels[int(row)] for row in rows]
    times = times_s[rows]
    edges = [i for i in range(1, len(shown)) if shown[i] != shown[i - 1]]
    found = []
    for first, last in zip([0, *edges], [*edges, len(shown)], strict=True):
        name = shown[first]
        end = float(times[last]) if last < len(shown) else float(times[-1])
        if name is not None and end > times[first]:
            found.append((name, float(times[first]), end))
    return found


def _read(table: Path, texts: Sequence[str]) -> pd.DataFrame:
    if not table.is_file():
        raise DuchenneError(f"No table at {table}.")
    try:
        if table.suffix.lower() in {".parquet", ".pq"}:
            return pd.read_parquet(table)
        with table.open(encoding="utf-8-sig") as file:
            header = file.readline()
        separator = max("\t;,", key=header.count)
        return pd.read_csv(
            table,
            sep=separator,
            dtype=dict.fromkeys(texts, str),
            na_values=_MISSING,
            skipinitialspace=True,
            encoding="utf-8-sig",
            low_memory=False,
        )
    except pd.errors.EmptyDataError:
        raise DuchenneError(f"{table} is empty.") from None
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DuchenneError(
            f"{table} cannot be read as a table ({reason}); give CSV, TSV or Parquet."
        ) from error


def _numbers(table: Path, frame: pd.DataFrame, name: str) -> Floats:
    values = frame[name]
    if values.dtype == bool:
        return values.to_numpy(dtype=np.float64)
    numbers = pd.to_numeric(values, errors="coerce")
    wrong = numbers.isna() & values.notna()
    if wrong.any():
        row = int(np.flatnonzero(wrong.to_numpy())[0])
        raise DuchenneError(
            f"{table}: column {name} holds {values.iloc[row]!r} in data row {row + 1}, not a number."
        )
    return numbers.to_numpy(dtype=np.float64, na_value=np.nan)


def _check_times(table: Path, times_s: Floats, time_unit: str, rows: NDArray[np.intp]) -> None:
    steps = np.diff(times_s)
    back = np.flatnonzero(steps < 0)
    if back.size:
        here = int(back[0]) + 1
        raise DuchenneError(
            f"{table}: time runs backwards in data row {int(rows[here]) + 1} (by "
            f"{-steps[here - 1]:.6g} s); sort the rows, or name the column that tells the recordings "
            "apart with --column recording=COLUMN."
        )
    period = float(np.median(steps[steps > 0])) if (steps > 0).any() else float("nan")
    if period < 1 / 20_000 or period > 1.0:
        raise DuchenneError(
            f"{table}: with time in {time_unit} the samples are {period:.3g} s apart, which no eye "
            f"tracker does; give another --time-unit ({', '.join(TIME_UNITS)})."
        )
