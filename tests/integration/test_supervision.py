"""Further sources of a session: recorded, restarted once when they die, seen when they stall."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import time
import tty
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from duchenne.recorder.recording import Recording

pytestmark = pytest.mark.skipif(
    shutil.which("Xvfb") is None or find_spec("psychopy") is None, reason="needs Xvfb and PsychoPy"
)

PROTOCOL = """\
name: short
title: One picture and a long text
screen: {width_px: 640, height_px: 480, width_cm: 40, height_cm: 30, distance_cm: 60}
triggers: {port: simulated}
blocks:
  - name: main
    steps:
      - {type: trials, select: {ids: [sunset]}, duration_s: 1, fixation_s: 0.5, iti_s: 0.2}
      - {type: instruction, text: Wait., duration_s: 90, skip_with_key: false}
"""
COMMAND = (sys.executable, "-m", "duchenne.cli", "run")


class Session:
    """A running session, its words, and its children."""

    def __init__(self, folder: Path, *options: str) -> None:
        protocol = folder / "short.yaml"
        protocol.write_text(PROTOCOL, encoding="utf-8")
        self.study = folder / "study"
        command = [*COMMAND, str(protocol), "--participant", "P01", "--headless"]
        command += ["--eyetracker", "none", "--camera", "none", "--study", str(self.study)]
        self.process = subprocess.Popen(
            [*command, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.told: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.told.append(line.strip())

    def wait_for(self, text: str, timeout_s: float = 40.0) -> None:
        """Wait until the session tells this."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.process.poll() is None:
            if any(text in line for line in self.told):
                return
            time.sleep(0.05)
        pytest.fail(f"not told: {text}; told: {self.told}")

    def child(self, word: str, other_than: int = 0) -> int:
        """Return the process of a child whose command line has this word, once there is one."""
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            for path in Path("/proc").glob("[0-9]*/stat"):
                try:
                    parent = int(path.read_text().rsplit(")", 1)[1].split()[1])
                    words = (path.parent / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                number = int(path.parent.name)
                if parent == self.process.pid and word.encode() in words and number != other_than:
                    return number
            time.sleep(0.05)
        pytest.fail(f"no child process {word}")

    def wait_for_text_screen(self) -> None:
        """Wait until the picture is over."""
        from duchenne.recorder.journal_reader import JournalReader

        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            for journal in self.study.glob("sourcedata/*/*/*_session.journal"):
                try:
                    with JournalReader(journal) as reader:
                        markers = [s.id for s in reader.streams if s.info.name == "Markers"]
                        if markers and reader.counts().get(markers[0], 0) >= 7:
                            return
                except Exception:  # noqa: BLE001 -- the file is just being made
                    pass
            time.sleep(0.1)
        pytest.fail(f"the session did not come so far: {self.told}")

    def end(self) -> Path:
        """Interrupt it, as an operator does; return the session file."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) == 1
        (path,) = self.study.glob("sourcedata/*/*/*_session.h5")
        return path

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(10)
        self._reader.join(20)
        if self.process.stderr is not None:
            self.process.stderr.close()


def test_further_sources_are_recorded_and_one_that_dies_comes_back_once(tmp_path: Path) -> None:
    sources = ("--source", "simulated-photodiode:delay_s=0.03,noise=0")
    sources += ("--source", "simulated-keyboard:delay_s=0.2")
    sources += ("--source", "simulated-microphone:name=Room")
    with Session(tmp_path, *sources) as session:
        session.wait_for_text_screen()
        first = session.child("simulated-photodiode")
        os.kill(first, signal.SIGKILL)
        session.wait_for("simulated-photodiode ended")
        session.wait_for("stream Photodiode is back")
        second = session.child("simulated-photodiode", other_than=first)
        time.sleep(1)
        os.kill(second, signal.SIGKILL)
        session.wait_for("the session goes on without it")
        assert session.process.poll() is None
        path = session.end()
    with Recording.open(path) as recording:
        assert {"Photodiode", "Keyboard", "Room", "Markers"} <= set(recording.streams)
        assert len(recording.streams["Photodiode"].segments) == 2
        assert {"lost", "returned", "source ended"} <= set(recording.log["kind"])
        events = recording.events.set_index("event")
        onset_s = events.loc["stimulus_onset", "lsl_time_s"]
        fields = events.loc["stimulus_onset", "fields"]
        assert fields["trigger_code"] >= 1
        assert 0 <= fields["trigger_lsl_time_s"] - onset_s < 0.05
        light = recording.streams["Photodiode"]
        lit = np.flatnonzero(light.samples()[:, 0] > 400)
        assert light.lsl_times_s[lit[0]] - onset_s == pytest.approx(0.03, abs=0.003)
        keys = recording.streams["Keyboard"].lsl_times_s
        assert np.abs(keys - (onset_s + 0.2)).min() < 0.002
        level = recording.streams["Room"]
        loudest = int(np.argmax(level.samples()[:, 1]))
        assert level.lsl_times_s[loudest] - onset_s == pytest.approx(0.05, abs=0.013)


def test_a_source_that_lives_but_sends_nothing_is_told(tmp_path: Path) -> None:
    with Session(tmp_path, "--source", "simulated-photodiode") as session:
        session.wait_for_text_screen()
        stalled = session.child("simulated-photodiode")
        os.kill(stalled, signal.SIGSTOP)
        try:
            session.wait_for("stream Photodiode stopped")
        finally:
            os.kill(stalled, signal.SIGCONT)
        session.wait_for("stream Photodiode delivers again")
        path = session.end()
    with Recording.open(path) as recording:
        assert {"stalled", "resumed"} <= set(recording.log["kind"])
        assert len(recording.streams["Photodiode"].segments) == 1


def test_options_reach_the_devices_and_their_notices_the_operator_and_the_file(
    tmp_path: Path,
) -> None:
    """A serial photodiode sends another rate than declared, which it tells after 10 s."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    over = threading.Event()

    def send() -> None:
        while not over.wait(0.01):
            os.write(ours, b"512\n")

    sender = threading.Thread(target=send)
    sender.start()
    options = ("--eyetracker", "simulated", "--eyetracker-set", "rate-hz=120")
    options += ("--source", f"photodiode:port={os.ttyname(theirs)},rate_hz=400")
    try:
        with Session(tmp_path, *options) as session:
            session.wait_for_text_screen()
            session.wait_for("400 are declared", timeout_s=60)
            path = session.end()
    finally:
        over.set()
        sender.join()
        os.close(ours)
        os.close(theirs)
    with Recording.open(path) as recording:
        assert recording.streams["Gaze"].info.nominal_srate_hz == 120
        log = recording.log
        notices = log.loc[log["kind"] == "notice", "detail"].tolist()
        assert any("Photodiode" in text and "400 are declared" in text for text in notices)


def processes_of(folder: Path) -> list[int]:
    """Return the processes that have a path of this folder on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("number", "child", "after_s"),
    [
        (signal.SIGINT, "simulated-photodiode", 0.0),
        (signal.SIGTERM, "present", 0.3),
        (signal.SIGINT, "record", 2.0),
    ],
)
def test_a_session_given_up_while_it_starts_leaves_nothing_behind(
    tmp_path: Path, number: signal.Signals, child: str, after_s: float
) -> None:
    devices = ("--eyetracker", "simulated", "--source", "simulated-photodiode")
    with Session(tmp_path, *devices) as session:
        session.child(child)
        time.sleep(after_s)
        session.process.send_signal(number)
        code = session.process.wait(60)
        begun = any("interrupted: ending" in line for line in session.told)
    assert code in {1, 130}, session.told
    assert not any("Traceback" in line for line in session.told)
    assert not processes_of(tmp_path)
    assert not list(session.study.glob("sourcedata/*/*/*.journal*"))
    files = list(session.study.glob("sourcedata/*/*/*_session.h5"))
    assert len(files) == begun  # what has begun is sealed; what has not blocks no label
    for path in files:
        with Recording.open(path) as recording:
            assert recording.attrs["sealed"]


def test_sigterm_ends_a_session_in_good_order(tmp_path: Path) -> None:
    with Session(tmp_path) as session:
        session.wait_for_text_screen()
        session.process.send_signal(signal.SIGTERM)
        assert session.process.wait(60) == 1
    (path,) = session.study.glob("sourcedata/*/*/*_session.h5")
    with Recording.open(path) as recording:
        names = recording.events["event"].tolist()
    assert names[-1] == "session_end"
    assert "abort" in names


def test_the_operator_may_abort_while_the_session_starts(tmp_path: Path) -> None:
    from duchenne.recorder.session import SessionRunner
    from duchenne.recorder.session_plan import Wish, plan
    from duchenne.stimuli.errors import DuchenneError

    protocol = tmp_path / "short.yaml"
    protocol.write_text(PROTOCOL, encoding="utf-8")
    request = plan(Wish(str(protocol), "P01", "01", None, tmp_path / "study"))
    request = replace(request, eyetracker="simulated", camera="none", headless=True)
    asked = iter([[], ["pause"], [], ["abort nausea"]])
    runner = SessionRunner(
        request, tell=print, on_step=lambda *_: None, commands=lambda: next(asked, [])
    )
    begun = time.monotonic()
    with pytest.raises(DuchenneError, match="given up before it began"):
        runner.run()
    assert time.monotonic() - begun < 25
    assert not processes_of(tmp_path / "study")
    assert not list((tmp_path / "study").glob("sourcedata/*/*/*_session.*"))


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        (["simulated-photodiod"], "simulated-photodiode"),
        (["photodiode"], "needs the option port"),
        (["simulated-photodiode:delay=1"], "delay_s"),
        (["simulated-photodiode:delay_s"], "key=value"),
        (["simulated-keyboard", "simulated-keyboard"], "both make a stream named Keyboard"),
        (["simulated-keyboard:name=Markers"], "the display"),
    ],
)
def test_a_source_that_cannot_be_is_refused_before_anything_starts(
    tmp_path: Path, sources: list[str], words: str
) -> None:
    from duchenne.protocols.schedule import make_schedule
    from duchenne.protocols.schema import load_protocol
    from duchenne.recorder.devices import ExtraSource
    from duchenne.recorder.layout import SessionName
    from duchenne.recorder.session import SessionRequest, SessionRunner
    from duchenne.stimuli.errors import UsageError

    protocol = load_protocol("demo")
    stimuli = protocol.stimulus_set()
    schedule = make_schedule(protocol, participant="P01", session="01", stimuli=stimuli)

    def run() -> None:
        extras = tuple(ExtraSource.parse(text) for text in sources)
        name = SessionName("P01", "01", "demo", "01")
        request = SessionRequest(
            protocol, stimuli, schedule, name, tmp_path / "study", "none", "none", extras
        )
        SessionRunner(request, tell=print, on_step=lambda *_: None).run()

    with pytest.raises(UsageError) as caught:
        run()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "study").exists()
