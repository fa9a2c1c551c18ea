"""Doing the tasks of a study: in this process, in worker processes, or on a cluster.

Three functions with the same arguments and the same answer; whoever does a task, it is done by
:func:`duchenne.analysis.study_task.run_task`.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from duchenne.analysis.study_task import SessionOutcome, SessionTask, run_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Tell = Callable[[SessionTask, str, int, int], None]

TASKS_PER_WORKER = 50
"""A worker process is replaced after so many sessions, which gives back what libraries keep."""
ATTEMPTS = 2
"""A session whose worker died is tried once more."""
ENDING_S = 10.0


def run_here(tasks: Sequence[SessionTask], tell: Tell) -> Iterator[SessionOutcome]:
    """Do the tasks one after the other in this process.

    Parameters
    ----------
    tasks : sequence of SessionTask
    tell : callable
        Told the task, the name of its stage, what is done, and how much there is.

    Yields
    ------
    SessionOutcome
        Of each task, in the order in which they end.
    """
    for task in tasks:

        def told(stage: str, done: int, total: int, task: SessionTask = task) -> None:
            tell(task, stage, done, total)

        yield run_task(task, told)


def run_in_processes(
    tasks: Sequence[SessionTask], tell: Tell, n_workers: int
) -> Iterator[SessionOutcome]:
    """Do the tasks in worker processes of this machine; see `run_here`.

    A worker that dies (killed, out of memory, crash of a library) is replaced, and its task is tried
    once more at the end; then it is told as failed.
    """
    pool = _Pool(deque(tasks), n_workers)
    try:
        while pool.busy:
            yield from pool.step(tell)
    finally:
        pool.kill()


class _Pool:
    """Worker processes, what they are at, and what waits."""

    def __init__(self, waiting: deque[SessionTask], n_workers: int) -> None:
        self._waiting, self._n_workers = waiting, n_workers
        self._workers: list[_Worker] = []
        self._died: dict[str, int] = {}
        self._selector = selectors.DefaultSelector()

    @property
    def busy(self) -> bool:
        """Whether anything is left to do."""
        return bool(self._waiting or self._workers)

    def step(self, tell: Tell) -> Iterator[SessionOutcome]:
        """Give out what waits, and yield what ended since."""
        while self._waiting and len(self._workers) < self._n_workers:
            worker = _Worker.start(self._waiting.popleft())
            self._workers.append(worker)
            self._selector.register(worker.output, selectors.EVENT_READ, worker)
        for key, _ in self._selector.select():
            worker = key.data
            yield from self._hear(worker, tell)
            if worker.idle or worker.ended:
                self._selector.unregister(worker.output)
                self._workers.remove(worker)
                yield from self._buried(worker)

    def _hear(self, worker: _Worker, tell: Tell) -> Iterator[SessionOutcome]:
        for message in worker.messages():
            if "stage" in message:
                stage, done, total = message["stage"]
                tell(worker.task, stage, done, total)
                continue
            yield SessionOutcome.from_json(json.dumps(message["outcome"]))
            if self._waiting and worker.n_done < TASKS_PER_WORKER:
                worker.give(self._waiting.popleft())
            else:
                worker.idle = True

    def _buried(self, worker: _Worker) -> Iterator[SessionOutcome]:
        """End a worker; one that died at its task has it tried once more, or told as failed."""
        code = worker.close()
        if worker.idle:
            return
        lost = worker.task
        self._died[lost.file] = self._died.get(lost.file, 0) + 1
        if self._died[lost.file] < ATTEMPTS:
            self._waiting.append(lost)
        else:
            yield SessionOutcome(lost.file, _why_died(lost, code))

    def kill(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.kill()
        self._selector.close()


@dataclass
class _Worker:
    """One worker process with the task that it is at."""

    process: subprocess.Popen[bytes]
    task: SessionTask
    n_done: int = 0
    idle: bool = False
    ended: bool = False
    _rest: bytes = b""

    @classmethod
    def start(cls, task: SessionTask) -> _Worker:
        process = subprocess.Popen(
            [sys.executable, "-m", "duchenne.analysis.study_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        worker = cls(process, task)
        worker.give(task)
        return worker

    @property
    def output(self) -> int:
        assert self.process.stdout is not None
        return self.process.stdout.fileno()

    def give(self, task: SessionTask) -> None:
        """Send a task; a worker that is dead already is found out by its output."""
        assert self.process.stdin is not None
        self.task = task
        with suppress(OSError):
            self.process.stdin.write(task.to_json().encode() + b"\n")
            self.process.stdin.flush()

    def messages(self) -> list[dict[str, Any]]:
        """Return what the worker said since; sets `ended` where it will say nothing more."""
        said = os.read(self.output, 1 << 16)
        self.ended = not said
        *lines, self._rest = (self._rest + said).split(b"\n")
        found = [json.loads(line) for line in lines if line.startswith(b"{")]
        self.n_done += sum("outcome" in message for message in found)
        return found

    def close(self) -> int:
        """Let the process end, and return its exit code (negative: the signal that ended it)."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(OSError):
            self.process.stdin.close()
        try:
            code = self.process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process.stdout.close()
        return code

    def kill(self) -> None:
        self.process.kill()
        self.close()


def _why_died(task: SessionTask, code: int) -> str:
    how = f"by signal {-code}" if code < 0 else f"with code {code}"
    hint = " (out of memory? use fewer workers)" if code == -9 else ""
    return f"{task.file}: its worker process ended {ATTEMPTS} times {how}{hint}"
