"""What a simulated study holds: how large each effect is, and how much people and stimuli differ.

An answer of participant p to stimulus s is

    base + u[p] + Σ (effect + b[p]) · x[s] + w[s] + e[p, s]

with one term of the sum for each effect on the measure. x is ±0.5 for two groups of stimuli, or a norm
from −1 to 1; u, b, w and e are normal: participants, their slopes, stimuli and what is left. A null is an
effect of size 0 with all of the rest: the slopes differ between participants, their mean is 0.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duchenne.analysis.summary import OPENFACE_AUS
from duchenne.stimuli.errors import UsageError
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

AU_NAMES = tuple(f"AU{unit:02d}" for unit in OPENFACE_AUS)
RATINGS = ("rating_valence", "rating_arousal")
PUPIL = "pupil"
MEASURES = (*AU_NAMES, PUPIL, *RATINGS)
VALENCE, AROUSAL = "valence", "arousal"
GROUPS = {
    VALENCE: (("HVHA", "HVLA"), ("LVHA", "LVLA")),
    AROUSAL: (("HVHA", "LVHA"), ("HVLA", "LVLA")),
}
"""Factors of the design: which categories have more of it, and which less."""
NORMS = ("norm_valence", "norm_arousal")
FACTORS = (*GROUPS, *NORMS)
DEFAULT_EFFECTS = ("AU12=1.0", "AU04=-0.6", "pupil=0.15", "rating_valence=3", "rating_arousal=2.5")
DEFAULT_NULLS = ("AU01", "AU15@arousal")
_RATED = ("rating_valence=3", "rating_arousal=2.5")
"""Whatever else is planted, what is rated follows the stimuli, unless it is told otherwise."""
_WRITTEN = re.compile(r"(?P<measure>\w+)(?:@(?P<factor>\w+))?(?:=(?P<size>\S+))?")


@dataclass(frozen=True)
class Spread:
    """How a measure varies, in its own unit; standard deviations.

    Attributes
    ----------
    base : float
        Mean answer to the group of stimuli with the smaller answer.
    participant, slope, stimulus, residual : float
        Of participants, of their slopes, of stimuli, and of what is left.
    largest : float
        Largest effect that leaves room for all of this.
    unit : str
    """

    base: float
    participant: float
    slope: float
    stimulus: float
    residual: float
    largest: float
    unit: str


AU_SPREAD = Spread(1.0, 0.25, 0.25, 0.15, 0.25, 2.5, "0-5")
PUPIL_SPREAD = Spread(0.2, 0.06, 0.05, 0.03, 0.05, 0.8, "mm")
RATING_SPREAD = Spread(5.0, 0.5, 0.6, 0.4, 0.9, 4.0, "scale points")


@dataclass(frozen=True)
class Effect:
    """One planted effect, or a planted null.

    Attributes
    ----------
    measure : str
        One of `MEASURES`.
    factor : str
        One of `FACTORS`.
    size : float
        Difference between the two groups, or slope per unit of a norm (−1 to 1), in the measure's unit;
        0 for a null.
    """

    measure: str
    factor: str
    size: float

    @property
    def is_null(self) -> bool:
        """Whether there is nothing to be found."""
        return self.size == 0

    @property
    def column(self) -> str:
        """Column of the summary in which it shows."""
        if self.measure in AU_NAMES:
            return f"{self.measure}_mean"
        return "pupil_change_mean" if self.measure == PUPIL else self.measure


def spread_of(measure: str) -> Spread:
    """Return how a measure varies."""
    if measure in AU_NAMES:
        return AU_SPREAD
    return PUPIL_SPREAD if measure == PUPIL else RATING_SPREAD


def read_effects(effects: Sequence[str], nulls: Sequence[str]) -> tuple[Effect, ...]:
    """Read what the command line asks for; the defaults where it asks for nothing.

    Parameters
    ----------
    effects : sequence of str
        ``MEASURE=SIZE`` or ``MEASURE@FACTOR=SIZE``; the valence of the stimuli for Action Units and the
        rating of valence, their arousal for the pupil and the rating of arousal.
    nulls : sequence of str
        ``MEASURE`` or ``MEASURE@FACTOR``.

    Raises
    ------
    UsageError
        Something is not written so, not known, too large, or named twice.
    """
    planted = [_effect(text) for text in effects or DEFAULT_EFFECTS]
    taken = {(one.measure, one.factor) for one in planted}
    wanted = [_null(text) for text in nulls or DEFAULT_NULLS]
    if not nulls:  # a default gives way to what was asked for
        wanted = [one for one in wanted if (one.measure, one.factor) not in taken]
    found = [*planted, *wanted]
    measures = {one.measure for one in found}
    found += [one for one in map(_effect, _RATED) if one.measure not in measures]
    for one in found:
        if sum((other.measure, other.factor) == (one.measure, one.factor) for other in found) > 1:
            raise UsageError(f"{one.measure}@{one.factor} is given twice")
    _refuse_crowded(found)
    return tuple(found)


def effects_of(measure: str, effects: Iterable[Effect]) -> tuple[Effect, ...]:
    """Return the effects on one measure."""
    return tuple(one for one in effects if one.measure == measure)


def _refuse_crowded(effects: Sequence[Effect]) -> None:
    """Refuse effects that together leave a measure no room on its scale."""
    for measure in {one.measure for one in effects}:
        total = sum(abs(one.size) for one in effects_of(measure, effects))
        largest = spread_of(measure).largest
        if total > largest + 1e-9:
            raise UsageError(
                f"effects on {measure} of {total:g} in all leave no room on its scale: at most {largest:g}"
            )


def _effect(text: str) -> Effect:
    measure, factor, size = _parts(text, "--effect", "AU12=1.0 or AU12@arousal=0.5")
    try:
        number = float(size or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"--effect {text}: write it as AU12=1.0 or AU12@arousal=0.5")
    if number == 0:
        raise UsageError(
            f"--effect {text}: an effect of 0 is a null, write --null {measure}@{factor}"
        )
    return Effect(measure, factor, number)


def _null(text: str) -> Effect:
    measure, factor, size = _parts(text, "--null", "AU04 or AU04@arousal")
    if size is not None:
        raise UsageError(f"--null {text}: a null has no size, write it as AU04 or AU04@arousal")
    return Effect(measure, factor, 0.0)


def _parts(text: str, option: str, example: str) -> tuple[str, str, str | None]:
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{option} {text}: write it as {example}")
    measure, factor = match["measure"], match["factor"]
    if measure not in MEASURES:
        raise UsageError(
            f"{option} {text}: no measure {measure!r}{did_you_mean(measure, MEASURES, most=30)}"
        )
    if factor is None:
        factor = AROUSAL if measure in (PUPIL, "rating_arousal") else VALENCE
    if factor not in FACTORS:
        raise UsageError(f"{option} {text}: no factor {factor!r}{did_you_mean(factor, FACTORS)}")
    return measure, factor, match["size"]
