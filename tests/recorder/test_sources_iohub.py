"""PsychoPy's ioHub on LSL: its mouse tracker for real on a virtual screen; other samples as recorded."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pylsl
import pytest
from support.sources import DEADLINE_S, Heard, collect, listening

from duchenne.protocols.displays.virtual import virtual_display
from duchenne.protocols.markers import MarkerOutlet
from duchenne.recorder.sources.iohub import TRACKERS, class_path, read_config
from duchenne.recorder.sources.iohub_samples import (
    BINOCULAR,
    MONOCULAR,
    SIMPLE,
    Layout,
    layout_of,
    message_text,
    samples_of,
)
from duchenne.recorder.sources.registry import create_source
from duchenne.recorder.streams import describe
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-m", "duchenne.cli", "sources", "start", "iohub"]
SIZE = (1280, 720)
TIMES = {"device_time": 1234.5, "time": 7.25, "delay": 0.002, "confidence_interval": 0.0005}


def _row(sample: dict[str, Any]) -> dict[str, float]:
    layout = layout_of([sample], SIZE)
    labels = [label for label, _, _, _ in layout.channels]
    return dict(zip(labels, layout.row(sample), strict=True))


def _binocular(status: int) -> dict[str, Any]:
    eyes = {
        f"{eye}_{key}": value
        for eye, x in (("left", 320.0), ("right", -640.0))
        for key, value in {
            "gaze_x": x,
            "gaze_y": 180.0,
            "raw_x": 11.0,
            "raw_y": 12.0,
            "pupil_measure1": 900.0,
            "pupil_measure1_type": 70,
        }.items()
    }
    return {"type": BINOCULAR, "status": status, **TIMES, **eyes}


def test_two_eyes_become_normalized_with_their_own_pupil_measure() -> None:
    row = _row(_binocular(0))
    assert (row["left_x"], row["left_y"]) == (0.75, 0.25)
    assert (row["right_x"], row["right_y"]) == (0.0, 0.25)
    assert (row["left_pupil"], row["left_raw_x"], row["iohub_time"]) == (900.0, 11.0, 7.25)
    assert (row["device_time"], row["delay"]) == (1234.5, 0.002)
    pupil = next(c for c in layout_of([_binocular(0)], SIZE).channels if c[0] == "left_pupil")
    assert pupil == ("left_pupil", "Area", "arbitrary", "left")


@pytest.mark.parametrize(
    ("status", "left", "right"), [(0, 1, 1), (20, 0, 1), (2, 1, 0), (22, 0, 0)]
)
def test_an_eye_that_was_not_seen_is_nan(status: int, left: int, right: int) -> None:
    row = _row(_binocular(status))
    assert (row["left_valid"], row["right_valid"]) == (left, right)
    assert math.isnan(row["left_x"]) == (not left)
    assert math.isnan(row["right_pupil"]) == (not right)


def test_one_eye_and_the_simple_form() -> None:
    one = {
        "type": MONOCULAR, "eye": 21, "status": 0, **TIMES, "gaze_x": 0.0, "gaze_y": -360.0,
        "pupil_measure1": 4.5, "pupil_measure1_type": 77,
    }  # fmt: skip
    row = _row(one)
    assert (row["left_x"], row["left_y"], row["left_pupil"]) == (0.5, 1.0, 4.5)
    assert row["right_valid"] == 0
    assert ("right_pupil", "Diameter", "mm", "right") in layout_of([one], SIZE).channels
    simple = {"type": SIMPLE, "status": 0, **TIMES, "x": 640.0, "y": 360.0, "pupil": 0.0}
    row = _row(simple)
    assert (row["right_x"], row["right_y"]) == (1.0, 0.0)
    assert math.isnan(row["right_pupil"])
    assert layout_of([simple], SIZE).pupil == ("Diameter", "arbitrary")


def test_samples_are_told_from_events_and_put_in_order() -> None:
    events = [{"type": 53, "time": 0.0}, {"type": 52, "time": 2.0}, {"type": 52, "time": 1.0}]
    assert [event["time"] for event in samples_of(events)] == [1.0, 2.0]
    assert Layout(SIZE, ("Area", "arbitrary")).channels[4][1] == "Area"


def test_a_message_is_short_ascii_and_carries_the_marker_s_time() -> None:
    fields = {"event": "stimulus_onset", "presentation": "", "stimulus": "f\u00fcr\nimmer"}
    assert message_text(fields, 12.5) == "LSL 12.500000 event=stimulus_onset stimulus=f?r?immer"
    assert len(message_text({"stimulus": "x" * 300}, 1.0)) == 120


def test_names_and_settings_of_trackers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mouse = TRACKERS["mouse"][0]
    assert class_path("mouse") == mouse == class_path(mouse)
    with pytest.raises(UsageError, match="no tracker 'mous'; did you mean 'mouse'"):
        class_path("mous")
    with pytest.raises(DuchenneError, match="pip install psychopy-eyetracker-sr-research"):
        class_path("eyelink")
    file = tmp_path / "iohub.yaml"
    file.write_text(f"monitor_devices:\n  - Display: {{}}\n  - {mouse}: {{name: x}}\n")
    assert read_config(file, mouse) == {"name": "x"}
    file.write_text(f"{mouse}: {{name: y}}\n")
    assert read_config(file, mouse) == {"name": "y"}
    with pytest.raises(DuchenneError, match="nothing there for eyetracker"):
        read_config(file, TRACKERS["eyelink"][0])
    with pytest.raises(DuchenneError, match="No such file"):
        read_config(tmp_path / "none.yaml", mouse)
    monkeypatch.setenv("DISPLAY", ":none")
    with (
        pytest.raises(UsageError, match="edf= needs tracker=eyelink, not mouse"),
        create_source("iohub", "x", {"edf": str(tmp_path / "P01.edf")}),
    ):
        pass
    monkeypatch.delenv("DISPLAY")
    with (
        pytest.raises(DuchenneError, match="needs a screen, and DISPLAY is not set"),
        create_source("iohub", "x", {}),
    ):
        pass


def test_the_mouse_is_streamed_and_hears_markers(unique_name: str) -> None:
    from Xlib import X
    from Xlib.display import Display
    from Xlib.ext.xtest import fake_input

    heard = Heard()
    options = [f"messages={True}", f"markers_source_id={unique_name}-markers", "rate_hz=100"]
    command = [*COMMAND, "--source-id", unique_name]
    command += [part for option in options for part in ("--set", option)]
    with (
        virtual_display(*SIZE, always=True) as screen,
        MarkerOutlet(source_id=f"{unique_name}-markers") as markers,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "DISPLAY": screen},
        ) as process,
    ):
        try:
            assert process.stdout is not None
            wanted = {"ready", f"hears {unique_name}-markers"}
            while wanted:
                line = process.stdout.readline()
                assert line, process.communicate(timeout=DEADLINE_S)
                wanted.discard(line.strip())
            display = Display(screen)
            with listening(unique_name) as inlet:
                info = describe(inlet.info())
                collect(inlet, heard, 0.5)
                markers.push("stimulus_onset", presentation_id="P-1", stimulus="s1")
                moved_s = pylsl.local_clock()
                fake_input(display, X.MotionNotify, x=320, y=180)
                display.sync()
                collect(inlet, heard, 1.0)
                now_s = pylsl.local_clock()
            display.close()
        finally:
            process.terminate()
            out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, err
    assert out.splitlines()[-1].endswith("samples of Gaze from mouse, 1 messages sent")
    assert (info.type, info.nominal_srate_hz) == ("Gaze", 100.0)
    assert [c.label for c in info.channels][:4] == ["left_x", "left_y", "right_x", "right_y"]
    rows, stamps = heard.samples, heard.times_s
    assert np.diff(stamps) == pytest.approx(np.full(len(stamps) - 1, 0.01), abs=1e-4)
    assert 0 <= now_s - stamps[-1] < 0.5
    before, after = rows[stamps < moved_s - 0.05], rows[stamps > moved_s + 0.5]
    assert before[-1, 2:4] == pytest.approx((0.5, 0.5), abs=0.01)
    assert after[-1, 2:4] == pytest.approx((0.25, 0.25), abs=0.01)
    assert np.isnan(rows[:, 0]).all()
