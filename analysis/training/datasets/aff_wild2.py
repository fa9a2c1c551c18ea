"""Aff-Wild2 of the ABAW challenges: one text file per film and task, one line per frame.

``annotations/VA_Estimation_Challenge/Train_Set/1-30-1280x720.txt`` begins with ``valence,arousal``; a frame
that is not rated is -5,-5. Expressions: one number per line, -1 where missing; their order is taken from the
first line (``Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other``; other gives no class). Action
Units: 0, 1, or -1. Line n is picture ``cropped_aligned/1-30-1280x720/0000n.jpg``, from 1; the suffixes
``_left`` and ``_right`` name one of two people in a film.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.training.datasets.base import Picture, dataset, expression
from duchenne.analysis.training.datasets.files import folders, known, numbered, part, unit
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from duchenne.analysis.training.datasets.base import Tell

_PICTURES = ("cropped_aligned", "cropped-aligned", "cropped_aligned_images", "cropped", "images")
_KNOWN = "public programs that read it; folders above those of the tasks differ from year to year"
_LICENCE = "agreement with the owners (ABAW); research only, no passing on"
_CITATION = "Kollias & Zafeiriou (2019), Expression, affect, action unit recognition: Aff-Wild2"
_Line = dict[str, float]


@dataset(
    "aff-wild2-va",
    title="Aff-Wild2 (valence and arousal)",
    kind="affect",
    layout="annotations/VA_Estimation_Challenge/Train_Set/1-30-1280x720.txt and cropped_aligned/…/00001.jpg",
    known_from=_KNOWN,
    licence=_LICENCE,
    citation=_CITATION,
)
def read_aff_wild2_va(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every rated frame with ``valence`` and ``arousal``."""

    def line(heading: list[str], values: list[float]) -> _Line:
        names = heading if {"valence", "arousal"} <= set(heading) else ["valence", "arousal"]
        return known(dict(zip(names, values, strict=False)), (-5.0,))

    yield from _films(source, ("VA_Estimation_Challenge", "VA_Set"), line, tell)


@dataset(
    "aff-wild2-expr",
    title="Aff-Wild2 (expressions)",
    kind="expression",
    layout="annotations/EXPR_Recognition_Challenge/Train_Set/….txt and cropped_aligned/…/00001.jpg",
    known_from=_KNOWN,
    licence=_LICENCE,
    citation=_CITATION,
)
def read_aff_wild2_expr(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every frame with a class that is one of ours."""

    def line(heading: list[str], values: list[float]) -> _Line:
        number = int(values[0])
        if number == -1:
            return {}
        if not 0 <= number < len(heading):
            raise DuchenneError(f"the class is {number}, and may be -1 to {len(heading) - 1}")
        found = expression(heading[number])
        return {} if found is None else {"expression": float(found)}

    names = ("EXPR_Recognition_Challenge", "EXPR_Classification_Challenge", "EXPR_Set")
    yield from _films(source, names, line, tell)


@dataset(
    "aff-wild2-au",
    title="Aff-Wild2 (Action Units)",
    kind="occurrence",
    layout="annotations/AU_Detection_Challenge/Train_Set/….txt and cropped_aligned/…/00001.jpg",
    known_from=_KNOWN,
    licence=_LICENCE,
    citation=_CITATION,
)
def read_aff_wild2_au(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield every coded frame with its Action Units (0 or 1)."""

    def line(heading: list[str], values: list[float]) -> _Line:
        names = [unit(name) or name for name in heading]
        return known(dict(zip(names, values, strict=True)), (-1.0,))

    yield from _films(source, ("AU_Detection_Challenge", "AU_Set"), line, tell)


def _films(
    source: Path,
    tasks: tuple[str, ...],
    line: Callable[[list[str], list[float]], _Line],
    tell: Tell,
) -> Iterator[Picture]:
    below = (p for depth in ("", "*/", "*/*/") for name in tasks for p in source.glob(depth + name))
    own = next((p for p in below if p.is_dir()), None)
    if own is None:
        raise DuchenneError(
            f"{source} has no {' or '.join(tasks)}: is this part of the data missing?"
        )
    pictures = part(source, *_PICTURES)
    for fold in folders(own):
        for path in sorted(fold.glob("*.txt")):
            stills = numbered(pictures / path.stem)
            if not stills:
                tell(f"{path.stem} has labels, but no pictures")
                continue
            for frame, row in enumerate(_lines(path, line)):
                if row and frame + 1 in stills:
                    subject = path.stem.removesuffix("_left").removesuffix("_right")
                    yield Picture(stills[frame + 1], row, subject, fold.name, frame)


def _lines(path: Path, line: Callable[[list[str], list[float]], _Line]) -> Iterator[_Line]:
    first, *rest = path.read_text("utf-8", errors="replace").splitlines() or [""]
    heading = [name.strip() for name in first.split(",")]
    for i, text in enumerate(rest):
        if not text.strip():
            continue
        try:
            yield line(heading, [float(word) for word in text.split(",")])
        except (ValueError, DuchenneError) as error:
            raise DuchenneError(
                f"{path}, line {i + 2}: '{text}' cannot be read ({error})."
            ) from error
