"""What a simulated participant answers: near the norms where there are any, and reproducibly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from duchenne.protocols.parts_ratings import (
    ChoiceRating,
    EmotionsRating,
    GridRating,
    LikertRating,
    NumberRating,
    SliderRating,
    TextRating,
    YesNoRating,
)

if TYPE_CHECKING:
    from duchenne.protocols.parts_ratings import Rating
    from duchenne.stimuli.manifest import Stimulus

FELT = 0.3
"""Probability that an emotion of a list is marked."""
NOISE_STEPS = 0.8
"""Standard deviation on a scale from 1 to 9."""


def simulated_value(rating: Rating, stimulus: Stimulus | None, rng: np.random.Generator) -> Any:
    """Return an answer as the scale stores it.

    Where a required answer is set, that; otherwise the stimulus norm of the rating's dimension plus
    noise of 0.8 of nine steps, or an answer drawn at random.
    """
    required = getattr(rating, "required_answer", None)
    if required is not None:
        return round(sum(required) / 2) if isinstance(required, tuple) else required
    if isinstance(rating, EmotionsRating):
        return _emotions(rating, rng)
    if isinstance(rating, (NumberRating, ChoiceRating, YesNoRating, TextRating)):
        return _entry(rating, rng)
    if isinstance(rating, GridRating):
        return {name: _near(_norm(stimulus, name), rng) for name in ("valence", "arousal")}
    first, last = 1, 9
    if isinstance(rating, SliderRating):
        first, last = 0, 100
    elif isinstance(rating, LikertRating):
        first, last = rating.first, rating.first + rating.points - 1
    return _near(_norm(stimulus, rating.dimension), rng, first, last)


def _entry(
    rating: NumberRating | ChoiceRating | YesNoRating | TextRating, rng: np.random.Generator
) -> Any:
    if isinstance(rating, NumberRating):
        return _number(rating, rng)
    if isinstance(rating, TextRating):
        return "simulated"[: rating.max_length]
    options = rating.options if isinstance(rating, ChoiceRating) else ("yes", "no")
    return options[int(rng.integers(len(options)))]


def _emotions(rating: EmotionsRating, rng: np.random.Generator) -> dict[str, int]:
    felt = rng.random(len(rating.emotions)) < FELT
    levels = rng.integers(1, rating.intensity + 1, len(rating.emotions))
    pairs = zip(rating.emotions, felt, levels, strict=True)
    return {name: int(level) if is_felt else 0 for name, is_felt, level in pairs}


def _norm(stimulus: Stimulus | None, dimension: str | None) -> float:
    """Return a norm from -1 to 1; 0 where there is none."""
    if stimulus is None or dimension not in ("valence", "arousal", "dominance"):
        return 0.0
    return getattr(stimulus, f"{dimension}_scaled", None) or 0.0


def _near(norm: float, rng: np.random.Generator, first: int = 1, last: int = 9) -> int:
    middle, half = (first + last) / 2, (last - first) / 2
    value = middle + half * norm + NOISE_STEPS * half / 4.0 * rng.standard_normal()
    return int(np.clip(round(value), first, last))


def _number(rating: NumberRating, rng: np.random.Generator) -> float:
    low, high = int(np.ceil(rating.min)), int(np.floor(rating.max))
    return int(rng.integers(low, high + 1)) if low <= high else rating.min
