"""Accuracy, precision, target paths and the rest on a cross: known answers, no devices."""

from __future__ import annotations

import numpy as np
import pytest

from duchenne.protocols.displays.base import Fill
from duchenne.protocols.gaze_measure import Accuracy, GazeSamples, on_target
from duchenne.protocols.layout import Layout
from duchenne.protocols.parts import Screen
from duchenne.protocols.parts_gaze import POSES, Pose
from duchenne.protocols.schedule import make_schedule
from duchenne.protocols.schema import parse_protocol
from duchenne.protocols.sight import Sight
from duchenne.protocols.steps.fixation import rests_on
from duchenne.protocols.steps.gaze_points import places_px
from duchenne.protocols.steps.light import grey_screen, matched_grey
from duchenne.protocols.target_paths import TargetPath
from duchenne.stimuli.errors import DuchenneError

SCREEN = Screen(width_px=1280, height_px=720, width_cm=53.1, height_cm=29.9, distance_cm=60)
SIGHT = Sight.of(SCREEN)
HEAD = """\
name: p
title: t
screen: {width_px: 1280, height_px: 720, width_cm: 53.1, height_cm: 29.9, distance_cm: 60}
blocks:
  - name: b
    steps:
"""


def noisy(place_deg: tuple[float, float], sd_deg: float, n: int = 4000) -> np.ndarray:
    """Return pixels whose angles scatter about a place in degrees."""
    rng = np.random.default_rng(1)
    angles = np.asarray(place_deg) + rng.normal(0, sd_deg, (n, 2))
    return np.array([SIGHT.px(x, y) for x, y in angles])


def test_sight_agrees_with_itself() -> None:
    assert SIGHT.px(0.0, 0.0) == (640.0, 360.0)
    assert SIGHT.deg(SIGHT.px(7.0, -3.0)) == pytest.approx([7.0, -3.0])
    assert SIGHT.angle_deg(SIGHT.px(7.0, 0.0), SIGHT.px(-3.0, 0.0)) == pytest.approx(10.0)
    assert SIGHT.size_px(1.0) == pytest.approx(SIGHT.px(0.5, 0)[0] - SIGHT.px(-0.5, 0)[0])


def test_a_planted_offset_and_noise_come_back() -> None:
    target = (640.0, 360.0)
    left, right = noisy((1.3, 0.0), 0.1), noisy((0.0, -0.5), 0.05)
    found = on_target(GazeSamples(np.arange(4000) / 600, left, right), target, SIGHT)
    assert found.left.error_deg == pytest.approx(1.3, abs=0.01)
    assert found.right.error_deg == pytest.approx(0.5, abs=0.01)
    assert found.left.rms_s2s_deg == pytest.approx(2 * 0.1, rel=0.03)
    assert found.left.sd_deg == pytest.approx(0.1 * np.sqrt(2), rel=0.03)
    assert found.error_deg == pytest.approx(np.hypot(0.65, 0.25), abs=0.01)
    accuracy = Accuracy((found,))
    assert accuracy.worst_deg == pytest.approx(1.3, abs=0.01)
    assert not accuracy.is_within(1.0)
    assert accuracy.is_within(1.4)


def test_lost_eyes_and_missed_targets_say_so() -> None:
    good, nothing = noisy((0.2, 0.0), 0.05, 300), np.full((300, 2), np.nan)
    times = np.arange(300) / 600
    one_eye = on_target(GazeSamples(times, good, nothing), (640, 360), SIGHT)
    assert one_eye.to_json()["error_right_deg"] is None
    assert one_eye.error_deg == pytest.approx(one_eye.left.error_deg)
    half = np.where(np.arange(300)[:, None] < 160, np.nan, good)
    assert np.isnan(on_target(GazeSamples(times, half, half), (640, 360), SIGHT).error_deg)
    missed = on_target(GazeSamples(times[:0], good[:0], good[:0]), (640, 360), SIGHT)
    accuracy = Accuracy((one_eye, one_eye, missed))
    assert accuracy.n_missed == 1
    assert not accuracy.is_within(1.0)
    assert accuracy.to_fields()["accuracy_deg_right"] is None
    assert not Accuracy((missed,)).is_within(1.0)


@pytest.mark.parametrize("points", [5, 9, 13])
def test_targets_lie_within_the_margins_and_apart(points: int) -> None:
    places = places_px(Layout.of(SCREEN), points, 0.1)
    assert len(set(places)) == points
    x, y = np.array(places).T
    assert (x.min(), x.max(), y.min(), y.max()) == (128, 1152, 72, 648)
    assert (640, 360) in places


def test_paths_have_their_speed_and_return() -> None:
    for path in ("sinus", "ramp", "circle"):
        target = TargetPath(path, "vertical", 8.0, 16.0, 3)
        times = np.linspace(0, target.duration_s, 60001)
        x, y = target.position_deg(times)
        speed = np.hypot(np.gradient(x, times), np.gradient(y, times))
        assert speed[1:-1].max() == pytest.approx(16.0, rel=1e-3)
        assert np.hypot(x, y).max() == pytest.approx(8.0, rel=1e-6)
        assert (x[0], y[0]) == pytest.approx((x[-1], y[-1]), abs=1e-9)
        again = TargetPath.from_fields(target.to_fields() | {"event": "note"})
        assert again == target
    with pytest.raises(ValueError, match="not a smooth path"):
        TargetPath.from_fields({"path": "steps"})


def test_the_eyes_rest_on_the_cross_only_without_a_break() -> None:
    times = np.arange(100) / 100
    points = np.tile(SIGHT.px(0.5, 0.0), (100, 1))
    cross = (640.0, 360.0)

    def rests(points: np.ndarray, times: np.ndarray = times) -> bool:
        samples = GazeSamples(times, points, points)
        return rests_on(samples, cross, SIGHT, within_deg=1.0, for_s=0.3)

    assert rests(points)
    away, lost = points.copy(), points.copy()
    away[80] = SIGHT.px(5.0, 0.0)
    lost[80] = np.nan
    assert not rests(away)
    assert not rests(lost)
    away[80], away[40] = points[0], away[80]
    assert rests(away)
    assert not rests(points, np.where(times > 0.8, times + 0.5, times))
    assert not rests(points[:0], times[:0])


def test_the_matched_screen_is_as_bright_as_the_one_with_the_stimulus() -> None:
    layout = Layout.of(SCREEN)
    assert matched_grey(layout, 0.2140411, (0, 0, 1280, 720)) == pytest.approx(0.5, abs=1e-4)
    assert matched_grey(layout, 1.0, (0, 0, 0, 0)) == pytest.approx(0.5, abs=1e-4)
    half = matched_grey(layout, 0.0, (-1280, 0, 640, 720))
    assert ((half + 0.055) / 1.055) ** 2.4 == pytest.approx(0.2140411 / 2, abs=1e-4)
    shape = grey_screen(layout, 0.2)
    assert isinstance(shape, Fill)
    assert shape.rgb == pytest.approx((0.2, 0.2, 0.2))


def test_poses_are_known_or_described() -> None:
    assert Pose.model_validate("smile").units == ("AU06", "AU12")
    own = {"name": "wink", "action_units": ["AU46"], "text": "Wink."}
    assert Pose.model_validate(own).words == "Wink."
    assert all(words for _, words in POSES.values())
    with pytest.raises(DuchenneError, match=r":8: .*no pose 'smirk' is known \(neutral, smile"):
        parse_protocol(f"{HEAD}      - type: pose\n        poses: [smirk]\n")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("{type: calibration, points: 7}", "5, 9 or 13"),
        ("{type: validation, max_eror_deg: 1}", "did you mean 'max_error_deg'"),
        ("{type: light_reflex, greys: [1.2]}", "less than or equal to 1"),
        ("{type: light_reflex, greys: []}", "the list is empty"),
        ("{type: targets, path: spiral}", "spiral|sinus"),
        ("{type: trials, adapt_s: 2, duration_s: 1, gaze_start: {within: 2}}", "within_deg"),
    ],
)
def test_wrong_steps_are_refused_with_their_line(step: str, message: str) -> None:
    with pytest.raises(DuchenneError, match=rf"^protocol:7: .*({message})"):
        parse_protocol(f"{HEAD}      - {step}\n")


def test_planned_lengths_count_in() -> None:
    steps = """\
      - {type: light_reflex, greys: [0.2, 0.8], step_s: 3, repeats: 2}
      - {type: validation, points: 5, settle_s: 0.8, collect_s: 0.7}
      - {type: pose, poses: [smile], countdown_s: 3, hold_s: 3, rest_s: 2}
      - {type: targets, path: ramp, amplitude_deg: 10, speed_deg_s: 20, cycles: 2, hold_s: 1}
      - {type: trials, select: {ids: [sunset]}, duration_s: 4, adapt_s: 2, iti_s: 1}
"""
    schedule = make_schedule(parse_protocol(HEAD + steps), participant="P01", session="01")
    planned = [step.planned_duration_s for step in schedule.steps]
    assert planned == pytest.approx([0, 12, 17.5, 8, 5, 8, 0])
