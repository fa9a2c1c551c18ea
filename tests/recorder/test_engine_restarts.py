"""Streams that restart or appear late: found at once, continued where they are the same, apart where not."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import numpy as np
import pylsl
from support.engines import counter, recording, wait_until

from duchenne.recorder.arrivals import Arrival, identity_of
from duchenne.recorder.lsl_config import with_discovery
from duchenne.recorder.recording import Recording
from duchenne.recorder.streams import StreamInfo

if TYPE_CHECKING:
    from pathlib import Path


RATE_HZ = 500.0
MAX_LOST_S = 0.25


def test_a_killed_and_restarted_outlet_loses_little_and_continues(
    tmp_path: Path, unique_name: str
) -> None:
    out = tmp_path / "x.h5"
    with recording(out, f"name='{unique_name}'") as running:
        for number in range(3):
            with counter(unique_name, rate_hz=RATE_HZ):
                wait_until(lambda n=number: running.kinds().count("returned") == n, "the return")  # type: ignore[misc]
                before = running.count()
                wait_until(lambda n=before: running.count() > n + 200, "data")  # type: ignore[misc]
    with Recording.open(out) as file:
        (stream,) = file.streams.values()
        starts = [segment.start_index for segment in stream.segments]
        numbers = stream.samples()[:, 0]
        assert len(starts) == 3
        assert np.max(numbers[starts[1:]]) / RATE_HZ < MAX_LOST_S
        assert np.sum(np.diff(numbers) != 1) == 2


def test_a_late_stream_is_recorded_from_its_first_second(tmp_path: Path, unique_name: str) -> None:
    out = tmp_path / "x.h5"
    with recording(out, f"name='{unique_name}'") as running:
        time.sleep(1.0)
        with counter(unique_name, rate_hz=RATE_HZ):
            wait_until(lambda: running.count() > 100, "data")
    with Recording.open(out) as file:
        assert file.streams[unique_name].samples()[0, 0] / RATE_HZ < 0.5


def test_a_restart_under_another_identity_is_another_stream_from_its_first_samples(
    tmp_path: Path, unique_name: str
) -> None:
    out = tmp_path / "x.h5"
    with recording(out, f"name='{unique_name}'") as running:
        with counter(unique_name, rate_hz=RATE_HZ):
            wait_until(lambda: running.count() > 100, "data")
        before = running.count()
        with counter(unique_name, "another", rate_hz=RATE_HZ):
            wait_until(lambda: running.count() > before + 200, "data")
    with Recording.open(out) as file:
        numbers = [stream.samples()[:, 0] for stream in file.streams.values()]
        assert [len(stream.segments) for stream in file.streams.values()] == [1, 1]
    assert all(np.all(np.diff(part) == 1) for part in numbers)
    assert numbers[1][0] / RATE_HZ < MAX_LOST_S


def test_two_living_outlets_of_one_identity_are_two_streams(
    tmp_path: Path, unique_name: str
) -> None:
    out = tmp_path / "x.h5"
    with recording(out, f"name='{unique_name}'") as running, counter(unique_name):
        wait_until(lambda: running.count() > 100, "data")
        with counter(unique_name):
            wait_until(lambda: running.kinds().count("found") == 2, "the second stream")
            time.sleep(0.5)
    with Recording.open(out) as file:
        assert set(file.streams) == {unique_name, f"{unique_name}-2"}
        for stream in file.streams.values():
            assert len(stream.segments) == 1
            assert np.all(np.diff(stream.samples()[:, 0]) == 1)


def test_a_restart_continues_although_the_old_connection_looks_alive(
    tmp_path: Path, unique_name: str
) -> None:
    """A stopped process keeps its connection and answers nothing: as a machine without power does."""
    out = tmp_path / "x.h5"
    with recording(out, f"name='{unique_name}'") as running, counter(unique_name) as old:
        wait_until(lambda: running.count() > 100, "data")
        os.kill(old.pid, signal.SIGSTOP)
        with counter(unique_name):
            wait_until(lambda: "returned" in running.kinds(), "the return")
            time.sleep(0.5)
    with Recording.open(out) as file:
        assert set(file.streams) == {unique_name}
        (stream,) = file.streams.values()
        first, second = (segment.start_index for segment in stream.segments)
        numbers = stream.samples()[:, 0]
        assert first == 0
        assert numbers[second] / RATE_HZ < MAX_LOST_S
        assert np.all(np.diff(numbers[second:]) == 1)


def test_another_channel_count_is_another_stream(tmp_path: Path, unique_name: str) -> None:
    out = tmp_path / "x.h5"
    with recording(out, f"name='{unique_name}'") as running:
        for n_channels in (2, 3):
            info = pylsl.StreamInfo(
                unique_name, "X", n_channels, 0, pylsl.cf_float32, f"source-{unique_name}"
            )
            outlet = pylsl.StreamOutlet(info)
            assert outlet.wait_for_consumers(20)
            outlet.push_chunk(np.full((5, n_channels), n_channels, np.float32))
            wait_until(lambda n=n_channels: running.count() == 5 * (n - 1), "the samples")  # type: ignore[misc]
            del outlet
    with Recording.open(out) as file:
        shapes = {key: stream.samples().shape for key, stream in file.streams.items()}
    assert shapes == {unique_name: (5, 2), f"{unique_name}-2": (5, 3)}


class _Found:
    info = StreamInfo("Gaze", "Gaze", "tracker", "new")


def test_a_silent_rival_is_dead_and_one_that_delivers_is_not() -> None:
    arrival = Arrival(_Found(), opened_s=100.0)  # type: ignore[arg-type]  # only its description is asked for
    assert arrival.identity == identity_of(_Found.info)
    assert arrival.rival_that_died([("old", 99.0)], lambda _uid: False, wait=True) == "old"
    assert arrival.rival_that_died([("old", 101.0)], lambda _uid: False, wait=True) == ""
    other = Arrival(_Found(), opened_s=100.0)  # type: ignore[arg-type]  # as above
    assert other.rival_that_died([("old", 99.0)], lambda _uid: True, wait=True) == ""


def test_the_settings_for_quick_discovery_leave_the_users_alone() -> None:
    theirs = "[lab]\nKnownPeers={10.0.0.7}\n[tuning]\nUnicastMinRTT=2\n"
    ours = with_discovery(theirs)
    assert "KnownPeers={10.0.0.7}" in ours
    assert ours.count("[tuning]") == 1
    assert ours.count("UnicastMinRTT") == 1
    assert "MulticastMinRTT=0.01" in ours
