"""Alarms by rule, with known answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from duchenne.analysis.console.alarms import (
    AlarmBook,
    Problem,
    Reading,
    away_problem,
    disk_problem,
    recording_problem,
    stream_problem,
)
from duchenne.analysis.console.disk_watch import DiskWatch
from duchenne.analysis.console.stream_stats import (
    ChangeWatch,
    StreamStats,
    signature,
    telling_channels,
)
from duchenne.recorder.streams import Channel, StreamInfo

if TYPE_CHECKING:
    from pathlib import Path


def gaze(**values: object) -> Reading:
    known = {"name": "Gaze", "type": "Gaze", "nominal_hz": 600.0, "n": 9000, "age_s": 0.1}
    return Reading(**{**known, "rate_hz": 600.0, "observed_s": 15.0, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({}, None),
        ({"age_s": 1.1}, None),
        ({"age_s": 1.3}, "stopped"),
        ({"nominal_hz": 2.0, "age_s": 4.0, "rate_hz": 2.0}, None),
        ({"nominal_hz": 2.0, "age_s": 5.1, "rate_hz": 2.0}, "stopped"),
        ({"nominal_hz": 0.0, "age_s": 300.0}, None),
        ({"same_s": 1.3, "n_same": 13}, "frozen"),
        ({"same_s": 1.3, "n_same": 2}, None),
        ({"same_s": 60.0, "n_same": 600, "type": "Photodiode"}, None),
        ({"rate_hz": 540.0}, "slow"),
        ({"rate_hz": 540.0, "observed_s": 1.0}, None),
        ({"drift_ppm": -260.0}, "drifting"),
        ({"late_s": 0.3}, "drifting"),
        ({"is_gone": True}, "gone"),
    ],
)
def test_what_is_wrong_with_a_stream(values: dict[str, object], kind: str | None) -> None:
    problem = stream_problem(gaze(**values))
    assert (None if problem is None else problem.kind) == kind


def test_the_recorder_is_blamed_only_where_it_is_silent_itself() -> None:
    assert recording_problem([0.1, 9.0], 9.0) is None
    assert recording_problem([9.0, 9.0], 4.9) is None  # two dead devices; clocks are still measured
    problem = recording_problem([9.0, 9.0], 8.0)
    assert problem is not None
    assert problem.kind == "recorder"


def test_a_disk_that_refuses_is_told_until_it_takes_again(tmp_path: Path) -> None:
    disk = DiskWatch(tmp_path, tmp_path / "x.journal")
    disk.measure()
    disk.hear("stream Gaze is gone")
    assert disk.problem(60.0) is None
    disk.hear(
        "disk: cannot write x.journal: database or disk is full. What arrives waits in memory"
    )
    problem = disk.problem(60.0)
    assert problem is not None
    assert (problem.kind, problem.level, disk.to_json(60.0)["level"]) == ("disk", "alarm", "alarm")
    disk.hear("disk takes data again: the disk took nothing for 3.1 s, nothing is lost")
    assert disk.problem(60.0) is None


def test_a_disk_must_last_for_the_session_and_its_sealing() -> None:
    assert disk_problem(10e9, 1e6, 600) is None
    problem = disk_problem(1.1e9, 1e6, 600)
    assert problem is not None
    assert (problem.kind, problem.level) == ("disk", "alarm")
    assert "550 s" not in problem.text
    assert "9 min" in problem.text
    assert disk_problem(1.3e9, 1e6, 600) is None
    soon = disk_problem(1.0e9, 1e6, 100)
    assert soon is not None
    assert soon.level == "warning"
    full = disk_problem(20e6, 0.0, float("nan"))
    assert full is not None
    assert "full" in full.text


def test_faces_and_eyes_may_be_away_for_a_moment() -> None:
    assert away_problem("face", float("nan")) is None
    assert away_problem("face", 1.0) is None
    face, eyes = away_problem("face", 1.3), away_problem("eyes", 1.3)
    assert face is not None
    assert eyes is not None
    assert (face.level, eyes.level) == ("alarm", "warning")


def test_the_book_keeps_when_and_who() -> None:
    book = AlarmBook()
    stopped = Problem("stopped", "alarm", "Gaze has sent nothing for 1.3 s", "Gaze")
    later = Problem("stopped", "alarm", "Gaze has sent nothing for 5.0 s", "Gaze")
    assert [a.id for a in book.update([stopped], 1000.0)] == ["a1"]
    assert book.update([later], 2000.0) == []
    book.acknowledge(["a1"], "Anna")
    assert book.alarms[0].to_json()["text"] == later.text
    book.update([], 3000.0)
    row = book.alarms[0].to_json()
    assert (row["since_t_ms"], row["until_t_ms"], row["acknowledged_by"]) == (
        1000.0,
        3000.0,
        "Anna",
    )
    book.update([stopped], 4000.0)  # soon again: the same alarm goes on
    assert [a.id for a in book.alarms] == ["a1"]
    assert book.alarms[0].until_t_ms is None
    book.update([], 5000.0)
    assert [a.id for a in book.update([stopped], 20_000.0)] == ["a2"]
    book.acknowledge("all", "Bert")
    assert [a.acknowledged_by for a in book.alarms] == ["Bert", "Anna"]


def test_a_warning_that_becomes_an_alarm_is_loud_again() -> None:
    book = AlarmBook()
    book.update([Problem("disk", "warning", "soon")], 1000.0)
    book.acknowledge("all", "Anna")
    book.update([Problem("disk", "alarm", "now")], 2000.0)
    assert book.alarms[0].acknowledged_by is None


def regular(stats: StreamStats, n: int, rate_hz: float, begin_s: float, chunk: int = 60) -> float:
    stamps = begin_s + np.arange(n) / rate_hz
    for start in range(0, n, chunk):
        part = stamps[start : start + chunk]
        stats.add(part, float(part[-1]) + 0.01)
    return float(stamps[-1])


def test_rate_gaps_and_age_of_a_regular_stream() -> None:
    stats = StreamStats(600.0)
    last = regular(stats, 6000, 600.0, 100.0)
    assert stats.rate_hz() == pytest.approx(600.0, rel=1e-6)
    assert stats.jitter_ms == pytest.approx(0.0, abs=1e-6)
    assert (stats.n, stats.lost, stats.gaps) == (6000, 0, 0)
    assert stats.age_s(last + 1.01) == pytest.approx(1.0)
    regular(stats, 600, 600.0, last + 0.5)
    assert (stats.gaps, stats.lost) == (1, 299)
    assert stats.longest_gap_s == pytest.approx(0.5)


def test_an_irregular_stream_has_neither_rate_nor_gaps() -> None:
    stats = StreamStats(0.0)
    stats.add(np.array([1.0, 50.0]), 50.1)
    assert np.isnan(stats.rate_hz())
    assert (stats.gaps, stats.n) == (0, 2)


def test_drift_and_lateness() -> None:
    stats = StreamStats(100.0)
    for i in range(13):
        stats.add_offset(5.0 * i, 1.0 + 5.0 * i * 250e-6)
    assert stats.drift_ppm == pytest.approx(250.0)
    assert stats.offset_s == pytest.approx(1.015)
    late = StreamStats(100.0)
    for i in range(400):
        at_s = i * 0.1
        lag_s = 0.02 if at_s < 20 else 0.02 + 0.05 * (at_s - 20)
        late.add(np.array([at_s - lag_s]), at_s)
    assert late.late_s == pytest.approx(0.05 * 19.0, abs=0.06)


def test_frozen_values_are_told_from_changing_ones() -> None:
    info = StreamInfo(
        "Gaze",
        "Gaze",
        channel_count=4,
        channels=(
            Channel("left_x"),
            Channel("left_y"),
            Channel("left_valid", unit="bool"),
            Channel("device_time", unit="s"),
        ),
    )
    channels = telling_channels(info)
    assert channels == [0, 1]
    watch = ChangeWatch()
    rng = np.random.default_rng(3)
    for i in range(20):
        values = signature(
            np.column_stack([rng.normal(size=(6, 2)), np.ones((6, 2)) * i]), channels
        )
        assert values is not None
        watch.see(values, i / 10)
    assert watch.same_s == 0.0
    for i in range(20, 40):
        still = signature(np.column_stack([np.full((6, 2), 0.25), np.ones((6, 2)) * i]), channels)
        assert still is not None
        watch.see(still, i / 10)
    assert watch.same_s == pytest.approx(1.9)
    assert watch.n_same == 20
    assert signature(np.full((6, 4), np.nan), channels) is None
