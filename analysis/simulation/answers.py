"""What each simulated participant answers to each stimulus: the truth of a simulated study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.simulation.effects import (
    AU_NAMES,
    GROUPS,
    PUPIL,
    RATINGS,
    Effect,
    effects_of,
    spread_of,
)
from duchenne.recorder.sources.oculomotor import generator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duchenne.analysis.statistics.types import FloatArray
    from duchenne.stimuli.manifest import StimulusSet


@dataclass(frozen=True)
class Answers:
    """The answers of a study.

    Attributes
    ----------
    effects : tuple of Effect
        What was planted, nulls included.
    participants, stimuli : tuple of str
        Labels and ids, in the order of the arrays.
    values : mapping of str to (participants, stimuli) float64
        The true answer by measure, in its unit: mean intensity while the stimulus is shown, mean dilation
        (mm), rating before it is rounded.
    slopes : mapping of (measure, factor) to (participants,) float64
        How much each participant's own effect departs from the mean one.
    """

    effects: tuple[Effect, ...]
    participants: tuple[str, ...]
    stimuli: tuple[str, ...]
    values: Mapping[str, FloatArray]
    slopes: Mapping[tuple[str, str], FloatArray]

    def of(self, participant: str, measure: str) -> dict[str, float]:
        """Return one participant's true answers by stimulus; empty for what was not simulated."""
        if measure not in self.values:
            return {}
        row = self.values[measure][self.participants.index(participant)]
        return dict(zip(self.stimuli, row.tolist(), strict=True))


def draw_answers(
    effects: Sequence[Effect], participants: Sequence[str], stimuli: StimulusSet, seed: int
) -> Answers:
    """Draw the answers of all participants.

    Each measure has random draws of its own: a further effect leaves the other measures as they were.

    Parameters
    ----------
    effects : sequence of Effect
    participants : sequence of str
        Labels.
    stimuli : StimulusSet
        With categories and norms.
    seed : int
        Same seed, same answers.
    """
    measures = [name for name in AU_NAMES if effects_of(name, effects)] + [PUPIL, *RATINGS]
    values, slopes = {}, {}
    for measure in measures:
        spread, own = spread_of(measure), effects_of(measure, effects)
        n, m = len(participants), len(stimuli)
        random = generator(seed, "answers", measure)
        middle = spread.base
        if measure not in RATINGS:
            middle += sum(abs(one.size) for one in own) / 2
        answer = np.full((n, m), middle)
        answer += random.normal(0, spread.participant, n)[:, None]
        answer += random.normal(0, spread.stimulus, m)
        answer += random.normal(0, spread.residual, (n, m))
        for one in own:
            slope = generator(seed, "slopes", measure, one.factor).normal(0, spread.slope, n)
            slopes[measure, one.factor] = slope
            answer += (one.size + slope)[:, None] * coded(stimuli, one.factor)
        values[measure] = answer
    return Answers(
        tuple(effects), tuple(participants), tuple(s.id for s in stimuli), values, slopes
    )


def coded(stimuli: StimulusSet, factor: str) -> FloatArray:
    """Return the code of each stimulus: ±0.5 for two groups of categories, or its norm from −1 to 1."""
    if factor in GROUPS:
        more, _ = GROUPS[factor]
        return np.array([0.5 if s.category in more else -0.5 for s in stimuli])
    name = f"{factor.removeprefix('norm_')}_scaled"
    return np.array([float(getattr(s, name)) for s in stimuli])
