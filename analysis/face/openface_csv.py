"""Reads the CSV that OpenFace 2 wrote about a film."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

_UNIT = re.compile(r"AU\d{2}_[rc]")
# OpenFace's own advice is to leave out frames below this confidence.
MIN_CONFIDENCE = 0.5


def read_openface(path: Path) -> pd.DataFrame:
    """Return Action Units of the face that OpenFace followed longest.

    Parameters
    ----------
    path : Path
        CSV of FeatureExtraction (or, with tabs, TSV), with ``frame`` (from 1), ``timestamp``,
        ``confidence``, ``success`` and columns such as ``AU12_r``; spaces after the commas do not
        matter.

    Returns
    -------
    pandas.DataFrame
        One row per frame in the order of time: ``frame`` (from 0), ``time`` (s), ``usable``,
        ``AUxx_r`` (0–5) and ``AUxx_c`` (0/1); NaN where OpenFace had no face (it writes 0 there).

    Raises
    ------
    DuchenneError
        When the file is missing, is no such table, or is about several films.
    """
    try:
        raw = pd.read_csv(path, sep=separator_of(path), skipinitialspace=True, na_values=["n/a"])
    except FileNotFoundError as error:
        raise DuchenneError(f"There is no file {path}.") from error
    except (OSError, ValueError) as error:
        raise DuchenneError(f"{path} cannot be read as a table: {_first_line(error)}.") from error
    raw = raw.rename(columns=lambda name: str(name).strip())
    units = [name for name in raw.columns if _UNIT.fullmatch(name)]
    missing = [name for name in ("frame", "timestamp", "success") if name not in raw]
    if missing or not units:
        lacking = ", ".join(missing) or "Action Units such as AU12_r"
        raise DuchenneError(f"{path} is no table of OpenFace: it has no {lacking}.")
    refuse_several_films(raw, path)
    try:
        numbers = raw[
            [c for c in raw.columns if c in {"frame", "timestamp", "success", "confidence"}]
        ]
        raw[[*numbers.columns, *units]] = raw[[*numbers.columns, *units]].apply(pd.to_numeric)
    except (ValueError, TypeError) as error:
        raise DuchenneError(
            f"{path} holds text where numbers belong: {_first_line(error)}."
        ) from error
    if "face_id" in raw and raw["face_id"].nunique() > 1:
        longest = raw.loc[raw["success"] > 0, "face_id"].value_counts()
        raw = raw[raw["face_id"] == (longest.index[0] if len(longest) else raw["face_id"].iloc[0])]
    raw = raw.dropna(subset=["frame"]).drop_duplicates("frame").sort_values("frame")
    known = raw["success"] > 0
    if "confidence" in raw:
        known &= raw["confidence"] >= MIN_CONFIDENCE
    table = pd.DataFrame(
        {
            "frame": raw["frame"].astype(np.int64) - 1,
            "time": raw["timestamp"].astype(np.float64),
            "usable": known.astype(np.bool_),
        }
    )
    table[units] = raw[units].astype(np.float64).where(known, np.nan)
    return table.reset_index(drop=True)


def separator_of(path: Path) -> str:
    """Return what stands between the columns of a table, by the end of its name."""
    return "\t" if path.suffix.lower() == ".tsv" else ","


def refuse_several_films(table: pd.DataFrame, path: Path) -> None:
    """Refuse a table that ``duchenne au`` wrote about several films.

    Raises
    ------
    DuchenneError
        When its column ``input`` names more than one.
    """
    if "input" in table and table["input"].nunique() > 1:
        raise DuchenneError(f"{path} is about several films: give a table of one.")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0].rstrip(".")
