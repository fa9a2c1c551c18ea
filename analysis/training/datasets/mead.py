"""MEAD: actors speak with eight emotions at three levels, filmed from seven sides.

``M003/video/front/happy/level_1/001.mp4``; the emotion is the folder's name (angry, contempt, disgusted,
fear, happy, neutral, sad, surprised). Every frame gets its film's class, also where the face is just
speaking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.training.datasets.base import Picture, dataset, expression
from duchenne.analysis.training.datasets.files import folders, frames_of, is_film

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duchenne.analysis.training.datasets.base import Tell


@dataset(
    "mead",
    title="MEAD",
    kind="expression",
    layout="M003/video/front/happy/level_1/001.mp4",
    known_from="public programs that read it",
    licence="terms of the project's page; research only",
    citation="Wang et al. (2020), MEAD: a large-scale audio-visual dataset for emotional talking-face",
)
def read_mead(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every frame with its ``expression``; ``condition`` is view, emotion, level and film."""
    for person in folders(source):
        films = sorted(p for p in (person / "video").glob("*/*/*/*") if is_film(p))
        if not films:
            tell(f"{person.name} has no films")
        for film in films:
            view, emotion, level = film.relative_to(person / "video").parts[:3]
            found = expression(emotion)
            if found is None:
                tell(f"'{emotion}' is no class of ours")
                continue
            condition = f"{view} {emotion} {level} {film.stem}"
            for frame in frames_of(film, tell):
                yield Picture(film, {"expression": float(found)}, person.name, condition, frame)
