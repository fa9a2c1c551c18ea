"""The FERA challenges: 2015 (BP4D part, in BP4D's layout) and 2017 (BP4D+ seen from nine sides, films).

FERA 2015 also had sessions of SEMAINE, coded in ELAN files (``.eaf``); those are not read.

FERA 2017: films ``FERA17_TR_F001_T1_6.mp4`` (last number: the view, 6 is frontal), occurrences
``FERA17_TR_F001_T1.csv`` (numbers of Action Units in the first line, then frame and codes) and intensities
``FERA17_TR_F001_T1_AU06_Int.csv`` (frame, intensity), anywhere below the folder. Codes of 9 are missing. The
challenge graded AU 1, 4, 6, 10, 12, 14, 17.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from duchenne.analysis.training.datasets.base import Picture, dataset
from duchenne.analysis.training.datasets.bp4d import MISSING, occurrences, read_bp4d
from duchenne.analysis.training.datasets.files import is_film, known, read_numbers, unit_of
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from duchenne.analysis.training.datasets.base import Tell

_FILM = re.compile(r"(FERA17_(TR|VA|TE)_([FM]\d+)_(T?\d+))_(\d+)", re.IGNORECASE)
_KNOWN = "public programs that read it; the numbering of frames (from 0 or 1) is not sure"
_LICENCE = "agreement with the organisers and Binghamton University; research only"
_CITATION = "Valstar et al. (2017), FERA 2017: addressing head pose in the third FERA challenge"


@dataset(
    "fera2015",
    title="FERA 2015 (BP4D part)",
    kind="occurrence",
    layout="AUCoding/F001_T1.csv and BP4D-training/F001/T1/2440.jpg",
    known_from="as BP4D; the SEMAINE part is not read",
    licence="agreement with the organisers and Binghamton University; research only",
    citation="Valstar et al. (2015), FERA 2015: second facial expression recognition challenge",
)
def read_fera2015(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every coded frame with its Action Units (0 or 1)."""
    yield from read_bp4d(source, tell)


@dataset(
    "fera2017",
    title="FERA 2017",
    kind="occurrence",
    layout="FERA17_TR_F001_T1_6.mp4 and FERA17_TR_F001_T1.csv, anywhere below the folder",
    known_from=_KNOWN,
    licence=_LICENCE,
    citation=_CITATION,
)
def read_fera2017(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every coded frame of every view with its Action Units (0 or 1)."""
    tables = {path.stem: path for path in source.rglob("FERA17_*.csv")}

    def rows_of(stem: str) -> dict[int, dict[str, float]]:
        path = tables.get(stem) or tables.get(f"{stem}_OCC") or tables.get(f"{stem}_Occ")
        return {} if path is None else occurrences(path)

    yield from _frames(source, rows_of, tell)


@dataset(
    "fera2017-intensity",
    title="FERA 2017 (intensities)",
    kind="intensity",
    layout="FERA17_TR_F001_T1_6.mp4 and FERA17_TR_F001_T1_AU06_Int.csv, anywhere below the folder",
    known_from=_KNOWN,
    licence=_LICENCE,
    citation=_CITATION,
)
def read_fera2017_intensity(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every graded frame of every view with the intensities of its Action Units."""
    tables = sorted(source.rglob("FERA17_*_AU*_I*.csv"))

    def rows_of(stem: str) -> dict[int, dict[str, float]]:
        rows: dict[int, dict[str, float]] = {}
        for path in tables:
            if path.stem.startswith(f"{stem}_AU"):
                unit = unit_of(int(path.stem[len(stem) + 3 :].split("_")[0]))
                for frame, value in read_numbers(path).iloc[:, :2].itertuples(index=False):
                    rows.setdefault(int(frame), {})[unit] = float(value)
        return rows

    yield from _frames(source, rows_of, tell)


def _frames(
    source: Path, rows_of: Callable[[str], dict[int, dict[str, float]]], tell: Tell
) -> Iterator[Picture]:
    films = sorted(path for path in source.rglob("FERA17_*") if is_film(path))
    if not films:
        raise DuchenneError(f"{source} has no FERA17_….mp4: is this part of the data missing?")
    for film in films:
        match = _FILM.fullmatch(film.stem)
        rows = rows_of(match[1]) if match else {}
        if match is None or not rows:
            tell(f"{film.name} has no labels")
            continue
        first = min(rows)  # frames are counted from 0 or from 1
        for frame, row in sorted(rows.items()):
            labels = known(row, MISSING)
            if labels:
                condition = f"{match[2].upper()} {match[4]} view {match[5]}"
                yield Picture(film, labels, match[3], condition, frame - min(first, 1))
