"""Replay: what was recorded comes out of LSL again, in order, with its spacing and its description."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pylsl
import pytest
from support.sessions import write_session
from support.sources import Heard, collect, listening, serving
from support.xdf_files import write_odd_session

from duchenne.recorder.archive import seal
from duchenne.recorder.convert import convert
from duchenne.recorder.journal import Journal
from duchenne.recorder.recording import Recording
from duchenne.recorder.sources.registry import create_source
from duchenne.recorder.streams import StreamInfo, describe
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LABRECORDER = Path(__file__).parents[1] / "data" / "labrecorder.xdf"


class Catcher:
    """Takes what a source pushes, with the time at which it did."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.stamps: list[float] = []
        self.late_s: list[float] = []

    def push_chunk(self, x: Any, timestamp: Any, pushthrough: bool = True) -> None:  # noqa: ARG002 -- the seam
        now_s = pylsl.local_clock()
        self.rows.extend(list(x))
        self.stamps.extend(timestamp)
        self.late_s.extend(now_s - stamp for stamp in timestamp)


def _play(settings: Mapping[str, str]) -> tuple[Catcher, Any]:
    """Run a replay to its end, in this thread."""
    catcher = Catcher()
    with create_source("replay", "r", {"delay_s": "0", **settings}) as source:
        source.run(catcher, threading.Event())
        return catcher, source.info


@contextmanager
def _recorded(tmp_path: Path) -> Iterator[Recording]:
    convert(LABRECORDER, tmp_path / "lab.h5")
    with Recording.open(tmp_path / "lab.h5") as recording:
        yield recording


def test_samples_come_in_order_with_their_spacing_and_in_real_time(tmp_path: Path) -> None:
    with _recorded(tmp_path) as recording:
        gaze = recording.streams["Gaze"]
        kept = gaze.times_s < 2.0
        times, samples = gaze.times_s[kept], gaze.samples()[kept]
    caught, _ = _play({"file": str(tmp_path / "lab.h5"), "end_s": "2.0"})
    assert len(caught.stamps) == len(times)
    np.testing.assert_array_equal(np.array(caught.rows), samples)
    np.testing.assert_allclose(np.diff(caught.stamps), np.diff(times), atol=1e-9)
    assert np.median(caught.late_s) < 0.05
    assert min(caught.late_s) > -1e-3, "a sample came before its time"


def test_faster_keeps_order_and_says_so(tmp_path: Path) -> None:
    begun = time.monotonic()
    caught, info = _play({"file": str(LABRECORDER), "speed": "20", "name": "Again"})
    took_s = time.monotonic() - begun
    with _recorded(tmp_path) as recording:
        gaze = recording.streams["Gaze"]
        np.testing.assert_array_equal(np.array(caught.rows), gaze.samples())
        np.testing.assert_allclose(np.diff(caught.stamps), np.diff(gaze.times_s) / 20, atol=1e-9)
        recorded = gaze.info
        first_s = float(gaze.lsl_times_s[0])
    assert took_s < 6.0
    described = describe(info)
    assert described.name == "Again"
    assert described.nominal_srate_hz == recorded.nominal_srate_hz * 20
    assert described.channels == recorded.channels
    note = info.desc().child("replay")
    assert float(note.child_value("recorded_first_lsl_s")) == first_s
    assert float(note.child_value("replayed_first_lsl_s")) == caught.stamps[0]
    assert note.child_value("recorded_uid") == recorded.uid
    assert info.desc().child("acquisition").child_value("manufacturer") == "Duchenne"


def test_a_loop_goes_on_without_a_gap(unique_name: str) -> None:
    settings = {
        "file": str(LABRECORDER),
        "loop": "true",
        "speed": "10",
        "end_s": "4",
        "name": unique_name,
    }
    heard = Heard()
    with serving("replay", unique_name, settings), listening(unique_name) as inlet:
        collect(inlet, heard, 2.0)
    steps = np.diff(heard.times_s)
    assert len(steps) > 600
    np.testing.assert_allclose(steps, 1 / 600, rtol=0.05)


def test_a_part_is_counted_from_the_start_of_the_session(tmp_path: Path) -> None:
    times = np.arange(600) / 300
    session = write_session(tmp_path / "s.h5", gaze=(times, {"left_x": times}), gaze_rate_hz=300.0)
    caught, _ = _play({"file": str(session), "start_s": "0.5", "end_s": "1.5", "speed": "5"})
    assert np.array(caught.rows)[:, 0].tolist() == pytest.approx(
        (np.arange(150, 450) / 300).tolist()
    )


def test_all_streams_keep_their_distances(tmp_path: Path, unique_name: str) -> None:
    settings = {"file": str(LABRECORDER), "stream": "all", "delay_s": "1.5", "end_s": "3"}
    gaze, marks = Heard(), Heard()
    with create_source("replay", unique_name, settings) as source:
        outlet = pylsl.StreamOutlet(source.info)
        stop = threading.Event()
        thread = threading.Thread(target=source.run, args=(outlet, stop), name="replay")
        thread.start()
        try:
            with listening(unique_name) as one, listening(f"{unique_name}-Markers") as two:
                thread.join(10.0)
                collect(one, gaze, 0.3)
                collect(two, marks, 0.3)
        finally:
            stop.set()
            thread.join()
    with _recorded(tmp_path) as recording:
        a, b = recording.streams["Gaze"], recording.streams["Markers"]
        n, m = int((a.times_s < 3).sum()), int((b.times_s < 3).sum())
        between = b.lsl_times_s[:m] - a.lsl_times_s[0]
    assert (len(gaze.stamps), len(marks.stamps)) == (n, m)
    np.testing.assert_allclose(marks.times_s - gaze.stamps[0], between, atol=1e-6)


def test_odd_streams_are_replayed_as_they_are(tmp_path: Path) -> None:
    session = write_odd_session(tmp_path / "odd.h5")
    base = {"file": str(session), "speed": "1000"}
    numbers, info = _play({**base, "stream": "Num-6"})
    with Recording.open(session) as recording:
        expected = recording.streams["Num-6"].samples()
        frames = list(recording.streams["Face"].packets())
    assert expected.dtype == np.int64
    assert info.channel_format() == pylsl.cf_int64
    np.testing.assert_array_equal(np.array(numbers.rows), expected)
    pictures, _ = _play({**base, "stream": "Face"})
    assert len(pictures.rows) == len(frames)
    notes, _ = _play({**base, "stream": "Notes"})
    assert notes.rows[3:5] == [b"a\0b", b"\xff\xfe"]
    assert np.isnan(notes.stamps[2])
    pairs, info = _play({**base, "stream": "Wide/√"})
    assert len(pairs.rows) == 6
    assert info.channel_count() == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"file": "no.h5"}, "does not exist"),
        ({"file": str(LABRECORDER), "stream": "Gase"}, "no samples of a stream Gase.*Gaze"),
        ({"file": str(LABRECORDER), "start_s": "900"}, "no samples of Gaze in that range"),
    ],
)
def test_what_cannot_be_replayed_is_one_line(settings: dict[str, str], message: str) -> None:
    with pytest.raises(DuchenneError, match=message), create_source("replay", "r", settings):
        pass


def test_a_speed_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="speed"):
        create_source("replay", "r", {"file": "x.h5", "speed": "0"})


def test_streams_of_odd_names_are_played(tmp_path: Path) -> None:
    """An XDF file may hold a stream without a name, which LSL does not take."""
    names = ["", "a/b%2F", "ü😀", "]]>&<x>", "dup", "dup"]
    path = tmp_path / "odd.h5"
    with Journal.create(path.with_suffix(".journal"), {}) as journal:
        for name in names:
            info = StreamInfo(name, "Odd", f"id{name}", channel_format="double64")
            number = journal.add_stream(info)
            journal.add_segment(number, "u", 100.0)
            journal.append(number, 100 + np.arange(5) / 100, np.arange(5.0)[:, None])
    seal(path.with_suffix(".journal"), path)
    catcher, _ = _play({"file": str(path), "stream": "all", "speed": "100"})
    assert len(catcher.stamps) == 5
    _, info = _play({"file": str(path), "stream": "unnamed", "speed": "100"})
    assert info.name() == "unnamed"
