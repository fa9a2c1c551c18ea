"""Live gaze in the display, and sessions that lack it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pylsl
import pytest
from support.presentation import Presentation
from support.sources import serving

from duchenne.protocols.gaze_feed import LslGaze, live_gaze
from duchenne.protocols.parts import Screen
from duchenne.protocols.schedule import make_schedule
from duchenne.protocols.schema import load_protocol
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from pathlib import Path

needs_screen = pytest.mark.skipif(
    shutil.which("Xvfb") is None or find_spec("psychopy") is None, reason="needs Xvfb and PsychoPy"
)
SCREEN = Screen(width_px=800, height_px=450, width_cm=40, height_cm=22.5, distance_cm=60)
PROTOCOL = """\
name: eyes
title: Eye tracker
screen: {width_px: 800, height_px: 450, width_cm: 40, height_cm: 22.5, distance_cm: 60}
blocks:
  - name: eyes
    steps:
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "eyes.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@needs_screen
def test_without_a_tracker_steps_are_left_out(tmp_path: Path, unique_name: str) -> None:
    path = write(tmp_path, f"{PROTOCOL}      - {{type: drift_check}}\n")
    with Presentation(path, unique_name, "--headless") as presentation:
        presentation.start()
        presentation.wait_for_line("finished", 40)
        notes = [m for m in presentation.markers() if m["event"] == "note"]
        assert presentation.wait(20) == 0
        assert presentation.process.stderr is not None
        said = presentation.process.stderr.read()
    assert [(m["kind"], m["step"]) for m in notes] == [("left_out", "drift_check")]
    assert "gaze: drift check left out: no eye tracker" in said


@needs_screen
def test_a_poor_drift_check_leads_to_a_calibration(tmp_path: Path, unique_name: str) -> None:
    steps = """\
      - {type: drift_check, settle_s: 0.4, collect_s: 0.2}
      - {type: calibration, text: null, points: 5, settle_s: 0.4, collect_s: 0.2}
"""
    path = write(tmp_path, PROTOCOL + steps)
    settings = {
        "markers_source_id": f"{unique_name}-markers", "calibration_error_deg": "3",
        "blinks": "false", "rate_hz": "200",
    }  # fmt: skip
    stream = ("--gaze-stream", f"source_id='{unique_name}-gaze'")
    with (
        serving("simulated", f"{unique_name}-gaze", settings),
        Presentation(path, unique_name, "--headless", *stream) as presentation,
    ):
        presentation.start()
        before = presentation.wait_for_marker("drift_check")
        end = presentation.wait_for_marker("calibration_end", 60)
        after = presentation.wait_for_marker("drift_check")
        presentation.say("abort")
        assert presentation.wait(20) == 3
    assert (before["good"], before["attempt"]) == (False, 1)
    assert before["error_deg"] == pytest.approx(3.0, abs=0.15)
    assert (end["calibrated"], end["good"]) == (True, True)
    assert (after["good"], after["attempt"]) == (True, 2)
    assert after["error_deg"] < 0.3


def test_a_required_tracker_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, f"{PROTOCOL}      - {{type: drift_check, required: true}}\n")
    protocol = load_protocol(path)
    steps = make_schedule(protocol, participant="P01", session="01").steps
    with pytest.raises(DuchenneError, match="drift_check requires an eye tracker"):
        live_gaze(None, protocol, steps).__enter__()


def test_a_tracker_set_up_for_another_screen_is_refused(unique_name: str) -> None:
    settings = {"display_width_mm": "500", "display_height_mm": "281", "rate_hz": "100"}
    with (
        serving("simulated", unique_name, settings),
        LslGaze(f"source_id='{unique_name}'", SCREEN) as gaze,
        pytest.raises(DuchenneError, match="500 x 281 mm, the protocol declares 400 x 225 mm"),
    ):
        gaze.wait(10.0)


def test_live_gaze_comes_with_its_times(unique_name: str) -> None:
    settings = {"rate_hz": "200", "blinks": "false", "markers_source_id": unique_name}
    with (
        serving("simulated", unique_name, settings),
        LslGaze(f"source_id='{unique_name}'", SCREEN) as gaze,
    ):
        assert gaze.wait(10.0)
        newest = gaze.newest_s()
        samples = gaze.between(newest - 0.05, newest)
        assert gaze.can_calibrate
        assert gaze.source_id == unique_name
    assert np.diff(samples.times_s) == pytest.approx(0.005, abs=1e-6)
    assert np.isfinite(samples.left_px).all()


SLOW_TRACKER = """
import sys, time
import pylsl
info = pylsl.StreamInfo("Gaze", "Gaze", 4, 100, "float32", sys.argv[1])
channels = info.desc().append_child("channels")
for label in ("left_x", "left_y", "right_x", "right_y"):
    channels.append_child("channel").append_child_value("label", label)
outlet = pylsl.StreamOutlet(info)
print("up", flush=True)
while True:
    outlet.push_sample([0.5] * 4)
    time.sleep(0.01)
"""


def test_a_tracker_that_was_too_busy_to_answer_is_tried_again(unique_name: str) -> None:
    command = [sys.executable, "-c", SLOW_TRACKER, unique_name]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tracker,
        LslGaze(f"source_id='{unique_name}'", SCREEN) as gaze,
    ):
        try:
            assert tracker.stdout is not None
            assert tracker.stdout.readline() == "up\n"
            deadline = time.monotonic() + 20
            while not pylsl.resolve_byprop("source_id", unique_name, 1, 1.0):
                assert time.monotonic() < deadline
            time.sleep(1.0)  # the feed's own resolver has heard of it as well
            os.kill(tracker.pid, signal.SIGSTOP)
            gaze.poll()
            assert not gaze.is_live
            os.kill(tracker.pid, signal.SIGCONT)
            assert gaze.wait(20.0)
        finally:
            tracker.kill()
