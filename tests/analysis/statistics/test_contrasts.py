"""Contrasts of tables with planted effects, and what is said where nothing can be told."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.planted import planted_summary

from duchenne.analysis.statistics.contrasts import (
    contrast_result,
    participant_differences,
    with_corrections,
)
from duchenne.analysis.statistics.multiplicity import smallest_effect
from duchenne.analysis.study_plan import Contrast, Settings

if TYPE_CHECKING:
    from duchenne.analysis.statistics.results import ContrastResult

SETTINGS = Settings(permutations=199)
SMILE: dict[str, Any] = {"name": "smile", "measure": "AU12_mean", "plus": ["HV"], "minus": ["LV"]}


def result(table: Any, settings: Settings = SETTINGS, **declared: Any) -> ContrastResult:
    """Work out one contrast."""
    contrast = Contrast.model_validate(SMILE | declared)
    return contrast_result(
        table, contrast, settings, unit=None, declared="before data", declared_utc="2026-01-01"
    )


def test_a_planted_effect_is_found_and_a_null_is_not() -> None:
    table = planted_summary(effect=0.8, seed=2)
    found = result(table, direction="positive")
    assert found.ci_low <= 0.8 <= found.ci_high
    assert found.p < 0.001
    assert found.p_permutation == pytest.approx(1 / 200)
    assert found.in_direction is True
    assert (found.n_rows, found.n_participants, found.n_stimuli) == (192, 12, 16)
    assert found.sd_participant_slope == pytest.approx(0.2, abs=0.1)
    assert np.isnan(found.sd_stimulus_slope)  # each stimulus belongs to one group
    assert found.note == ""
    null = result(table, measure="AU04_mean", direction="negative")
    assert null.p > 0.05
    assert null.ci_low <= 0 <= null.ci_high
    assert abs(null.p_permutation - null.p) < 0.15


def test_a_slope_on_a_predictor_is_per_unit() -> None:
    table = planted_summary(effect=0.8)
    found = result(table, plus=[], minus=[], predictor="norm_valence_scaled")
    # the norms of the two groups are one apart on the scale of -1 to 1
    assert found.ci_low <= 0.8 <= found.ci_high
    assert found.compared == "per unit of norm_valence_scaled"
    assert np.isnan(found.effect_size_d)


def test_what_the_design_could_see_does_not_depend_on_what_was_found() -> None:
    small, large = (planted_summary(effect=size, seed=1) for size in (0.0, 2.0))
    first, second = result(small), result(large)
    assert second.estimate - first.estimate == pytest.approx(2.0, abs=1e-6)
    assert first.smallest_detectable_effect == pytest.approx(
        smallest_effect(first.standard_error, first.df)
    )
    assert second.smallest_detectable_effect == pytest.approx(
        first.smallest_detectable_effect, rel=1e-3
    )


def test_excluded_and_missing_presentations_are_left_out_and_counted() -> None:
    table = planted_summary()
    table.loc[:9, "excluded"] = True
    table.loc[20:24, "AU12_mean"] = np.nan
    table.loc[30, "stimulus_id"] = None
    found = result(table)
    assert (found.n_excluded, found.n_missing, found.n_rows) == (10, 6, 192 - 16)


def test_covariates_are_held_constant() -> None:
    table = planted_summary(effect=0.8)
    trial = np.random.default_rng(0).permutation(len(table)) % 16
    drifting = table.assign(trial=trial, AU12_mean=table["AU12_mean"] + 0.3 * trial)
    plain, held = result(drifting), result(drifting, covariates=["trial"])
    assert held.standard_error < 0.5 * plain.standard_error
    assert held.ci_low <= 0.8 <= held.ci_high


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"measure": "AU21_mean"}, "no column AU21_mean; did you mean"),
        ({"measure": "words"}, "words, not numbers"),
        ({"plus": ["HVV"]}, "no stimulus whose category is HVV; did you mean 'HV'"),
        ({"factor": "kind"}, "no column kind"),
        ({"covariates": ["age"]}, "no column age"),
    ],
)
def test_what_is_not_there_is_named(declared: dict[str, Any], said: str) -> None:
    found = result(planted_summary(), **declared)
    assert said in found.note
    assert np.isnan(found.estimate)
    assert found.significant is None


def test_too_little_is_told_in_plain_words() -> None:
    table = planted_summary()
    two = table[table["participant"].isin(["P01", "P02"])]
    assert "2 participants" in result(two).note
    single = table[(table["category"] == "LV") | (table["stimulus_id"] == "s00")]
    assert "only one stimulus of HV is left" in result(single).note
    assert "the same everywhere" in result(table.assign(AU12_mean=1.0)).note
    assert "no value of AU12_mean" in result(table.assign(AU12_mean=np.nan)).note
    few = table[(table["trial"] + table["participant"].str[1:].astype(int)) % 8 == 0]
    assert "too few to tell" in result(few).note


def test_a_singular_fit_and_a_small_sample_have_a_note() -> None:
    table = planted_summary(n_participants=5, slope_sd=0.0, stimulus_sd=0.0, seed=2)
    found = result(table)
    assert found.singular is True
    assert "singular fit" in found.note
    assert "5 participants" in found.note
    assert np.isfinite(found.p)


def test_families_are_corrected_on_their_own() -> None:
    empty = result(planted_summary().iloc[:0])
    p = {"a": (0.01, "primary"), "b": (0.04, "primary"), "c": (0.03, "primary")}
    p |= {"d": (0.02, "exploratory"), "e": (0.03, "exploratory")}
    rows = [replace(empty, name=name, p=value, family=f) for name, (value, f) in p.items()]
    rows.append(replace(empty, name="without", p=math.nan))
    done = {row.name: row for row in with_corrections(rows, 0.05)}
    assert [done[name].p_corrected for name in "abc"] == pytest.approx([0.03, 0.06, 0.06])  # Holm
    assert [done[name].p_corrected for name in "de"] == pytest.approx([0.03, 0.03])  # BH
    assert [done[name].significant for name in "abcde"] == [True, False, False, True, True]
    assert done["without"].significant is None


def test_participants_own_differences() -> None:
    table = planted_summary(effect=0.8)
    rows = participant_differences(table, Contrast.model_validate(SMILE))
    assert len(rows) == 12
    own = table[table["participant"] == "P03"].groupby("category")["AU12_mean"].mean()
    third = next(row for row in rows if row.participant == "P03")
    assert third.difference == pytest.approx(own["HV"] - own["LV"])
    assert (third.n_plus, third.n_minus) == (8, 8)
