"""The ``openface-csv`` backend: Action Units that OpenFace 2 measured, read from its CSV.

It is named together with its file, ``openface-csv:FILE.csv``. Frames are matched by their number, which
OpenFace counts from 1; give OpenFace the very film that is analysed (``duchenne video`` writes that of a
session). Tracking, quality and everything that follows stay our own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.openface_csv import read_openface
from duchenne.stimuli.errors import UsageError

if TYPE_CHECKING:
    from duchenne.analysis.face.frames import BoolArray, FaceFrames, FloatArray

MAX_INTENSITY = 5.0


class OpenFaceCsvBackend:
    """Looks intensities up; measures nothing, and is not calibrated on the neutral face.

    Parameters
    ----------
    file : str
        CSV of OpenFace 2.

    Raises
    ------
    UsageError
        When no file is named.
    DuchenneError
        When the file is missing, or is no such table.
    """

    name = "openface-csv"
    needs_images = False
    one_film = True
    """Other films have other tables."""

    def __init__(self, file: str = "") -> None:
        if not file:
            raise UsageError("The AU backend openface-csv needs its file: openface-csv:FILE.csv.")
        table = read_openface(Path(file))
        columns = [name for name in table.columns if name.endswith("_r")]
        if not columns:
            raise UsageError(f"{file} holds no intensities such as AU12_r: run OpenFace with -aus.")
        self.au_names: tuple[str, ...] = tuple(name[:-2] for name in columns)
        self.feature_names: tuple[str, ...] = tuple(columns)
        self.reliability: dict[str, float] = {}
        n = len(columns)
        self.typical_neutral: FloatArray = np.zeros(n)
        self.personal: BoolArray = np.zeros(n, np.bool_)
        frames = table["frame"].to_numpy(np.int64)
        size = int(frames.max()) + 1 if len(frames) else 0
        self._values = np.full((size, n), np.nan)
        self._values[frames] = table[columns].to_numpy(np.float64)

    def features(self, frames: FaceFrames) -> FloatArray:
        """Return OpenFace's intensities of the frames: (n, n_aus); NaN where it has none."""
        values = np.full((len(frames), len(self.au_names)), np.nan)
        inside = (frames.frame >= 0) & (frames.frame < len(self._values))
        values[inside] = self._values[frames.frame[inside]]
        return values

    def intensities(self, features: FloatArray, neutral: FloatArray) -> FloatArray:  # noqa: ARG002
        """Return the intensities as OpenFace wrote them; the neutral face does not matter."""
        return np.clip(features, 0.0, MAX_INTENSITY)
