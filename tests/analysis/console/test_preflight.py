"""The checks before a session, with known answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from duchenne.analysis.console.alarms import Reading
from duchenne.analysis.console.preflight import (
    Check,
    Measured,
    Wanted,
    disk_check,
    display_check,
    gate,
    stream_check,
)
from duchenne.recorder.streams import GAZE_CHANNELS, Channel, StreamInfo

INFO = StreamInfo(
    "Gaze",
    "Gaze",
    channel_format="double64",
    nominal_srate_hz=600.0,
    channel_count=11,
    channels=tuple(Channel(label, kind, unit, eye) for label, kind, unit, eye in GAZE_CHANNELS),
)
READING = Reading("Gaze", "Gaze", 600.0, 3000, 0.1, 600.2, 5.0, 0.0, 1)
GOOD = Measured(INFO, READING, 0.02, 0.01, 3)
WANTED = Wanted("eye tracker", "Gaze", 6.0)
SCREEN = {"width_px": 1920, "height_px": 1080, "refresh_hz": 60.0}


def level_of(check: Check, part: str) -> str:
    return next(p.level for p in check.parts if p.id == part)


def test_a_good_stream_is_green() -> None:
    check = stream_check(WANTED, GOOD)
    assert check.level == "green"
    assert check.title == "Eye tracker (Gaze)"
    assert check.text == "600.2 of 600 Hz, 11 channels, values change"
    assert [part.id for part in check.parts] == ["present", "rate", "channels", "changing", "clock"]


@pytest.mark.parametrize(
    ("part", "level", "measured"),
    [
        ("present", "red", replace(GOOD, reading=replace(READING, age_s=3.0))),
        ("rate", "wait", replace(GOOD, reading=replace(READING, observed_s=1.0))),
        ("rate", "amber", replace(GOOD, reading=replace(READING, rate_hz=570.0))),
        ("rate", "red", replace(GOOD, reading=replace(READING, rate_hz=300.0))),
        ("changing", "red", replace(GOOD, reading=replace(READING, same_s=2.0, n_same=20))),
        ("changing", "red", replace(GOOD, reading=replace(READING, n_same=0))),
        ("clock", "wait", replace(GOOD, n_offsets=1)),
        ("clock", "amber", replace(GOOD, offset_spread_ms=2.0)),
        ("clock", "red", replace(GOOD, offset_spread_ms=20.0)),
        ("channels", "red", replace(GOOD, info=StreamInfo("Gaze", "Gaze", channel_count=2))),
    ],
)
def test_each_fault_of_a_stream_shows(part: str, level: str, measured: Measured) -> None:
    check = stream_check(WANTED, measured)
    assert level_of(check, part) == level
    assert check.level == level
    assert not any(p.level != "green" for p in check.parts if p.id != part)


def test_a_rate_that_was_not_asked_for_is_amber() -> None:
    check = stream_check(replace(WANTED, options={"rate_hz": "1200"}), GOOD)
    assert level_of(check, "rate") == "amber"
    assert "600 Hz, not 1200 Hz as asked for" in check.text


def test_a_device_has_some_time_to_come() -> None:
    assert stream_check(WANTED, None).level == "wait"
    assert stream_check(replace(WANTED, waited_s=20.0), None).level == "red"


def test_the_disk_has_to_hold_journal_and_session_file() -> None:
    assert disk_check(10e9, 2e6, 600).level == "green"
    assert disk_check(4e9, 2e6, 600).level == "amber"
    assert disk_check(2e9, 2e6, 600).level == "red"


@pytest.mark.parametrize(
    ("found", "level"),
    [
        ({}, "wait"),
        ({"fits": True, "refresh_hz": 59.94}, "green"),
        ({"fits": False, "refresh_hz": 60.0}, "amber"),
        ({"fits": True, "refresh_hz": 75.0}, "red"),
        ({"error": "smaller than declared", "fatal": True}, "red"),
        ({"error": "no screen here"}, "amber"),
    ],
)
def test_the_display_is_as_declared(found: dict[str, object], level: str) -> None:
    assert display_check(found, SCREEN, headless=False).level == level
    assert display_check(found, SCREEN, headless=True).level == "amber"


def test_the_gate_opens_on_green_alone() -> None:
    green, amber = Check("a", "A", ""), Check("b", "B", "", "amber")
    wait, red = Check("c", "C", "", "wait"), Check("d", "D", "", "red")
    assert gate([green])["level"] == "green"
    assert (gate([green, amber])["level"], gate([green, amber])["ready"]) == ("amber", True)
    assert (gate([green, wait])["ready"], gate([green, wait])["running"]) == (False, True)
    assert (gate([amber, red])["level"], gate([red])["ready"]) == ("red", False)
