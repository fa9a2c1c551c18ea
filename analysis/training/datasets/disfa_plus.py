"""DISFA+: posed and spontaneous expressions of 9 people of DISFA, 12 Action Units graded 0 to 5.

``Labels/SN001/A1_AU1_TrailNo_1/AU1.txt`` has two lines of heading and then ``000.jpg  0``;
``Images/SN001/A1_AU1_TrailNo_1/000.jpg`` is the picture. (The folders' own spelling is "Trail".)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.training.datasets.base import Picture, dataset
from duchenne.analysis.training.datasets.files import folders, part, unit
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.training.datasets.base import Tell


@dataset(
    "disfa-plus",
    title="DISFA+",
    kind="intensity",
    layout="Labels/SN001/A1_AU1_TrailNo_1/AU1.txt and Images/SN001/A1_AU1_TrailNo_1/000.jpg",
    known_from="public programs that read it",
    licence="agreement with the University of Denver; research only, no passing on",
    citation="Mavadati, Sanger & Mahoor (2016), Extended DISFA dataset",
)
def read_disfa_plus(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every picture with the intensities of its Action Units."""
    labels, pictures = part(source, "Labels"), part(source, "Images")
    for person in folders(labels):
        for trial in folders(person):
            rows: dict[str, dict[str, float]] = {}
            for path in sorted(trial.glob("*.txt")):
                name = unit(path.stem)
                if name is not None:
                    for image, value in _lines(path):
                        rows.setdefault(image, {})[name] = value
            n_missing = 0
            for frame, (image, row) in enumerate(sorted(rows.items())):
                where = pictures / person.name / trial.name / image
                if where.is_file():
                    yield Picture(where, row, person.name, trial.name, frame)
                else:
                    n_missing += 1
            if n_missing:
                tell(f"{person.name}/{trial.name}: {n_missing} labelled pictures are missing")


def _lines(path: Path) -> Iterator[tuple[str, float]]:
    for line in path.read_text("utf-8", errors="replace").splitlines():
        words = line.replace(",", " ").split()
        if len(words) < 2 or "." not in words[0]:
            continue  # heading
        try:
            yield words[0], float(words[-1])
        except ValueError as error:
            raise DuchenneError(f"{path}: '{line}' is no picture and its intensity.") from error
