from __future__ import annotations

import numpy as np
import pytest

from duchenne.analysis.rendering.action_units import (
    LABEL_NAMES,
    SHAPES,
    UNITS,
    Act,
    closed_lips,
    labels,
    lip_gap,
    shape_weights,
)


def test_every_shape_is_one_of_the_head(real_head):
    assert {shape for mixed in SHAPES.values() for shape in mixed} <= set(real_head.shapes)


def test_a_label_is_five_times_the_weight():
    found = labels(Act({12: 0.8, 4: 0.1}), 0.0, 0.0)
    assert found["AU12"] == pytest.approx(4.0)
    assert found["AU12L"] == found["AU12R"] == pytest.approx(4.0)
    assert found["AU04"] == pytest.approx(0.5)
    assert found["AU01"] == 0.0
    assert len(LABEL_NAMES) == len(UNITS) + 4


def test_parted_lips_are_labelled_whatever_parts_them():
    assert labels(Act(), 0.08, 0.08)["AU25"] == 0
    assert labels(Act(), 0.14, 0.08)["AU25"] == pytest.approx(0, abs=1e-9)
    assert labels(Act(), 0.49, 0.08)["AU25"] == pytest.approx(2.5)
    assert labels(Act(), 3.0, 0.08)["AU25"] == 5
    assert labels(Act({25: 0.9}), 0.0, 0.0)["AU25"] == pytest.approx(4.5)


def test_a_one_sided_action_moves_one_side():
    act = Act({14: 1.0}, side={14: "R"})
    weights = shape_weights(act)
    assert weights["mouthDimple_R"] == 1
    assert weights["mouthDimple_L"] == pytest.approx(0.08)
    found = labels(act, 0, 0)
    assert (found["AU14"], found["AU14R"]) == (5, 5)
    assert found["AU14L"] == pytest.approx(0.4)


def test_faces_are_as_uneven_as_they_are_told_to_be():
    weights = shape_weights(Act({1: 0.5}), asymmetry=1.0)
    assert weights["browInnerUp_L"] == pytest.approx(0.55)
    assert weights["browInnerUp_R"] == pytest.approx(0.45)


def test_a_closed_lid_is_neither_wide_nor_narrow():
    weights = shape_weights(Act({45: 1.0, 5: 1.0, 7: 1.0}, gaze=(0.0, -0.5)))
    assert weights["eyeBlink_L"] == 1  # not more
    assert weights["eyeWide_L"] == 0
    assert weights["eyeSquint_L"] == pytest.approx(0.2)
    assert weights["eyeLookDown_R"] == pytest.approx(0.1)


def test_lids_go_with_the_gaze():
    weights = shape_weights(Act(gaze=(0.5, 0.2)))
    assert weights["eyeLookOut_L"] == weights["eyeLookIn_R"] == 0.5
    assert weights["eyeLookUp_L"] == 0.2
    assert "eyeLookDown_L" not in weights


def test_the_lip_gap_is_that_of_the_deformed_face(real_head):
    rng = np.random.default_rng(3)
    base = real_head.at_rest(real_head.person(rng))
    weights = shape_weights(Act({25: 0.6, 26: 0.5, 12: 0.3}), {"mouthFrown_L": 0.1})
    upper, lower = real_head.deformed(base, weights)[real_head.landmarks[[62, 66]], 1]
    assert lip_gap(real_head, base, weights) == pytest.approx(float(upper - lower), abs=1e-4)


def test_lips_meet_at_rest(real_head):
    for seed in range(20):
        base = real_head.at_rest(real_head.person(np.random.default_rng(seed)))
        resting = closed_lips(real_head, base, {"mouthFrown_L": 0.1})
        marks = real_head.deformed(base, resting)[real_head.landmarks]
        gaps = marks[[61, 62, 63], 1] - marks[[67, 66, 65], 1]
        assert gaps.max() == pytest.approx(0.0, abs=0.02)
        assert -0.25 < lip_gap(real_head, base, resting) <= gaps.max() + 1e-4
        assert abs(resting["mouthClose"]) < 0.2
