"""Reading of delimited text as exporters write it: any encoding, decimal commas, units in headers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.analysis.gaze.readers.base import encoding_of
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_UNIT = re.compile(r"^(?P<name>.*?)\s*[\[(](?P<unit>[^\])]*)[\])]\s*$")


def split_header(header: str) -> tuple[str, str]:
    """Split ``Gaze point left X [DACS px]`` into ``gaze point left x`` and ``dacspx``."""
    match = _UNIT.match(header.strip())
    if match is None:
        return header.strip().lower(), ""
    unit = match["unit"].replace(" ", "").replace("μ", "u").replace("µ", "u")
    return match["name"].strip().lower(), unit.lower()


def read_text_table(
    path: Path, separator: str, keep: Callable[[str], bool] | None = None
) -> pd.DataFrame:
    """Read a delimited table as text, the columns chosen by `keep`.

    Raises
    ------
    DuchenneError
        When the file is empty or no such table.
    """
    try:
        with path.open("rb") as file:
            encoding = encoding_of(file.read(2))
        return pd.read_csv(
            path,
            sep=separator,
            dtype=str,
            encoding=encoding,
            usecols=keep,
            na_values=["", "n/a", "NaN", "nan", "-"],
            keep_default_na=False,
        )
    except pd.errors.EmptyDataError:
        raise DuchenneError(f"{path} is empty.") from None
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DuchenneError(f"{path} cannot be read as a table ({reason}).") from error


def numbers(path: Path, values: pd.Series[str]) -> Floats:
    """Return a text column as numbers; a decimal comma is a point, empty is NaN.

    Raises
    ------
    DuchenneError
        When a cell is no number, naming column and row.
    """
    text = values.str.replace(",", ".", regex=False)
    result = pd.to_numeric(text, errors="coerce")
    wrong = (result.isna() & text.notna()).to_numpy()
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise DuchenneError(
            f"{path}: column {values.name} holds {values.iloc[row]!r} in data row {row + 1}, not a "
            "number."
        )
    return result.to_numpy(dtype=np.float64, na_value=np.nan)


def usual(values: Floats) -> float:
    """Return the median of what is known; NaN where nothing is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")
