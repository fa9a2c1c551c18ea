"""Work on recorded sessions: analysis, reports, exports; one after the other, each in its own process."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from duchenne.analysis.console.children import Started, apart
from duchenne.analysis.console.courtesy import step_back
from duchenne.stimuli.errors import DuchenneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
KEPT = 20
POLL_S = 0.2
ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
SHARE = re.compile(r"(\d{1,9})/(\d{1,9})")
BAR = re.compile(r"\s*[━╸╺─]+.*")
COLUMNS = "160"


@dataclass
class Job:
    """A piece of work."""

    id: str
    kind: str
    title: str
    arguments: Sequence[str]
    result: str | None = None
    state: JobState = "queued"
    fraction: float | None = None
    text: str = ""
    started_s: float | None = None
    ended_s: float | None = None
    asked_to_end: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as pages get it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "title": self.title,
            "state": self.state,
            "fraction": None if self.fraction is None else round(self.fraction, 3),
            "text": self.text,
            "started_t_ms": None if self.started_s is None else self.started_s * 1e3,
            "ended_t_ms": None if self.ended_s is None else self.ended_s * 1e3,
            "result": self.result if self.state == "done" else None,
        }


@dataclass
class Jobs:
    """Runs jobs one after the other, with low priority; nothing runs while a session is being recorded.

    Parameters
    ----------
    runtime : Path
        Private folder for log files.
    may_run : callable
        Whether work may begin now.
    """

    runtime: Path
    may_run: Callable[[], bool]
    jobs: deque[Job] = field(default_factory=lambda: deque(maxlen=KEPT))
    _n: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: str, title: str, arguments: Sequence[str], result: str | None) -> str:
        """Queue a ``duchenne`` command; return the job's id.

        Raises
        ------
        DuchenneError
            The same work waits or runs already.
        """
        with self._lock:
            for job in self.jobs:
                if job.title == title and job.state in {"queued", "running"}:
                    raise DuchenneError(f"{title}: is being done already")
            self._n += 1
            self.jobs.appendleft(Job(f"j{self._n}", kind, title, arguments, result))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="console-jobs", daemon=True)
                self._thread.start()
            return f"j{self._n}"

    def cancel(self, job_id: str) -> None:
        """End a job."""
        for job in self.jobs:
            if job.id == job_id and job.state in {"queued", "running"}:
                job.asked_to_end = True

    def close(self) -> None:
        """End everything."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def to_json(self) -> list[dict[str, Any]]:
        """Return the jobs for pages, newest first."""
        return [job.to_json() for job in list(self.jobs)]

    def _work(self) -> None:
        step_back()  # what this thread starts inherits it
        while not self._over.wait(POLL_S):
            waiting = [job for job in reversed(list(self.jobs)) if job.state == "queued"]
            for job in waiting:
                if job.asked_to_end:
                    job.state, job.ended_s = "cancelled", time.time()
            if waiting and waiting[0].state == "queued":
                if self.may_run():
                    self._run(waiting[0])
                else:
                    waiting[0].text = "waits for the end of the session"

    def _run(self, job: Job) -> None:
        job.state, job.started_s, job.text = "running", time.time(), "begins"
        log = self.runtime / f"job-{job.id}-{time.time_ns()}.log"
        screen = _Screen(job)
        try:
            started = screen.start(job.arguments, log)
        except OSError as error:
            job.state, job.text, job.ended_s = "failed", str(error), time.time()
            return
        while started.exit_code is None:
            if job.asked_to_end or self._over.wait(POLL_S):
                started.ask_to_end()
                with contextlib.suppress(Exception):
                    started.process.wait(5.0)
                break
        screen.close()
        job.ended_s = time.time()
        code = started.exit_code
        if job.asked_to_end or self._over.is_set():
            job.state, job.text = "cancelled", "cancelled"
        else:
            job.state = "done" if code == 0 else "failed"
            job.text = screen.last or started.last_words()
            job.fraction = 1.0 if code == 0 else job.fraction
        started.end()


class _Screen:
    """A terminal that a command draws its progress on, and somebody who reads it there."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._fd = -1
        self._thread: threading.Thread | None = None
        self.last = ""

    def start(self, arguments: Sequence[str], log: Path) -> Started:
        command = [sys.executable, "-m", "duchenne.cli", *arguments]
        theirs = self._open()
        try:
            file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                process = _popen(command, file, theirs if theirs >= 0 else file)
            finally:
                os.close(file)
        finally:
            if theirs >= 0:
                os.close(theirs)
        if self._fd >= 0:
            self._thread = threading.Thread(
                target=self._read, name="console-job-screen", daemon=True
            )
            self._thread.start()
        return Started(process, log)

    def close(self) -> None:
        if self._thread is not None:
            self._thread.join(2.0)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        try:
            import pty  # noqa: PLC0415 -- POSIX only; elsewhere there is no progress
        except ImportError:
            return -1
        self._fd, theirs = pty.openpty()
        return theirs

    def _read(self) -> None:
        rest = ""
        while True:
            try:
                data = os.read(self._fd, 4096)
            except OSError:  # nobody holds the other end any more
                return
            if not data:
                return
            *lines, rest = re.split(
                r"[\r\n]+", rest + ESCAPES.sub("", data.decode("utf-8", "replace"))
            )
            for line in [*lines, rest]:
                self._hear(line.strip())

    def _hear(self, line: str) -> None:
        share = SHARE.search(line)
        if share and int(share[2]) and "━" in line:
            self._job.fraction = min(int(share[1]) / int(share[2]), 1.0)
            self._job.text = BAR.sub("", line)[-120:]
        elif line.startswith("duchenne: "):
            self.last = line.removeprefix("duchenne: ")


def _popen(command: Sequence[str], out: int, err: int) -> subprocess.Popen[bytes]:
    plain = {"PYTHONUNBUFFERED": "1", "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": COLUMNS}
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        env=os.environ | plain,
        **apart(),
    )
