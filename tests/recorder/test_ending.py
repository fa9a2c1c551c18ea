"""Sessions end in good order: patience with a recorder that seals, consoles that are gone, odd names."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pylsl
import pytest

from duchenne.recorder.archive import journal_path_for
from duchenne.recorder.devices import predicate_for
from duchenne.recorder.ending import Interrupts, journal_state, let_seal
from duchenne.recorder.processes import Child
from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_S = 30.0
N_SAMPLES = 2000


@pytest.fixture
def _ctrl_c_is_heard() -> Iterator[None]:
    """Undo what a shell does to jobs in the background, which ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c_is_heard")
def test_ctrl_c_counts_once_and_never_while_ending() -> None:
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert interrupts.ending
        assert not interrupts.again
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert interrupts.again
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_recorder_seals_in_peace_while_the_operator_is_impatient(
    tmp_path: Path, unique_name: str
) -> None:
    out = tmp_path / "x.h5"
    journal = journal_path_for(out)
    info = pylsl.StreamInfo(unique_name, "Count", 1, 0, pylsl.cf_double64, unique_name)
    outlet = pylsl.StreamOutlet(info)
    arguments = ["record", "--out", str(out), "--stream", f"name='{unique_name}'"]
    recorder = Child("recorder", [*arguments, "--require", unique_name])
    told: list[str] = []
    try:
        deadline = time.monotonic() + DEADLINE_S
        while journal_state(journal) != "recording" and time.monotonic() < deadline:
            time.sleep(0.05)
        outlet.push_chunk(np.arange(N_SAMPLES, dtype=np.float64)[:, None])
        time.sleep(0.5)
        with Interrupts(ending=True) as interrupts:
            signal.raise_signal(signal.SIGINT)
            let_seal(recorder, journal, interrupts, told.append)
        assert recorder.exit_code == 0
    finally:
        recorder.stop()
    assert "still sealing" in told[0]
    with Recording.open(out) as recording:
        assert recording.streams[unique_name].n == N_SAMPLES
    assert not journal.exists()


def test_a_listener_that_fails_does_not_stop_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More is written to standard error than a pipe holds."""
    heard: list[str] = []

    def listener(line: str) -> None:
        heard.append(line)
        raise BrokenPipeError

    talker = tmp_path / "talker"
    talker.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        "for i in range(5000):\n"
        "    print(i, 'x' * 60, file=sys.stderr)\n",
        encoding="utf-8",
    )
    talker.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(talker))
    child = Child("talker", [], on_error_line=listener)
    try:
        assert child.wait(DEADLINE_S) == 0
    finally:
        child.stop()
    assert len(heard) == 5000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_within_what_is_done_as_a_whole_counts_after_it(number: signal.Signals) -> None:
    done: list[str] = []
    interrupts = Interrupts()

    def work() -> None:
        with interrupts.held():
            signal.raise_signal(number)
            done.append("whole")
        done.append("more")

    with interrupts:
        with pytest.raises(KeyboardInterrupt):
            work()
        assert interrupts.ending
        with interrupts.held():
            signal.raise_signal(number)
        assert interrupts.again
    assert done == ["whole"]


def test_a_child_that_leaves_a_process_behind_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a device driver started keeps the pipes of its dead parent open."""
    driver = tmp_path / "driver"
    driver.write_text(
        f"#!{sys.executable}\n"
        "import subprocess\n"
        "helper = subprocess.Popen(['sleep', '60'])\n"
        "print(helper.pid, flush=True)\n",
        encoding="utf-8",
    )
    driver.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(driver))
    child = Child("driver", [])
    begun = time.monotonic()
    try:
        assert child.wait(DEADLINE_S) == 0
        assert "driver ended with code 0" in child.last_words()
    finally:
        child.stop()
    assert time.monotonic() - begun < DEADLINE_S / 2
    (helper,) = child.lines()
    deadline = time.monotonic() + DEADLINE_S
    while Path(f"/proc/{helper}").exists() and time.monotonic() < deadline:
        state = (
            Path(f"/proc/{helper}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
        )
        if state == "Z":  # ended; nobody here is its parent
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{helper}").exists()


@pytest.mark.parametrize("source_id", ["plain", "Ann's tracker", 'a "new" tracker', "'\"", ""])
def test_a_tracker_is_found_whatever_its_source_id(source_id: str, unique_name: str) -> None:
    info = pylsl.StreamInfo(unique_name, "Gaze", 1, 0, pylsl.cf_float32, source_id)
    outlet = pylsl.StreamOutlet(info)
    (found,) = pylsl.resolve_byprop("name", unique_name, 1, 5.0)
    again = pylsl.resolve_bypred(predicate_for(found), 1, 5.0)
    assert [stream.name() for stream in again] == [unique_name]
    del outlet


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"no journal at all"])
def test_a_journal_in_the_making_has_no_state(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.journal"
    assert journal_state(path) == ""
    path.write_bytes(content)
    assert journal_state(path) == ""
