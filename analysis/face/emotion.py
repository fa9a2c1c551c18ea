"""Expression prototypes of the Facial Action Coding System, matched frame by frame.

What is reported is the match of an expression with a prototype, not an emotion that was felt.

A prototype's score is ``Σ r·I/5 / Σ r`` over its Action Units that are measured in the frame, with
``I`` the intensity (0–5; the stronger one of alternatives) and ``r`` the weight of the Action Unit
(1 unless given; the larger one of alternatives). It counts only where its core is active: all core
units occur (intensity from 2 and above the neutral phase, see
:func:`duchenne.analysis.face.calibration.occurrence`).

A one-sided prototype is scored on each side by itself. A unit acts on one side when it occurs
there, does not occur on the other side, and the sides differ by at least 1. The core must act on
one side; each other unit must act on the same side or occur on neither, so that a smile on both
sides is never contempt, with whatever dimple.

========== ======================= =============
prototype  Action Units            core
========== ======================= =============
happiness  6 + 12                  6, 12
sadness    1 + 4 + 15              1, 4
surprise   1 + 2 + 5 + 26|27       1, 2
fear       1 + 2 + 4 + 5 + 7 + 20 + 26  4, 20
anger      4 + 5 + 7 + 23|24       4, 7|5
disgust    9|10 + 15|17            9|10
contempt   12 + 14 on one side     14 on that side
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
        where none matches, ``not_assessable`` when the frame is not measured or leaves open whether
        a prototype's core is active, else ``none`` when some Action Unit of the prototypes occurs,
        else ``neutral`` when all of them are measured, else ``not_assessable``.
    scores : mapping of str to (n,) float64
        0 to 1 where the core is active, 0 where a core unit does not occur, NaN where that is not
        known.
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
        ``"AU01"`` … and one-sided ``"AU12L"`` …; 0 to 5, NaN = not measured in the frame. What is
        never measured must not be in the mapping: it keeps no frame from being neutral.
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
    return PrototypeMatch(_labels(n, scores, occurrences, coverage), scores, coverage)


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
    strengths, entry_weights = [], []
    for entry in prototype.units:
        if names := _measured(entry, intensities):
            values = np.stack([intensities[au] for au in names])
            alternatives = np.array([[weights.get(au, 1.0)] for au in names])
            strengths.append(np.fmax.reduce(values))
            entry_weights.append(np.where(np.isfinite(values), alternatives, 0.0).max(axis=0))
    core = [
        _any_occurs([occurrences[au] for au in _measured(entry, occurrences)])
        for entry in prototype.core
    ]
    # What is known to be inactive decides, whatever the other units did.
    state = np.fmin.reduce(core)
    state = np.where((state > 0) & np.isnan(core).any(axis=0), np.nan, state)
    return _counted(state, _weighted(strengths, entry_weights))


def _any_occurs(alternatives: list[FloatArray]) -> FloatArray:
    """Return 1 where one of them occurs, 0 where none does, NaN where none is known to but one may."""
    found = np.fmax.reduce(alternatives)
    return np.where((found == 0) & np.isnan(alternatives).any(axis=0), np.nan, found)


def _weighted(strengths: list[FloatArray], weights: list[FloatArray]) -> FloatArray:
    """Return the weighted mean of intensities as a share of 5; NaN where none is measured."""
    values, shares = np.stack(strengths), np.stack(weights)
    shares = np.where(np.isfinite(values), shares, 0.0)
    total = shares.sum(axis=0)
    summed = (shares * np.nan_to_num(values)).sum(axis=0) / 5.0
    return np.where(total > 0, summed / np.where(total > 0, total, 1.0), np.nan)


def _counted(core: FloatArray, total: FloatArray) -> FloatArray:
    return np.where(np.isnan(core), np.nan, np.where(core > 0, total, 0.0))


def _one_sided_score(
    prototype: Prototype,
    intensities: Mapping[str, FloatArray],
    occurrences: Mapping[str, FloatArray],
    weights: Mapping[str, float],
) -> FloatArray:
    """Score each side by itself; it counts where the units act on that side only."""
    core = prototype.core[0][0]
    units = [e[0] for e in prototype.units if all(f"{e[0]}{side}" in intensities for side in "LR")]
    scores = []
    for side, other in ("LR", "RL"):
        state = _acts_on(core, side, other, intensities, occurrences)
        for au in units:
            if au != core:
                here, there = occurrences[f"{au}{side}"], occurrences[f"{au}{other}"]
                elsewhere = (here > 0) | (there > 0)
                acts = _acts_on(au, side, other, intensities, occurrences)
                state = np.where(elsewhere & ~(acts > 0) & (state > 0), 0.0, state)
                state = np.where(np.isnan(here + there) & (state > 0), np.nan, state)
        strengths = [intensities[f"{au}{side}"] for au in units]
        unit_weights = [np.full(len(state), weights.get(au, 1.0)) for au in units]
        scores.append(_counted(state, _weighted(strengths, unit_weights)))
    return np.asarray(np.maximum(*scores), np.float64)


def _acts_on(
    au: str,
    side: str,
    other: str,
    intensities: Mapping[str, FloatArray],
    occurrences: Mapping[str, FloatArray],
) -> FloatArray:
    """Return 1 where an Action Unit acts on this side only, 0 where not, NaN where not known."""
    here, there = f"{au}{side}", f"{au}{other}"
    difference = intensities[here] - intensities[there]
    acts = (occurrences[here] > 0) & (occurrences[there] == 0) & (difference >= MIN_ASYMMETRY)
    return np.where(np.isnan(difference), np.nan, acts.astype(np.float64))


def _labels(
    n: int,
    scores: Mapping[str, FloatArray],
    occurrences: Mapping[str, FloatArray],
    coverage: Mapping[str, float],
) -> NDArray[np.object_]:
    used = [occurrences[au] for au in _assessed(occurrences)]
    label = np.full(n, NOT_ASSESSABLE, dtype=object)
    if not used:
        return label
    units = np.stack(used)
    table = np.stack([scores[name] for name in EXPRESSIONS])
    assessable = np.isfinite(table)
    measured = np.isfinite(units).any(axis=0) & assessable.any(axis=0)
    # Open: the core of a prototype that other frames allow to assess is not known in this one.
    ever = np.array([coverage[name] > 0 for name in EXPRESSIONS])
    is_open = (~assessable & ever[:, None]).any(axis=0)
    active = (np.nan_to_num(units) > 0).any(axis=0)
    label[measured & ~is_open & active] = NONE
    label[measured & ~is_open & ~active & np.isfinite(units).all(axis=0)] = NEUTRAL
    ranked = np.where(assessable, table, 0.0)
    best = (ranked + _TIE_BREAK[:, None]).argmax(axis=0)
    matched: BoolArray = measured & (ranked.max(axis=0) > 0)
    label[matched] = np.array(EXPRESSIONS, dtype=object)[best[matched]]
    return label


def _assessed(available: Mapping[str, FloatArray]) -> list[str]:
    """Return the Action Units of the prototypes that are measured; sides where only they are."""
    names = sorted({au for p in PROTOTYPES for entry in p.units for au in entry})
    found = []
    for au in names:
        found += [au] if au in available else [f"{au}{s}" for s in "LR" if f"{au}{s}" in available]
    return found
