"""Mixed models against answers that are known: classical tests of balanced designs, planted effects."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM

from duchenne.analysis.statistics.mixed import RandomEffect, fit, slope_model
from duchenne.analysis.statistics.permutation import cluster_test, permutation_p


def study(
    rng: np.random.Generator,
    *,
    n_participants: int = 12,
    n_stimuli: int = 20,
    effect: float = 0.0,
    slope_sd: float = 0.6,
    stimulus_sd: float = 0.5,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return measure, contrast, participant and stimulus of one simulated study."""
    person = np.repeat(np.arange(n_participants), n_stimuli)
    item = np.tile(np.arange(n_stimuli), n_participants)
    contrast = np.where(item % 2 == 0, -0.5, 0.5)
    slope = effect + rng.normal(0, slope_sd, n_participants)
    y = (
        rng.normal(0, 1, n_participants)[person]
        + slope[person] * contrast
        + rng.normal(0, stimulus_sd, n_stimuli)[item]
        + rng.normal(0, 1, len(person))
    )
    return y, contrast, person.astype(str), item.astype(str)


def test_without_stimulus_effects_it_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(3)
    y, contrast, who, _ = study(rng, effect=0.8, stimulus_sd=0.0)
    person = who.astype(int)
    ones = np.ones(len(y))
    random = [RandomEffect("p", person, ones), RandomEffect("p:c", person, contrast)]
    found = fit(y, {"intercept": ones, "contrast": contrast}, random).estimate("contrast")
    high = np.array([y[(person == i) & (contrast > 0)].mean() for i in range(12)])
    low = np.array([y[(person == i) & (contrast < 0)].mean() for i in range(12)])
    expected = stats.ttest_rel(high, low)
    assert found.t == pytest.approx(expected.statistic, rel=1e-4)
    assert found.df == pytest.approx(11, rel=0.01)
    assert found.p == pytest.approx(expected.pvalue, rel=0.02)


def test_balanced_crossed_design_gives_the_quasi_f() -> None:
    """Satterthwaite's df of (MS_pc + MS_s − MS_res), worked out by hand from the mean squares."""
    rng = np.random.default_rng(8)
    n_p, n_s = 10, 16
    y, contrast, who, what = study(rng, n_participants=n_p, n_stimuli=n_s, effect=1.0)
    found = slope_model(y, contrast, who, what).estimate("contrast")
    cells = y.reshape(n_p, n_s)
    is_high = contrast[:n_s] > 0
    difference = cells[:, is_high].mean(axis=1) - cells[:, ~is_high].mean(axis=1)
    half = n_s // 2
    ms_pc = difference.var(ddof=1) * half / 2
    means = cells.mean(axis=0)
    within = np.concatenate(
        [means[is_high] - means[is_high].mean(), means[~is_high] - means[~is_high].mean()]
    )
    ms_s = n_p * (within**2).sum() / (n_s - 2)
    residual = cells - cells.mean(axis=1, keepdims=True) - means + cells.mean()
    by_condition = np.where(is_high, 0.5, -0.5) * (difference - difference.mean())[:, None]
    residual = residual - by_condition
    ms_res = (residual**2).sum() / ((n_p - 1) * (n_s - 2))
    combined = ms_pc + ms_s - ms_res
    t = difference.mean() / np.sqrt(combined * 4 / (n_p * n_s))
    df = combined**2 / (
        ms_pc**2 / (n_p - 1) + ms_s**2 / (n_s - 2) + ms_res**2 / ((n_p - 1) * (n_s - 2))
    )
    assert found.value == pytest.approx(difference.mean(), abs=1e-9)
    assert found.t == pytest.approx(t, rel=1e-3)
    assert found.df == pytest.approx(df, rel=0.02)


def test_unbalanced_data_agree_with_another_program() -> None:
    rng = np.random.default_rng(5)
    y, contrast, who, what = study(rng, effect=0.5)
    kept = rng.random(len(y)) < 0.8
    y, contrast, who, what = y[kept], contrast[kept], who[kept], what[kept]
    ours = slope_model(y, contrast, who, what)
    x = np.column_stack([np.ones(len(y)), contrast])
    one = np.ones(len(y))
    levels = {
        name: np.unique(values, return_inverse=True)[1]
        for name, values in (("p", who), ("s", what))
    }
    parts = {
        "p": RandomEffect("p", levels["p"], one).matrix(),
        "s": RandomEffect("s", levels["s"], one).matrix(),
        "pc": RandomEffect("pc", levels["p"], contrast).matrix(),
    }
    from statsmodels.regression.mixed_linear_model import VCSpec

    names = list(parts)
    spec = VCSpec(names, [[[]] for _ in names], [[parts[name]] for name in names])
    theirs = MixedLM(y, x, groups=one, exog_vc=spec).fit(reml=True)
    assert ours.coefficients == pytest.approx(theirs.fe_params, abs=2e-3)
    assert np.sqrt(ours.covariance[1, 1]) == pytest.approx(theirs.bse_fe[1], rel=0.01)


def test_a_planted_effect_lies_in_its_interval_and_a_null_is_kept_about_95_in_100_times() -> None:
    rng = np.random.default_rng(11)
    kept = covered = 0
    for _ in range(40):
        y, contrast, who, what = study(rng)
        kept += slope_model(y, contrast, who, what).estimate("contrast").p >= 0.05
        found = slope_model(y + 0.7 * contrast, contrast, who, what).estimate("contrast")
        covered += found.ci_low <= 0.7 <= found.ci_high
    assert abs(kept - covered) <= 1
    assert kept >= 34


def test_the_permutation_test_agrees_with_the_t_test() -> None:
    rng = np.random.default_rng(2)
    y, contrast, who, what = study(rng, n_participants=8, n_stimuli=10, effect=0.9)
    model = slope_model(y, contrast, who, what)
    p = permutation_p(model, n=99, seed=1)
    assert p == permutation_p(model, n=99, seed=1)
    assert p == pytest.approx(model.estimate("contrast").p, abs=0.08)


def test_rows_without_a_value_are_left_out_and_too_few_levels_are_refused() -> None:
    rng = np.random.default_rng(1)
    y, contrast, who, what = study(rng)
    y[::7] = np.nan
    assert slope_model(y, contrast, who, what).n == np.isfinite(y).sum()
    few = np.isin(who, ["0", "1"])
    with pytest.raises(ValueError, match="three participants"):
        slope_model(y[few], contrast[few], who[few], what[few])
    with pytest.raises(ValueError, match="does not vary"):
        slope_model(y, np.zeros(len(y)), who, what)


def test_a_stretch_that_differs_is_found_and_the_rest_is_not() -> None:
    rng = np.random.default_rng(4)
    curves = rng.normal(0, 1, (14, 120))
    curves = np.apply_along_axis(lambda row: np.convolve(row, np.ones(5) / 5, "same"), 1, curves)
    curves[:, 40:70] += 0.9
    curves[3, :30] = np.nan
    found = [cluster for cluster in cluster_test(curves, seed=1) if cluster.p < 0.05]
    assert len(found) == 1
    assert abs(found[0].start - 40) <= 5
    assert abs(found[0].stop - 70) <= 5
    assert found[0].mass > 0


def test_curves_without_any_difference_are_called_different_rarely() -> None:
    rng = np.random.default_rng(9)
    called = 0
    for seed in range(30):
        curves = np.cumsum(rng.normal(0, 0.2, (10, 60)), axis=1)
        clusters = cluster_test(curves, n=199, seed=seed)
        called += any(cluster.p < 0.05 for cluster in clusters)
    assert called <= 5
    with pytest.raises(ValueError, match="five participants"):
        cluster_test(np.zeros((4, 10)))
