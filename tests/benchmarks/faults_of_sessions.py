"""Faults of whole sessions (`duchenne run` without a screen): its display or its eye tracker is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fault_runs import COMMAND, START_TIMEOUT_S, Cost, now_s

from duchenne.recorder.sources.gaze_signal import DEVICE_EPOCH_S

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from duchenne.recorder.recording import Recording

SESSION_TIMEOUT_S = 300.0
RATE_HZ = 500.0
N_TRIALS = 6
PROTOCOL = """\
name: short
title: Six pictures
screen: {width_px: 640, height_px: 480, width_cm: 40, height_cm: 30, distance_cm: 60}
blocks:
  - name: main
    steps:
      - type: trials
        select: {ids: [sunset, spikes, rain, mug, chair, hills]}
        order: random
        fixation_s: 0.3
        duration_s: 0.5
        iti_s: 0.2
"""


def display_killed(folder: Path, chance: random.Random) -> Cost:
    """SIGKILL of the display of a session."""
    with session(folder) as process:
        wait_for_start(folder, process)
        time.sleep(chance.uniform(0.0, 5.0))
        os.kill(child_of(process.pid, "present"), signal.SIGKILL)
        killed_s = now_s()
        words = end_of(process)
    note = "" if "starting it once more" in words else f"not told: {words[-150:]}"
    return cost_of_session(folder, process, note, killed_s=killed_s)


def tracker_killed(folder: Path, chance: random.Random) -> Cost:
    """SIGKILL of the eye tracker's source of a session, which starts it again."""
    with session(folder) as process:
        wait_for_start(folder, process)
        time.sleep(chance.uniform(0.0, 2.0))
        os.kill(child_of(process.pid, "sources"), signal.SIGKILL)
        words = end_of(process)
    note = "" if "starting it once more" in words else f"not told: {words[-150:]}"
    return cost_of_session(folder, process, note)


@contextmanager
def session(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a session of six pictures with a simulated eye tracker."""
    protocol = folder / "short.yaml"
    protocol.write_text(PROTOCOL, encoding="utf-8")
    command = [*COMMAND, "run", str(protocol), "--participant", "P01", "--headless"]
    command += ["--camera", "none", "--eyetracker", "simulated", "--study", str(folder / "study")]
    command += ["--eyetracker-set", f"rate_hz={RATE_HZ:g}"]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def end_of(process: subprocess.Popen[str]) -> str:
    """Wait for the end of a session; return its words."""
    return process.communicate(timeout=SESSION_TIMEOUT_S)[1]


def wait_for_start(folder: Path, process: subprocess.Popen[str]) -> None:
    """Wait until the recorder has the marker `session_start`."""
    from duchenne.recorder.journal_reader import JournalReader
    from duchenne.stimuli.errors import DuchenneError

    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        for journal in folder.glob("study/sourcedata/*/*/*_session.journal"):
            try:
                with JournalReader(journal) as reader:
                    senders = [s.id for s in reader.streams if s.info.name == "Markers"]
                    if senders and reader.counts().get(senders[0], 0):
                        return
            except DuchenneError:
                continue  # it is just being made
        time.sleep(0.05)
    raise TimeoutError("the session did not start")


def child_of(parent: int, word: str) -> int:
    """Return the child of a process that has a word on its command line."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            owner = int(path.read_text().rsplit(")", 1)[1].split()[1])
            words = (path.parent / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if owner == parent and word.encode() in words:
            return int(path.parent.name)
    raise LookupError(f"no child process {word}")


def cost_of_session(
    folder: Path, process: subprocess.Popen[str], note: str, killed_s: float = float("nan")
) -> Cost:
    """Compare the session file with what was to be shown and with the eye tracker's count."""
    from duchenne.recorder.recording import Recording

    notes = [note] if note else []
    if process.returncode:
        notes.append(f"exit code {process.returncode}")
    found = list(folder.glob("study/sourcedata/*/*/*_session.h5"))
    if len(found) != 1:
        return Cost(0, 0.0, "; ".join([*notes, "no session file"]))
    with Recording.open(found[0]) as recording:
        notes += trials_wrong(recording)
        gaze = recording.streams["Gaze"]
        numbers = np.rint((gaze.column("device_time") - DEVICE_EPOCH_S) * RATE_HZ).astype(int)
        starts = [segment.start_index for segment in gaze.segments][1:]
        gap_s = recording.certificate["Gaze"].longest_gap_s
        events = recording.events
    parts = np.split(numbers, starts)
    missing = sum(int(np.sum(np.diff(part) - 1)) for part in parts)
    if np.isfinite(killed_s):
        notes += [f"{len(parts)} segments of gaze"] if len(parts) != 1 else []
        again_s = events.loc[events["event"] == "resume", "lsl_time_s"]
        notes += [] if len(again_s) == 1 else ["no marker tells that it went on"]
        also = {"seconds until the session went on": float(again_s.min()) - killed_s}
        return Cost(missing, 0.0, "; ".join(notes), also)
    if len(parts) != 2:
        return Cost(missing, 0.0, "; ".join([*notes, f"{len(parts)} segments of gaze"]))
    also = {"seconds without gaze": gap_s}
    return Cost(missing, float(parts[1][0]) / RATE_HZ, "; ".join(notes), also)


def trials_wrong(recording: Recording) -> list[str]:
    """Return what is wrong with the trials: each shown once and in order, one start and one end."""
    events: Any = recording.events
    names = events["event"].tolist()
    shown = events[events["event"] == "stimulus_onset"]
    planned = [s["trial"]["stimulus_id"] for s in recording.schedule["steps"] if s["trial"]]
    wrong = []
    if [int(n) for n in shown["trial"]] != list(range(1, N_TRIALS + 1)):
        wrong.append(f"trials {[int(n) for n in shown['trial']]}")
    if shown["stimulus"].tolist() != planned:
        wrong.append("other stimuli than planned")
    wrong += [
        f"{names.count(name)} times {name}"
        for name in ("session_start", "session_end")
        if names.count(name) != 1
    ]
    return wrong
