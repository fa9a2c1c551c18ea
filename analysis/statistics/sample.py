"""The rows of a table that a contrast is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from duchenne.analysis.exclusions import WITHDREW
from duchenne.stimuli.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from duchenne.analysis.statistics.types import BoolArray, FloatArray
    from duchenne.analysis.study_plan import Contrast, Exclusions

MIN_LEVELS = 3
MIN_PER_GROUP = 2


class CannotTell(Exception):  # noqa: N818 -- a finding, not a failure
    """A contrast cannot be worked out; the message says why in plain words."""


@dataclass(frozen=True)
class Sample:
    """What a model of one contrast is fitted to.

    Attributes
    ----------
    value, x : (n,) float64
        The measure; the contrast, coded −0.5 and 0.5, or a predictor less its mean.
    participant, stimulus : (n,) str
    covariates : dict of str to (n,) float64
    n_excluded, n_missing : int
        Presentations of the same stimuli that are not among the rows.
    is_slope : bool
        Whether x is a predictor.
    """

    value: FloatArray
    x: FloatArray
    participant: NDArray[np.str_]
    stimulus: NDArray[np.str_]
    covariates: dict[str, FloatArray] = field(default_factory=dict)
    n_excluded: int = 0
    n_missing: int = 0
    is_slope: bool = False

    @property
    def n_participants(self) -> int:
        """Participants among the rows."""
        return len(np.unique(self.participant))

    @property
    def n_stimuli(self) -> int:
        """Stimuli among the rows."""
        return len(np.unique(self.stimulus))


def excluded_rows(table: pd.DataFrame, exclusions: Exclusions | None = None) -> BoolArray:
    """Return which rows are left out.

    Parameters
    ----------
    table : pandas.DataFrame
        Summary or windows.
    exclusions : Exclusions, optional
        Rules in place of the declared ones (column ``excluded``); who withdrew is left out by all of them.
    """
    if exclusions is None or exclusions.name == "declared":
        if "excluded" in table.columns:
            return table["excluded"].fillna(False).astype(bool).to_numpy()
        return np.zeros(len(table), np.bool_)
    found = _withdrawn(table)
    for column, limits in exclusions.keep.items():
        values = numbers(table, column)
        with np.errstate(invalid="ignore"):
            low = values < limits.min if limits.min is not None else False
            high = values > limits.max if limits.max is not None else False
        found = found | low | high
    return found


def _withdrawn(table: pd.DataFrame) -> BoolArray:
    if "exclusion_reason" not in table.columns:
        return np.zeros(len(table), np.bool_)
    reasons = table["exclusion_reason"].astype("string").fillna("")
    return reasons.str.contains(WITHDREW, regex=False).to_numpy(np.bool_)


def sample_of(
    table: pd.DataFrame, contrast: Contrast, exclusions: Exclusions | None = None
) -> Sample:
    """Return the rows that a contrast is about, ready for a model.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of one window.
    contrast : Contrast
    exclusions : Exclusions, optional
        Rules in place of the declared ones.

    Raises
    ------
    CannotTell
        A column or category is not there, or too little is left.
    """
    x, concerned = _coded(table, contrast)
    value = numbers(table, contrast.measure)
    covariates = {name: numbers(table, name) for name in contrast.covariates}
    left_out = concerned & excluded_rows(table, exclusions)
    known = np.isfinite(value) & np.isfinite(x)
    for values in covariates.values():
        known &= np.isfinite(values)
    who = table["participant"].astype("string").fillna("").to_numpy(dtype=np.str_)
    what = table["stimulus_id"].astype("string").fillna("").to_numpy(dtype=np.str_)
    known &= (who != "") & (what != "")
    kept = concerned & ~left_out & known
    x = x[kept]
    is_slope = contrast.predictor is not None
    found = Sample(
        value=value[kept],
        x=x - x.mean() if is_slope and len(x) else x,
        participant=who[kept],
        stimulus=what[kept],
        covariates={name: values[kept] for name, values in covariates.items()},
        n_excluded=int(left_out.sum()),
        n_missing=int((concerned & ~left_out & ~known).sum()),
        is_slope=is_slope,
    )
    _refuse_too_little(found, contrast)
    return found


def numbers(table: pd.DataFrame, column: str) -> FloatArray:
    """Return a column as numbers, NaN where there is none.

    Raises
    ------
    CannotTell
        There is no such column, or it holds text.
    """
    if column not in table.columns:
        hint = did_you_mean(column, [str(name) for name in table.columns])
        raise CannotTell(f"the table has no column {column}{hint}")
    values = table[column]
    if pd.api.types.is_numeric_dtype(values) or values.isna().all():
        found = pd.to_numeric(values, errors="coerce").astype("Float64")
        return np.asarray(found.to_numpy(dtype=np.float64, na_value=np.nan))
    raise CannotTell(f"{column} holds words, not numbers")


def levels(table: pd.DataFrame, factor: str) -> NDArray[np.str_]:
    """Return a column as text, empty where there is none.

    Raises
    ------
    CannotTell
        There is no such column.
    """
    if factor not in table.columns:
        hint = did_you_mean(factor, [str(name) for name in table.columns])
        raise CannotTell(f"the table has no column {factor}{hint}")
    return table[factor].astype("string").fillna("").to_numpy(dtype=np.str_)


def group_code(
    table: pd.DataFrame, factor: str, plus: Sequence[str], minus: Sequence[str]
) -> FloatArray:
    """Return 0.5 for the stimuli of the first group, −0.5 for the second, NaN for others: (n,) float64.

    Raises
    ------
    CannotTell
        There is no such column, or no stimulus of one of the levels.
    """
    of = levels(table, factor)
    present = sorted(set(of.tolist()) - {""})
    for level in (*plus, *minus):
        if level not in present:
            hint = did_you_mean(level, present)
            raise CannotTell(f"there is no stimulus whose {factor} is {level}{hint}")
    code = np.full(len(of), np.nan)
    code[np.isin(of, plus)] = 0.5
    code[np.isin(of, minus)] = -0.5
    return code


def _coded(table: pd.DataFrame, contrast: Contrast) -> tuple[FloatArray, BoolArray]:
    """Return the contrast's code of each row, and which rows it is about."""
    if contrast.predictor is not None:
        return numbers(table, contrast.predictor), np.ones(len(table), np.bool_)
    code = group_code(table, contrast.factor, contrast.plus, contrast.minus)
    return code, np.isfinite(code)


def _refuse_too_little(sample: Sample, contrast: Contrast) -> None:
    n, m = sample.n_participants, sample.n_stimuli
    if not len(sample.value):
        raise CannotTell(f"there is no value of {contrast.measure} for these stimuli")
    if n < MIN_LEVELS or m < MIN_LEVELS:
        raise CannotTell(
            f"{n} participants and {m} stimuli are left; a mixed model needs at least "
            f"{MIN_LEVELS} of each"
        )
    if np.ptp(sample.x) == 0:
        raise CannotTell("all that is left belongs to one group, so there is nothing to compare")
    if np.ptp(sample.value) == 0:
        raise CannotTell(f"{contrast.measure} is the same everywhere")
    if len(sample.value) <= n + m:
        raise CannotTell(
            f"{len(sample.value)} values of {n} participants and {m} stimuli are too few to tell people, "
            "stimuli and chance apart"
        )
    if not sample.is_slope:
        for code, side in ((0.5, contrast.plus), (-0.5, contrast.minus)):
            seen = np.unique(sample.stimulus[sample.x == code])
            if len(seen) < MIN_PER_GROUP:
                raise CannotTell(
                    f"only one stimulus of {' + '.join(side)} is left: its own effect cannot be told from "
                    "that of its group"
                )
