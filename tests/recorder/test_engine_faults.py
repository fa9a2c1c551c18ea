"""Disks that are full or gone, processes that are stopped or killed, streams that are slow."""

from __future__ import annotations

import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.engines import DEADLINE_S, Running, counter, recording, wait_until

from duchenne.recorder.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
COMMAND = (sys.executable, "-m", "duchenne.cli")


@contextmanager
def recorder(out: Path, name: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, "record", "--out", str(out), "--stream", f"name='{name}'", "--require", name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def limit_file_size(process: subprocess.Popen[str], size: int) -> None:
    """Let every write beyond a size fail, as on a full disk."""
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def is_recording(journal: Path, n: int = 100) -> bool:
    try:
        return Running(journal).count() > n
    except Exception:  # noqa: BLE001 -- the file is just being made
        return False


def line_with(process: subprocess.Popen[str], text: str) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return line
    pytest.fail(f"the recorder ended without telling {text!r}")


def refusal(error: str) -> str:
    assert "Traceback" not in error
    (line,) = [text for text in error.splitlines() if text.startswith("duchenne: ")]
    return line


def test_a_disk_that_is_full_for_a_while_costs_nothing(tmp_path: Path, unique_name: str) -> None:
    out = tmp_path / "x.h5"
    journal = out.with_suffix(".journal")
    with counter(unique_name), recorder(out, unique_name) as process:
        wait_until(lambda: is_recording(journal), "data")
        limit_file_size(process, 4096)
        line_with(process, "waits in memory: make room now")
        time.sleep(1.5)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, UNLIMITED)
        line_with(process, "disk takes data again")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0
    with Recording.open(out) as file:
        assert np.all(np.diff(file.streams[unique_name].samples()[:, 0]) == 1)
        assert "disk refused" in set(file.log["kind"])


def test_a_disk_that_stays_full_keeps_what_was_stored(tmp_path: Path, unique_name: str) -> None:
    out = tmp_path / "x.h5"
    journal = out.with_suffix(".journal")
    with counter(unique_name), recorder(out, unique_name) as process:
        wait_until(lambda: is_recording(journal, 500), "data")
        limit_file_size(process, 4096)
        line_with(process, "waits in memory")
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert f"duchenne recover {journal}" in refusal(error)
    assert "s are lost" in refusal(error)
    subprocess.run([*COMMAND, "recover", str(journal)], check=True, capture_output=True)
    with Recording.open(out) as file:
        numbers = file.streams[unique_name].samples()[:, 0]
        assert len(numbers) > 500
        assert np.all(np.diff(numbers) == 1)


def test_a_folder_that_vanishes_ends_the_recording_in_one_line(
    tmp_path: Path, unique_name: str
) -> None:
    folder = tmp_path / "stick"
    folder.mkdir()
    journal = folder / "x.journal"
    with counter(unique_name), recorder(folder / "x.h5", unique_name) as process:
        wait_until(lambda: is_recording(journal), "data")
        shutil.rmtree(folder)
        _, error = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert f"{journal} was moved or removed" in refusal(error)


def test_a_folder_that_cannot_be_written_is_told_in_one_line(
    tmp_path: Path, unique_name: str
) -> None:
    (tmp_path / "file").write_text("not a folder")
    with recorder(tmp_path / "file" / "x.h5", unique_name) as process:
        _, error = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert "cannot write" in refusal(error)


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_a_background_job_that_ignores_signals_still_ends_well(
    tmp_path: Path, unique_name: str, name: str
) -> None:
    number = getattr(signal, name)
    out = tmp_path / "x.h5"
    ignore = {"preexec_fn": lambda: signal.signal(number, signal.SIG_IGN)}
    with counter(unique_name), recorder(out, unique_name, **ignore) as process:
        wait_until(lambda: is_recording(out.with_suffix(".journal")), "data")
        process.send_signal(number)
        process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert out.exists()


def test_a_monitor_that_holds_the_journal_costs_nothing(tmp_path: Path, unique_name: str) -> None:
    """A transaction of another program keeps the log from being folded in."""
    out = tmp_path / "x.h5"
    with counter(unique_name), recording(out, f"name='{unique_name}'") as running:
        wait_until(lambda: running.count() > 100, "data")
        monitor = sqlite3.connect(f"{running.journal.as_uri()}?mode=ro", uri=True)
        monitor.execute("BEGIN")
        (n,) = monitor.execute("SELECT SUM(n) FROM chunks").fetchone()
        time.sleep(2.5)
        assert running.count() > n + 500
        assert monitor.execute("SELECT SUM(n) FROM chunks").fetchone() == (n,)
        monitor.close()
    with Recording.open(out) as file:
        assert np.all(np.diff(file.streams[unique_name].samples()[:, 0]) == 1)


def test_a_recorder_that_was_stopped_for_two_seconds_has_everything(
    tmp_path: Path, unique_name: str
) -> None:
    out = tmp_path / "x.h5"
    with counter(unique_name), recorder(out, unique_name) as process:
        wait_until(lambda: is_recording(out.with_suffix(".journal")), "data")
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.0)
        process.send_signal(signal.SIGCONT)
        time.sleep(1.0)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE_S)
    with Recording.open(out) as file:
        numbers = file.streams[unique_name].samples()[:, 0]
        assert len(numbers) > 3 * 500
        assert np.all(np.diff(numbers) == 1)
