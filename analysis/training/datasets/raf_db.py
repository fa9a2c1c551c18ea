"""RAF-DB, basic expressions: pictures from the web, each seen by about 40 people.

``EmoLabel/list_patition_label.txt`` (the spelling is the data set's) has lines ``train_00001.jpg 5``:
1 surprise, 2 fear, 3 disgust, 4 happiness, 5 sadness, 6 anger, 7 neutral. Pictures are
``Image/original/train_00001.jpg`` with ``Annotation/boundingbox/train_00001_boundingbox.txt`` (left, top,
right, bottom), or ``Image/aligned/train_00001_aligned.jpg``. No subjects are known: each picture counts as a
person of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.training.datasets.base import Picture, dataset, expression
from duchenne.analysis.training.datasets.files import part, read_lines
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.training.datasets.base import Tell

EMOTIONS = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")


@dataset(
    "raf-db",
    title="RAF-DB (basic)",
    kind="expression",
    layout="EmoLabel/list_patition_label.txt and Image/original/train_00001.jpg or Image/aligned/…",
    known_from="public programs that read it",
    licence="agreement with the owners; research only",
    citation="Li, Deng & Du (2017), Reliable crowdsourcing and deep locality-preserving learning",
)
def read_raf_db(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every picture with its ``expression`` (no contempt)."""
    base = source / "basic" if (source / "basic").is_dir() else source
    path = part(base, "EmoLabel/list_patition_label.txt", "list_patition_label.txt")
    original, aligned = base / "Image" / "original", base / "Image" / "aligned"
    n_missing = 0
    for line in path.read_text("utf-8").splitlines():
        name, _, number = line.strip().partition(" ")
        if not name:
            continue
        if number.strip() not in map(str, range(1, len(EMOTIONS) + 1)):
            raise DuchenneError(f"{path}: {name} has the class '{number}', and may have 1 to 7.")
        found = expression(EMOTIONS[int(number) - 1])
        assert found is not None
        stem = name.rpartition(".")[0]
        places = (original / name, aligned / f"{stem}_aligned.jpg", aligned / name)
        where = next((p for p in places if p.is_file()), None)
        if where is None:
            n_missing += 1
            continue
        note = base / "Annotation" / "boundingbox" / f"{stem}_boundingbox.txt"
        box = _box(note) if where.parent == original and note.is_file() else None
        yield Picture(where, {"expression": float(found)}, stem, stem.split("_")[0], box=box)
    if n_missing:
        tell(f"{n_missing} pictures are missing")


def _box(path: Path) -> tuple[float, float, float, float]:
    numbers = [number for row in read_lines(path) for number in row]
    if len(numbers) < 4:
        raise DuchenneError(f"{path} holds no box (left, top, right, bottom).")
    left, top, right, bottom = numbers[:4]
    return left, top, right - left, bottom - top
