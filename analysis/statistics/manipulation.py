"""Manipulation check: whether the stimuli did to these participants what they are known to do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from duchenne.analysis.statistics.results import RatingByCategory, RatingOfParticipant
from duchenne.analysis.statistics.sample import CannotTell, excluded_rows, numbers

if TYPE_CHECKING:
    import pandas as pd

    from duchenne.analysis.statistics.types import FloatArray

ALL = "all"
MIN_RATINGS = 5
_NOT_RATINGS = ("_rt_s",)


def rating_columns(summary: pd.DataFrame) -> list[str]:
    """Return the columns of ratings that are numbers."""
    found = []
    for name in summary.columns:
        if str(name).startswith("rating_") and not str(name).endswith(_NOT_RATINGS):
            try:
                values = numbers(summary, str(name))
            except CannotTell:
                continue
            if np.isfinite(values).any() and str(name) != "rating_rt_s":
                found.append(str(name))
    return found


def ratings_by_category(summary: pd.DataFrame) -> tuple[RatingByCategory, ...]:
    """Return the ratings of each category: of each participant, and over participants.

    Parameters
    ----------
    summary : pandas.DataFrame
        One row per presentation; excluded ones are left out.
    """
    kept = summary[~excluded_rows(summary)]
    rows: list[RatingByCategory] = []
    for rating in rating_columns(kept):
        for category, shown in kept.groupby("category", sort=True):
            people = {
                str(who): known
                for who, own in shown.groupby("participant", sort=True)
                if len(known := _known(numbers(own, rating)))
            }
            if not people:
                continue
            means = np.array([values.mean() for values in people.values()])
            rows.append(_row(rating, str(category), ALL, means))
            rows += [_row(rating, str(category), who, values) for who, values in people.items()]
    return tuple(rows)


def ratings_of_participants(summary: pd.DataFrame) -> tuple[RatingOfParticipant, ...]:
    """Return, for each participant, whether the ratings follow the norms of the stimuli."""
    kept = summary[~excluded_rows(summary)]
    rows = []
    for rating in rating_columns(kept):
        norm = f"norm_{rating.removeprefix('rating_')}"
        if norm not in kept.columns:
            continue
        for who, own in kept.groupby("participant", sort=True):
            rated, wanted = numbers(own, rating), numbers(own, norm)
            both = np.isfinite(rated) & np.isfinite(wanted)
            if not both.any():
                continue
            rows.append(_follows(rating, str(who), rated[both], wanted[both]))
    return tuple(rows)


def _known(values: FloatArray) -> FloatArray:
    known: FloatArray = values[np.isfinite(values)]
    return known


def _row(rating: str, category: str, participant: str, values: FloatArray) -> RatingByCategory:
    n = len(values)
    mean = float(values.mean())
    sd = float(values.std(ddof=1)) if n > 1 else math.nan
    half = float(stats.t.ppf(0.975, n - 1)) * sd / math.sqrt(n) if n > 1 else math.nan
    return RatingByCategory(rating, category, participant, n, mean, sd, mean - half, mean + half)


def _follows(
    rating: str, participant: str, rated: FloatArray, norm: FloatArray
) -> RatingOfParticipant:
    n = len(rated)
    if n < MIN_RATINGS:
        note = f"{n} ratings are too few to tell."
        return RatingOfParticipant(rating, participant, n, math.nan, None, note)
    if np.ptp(rated) == 0:
        return RatingOfParticipant(
            rating, participant, n, math.nan, False, "Always the same answer."
        )
    if np.ptp(norm) == 0:
        note = "All stimuli have the same norm."
        return RatingOfParticipant(rating, participant, n, math.nan, None, note)
    r = float(stats.spearmanr(rated, norm).statistic)
    note = "" if r > 0 else "The ratings do not follow the norms."
    return RatingOfParticipant(rating, participant, n, r, r > 0, note)
