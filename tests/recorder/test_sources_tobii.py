"""Tobii without the SDK: rows, counting, joining, and the clocks."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.tobii import POSITION_DATA, gaze_data, openness_data

from duchenne.recorder.sources.paired_clocks import ClockMap, DeviceClock, Pair, read_pair
from duchenne.recorder.sources.tobii_device import Calibration
from duchenne.recorder.sources.tobii_gaze import (
    CHANNELS,
    SIGNAL_CHANNELS,
    OpennessJoin,
    Plane,
    Sample,
    SampleCount,
    gaze_row,
    signal_row,
)
from duchenne.recorder.streams import GAZE_CHANNELS

LABELS = [label for label, _, _, _ in CHANNELS]
UPRIGHT = Plane((-263.5, 316.0, 0.0), (263.5, 316.0, 0.0), (-263.5, 20.0, 0.0))


def _row(sample: Sample, plane: Plane | None = UPRIGHT) -> dict[str, float]:
    return dict(zip(LABELS, gaze_row(sample, plane, 7, 2), strict=True))


def test_the_channels_begin_like_every_gaze_stream() -> None:
    assert CHANNELS[: len(GAZE_CHANNELS)] == GAZE_CHANNELS
    assert len(set(LABELS)) == len(LABELS)
    assert all(all(channel) for channel in CHANNELS)


def test_a_sample_becomes_a_row_with_every_field() -> None:
    gaze = gaze_data(2_000_000, 5_250_000)
    row = _row(Sample(gaze, openness_data(2_000_000, 5_250_000), POSITION_DATA))
    assert (row["left_x"], row["left_y"]) == gaze["left_gaze_point_on_display_area"]
    assert row["right_gaze3d_y"] == gaze["right_gaze_point_in_user_coordinate_system"][1]
    assert (row["left_pupil"], row["right_pupil"]) == pytest.approx((3.15, 3.35))
    assert (row["left_origin_x"], row["right_origin_x"]) == (-31.0, 31.0)
    assert (row["left_distance"], row["right_distance"]) == pytest.approx((650.0, 650.0))
    assert (row["left_openness"], row["left_openness_valid"]) == (9.5, 1.0)
    assert (row["left_trackbox_x"], row["left_trackbox_valid"]) == (0.55, 1.0)
    assert (row["device_time"], row["system_time"]) == (2.0, 5.25)
    assert (row["sample_number"], row["calibration"]) == (7.0, 2.0)


def test_what_the_tracker_calls_invalid_is_nan() -> None:
    gaze = gaze_data(0, 0)
    gaze |= {
        "left_gaze_point_validity": 0,
        "left_gaze_origin_validity": 0,
        "left_pupil_validity": 0,
    }
    row = _row(Sample(gaze))
    wanted = ("left_x", "left_y", "left_pupil", "left_distance", "left_gaze3d_x", "left_origin_z")
    assert all(math.isnan(row[key]) for key in wanted)
    assert (row["left_valid"], row["right_valid"]) == (0.0, 1.0)
    assert math.isnan(row["right_openness"])
    assert row["right_openness_valid"] == row["right_trackbox_valid"] == 0.0


def test_the_distance_is_the_one_to_a_tilted_screen() -> None:
    tilt = math.radians(25)
    down = (0.0, -math.cos(tilt) * 300, math.sin(tilt) * 300)
    plane = Plane((-250.0, 300.0, 0.0), (250.0, 300.0, 0.0), (-250.0, 300.0 + down[1], down[2]))
    eye = (10.0, 300.0 + math.sin(tilt) * 600, math.cos(tilt) * 600)  # 600 mm along the normal
    assert plane.distance_mm(eye) == pytest.approx(600.0)
    assert plane.size_mm == pytest.approx((500.0, 300.0))
    assert math.isnan(Plane((0, 0, 0), (0, 0, 0), (0, 0, 0)).distance_mm(eye))
    assert _row(Sample(gaze_data(0, 0)), None)["left_distance"] == 650.0


def test_openness_joins_the_sample_of_its_time_and_order_is_kept() -> None:
    join = OpennessJoin(expected=True)
    for us in (1000, 2000, 3000, 4000):
        join.add_gaze(gaze_data(us, us), us * 1e-6)
    assert list(join.ready(0.004)) == []
    join.add_openness(openness_data(3000, 3000))  # 1000 and 2000 will not come any more
    join.add_openness(openness_data(2000, 2000))
    got = list(join.ready(0.005))
    assert [gaze["device_time_stamp"] for gaze, _ in got] == [1000, 2000, 3000]
    assert [openness is not None for _, openness in got] == [False, True, True]
    assert list(join.ready(0.005)) == []
    assert [openness for _, openness in join.ready(0.06)] == [None]


def test_samples_pass_at_once_where_no_openness_is_expected() -> None:
    join = OpennessJoin(expected=False)
    join.add_gaze(gaze_data(1, 1), 0.0)
    assert len(list(join.ready(0.0))) == 1


def test_lost_samples_leave_holes_in_the_numbers() -> None:
    count = SampleCount(600.0)
    missing = {5, 6, 7, 40}
    rng = np.random.default_rng(1)
    stamps = {n: round((n + rng.uniform(-0.2, 0.2)) / 600 * 1e6) for n in range(100)}
    numbers = [count.add(us) for n, us in stamps.items() if n not in missing]
    assert numbers == [n for n in range(100) if n not in missing]
    assert (count.n, count.n_lost) == (96, 4)
    assert count.add(0) == 100  # the device began its clock anew


def test_a_signal_keeps_value_kind_and_both_times() -> None:
    row = signal_row({
        "value": 9,
        "change_type": "external_signal_change_type_value_changed",
        "device_time_stamp": 7_000_000,
        "system_time_stamp": 3_500_000,
    })  # fmt: skip
    assert row == [9.0, 1.0, 7.0, 3.5]
    assert len(row) == len(SIGNAL_CHANNELS)


def test_a_calibration_is_named_by_its_data() -> None:
    first = Calibration().followed_by(b"abc")
    assert (first.number, first.id) == (1, "ba7816bf8f01")
    assert first.followed_by(b"abc") is first
    assert first.followed_by(b"abd").number == 2
    assert (Calibration().id, Calibration().base64) == ("", "")


def test_the_narrowest_reading_is_taken() -> None:
    lsl = itertools.chain([0.0, 0.010, 1.0, 1.002, 2.0, 2.020])
    other = iter([100.004, 101.001, 102.0])
    pair = read_pair(lambda: next(other), 3, lambda: next(lsl))
    assert pair == Pair(101.001, pytest.approx(-100.0), pytest.approx(0.001))


def test_the_offset_is_held_follows_a_drift_and_tells_a_jump() -> None:
    clock = ClockMap(Pair(0.0, 5.0, 1e-5))
    assert clock.update(Pair(1.0, 5.0 + 1.5e-5, 1e-5)) == 0.0
    assert clock.offset_s == 5.0
    assert clock.update(Pair(2.0, 5.0 + 1e-4, 1e-5)) == 0.0
    assert clock.offset_s == 5.0 + 1e-4
    assert clock.n_jumps == 0
    assert clock.update(Pair(3.0, 5.25, 1e-5)) == pytest.approx(0.25, abs=2e-4)
    assert clock.to_lsl_s(10.0) == 15.25
    assert clock.n_jumps == 1


def test_the_device_clock_is_found_within_its_stated_uncertainty() -> None:
    rng = np.random.default_rng(2)
    clock = DeviceClock()
    drift, ahead_s = 40e-6, 1000.0
    for at_s in np.arange(0.0, 60.0, 0.25):
        there_s, back_s = rng.exponential(3e-4, 2) + 1e-4
        device_s = at_s + there_s
        clock.add(at_s, device_s * (1 + drift) + ahead_s, at_s + there_s + back_s)
    fit = clock.fit
    assert fit is not None
    true_s = 59.0
    error_s = fit.to_system_s(true_s * (1 + drift) + ahead_s) - true_s
    assert abs(error_s) < fit.uncertainty_s < 1e-3
    assert fit.drift_ppm == pytest.approx(-40, abs=5)
    assert clock.n_jumps == 0
    jump_s = clock.add(60.0, 60.0005 * (1 + drift) + ahead_s + 0.2, 60.001)
    assert jump_s == pytest.approx(0.2, abs=2e-3)
    assert clock.n_jumps == 1


def test_without_the_sdk_one_line_says_what_is_needed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "duchenne.cli", "sources", "start", "tobii"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    wanted = "No Tobii eye tracker found" if sys.version_info < (3, 11) else "needs Python 3.10"
    assert wanted in done.stderr


def test_the_sdk_tests_pass_in_a_python_3_10() -> None:
    """Run the tests that need Tobii's SDK in the environment that DUCHENNE_PYTHON310 names."""
    python = os.environ.get("DUCHENNE_PYTHON310")
    if not python or sys.version_info < (3, 11):
        pytest.skip("set DUCHENNE_PYTHON310 to a Python 3.10 with duchenne[tobii] and pytest")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [
            python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/recorder/test_sources_tobii_sdk.py",
        ],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout
