"""On which scale a protocol asks for valence and arousal, so that ratings are drawn where they belong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

DIMENSIONS = ("valence", "arousal")


@dataclass(frozen=True)
class RatingScale:
    """The ends of a scale; those of the Self-Assessment Manikin where nothing else is known.

    Parameters
    ----------
    low, high : float
    """

    low: float = 1.0
    high: float = 9.0

    def share(self, rating: float) -> float:
        """Return where a rating lies, 0 (low end) to 1; NaN off the scale."""
        share = (rating - self.low) / (self.high - self.low)
        return share if 0 <= share <= 1 else math.nan

    @property
    def ticks(self) -> tuple[float, ...]:
        """The points of the scale, or five of very many."""
        n = round(self.high - self.low) + 1
        n = n if n <= 11 else 5
        return tuple(self.low + (self.high - self.low) * i / (n - 1) for i in range(n))

    @property
    def labels(self) -> tuple[float, float, float]:
        """Both ends and the middle."""
        return self.low, (self.low + self.high) / 2, self.high


SAM = RatingScale()


def rating_scales(protocol_yaml: str) -> dict[str, RatingScale]:
    """Return the scale of each of `DIMENSIONS` as a protocol has it.

    Parameters
    ----------
    protocol_yaml : str
        As the session file keeps it; what it does not say is the Self-Assessment Manikin's.
    """
    try:
        protocol = yaml.safe_load(protocol_yaml) or {}
    except yaml.YAMLError:
        protocol = {}
    asked = protocol.get("ratings") if isinstance(protocol, dict) else None
    found = dict.fromkeys(DIMENSIONS, SAM)
    for name, question in asked.items() if isinstance(asked, dict) else ():
        if not isinstance(question, dict):
            continue
        dimension = question.get("dimension") or name
        if dimension in found:
            found[dimension] = _scale_of(question)
    return found


def _scale_of(question: Mapping[str, Any]) -> RatingScale:
    kind = question.get("type", "sam")
    if kind == "slider":
        return RatingScale(0.0, 100.0)
    if kind == "likert":
        first = float(question.get("first", 1))
        return RatingScale(first, first + float(question.get("points", 7)) - 1)
    return SAM


def scales_said(scales: Mapping[str, RatingScale]) -> str:
    """Return the ends of the scales in words, such as ``Ratings from 1 to 9``."""
    ends = {name: f"from {scale.low:g} to {scale.high:g}" for name, scale in scales.items()}
    if len(set(ends.values())) == 1:
        return f"Ratings {next(iter(ends.values()))}"
    return "Ratings: " + ", ".join(f"{name} {said}" for name, said in ends.items())
