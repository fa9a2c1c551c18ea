"""Expressive valence from Action Units by a fixed rule; quadrants of valence and arousal.

Arousal needs a model trained on human ratings and is n/a without (see :mod:`duchenne.analysis.affect`).

The rule follows the two muscles whose activity is most nearly linear in the pleasantness of what
people look at: zygomaticus major (AU12) rises with it and corrugator supercilii (AU04) falls
(Lang et al. 1993, Psychophysiology 30; Larsen, Norris & Cacioppo 2003, Psychophysiology 40).
Raised cheeks add to a smile; nose wrinkling, dropped lip corners and stretched lips, the other
units of the negative prototypes, add to a frown. It describes the expression, not what was felt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from duchenne.analysis.face.frames import FloatArray

SMILE_WEIGHT, CHEEK_WEIGHT = 0.8, 0.2
NEGATIVE_WEIGHTS = {"AU04": 0.5, "AU09": 0.25, "AU15": 0.25, "AU20": 0.25}

# Quadrants of the emotion wheel: high or low valence, high or low arousal.
QUADRANTS = ("HVHA", "LVHA", "LVLA", "HVLA")
NEUTRAL, NOT_ASSESSABLE = "neutral", "not_assessable"
NEUTRAL_RADIUS = 0.2


def expressive_valence(intensities: Mapping[str, FloatArray]) -> FloatArray:
    """Return the valence of the expression.

    ``(0.8·AU12 + 0.2·min(AU06, AU12) − 0.5·AU04 − 0.25·(AU09 + AU15 + AU20)) / 5``, clipped to
    [-1, 1]. Where AU12 is known for both sides, their mean counts, so that a one-sided smirk is
    half a smile. Units other than AU12 and AU04 that are never measured, and therefore not in the mapping,
    count as 0; one that is missing in a frame leaves open what the others add up to.

    Parameters
    ----------
    intensities : mapping of str to (n,) float64
        0 to 5, NaN = not measured.

    Returns
    -------
    (n,) float64
        -1 to 1; NaN where a unit of the rule is not measured, and everywhere without AU12 or AU04.
    """
    if "AU12" not in intensities or "AU04" not in intensities:
        return np.full(len(next(iter(intensities.values()), np.zeros(0))), np.nan)
    smile = intensities["AU12"]
    if "AU12L" in intensities and "AU12R" in intensities:
        smile = (intensities["AU12L"] + intensities["AU12R"]) / 2
    cheek = np.minimum(intensities.get("AU06", np.zeros_like(smile)), smile)
    positive = SMILE_WEIGHT * smile + CHEEK_WEIGHT * cheek
    negative = NEGATIVE_WEIGHTS["AU04"] * intensities["AU04"]
    for au, weight in NEGATIVE_WEIGHTS.items():
        if au != "AU04" and au in intensities:
            negative = negative + weight * intensities[au]
    return np.asarray(np.clip((positive - negative) / 5.0, -1.0, 1.0), np.float64)


def affect_quadrant(
    valence: FloatArray, arousal: FloatArray, *, neutral_radius: float = NEUTRAL_RADIUS
) -> NDArray[np.object_]:
    """Return the quadrant of the emotion wheel in each frame.

    Parameters
    ----------
    valence, arousal : (n,) float64
        -1 to 1. Arousal is NaN without a model trained on human ratings.
    neutral_radius : float, default 0.2
        Closer to the middle than this is neutral.

    Returns
    -------
    (n,) object
        ``HVHA``, ``LVHA``, ``LVLA`` or ``HVLA`` (zero counts as high); ``neutral`` closer than
        the radius to the middle; ``not_assessable`` where either is NaN.
    """
    label = np.full(len(valence), NOT_ASSESSABLE, dtype=object)
    known = np.isfinite(valence) & np.isfinite(arousal)
    high = np.where(valence >= 0, "HV", "LV").astype(object)
    label[known] = (high + np.where(arousal >= 0, "HA", "LA").astype(object))[known]
    label[known & (np.hypot(valence, arousal) < neutral_radius)] = NEUTRAL
    return label
