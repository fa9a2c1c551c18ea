"""The study file of a simulated study, and what is true of each of its contrasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duchenne import __version__
from duchenne.analysis.simulation.effects import (
    AU_NAMES,
    GROUPS,
    PUPIL,
    RATINGS,
    Effect,
    spread_of,
)
from duchenne.analysis.simulation.streams import share_in

if TYPE_CHECKING:
    from collections.abc import Sequence

LATE = "late"
LATE_FROM_S = 2.0
STRICT_GAZE = 0.8
CURVE_FROM_S = -0.5


@dataclass(frozen=True)
class KnownContrast:
    """A contrast with the value that a perfect measurement of all people and stimuli would give.

    Attributes
    ----------
    declaration : dict
        As it stands in ``study.yaml``.
    effect : Effect
        What was planted.
    truth : float
        In the measure's unit.
    """

    declaration: dict[str, Any]
    effect: Effect
    truth: float

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "contrast": self.declaration["name"],
            "measure": self.declaration["measure"],
            "window": self.declaration.get("window", "whole"),
            "planted": self.effect.measure,
            "factor": self.effect.factor,
            "null": self.effect.is_null,
            "truth": self.truth,
            "unit": spread_of(self.effect.measure).unit,
        }


def known_contrasts(effects: Sequence[Effect], stimulus_s: float) -> list[KnownContrast]:
    """Return the contrasts of a simulated study: primary ones for what was planted, exploratory ones besides.

    Parameters
    ----------
    effects : sequence of Effect
    stimulus_s : float
        How long each stimulus is shown.
    """
    found = []
    for one in effects:
        family = "exploratory" if one.measure in RATINGS else "primary"
        name = f"{one.measure} by {one.factor}"
        found.append(KnownContrast(_declaration(one, name, one.column, family), one, one.size))
    for one in effects:
        if one.measure not in AU_NAMES:
            continue
        name = f"{one.measure} from baseline by {one.factor}"
        column = f"{one.measure}_change_mean"
        found.append(KnownContrast(_declaration(one, name, column, "exploratory"), one, one.size))
    first = next((one for one in effects if one.measure in AU_NAMES and not one.is_null), None)
    if first is not None and stimulus_s > LATE_FROM_S:
        share = share_in(LATE_FROM_S, stimulus_s, stimulus_s)
        name = f"{first.measure} late by {first.factor}"
        late = _declaration(first, name, first.column, "exploratory") | {"window": LATE}
        found.append(KnownContrast(late, first, first.size * share))
    return found


def study_file(name: str, known: Sequence[KnownContrast], *, stimulus_s: float) -> dict[str, Any]:
    """Return the content of ``study.yaml``.

    Parameters
    ----------
    name : str
        Of the study.
    known : sequence of KnownContrast
    stimulus_s : float
        How long each stimulus is shown.
    """
    content: dict[str, Any] = {
        "name": name,
        "description": "A simulated study: all participants, answers and effects are made up.",
        "duchenne_version": __version__,
        "protocol": "protocol.yaml",
    }
    if stimulus_s > LATE_FROM_S:
        content["windows"] = {LATE: {"start_s": LATE_FROM_S, "stop_s": None}}
    content["contrasts"] = [one.declaration for one in known]
    content["curves"] = _curves(known, stimulus_s)
    content["multiverse"] = _multiverse(known)
    return content


def _declaration(effect: Effect, name: str, column: str, family: str) -> dict[str, Any]:
    declared: dict[str, Any] = {"name": name, "measure": column}
    if effect.factor in GROUPS:
        plus, minus = GROUPS[effect.factor]
        declared |= {"plus": list(plus), "minus": list(minus)}
    else:
        declared["predictor"] = f"{effect.factor}_scaled"
    declared["family"] = family
    if not effect.is_null:
        declared["direction"] = "positive" if effect.size > 0 else "negative"
    return declared


def _curves(known: Sequence[KnownContrast], stimulus_s: float) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for one in known:
        effect = one.effect
        if effect.factor not in GROUPS or effect.measure not in (*AU_NAMES, PUPIL):
            continue
        plus, minus = GROUPS[effect.factor]
        name = f"{effect.measure} over time by {effect.factor}"
        found[name] = {
            "name": name,
            "measure": effect.measure,
            "plus": list(plus),
            "minus": list(minus),
            "start_s": CURVE_FROM_S,
            "stop_s": stimulus_s,
        }
    return list(found.values())


def _multiverse(known: Sequence[KnownContrast]) -> list[dict[str, Any]]:
    first = next(
        (one for one in known if one.effect.measure in AU_NAMES and not one.effect.is_null), None
    )
    if first is None:
        return []
    unit = first.effect.measure
    strict = {"name": "strict", "keep": {"gaze_valid_fraction": {"min": STRICT_GAZE}}}
    return [
        {
            "contrast": first.declaration["name"],
            "measures": [f"{unit}_mean", f"{unit}_change_mean", f"{unit}_peak"],
            "exclusions": ["declared", "none", strict],
            "covariates": [[], ["trial"]],
        }
    ]
