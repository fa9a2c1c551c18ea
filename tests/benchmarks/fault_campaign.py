"""Break things at random moments while the recorder runs; say what each fault cost.

``python tests/benchmarks/fault_campaign.py --runs 20``; ``--fault sigkill`` runs one kind alone. A source
counts its samples at 500 Hz, so that every one missing in the sealed file shows. About 8 s a run.
"""

from __future__ import annotations

import argparse
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from duchenne.recorder.lsl_config import lsl_on_this_host

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMMAND = (sys.executable, "-m", "duchenne.cli")
RATE_HZ = 500.0
NAME = "Counted"
SOURCE = f"""
import sys, time, pylsl
info = pylsl.StreamInfo("{NAME}", "Count", 8, {RATE_HZ}, pylsl.cf_double64, "source-{NAME}")
outlet = pylsl.StreamOutlet(info)
begun, sent = pylsl.local_clock(), 0
while True:
    while sent < (pylsl.local_clock() - begun) * {RATE_HZ}:
        outlet.push_sample([float(sent)] * 8, begun + sent / {RATE_HZ})
        sent += 1
    time.sleep(0.002)
"""


@dataclass
class Cost:
    """What one fault cost.

    Attributes
    ----------
    inside : int
        Samples missing between the first and the last one kept (of the outlet, where it was restarted).
    ends_s : float
        Seconds from the last sample kept to the fault, or, of a restarted outlet, from its first sample.
    note : str
        What else is to be told; empty if all is as it should be.
    """

    inside: int
    ends_s: float
    note: str = ""


@dataclass
class Run:
    """One recorder that records the source."""

    out: Path
    chance: random.Random
    source: subprocess.Popen[bytes]
    process: subprocess.Popen[bytes]

    @property
    def journal(self) -> Path:
        """Where it records."""
        return self.out.with_suffix(".journal")

    def wait(self, shortest_s: float = 1.0, longest_s: float = 3.0) -> None:
        """Let a random time pass."""
        time.sleep(self.chance.uniform(shortest_s, longest_s))

    def end(self) -> int:
        """Ask the recorder to end; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def recover(self) -> None:
        """Seal what is left."""
        command = [*COMMAND, "recover", str(self.journal)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def cost(self, until_s: float, *, damaged: bool = False) -> Cost:
        """Compare the file with what was sent until a moment."""
        from duchenne.recorder.recording import Recording

        with Recording.open(self.out) as recording:
            stream = recording.streams[NAME]
            numbers, last_s = stream.samples()[:, 0], float(stream.timestamps[-1])
            told = set(recording.log["kind"])
        intact = bool(np.all(np.diff(numbers) > 0)) or damaged
        missing = int(np.sum(np.diff(numbers) - 1))
        note = "" if intact else "order broken"
        if damaged and missing and "damaged" not in told:
            note = "damage not told"
        return Cost(missing, max(0.0, until_s - last_s), note)


def sigkill(run: Run) -> Cost:
    """SIGKILL of the recorder."""
    import pylsl

    run.wait()
    killed = pylsl.local_clock()
    run.process.kill()
    run.process.wait()
    run.recover()
    return run.cost(killed)


def sigterm(run: Run) -> Cost:
    """SIGTERM of the recorder."""
    import pylsl

    run.wait()
    asked = pylsl.local_clock()
    code = run.end()
    cost = run.cost(asked)
    return cost if code == 0 else Cost(cost.inside, cost.ends_s, f"exit code {code}")


def stopped(run: Run) -> Cost:
    """SIGSTOP of the recorder for 2 s."""
    import pylsl

    run.wait()
    run.process.send_signal(signal.SIGSTOP)
    time.sleep(2)
    run.process.send_signal(signal.SIGCONT)
    run.wait(0.5, 1.0)
    asked = pylsl.local_clock()
    run.end()
    return run.cost(asked)


def hiccups(run: Run) -> Cost:
    """SIGSTOP of the recorder for 0.1 s, ten times."""
    import pylsl

    for _ in range(10):
        run.wait(0.1, 0.3)
        run.process.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        run.process.send_signal(signal.SIGCONT)
    asked = pylsl.local_clock()
    run.end()
    return run.cost(asked)


def disk_full(run: Run) -> Cost:
    """No room on the disk until the end."""
    import pylsl

    run.wait()
    full = pylsl.local_clock()
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    run.wait(0.5, 1.5)
    code = run.end()
    run.recover()
    cost = run.cost(full)
    return cost if code == 1 else Cost(cost.inside, cost.ends_s, f"exit code {code}")


def disk_filled(run: Run) -> Cost:
    """Another program fills the disk until the end (a disk of 48 MB; needs root)."""
    import pylsl

    run.wait(2.0, 3.0)
    filler = run.out.parent / "filler"
    with suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()
    run.wait(0.5, 3.0)
    asked = pylsl.local_clock()
    code = run.end()
    filler.unlink()
    if run.journal.exists():  # else the reserve has been enough to seal
        run.recover()
    cost = run.cost(asked)
    return cost if code in {0, 1} else Cost(cost.inside, cost.ends_s, f"exit code {code}")


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk of 48 MB in memory."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def disk_full_for_a_while(run: Run) -> Cost:
    """No room on the disk for 1 to 2 s."""
    import pylsl

    run.wait()
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    run.wait(1.0, 2.0)
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, unlimited)
    run.wait(1.0, 1.5)
    asked = pylsl.local_clock()
    run.end()
    return run.cost(asked)


def outlet_restart(run: Run) -> Cost:
    """SIGKILL of the source, which starts again at once."""
    from duchenne.recorder.recording import Recording

    run.wait()
    run.source.kill()
    run.source.wait()
    run.source = start_source()
    run.wait(2.0, 3.0)
    run.end()
    with Recording.open(run.out) as recording:
        (stream,) = recording.streams.values()
        numbers = stream.samples()[:, 0]
        starts = [segment.start_index for segment in stream.segments]
    if len(starts) != 2:
        return Cost(0, 0.0, f"{len(starts)} segments")
    both = (numbers[: starts[1]], numbers[starts[1] :])
    return Cost(int(sum(np.sum(np.diff(part) - 1) for part in both)), float(both[1][0]) / RATE_HZ)


def byte_flips(run: Run) -> Cost:
    """A random byte of a journal changed after a SIGKILL; missing samples must be told."""
    import pylsl

    run.wait()
    killed = pylsl.local_clock()
    run.process.kill()
    run.process.wait()
    import sqlite3

    connection = sqlite3.connect(run.journal)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(run.journal.read_bytes())
    place = run.chance.randrange(100, len(content))
    content[place] ^= run.chance.randrange(1, 256)
    run.journal.write_bytes(content)
    done = subprocess.run(
        [*COMMAND, "recover", str(run.journal)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        return Cost(0, 0.0, f"byte {place}: {last[:150]}")
    return run.cost(killed, damaged=True)


FAULTS: dict[str, Callable[[Run], Cost]] = {
    "sigkill": sigkill,
    "sigterm": sigterm,
    "stopped": stopped,
    "hiccups": hiccups,
    "disk-full": disk_full,
    "disk-filled": disk_filled,
    "disk-full-for-a-while": disk_full_for_a_while,
    "outlet-restart": outlet_restart,
    "byte-flips": byte_flips,
}


def start_source() -> subprocess.Popen[bytes]:
    """Start the counting outlet."""
    return subprocess.Popen([sys.executable, "-c", SOURCE])


def one_run(folder: Path, fault: str, number: int, chance: random.Random) -> Cost:
    """Record, break, look."""
    from duchenne.recorder.ending import journal_state

    out = folder / f"{fault}-{number}.h5"
    command = [*COMMAND, "record", "--out", str(out), "--require", NAME]
    source = start_source()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run = Run(out, chance, source, process)
    try:
        deadline = time.monotonic() + 60
        while journal_state(run.journal) != "recording":
            if time.monotonic() > deadline:
                raise TimeoutError("the recorder did not start")
            time.sleep(0.05)
        return FAULTS[fault](run)
    finally:
        for child in (run.process, run.source):
            child.kill()
            child.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fault", choices=FAULTS, action="append")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    print(
        "| fault | runs | samples missing inside | lost at the fault: median | at most | remarks |"
    )
    print("|---|---|---|---|---|---|", flush=True)
    with lsl_on_this_host("faults"), tempfile.TemporaryDirectory() as folder:
        for fault in arguments.fault or FAULTS:
            costs = []
            for number in range(arguments.runs):
                place = Path(folder)
                with (
                    small_disk(place / "disk")
                    if fault == "disk-filled"
                    else nullcontext(place) as at
                ):
                    costs.append(one_run(at, fault, number, chance))
            ends = [cost.ends_s for cost in costs]
            notes = sorted({cost.note for cost in costs if cost.note})
            inside = sum(cost.inside for cost in costs)
            what = (FAULTS[fault].__doc__ or fault).splitlines()[0].rstrip(".")
            print(
                f"| {what} | {len(costs)} | {inside} | {np.median(ends):.3f} s | {max(ends):.3f} s | "
                f"{'; '.join(notes) or 'none'} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
