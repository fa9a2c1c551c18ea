"""Processes that the console starts: sessions that outlive it, and work that ends with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PREFIX = "duchenne: "
MAX_KEPT_BYTES = 16_384
STOP_WITHIN_S = 5.0


def apart() -> dict[str, Any]:
    """Return what keeps signals of the console's terminal from a process."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


@dataclass
class Launcher:
    """Starts processes from a thread that has kept its priority.

    The console's other threads have stepped back, and a process inherits the priority of the thread that
    starts it.
    """

    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="console-launch")
    )

    def __post_init__(self) -> None:
        self._pool.submit(
            lambda: None
        ).result()  # so that its thread is made now, with our priority

    def start(self, arguments: Sequence[str], log: Path) -> Started:
        """Start a ``duchenne`` command that writes into a log file; it does not end with the console."""
        command = [sys.executable, "-m", "duchenne.cli", *arguments]
        return self._pool.submit(self._start, command, log).result()

    def run_module(self, module: str, arguments: Sequence[str], log: Path) -> Started:
        """Start a module of ours in the same way."""
        return self._pool.submit(
            self._start, [sys.executable, "-m", module, *arguments], log
        ).result()

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown()

    @staticmethod
    def _start(command: Sequence[str], log: Path) -> Started:
        file: IO[bytes]
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
                **apart(),
            )
        return Started(process, log)


@dataclass
class Started:
    """A process that writes into a log file."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def exit_code(self) -> int | None:
        """Exit code; None while it runs."""
        return self.process.poll()

    def lines(self) -> list[str]:
        """Return the last lines that it wrote."""
        with contextlib.suppress(OSError), self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - MAX_KEPT_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()
        return []

    def said(self, line: str) -> bool:
        """Whether it wrote this line."""
        return line in self.lines()

    def last_words(self) -> str:
        """Return the error that it told, or its last line."""
        lines = [line.strip() for line in self.lines() if line.strip()]
        told = [line[len(PREFIX) :] for line in lines if line.startswith(PREFIX)]
        return told[-1] if told else lines[-1] if lines else f"it ended with code {self.exit_code}"

    def ask_to_end(self) -> None:
        """Ask it to end in good order."""
        if self.exit_code is None:
            with contextlib.suppress(OSError):
                self.process.send_signal(_ending_signal())

    def end(self) -> None:
        """End it, by force after five seconds; with all that it has started."""
        self.ask_to_end()
        try:
            self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._kill()
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self.log.unlink()

    def _kill(self) -> None:
        self.process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_WITHIN_S)


def _ending_signal() -> int:
    if sys.platform == "win32":
        return signal.CTRL_BREAK_EVENT
    return signal.SIGTERM
