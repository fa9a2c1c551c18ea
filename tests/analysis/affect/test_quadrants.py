"""Quadrants from valence and arousal: rules, confusion, and what does not change them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duchenne.analysis.affect.quadrants import (
    LABELS,
    confusion,
    polar,
    quadrant_numbers,
    quadrant_score,
)
from duchenne.analysis.face.affect import affect_quadrant
from duchenne.analysis.training.metrics import sagr

ARRAYS = st.lists(
    st.tuples(st.floats(-1, 1, width=32), st.floats(-1, 1, width=32)), min_size=1, max_size=30
).map(lambda rows: np.array(rows, np.float64).T)
SCALES = st.floats(0.1, 10.0)


def test_quadrants_by_hand() -> None:
    valence = np.array([0.5, -0.5, -0.5, 0.5, 0.1, 0.0, 0.0, -0.3, 0.2, np.nan, 0.4])
    arousal = np.array([0.5, 0.5, -0.5, -0.5, -0.1, 0.3, -0.3, 0.0, 0.0, 0.4, np.nan])
    assert affect_quadrant(valence, arousal).tolist() == [
        "HVHA", "LVHA", "LVLA", "HVLA", "neutral",
        "HVHA", "HVLA", "LVHA", "HVHA",  # zero counts as positive; 0.2 is no longer neutral
        "not_assessable", "not_assessable",
    ]  # fmt: skip
    assert quadrant_numbers(valence, arousal).tolist()[-2:] == [-1, -1]
    radius, angle = polar(np.array([0.0, -1.0]), np.array([0.5, 0.0]))
    np.testing.assert_allclose(radius, [0.5, 1.0])
    np.testing.assert_allclose(angle, [np.pi / 2, np.pi])


@settings(max_examples=60, deadline=None)
@given(ARRAYS, SCALES)
def test_scale_moves_nothing_but_what_is_neutral(points: np.ndarray, scale: float) -> None:
    whole = quadrant_numbers(*points, neutral_radius=0.2)
    np.testing.assert_array_equal(
        whole, quadrant_numbers(*points * scale, neutral_radius=0.2 * scale)
    )
    without = quadrant_numbers(*points, neutral_radius=0.0)
    np.testing.assert_array_equal(without, quadrant_numbers(*points * scale, neutral_radius=0.0))


@settings(max_examples=60, deadline=None)
@given(ARRAYS, SCALES)
def test_sagr_knows_signs_alone(points: np.ndarray, scale: float) -> None:
    truth, found = points
    assert sagr(truth, found * scale) == sagr(truth, found)
    assert sagr(truth, truth) == 1.0
    nonzero = truth[truth != 0]
    if len(nonzero):
        assert sagr(nonzero, -nonzero) == 0.0
        assert sagr(nonzero, nonzero + 3) == np.mean(nonzero > 0)  # shifted above 0
        assert sagr(nonzero, np.zeros_like(nonzero)) == 0.0  # the sign of 0 is 0


@settings(max_examples=60, deadline=None)
@given(ARRAYS, ARRAYS)
def test_confusion_counts_every_face_once(truth: np.ndarray, found: np.ndarray) -> None:
    n = min(truth.shape[1], found.shape[1])
    true, said = quadrant_numbers(*truth[:, :n]), quadrant_numbers(*found[:, :n])
    score = confusion(true, said)
    assert int(score.confusion.sum()) == n
    assert score.accuracy == pytest.approx(np.mean(true == said))
    np.testing.assert_array_equal(score.confusion.sum(axis=1), np.bincount(true, minlength=5))
    np.testing.assert_array_equal(confusion(said, true).confusion, score.confusion.T)


def test_scores_of_constants_and_of_what_is_not_known() -> None:
    valence = np.array([0.5, -0.5, -0.5, 0.5, 0.0, np.nan])
    arousal = np.array([0.5, 0.5, -0.5, -0.5, 0.0, 0.5])
    one = np.ones(6)
    score = quadrant_score((valence, arousal), (one, one))
    assert (score.accuracy, score.n_unknown) == (pytest.approx(1 / 5), 1)
    assert score.recall.tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert score.balanced_accuracy == pytest.approx(1 / 5)
    nothing = quadrant_score((valence[5:], arousal[5:]), (one[:1], one[:1]))
    assert np.isnan(nothing.accuracy)
    assert np.isnan(nothing.balanced_accuracy)
    assert len(LABELS) == 5
