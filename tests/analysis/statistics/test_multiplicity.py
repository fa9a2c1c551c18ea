"""Corrections and sensitivity against values that can be worked out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from duchenne.analysis.statistics.multiplicity import corrected, smallest_effect


def test_holm_and_benjamini_hochberg_by_hand() -> None:
    p = [0.01, np.nan, 0.04, 0.03]
    assert corrected(p, "holm") == pytest.approx([0.03, np.nan, 0.06, 0.06], nan_ok=True)
    assert corrected(p, "fdr_bh") == pytest.approx([0.03, np.nan, 0.04, 0.04], nan_ok=True)
    assert np.isnan(corrected([np.nan])).all()


def test_the_smallest_effect_is_found_with_the_power_that_was_asked_for() -> None:
    effect = smallest_effect(0.2, 1e6, power=0.8)
    assert effect == pytest.approx(0.2 * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)), rel=1e-3)
    assert smallest_effect(0.2, 10) > effect
    assert np.isnan(smallest_effect(0.0, 10))


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.001])
@pytest.mark.parametrize("df", [1.0, 1.1, 2.4, 4.0, 9.0])
def test_few_participants_have_a_smallest_effect_too(df: float, alpha: float) -> None:
    effect = smallest_effect(0.3, df, alpha=alpha)
    critical = stats.t.ppf(1 - alpha / 2, df)
    assert stats.nct.sf(critical, df, effect / 0.3) == pytest.approx(0.8, abs=1e-3)
    assert effect < smallest_effect(0.3, df, alpha=alpha, power=0.9)
