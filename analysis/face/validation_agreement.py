"""Agreement of measured and coded intensities, and of coders with each other, per Action Unit."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.statistics.agreement import Agreement, cohens_kappa, icc_3_1
from duchenne.analysis.tables import Column

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from duchenne.analysis.face.frames import BoolArray, FloatArray

MEASURED, CODERS_MEAN = "measured", "coders"
EVERYBODY = ("all", "all")
OCCURS_FROM = 1.0
"""A coder's intensity from which the Action Unit occurs (A)."""

AGREEMENT_COLUMNS: dict[str, Column] = {
    "au": Column("Action Unit.", kind="string"),
    "first": Column(
        "What is compared.",
        levels={MEASURED: "the measured intensity (95th percentile in the clip) and occurrence"},
        kind="string",
    ),
    "second": Column(
        "With what: a coder, by the name of the folder, or the mean of all coders.",
        levels={CODERS_MEAN: "mean of all coders; occurs where at least half of them say so"},
        kind="string",
    ),
    "group_by": Column(
        "Property of the participants that clips are grouped by; all: not grouped.", kind="string"
    ),
    "group": Column("Its value.", kind="string"),
    "n": Column("Clips rated by both.", kind="integer"),
    "n_occurs": Column("Clips in which it occurs by the second of the two.", kind="integer"),
    "icc_3_1": Column("ICC(3,1) of the intensities: consistency, single ratings.", kind="number"),
    "icc_low": Column("Lower end of its 95 % confidence interval (F distribution).", kind="number"),
    "icc_high": Column("Upper end.", kind="number"),
    "kappa": Column("Cohen's κ of occurrence (a coder's A or more).", kind="number"),
    "kappa_low": Column("Lower end of its 95 % confidence interval (large sample).", kind="number"),
    "kappa_high": Column("Upper end.", kind="number"),
}


def agreement_rows(
    key: pd.DataFrame,
    codings: Mapping[str, pd.DataFrame],
    au_names: Sequence[str],
    groups: Mapping[str, pd.Series[str]],
) -> list[dict[str, object]]:
    """Compare the measurement with each coder, with their mean, and the coders with each other.

    Parameters
    ----------
    key : pandas.DataFrame
        By clip: ``AUxx_peak`` and ``AUxx_occurs``.
    codings : mapping of str to pandas.DataFrame
        Coder to intensities: one row per clip, one column per Action Unit; NaN: cannot be scored.
    au_names : sequence of str
    groups : mapping of str to series
        Property to the group of each clip.

    Returns
    -------
    list of dict
        With the keys of :data:`AGREEMENT_COLUMNS`.
    """
    rows: list[dict[str, object]] = []
    for au in au_names:
        ratings = {name: coding[au].reindex(key.index) for name, coding in codings.items()}
        series = {name: values.to_numpy(np.float64) for name, values in ratings.items()}
        occurs = {name: _occurs(values) for name, values in series.items()}
        peak = key[f"{au}_peak"].to_numpy(np.float64)
        measured = key[f"{au}_occurs"].astype(bool).to_numpy().astype(np.float64)
        pairs = [(MEASURED, name) for name in series]
        if len(series) > 1:
            stacked = np.column_stack(list(series.values()))
            some = np.isfinite(stacked).any(axis=1)
            mean = np.full(len(stacked), np.nan)
            mean[some] = np.nanmean(stacked[some], axis=1)
            votes = np.full(len(stacked), np.nan)
            votes[some] = np.nanmean(np.column_stack(list(occurs.values()))[some], axis=1) >= 0.5
            pairs += [(MEASURED, CODERS_MEAN), *combinations(series, 2)]
            series |= {CODERS_MEAN: mean}
            occurs |= {CODERS_MEAN: votes}
        series |= {MEASURED: peak}
        occurs |= {MEASURED: measured}
        for first, second in pairs:
            for (by, group), inside in _members(key, groups):
                icc = icc_3_1(np.column_stack([series[first], series[second]])[inside])
                kappa, n_occurs = _kappa(occurs[first][inside], occurs[second][inside])
                row: dict[str, object] = {"au": au, "first": first, "second": second}
                row |= {"group_by": by, "group": group, "n": icc.n, "n_occurs": n_occurs}
                row |= {"icc_3_1": icc.value, "icc_low": icc.low, "icc_high": icc.high}
                row |= {"kappa": kappa.value, "kappa_low": kappa.low, "kappa_high": kappa.high}
                rows.append(row)
    return rows


def _members(
    key: pd.DataFrame, groups: Mapping[str, pd.Series[str]]
) -> Iterator[tuple[tuple[str, str], BoolArray]]:
    yield EVERYBODY, np.ones(len(key), np.bool_)
    for by, labels in groups.items():
        for group in sorted(set(labels)):
            yield (by, group), (labels == group).to_numpy()


def _occurs(intensities: FloatArray) -> FloatArray:
    return np.where(np.isfinite(intensities), (intensities >= OCCURS_FROM).astype(float), np.nan)


def _kappa(first: FloatArray, second: FloatArray) -> tuple[Agreement, int]:
    both = np.isfinite(first) & np.isfinite(second)
    one, other = first[both] > 0, second[both] > 0
    found = cohens_kappa(one, other)
    if len(set(one)) < 2 or len(set(other)) < 2:  # κ is 0 then, whatever the other says
        found = replace(found, low=np.nan, high=np.nan)
    return found, int(other.sum())
