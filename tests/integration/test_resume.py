"""Sessions that break off: the display is killed, or the whole session; no trial is lost or doubled."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.mixed import N_TRIALS, write_mixed
from support.presentation import write_protocol

from duchenne.recorder.journal_reader import JournalReader
from duchenne.recorder.recording import Recording
from duchenne.recorder.resuming import journal_markers

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(
    shutil.which("Xvfb") is None or find_spec("psychopy") is None, reason="needs Xvfb and PsychoPy"
)
COMMAND = (sys.executable, "-m", "duchenne.cli", "run")
TRACKED = ("--eyetracker", "simulated", "--camera", "none", "--headless")
DEVICES = ("--eyetracker", "none", "--camera", "none", "--headless")


def journal_of(study: Path) -> Path | None:
    return next(iter(study.glob("sourcedata/*/*/*_session.journal")), None)


def wait_for_marker(
    study: Path, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = 60
) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        journal = journal_of(study)
        try:
            if journal is not None:
                with JournalReader(journal) as reader:
                    senders = [s.info.source_id for s in reader.streams]
                for sender in senders:
                    if any(wanted(marker) for marker in journal_markers(journal, sender)):
                        return
        except Exception:  # noqa: BLE001 -- the file is just being made
            pass
        time.sleep(0.05)
    pytest.fail("the marker did not come")


def display_of(parent: int) -> int:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
            words = (path.parent / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(fields[1]) == parent and b"present" in words:
            return int(path.parent.name)
    pytest.fail("no display")


def onsets(events: Any) -> list[int]:
    return [int(n) for n in events.loc[events["event"] == "stimulus_onset", "trial"]]


def test_after_kill_9_of_the_display_no_trial_is_lost_or_doubled(tmp_path: Path) -> None:
    """Pictures and films with calibration, ratings, counterbalancing and a break."""
    protocol = write_mixed(tmp_path)
    study = tmp_path / "study"
    process = subprocess.Popen(
        [*COMMAND, str(protocol), "--participant", "P01", *TRACKED, "--study", str(study)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for_marker(study, lambda m: m["event"] == "stimulus_onset" and m["trial"] == 2)
        os.kill(display_of(process.pid), signal.SIGKILL)
        _, told = process.communicate(timeout=120)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, told
    assert "starting it once more" in told
    assert f"shown: {N_TRIALS} of {N_TRIALS} trials" in told
    (session_file,) = study.glob("sourcedata/*/*/*_session.h5")
    with Recording.open(session_file) as recording:
        events = recording.events
        names = events["event"].tolist()
        steps = recording.schedule["steps"]
        found = {key: stream.n for key, stream in recording.streams.items()}
    assert onsets(events) == list(range(1, N_TRIALS + 1))
    planned = [step["trial"]["stimulus_id"] for step in steps if step["trial"]]
    shown = events[events["event"] == "stimulus_onset"]
    assert shown["stimulus"].tolist() == planned
    assert names.count("session_start") == names.count("session_end") == 1
    assert names.count("block_start") == names.count("block_end") == 3
    assert names.count("break_start") == names.count("break_end") == 1
    assert names.count("calibration_end") == 1
    rated = events[events["event"] == "rating_response"]
    assert {int(n) for n in rated["trial"]} == set(range(1, N_TRIALS + 1)) - {2}
    pause = events.loc[events["event"] == "pause", "fields"].item()
    assert pause["reason"] == "display failed"
    assert names.index("resume") < len(names) - 1
    assert {"Markers", "ShownFrames", "Gaze"} <= set(found)
    inspected = subprocess.run(
        [sys.executable, "-m", "duchenne.cli", "inspect", str(session_file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "display failed: the session went on with step" in inspected.stdout
    assert f"{N_TRIALS} of {N_TRIALS} scheduled stimuli were shown" in inspected.stdout


def test_a_session_that_was_aborted_is_resumed_as_a_new_run(tmp_path: Path) -> None:
    protocol = write_protocol(tmp_path, ids="red, blue, count", ratings="")
    study = tmp_path / "study"
    command = [*COMMAND, str(protocol), "--participant", "P07", *DEVICES, "--study", str(study)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for_marker(study, lambda m: m["event"] == "fixation_onset" and m["trial"] == 2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 1
    done = subprocess.run(
        [*command, "--resume", "--pilot", "--blind"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "red" not in done.stderr
    assert "pilot" in done.stderr
    first, second = sorted(study.glob("sourcedata/*/*/*_session.h5"))
    with Recording.open(first) as one, Recording.open(second) as two:
        assert one.schedule == two.schedule
        assert two.run == "02"
        assert onsets(one.events) + onsets(two.events) == [1, 2, 3]
        start = two.events.iloc[0]["fields"]
        assert (start["resumed_from"], start["pilot"]) == ("01", True)
        assert bool(two.attrs["pilot"])
        assert not bool(one.attrs["pilot"])
    again = subprocess.run(
        [*command, "--resume"], capture_output=True, text=True, timeout=60, check=False
    )
    assert again.returncode == 1
    assert "complete" in again.stderr
    table = (study / "allocation.tsv").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t")[:3] for line in table[1:]] == [["P07", "7", "n/a"]]
