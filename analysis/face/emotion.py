"""Expression prototypes of the Facial Action Coding System, matched frame by frame.

What is reported is the match of an expression with a prototype, not an emotion that was felt.

A prototype's score is ``Σ r·I/5 / Σ r`` over its Action Units that are measured, with ``I`` the
intensity (0–5; the stronger one of alternatives) and ``r`` the weight of the Action Unit (1 unless
given). It counts only where its core is active: all core units occur (intensity from 2 and above
the neutral phase, see :func:`duchenne.analysis.face.calibration.occurrence`).

========== ======================= =============
prototype  Action Units            core
========== ======================= =============
happiness  6 + 12                  6, 12
sadness    1 + 4 + 15              1, 4
surprise   1 + 2 + 5 + 26|27       1, 2
fear       1 + 2 + 4 + 5 + 7 + 20 + 26  4, 20
anger      4 + 5 + 7 + 23|24       4, 7|5
disgust    9|10 + 15|17            9|10
contempt   12 + 14 on one side     14 on one side
========== ======================= =============

References
----------
Ekman, Friesen & Hager (2002), Facial Action Coding System: Investigator's Guide (EMFACS).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import BoolArray, FloatArray

# One-sided: the stronger side occurs, the other does not, and they differ by at least this.
MIN_ASYMMETRY = 1.0

NEUTRAL, NONE, NOT_ASSESSABLE = "neutral", "none", "not_assessable"

Units = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Prototype:
    """Action Units of an expression; each entry lists alternatives, of which the strongest counts."""

    name: str
    units: Units
    core: Units
    one_sided: bool = False


def _units(text: str) -> Units:
    return tuple(
        tuple(f"AU{int(number):02d}" for number in entry.split("|")) for entry in text.split()
    )


PROTOTYPES = (
    Prototype("happiness", _units("6 12"), _units("6 12")),
    Prototype("sadness", _units("1 4 15"), _units("1 4")),
    Prototype("surprise", _units("1 2 5 26|27"), _units("1 2")),
    Prototype("fear", _units("1 2 4 5 7 20 26"), _units("4 20")),
    Prototype("anger", _units("4 5 7 23|24"), _units("4 7|5")),
    Prototype("disgust", _units("9|10 15|17"), _units("9|10")),
    Prototype("contempt", _units("12 14"), _units("14"), one_sided=True),
)
EXPRESSIONS = tuple(prototype.name for prototype in PROTOTYPES)
# Of equal scores, the prototype with more Action Units is the more specific one.
_TIE_BREAK = np.array([len(prototype.units) for prototype in PROTOTYPES]) * 1e-9
LABELS = (*EXPRESSIONS, NEUTRAL, NONE, NOT_ASSESSABLE)


@dataclass(frozen=True)
class PrototypeMatch:
    """Prototypes of a series of frames.

    Parameters
    ----------
    label : (n,) object
        The prototype with the highest score (of equal ones, that with more Action Units);
        ``neutral`` where no assessed Action Unit occurs,
        ``none`` where some occur without a prototype, ``not_assessable`` where the frame is not
        measured.
    scores : mapping of str to (n,) float64
        0 to 1 where the core is active, 0 where it is not, NaN where it is not assessable.
    coverage : mapping of str to float
        Share of the prototype's Action Units that are measured at all; 0 where a core unit is not,
        so that the prototype is not assessable.
    """

    label: NDArray[np.object_]
    scores: Mapping[str, FloatArray]
    coverage: Mapping[str, float]


def match_prototypes(
    intensities: Mapping[str, FloatArray],
    occurrences: Mapping[str, FloatArray],
    weights: Mapping[str, float] | None = None,
) -> PrototypeMatch:
    """Match Action Units with the seven prototypes.

    Parameters
    ----------
    intensities : mapping of str to (n,) float64
        ``"AU01"`` … and one-sided ``"AU12L"`` …; 0 to 5, NaN = not measured. An Action Unit that
        is not in the mapping is not measured.
    occurrences : mapping of str to (n,) float64
        0, 1 or NaN, for the same names.
    weights : mapping of str to float, optional
        Weight of each Action Unit in the score; 1 where absent.
    """
    weights = weights or {}
    n = len(next(iter(intensities.values()), np.zeros(0)))
    scores: dict[str, FloatArray] = {}
    coverage: dict[str, float] = {}
    for prototype in PROTOTYPES:
        coverage[prototype.name] = _coverage(prototype, intensities)
        if coverage[prototype.name] == 0:
            scores[prototype.name] = np.full(n, np.nan)
        elif prototype.one_sided:
            scores[prototype.name] = _one_sided_score(prototype, intensities, occurrences, weights)
        else:
            scores[prototype.name] = _score(prototype, intensities, occurrences, weights)
    return PrototypeMatch(_labels(n, scores, occurrences), scores, coverage)


def _measured(names: tuple[str, ...], available: Mapping[str, FloatArray]) -> tuple[str, ...]:
    return tuple(name for name in names if name in available)


def _coverage(prototype: Prototype, available: Mapping[str, FloatArray]) -> float:
    def has(entry: tuple[str, ...]) -> bool:
        if prototype.one_sided:
            return all(f"{name}{side}" in available for name in entry for side in "LR")
        return bool(_measured(entry, available))

    if not all(has(entry) for entry in prototype.core):
        return 0.0
    return sum(has(entry) for entry in prototype.units) / len(prototype.units)


def _score(
    prototype: Prototype,
    intensities: Mapping[str, FloatArray],
    occurrences: Mapping[str, FloatArray],
    weights: Mapping[str, float],
) -> FloatArray:
    entries = [m for entry in prototype.units if (m := _measured(entry, intensities))]
    strengths = np.stack([np.max([intensities[au] for au in entry], axis=0) for entry in entries])
    entry_weights = np.array([max(weights.get(au, 1.0) for au in entry) for entry in entries])
    core = np.stack(
        [
            np.max([occurrences[au] for au in _measured(entry, occurrences)], axis=0)
            for entry in prototype.core
        ]
    ).min(axis=0)
    total = entry_weights @ strengths / 5.0 / entry_weights.sum()
    return np.where(np.isnan(core), np.nan, np.where(core > 0, total, 0.0))


def _one_sided_score(
    prototype: Prototype,
    intensities: Mapping[str, FloatArray],
    occurrences: Mapping[str, FloatArray],
    weights: Mapping[str, float],
) -> FloatArray:
    """Score each side by itself; it counts where the core acts on that side only."""
    core = prototype.core[0][0]
    units = [e[0] for e in prototype.units if f"{e[0]}L" in intensities]
    unit_weights = np.array([weights.get(au, 1.0) for au in units])
    best: FloatArray | None = None
    for side, other in ("LR", "RL"):
        difference = intensities[f"{core}{side}"] - intensities[f"{core}{other}"]
        active = (
            (occurrences[f"{core}{side}"] > 0)
            & (occurrences[f"{core}{other}"] == 0)
            & (difference >= MIN_ASYMMETRY)
        )
        strengths = np.stack([intensities[f"{au}{side}"] for au in units])
        total = unit_weights @ strengths / 5.0 / unit_weights.sum()
        score = np.where(np.isnan(difference), np.nan, np.where(active, total, 0.0))
        best = score if best is None else np.maximum(best, score)
    assert best is not None
    return best


def _labels(
    n: int, scores: Mapping[str, FloatArray], occurrences: Mapping[str, FloatArray]
) -> NDArray[np.object_]:
    assessed = sorted({au for p in PROTOTYPES for entry in p.units for au in entry})
    used = [occurrences[au] for au in assessed if au in occurrences]
    label = np.full(n, NOT_ASSESSABLE, dtype=object)
    if not used:
        return label
    units = np.stack(used)
    table = np.stack([scores[name] for name in EXPRESSIONS])
    measured = np.isfinite(units).any(axis=0) & np.isfinite(table).any(axis=0)
    ranked = np.where(np.isfinite(table), table, 0.0)
    best = (ranked + _TIE_BREAK[:, None]).argmax(axis=0)
    active = (np.nan_to_num(units) > 0).any(axis=0)
    label[measured] = NONE
    label[measured & ~active] = NEUTRAL
    matched: BoolArray = measured & (ranked.max(axis=0) > 0)
    label[matched] = np.array(EXPRESSIONS, dtype=object)[best[matched]]
    return label
