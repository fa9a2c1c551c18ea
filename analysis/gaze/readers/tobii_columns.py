"""The columns of a Tobii Pro Lab export, found by name and unit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from duchenne.analysis.gaze.readers.text import numbers, read_text_table, split_header
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_NAMES = (
    r"recording timestamp|eyetracker timestamp|sensor|participant name|recording name|event|event value"
    r"|presented (stimulus|media) (name|width|height|position x|position y)"
    r"|recording resolution (width|height)|gaze point (left |right )?[xy]"
    r"|validity (left|right)|pupil diameter (left|right)|eye position (left|right) z"
)


class TobiiColumns:
    """The columns of an export by name and unit, whatever the version writes around the unit.

    Parameters
    ----------
    path : Path
        The TSV; only the columns that are used are read.

    Raises
    ------
    DuchenneError
        When it cannot be read or has no rows.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        wanted = re.compile(_NAMES)
        self._frame = read_text_table(
            path, "\t", lambda header: wanted.fullmatch(split_header(header)[0]) is not None
        )
        self._names = {split_header(header): header for header in self._frame.columns}
        self._parsed: dict[str, Floats] = {}
        if not any(name == "recording timestamp" for name, _ in self._names):
            raise DuchenneError(f"{path}: no column Recording timestamp; tick it in the export.")
        if self._frame.empty:
            raise DuchenneError(f"{path} has a header but no rows: there is no gaze to analyse.")

    def with_unit(self, units: Sequence[str], names: Sequence[str]) -> set[str]:
        """Return those of the names that are there in one of the units."""
        return {name for name in names if self.header(name, units) is not None}

    def header(self, name: str, units: Sequence[str] | None = None) -> str | None:
        """Return the header of a column, None where it was not exported."""
        for (found, unit), header in self._names.items():
            if found == name and (units is None or unit in units):
                return header
        return None

    def unit(self, name: str) -> str:
        """Return the unit in a header, empty where there is none."""
        return next((unit for found, unit in self._names if found == name), "")

    def numbers(self, name: str, units: Sequence[str] | None = None) -> Floats | None:
        """Return a column as numbers, NaN where empty."""
        header = self.header(name, units)
        if header is None:
            return None
        if header not in self._parsed:
            self._parsed[header] = numbers(self.path, self._frame[header])
        return self._parsed[header]

    def text(self, name: str) -> pd.Series[str] | None:
        """Return a column as text, missing where empty."""
        header = self.header(name)
        return None if header is None else self._frame[header]
