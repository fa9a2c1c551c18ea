"""What the benchmarks under load share: which streams there are, who sends them, what a process needs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

LOADS = {
    "session": ("gaze", "video", "markers"),
    "gaze": ("gaze", "markers"),
    "stress": ("gaze", "video", "markers", "stress"),
}
COMMAND = (sys.executable, "-m", "duchenne.cli")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_BEGINNING_S, _REST_S = 2.0, 0.5


@dataclass(frozen=True)
class Usage:
    """What a process has needed so far."""

    cpu_s: float
    peak_rss_mb: float


def usage(pid: int) -> Usage:
    """Read the CPU time (s) and the peak memory (MB) of a living process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    peak_kb = next(int(line.split()[1]) for line in status.splitlines() if line[:5] == "VmHWM")
    return Usage((int(fields[11]) + int(fields[12])) / TICKS_PER_S, peak_kb / 1024)


@dataclass(frozen=True)
class Ledgers:
    """What was sent, by stream: the stamps in the order of the samples."""

    folder: Path

    def sent(self, name: str) -> np.ndarray:
        """Return the stamps of a stream."""
        return np.fromfile(self.folder / f"{name}.stamps")

    @property
    def n_streams(self) -> int:
        """How many streams were sent."""
        return len(list(self.folder.iterdir()))


@contextmanager
def sending(load: str, folder: Path) -> Iterator[Ledgers]:
    """Send a load, each kind of stream from a process of its own, until the block ends."""
    folder.mkdir(parents=True)
    script = str(Path(__file__).with_name("load_senders.py"))
    senders = [
        subprocess.Popen(
            [sys.executable, script, kind, "--ledger", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for kind in LOADS[load]
    ]
    try:
        for sender in senders:
            assert sender.stdout is not None
            sender.stdout.readline()
        time.sleep(_BEGINNING_S)
        yield Ledgers(folder)
        time.sleep(_REST_S)
    finally:
        for sender in senders:
            assert sender.stdin is not None
            sender.stdin.close()
            sender.wait(30)
