"""Steps for the eye tracker, against a simulated one of known error: real PsychoPy, real LSL."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.presentation import Presentation, write_stimuli
from support.sources import Heard, collect, listening, serving

from duchenne.protocols.parts import Screen
from duchenne.protocols.sight import Sight
from duchenne.protocols.target_paths import TargetPath
from duchenne.recorder.sources.gaze_plan import PURSUIT_GAIN, PURSUIT_LAG_S
from duchenne.recorder.sources.pupil_response import steady_diameter_mm

if TYPE_CHECKING:
    from pathlib import Path

needs_screen = pytest.mark.skipif(
    shutil.which("Xvfb") is None or find_spec("psychopy") is None, reason="needs Xvfb and PsychoPy"
)
PLANTED_DEG = 1.3
SCREEN = Screen(width_px=800, height_px=450, width_cm=40, height_cm=22.5, distance_cm=60)
PROTOCOL = """\
name: eyes
title: Eye tracker
screen: {width_px: 800, height_px: 450, width_cm: 40, height_cm: 22.5, distance_cm: 60}
stimuli: set
blocks:
  - name: eyes
    steps:
      - {type: validation, text: null, settle_s: 0.4, collect_s: 0.2, result_s: 0.1, attempts: 2}
      - {type: calibration, text: null, points: 5, settle_s: 0.4, collect_s: 0.2, result_s: 0.1}
      - {type: drift_check, settle_s: 0.4, collect_s: 0.3}
      - {type: targets, path: ramp, amplitude_deg: 5, speed_deg_s: 20, cycles: 1, hold_s: 0.4}
      - {type: pose, poses: [smile], countdown_s: 0.2, hold_s: 0.2, rest_s: 0.1}
      - {type: baseline, duration_s: 0.2}
      - {type: light_reflex, greys: [0.2, 0.8], step_s: 1.2}
      - type: trials
        select: {ids: [red]}
        fixation_s: 0.1
        duration_s: 0.2
        iti_s: 0.1
        adapt_s: 0.3
        gaze_start: {within_deg: 2, for_s: 0.1}
"""


def write(folder: Path, text: str = PROTOCOL) -> Path:
    write_stimuli(folder / "set")
    manifest = folder / "set" / "manifest.tsv"
    rows = manifest.read_text(encoding="utf-8").splitlines()
    lines = [f"{rows[0]}\tluminance", *(f"{row}\t0.2" for row in rows[1:])]
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = folder / "eyes.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Present all steps once, to a tracker that is 1.3 degrees off until it is calibrated."""
    path = write(tmp_path_factory.mktemp("eyes"))
    name = f"eyes-{path.stat().st_mtime_ns}"
    settings = {
        "markers_source_id": f"{name}-markers", "calibration_error_deg": str(PLANTED_DEG),
        "blinks": "false", "seed": "3", "rate_hz": "300",
    }  # fmt: skip
    heard = Heard()
    stream = ("--gaze-stream", f"source_id='{name}-gaze'")
    with (
        serving("simulated", f"{name}-gaze", settings),
        listening(f"{name}-gaze") as inlet,
        Presentation(path, name, "--headless", *stream) as presentation,
    ):
        presentation.start()
        while "finished" not in presentation.lines:
            collect(inlet, heard, 0.5)
            assert presentation.process.poll() is None
        markers = presentation.markers()
        assert presentation.wait(20) == 0
        assert presentation.process.stderr is not None
        said = [line for line in presentation.process.stderr if line.startswith("gaze: ")]
    return {"markers": markers, "heard": heard, "said": said}


def ends(session: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the ends of the calibrations of one kind."""
    found = [m for m in session["markers"] if m["event"] == "calibration_end"]
    return [m for m in found if m.get("kind") == kind]


@needs_screen
def test_a_validation_finds_the_planted_error_and_is_repeated(session: dict[str, Any]) -> None:
    first, second = ends(session, "validation")
    for end in (first, second):
        assert end["accuracy_deg"] == pytest.approx(PLANTED_DEG, abs=0.1)
        assert end["accuracy_deg_left"] == pytest.approx(PLANTED_DEG, abs=0.1)
        assert end["accuracy_deg_right"] == pytest.approx(PLANTED_DEG, abs=0.1)
        assert end["precision_rms_deg_left"] == pytest.approx(0.06, abs=0.015)
        assert 0.03 < end["precision_sd_deg_left"] < 0.1
        assert (end["good"], end["n_missed"], len(end["targets"])) == (False, 0, 5)
    assert [first["accepted"], second["accepted"]] == [False, True]
    assert len([line for line in session["said"] if "wanted: 1°" in line]) == 2


@needs_screen
def test_a_calibration_takes_the_error_away(session: dict[str, Any]) -> None:
    (end,) = ends(session, "calibration")
    assert end["calibrated"] is True
    assert end["calibration"].endswith("cal3")
    assert end["accuracy_deg"] < 0.2
    assert end["good"] is True
    assert len(end["tracker_points"]) == 5
    expected_cm = 60 * np.tan(np.radians(PLANTED_DEG))
    middle = next(p for p in end["tracker_points"] if p["position"] == [0.5, 0.5])
    assert middle["above_cm"] == pytest.approx(expected_cm, abs=0.15)
    (drift,) = [m for m in session["markers"] if m["event"] == "drift_check"]
    assert drift["good"] is True
    assert drift["error_deg"] < 0.3


@needs_screen
def test_targets_come_in_a_drawn_order_with_their_places(session: dict[str, Any]) -> None:
    shown = [m for m in session["markers"] if m["event"] == "validation_point"]
    assert len(shown) == 15
    rounds = [[tuple(m["position_px"]) for m in shown[i : i + 5]] for i in (0, 5)]
    assert rounds[0] != rounds[1]
    expected = {(400, 225), (80, 45), (720, 45), (80, 405), (720, 405)}
    assert set(rounds[0]) == set(rounds[1]) == expected
    assert all(m["duration_s"] == pytest.approx(0.6) for m in shown)


@needs_screen
def test_pursuit_gain_follows_from_the_marker_alone(session: dict[str, Any]) -> None:
    (shown,) = [m for m in session["markers"] if m.get("kind") == "target_path"]
    path = TargetPath.from_fields(shown)
    assert path.duration_s == pytest.approx(1.0)
    heard = session["heard"]
    times = heard.times_s - shown["lsl_time_s"] - shown["hold_s"]
    moving = (times > 0.2) & (times < path.duration_s - 0.1)
    px = heard.samples[moving][:, [0, 2]].mean(axis=1) * 800
    y_px = np.full(len(px), 225.0)
    x_deg = Sight.of(SCREEN).deg(np.column_stack([px, y_px]))[:, 0]
    target = path.position_deg(times[moving] - PURSUIT_LAG_S)[0]
    gain = np.polyfit(target, x_deg, 1)[0]
    assert gain == pytest.approx(PURSUIT_GAIN, abs=0.02)


@needs_screen
def test_the_pupil_answers_the_grey_steps(session: dict[str, Any]) -> None:
    steps = [m for m in session["markers"] if m.get("kind") == "light_step"]
    assert [m["grey_level"] for m in steps] == pytest.approx([0.2, 0.8])
    heard = session["heard"]
    found = []
    for marker in steps:
        since = heard.times_s - marker["lsl_time_s"]
        found.append(np.nanmean(heard.samples[(since > 1.0) & (since < 1.15)][:, 4:6]))
    expected = [steady_diameter_mm(((g + 0.055) / 1.055) ** 2.4) for g in (0.2, 0.8)]
    assert found == pytest.approx(expected, abs=0.2)


@needs_screen
def test_pose_baseline_and_trial_say_what_was_asked(session: dict[str, Any]) -> None:
    markers = session["markers"]
    pose = next(m for m in markers if m.get("kind") == "pose")
    assert (pose["event"], pose["action_units"]) == ("calibration_start", ["AU06", "AU12"])
    assert [m["eyes"] for m in markers if m["event"] == "baseline_onset"] == ["open"]
    cross, onset = (
        next(m for m in markers if m["event"] == e) for e in ("fixation_onset", "stimulus_onset")
    )
    assert onset["lsl_time_s"] - cross["lsl_time_s"] >= 0.38
    x0, y0, x1, y1 = onset["rect_px"]
    covered = (x1 - x0) * (y1 - y0) / (800 * 450)
    background = ((0.5 + 0.055) / 1.055) ** 2.4
    matched = covered * 0.2 + (1 - covered) * background
    assert ((cross["grey_level"] + 0.055) / 1.055) ** 2.4 == pytest.approx(matched, abs=0.01)
    start = next(m for m in markers if m.get("kind") == "gaze_start")
    assert start["outcome"] == "on the cross"
    pairs = [m["event"] for m in markers if m["event"].startswith("calibration_")]
    assert pairs[::2] == ["calibration_start"] * (len(pairs) // 2)
    assert pairs[1::2] == ["calibration_end"] * (len(pairs) // 2)
