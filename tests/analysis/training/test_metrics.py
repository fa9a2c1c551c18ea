"""Figures against numbers worked out by hand, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from duchenne.analysis.training.metrics import (
    AFFECT,
    INTENSITY,
    OCCURRENCE,
    accuracy,
    auc,
    ccc,
    evaluate,
    f1,
    icc,
    landmark_errors,
    pcc,
    sagr,
)

TRUTH = np.array([0.0, 1.0, 2.0, 5.0])
FOUND = np.array([0.5, 1.0, 3.0, 3.5])


def test_figures_by_hand() -> None:
    dt, df = TRUTH - 2.0, FOUND - 2.0
    shared = (dt * df).mean()
    assert pcc(TRUTH, FOUND) == pytest.approx(shared / np.sqrt((dt**2).mean() * (df**2).mean()))
    assert ccc(TRUTH, FOUND) == pytest.approx(2 * shared / ((dt**2).mean() + (df**2).mean()))
    assert INTENSITY["mae"](TRUTH, FOUND) == pytest.approx((0.5 + 0 + 1 + 1.5) / 4)
    assert INTENSITY["mse"](TRUTH, FOUND) == pytest.approx((0.25 + 1 + 2.25) / 4)
    rows = np.stack([TRUTH, FOUND], axis=1)
    between = 2 * ((rows.mean(axis=1) - 2.0) ** 2).sum() / 3
    rest = ((rows - rows.mean(axis=1, keepdims=True)) ** 2).sum() / 3
    assert icc(TRUTH, FOUND) == pytest.approx((between - rest) / (between + rest))
    assert sagr(np.array([-1.0, 0.0, 2.0]), np.array([-0.1, 0.2, 3.0])) == pytest.approx(2 / 3)


def test_yes_and_no() -> None:
    truth = np.array([1.0, 1.0, 0.0, 0.0, 1.0])
    found = np.array([0.9, 0.4, 0.6, 0.1, 0.6])
    assert f1(truth, found) == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert accuracy(truth, found) == pytest.approx(3 / 5)
    assert auc(truth, found) == pytest.approx((2 + 1 + 1.5) / 6)
    assert f1(np.ones(1), np.full(1, 0.5)) == accuracy(np.ones(1), np.full(1, 0.5)) == 1.0


def test_area_agrees_with_a_library() -> None:
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 200).astype(float)
    found = np.round(rng.normal(truth, 1.0), 1)
    assert auc(truth, found) == pytest.approx(roc_auc_score(truth, found))


def test_what_does_not_exist_is_counted_and_never_zero() -> None:
    truth = np.column_stack([TRUTH, np.zeros(4), np.full(4, np.nan)])
    found = np.column_stack([FOUND, FOUND, FOUND])
    scores = evaluate(truth, found, ("AU01", "AU02", "AU04"), INTENSITY)
    assert all(np.isnan(scores["AU02"][name].value) for name in ("pcc", "icc", "ccc"))
    constant = evaluate(truth[:, :1], np.full((4, 1), 2.0), ("AU01",), INTENSITY)["AU01"]
    assert all(np.isnan(constant[name].value) for name in ("pcc", "icc", "ccc"))
    assert np.isnan(scores["AU04"]["mae"].value)
    assert scores["mean"]["pcc"].value == pytest.approx(pcc(TRUTH, FOUND))
    assert scores["mean"]["pcc"].n_missing == 2
    assert scores["mean"]["mae"].n_missing == 1
    empty = evaluate(truth[:0], found[:0], ("AU01", "AU02", "AU04"), OCCURRENCE)
    assert all(np.isnan(score.value) for score in empty["mean"].values())


def test_intervals_come_from_subjects() -> None:
    """Twenty persons of one hundred like frames each: drawing frames would give a far narrower interval."""
    rng = np.random.default_rng(1)
    level = np.repeat(rng.normal(0, 1, 20), 100)
    truth = (level + rng.normal(0, 0.05, 2000))[:, None]
    found = (np.repeat(rng.normal(0, 1, 20), 100) + 0.7 * level)[:, None]
    persons = np.repeat(np.arange(20), 100)
    by_person = evaluate(truth, found, ["V"], AFFECT, subjects=persons, n_draws=200)["V"]["pcc"]
    by_frame = evaluate(truth, found, ["V"], AFFECT, subjects=np.arange(2000), n_draws=200)
    wide = by_person.high - by_person.low
    narrow = by_frame["V"]["pcc"].high - by_frame["V"]["pcc"].low
    assert by_person.low < by_person.value < by_person.high
    assert wide > 4 * narrow
    alone = evaluate(truth, found, ["V"], AFFECT, subjects=np.zeros(2000), n_draws=50)
    assert np.isnan(alone["V"]["pcc"].low)


def test_landmarks_are_measured_in_distances_of_the_eyes() -> None:
    truth = np.zeros((1, 4, 2))
    truth[0] = [[0, 0], [2, 0], [10, 0], [12, 0]]  # eye centres at 1 and 11
    found = truth + np.array([0.0, 1.0])
    np.testing.assert_allclose(landmark_errors(truth, found, (0, 1), (2, 3)), [0.1])
