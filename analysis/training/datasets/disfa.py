"""DISFA: 27 adults watch one film; 12 Action Units graded 0 to 5 in every frame.

``ActionUnit_Labels/SN001/SN001_au1.txt`` has lines ``frame,intensity``, frames from 1;
``Videos_LeftCamera/LeftVideoSN001_comp.avi`` (or the right camera) has the frames. Films and labels may
differ by a frame at the end; what has no partner is left out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from duchenne.analysis.training.datasets.base import Picture, dataset
from duchenne.analysis.training.datasets.files import (
    folders,
    is_film,
    numbered,
    part,
    read_numbers,
    unit_of,
)
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.training.datasets.base import Tell

UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
_FILMS = (
    "Videos_LeftCamera",
    "Video_LeftCamera",
    "Videos_RightCamera",
    "Video_RightCamera",
    "Images/Left",
    "Images",
)


@dataset(
    "disfa",
    title="DISFA",
    kind="intensity",
    layout="ActionUnit_Labels/SN001/SN001_au1.txt and Videos_LeftCamera/LeftVideoSN001_comp.avi",
    known_from="public programs that read it",
    licence="agreement with the University of Denver; research only, no passing on",
    citation="Mavadati et al. (2013), DISFA: a spontaneous facial action intensity database",
)
def read_disfa(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every frame with the intensities of its 12 Action Units."""
    labels = part(source, "ActionUnit_Labels", "Labels")
    films = part(source, *_FILMS)
    for person in folders(labels):
        of_frame = intensities(person)
        film, stills = _film(films, person.name)
        if film is None and not stills:
            tell(f"{person.name} has labels, but no film in {films.name}")
            continue
        for frame, row in sorted(of_frame.items()):
            where = film or stills.get(frame)
            if where is not None:
                yield Picture(where, row, person.name, "watching", frame - 1)


def intensities(person: Path) -> dict[int, dict[str, float]]:
    """Return the labels of each frame, from 1, of one person's folder.

    Raises
    ------
    DuchenneError
        When a unit's file is missing or is no table of two columns.
    """
    found: dict[int, dict[str, float]] = {}
    for unit in UNITS:
        path = person / f"{person.name}_au{unit}.txt"
        table = read_numbers(path)
        if table.shape[1] != 2:
            raise DuchenneError(f"{path} holds no lines of frame,intensity.")
        for frame, value in table.itertuples(index=False):
            found.setdefault(int(frame), {})[unit_of(unit)] = float(value)
    return found


def _film(films: Path, name: str) -> tuple[Path | None, dict[int, Path]]:
    match = re.compile(rf"{name}(?!\d)", re.IGNORECASE)
    for path in sorted(films.iterdir()):
        if match.search(path.name):
            if is_film(path):
                return path, {}
            if path.is_dir():
                return None, numbered(path)
    return None, {}
