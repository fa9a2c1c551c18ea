"""How alike participants were: synchrony on films, mimicry of faces, similarity of scan paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.analysis.reports.group_curves import interval
from duchenne.analysis.reports.words import NOTHING, amount
from duchenne.analysis.tables import read_table

if TYPE_CHECKING:
    from duchenne.analysis.reports.study_data import StudyData

MOST_ROWS = 60


@dataclass(frozen=True)
class _Source:
    """Where a table of likeness comes from.

    Parameters
    ----------
    name, title : str
    measures : dict of str to str
        Columns with what they are in words.
    label : str
        Column that splits the rows further; empty for none.
    of_session : bool
        Whether each session has its own table.
    """

    name: str
    title: str
    measures: dict[str, str]
    label: str = ""
    of_session: bool = False


_SOURCES = (
    _Source(
        "signal_synchrony",
        "Synchrony of faces and pupils on films: correlation of each participant with the mean of all others",
        {"isc": ""},
        label="signal",
    ),
    _Source(
        "synchrony",
        "Synchrony of gaze on films: correlation of each participant with the mean of all others",
        {
            "isc_x": "horizontal gaze",
            "isc_y": "vertical gaze",
            "isc_pupil": "pupil",
            "nss": "gaze on what others look at (NSS)",
        },
    ),
    _Source(
        "mimicry",
        "Facial mimicry: windowed correlation of the participant's with the film's Action Units, at the best "
        "lag",
        {"r": ""},
        label="au",
        of_session=True,
    ),
    _Source(
        "scanpath_similarity",
        "Similarity of scan paths on pictures (MultiMatch, 0 to 1)",
        {
            f"multimatch_{part}": part
            for part in ("shape", "direction", "length", "position", "duration")
        },
    ),
)


@dataclass(frozen=True)
class LikenessTable:
    """One table of likeness in words.

    Parameters
    ----------
    title : str
    rows : tuple of dict
        ``stimulus measure n value chance above``.
    more : int
        Rows that are not shown.
    """

    title: str
    rows: tuple[dict[str, str], ...]
    more: int


def likeness_tables(data: StudyData) -> list[LikenessTable]:
    """Return those tables of likeness that were made: a row per stimulus and measure."""
    found = []
    for source in _SOURCES:
        table = _read(data, source)
        if table is None or "stimulus_id" not in table:
            continue
        rows = [
            row
            for stimulus, part in table.groupby("stimulus_id")
            for row in _rows(str(stimulus), part, source)
        ]
        if rows:
            more = max(len(rows) - MOST_ROWS, 0)
            found.append(LikenessTable(source.title, tuple(rows[:MOST_ROWS]), more))
    return found


def _read(data: StudyData, source: _Source) -> pd.DataFrame | None:
    if not source.of_session:
        return data.table(source.name)
    paths = [one.paths.table(source.name) for one in data.sessions if one.counted]
    tables = [read_table(path) for path in paths if path.is_file()]
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else None


def _rows(stimulus: str, part: pd.DataFrame, source: _Source) -> list[dict[str, str]]:
    groups = part.groupby(source.label) if source.label in part else [("", part)]
    return [
        _row(stimulus, _named(str(label), words), rows, measure)
        for label, rows in groups
        for measure, words in source.measures.items()
        if measure in rows and rows[measure].notna().any()
    ]


def _named(label: str, words: str) -> str:
    if label == "face":
        return "all Action Units that move"
    return " ".join(part for part in (label, words) if part)


def _row(stimulus: str, told: str, table: pd.DataFrame, measure: str) -> dict[str, str]:
    chance_name = f"{measure}_chance"
    if chance_name not in table:
        table = table.assign(**{chance_name: np.nan})
    pair = table[[measure, chance_name]].to_numpy(np.float64)
    pair = pair[np.isfinite(pair[:, 0])]
    known = pair[np.isfinite(pair[:, 1])]
    mean, half = interval(pair[:, :1]) if len(pair) else (np.array([np.nan]), np.array([np.nan]))
    span = ""
    if np.isfinite(half[0]):
        span = f" ({amount(float(mean[0] - half[0]))} to {amount(float(mean[0] + half[0]))})"
    above = f"{int((known[:, 0] > known[:, 1]).sum())} of {len(known)}" if len(known) else NOTHING
    return {
        "stimulus": stimulus,
        "measure": told,
        "n": str(len(pair)),
        "value": amount(float(mean[0])) + span,
        "chance": amount(float(known[:, 1].mean())) if len(known) else NOTHING,
        "above": above,
    }
