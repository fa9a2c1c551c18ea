"""One run of the fault campaign: a source that counts, a recorder, and what a fault cost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

COMMAND = (sys.executable, "-m", "duchenne.cli")
START_TIMEOUT_S, END_TIMEOUT_S = 90.0, 120.0
RATE_HZ = 500.0
LATE_S = 0.02
NAME = "Counted"
SOURCE = f"""
import json, sys, threading, time, pylsl
info = pylsl.StreamInfo("{NAME}", "Count", 8, {RATE_HZ}, pylsl.cf_double64, sys.argv[1])
channels = info.desc().append_child("channels")
for label in ("counter", *"abcdefg"):
    channels.append_child("channel").append_child_value("label", label)
outlet = pylsl.StreamOutlet(info)
print("sends", flush=True)
shift, stalls = 0.0, []
def hear():
    global shift
    for line in sys.stdin:
        if line.strip() == "stalls":
            print(json.dumps(stalls), flush=True)
        else:
            shift += float(line)
threading.Thread(target=hear, daemon=True).start()
begun, sent = pylsl.local_clock(), 0
while True:
    now = pylsl.local_clock()
    if now - begun - sent / {RATE_HZ} > {LATE_S}:
        stalls.append([begun + sent / {RATE_HZ}, now])
    while sent < (pylsl.local_clock() - begun) * {RATE_HZ}:
        outlet.push_sample([float(sent)] * 8, begun + shift + sent / {RATE_HZ})
        sent += 1
    time.sleep(0.002)
"""
"""Counts from 0. A number on its standard input shifts the stamps from there on, in seconds; ``stalls`` asks
when it was itself held up and sent late: from the first sample that was due until it went on."""


@dataclass
class Cost:
    """What one fault cost.

    Attributes
    ----------
    inside : int
        Samples missing between the first and the last one kept (of each outlet, where one was restarted).
    ends_s : float
        Seconds from the last sample kept to the fault, or, of a restarted outlet, from its first sample.
    note : str
        What is not as it should be; empty if all is.
    also : mapping of str to float
        What else was measured, by what it is.
    """

    inside: int
    ends_s: float
    note: str = ""
    also: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Run:
    """One recorder that records the source.

    Attributes
    ----------
    out : Path
        Session file.
    heard : Path
        What the recorder says, on another disk.
    chance : random.Random
    source, process : subprocess.Popen
        The source and the recorder.
    begun_s : float
        When it was recording, on the clock of LSL.
    """

    out: Path
    heard: Path
    chance: random.Random
    source: subprocess.Popen[str]
    process: subprocess.Popen[bytes]
    begun_s: float = float("nan")

    @property
    def journal(self) -> Path:
        """Where it records."""
        return self.out.with_suffix(".journal")

    @property
    def told(self) -> str:
        """What the recorder has said."""
        return self.heard.read_text(encoding="utf-8", errors="replace")

    def wait(self, shortest_s: float = 1.0, longest_s: float = 3.0) -> None:
        """Let a random time pass."""
        time.sleep(self.chance.uniform(shortest_s, longest_s))

    def end(self) -> int:
        """Ask the recorder to end; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(END_TIMEOUT_S)

    def kill(self) -> float:
        """Kill the recorder; return when."""
        killed_s = now_s()
        self.process.kill()
        self.process.wait()
        return killed_s

    def restart_source(self, source_id: str = "", *, before: Sequence[str] = ()) -> None:
        """Kill the source and start it again at once, under another identity if one is given.

        Returns when it sends.
        """
        end_source(self.source)
        self.source = start_source(source_id or f"source-{NAME}", before=before)
        if self.source.stdout is None or not self.source.stdout.readline():
            raise OSError("the source did not start again")

    def source_late_s(self, at_s: float) -> float:
        """Return for how long nothing had been sent at a moment because the source itself was held up."""
        assert self.source.stdin is not None
        assert self.source.stdout is not None
        time.sleep(0.2)  # for a stall that is going on
        self.source.stdin.write("stalls\n")
        self.source.stdin.flush()
        line = self.source.stdout.readline()
        stalls = json.loads(self.source.stdout.readline() if line.strip() == "sends" else line)
        return float(
            max((at_s - since for since, until in stalls if since < at_s < until), default=0)
        )

    def recover(self) -> str:
        """Seal what is left; return the recorder's words where that is refused."""
        command = [*COMMAND, "recover", str(self.journal)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["?"])[-1]

    def cost(self, until_s: float, *, damaged: bool = False, note: str = "") -> Cost:
        """Compare the file with what was sent until a moment."""
        from duchenne.recorder.recording import Recording

        if not self.out.exists():
            return Cost(0, until_s - self.begun_s, note or "no file")
        with Recording.open(self.out) as recording:
            if NAME not in recording.streams:  # the fault came before anything was on the disk
                return Cost(0, until_s - self.begun_s, note)
            stream = recording.streams[NAME]
            numbers, last_s = stream.samples()[:, 0], float(stream.timestamps[-1])
            told = set(recording.log["kind"])
        notes = [note] if note else []
        if not (damaged or np.all(np.diff(numbers) > 0)):
            notes.append("order broken")
        missing = int(np.sum(np.diff(numbers) - 1))
        if damaged and missing and "damaged" not in told:
            notes.append("damage not told")
        return Cost(missing, max(0.0, until_s - last_s), "; ".join(notes))


def now_s() -> float:
    """Return the time on the clock of LSL."""
    import pylsl

    return float(pylsl.local_clock())


def start_source(
    source_id: str = f"source-{NAME}", *, before: Sequence[str] = ()
) -> subprocess.Popen[str]:
    """Start the counting outlet, by way of another command if one is given."""
    command = [*before, sys.executable, "-c", SOURCE, source_id]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def end_source(source: subprocess.Popen[str]) -> None:
    """Kill a source."""
    source.kill()
    source.wait()
    for pipe in (source.stdin, source.stdout):
        if pipe is not None:
            pipe.close()


def recorded(
    disk: Callable[[Path], AbstractContextManager[Path]] = nullcontext, *options: str
) -> Callable[[Callable[[Run], Cost]], Callable[[Path, random.Random], Cost]]:
    """Make a fault of what is done to a recorder that records.

    Parameters
    ----------
    disk : callable
        Makes the disk that is recorded on, in a folder.
    *options : str
        Of ``duchenne record``.
    """

    def with_recorder(act: Callable[[Run], Cost]) -> Callable[[Path, random.Random], Cost]:
        @wraps(act)
        def fault(folder: Path, chance: random.Random) -> Cost:
            with disk(folder) as at, recording_run(folder, at, chance, options) as run:
                return act(run)

        return fault

    return with_recorder


@contextmanager
def recording_run(
    folder: Path, disk: Path, chance: random.Random, options: Sequence[str]
) -> Iterator[Run]:
    """Start source and recorder; end both."""
    from duchenne.recorder.ending import journal_state

    out, heard = disk / "run.h5", folder / "heard.txt"
    command = [*COMMAND, "record", "--out", str(out), "--require", NAME, *options]
    source = start_source()
    with heard.open("wb") as file:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file)
    run = Run(out, heard, chance, source, process)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while journal_state(run.journal) != "recording":
            if time.monotonic() > deadline:
                raise TimeoutError(f"the recorder did not start: {run.told}")
            time.sleep(0.05)
        run.begun_s = now_s()
        yield run
    finally:
        run.process.kill()
        run.process.wait()
        end_source(run.source)


@contextmanager
def own_folder(folder: Path) -> Iterator[Path]:
    """Make a folder in which only the recorder works."""
    place = folder / "place"
    place.mkdir()
    yield place


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of 48 MB in memory."""
    place = folder / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@contextmanager
def removable_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of 256 MB (ext4) that can break or go away; see `mount_again`."""
    image, place = folder / "image", folder / "disk"
    place.mkdir()
    with image.open("wb") as file:
        os.truncate(file.fileno(), 256 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    _mount(image, place)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False, stderr=subprocess.DEVNULL)


def mount_again(place: Path) -> None:
    """Put a disk back as it is after the fault; nothing may have files open on it."""
    subprocess.run(["umount", str(place)], check=False, stderr=subprocess.DEVNULL)
    _mount(place.with_name("image"), place)


def _mount(image: Path, place: Path) -> None:
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
