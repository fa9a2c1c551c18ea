"""Synchrony of several people's gaze on one film."""

from __future__ import annotations

import math

import numpy as np
import pytest

from duchenne.analysis.gaze.synchrony import (
    inter_subject_correlation,
    normalized_scanpath_saliency,
    on_film_time,
)

NAN = float("nan")


def test_gaze_on_film_time() -> None:
    media = [0.00, 0.02, 0.04, 0.5, 0.52, NAN]
    found = on_film_time(media, [0, 2, 4, 50, 52, 99], [-0.1, 0.01, 0.03, 0.3, 0.51, 0.6])
    np.testing.assert_allclose(found, [NAN, 1, 3, NAN, 51, NAN])
    assert np.isnan(on_film_time([0.0], [1.0], [0.0])).all()


def test_the_correlation_with_the_others() -> None:
    t = np.linspace(0, 20, 500)
    common = np.sin(t)
    rng = np.random.default_rng(1)
    traces = np.array([common + rng.normal(0, 0.7, 500) for _ in range(4)] + [-common])
    found = inter_subject_correlation(traces)
    assert found[4] < -0.8
    assert (found[:4] > 0.4).all()
    # by hand: the first against the mean of the rest
    assert found[0] == pytest.approx(np.corrcoef(traces[0], traces[1:].mean(axis=0))[0, 1])


def test_both_axes_are_averaged_and_loss_is_left_out() -> None:
    t = np.linspace(0, 20, 500)
    both = np.stack([np.sin(t), np.cos(t)], axis=1)
    swapped = np.stack([np.sin(t), -np.cos(t)], axis=1)
    assert inter_subject_correlation([both, swapped]) == pytest.approx([0, 0], abs=1e-9)
    holed = both.copy()
    holed[100:200] = NAN
    assert inter_subject_correlation([both, holed]) == pytest.approx([1, 1])


def test_what_cannot_be_correlated_is_missing() -> None:
    t = np.linspace(0, 20, 500)
    assert np.isnan(inter_subject_correlation([np.sin(t)])).all()
    assert np.isnan(inter_subject_correlation([np.sin(t), np.zeros(500)])).all()
    assert np.isnan(inter_subject_correlation([np.sin(t), np.full(500, NAN)])).all()
    assert np.isnan(inter_subject_correlation([[1, 2, 3], [1, 2, 3]])).all()


def test_saliency_is_high_where_others_look() -> None:
    rng = np.random.default_rng(2)
    n = 60
    x, y = np.tile(8 * np.sin(np.arange(n) / 9), (6, 1)), np.zeros((6, n))
    x, y = x + rng.normal(0, 0.3, x.shape), y + rng.normal(0, 0.3, y.shape)
    x[5], y[5] = rng.uniform(-8, 8, n), rng.uniform(-8, 8, n)  # looks anywhere
    found = normalized_scanpath_saliency(x, y)
    assert np.nanmean(found[:5]) > 2
    assert abs(np.nanmean(found[5])) < 0.7
    x[0, 10], x[1:, 11] = NAN, NAN
    lost = normalized_scanpath_saliency(x, y)
    assert math.isnan(lost[0, 10])
    assert np.isnan(lost[:, 11]).all()
    assert np.isfinite(normalized_scanpath_saliency(x, y, window=3)[0, 11])
    assert np.isnan(normalized_scanpath_saliency(x[:1], y[:1])).all()
    assert np.isnan(normalized_scanpath_saliency(x * NAN, y)).all()


def test_saliency_of_one_other_person_by_hand() -> None:
    found = normalized_scanpath_saliency([[0.0], [0.0]], [[0.0], [0.0]], sigma_deg=1.0)
    grid = np.linspace(-3, 3, 12)
    bell = np.exp(-0.5 * grid**2)
    chart = np.outer(bell, bell)
    assert found == pytest.approx((1 - chart.mean()) / chart.std())
