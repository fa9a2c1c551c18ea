"""Run the recording engine in this process, with outlets of every kind beside it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from duchenne.recorder.archive import seal
from duchenne.recorder.engine import Engine
from duchenne.recorder.journal import Journal
from duchenne.recorder.journal_reader import JournalReader
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEADLINE_S = 20.0
COUNTER = """
import sys, time, pylsl
name, source_id, rate = sys.argv[1], sys.argv[2], float(sys.argv[3])
outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Count", 1, rate, pylsl.cf_int64, source_id))
begun, sent = pylsl.local_clock(), 0
while True:
    while sent < (pylsl.local_clock() - begun) * rate:
        outlet.push_sample([sent])
        sent += 1
    time.sleep(0.004)
"""


@contextmanager
def counter(
    name: str, source_id: str | None = None, rate_hz: float = 500.0
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process whose outlet counts from 0."""
    arguments = [name, name if source_id is None else source_id, str(rate_hz)]
    process = subprocess.Popen([sys.executable, "-c", COUNTER, *arguments])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something with a deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {DEADLINE_S:g} s"
        time.sleep(0.02)


@dataclass
class Running:
    """An engine that records."""

    journal: Path
    told: list[str] = field(default_factory=list)

    def count(self) -> int:
        """Return how many samples are committed."""
        try:
            with JournalReader(self.journal) as reader:
                return sum(reader.counts().values())
        except DuchenneError:  # it is just being made
            return 0

    def kinds(self) -> list[str]:
        """Return what the journal's log notes."""
        try:
            with JournalReader(self.journal) as reader:
                return [kind for _, kind, _ in reader.log()]
        except DuchenneError:  # it is just being made
            return []


@contextmanager
def recording(path: Path, predicate: str) -> Iterator[Running]:
    """Record until the block ends, then seal to `path`."""
    running = Running(path.with_suffix(".journal"))
    stop = threading.Event()
    problems: list[BaseException] = []

    def work() -> None:
        try:
            with Journal.create(running.journal, {}) as journal:
                Engine(journal, [predicate], tell=running.told.append).run(stop)
        except BaseException as error:  # noqa: BLE001 -- handed on to the test
            problems.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        wait_until(running.journal.exists, "the journal")
        yield running
    finally:
        stop.set()
        thread.join()
    if problems:
        raise problems[0]
    seal(running.journal, path)
