"""Quadrants of valence and arousal derived from regression, and how well they are hit.

Valence and arousal are the target that is learnt; a quadrant follows from them afterwards
(:func:`duchenne.analysis.face.affect.affect_quadrant`): a classifier of quadrants has no answer near a border
but one side or the other, while a regression tells how near it is. Beside the share of equal signs (SAGR,
where the sign of 0 is 0), the confusion says which quadrant is taken for which; there, 0 counts as positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.face.affect import (
    NEUTRAL,
    NEUTRAL_RADIUS,
    QUADRANTS,
    affect_quadrant,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import FloatArray

LABELS = (*QUADRANTS, NEUTRAL)


@dataclass(frozen=True)
class QuadrantScore:
    """How often the quadrant is right.

    Parameters
    ----------
    confusion : (5, 5) int64
        Rows: what is true, columns: what was found, both in the order of ``LABELS``.
    n_unknown : int
        Faces left out because a value is not known.
    """

    confusion: NDArray[np.int64]
    n_unknown: int = 0

    @property
    def accuracy(self) -> float:
        """Share of right quadrants, 0 to 1; NaN without faces."""
        n = int(self.confusion.sum())
        return float(np.trace(self.confusion)) / n if n else float("nan")

    @property
    def recall(self) -> FloatArray:
        """Share of right ones in each true quadrant: (5,); NaN where there is none."""
        n = self.confusion.sum(axis=1)
        right = np.diag(self.confusion)
        return np.where(n > 0, right / np.maximum(n, 1), np.nan)

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the quadrants that occur; NaN without faces."""
        known = self.recall[np.isfinite(self.recall)]
        return float(known.mean()) if len(known) else float("nan")


def polar(valence: FloatArray, arousal: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return distance from the middle, 0 to √2, and angle from the pleasant side, -π to π radians."""
    return np.hypot(valence, arousal), np.arctan2(arousal, valence)


def quadrant_numbers(
    valence: FloatArray, arousal: FloatArray, *, neutral_radius: float = NEUTRAL_RADIUS
) -> NDArray[np.int64]:
    """Return the place of each quadrant in ``LABELS``; -1 where either value is NaN.

    Parameters
    ----------
    valence, arousal : (n,) float64
    neutral_radius : float, default 0.2
        Closer to the middle than this is neutral.
    """
    names = affect_quadrant(valence, arousal, neutral_radius=neutral_radius)
    at = {name: i for i, name in enumerate(LABELS)}
    return np.array([at.get(name, -1) for name in names], np.int64)


def confusion(truth: NDArray[np.int64], found: NDArray[np.int64]) -> QuadrantScore:
    """Count which quadrant was taken for which.

    Parameters
    ----------
    truth, found : (n,) int64
        Places in ``LABELS``; -1 where not known.
    """
    known = (truth >= 0) & (found >= 0)
    cells = truth[known] * len(LABELS) + found[known]
    counts = np.bincount(cells, minlength=len(LABELS) ** 2)
    return QuadrantScore(
        counts.reshape(len(LABELS), len(LABELS)).astype(np.int64), int((~known).sum())
    )


def quadrant_score(
    truth: tuple[FloatArray, FloatArray],
    found: tuple[FloatArray, FloatArray],
    *,
    neutral_radius: float = NEUTRAL_RADIUS,
) -> QuadrantScore:
    """Return the score of quadrants that follow from valence and arousal.

    Parameters
    ----------
    truth, found : pair of (n,) float64
        Valence and arousal, -1 to 1, NaN where not known.
    neutral_radius : float
    """
    return confusion(
        quadrant_numbers(*truth, neutral_radius=neutral_radius),
        quadrant_numbers(*found, neutral_radius=neutral_radius),
    )
