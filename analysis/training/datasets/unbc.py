"""UNBC-McMaster shoulder pain archive: 25 patients, ten Action Units per frame and the pain score PSPI.

``Frame_Labels/FACS/042-ll042/ll042t1aaaff/ll042t1aaaff001_facs.txt`` has a line per Action Unit that is
there: its number, its grade 1 to 5, and two numbers that are not used here; an empty file means none.
AU43 (eyes closed) is 0 or 1. ``Frame_Labels/PSPI/…`` holds one number in a file of the same name.
``Images/042-ll042/ll042t1aaaff/ll042t1aaaff001.png`` is the picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.training.datasets.base import Picture, dataset
from duchenne.analysis.training.datasets.files import (
    folders,
    images,
    part,
    read_lines,
    unit_of,
)
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.training.datasets.base import Tell

UNITS = (4, 6, 7, 9, 10, 12, 20, 25, 26, 43)
EYES_CLOSED = 43


@dataset(
    "unbc",
    title="UNBC-McMaster shoulder pain",
    kind="intensity",
    layout="Frame_Labels/FACS/042-ll042/ll042t1aaaff/ll042t1aaaff001_facs.txt and Images/…001.png",
    known_from="public programs that read it; the meaning of the third and fourth number is not known",
    licence="agreement with the owners; research only, no passing on",
    citation="Lucey et al. (2011), Painful data: the UNBC-McMaster shoulder pain expression archive",
)
def read_unbc(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every frame with its ten Action Units and, where it is there, ``PSPI`` (0 to 16)."""
    pictures = part(source, "Images")
    codes = part(source, "Frame_Labels/FACS")
    pain = source / "Frame_Labels" / "PSPI"
    for person in folders(pictures):
        for sequence in folders(person):
            n_missing = 0
            for frame, image in enumerate(images(sequence)):
                name = f"{person.name}/{sequence.name}/{image.stem}_facs.txt"
                if not (codes / name).is_file():
                    n_missing += 1
                    continue
                labels = _units(codes / name)
                if (pain / name).is_file():
                    labels["PSPI"] = _first(pain / name)
                yield Picture(image, labels, person.name, sequence.name, frame)
            if n_missing:
                tell(f"{person.name}/{sequence.name}: {n_missing} pictures have no labels")


def _first(path: Path) -> float:
    rows = read_lines(path)
    if not rows:
        raise DuchenneError(f"{path} is empty.")
    return rows[0][0]


def _units(path: Path) -> dict[str, float]:
    labels = {unit_of(number): 0.0 for number in UNITS}
    for row in read_lines(path):
        if len(row) < 2:
            raise DuchenneError(f"{path} has a line without an Action Unit and its grade.")
        number, grade = int(row[0]), row[1]
        if number not in UNITS:
            continue
        if number == EYES_CLOSED:
            labels[unit_of(number)] = 1.0
        elif grade > 0:
            labels[unit_of(number)] = grade
        else:  # there, but not graded
            del labels[unit_of(number)]
    return labels
