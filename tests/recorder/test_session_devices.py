"""Devices of a session: options that reach their sources, and those that are refused beforehand."""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pylsl
import pytest

from duchenne.protocols.schedule import make_schedule
from duchenne.protocols.schema import load_protocol
from duchenne.recorder.devices import ExtraSource, parse_settings
from duchenne.recorder.journal_reader import JournalReader
from duchenne.recorder.layout import SessionName
from duchenne.recorder.noted_journal import NotedJournal, encode_note
from duchenne.recorder.processes import Child
from duchenne.recorder.recording import Recording
from duchenne.recorder.session_devices import check_choice, session_devices
from duchenne.recorder.session_request import SessionRequest
from duchenne.recorder.sources import base
from duchenne.recorder.sources.iohub import free_name
from duchenne.recorder.sources.registry import create_source
from duchenne.recorder.streams import describe
from duchenne.stimuli.errors import DuchenneError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE_S = 30.0


def request(study: Path, **changes: Any) -> SessionRequest:
    protocol = load_protocol("demo")
    schedule = make_schedule(protocol, participant="P01", session="01")
    name = SessionName("P01", "01", "demo")
    values = {"eyetracker": "none", "camera": "none"} | changes
    return SessionRequest(protocol, protocol.stimulus_set(), schedule, name, study, **values)


def settings_of(arguments: tuple[str, ...]) -> dict[str, str]:
    pairs = [arguments[i + 1] for i, word in enumerate(arguments) if word == "--set"]
    return dict(pair.split("=", 1) for pair in pairs)


def test_options_reach_the_sources(tmp_path: Path) -> None:
    found = session_devices(
        request(
            tmp_path,
            eyetracker="simulated",
            eyetracker_settings={"rate_hz": "120", "seed": "5"},
            camera="2",
            camera_settings={"exposure_ms": "10", "name": "Face-2"},
        ),
        "abc",
    )
    assert found.tracker is not None
    tracker = settings_of(found.tracker.arguments)
    assert (tracker["rate_hz"], tracker["seed"]) == ("120", "5")
    assert tracker["markers_source_id"] == "duchenne-display-abc-markers"
    (camera,) = found.others
    assert camera.stream == "Face-2"
    assert camera.predicate == "starts-with(source_id,'duchenne-face-2-abc')"
    assert settings_of(camera.arguments) == {
        "device": "2",
        "exposure_ms": "10",
        "name": "Face-2",
    }


def test_an_eyelink_keeps_its_file_beside_the_session(tmp_path: Path) -> None:
    chosen = request(
        tmp_path, eyetracker="iohub", eyetracker_settings={"tracker": "eyelink", "rate_hz": "1000"}
    )
    tracker = session_devices(chosen, "abc").tracker
    assert tracker is not None
    settings = settings_of(tracker.arguments)
    session_file = chosen.name.session_file(tmp_path)
    assert settings["edf"] == str(session_file).replace("_session.h5", "_eyelink.edf")
    assert settings["messages"] == "true"
    other = request(tmp_path, eyetracker="iohub", eyetracker_settings={"tracker": "mouse"})
    mouse = session_devices(other, "abc").tracker
    assert mouse is not None
    assert "edf" not in settings_of(mouse.arguments)


@pytest.mark.parametrize(
    ("eyetracker", "given", "camera", "camera_given", "words"),
    [
        ("simulated", {"rate": "600"}, "none", {}, "did you mean 'rate_hz'"),
        ("simulated", {"rate_hz": "fast"}, "none", {}, "rate_hz=fast"),
        ("simulated", {"markers_source_id": "x"}, "none", {}, "the session itself sets it"),
        ("tobi", {}, "none", {}, "did you mean 'tobii'"),
        ("lsl", {"rate_hz": "600"}, "none", {}, "that the session starts"),
        ("none", {"rate_hz": "600"}, "none", {}, "that the session starts"),
        ("none", {}, "0", {"exposure": "10"}, "did you mean 'exposure_ms'"),
        ("none", {}, "0", {"exposure_ms": "-1"}, "exposure_ms=-1"),
        ("none", {}, "0", {"device": "1"}, "--camera 1"),
        ("none", {}, "none", {"exposure_ms": "10"}, "no camera to set"),
        ("none", {}, "simulated", {"exposure_ms": "10"}, "has no option 'exposure_ms'"),
    ],
)
def test_an_option_that_cannot_be_is_refused_before_anything_starts(
    eyetracker: str, given: dict[str, str], camera: str, camera_given: dict[str, str], words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check_choice(eyetracker, given, camera, camera_given)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_settings_are_written_key_equals_value() -> None:
    assert parse_settings(["rate-hz=600", "address=tobii-prp://a=b"], "--eyetracker-set") == {
        "rate_hz": "600",
        "address": "tobii-prp://a=b",
    }
    for text in ("rate_hz", "=600", ""):
        with pytest.raises(UsageError, match="--eyetracker-set"):
            parse_settings([text], "--eyetracker-set")


def test_a_replay_is_recorded_but_not_waited_for(tmp_path: Path) -> None:
    """The name of its stream stands in the file, which is opened later."""
    extra = ExtraSource.parse(f"replay:file={tmp_path / 'x.h5'}")
    (device,) = session_devices(request(tmp_path, sources=(extra,)), "abc").others
    assert not device.required
    assert extra.stream is None


def test_no_device_takes_the_place_of_the_display(tmp_path: Path) -> None:
    extra = ExtraSource.parse("simulated-microphone:name=Display")
    with pytest.raises(UsageError, match="another name"):
        session_devices(request(tmp_path, sources=(extra,)), "abc")


@pytest.mark.parametrize(
    "name",
    [
        "simulated",
        "simulated-face",
        "simulated-photodiode",
        "simulated-microphone",
        "simulated-keyboard",
    ],
)
def test_a_simulated_device_says_that_it_has_no_latency(name: str) -> None:
    info = describe(create_source(name, "x", {}).info)
    assert (info.device_latency_s, info.latency_source) == (0.0, "declared")


def test_a_source_that_nobody_ever_hears_ends(
    monkeypatch: pytest.MonkeyPatch, unique_name: str
) -> None:
    """The session was killed before its recorder had found the source."""
    monkeypatch.setattr(base, "NEVER_HEARD_S", 0.2)
    source = create_source("simulated-photodiode", unique_name, {})
    begun = time.monotonic()
    assert base.serve(source, threading.Event(), stop_unheard_s=20.0) > 0
    assert time.monotonic() - begun < DEADLINE_S / 2


def test_an_eyelink_file_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    """A source that is started once more in a session must not fail because of its first file."""
    file = tmp_path / "P01_eyelink.edf"
    assert free_name(file) == file
    file.touch()
    (tmp_path / "P01_eyelink-2.edf").touch()
    assert free_name(file) == tmp_path / "P01_eyelink-3.edf"


def test_a_child_that_hangs_at_its_start_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung = tmp_path / "hung"
    hung.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n", encoding="utf-8")
    hung.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hung))
    child = Child("camera", [])
    try:
        with pytest.raises(DuchenneError, match=r"not ready within 0\.5 s\. camera still runs"):
            child.wait_for_line("ready", 0.5)
    finally:
        child.stop()


def test_what_other_threads_note_is_committed(tmp_path: Path) -> None:
    with NotedJournal.create(tmp_path / "x.journal", {}) as journal:
        assert isinstance(journal, NotedJournal)
        journal.note(1.5, "notice", "Gaze: its licence has ended")
        journal.commit()
        journal.note(2.5, "notice", "the last one")
    with JournalReader(tmp_path / "x.journal") as reader:
        log = [tuple(row) for row in reader.log()]
    assert log == [
        (1.5, "notice", "Gaze: its licence has ended"),
        (2.5, "notice", "the last one"),
    ]


def test_a_recorder_takes_notes_from_its_input(tmp_path: Path, unique_name: str) -> None:
    out = tmp_path / "x.h5"
    info = pylsl.StreamInfo(unique_name, "Count", 1, 0, pylsl.cf_double64, unique_name)
    outlet = pylsl.StreamOutlet(info)
    arguments = ["record", "--out", str(out), "--stream", f"name='{unique_name}'", "--notes"]
    recorder = Child("recorder", [*arguments, "--require", unique_name, "--duration", "2"])
    try:
        for line in ("no note", "{}", encode_note(7.0, "notice", "FaceVideo: ünlocked")):
            recorder.send(line)
        deadline = time.monotonic() + DEADLINE_S
        while recorder.exit_code is None and time.monotonic() < deadline:
            outlet.push_sample([1.0])
            time.sleep(0.05)
        assert recorder.exit_code == 0, recorder.last_words()
    finally:
        recorder.stop()
    with Recording.open(out) as recording:
        log = recording.log
    (detail,) = log.loc[log["kind"] == "notice", "detail"]
    assert detail == "FaceVideo: ünlocked"


def test_a_journal_that_could_not_be_made_blocks_no_name(tmp_path: Path) -> None:
    """Files of at most 20 KB stand for a disk that is full at the start."""
    out = tmp_path / "x.h5"
    done = subprocess.run(
        [sys.executable, "-m", "duchenne.cli", "record", "--out", str(out), "--require", "nothing"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
