"""BP4D and BP4D+: people in eight or ten tasks; Action Units present or not, five of them graded.

``AUCoding/F001_T1.csv`` has the numbers of the Action Units in its first line and then, per frame, the
frame's number and 0, 1 or 9 (not coded). ``AU-INT/AU06/F001_T1_AU06.csv`` has lines ``frame,intensity``,
0 to 5 or 9. Frames are pictures such as ``F001/T1/2440.jpg``, filled with zeros or not. Codes count frames
from 1; where the pictures of a task begin with 0, picture n is frame n + 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.training.datasets.base import Picture, dataset
from duchenne.analysis.training.datasets.files import (
    known,
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

MISSING = (9.0, 99.0, 999.0)
_OCCURRENCE = ("AUCoding/AU_OCC", "AU_OCC", "AU-OCC", "AUCoding")
_INTENSITY = ("AU-INT", "AU_INT", "AUCoding/AU_INT", "AUCoding/AU-INT")
_PICTURES = ("BP4D-training", "BP4D-Training", "2D+3D", "Sequences(2D+3D)", "Sequences", "2D", ".")
_KNOWN = (
    "public programs that read it; where a folder begins with picture 0, frame 1 is taken to be it"
)
_LICENCE = "agreement with Binghamton University; research only, no passing on"
_CITATION = (
    "Zhang et al. (2014), BP4D-Spontaneous; Zhang et al. (2016), Multimodal spontaneous emotion corpus "
    "(BP4D+)"
)


@dataset(
    "bp4d",
    title="BP4D or BP4D+",
    kind="occurrence",
    layout="AUCoding/F001_T1.csv and F001/T1/2440.jpg (also below 2D+3D or BP4D-training)",
    known_from=_KNOWN,
    licence=_LICENCE,
    citation=_CITATION,
)
def read_bp4d(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every coded frame with the Action Units that are coded in it (0 or 1)."""
    labels = part(source, *_OCCURRENCE)
    for path in sorted(labels.glob("*.csv")):
        person, _, task = path.stem.partition("_")
        yield from _sequence(source, person, task, occurrences(path), tell)


@dataset(
    "bp4d-intensity",
    title="BP4D or BP4D+ (intensities)",
    kind="intensity",
    layout="AU-INT/AU06/F001_T1_AU06.csv and F001/T1/2440.jpg",
    known_from=_KNOWN,
    licence=_LICENCE,
    citation=_CITATION,
)
def read_bp4d_intensity(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every graded frame with the intensities of the Action Units that are graded in it."""
    labels = part(source, *_INTENSITY)
    tasks = sorted({path.stem.rpartition("_")[0] for path in labels.glob("AU*/*.csv")})
    for name in tasks:
        rows: dict[int, dict[str, float]] = {}
        for path in sorted(labels.glob(f"AU*/{name}_AU*.csv")):
            unit = unit_of(int(path.stem.rpartition("_AU")[2]))
            for frame, value in read_numbers(path).iloc[:, :2].itertuples(index=False):
                rows.setdefault(int(frame), {})[unit] = float(value)
        person, _, task = name.partition("_")
        yield from _sequence(source, person, task, rows, tell)


def occurrences(path: Path) -> dict[int, dict[str, float]]:
    """Return the codes of each frame in a file whose first line names the Action Units.

    Raises
    ------
    DuchenneError
        When it holds no such table, or a code that is not 0, 1 or missing.
    """
    table = read_numbers(path)
    if len(table) < 2:
        raise DuchenneError(f"{path} holds no coded frame.")
    units = [unit_of(number) for number in table.iloc[0, 1:]]
    codes = table.iloc[1:, 1:]
    wrong = ~codes.isin([0.0, 1.0, *MISSING]) & codes.notna()
    if wrong.to_numpy().any():
        row, at = (int(i[0]) for i in wrong.to_numpy().nonzero())
        code, frame = codes.to_numpy()[row, at], table.to_numpy()[row + 1, 0]
        raise DuchenneError(
            f"{path}: {units[at]} is {code:g} in frame {frame:g}, and may be 0, 1 or 9 (not coded)."
        )
    return {
        int(row[0]): dict(zip(units, row[1:], strict=True))
        for row in table.iloc[1:].itertuples(index=False)
    }


def _sequence(
    source: Path, person: str, task: str, rows: dict[int, dict[str, float]], tell: Tell
) -> Iterator[Picture]:
    places = (source / name / person / task for name in _PICTURES)
    stills = next((found for found in map(numbered, places) if found), {})
    if not stills:
        tell(f"{person}/{task} has labels, but no pictures")
        return
    if 0 in stills:
        stills = {number + 1: path for number, path in stills.items()}
    n_missing = 0
    for frame, row in sorted(rows.items()):
        labels = known(row, MISSING)
        if not labels:
            continue
        if frame not in stills:
            n_missing += 1
            continue
        yield Picture(stills[frame], labels, person, task, frame)
    if n_missing:
        tell(f"{person}/{task}: {n_missing} labelled pictures are missing")
