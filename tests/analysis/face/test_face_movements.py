"""Blinks, speech, head and smiles from signals that are made by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from duchenne.analysis.face.blinks import eye_closure, find_blinks
from duchenne.analysis.face.head_movement import head_range_deg, head_speed_deg_s
from duchenne.analysis.face.signals import FaceSignals
from duchenne.analysis.face.smiles import duchenne_reliable, symmetry, with_smiles
from duchenne.analysis.face.speech import speaking, voiced


def signals(n, *, eyes=0.33, other_eye=None, gap=0.004, pose=None):
    eyes = np.broadcast_to(eyes, n).astype(float)
    return FaceSignals(
        eye_left=eyes,
        eye_right=eyes if other_eye is None else other_eye,
        lip_gap=np.broadcast_to(gap, n).astype(float),
        mouth_width=np.full(n, 0.5),
        pose_deg=np.zeros((n, 3)) if pose is None else pose,
    )


def frames(seconds=6.0, rate_hz=30.0):
    return np.arange(round(seconds * rate_hz)) / rate_hz


def lids(times, closures):
    """Return the eye's opening with closures (begin, end) of cosine shape."""
    shut = np.zeros(len(times))
    for begin, end in closures:
        phase = np.clip((times - begin) / (end - begin), 0, 1)
        shut = np.maximum(shut, np.sin(np.pi * phase) ** 2)
    return 0.33 - 0.28 * shut


@pytest.mark.parametrize("rate_hz", [15.0, 24.0, 30.0, 60.0, 120.0])
def test_blinks_are_found_with_their_times(rate_hz):
    times = frames(rate_hz=rate_hz)
    closure = eye_closure(signals(len(times), eyes=lids(times, [(1.0, 1.3), (4.0, 4.4)])))
    found = find_blinks(times, closure)
    # At half of its height a sine squared is half as long.
    np.testing.assert_allclose(found["onset"], [1.075, 4.1], atol=0.6 / rate_hz)
    np.testing.assert_allclose(found["duration"], [0.15, 0.2], atol=0.9 / rate_hz)
    assert closure.max() <= 1.0


def test_what_is_no_blink():
    times = frames()
    looking_down = np.where((times > 1) & (times < 3), 0.19, 0.33)
    long_closed = lids(times, [(1.0, 3.0)])
    wink = signals(len(times), eyes=lids(times, [(1.0, 1.3)]), other_eye=np.full(len(times), 0.33))
    for eyes in (looking_down, long_closed):
        assert not len(find_blinks(times, eye_closure(signals(len(times), eyes=eyes))))
    assert not len(find_blinks(times, eye_closure(wink)))


def test_a_blink_beside_lost_frames_is_not_made_up():
    times = frames()
    eyes = lids(times, [(1.0, 1.3)])
    eyes[33:45] = np.nan
    closure = eye_closure(signals(len(times), eyes=eyes))
    assert np.isnan(closure[33:45]).all()
    assert not len(find_blinks(times, closure))


def test_eyes_that_never_open_tell_nothing():
    assert np.isnan(eye_closure(signals(90, eyes=0.03))).all()
    assert np.isnan(eye_closure(signals(90, eyes=np.nan))).all()
    assert not len(find_blinks(np.arange(90) / 10, np.zeros(90)))


def talk(times, rate_hz=4.5, size=0.06, first=1.0, last=4.0):
    lips = size * np.sin(np.pi * rate_hz * (times - first)) ** 2
    return 0.004 + np.where((times >= first) & (times <= last), lips, 0.0)


@pytest.mark.parametrize("rate_hz", [2.5, 4.5, 6.0])
def test_rhythmic_lips_speak(rate_hz):
    times = frames()
    told = speaking(times, signals(len(times), gap=talk(times, rate_hz)))
    assert told[(times > 1.3) & (times < 3.7)].all()
    assert not told[(times < 0.6) | (times > 4.5)].any()


@pytest.mark.parametrize(
    "gap",
    [
        pytest.param(lambda t: talk(t, 1.2), id="chewing"),
        pytest.param(lambda t: 0.06 * ((t > 1) & (t < 4)), id="lips held apart"),
        pytest.param(lambda t: talk(t, 4.5, last=1.2), id="one brief opening"),
        pytest.param(lambda t: talk(t, 4.5, size=0.006), id="trembling"),
        pytest.param(lambda t: 0.004 + 0.002 * np.sin(40 * t), id="noise"),
    ],
)
def test_other_movements_of_the_lips_do_not_speak(gap):
    times = frames()
    assert not speaking(times, signals(len(times), gap=gap(times))).any()


def test_lips_that_are_not_measured_are_not_told():
    times = frames()
    gap = talk(times)
    gap[60:90] = np.nan
    told = speaking(times, signals(len(times), gap=gap))
    assert np.isnan(told[60:90]).all()
    slow = frames(rate_hz=10.0)
    assert np.isnan(speaking(slow, signals(len(slow), gap=talk(slow)))).all()
    assert speaking(np.zeros(0), signals(0)).size == 0


def test_with_a_microphone_lips_and_voice_are_needed():
    times = frames()
    at = np.arange(0, 6, 0.02)
    loud = np.where((at > 1) & (at < 4), -25.0, -60.0)
    silent = np.full(len(at), -60.0) + np.sin(at)
    moving, still = signals(len(times), gap=talk(times)), signals(len(times))
    assert speaking(times, moving, (at, loud))[60:100].all()
    assert not speaking(times, moving, (at, silent)).any()
    assert not speaking(times, still, (at, loud)).any()
    # Where the microphone recorded nothing, the lips alone tell.
    assert speaking(times, moving, (at[:10], silent[:10]))[60:100].all()
    assert np.isnan(voiced(times, np.zeros(0), np.zeros(0))).all()


@pytest.mark.parametrize("rate_hz", [25.0, 60.0])
def test_the_speed_of_the_head(rate_hz):
    times = frames(rate_hz=rate_hz)
    pose = np.column_stack([30.0 * times, -40.0 * times, 0 * times])
    speed = head_speed_deg_s(times, pose)
    np.testing.assert_allclose(speed, 50.0, rtol=1e-6)
    pose[30:60] = np.nan
    assert np.isnan(head_speed_deg_s(times, pose)[30:60]).all()


def test_the_range_of_the_head():
    pose = np.column_stack([np.linspace(-10, 10, 101), np.zeros(101), np.full(101, 5.0)])
    np.testing.assert_allclose(head_range_deg(pose), [18.0, 0.0, 0.0], atol=1e-9)
    assert np.isnan(head_range_deg(pose[:3])).all()


def smile_table(left, right, cheeks):
    n = 120
    curve = np.interp(np.arange(n) / 60, [0.5, 0.8, 1.4, 1.7], [0, 1, 1, 0])
    return pd.DataFrame(
        {
            "time": np.arange(n) / 60,
            "AU06_r": cheeks * curve,
            "AU12_r": max(left, right) * curve,
            "AU12L_r": left * curve,
            "AU12R_r": right * curve,
        }
    )


@pytest.mark.parametrize(
    ("left", "right", "cheeks", "even", "is_duchenne"),
    [(4, 4, 2, 1.0, 1.0), (4, 3, 2, 0.75, 1.0), (4, 0.4, 2, 0.1, 0.0), (4, 4, 0.3, 1.0, 0.0)],
)
def test_smiles_have_sides_and_cheeks(left, right, cheeks, even, is_duchenne):
    frames_of = smile_table(left, right, cheeks)
    events = pd.DataFrame({"au": ["AU06", "AU12"], "apex_s": [0.8, 0.8]})
    told = with_smiles(events, frames_of, duchenne_reliable=True)
    assert told["symmetry"][1] == pytest.approx(even, abs=0.02)
    assert told["duchenne"][1] == is_duchenne
    assert np.isnan(told["symmetry"][0])
    assert np.isnan(told["duchenne"][0])
    assert with_smiles(events, frames_of, duchenne_reliable=False)["duchenne"].isna().all()


def test_sides_that_hardly_move_have_no_symmetry():
    assert np.isnan(symmetry(np.array([0.2]), np.array([0.3])))[0]
    assert np.isnan(symmetry(np.array([np.nan]), np.array([3.0])))[0]


def test_the_backend_says_whether_duchenne_smiles_can_be_told():
    assert not duchenne_reliable(SimpleNamespace())
    assert duchenne_reliable(SimpleNamespace(duchenne_smile_reliable=True))
    assert duchenne_reliable(SimpleNamespace(card={"duchenne_smile_reliable": True}))
    assert not duchenne_reliable(SimpleNamespace(card={}))
