"""The recorder as a process, on real LSL streams: complete at SIGTERM, almost complete at SIGKILL."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pylsl
import pytest

from duchenne.recorder.archive import seal
from duchenne.recorder.engine import Engine
from duchenne.recorder.journal import Journal
from duchenne.recorder.journal_reader import JournalReader
from duchenne.recorder.recording import Recording
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE_HZ = 500.0
DEADLINE_S = 20.0


@contextmanager
def counting_outlet(name: str) -> Iterator[None]:
    """Push sample numbers at RATE_HZ, with exact stamps, until the block ends."""
    info = pylsl.StreamInfo(name, "Count", 1, RATE_HZ, pylsl.cf_double64, f"source-{name}")
    outlet = pylsl.StreamOutlet(info)
    stop = threading.Event()

    def push() -> None:
        start, sent = pylsl.local_clock(), 0
        while not stop.wait(0.01):
            due = int((pylsl.local_clock() - start) * RATE_HZ)
            if due > sent:
                numbers = np.arange(sent, due, dtype=np.float64)
                outlet.push_chunk(numbers[:, None], list(start + numbers / RATE_HZ))
                sent = due

    thread = threading.Thread(target=push)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def recorder(out: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "duchenne.cli", "record", "--out", str(out), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until_recording(journal: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if journal.exists():
            try:
                with JournalReader(journal) as reader:
                    if reader.meta.get("state") == "recording":
                        return
            except Exception:  # noqa: BLE001 -- the file is just being made
                pass
        time.sleep(0.05)
    pytest.fail("the recorder did not start")


def test_sigterm_seals_with_nothing_lost(tmp_path: Path, unique_name: str) -> None:
    out = tmp_path / "x.h5"
    with (
        counting_outlet(unique_name),
        recorder(out, "--stream", f"name='{unique_name}'", "--require", unique_name) as process,
    ):
        wait_until_recording(out.with_suffix(".journal"))
        time.sleep(1.5)
        asked = pylsl.local_clock()
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0
    assert told.strip().splitlines()[-1] == f"Recorded {out}"
    with Recording.open(out) as recording:
        stream = recording.streams[unique_name]
        assert np.all(np.diff(stream.samples()[:, 0]) == 1)
        assert stream.lsl_times_s[-1] >= asked - 0.05
        assert len(stream.clock_offsets) >= 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5"]


def test_sigkill_costs_less_than_a_quarter_of_a_second(tmp_path: Path, unique_name: str) -> None:
    out = tmp_path / "x.h5"
    journal = out.with_suffix(".journal")
    with (
        counting_outlet(unique_name),
        recorder(out, "--stream", f"name='{unique_name}'", "--require", unique_name) as process,
    ):
        wait_until_recording(journal)
        time.sleep(1.37)
        killed = pylsl.local_clock()
        process.kill()
        process.wait(timeout=DEADLINE_S)
    command = [sys.executable, "-m", "duchenne.cli", "recover", str(journal)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip().splitlines()[-1] == f"Recovered {out}"
    with Recording.open(out) as recording:
        stream = recording.streams[unique_name]
        assert recording.attrs["recovered"]
        assert np.all(np.diff(stream.samples()[:, 0]) == 1)
        assert killed - stream.lsl_times_s[-1] < 0.25


def test_a_missing_required_stream_stops_before_anything_is_written(
    tmp_path: Path, unique_name: str
) -> None:
    out = tmp_path / "x.h5"
    with (
        counting_outlet(unique_name),
        recorder(
            out, "--stream", "name='NoSuchStream'", "--require", "NoSuchStream", "--wait", "2"
        ) as process,
    ):
        _, error = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    line = [text for text in error.splitlines() if text.startswith("duchenne:")][-1]
    assert "no data from NoSuchStream" in line
    assert unique_name in line
    assert list(tmp_path.iterdir()) == []


def test_an_existing_session_file_is_not_touched(tmp_path: Path) -> None:
    out = tmp_path / "x.h5"
    out.write_text("precious")
    with recorder(out) as process:
        _, error = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert "never overwritten" in error
    assert "Traceback" not in error
    assert out.read_text() == "precious"


def test_a_stream_that_returns_continues_as_a_new_segment(tmp_path: Path, unique_name: str) -> None:
    out = tmp_path / "x.h5"
    with recorder(out, "--stream", f"name='{unique_name}'") as process:
        with counting_outlet(unique_name):
            wait_until_recording(out.with_suffix(".journal"))
            time.sleep(2.0)
        time.sleep(0.5)
        with counting_outlet(unique_name):
            time.sleep(4.0)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=DEADLINE_S)
    with Recording.open(out) as recording:
        assert list(recording.streams) == [unique_name]
        stream = recording.streams[unique_name]
        assert len(stream.segments) == 2
        second = stream.segments[1].start_index
        assert np.all(np.diff(stream.samples()[:second, 0]) == 1)
        assert np.all(np.diff(stream.samples()[second:, 0]) == 1)
        assert {"found", "lost", "returned"} <= set(recording.log["kind"])


def test_a_stream_that_stops_is_told_and_noted(tmp_path: Path, unique_name: str) -> None:
    out = tmp_path / "x.h5"
    info = pylsl.StreamInfo(unique_name, "Count", 1, RATE_HZ, pylsl.cf_double64, unique_name)
    outlet = pylsl.StreamOutlet(info)
    with recorder(out, "--stream", f"name='{unique_name}'") as process:
        wait_until_recording(out.with_suffix(".journal"))
        assert outlet.wait_for_consumers(DEADLINE_S)
        outlet.push_chunk(np.zeros((50, 1)))
        time.sleep(3.5)
        outlet.push_chunk(np.zeros((50, 1)))
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=DEADLINE_S)
    assert f"stream {unique_name} stopped" in told
    assert f"stream {unique_name} delivers again" in told
    with Recording.open(out) as recording:
        assert recording.streams[unique_name].n == 100
        assert {"stalled", "resumed"} <= set(recording.log["kind"])


OUTLET = """
import sys, time, pylsl
name = sys.argv[1]
outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Count", 1, 100.0, pylsl.cf_int64, name))
number = 0
while True:
    outlet.push_sample([number])
    number += 1
    time.sleep(0.01)
"""


def _cut_connections() -> int:
    """Break every TCP connection of this process, as a network hiccup would."""
    n = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            number = int(entry.name)
            if not entry.readlink().name.startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(number)) as copy:
                if copy.type == socket.SOCK_STREAM and copy.getpeername():
                    copy.shutdown(socket.SHUT_RDWR)
                    n += 1
        except OSError:
            continue
    return n


def test_a_broken_connection_to_a_living_outlet_is_made_again(
    tmp_path: Path, unique_name: str
) -> None:
    told: list[str] = []
    stop = threading.Event()
    source = subprocess.Popen([sys.executable, "-c", OUTLET, unique_name])
    try:
        with Journal.create(tmp_path / "x.journal", {}) as journal:
            engine = Engine(journal, [f"name='{unique_name}'"], [unique_name], tell=told.append)
            thread = threading.Thread(target=engine.run, args=(stop,))
            thread.start()
            try:
                wait_until_recording(tmp_path / "x.journal")
                time.sleep(1.0)
                assert _cut_connections() > 0
                deadline = time.monotonic() + DEADLINE_S
                while not any("is back" in line for line in told) and time.monotonic() < deadline:
                    time.sleep(0.1)
                time.sleep(1.0)
            finally:
                stop.set()
                thread.join()
    finally:
        source.kill()
        source.wait()
    with Recording.open(seal(tmp_path / "x.journal")) as recording:
        (stream,) = recording.streams.values()
        assert len(stream.segments) == 2
        assert stream.n - stream.segments[1].start_index > 50
        assert np.all(np.diff(stream.samples()[:, 0]) > 0)


def test_the_last_samples_of_an_outlet_that_lingers_are_kept(
    tmp_path: Path, unique_name: str
) -> None:
    stop = threading.Event()
    with Journal.create(tmp_path / "x.journal", {}) as journal:
        info = pylsl.StreamInfo(unique_name, "Markers", 1, 0.0, pylsl.cf_string, unique_name)
        outlet = pylsl.StreamOutlet(info)
        engine = Engine(journal, [f"name='{unique_name}'"], [unique_name], tell=lambda _line: None)
        thread = threading.Thread(target=engine.run, args=(stop,))
        thread.start()
        try:
            assert outlet.wait_for_consumers(DEADLINE_S)
            wait_until_recording(tmp_path / "x.journal")
            for number in range(200):
                outlet.push_sample([f"marker {number}"])
            time.sleep(0.2)
            del outlet
            time.sleep(0.5)
        finally:
            stop.set()
            thread.join()
    with Recording.open(seal(tmp_path / "x.journal")) as recording:
        assert recording.streams[unique_name].n == 200


def refusal(error: str) -> str:
    assert "Traceback" not in error
    (line,) = [text for text in error.splitlines() if text.startswith("duchenne: ")]
    return line


def recorded(journal: Path) -> int:
    try:
        with JournalReader(journal) as reader:
            return sum(reader.counts().values())
    except (DuchenneError, sqlite3.Error):
        return 0  # the file is just being made


@pytest.mark.parametrize("discard", [False, True])
def test_what_came_while_waiting_is_kept_unless_it_is_worthless(
    tmp_path: Path, unique_name: str, discard: bool
) -> None:
    out = tmp_path / "x.h5"
    journal = out.with_suffix(".journal")
    options = ["--stream", f"name='{unique_name}'", "--require", "NoSuchStream", "--wait", "30"]
    options += ["--discard-unstarted"] if discard else []
    with counting_outlet(unique_name), recorder(out, *options) as process:
        deadline = time.monotonic() + DEADLINE_S
        while recorded(journal) == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    line = refusal(error)
    assert (f"duchenne recover {journal}" in line) is not discard
    assert journal.exists() is not discard
    assert discard or recorded(journal) > 0


def test_a_refusal_with_data_names_the_journal(tmp_path: Path, unique_name: str) -> None:
    out = tmp_path / "x.h5"
    options = ("--stream", f"name='{unique_name}'", "--require", "NoSuchStream", "--wait", "3")
    with counting_outlet(unique_name), recorder(out, *options) as process:
        _, error = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    line = refusal(error)
    assert "no data from NoSuchStream" in line
    assert f"duchenne recover {out.with_suffix('.journal')}" in line
    assert recorded(out.with_suffix(".journal")) > 0


def test_a_journal_that_cannot_be_written_is_never_deleted(
    tmp_path: Path, unique_name: str
) -> None:
    out = tmp_path / "x.h5"
    journal = out.with_suffix(".journal")
    options = ("--stream", f"name='{unique_name}'", "--require", "NoSuchStream", "--wait", "30")
    with counting_outlet(unique_name), recorder(out, *options, "--discard-unstarted") as process:
        deadline = time.monotonic() + DEADLINE_S
        while recorded(journal) == 0 and time.monotonic() < deadline:
            time.sleep(0.05)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (4096, 4096))  # as a full disk
        assert process.stderr is not None
        while "waits in memory" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert f"duchenne recover {journal}" in refusal(error)
    assert journal.exists()


@pytest.mark.parametrize("predicate", ["name='it's'", "starts-with(name,", ""])
def test_a_malformed_predicate_is_named(tmp_path: Path, predicate: str) -> None:
    with recorder(tmp_path / "x.h5", "--stream", predicate) as process:
        _, error = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 2
    assert f"--stream {predicate}: " in refusal(error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["{not json", "[1, 2]", None])
def test_facts_that_cannot_be_read_are_refused(tmp_path: Path, content: str | None) -> None:
    meta = tmp_path / "facts.json"
    if content is not None:
        meta.write_text(content, encoding="utf-8")
    with recorder(tmp_path / "x.h5", "--meta", str(meta)) as process:
        _, error = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 2
    assert str(meta) in refusal(error)
    assert not (tmp_path / "x.journal").exists()
