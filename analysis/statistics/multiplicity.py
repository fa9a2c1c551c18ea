"""Corrections for many tests, and what a study could have seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, stats
from statsmodels.stats.multitest import multipletests

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from duchenne.analysis.statistics.types import FloatArray

__all__ = ["EXPLORATORY_METHOD", "PRIMARY_METHOD", "corrected", "smallest_effect"]

PRIMARY_METHOD = "holm"
EXPLORATORY_METHOD = "fdr_bh"


def corrected(p: ArrayLike, method: str = PRIMARY_METHOD) -> FloatArray:
    """Return p values corrected for their number; NaN, which is not counted, stays NaN.

    Parameters
    ----------
    p : (n,) float64
    method : {"holm", "fdr_bh"}
        Holm (1979) keeps the chance of any false finding, Benjamini & Hochberg (1995) the share of
        false ones among the findings.
    """
    values = np.asarray(p, np.float64)
    result = np.full(values.shape, np.nan)
    known = np.isfinite(values)
    if known.any():
        result[known] = multipletests(values[known], method=method)[1]
    return result


def smallest_effect(
    standard_error: float, df: float, *, power: float = 0.8, alpha: float = 0.05
) -> float:
    """Return the smallest true effect that a design finds with a given power.

    A sensitivity analysis: it depends on the standard error that the design reached, not on the
    effect that was found (observed power says nothing that p does not).

    Parameters
    ----------
    standard_error : float
        Of the contrast, in the measure's unit.
    df : float
        Degrees of freedom.
    """
    if not (standard_error > 0 and df > 0):
        return float("nan")
    critical = float(stats.t.ppf(1 - alpha / 2, df))

    def lacking(ncp: float) -> float:
        # The far tail is not a number where it is too small to be told.
        tails = stats.nct.sf(critical, df, ncp), stats.nct.cdf(-critical, df, ncp)
        return float(np.nan_to_num(tails).sum()) - power

    most = critical + 1.0
    while lacking(most) < 0:
        most += 1.0
    return float(optimize.brentq(lacking, 0.0, most)) * standard_error
