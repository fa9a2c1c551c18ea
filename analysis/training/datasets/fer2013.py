"""FER2013 and FER+: 48-pixel grey faces in a table.

``fer2013.csv`` has ``emotion,pixels,Usage``: 0 anger, 1 disgust, 2 fear, 3 happiness, 4 sadness, 5 surprise,
6 neutral; 2304 grey values; Training, PublicTest or PrivateTest. FER+ adds ``fer2013new.csv`` beside it, row
by row, with the votes of ten people (``neutral`` … ``contempt``, ``unknown``, ``NF``): the class with most
votes counts; rows with a tie, and those that most found unknown or no face, are left out. No subjects are
known: each picture counts as a person of its own.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.training.datasets.base import EXPRESSIONS, Picture, dataset, expression
from duchenne.analysis.training.datasets.files import need_columns, part, read_table
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

    from duchenne.analysis.face.frames import Image
    from duchenne.analysis.training.datasets.base import Tell

SIDE_PX = 48
EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
_KNOWN = "public programs that read it"


@dataset(
    "fer2013",
    title="FER2013",
    kind="expression",
    layout="fer2013.csv (emotion,pixels,Usage)",
    known_from=_KNOWN,
    licence="as the Kaggle challenge says; pictures from web searches",
    citation="Goodfellow et al. (2013), Challenges in representation learning",
)
def read_fer2013(source: Path, tell: Tell) -> Iterator[Picture]:  # noqa: ARG001  (of the seam)
    """Yield every picture with its ``expression`` (no contempt)."""
    path, table = _table(source)
    for row, number in enumerate(table["emotion"]):
        if number not in range(len(EMOTIONS)):
            raise DuchenneError(f"{path}: emotion is {number} in row {row + 2}, and may be 0 to 6.")
        found = expression(EMOTIONS[int(number)])
        assert found is not None
        yield _picture(path, table, row, found)


@dataset(
    "ferplus",
    title="FER+",
    kind="expression",
    layout="fer2013.csv and fer2013new.csv in one folder",
    known_from=_KNOWN,
    licence="labels MIT; pictures as FER2013",
    citation="Barsoum et al. (2016), Training deep networks with crowd-sourced label distribution",
)
def read_ferplus(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every picture with the ``expression`` that most people saw."""
    path, table = _table(source)
    votes_path = part(path.parent, "fer2013new.csv")
    votes = need_columns(read_table(votes_path), votes_path, *EXPRESSIONS, "unknown", "nf")
    if len(votes) != len(table):
        raise DuchenneError(f"{votes_path} has {len(votes)} rows, and {path} has {len(table)}.")
    counts = votes[[*EXPRESSIONS, "unknown", "nf"]].to_numpy(float)
    best = counts.argmax(axis=1)
    clear = (counts == counts.max(axis=1, keepdims=True)).sum(axis=1) == 1
    used = np.flatnonzero(clear & (best < len(EXPRESSIONS)))
    tell(f"{len(table) - len(used)} of {len(table)} pictures have no clear class")
    for row in used:
        yield _picture(path, table, int(row), int(best[row]))


def _table(source: Path) -> tuple[Path, pd.DataFrame]:
    path = source if source.is_file() else part(source, "fer2013.csv", "icml_face_data.csv")
    return path, need_columns(read_table(path), path, "emotion", "pixels", "usage")


def _picture(path: Path, table: pd.DataFrame, row: int, found: int) -> Picture:
    name = f"row{row:05d}"
    return Picture(
        path / name,
        {"expression": float(found)},
        name,
        str(table["usage"].iat[row]),
        load=partial(_image, table["pixels"], row, path),
    )


def _image(pixels: pd.Series, row: int, path: Path) -> Image:
    values = np.array(str(pixels.iat[row]).split(), np.int64)
    if len(values) != SIDE_PX**2 or values.min() < 0 or values.max() > 255:
        raise DuchenneError(f"{path}, row {row + 2} holds no picture of 48 by 48 grey values.")
    grey = values.astype(np.uint8).reshape(SIDE_PX, SIDE_PX)
    return np.repeat(grey[:, :, None], 3, axis=2)
