"""Faults of the recorder's process, of its disk, and of those who read beside it."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from contextlib import closing, suppress

from fault_runs import (
    NAME,
    Cost,
    Run,
    mount_again,
    now_s,
    own_folder,
    recorded,
    removable_disk,
    small_disk,
)

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
FS_IOC_SHUTDOWN = 0x8004587D
"""Linux: the disk answers nothing any more; what is not on it yet is gone."""
WITHOUT_FLUSH = 2
CONSUMER = f"""
import time, pylsl
(found,) = pylsl.resolve_byprop("name", "{NAME}", 1, 10.0)
inlet = pylsl.StreamInlet(found)
inlet.pull_sample(10.0)
print("hears", flush=True)
time.sleep(600)
"""


@recorded()
def sigkill(run: Run) -> Cost:
    """SIGKILL of the recorder."""
    run.wait()
    killed_s = run.kill()
    late_s = run.source_late_s(killed_s)
    cost = run.cost(killed_s, note=run.recover())
    cost.also = {"seconds of it that the source had not sent": late_s}
    return cost


@recorded()
def sigterm(run: Run) -> Cost:
    """SIGTERM of the recorder."""
    run.wait()
    return ended(run)


def ended(run: Run) -> Cost:
    """End a recorder that is well; nothing may be missing."""
    asked_s = now_s()
    code = run.end()
    return run.cost(asked_s, note=f"exit code {code}" if code else "")


@recorded()
def stopped(run: Run) -> Cost:
    """SIGSTOP of the recorder for 2 s."""
    run.wait()
    run.process.send_signal(signal.SIGSTOP)
    time.sleep(2)
    run.process.send_signal(signal.SIGCONT)
    run.wait(0.5, 1.0)
    return ended(run)


@recorded()
def hiccups(run: Run) -> Cost:
    """SIGSTOP of the recorder for 0.1 s, ten times."""
    for _ in range(10):
        run.wait(0.1, 0.3)
        run.process.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        run.process.send_signal(signal.SIGCONT)
    return ended(run)


@recorded()
def monitor_holds(run: Run) -> Cost:
    """Another program holds the journal in a transaction of its own for 2 to 6 s."""
    run.wait()
    with closing(sqlite3.connect(f"{run.journal.as_uri()}?mode=ro", uri=True)) as monitor:
        monitor.execute("BEGIN")
        monitor.execute("SELECT COUNT(*) FROM chunks").fetchone()
        run.wait(2.0, 6.0)
        if run.chance.random() < 0.5:  # it holds on beyond the end of the recording
            return ended(run)
    run.wait(0.2, 1.0)
    return ended(run)


@recorded()
def stalled_consumer(run: Run) -> Cost:
    """Another consumer of the stream is stopped for 3 to 6 s and takes nothing."""
    consumer = subprocess.Popen([sys.executable, "-c", CONSUMER], stdout=subprocess.PIPE, text=True)
    try:
        assert consumer.stdout is not None
        consumer.stdout.readline()
        consumer.send_signal(signal.SIGSTOP)
        run.wait(3.0, 6.0)
        return ended(run)
    finally:
        consumer.kill()
        consumer.communicate()


@recorded()
def disk_full(run: Run) -> Cost:
    """No room on the disk until the end."""
    run.wait()
    full_s = now_s()
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    run.wait(0.5, 1.5)
    return refused(run, full_s)


def refused(run: Run, until_s: float) -> Cost:
    """End a recorder whose disk takes nothing: it must say so, and what it had stored must be there."""
    code = run.end()
    notes = [] if code == 1 else [f"exit code {code}"]
    notes += [] if "disk: " in run.told else ["not told"]
    return run.cost(until_s, note="; ".join(filter(None, [*notes, run.recover()])))


@recorded(small_disk)
def disk_filled(run: Run) -> Cost:
    """Another program fills the disk until the end (a disk of 48 MB; needs root)."""
    run.wait(2.0, 3.0)
    filler = run.out.parent / "filler"
    with suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()
    run.wait(0.5, 3.0)
    asked_s = now_s()
    code = run.end()
    filler.unlink()
    note = "" if code in {0, 1} else f"exit code {code}"
    # Else the reserve has been enough to seal.
    return run.cost(asked_s, note=run.recover() if run.journal.exists() else note)


@recorded()
def disk_full_for_a_while(run: Run) -> Cost:
    """No room on the disk for 1 to 2 s."""
    run.wait()
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    run.wait(1.0, 2.0)
    resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, UNLIMITED)
    run.wait(1.0, 1.5)
    return ended(run)


@recorded(removable_disk)
def disk_read_only(run: Run) -> Cost:
    """The system turns the disk read-only, as after an error (needs root)."""
    return _read_only(run)


@recorded(removable_disk, "--fsync")
def disk_read_only_fsync(run: Run) -> Cost:
    """The system turns the disk read-only, recording with `--fsync`."""
    return _read_only(run)


def _read_only(run: Run) -> Cost:
    run.wait(1.0, 6.0)
    broken_s = now_s()
    subprocess.run(["mount", "-o", "remount,abort", str(run.out.parent)], check=True)
    return _put_back(run, broken_s)


@recorded(removable_disk)
def disk_pulled(run: Run) -> Cost:
    """The disk is pulled out: it answers nothing any more (needs root)."""
    return _pulled(run)


@recorded(removable_disk, "--fsync")
def disk_pulled_fsync(run: Run) -> Cost:
    """The disk is pulled out, recording with `--fsync`."""
    return _pulled(run)


def _pulled(run: Run) -> Cost:
    run.wait(1.0, 6.0)
    pulled_s = now_s()
    folder = os.open(run.out.parent, os.O_RDONLY)
    fcntl.ioctl(folder, FS_IOC_SHUTDOWN, struct.pack("I", WITHOUT_FLUSH))
    os.close(folder)
    return _put_back(run, pulled_s)


def _put_back(run: Run, until_s: float) -> Cost:
    """Let the recorder meet a dead disk, end it, and recover what is on the disk."""
    run.wait(1.0, 2.0)
    code = run.end() if run.process.poll() is None else run.process.wait()
    notes = [] if code == 1 else [f"exit code {code}"]
    notes += [] if "disk: " in run.told or "was moved or removed" in run.told else ["not told"]
    mount_again(run.out.parent)
    return run.cost(until_s, note="; ".join(filter(None, [*notes, run.recover()])))


@recorded(removable_disk)
def disk_unmounted(run: Run) -> Cost:
    """The disk is unmounted under the recorder's hands (`umount -l`; needs root)."""
    run.wait()
    gone_s = now_s()
    subprocess.run(["umount", "-l", str(run.out.parent)], check=True)
    note = _ended_by_itself(run)
    mount_again(run.out.parent)
    return run.cost(gone_s, note=note or run.recover())


@recorded(own_folder)
def folder_moved(run: Run) -> Cost:
    """The recorder's folder is moved away, and put back when the recorder has ended."""
    run.wait()
    folder = run.out.parent
    moved_s = now_s()
    away = folder.rename(folder.with_name("away"))
    note = _ended_by_itself(run)
    away.rename(folder)
    return run.cost(moved_s, note=note or run.recover())


def _ended_by_itself(run: Run) -> str:
    """Wait until a recorder has noticed that its journal is gone; return what it did wrong."""
    code = run.process.wait(30)
    told = "was moved or removed" in run.told
    return ("" if code == 1 else f"exit code {code}") if told else "not told"


@recorded()
def byte_flips(run: Run) -> Cost:
    """A random byte of the journal changed after a SIGKILL; missing samples must be told."""
    run.wait()
    killed_s = run.kill()
    with closing(sqlite3.connect(run.journal)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(run.journal.read_bytes())
    place = run.chance.randrange(100, len(content))
    content[place] ^= run.chance.randrange(1, 256)
    run.journal.write_bytes(content)
    refusal = run.recover()
    if refusal:
        return Cost(0, 0.0, f"byte {place}: {refusal[:150]}")
    return run.cost(killed_s, damaged=True)


@recorded()
def cut_short(run: Run) -> Cost:
    """The end of the journal (1 to 90 %) cut off after a SIGKILL; what is missing must be told."""
    run.wait(3.0, 6.0)
    run.kill()
    with closing(sqlite3.connect(run.journal)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (n,) = connection.execute("SELECT SUM(n) FROM chunks").fetchone()
    size = run.journal.stat().st_size
    share = run.chance.uniform(0.01, 0.9)
    with run.journal.open("rb+") as file:
        file.truncate(round(size * (1 - share)))
    refusal = run.recover()
    if refusal:
        return Cost(0, 0.0, f"{share:.0%} cut: {refusal[:150]}")
    return _kept(run, n, share)


def _kept(run: Run, n: int, share: float) -> Cost:
    from duchenne.recorder.recording import Recording

    with Recording.open(run.out) as recording:
        stream = recording.streams[NAME]
        told = "damaged" in set(recording.log["kind"])
        kept = stream.n / n
    also = {"share kept of what was not cut": min(1.0, kept / (1 - share))}
    return Cost(0, 0.0, "" if told or kept == 1 else "damage not told", also)
