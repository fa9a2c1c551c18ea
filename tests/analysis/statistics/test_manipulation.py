"""Ratings by category, and whether each participant's follow the norms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from support.planted import planted_summary

from duchenne.analysis.statistics.manipulation import (
    rating_columns,
    ratings_by_category,
    ratings_of_participants,
)


def test_ratings_by_category_and_over_participants() -> None:
    table = planted_summary(n_participants=6)
    table["rating_mood"] = "fine"
    table["rating_valence_rt_s"] = 1.0
    assert rating_columns(table) == ["rating_valence"]
    rows = ratings_by_category(table)
    assert len(rows) == 2 * (6 + 1)
    own = table[(table["participant"] == "P02") & (table["category"] == "HV")]["rating_valence"]
    second = next(r for r in rows if r.participant == "P02" and r.category == "HV")
    assert (second.mean, second.sd, second.n) == (own.mean(), pytest.approx(own.std()), 8)
    means = table[table["category"] == "HV"].groupby("participant")["rating_valence"].mean()
    low, high = stats.t.interval(0.95, 5, means.mean(), stats.sem(means))
    everybody = next(r for r in rows if r.participant == "all" and r.category == "HV")
    assert (everybody.ci_low, everybody.ci_high) == (pytest.approx(low), pytest.approx(high))


def test_who_does_not_follow_the_norms_is_named() -> None:
    table = planted_summary(n_participants=4)
    table.loc[table["participant"] == "P02", "rating_valence"] = 5.0
    turned = table["participant"] == "P03"
    table.loc[turned, "rating_valence"] = 10 - table.loc[turned, "rating_valence"]
    table.loc[(table["participant"] == "P04") & (table["trial"] > 3), "rating_valence"] = np.nan
    rows = {row.participant: row for row in ratings_of_participants(table)}
    assert rows["P01"].follows_norm is True
    assert rows["P01"].correlation_with_norm > 0.7
    assert rows["P02"].note == "Always the same answer."
    assert rows["P03"].follows_norm is False
    assert rows["P03"].note == "The ratings do not follow the norms."
    assert rows["P04"].follows_norm is None
    assert "too few" in rows["P04"].note
