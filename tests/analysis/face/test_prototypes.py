"""Rules with hand-computed values: prototypes, valence, occurrence, features."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.face.affect import expressive_valence
from duchenne.analysis.face.calibration import Calibration, occurrence
from duchenne.analysis.face.emotion import match_prototypes
from duchenne.analysis.face.features import face_features, smooth

NUMBERS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 24, 26)
ALL = (*(f"AU{n:02d}" for n in NUMBERS), "AU12L", "AU12R", "AU14L", "AU14R")


def match(measured=ALL, **given):
    units = {au: np.array([float(given.get(au, 0.0))]) for au in measured}
    occurs = {au: np.where(np.isnan(v), np.nan, (v >= 2).astype(float)) for au, v in units.items()}
    return match_prototypes(units, occurs)


@pytest.mark.parametrize(
    ("given", "label", "score"),
    [
        ({}, "neutral", 0.0),
        ({"AU06": 3, "AU12": 4}, "happiness", 0.7),
        ({"AU12": 4}, "none", 0.0),
        ({"AU06": 1.9, "AU12": 4}, "none", 0.0),
        ({"AU01": 3, "AU04": 3, "AU15": 3}, "sadness", 0.6),
        ({"AU01": 4, "AU02": 4, "AU05": 4, "AU26": 4}, "surprise", 0.8),
        (
            {"AU01": 3, "AU02": 3, "AU04": 3, "AU05": 3, "AU07": 3, "AU20": 3, "AU26": 3},
            "fear",
            0.6,
        ),
        ({"AU04": 5, "AU05": 5, "AU07": 0, "AU24": 5}, "anger", 0.75),
        ({"AU04": 5, "AU07": 5, "AU23": 5}, "anger", 0.75),
        ({"AU09": 2, "AU10": 4, "AU17": 2}, "disgust", 0.6),
        ({"AU14L": 4, "AU12L": 2, "AU14": 4, "AU12": 2}, "contempt", 0.6),
        ({"AU14L": 4, "AU14R": 3.5, "AU14": 4}, "none", 0.0),
        ({"AU14L": 2.4, "AU14R": 1.9, "AU14": 2.4}, "none", 0.0),
    ],
)
def test_label_and_score(given, label, score):
    result = match(**given)
    assert result.label[0] == label
    best = max(float(s[0]) for s in result.scores.values())
    assert best == pytest.approx(score)


def test_fear_outscores_the_surprise_within_it():
    result = match(AU01=4, AU02=4, AU04=4, AU05=4, AU20=4, AU26=4, AU07=4)
    assert result.scores["fear"][0] == pytest.approx(result.scores["surprise"][0])
    assert result.label[0] == "fear"


def test_contempt_needs_both_sides_measured():
    result = match(measured=[au for au in ALL if len(au) == 4], AU14=5, AU12=5)
    assert result.coverage["contempt"] == 0
    assert np.isnan(result.scores["contempt"]).all()
    assert result.label[0] == "none"


def test_coverage_counts_measured_units():
    result = match(measured=("AU01", "AU02", "AU04", "AU12", "AU06", "AU26"))
    assert result.coverage["happiness"] == 1.0
    assert result.coverage["sadness"] == pytest.approx(2 / 3)
    assert result.coverage["surprise"] == pytest.approx(3 / 4)
    assert result.coverage["fear"] == 0  # AU20 is in its core
    assert result.coverage["anger"] == 0


def test_frames_that_are_not_measured_are_not_assessable():
    result = match(**dict.fromkeys(ALL, np.nan))
    assert result.label[0] == "not_assessable"
    assert all(np.isnan(score).all() for score in result.scores.values())


def test_weights_enter_the_score():
    units = {"AU06": np.array([5.0]), "AU12": np.array([2.5])}
    occurs = {name: np.array([1.0]) for name in units}
    scores = match_prototypes(units, occurs, {"AU06": 1.0, "AU12": 3.0}).scores
    assert scores["happiness"][0] == pytest.approx((1.0 * 1 + 0.5 * 3) / 4)


def valence(**given):
    units = {name: np.array([float(value)]) for name, value in given.items()}
    return float(expressive_valence(units)[0])


def test_valence_by_hand():
    assert valence(AU04=0, AU12=5, AU06=5) == pytest.approx(1.0)
    assert valence(AU04=0, AU12=5, AU06=0) == pytest.approx(0.8)
    assert valence(AU04=0, AU12=0, AU06=5) == 0.0
    assert valence(AU04=5, AU12=0, AU06=0) == pytest.approx(-0.5)
    assert valence(AU04=4, AU12=0, AU06=0, AU09=2, AU15=2) == pytest.approx(-0.6)
    assert valence(AU04=5, AU12=0, AU09=5, AU15=5, AU20=5) == -1.0
    assert valence(AU04=0, AU12=4, AU12L=4, AU12R=0, AU06=0) == pytest.approx(0.32)
    assert np.isnan(valence(AU04=np.nan, AU12=1))
    assert np.isnan(valence(AU12=1))


def test_occurrence_needs_two_and_the_neutral_percentile():
    values = np.array([[1.9], [2.0], [2.4], [2.6], [np.nan]])
    plain = Calibration("typical face", np.zeros(1), 0, threshold=np.zeros(1))
    own = Calibration("neutral phase", np.zeros(1), 50, threshold=np.array([2.5]))
    np.testing.assert_array_equal(occurrence(values, plain)[:, 0], [0, 1, 1, 1, np.nan])
    np.testing.assert_array_equal(occurrence(values, own)[:, 0], [0, 0, 0, 1, np.nan])


def test_smoothing_leaves_gaps_open():
    values = np.array([0.0, 3.0, 0.0, np.nan, 6.0])
    np.testing.assert_allclose(smooth(values, 3), [1.5, 1.0, 1.5, np.nan, 6.0])


def table(n=60, rate_hz=10.0, *, usable=None, label="neutral"):
    intensity = np.where(np.arange(n) >= 30, 3.0, 1.0)
    is_usable = np.ones(n, bool) if usable is None else usable
    return pd.DataFrame(
        {
            "time": np.arange(n) / rate_hz,
            "usable": is_usable,
            "AU12_r": np.where(is_usable, intensity, np.nan),
            "AU12_c": np.where(is_usable, 1.0, np.nan),
            "expr_valence": np.where(is_usable, 0.5, np.nan),
            "expr_arousal": np.nan,
            "expr_prototype": [label] * n,
            "speaking": np.nan,
        }
    )


def test_features_of_a_window():
    row = face_features(table(), 3.0, 5.0)
    assert row["AU12_mean"] == pytest.approx(3.0)
    assert row["AU12_change_mean"] == pytest.approx(2.0)
    assert row["AU12_peak"] == pytest.approx(3.0)
    assert row["face_usable_fraction"] == 1.0
    assert row["expr_prototype_top"] == "neutral"
    assert row["expr_valence_mean"] == pytest.approx(0.5)
    for missing in ("expr_arousal_mean", "speaking_fraction", "n_microexpression_candidates"):
        assert np.isnan(row[missing])


def test_change_needs_a_baseline():
    usable = np.ones(60, bool)
    usable[20:26] = False
    row = face_features(table(usable=usable), 3.0, 5.0)
    assert np.isnan(row["AU12_change_mean"])
    assert row["AU12_mean"] == pytest.approx(3.0)
    assert np.isnan(face_features(table(), 0.0, 2.0)["AU12_change_mean"])


def test_a_window_without_frames_is_missing():
    row = face_features(table(), 100.0, 105.0)
    assert np.isnan(row["AU12_mean"])
    assert np.isnan(row["face_usable_fraction"])
    assert row["expr_prototype_top"] is None


def test_top_prototype_needs_a_tenth_of_the_frames():
    frames = table(label="none")
    frames.loc[30:31, "expr_prototype"] = "surprise"
    assert face_features(frames, 3.0, 5.0)["expr_prototype_top"] == "surprise"
    frames.loc[31, "expr_prototype"] = "none"
    assert face_features(frames, 3.0, 5.0)["expr_prototype_top"] == "none"
