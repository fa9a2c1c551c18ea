"""What markers ask of a tracker, and how the simulated participant follows targets and light."""

from __future__ import annotations

import json

import numpy as np
import pytest

from duchenne.recorder.sources.calibration_commands import Command, command_of
from duchenne.recorder.sources.gaze_plan import PURSUIT_GAIN, PURSUIT_LAG_S, GazePlan
from duchenne.recorder.sources.gaze_signal import EyeTrackerSignal, tilted
from duchenne.recorder.sources.listener import Cue
from duchenne.recorder.sources.participant import Participant
from duchenne.recorder.sources.pupil_response import PupilPlan, steady_diameter_mm
from duchenne.recorder.sources.screen import Screen

SCREEN = Screen(1280, 720, 53.1, 29.9, 60.0)


def cue(time_s: float, event: str, **fields: object) -> Cue:
    """Return the cue of a marker."""
    found = Cue.from_text(json.dumps({"event": event, **fields}), time_s)
    assert found is not None
    return found


def test_markers_become_commands() -> None:
    point = {"calibration": "c", "position_px": [128, 360], "settle_s": 0.5, "collect_s": 0.4}
    collected = Command("collect", "c", (0.1, 0.5), 2.5, 2.9)
    accepted = point | {"settle_s": 0}
    wanted = [
        (cue(1.0, "calibration_start", calibration="c", by_program=True), Command("begin", "c")),
        (cue(1.0, "calibration_start", calibration="c", by_program=False), None),
        (cue(2.0, "note", kind="calibration_point", **point), collected),
        (cue(2.1, "note", kind="calibration_point", by_key=True, **point), None),
        (cue(2.5, "note", kind="calibration_collect", **accepted), collected),
        (cue(3.0, "note", kind="calibration_compute", calibration="c"), Command("compute", "c")),
        (cue(4.0, "calibration_end", calibration="c"), Command("end", "c")),
        (cue(4.0, "calibration_end", kind="light_reflex"), None),
        (cue(5.0, "note", kind="light_step", grey_level=0.2), None),
    ]
    for heard, command in wanted:
        assert command_of(heard, SCREEN) == command


def test_an_error_is_the_same_angle_everywhere() -> None:
    x, y = (axis.ravel() for axis in np.meshgrid([0.02, 0.3, 0.5, 0.98], [0.05, 0.5, 0.95]))
    x2, y2 = tilted(SCREEN, x, y, 1.3)
    one, other = (
        np.stack([(a - 0.5) * 53.1, (0.5 - b) * 29.9, np.full(a.shape, 60.0)])
        for a, b in ((x, y), (x2, y2))
    )
    cosine = (one * other).sum(0) / np.linalg.norm(one, axis=0) / np.linalg.norm(other, axis=0)
    assert np.degrees(np.arccos(cosine)) == pytest.approx(np.full(12, 1.3), abs=1e-6)
    assert (y2 < y).all()


def test_the_eyes_go_to_targets_and_away_from_those_of_antisaccades() -> None:
    plan = GazePlan(Participant(screen=SCREEN), 0.0, blinking=False)
    x_deg, _ = SCREEN.point_deg(900, 360)
    for at_s, fields, expected in (
        (1.0, {"kind": "target_step", "path": "steps"}, x_deg),
        (2.0, {"kind": "target_step", "path": "antisaccade"}, -x_deg),
        (3.0, {"kind": "drift_point"}, x_deg),
    ):
        plan.advance(at_s)
        plan.hear(cue(at_s, "note", position_px=[900, 360], **fields), at_s)
        plan.advance(at_s + 0.9)
        assert plan.saccades[-1].x1_deg == pytest.approx(expected)
        assert 0.15 < plan.saccades[-1].onset_s - at_s < 0.4
    n = len(plan.saccades)
    plan.hear(cue(4.0, "note", position_px=[100, 100], kind="elsewhere"), 4.0)
    plan.advance(5.0)
    assert len(plan.saccades) == n


def test_a_moving_target_is_followed_with_known_gain_and_lag() -> None:
    participant = Participant(screen=SCREEN)
    plan = GazePlan(participant, 0.0, blinking=False)
    path = {"path": "ramp", "axis": "horizontal", "amplitude_deg": 6, "speed_deg_s": 12}
    plan.advance(1.0)
    more = {"position_px": [640, 360], "cycles": 2, "hold_s": 0.5}
    plan.hear(cue(1.0, "note", kind="target_path", **path, **more), 1.0)
    plan.advance(7.0)
    signal = EyeTrackerSignal(0.0, 600.0, seed=0, noise_deg=0.0)
    samples = signal.chunk(plan, PupilPlan(participant), SCREEN, 0, 3600).samples
    x_cm = (samples[:, [0, 2]].mean(axis=1) - 0.5) * 53.1
    x = np.degrees(np.arctan2(x_cm, 60.0))
    times = np.arange(3600) / 600 - 1.5 - PURSUIT_LAG_S
    rising = (times > 0.05) & (times < 0.45)
    assert np.polyfit(times[rising], x[rising], 1)[0] == pytest.approx(12 * PURSUIT_GAIN, abs=0.3)
    assert np.abs(x[times > 4.1]).max() < 0.2
    plan.hear(cue(8.0, "note", kind="target_path", path="spiral", hold_s=1), 8.0)
    assert len(plan.pursuits) == 1


def test_the_pupil_answers_greys_until_they_are_gone() -> None:
    plan = PupilPlan(Participant())
    rest = plan.diameter_mm(np.array([0.0]))[0]
    for at_s, grey in ((1.0, 0.2), (4.0, 0.8)):
        plan.hear(cue(at_s, "note", kind="light_step", grey_level=grey), at_s)
        expected = steady_diameter_mm(((grey + 0.055) / 1.055) ** 2.4)
        assert plan.diameter_mm(np.array([at_s + 2.9]))[0] == pytest.approx(expected, abs=1e-3)
    plan.hear(cue(7.0, "calibration_end", kind="light_reflex"), 7.0)
    assert plan.diameter_mm(np.array([12.0]))[0] == pytest.approx(rest, abs=1e-6)
    plan.hear(cue(20.0, "note", grey_level="bright"), 20.0)
    assert plan.diameter_mm(np.array([25.0]))[0] == pytest.approx(rest, abs=1e-6)
