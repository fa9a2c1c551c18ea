"""Agreement of raters, with confidence intervals: ICC(3,1) of intensities, Cohen's κ of occurrences.

References
----------
Shrout & Fleiss (1979), Intraclass correlations: uses in assessing rater reliability, Psychological
Bulletin 86 (the F interval of ICC(3,1)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from duchenne.analysis.statistics.types import BoolArray, FloatArray

LEVEL = 0.95
MIN_RATED = 3


@dataclass(frozen=True)
class Agreement:
    """A coefficient with its confidence interval of 95 %.

    Attributes
    ----------
    value, low, high : float
        -1 to 1; NaN where too little was rated or nothing varies.
    n : int
        Things rated by all raters.
    """

    value: float
    low: float
    high: float
    n: int


def icc_3_1(ratings: FloatArray, level: float = LEVEL) -> Agreement:
    """Return ICC(3,1): fixed raters, single ratings, consistency.

    Parameters
    ----------
    ratings : (n, k) float64
        One row per thing rated, one column per rater; rows with NaN are left out.
    level : float
        Of the interval, which follows from the F distribution of the ratio of mean squares.
    """
    from scipy.stats import f as f_distribution  # noqa: PLC0415  (heavy)

    whole = ratings[np.isfinite(ratings).all(axis=1)]
    n, k = whole.shape
    if n < MIN_RATED or k < 2:
        return Agreement(np.nan, np.nan, np.nan, n)
    grand = whole.mean()
    rows, columns = whole.mean(axis=1), whole.mean(axis=0)
    between = k * float(((rows - grand) ** 2).sum()) / (n - 1)
    residual = whole - rows[:, None] - columns[None, :] + grand
    rest = float((residual**2).sum()) / ((n - 1) * (k - 1))
    scale = between + (k - 1) * rest
    if scale <= 1e-12:
        return Agreement(np.nan, np.nan, np.nan, n)
    value = (between - rest) / scale
    if rest <= 1e-12 * scale:
        return Agreement(value, value, value, n)
    ratio, degrees = between / rest, (n - 1, (n - 1) * (k - 1))
    tail = 1 - (1 - level) / 2
    low = ratio / float(f_distribution.ppf(tail, *degrees))
    high = ratio * float(f_distribution.ppf(tail, degrees[1], degrees[0]))
    return Agreement(value, (low - 1) / (low + k - 1), (high - 1) / (high + k - 1), n)


def cohens_kappa(first: BoolArray, second: BoolArray) -> Agreement:
    """Return Cohen's κ of two raters who say whether something occurs; large-sample interval.

    Parameters
    ----------
    first, second : (n,) bool
    """
    from statsmodels.stats import inter_rater  # noqa: PLC0415  (heavy)

    n = len(first)
    if n < MIN_RATED:
        return Agreement(np.nan, np.nan, np.nan, n)
    counts = np.array(
        [[np.sum((first == a) & (second == b)) for b in (False, True)] for a in (False, True)]
    )
    if float(counts.sum(axis=1) @ counts.sum(axis=0)) == n**2:  # both always say the same
        return Agreement(np.nan, np.nan, np.nan, n)
    with np.errstate(invalid="ignore"):  # its variance may round to below 0 where all agree
        found = inter_rater.cohens_kappa(counts)
    value = float(found.kappa)
    low, high = (
        value if np.isnan(end) else float(end) for end in (found.kappa_low, found.kappa_upp)
    )
    return Agreement(value, max(low, -1.0), min(high, 1.0), n)
