"""Read plain tables of gaze samples: CSV, TSV or Parquet with any column names."""

from __future__ import annotations

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
_COMPLETE = (("left_x", "left_y"), ("right_x", "right_y"), ("x", "y"))
_MISSING = ["n/a", "N/A", "NaN", "nan", "NA", "", ".", "-", "null", "None"]


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
        if ours.strip() not in {"time", *GAZE_COLUMNS}:
            raise UsageError(
                f"--column {pair}: {ours.strip()} is none of time, {', '.join(GAZE_COLUMNS)}."
            )
        mapping[ours.strip()] = theirs.strip()
    return mapping


def read_gaze_table(
    table: Path, mapping: Mapping[str, str], time_unit: str
) -> tuple[Floats, dict[str, Floats]]:
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
    times_s : ndarray, shape (n,)
        Seconds, ascending.
    columns : dict of str to ndarray, each of shape (n,)
        The gaze columns that the table has; NaN where empty.

    Raises
    ------
    DuchenneError
        When the file cannot be read, has no rows, lacks columns (those found are named), holds text
        where numbers are due, or its times run backwards.
    """
    if time_unit not in TIME_UNITS:
        raise UsageError(f"--time-unit {time_unit} is none of {', '.join(TIME_UNITS)}.")
    names = {name: mapping.get(name, name) for name in ("time", *GAZE_COLUMNS)}
    frame = _read(table)
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
    times = _numbers(table, frame, names["time"]) * TIME_UNITS[time_unit]
    columns = {
        name: _numbers(table, frame, names[name]) for name in GAZE_COLUMNS if names[name] in frame
    }
    _check_times(table, times, time_unit)
    return times, columns


def _read(table: Path) -> pd.DataFrame:
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


def _check_times(table: Path, times_s: Floats, time_unit: str) -> None:
    lost = np.flatnonzero(~np.isfinite(times_s))
    if lost.size:
        raise DuchenneError(f"{table}: no time in data row {int(lost[0]) + 1}.")
    steps = np.diff(times_s)
    back = np.flatnonzero(steps < 0)
    if back.size:
        row = int(back[0]) + 1
        raise DuchenneError(
            f"{table}: time runs backwards in data row {row + 1} (by {-steps[row - 1]:.6g} s); sort the "
            "rows, or split the table where recordings were joined."
        )
    period = float(np.median(steps[steps > 0])) if (steps > 0).any() else float("nan")
    if period < 1 / 20_000 or period > 1.0:
        raise DuchenneError(
            f"{table}: with time in {time_unit} the samples are {period:.3g} s apart, which no eye "
            f"tracker does; give another --time-unit ({', '.join(TIME_UNITS)})."
        )
