"""Codebooks of the tables of the statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from duchenne.analysis.tables import Column

if TYPE_CHECKING:
    from collections.abc import Mapping


def _number(what: str, unit: str | None = None) -> Column:
    return Column(what, unit, kind="number")


def _count(what: str) -> Column:
    return Column(what, kind="integer")


def _words(what: str, levels: Mapping[str, str] | None = None) -> Column:
    return Column(what, kind="string", levels=levels)


def _truth(what: str) -> Column:
    return Column(what, kind="boolean")


_OWN_UNIT = "in the unit of the measure (see unit)"
_DECLARED = {
    "before data": "noted in study_declared.json when there was no session",
    "after data": "added or changed when there were sessions",
}
_FAMILY = {
    "primary": "p corrected after Holm",
    "exploratory": "p corrected after Benjamini and Hochberg",
}
_DIRECTION = {
    "positive": "expected above 0",
    "negative": "expected below 0",
    "two-sided": "no expectation",
}
_NOTE = _words("What is to be known of this row, in plain words; n/a: nothing.")

CONTRASTS = {
    "name": _words("Name of the contrast in study.yaml."),
    "measure": _words("Column of the summary that is compared."),
    "unit": _words("Unit of the measure; n/a: none."),
    "window": _words("Window of time; whole: the whole stimulus."),
    "compared": _words("What is compared: one group of stimuli less another, or a slope."),
    "family": _words("Family of tests that p is corrected for.", _FAMILY),
    "direction": _words("What was expected.", _DIRECTION),
    "declared": _words("When the contrast was declared, as far as is known.", _DECLARED),
    "declared_utc": _words("When it was seen first (ISO 8601, UTC)."),
    "n_rows": _count("Presentations that the model was fitted to."),
    "n_participants": _count("Participants among them."),
    "n_stimuli": _count("Stimuli among them."),
    "n_excluded": _count("Presentations of these stimuli that are excluded (column excluded)."),
    "n_missing": _count("Presentations of these stimuli without a value."),
    "estimate": _number(f"Difference, or slope per unit of the predictor, {_OWN_UNIT}."),
    "standard_error": _number(f"Its standard error, {_OWN_UNIT}."),
    "df": _number("Degrees of freedom after Satterthwaite."),
    "t": _number("Estimate divided by its standard error."),
    "p": _number("Two-sided p of t, not corrected."),
    "ci_low": _number(f"Lower end of the 95 % confidence interval, {_OWN_UNIT}."),
    "ci_high": _number(f"Upper end of the 95 % confidence interval, {_OWN_UNIT}."),
    "p_permutation": _number(
        "Two-sided p by permutation of weighted residuals; n/a: none asked for, or a large sample."
    ),
    "n_permutations": _count("How many permutations."),
    "p_corrected": _number(
        "p_permutation, or p where that is n/a, corrected for the number of tests of the family."
    ),
    "correction": _words(
        "How.", {"holm": "Holm (1979)", "fdr_bh": "Benjamini and Hochberg (1995)"}
    ),
    "significant": _truth("Whether p_corrected is below the declared level (0.05 by default)."),
    "in_direction": _truth("Whether the sign is the expected one; n/a: none was declared."),
    "effect_size_d": _number(
        "Difference in units of the spread of single answers, over participants, stimuli and what is left "
        "(Westfall, Kenny & Judd 2014); n/a for a slope.",
        "1",
    ),
    "smallest_detectable_effect": _number(
        "Smallest true difference that this design finds with the declared power (0.8 by default); from the "
        f"standard error, not from the estimate; {_OWN_UNIT}."
    ),
    "sd_participant": _number("Spread of the participants' means."),
    "sd_participant_slope": _number("Spread of the participants' differences; n/a: not in the design."),
    "sd_stimulus": _number("Spread of the stimuli."),
    "sd_stimulus_slope": _number("Spread of the stimuli's differences; n/a: not in the design."),
    "sd_residual": _number("Spread of what is left."),
    "singular": _truth("Whether one of these was estimated to be nothing."),
    "note": _NOTE,
}  # fmt: skip
PARTICIPANTS = {
    "contrast": _words("Name of the contrast."),
    "participant": _words("Label of the participant."),
    "plus": _number(f"Mean over the first group of stimuli, {_OWN_UNIT}; n/a with a predictor."),
    "minus": _number(f"Mean over the second group of stimuli, {_OWN_UNIT}; n/a with a predictor."),
    "difference": _number("The first less the second; with a predictor the participant's slope."),
    "n_plus": _count("Presentations of the first group; with a predictor all."),
    "n_minus": _count("Presentations of the second group."),
}
CURVES = {
    "name": _words("Name of the curve in study.yaml."),
    "measure": _words("Action Unit, or pupil."),
    "time_s": _number("Middle of the step of time, from the onset of the stimulus.", "s"),
    **{
        f"{which}{end}": _number(f"{text} {what}")
        for which, what in (
            ("plus", "over the first group of stimuli."),
            ("minus", "over the second group of stimuli."),
            ("difference", "of the participants' own differences."),
        )
        for end, text in (
            ("", "Mean over participants"),
            ("_low", "Lower end of its 95 % interval,"),
            ("_high", "Upper end of its 95 % interval,"),
        )
    },
    "n_participants": _count("Participants with both curves."),
}
CLUSTERS = {
    "name": _words("Name of the curve in study.yaml."),
    "family": _words("Family of tests that p is corrected for.", _FAMILY),
    "declared": _words("When the curve was declared, as far as is known.", _DECLARED),
    "start_s": _number("Where the stretch begins, from the onset; not tested itself.", "s"),
    "stop_s": _number("Where it ends.", "s"),
    "mass": _number("Sum of t over its steps; above 0: the first group is higher.", "1"),
    "p": _number(
        "Corrected for the times of the curve (cluster mass, sign flips of participants)."
    ),
    "p_corrected": _number("Corrected for the number of curves in the family as well."),
}
MANIPULATION = {
    "rating": _words("Column of the rating."),
    "category": _words("Category of stimuli."),
    "participant": _words("Label of the participant; all: over the means of the participants."),
    "n": _count("Ratings; of all: participants."),
    "mean": _number("Mean, on the scale of the rating."),
    "sd": _number("Standard deviation."),
    "ci_low": _number("Lower end of the 95 % interval of the mean."),
    "ci_high": _number("Upper end of the 95 % interval of the mean."),
}
MANIPULATION_PARTICIPANTS = {
    "rating": _words("Column of the rating."),
    "participant": _words("Label of the participant."),
    "n": _count("Ratings of stimuli that have a norm."),
    "correlation_with_norm": _number("Rank correlation (Spearman) with the norms.", "1"),
    "follows_norm": _truth("Whether it is above 0; n/a: cannot be told."),
    "note": _NOTE,
}
MULTIVERSE = {
    "contrast": _words("Name of the contrast."),
    "measure": _words("Column that is compared."),
    "window": _words("Window of time."),
    "exclusions": _words(
        "Which presentations are left out: declared (column excluded), none, or rules of study.yaml."
    ),
    "backend": _words("Whose results; own: those of this folder."),
    "covariates": _words("What is held constant; n/a: nothing."),
    "declared": _truth("Whether it is the way in which the contrast itself was declared."),
    **{
        name: CONTRASTS[name]
        for name in (
            "n_rows", "n_participants", "n_stimuli", "estimate", "standard_error", "df", "ci_low",
            "ci_high", "p", "effect_size_d", "note",
        )
    },
}  # fmt: skip
MULTIVERSE_SUMMARY = {
    "contrast": _words("Name of the contrast."),
    "n_specifications": _count("Ways of working it out."),
    "n_fitted": _count("Those that could be worked out."),
    "share_with_sign": _number("Share of these whose estimate has the most frequent sign.", "1"),
    "share_significant": _number(
        "Share of these with that sign and p below the level; not corrected, as they are one question.",
        "1",
    ),
    "d_low": _number("Smallest effect size.", "1"),
    "d_median": _number("Median effect size.", "1"),
    "d_high": _number("Largest effect size.", "1"),
    "estimate_low": _number("Smallest estimate of the contrast's own measure."),
    "estimate_high": _number("Largest estimate of the contrast's own measure."),
    "note": _NOTE,
}
