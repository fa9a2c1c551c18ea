"""Micro-expressions: CASME II and SAMM. The onset is taken as neutral, the apex with its Action Units.

CASME II: ``CASME2-coding-20140508.xlsx`` with Subject, Filename, OnsetFrame, ApexFrame, OffsetFrame,
Action Units, Estimated Emotion; pictures ``CASME2-RAW/sub01/EP02_01f/img46.jpg`` (preferred), or another
folder of ``sub01`` … such as ``Cropped``.
SAMM: ``SAMM_Micro_FACS_Codes_v2.xlsx`` with the same under "Onset Frame" …, some lines below the top;
pictures ``006/006_1_2/006_05562.jpg``. Either table may be saved as CSV.

Codes such as ``4+L10`` name Action Units and sides (sides are dropped here); what is coded ``12 or 14`` or
``12?`` is left unknown. Grades of SAMM (``12B``) are dropped. Feelings that are no class of ours
(repression, others) give no ``expression``.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from duchenne.analysis.training.datasets.base import Picture, dataset, expression
from duchenne.analysis.training.datasets.files import (
    need_columns,
    numbered,
    read_table,
    unit_of,
)
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from duchenne.analysis.training.datasets.base import Tell

_KNOWN = "public programs that read it"
_CODE = re.compile(r"(?:AU)?[LRTB]?\s*(\d+)\s*[A-E]?", re.IGNORECASE)


class _Clip(NamedTuple):
    subject: str
    name: str
    onset: int | None
    apex: int | None
    there: frozenset[int]
    unsure: frozenset[int]
    feeling: str


@dataset(
    "casme2",
    title="CASME II",
    kind="mixed",
    layout="CASME2-coding-20140508.xlsx (or .csv) and CASME2-RAW/sub01/EP02_01f/img46.jpg",
    known_from=_KNOWN,
    licence="agreement with the Chinese Academy of Sciences; research only",
    citation="Yan et al. (2014), CASME II: an improved spontaneous micro-expression database",
)
def read_casme2(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield onset and apex of each clip: Action Units (0 or 1) and ``expression``."""
    found = {p.parent for depth in ("", "*/", "*/*/") for p in source.glob(f"{depth}sub[0-9]*")}
    roots = sorted(found, key=lambda p: ("RAW" not in p.name.upper(), p))

    def stills(clip: _Clip) -> dict[int, Path]:
        number = clip.subject.removeprefix("sub").zfill(2)
        return next((s for r in roots if (s := numbered(r / f"sub{number}" / clip.name))), {})

    yield from _clips(source, ("*CASME2*coding*", "*CASME2*label*"), stills, tell, subject="sub")


@dataset(
    "samm",
    title="SAMM",
    kind="mixed",
    layout="SAMM_Micro_FACS_Codes_v2.xlsx (or .csv) and 006/006_1_2/006_05562.jpg",
    known_from=_KNOWN,
    licence="agreement with Manchester Metropolitan University; research only",
    citation="Davison et al. (2018), SAMM: a spontaneous micro-facial movement dataset",
)
def read_samm(source: Path, tell: Tell) -> Iterator[Picture]:
    """Yield onset and apex of each clip: Action Units (0 or 1) and ``expression``."""

    def stills(clip: _Clip) -> dict[int, Path]:
        person = clip.name.split("_")[0]
        roots = (source, source / "SAMM")
        return next((s for r in roots if (s := numbered(r / person / clip.name))), {})

    yield from _clips(source, ("*SAMM*FACS_Codes*",), stills, tell)


def _clips(
    source: Path,
    patterns: tuple[str, ...],
    stills: Callable[[_Clip], dict[int, Path]],
    tell: Tell,
    subject: str = "",
) -> Iterator[Picture]:
    path = next((p for pattern in patterns for p in sorted(source.glob(pattern))), None)
    if path is None:
        raise DuchenneError(
            f"{source} has no {' or '.join(patterns)}: is this part of the data missing?"
        )
    clips = list(_rows(path))
    units = sorted({u for clip in clips for u in clip.there | clip.unsure})
    for clip in clips:
        pictures = stills(clip)
        if clip.apex is None or clip.apex not in pictures:
            tell(f"{clip.name}: the apex is not coded or its picture is missing")
            continue
        person = f"{subject}{clip.subject.removeprefix(subject).zfill(2 if subject else 3)}"
        if clip.onset in pictures:
            calm = {**{unit_of(u): 0.0 for u in units}, "expression": 0.0}
            yield Picture(pictures[clip.onset], calm, person, f"{clip.name} onset")
        labels = {unit_of(u): float(u in clip.there) for u in units if u not in clip.unsure}
        felt = expression(clip.feeling)
        if felt is not None:
            labels["expression"] = float(felt)
        yield Picture(pictures[clip.apex], labels, person, f"{clip.name} apex")


def _rows(path: Path) -> Iterator[_Clip]:
    raw = read_table(path, header=None, dtype=str)
    top = next(
        (i for i, row in enumerate(raw.itertuples(index=False)) if "Filename" in map(_text, row)),
        None,
    )
    if top is None:
        raise DuchenneError(f"{path} has no line of headings with Filename.")
    table = raw.iloc[top + 1 :].set_axis(
        [_text(c).replace(" ", "").lower() for c in raw.iloc[top]], axis=1
    )
    table = need_columns(
        table.loc[:, [bool(c) for c in table.columns]],
        path,
        "subject",
        "filename",
        "onsetframe",
        "apexframe",
        "actionunits",
        "estimatedemotion",
    )
    for row in table.to_dict("records"):
        name = _text(row["filename"])
        if name:
            there, unsure = units_of(_text(row["actionunits"]))
            yield _Clip(
                _text(row["subject"]),
                name,
                _frame(row["onsetframe"]),
                _frame(row["apexframe"]),
                there,
                unsure,
                _text(row["estimatedemotion"]),
            )


def units_of(text: str) -> tuple[frozenset[int], frozenset[int]]:
    """Return the Action Units that a code names, and those it leaves open."""
    there: set[int] = set()
    unsure: set[int] = set()
    for word in re.split(r"[+,;]", text):
        numbers = {int(n) for n in _CODE.findall(word)}
        open_ = "or" in word.lower() or "?" in word or "/" in word
        (unsure if open_ else there).update(numbers)
    return frozenset(there), frozenset(unsure - there)


def _text(cell: object) -> str:
    return "" if cell is None or (isinstance(cell, float) and pd.isna(cell)) else str(cell).strip()


def _frame(cell: object) -> int | None:
    try:
        number = float(_text(cell))
    except ValueError:
        return None
    return int(number) if math.isfinite(number) else None
