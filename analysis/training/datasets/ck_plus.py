"""CK+: posed expressions from neutral to the peak; the last frame is coded in full.

``FACS/S005/001/S005_001_00000011_facs.txt`` has a line per Action Unit of the last frame: its number and its
grade (0 where it was not graded, so that only its presence is taken here).
``Emotion/S005/001/S005_001_00000011_emotion.txt`` has one number: 0 neutral, 1 anger, 2 contempt,
3 disgust, 4 fear, 5 happiness, 6 sadness, 7 surprise. Pictures are
``cohn-kanade-images/S005/001/S005_001_00000001.png``.
The first frame is given too: neutral, without any Action Unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.training.datasets.base import Picture, dataset, expression
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

UNITS = (
    1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 23, 24, 25, 26, 27, 28, 29, 31, 34,
    38, 39, 43, 44, 45,
)  # fmt: skip
EMOTIONS = (
    "neutral",
    "anger",
    "contempt",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
)


@dataset(
    "ck-plus",
    title="CK+",
    kind="mixed",
    layout="cohn-kanade-images/S005/001/S005_001_00000011.png, FACS/…_facs.txt, Emotion/…_emotion.txt",
    known_from="public programs that read it",
    licence="agreement with the University of Pittsburgh; research only",
    citation="Lucey et al. (2010), The extended Cohn-Kanade dataset (CK+)",
)
def read_ck_plus(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield the first and the last picture of each sequence: Action Units (0 or 1) and ``expression``."""
    pictures = part(source, "cohn-kanade-images", "extended-cohn-kanade-images/cohn-kanade-images")
    codes = part(source, "FACS", "FACS_labels/FACS")
    emotions = next(
        (p for p in (source / "Emotion", source / "Emotion_labels" / "Emotion") if p.is_dir()),
        None,
    )
    if emotions is None:
        tell("there is no folder Emotion: the pictures get no expression")
    for person in folders(pictures):
        for sequence in folders(person):
            stills = images(sequence)
            name = f"{person.name}/{sequence.name}"
            coded = sorted((codes / name).glob("*_facs.txt"))
            if len(stills) < 2 or not coded:
                tell(f"{name} has no {'codes' if len(stills) >= 2 else 'pictures'}")
                continue
            there = _units(coded[0])
            labels = {unit_of(number): float(number in there) for number in UNITS}
            last = next((s for s in stills if coded[0].stem.startswith(s.stem)), stills[-1])
            felt = sorted((emotions / name).glob("*_emotion.txt")) if emotions else []
            neutral = {**dict.fromkeys(labels, 0.0), "expression": 0.0}
            yield Picture(stills[0], neutral, person.name, f"{sequence.name} first")
            if felt:
                labels["expression"] = _emotion(felt[0])
            yield Picture(last, labels, person.name, f"{sequence.name} peak")


def _units(path: Path) -> set[int]:
    return {int(row[0]) for row in read_lines(path)}


def _emotion(path: Path) -> float:
    rows = read_lines(path)
    number = rows[0][0] if rows else -1.0
    if number not in range(len(EMOTIONS)):
        raise DuchenneError(f"{path}: the emotion is {number:g}, and may be 0 to 7.")
    found = expression(EMOTIONS[int(number)])
    assert found is not None
    return float(found)
