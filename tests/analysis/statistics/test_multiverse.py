"""All declared ways of working out one contrast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.planted import planted_summary

from duchenne.analysis.statistics.multiverse import specifications, summarised
from duchenne.analysis.statistics.sample import CannotTell
from duchenne.analysis.study_plan import Contrast, Multiverse

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

CONTRAST = Contrast(name="smile", measure="AU12_mean", plus=("HV",), minus=("LV",))
DECLARED = Multiverse.model_validate(
    {
        "contrast": "smile",
        "measures": ["AU12_peak", "AU99_mean"],
        "exclusions": ["declared", "none", {"name": "strict", "keep": {"gaze_valid_fraction": {"min": 0.8}}}],
        "covariates": [[], ["trial"]],
        "backends": [{"name": "own"}, {"name": "other", "folder": "derivatives/other"}],
    }
)  # fmt: skip


def tables(summary: pd.DataFrame) -> Callable[[str | None, str], pd.DataFrame]:
    """Give the summary for the study's own results, nothing for another window."""

    def of(folder: str | None, window: str) -> pd.DataFrame:
        if window != "whole":
            raise CannotTell("there is no windows.parquet")
        return summary if folder is None else summary.assign(AU12_mean=summary["AU12_mean"] * 0.5)

    return of


def test_no_combination_brings_back_who_withdrew() -> None:
    table = planted_summary(effect=0.8).assign(exclusion_reason=None)
    table.loc[:7, "excluded"] = True
    table.loc[:3, "exclusion_reason"] = (
        "gaze valid in 3%; the participant withdrew in another session"
    )
    table.loc[4:7, "exclusion_reason"] = "gaze valid in 3%"
    found = specifications(DECLARED, CONTRAST, tables(table))
    n_rows = {(s.measure, s.exclusions, s.covariates, s.backend): s.n_rows for s in found}
    assert n_rows["AU12_mean", "none", "", "own"] == len(table) - 4


def test_every_combination_is_worked_out_once() -> None:
    table = planted_summary(effect=0.8)
    table.loc[:7, "excluded"] = True
    found = specifications(DECLARED, CONTRAST, tables(table))
    assert len(found) == 3 * 3 * 2 * 2
    assert len({(s.measure, s.exclusions, s.covariates, s.backend) for s in found}) == len(found)
    own = [s for s in found if s.declared]
    assert len(own) == 1
    assert own[0].n_rows == len(table) - 8
    rows = {(s.measure, s.exclusions, s.covariates, s.backend): s for s in found}
    none = rows["AU12_mean", "none", "", "own"]
    strict = rows["AU12_mean", "strict", "", "own"]
    assert none.n_rows == len(table)
    assert strict.n_rows == int((table["gaze_valid_fraction"] >= 0.8).sum())
    half = rows["AU12_mean", "none", "", "other"]
    assert half.estimate == pytest.approx(none.estimate / 2)
    assert half.effect_size_d == pytest.approx(none.effect_size_d, rel=1e-4)
    assert "no column AU99_mean" in rows["AU99_mean", "none", "trial", "own"].note
    together = summarised(CONTRAST, found, 0.05)
    assert (together.n_specifications, together.n_fitted) == (36, 24)
    assert together.share_with_sign == 1.0
    assert together.share_significant == 1.0
    assert together.d_low <= together.d_median <= together.d_high
    assert together.estimate_low == pytest.approx(half.estimate, rel=0.1)
    assert "12 of 36 ways" in together.note


def test_where_nothing_can_be_worked_out() -> None:
    plan = Multiverse(contrast="smile", windows=("late",))
    found = specifications(
        plan, CONTRAST.model_copy(update={"window": "late"}), tables(planted_summary())
    )
    assert [s.note for s in found] == ["there is no windows.parquet."]
    together = summarised(CONTRAST, found, 0.05)
    assert together.n_fitted == 0
    assert together.note == "None of the ways could be worked out."
