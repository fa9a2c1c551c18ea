"""The declared contrasts of a study, one mixed model each.

The measure of each presentation is explained by the contrast, with an intercept and a slope for each
participant and an intercept for each stimulus (and a slope, where stimuli were shown under both conditions).
Leaving out the slopes, or the stimuli, finds what is not there (Barr, Levy, Scheepers & Tily 2013, Journal of
Memory and Language 68; Judd, Westfall & Kenny 2012, Journal of Personality and Social Psychology 103).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from duchenne.analysis.statistics.mixed import slope_model
from duchenne.analysis.statistics.multiplicity import (
    EXPLORATORY_METHOD,
    PRIMARY_METHOD,
    corrected,
    smallest_effect,
)
from duchenne.analysis.statistics.permutation import permutation_p
from duchenne.analysis.statistics.results import ContrastResult, ParticipantDifference
from duchenne.analysis.statistics.sample import CannotTell, sample_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from duchenne.analysis.statistics.mixed import Estimate, MixedModel
    from duchenne.analysis.statistics.sample import Sample
    from duchenne.analysis.study_plan import Contrast, Exclusions, Settings

MAX_PERMUTED_ROWS = 4000
"""With more rows the t distribution holds, and the covariance of all rows would not be small."""
FEW = 8
"""Participants or stimuli, below which a result has a note."""
METHODS = {"primary": PRIMARY_METHOD, "exploratory": EXPLORATORY_METHOD}
_NAMES = {
    "participant": "participants' means",
    "stimulus": "stimuli",
    "participant:contrast": "participants' differences",
    "stimulus:contrast": "stimuli's differences",
}


@dataclass(frozen=True)
class Fitted:
    """A contrast's model.

    Attributes
    ----------
    sample : Sample
    model : MixedModel
    estimate : Estimate
    effect_size_d : float
        NaN for a slope.
    """

    sample: Sample
    model: MixedModel
    estimate: Estimate
    effect_size_d: float


def fit_contrast(
    table: pd.DataFrame, contrast: Contrast, exclusions: Exclusions | None = None
) -> Fitted:
    """Fit the mixed model of one contrast.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of the contrast's window: one per presentation.
    contrast : Contrast
    exclusions : Exclusions, optional
        Rules in place of the declared ones.

    Raises
    ------
    CannotTell
        It cannot be worked out; with the reason.
    """
    sample = sample_of(table, contrast, exclusions)
    try:
        model = slope_model(
            sample.value,
            sample.x,
            sample.participant,
            sample.stimulus,
            covariates=dict(sample.covariates),
        )
        estimate = model.estimate("contrast")
    except (ValueError, np.linalg.LinAlgError) as error:
        raise CannotTell(f"the model cannot be fitted: {error}") from error
    if not (estimate.standard_error > 0 and math.isfinite(estimate.p)):
        raise CannotTell("the model has no standard error: the values do not vary enough")
    return Fitted(sample, model, estimate, _effect_size(model, estimate, sample))


def contrast_result(
    table: pd.DataFrame,
    contrast: Contrast,
    settings: Settings,
    *,
    unit: str | None,
    declared: str,
    declared_utc: str,
) -> ContrastResult:
    """Work out one contrast; what cannot be told has a note.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of the contrast's window.
    contrast : Contrast
    settings : Settings
    unit : str or None
        Of the measure.
    declared, declared_utc : str
        Whether it was declared before the data, and when.

    Returns
    -------
    ContrastResult
        Not yet corrected for the number of tests, see `with_corrections`.
    """
    empty = ContrastResult(
        contrast.name,
        contrast.measure,
        unit,
        contrast.window,
        contrast.compared,
        contrast.family,
        contrast.direction,
        declared,
        declared_utc,
        correction=METHODS[contrast.family],
    )
    try:
        fitted = fit_contrast(table, contrast)
    except CannotTell as reason:
        return replace(empty, note=f"{reason}.")
    sample, model, estimate = fitted.sample, fitted.model, fitted.estimate
    n_permutations = settings.permutations if model.n <= MAX_PERMUTED_ROWS else 0
    permuted = math.nan
    if n_permutations:
        permuted = permutation_p(model, n=n_permutations, seed=settings.seed)
    spread = model.random_sd
    return replace(
        empty,
        n_rows=model.n,
        n_participants=sample.n_participants,
        n_stimuli=sample.n_stimuli,
        n_excluded=sample.n_excluded,
        n_missing=sample.n_missing,
        estimate=estimate.value,
        standard_error=estimate.standard_error,
        df=estimate.df,
        t=estimate.t,
        p=estimate.p,
        ci_low=estimate.ci_low,
        ci_high=estimate.ci_high,
        p_permutation=permuted,
        n_permutations=n_permutations,
        in_direction=_in_direction(estimate.value, contrast.direction),
        effect_size_d=fitted.effect_size_d,
        smallest_detectable_effect=smallest_effect(
            estimate.standard_error, estimate.df, power=settings.power, alpha=settings.alpha
        ),
        sd_participant=spread.get("participant", math.nan),
        sd_participant_slope=spread.get("participant:contrast", math.nan),
        sd_stimulus=spread.get("stimulus", math.nan),
        sd_stimulus_slope=spread.get("stimulus:contrast", math.nan),
        sd_residual=spread["residual"],
        singular=model.is_singular,
        note=_about_fit(model, sample),
    )


def with_corrections(results: Sequence[ContrastResult], alpha: float) -> tuple[ContrastResult, ...]:
    """Return the results corrected for the number of tests in each family.

    Parameters
    ----------
    results : sequence of ContrastResult
        Of all families; those without a p are not counted.
    alpha : float
        Level of the tests.
    """
    found = list(results)
    for family, method in METHODS.items():
        members = [i for i, one in enumerate(found) if one.family == family]
        adjusted = corrected([found[i].p_tested for i in members], method)
        for i, p in zip(members, adjusted.tolist(), strict=True):
            known = math.isfinite(p)
            found[i] = replace(found[i], p_corrected=p, significant=p < alpha if known else None)
    return tuple(found)


def participant_differences(
    table: pd.DataFrame, contrast: Contrast
) -> tuple[ParticipantDifference, ...]:
    """Return each participant's own difference (or slope), for plots; empty where it cannot be told."""
    try:
        sample = sample_of(table, contrast)
    except CannotTell:
        return ()
    rows = []
    for who in np.unique(sample.participant):
        own = sample.participant == who
        value, x = sample.value[own], sample.x[own]
        if sample.is_slope:
            slope = float(np.polyfit(x, value, 1)[0]) if np.ptp(x) > 0 else math.nan
            rows.append(
                ParticipantDifference(
                    contrast.name, str(who), math.nan, math.nan, slope, len(value), 0
                )
            )
            continue
        plus, minus = value[x > 0], value[x < 0]
        high = float(plus.mean()) if len(plus) else math.nan
        low = float(minus.mean()) if len(minus) else math.nan
        rows.append(
            ParticipantDifference(
                contrast.name, str(who), high, low, high - low, len(plus), len(minus)
            )
        )
    return tuple(rows)


def _effect_size(model: MixedModel, estimate: Estimate, sample: Sample) -> float:
    """Return d of Westfall, Kenny & Judd (2014, Journal of Experimental Psychology: General 143)."""
    if sample.is_slope:
        return math.nan
    variance = 0.0
    for name, sd in model.random_sd.items():
        variance += sd**2 * (0.25 if name.endswith(":contrast") else 1.0)
    return estimate.value / math.sqrt(variance) if variance > 0 else math.nan


def _in_direction(value: float, direction: str) -> bool | None:
    if direction == "two-sided":
        return None
    return value > 0 if direction == "positive" else value < 0


def _about_fit(model: MixedModel, sample: Sample) -> str:
    """Say in plain words what is to be known of a fit."""
    said = []
    gone = [_NAMES[name] for name, sd in model.random_sd.items() if sd == 0 and name in _NAMES]
    if gone:
        said.append(
            f"No variation was found between {' and between '.join(gone)} (a singular fit): the data are too "
            "few to show it, or there is none."
        )
    few = []
    if sample.n_participants < FEW:
        few.append(f"{sample.n_participants} participants")
    if sample.n_stimuli < FEW:
        few.append(f"{sample.n_stimuli} stimuli")
    if few:
        said.append(f"With {' and '.join(few)} the interval is a rough one.")
    return " ".join(said)
