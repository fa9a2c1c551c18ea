"""AffectNet, in both layouts in which it was given out.

The first (``affectnet-csv``): ``training.csv`` and ``validation.csv`` with ``subDirectory_filePath``,
``face_x`` …, ``expression``, ``valence``, ``arousal``, and pictures below ``Manually_Annotated_Images``. The
box of the face tells whom of several people is meant.

The second (``affectnet``): ``train_set/images/0.jpg`` with ``train_set/annotations/0_exp.npy``, ``0_val.npy``
and ``0_aro.npy``; ``val_set`` likewise.

Either's ``condition`` is the part, and ``consistent`` behind it where class and place in the plane of valence
and arousal agree (`is_consistent`), as in the cleaned set that EmoFAN was tested on.

Classes are 0 neutral, 1 happiness, 2 sadness, 3 surprise, 4 fear, 5 disgust, 6 anger, 7 contempt; 8 none,
9 uncertain and 10 no face give no ``expression``. Valence and arousal are -1 to 1, and -2 where missing. No
subjects are known: each picture counts as a person of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.analysis.face.affect import NEUTRAL, affect_quadrant
from duchenne.analysis.training.datasets.base import EXPRESSIONS, Picture, dataset
from duchenne.analysis.training.datasets.files import known, need_columns, part, read_table
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd

    from duchenne.analysis.training.datasets.base import Tell

MISSING = -2.0
N_CODES = 11
_LICENCE = "agreement with the University of Denver; research only, no passing on"
_CITATION = "Mollahosseini, Hasani & Mahoor (2019), AffectNet"
_TABLES = {"training.csv": "training", "validation.csv": "validation"}
_HEADINGS = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks",
    "expression", "valence", "arousal",
)  # fmt: skip
_LOW = ("LVHA", "LVLA")
_QUADRANTS = {
    "neutral": (NEUTRAL,),
    "happiness": ("HVHA", "HVLA"),
    "sadness": _LOW,
    "surprise": ("HVHA", "LVHA"),
    "fear": ("LVHA",),
    "disgust": _LOW,
    "anger": ("LVHA",),
    "contempt": _LOW,
}
"""Where a class may lie; `is_consistent`."""


@dataset(
    "affectnet-csv",
    title="AffectNet (tables)",
    kind="affect",
    layout="training.csv, validation.csv and Manually_Annotated_Images/…",
    known_from="public programs that read it",
    licence=_LICENCE,
    citation=_CITATION,
)
def read_affectnet_csv(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every picture with ``expression``, ``valence`` and ``arousal`` as far as they are known."""
    pictures = part(
        source,
        "Manually_Annotated_Images",
        "Manually_Annotated/Manually_Annotated_Images",
        "Manually_Annotated",
    )
    places = [source, source / "Manually_Annotated_file_lists"]
    tables = [p / name for p in places for name in _TABLES if (p / name).is_file()]
    if not tables:
        raise DuchenneError(f"{source} has no training.csv or validation.csv: is a part missing?")
    for path in tables:
        table = need_columns(
            _with_headings(path), path, "subdirectory_filepath", "expression", "valence", "arousal"
        )
        boxes = [c for c in ("face_x", "face_y", "face_width", "face_height") if c in table]
        n_missing = 0
        for row in table.to_dict("records"):
            where = pictures / str(row["subdirectory_filepath"])
            found = labels(path, row["expression"], row["valence"], row["arousal"])
            if not found:
                continue
            if not where.is_file():
                n_missing += 1
                continue
            name = str(row["subdirectory_filepath"])
            condition = _condition(_TABLES[path.name], found)
            yield Picture(where, found, name, condition, box=_box(row, boxes))
        if n_missing:
            tell(f"{path.name}: {n_missing} pictures are missing")


@dataset(
    "affectnet",
    title="AffectNet (folders)",
    kind="affect",
    layout="train_set/images/0.jpg, train_set/annotations/0_exp.npy, 0_val.npy, 0_aro.npy; val_set/…",
    known_from="public programs that read it",
    licence=_LICENCE,
    citation=_CITATION,
)
def read_affectnet(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every picture with ``expression``, ``valence`` and ``arousal`` as far as they are known."""
    parts = {"train_set": "training", "val_set": "validation"}
    if not any((source / name).is_dir() for name in parts):
        raise DuchenneError(
            f"{source} has no train_set or val_set: is this part of the data missing?"
        )
    for name, condition in parts.items():
        if not (source / name).is_dir():
            tell(f"there is no {name}")
            continue
        pictures = part(source / name, "images")
        notes = part(source / name, "annotations")
        stems = sorted(
            (p.name.removesuffix("_exp.npy") for p in notes.glob("*_exp.npy")),
            key=lambda stem: (len(stem), stem),
        )
        n_missing = 0
        for stem in stems:
            where = pictures / f"{stem}.jpg"
            if not where.is_file():
                n_missing += 1
                continue
            values = [_scalar(notes / f"{stem}_{what}.npy") for what in ("exp", "val", "aro")]
            found = labels(notes / f"{stem}_exp.npy", *values)
            if found:
                yield Picture(where, found, f"{name}/{stem}", _condition(condition, found))
        if n_missing:
            tell(f"{name}: {n_missing} pictures are missing")


def labels(path: Path, number: Any, valence: Any, arousal: Any) -> dict[str, float]:
    """Return what is known of a picture.

    Raises
    ------
    DuchenneError
        When a number is none.
    """
    try:
        code, v, a = float(number), float(valence), float(arousal)
    except (TypeError, ValueError) as error:
        raise DuchenneError(f"{path}: {number}, {valence}, {arousal} are no numbers.") from error
    if code not in range(N_CODES):
        raise DuchenneError(f"{path}: expression is {code:g}, and may be 0 to 10.")
    found = known({"valence": v, "arousal": a}, (MISSING,))
    if code < len(EXPRESSIONS):
        found["expression"] = code
    return found


def is_consistent(found: Mapping[str, float]) -> bool:
    """Tell whether class, valence and arousal of a picture agree.

    A neutral face is closer than 0.2 to the middle of the plane, any other is not; happiness has a valence
    from 0 on, sadness, disgust and contempt one below 0, fear and anger besides an arousal from 0 on, as has
    surprise. The limit of 0.2 is that of the publication of EmoFAN, the quadrants are ours.

    Parameters
    ----------
    found : mapping
        Labels; not consistent where one of the three is not known.
    """
    if not {"expression", "valence", "arousal"} <= set(found):
        return False
    plane = (np.array([found["valence"]]), np.array([found["arousal"]]))
    return str(affect_quadrant(*plane)[0]) in _QUADRANTS[EXPRESSIONS[int(found["expression"])]]


def _condition(part: str, found: Mapping[str, float]) -> str:
    return f"{part} consistent" if is_consistent(found) else part


def _with_headings(path: Path) -> pd.DataFrame:
    """Read a table; ``validation.csv`` was given out without headings too."""
    table = read_table(path)
    has_none = len(table.columns) == len(_HEADINGS) and "/" in str(table.columns[0])
    return read_table(path, header=None, names=list(_HEADINGS)) if has_none else table


def _box(row: Any, columns: list[str]) -> tuple[float, float, float, float] | None:
    if len(columns) < 4:
        return None
    left, top, width, height = (float(row[c]) for c in columns)
    return (left, top, width, height) if width > 0 and height > 0 else None


def _scalar(path: Path) -> float:
    try:
        return float(np.load(path, allow_pickle=False).item())
    except (OSError, ValueError) as error:
        raise DuchenneError(f"{path} is missing or holds no single number.") from error
