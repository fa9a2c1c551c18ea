"""Rules with hand-computed values: prototypes, valence, occurrence, features."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.face.affect import expressive_valence
from duchenne.analysis.face.calibration import (
    Calibration,
    OccurrenceRule,
    calibrate,
    occurrence,
)
from duchenne.analysis.face.emotion import match_prototypes
from duchenne.analysis.face.features import face_features
from duchenne.analysis.face.result import FaceResult
from duchenne.analysis.summary import ExclusionRules
from duchenne.analysis.windows_face import FaceSeries

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
        # The opposite dimple alone is enough; a smile of both sides, or of the other, is none.
        ({"AU14R": 5, "AU14": 5}, "contempt", 0.5),
        ({"AU14L": 4, "AU14R": 1.9, "AU14": 4, "AU12L": 4, "AU12R": 4, "AU12": 4}, "none", 0.0),
        ({"AU14L": 4, "AU14": 4, "AU12L": 3, "AU12R": 2, "AU12": 3}, "none", 0.0),
        ({"AU14L": 4, "AU14": 4, "AU12L": 2.1, "AU12R": 1.9, "AU12": 2.1}, "none", 0.0),
        ({"AU14L": 4, "AU14": 4, "AU12R": 4, "AU12": 4}, "none", 0.0),
        ({"AU14L": 4, "AU14": 4, "AU12L": 1.9, "AU12R": 1.9, "AU12": 1.9}, "contempt", 0.59),
        # Units that are not measured in the frame leave the score to the others.
        ({"AU09": np.nan, "AU10": 4}, "disgust", 0.4),
        ({"AU09": np.nan, "AU10": 4, "AU15": 2, "AU17": np.nan}, "disgust", 0.6),
        ({"AU01": 3, "AU04": 4, "AU15": np.nan}, "sadness", 0.7),
        ({"AU01": 4, "AU02": 4, "AU05": np.nan, "AU26": np.nan}, "surprise", 0.8),
        # An unknown core leaves the frame open, unless something else matches or its rest is idle.
        ({"AU12": np.nan, "AU06": 4}, "not_assessable", 0.0),
        ({"AU12": np.nan, "AU06": 4, "AU01": 3, "AU04": 3, "AU15": 3}, "sadness", 0.6),
        ({"AU12": np.nan, "AU09": 0, "AU17": 4}, "none", 0.0),
        ({"AU12": np.nan}, "not_assessable", 0.0),
        ({"AU15": np.nan}, "not_assessable", 0.0),
        ({"AU15": np.nan, "AU17": 4}, "none", 0.0),
        ({"AU14L": np.nan, "AU17": 4}, "not_assessable", 0.0),
        # An alternative that was not measured may be the one that acts.
        ({"AU09": np.nan, "AU17": 4}, "not_assessable", 0.0),
        ({"AU04": 4, "AU05": np.nan}, "not_assessable", 0.0),
        ({"AU09": np.nan, "AU06": 3, "AU12": 4}, "happiness", 0.7),
        # A dimple is no contempt where the smile that it may belong to was not measured.
        (
            {"AU14L": 4, "AU14": 4, "AU12L": np.nan, "AU12R": np.nan, "AU12": np.nan},
            "not_assessable",
            0.0,
        ),
        ({"AU14L": 4, "AU14": 4, "AU12L": 4, "AU12R": np.nan, "AU12": 4}, "none", 0.0),
    ],
)
def test_label_and_score(given, label, score):
    result = match(**given)
    assert result.label[0] == label
    best = np.nanmax([float(s[0]) for s in result.scores.values()])
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


def test_weights_of_units_that_are_not_measured_are_left_out():
    measured = ("AU01", "AU04", "AU15")
    units = {"AU01": np.array([5.0, 5.0]), "AU04": np.array([2.5, 2.5])}
    units["AU15"] = np.array([0.0, np.nan])
    occurs = {name: np.array([1.0, 1.0]) for name in measured[:2]}
    occurs["AU15"] = np.array([0.0, np.nan])
    scores = match_prototypes(units, occurs, {"AU01": 3.0, "AU04": 1.0, "AU15": 4.0}).scores
    np.testing.assert_allclose(scores["sadness"], [3.5 / 8, 3.5 / 4])


def test_units_that_no_backend_names_keep_nothing_from_neutral():
    result = match(measured=("AU01", "AU02", "AU04", "AU06", "AU12"))
    assert result.label[0] == "neutral"


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


@pytest.mark.parametrize("au", ["AU04", "AU06", "AU09", "AU12R", "AU15", "AU20"])
def test_a_unit_that_is_missing_in_a_frame_leaves_its_valence_open(au):
    units = {name: np.array([1.0, 1.0]) for name in ALL}
    units[au][1] = np.nan
    assert np.isfinite(expressive_valence(units)).tolist() == [True, False]
    without = {name: values for name, values in units.items() if name != au}
    assert np.isfinite(expressive_valence(without)).all() == (au != "AU04")


def test_occurrence_needs_two_and_the_neutral_percentile():
    values = np.array([[1.9], [2.0], [2.4], [2.6], [np.nan]])
    plain = Calibration("typical face", np.zeros(1), 0, threshold=np.zeros(1))
    own = Calibration("neutral phase", np.zeros(1), 50, threshold=np.array([2.5]))
    np.testing.assert_array_equal(occurrence(values, plain)[:, 0], [0, 1, 1, 1, np.nan])
    np.testing.assert_array_equal(occurrence(values, own)[:, 0], [0, 0, 0, 1, np.nan])


def test_occurrence_is_monotone_in_the_threshold():
    values = np.array([[2.5], [3.95], [4.05], [4.9]])
    counts = [
        occurrence(
            values, Calibration("neutral phase", np.zeros(1), 50, (), np.array([limit]))
        ).sum()
        for limit in (0.0, 2.5, 3.9, 4.0, 4.1, 5.0)
    ]
    assert counts == [4, 3, 3, 2, 1, 0]


class Passing:
    """A backend whose features are its intensities."""

    au_names = ("AU12", "AU43", "AU45", "AU17")
    personal = np.zeros(4, bool)
    typical_neutral = np.zeros(4)

    def intensities(self, features, neutral):
        measured = features - neutral
        measured[:, 3] = np.nan
        return measured


def test_blinks_at_rest_are_blinks_and_the_thresholds_are_told():
    # 5 of 100 neutral frames are at 4.5, in AU12 as in the eyelids: the percentile is 4.5.
    rest = np.zeros((100, 4))
    rest[:5] = 4.5
    neutral = calibrate(Passing(), rest, np.arange(100.0), np.ones(100, bool), [(0.0, 100.0)])
    np.testing.assert_array_equal(neutral.threshold, [4.5, 0, 0, 0])
    found = occurrence(np.array([[4.2, 4.2, 4.2, 1.9], [4.6, 1.9, 2.0, 2.0]]), neutral)
    np.testing.assert_array_equal(found, [[0, 1, 1, 0], [1, 0, 1, 1]])
    told = neutral.to_dict()
    assert told["source"] == "neutral phase"
    assert told["occurrence_threshold"] == {"AU12": 4.5, "AU43": 2.0, "AU45": 2.0, "AU17": 2.0}
    habitual = calibrate(Passing(), rest, np.arange(100.0), np.ones(100, bool))
    assert set(habitual.to_dict()["occurrence_threshold"].values()) == {2.0}


def test_limits_of_occurrence_may_be_others():
    rest = np.zeros((100, 4))
    rest[:5] = 4.5
    windows = [(0.0, 100.0)]
    rule = OccurrenceRule(least=1.0, percentile=90.0)
    others = calibrate(Passing(), rest, np.arange(100.0), np.ones(100, bool), windows, rule=rule)
    assert set(others.to_dict()["occurrence_threshold"].values()) == {1.0}
    np.testing.assert_array_equal(occurrence(np.array([[0.9, 1, 1, 1]]), others), [[0, 1, 1, 1]])
    with pytest.raises(ValueError, match="a percentile of 101 cannot be"):
        OccurrenceRule(percentile=101)


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


def test_speech_before_the_stimulus_leaves_the_mouth_no_baseline():
    talks = np.where(np.arange(60) < 26, 1.0, 0.0)  # the last 0.4 s before the stimulus are silent
    frames = table().assign(speaking=talks, AU04_r=1.0)
    result = FaceResult(frames, Calibration("typical face", np.zeros(1), 0), {})
    for row in (face_features(frames, 3.0, 5.0), FaceSeries.of(result).measures(3.0, 5.0, 3.0)):
        assert np.isnan(row["AU12_change_mean"])
        assert row["AU12_mean"] == pytest.approx(3.0)
        assert row["AU04_change_mean"] == pytest.approx(0.0)


def lost(n_kept_before, n_kept_within, **extra):
    """Return 30 frames/s to 20 s, with only so many frames in 9-10 s and in 10-15 s."""
    frames = table(600, 30.0).assign(**extra)
    frames["AU12_r"] = np.where(frames["time"] > 10 - 1e-9, 4.0, 1.0)
    kept = np.ones(600, bool)
    kept[270 + n_kept_before : 300] = False
    kept[300 + n_kept_within : 450] = False
    return frames[kept].reset_index(drop=True)


def test_frames_that_did_not_arrive_are_not_usable():
    row = face_features(lost(30, 3), 10.0, 15.0)
    assert row["face_usable_fraction"] == pytest.approx(3 / 150)
    assert row["AU12_change_mean"] == pytest.approx(3.0)
    assert face_features(lost(30, 150), 10.0, 15.0)["face_usable_fraction"] == 1.0


def test_a_complete_recording_has_share_one_wherever_the_window_lies():
    frames = table(600, 30.0)
    for start in np.linspace(1.0, 1.1, 23):
        assert face_features(frames, start, start + 4.99)["face_usable_fraction"] == 1.0


@pytest.mark.parametrize(("n", "change"), [(1, np.nan), (14, np.nan), (15, 3.0), (30, 3.0)])
def test_change_needs_half_of_the_frames_of_the_second_before(n, change):
    row = face_features(lost(n, 150), 10.0, 15.0)
    assert row["AU12_change_mean"] == pytest.approx(change, nan_ok=True)


@pytest.mark.parametrize(("n", "share"), [(3, np.nan), (74, np.nan), (75, 1.0)])
def test_speaking_is_told_from_half_of_the_frames(n, share):
    row = face_features(lost(30, n, speaking=1.0), 10.0, 15.0)
    assert row["speaking_fraction"] == pytest.approx(share, nan_ok=True)


def test_a_window_without_frames_has_no_usable_share():
    for frames in (table(), table(0), table(1)):
        row = face_features(frames, 100.0, 105.0)
        assert np.isnan(row["AU12_mean"])
        assert np.isnan(row["AU12_peak"])
        assert np.isnan(row["AU12_change_mean"])
        assert row["face_usable_fraction"] == 0.0
        assert row["expr_prototype_top"] is None
    assert ExclusionRules().reasons(row) == ["face usable in 0.0% of the stimulus, less than 50%"]


def test_the_peak_is_not_smoothed_across_a_gap():
    # Three frames at 5, then 4.8 s without any, then three at 0: the 95th percentile stays 5.
    within = np.concatenate([10 + np.arange(3) / 30, 14.9 + np.arange(3) / 30])
    times = np.concatenate([np.arange(270) / 30, within])
    frames = table(len(times)).assign(time=times)
    frames["AU12_r"] = np.concatenate([np.zeros(270), [5, 5, 5, 0, 0, 0]])
    row = face_features(frames, 10.0, 15.0)
    assert row["AU12_peak"] == pytest.approx(5.0)
    assert row["AU12_mean"] == pytest.approx(2.5)


def test_top_prototype_needs_a_tenth_of_the_frames():
    frames = table(label="none")
    frames.loc[30:31, "expr_prototype"] = "surprise"
    assert face_features(frames, 3.0, 5.0)["expr_prototype_top"] == "surprise"
    frames.loc[31, "expr_prototype"] = "none"
    assert face_features(frames, 3.0, 5.0)["expr_prototype_top"] == "none"


def test_usable_frames_that_cannot_be_assessed_are_told():
    frames = table(label="not_assessable")
    assert face_features(frames, 3.0, 5.0)["expr_prototype_top"] == "not_assessable"
